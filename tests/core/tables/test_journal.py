"""A superblock that lies about its journal ends in an answer, whatever it says."""

import random
import struct
from pathlib import Path

import pytest

from core.tables.journal import pending
from core.tables.sectors import Sectors

MIB = 1 << 20


@pytest.mark.parametrize("content", ["ext4", "xfs", "btrfs", "f2fs"])
def test_any_bytes_have_an_answer(content: str, tmp_path: Path) -> None:
    chance = random.Random(content)
    disk = tmp_path / "disk"
    for _turn in range(300):
        data = bytearray(chance.randbytes(80 << 10))
        if content == "xfs":
            data[:4] = b"XFSB"
            # small numbers lead further than large ones
            struct.pack_into(">I", data, 4, 1 << chance.randrange(13))
            struct.pack_into(">Q", data, 48, chance.randrange(64))
            struct.pack_into(">II", data, 84, chance.randrange(64), 1)
            struct.pack_into(">I", data, 96, chance.randrange(64))
            data[124] = chance.randrange(40)
        if content == "f2fs":
            struct.pack_into("<II", data, 1024 + 16, chance.randrange(18), chance.randrange(18))
            struct.pack_into("<I12xI", data, 1024 + 76, chance.randrange(4), chance.randrange(4))
        disk.write_bytes(data)
        with Sectors(disk, len(data)) as sectors:
            assert pending(sectors, 0, content) in (True, False)


def test_a_log_behind_the_end_tells_nothing(tmp_path: Path) -> None:
    block = bytearray(4096)
    block[:4] = b"XFSB"
    struct.pack_into(">I", block, 4, 4096)
    struct.pack_into(">Q", block, 48, 1 << 20)
    struct.pack_into(">I", block, 96, 1 << 31)
    block[124] = 24
    (tmp_path / "disk").write_bytes(block)
    with Sectors(tmp_path / "disk", MIB) as sectors:
        assert not pending(sectors, 0, "xfs")
