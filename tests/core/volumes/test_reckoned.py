"""Arrays that lost a member, read without the device mapper: what was on it is reckoned from the others."""

import json
import os
import struct
import subprocess
from pathlib import Path

import pytest

from core.runner import SystemRunner
from core.session import Session
from core.undo.state import StateFolder
from core.volumes.md.reckoned import from_description
from core.volumes.md.superblock import checksum
from tests.conftest import Guard, needs_root
from tests.core.volumes.layer_disks import LETTER, MIB, SECTOR, file_system

CHUNK, DATA, LEGS = 64 << 10, MIB, 4
_HEAD = struct.Struct("<4I16s32sQiiQIIiIQiIIIQQQQII16sBBHIQQQII")


def _superblock(level: int, layout: int, role: int, used: int) -> bytes:
    roles = struct.pack(f"<{LEGS}H", *range(LEGS))
    made = _HEAD.pack(
        *(0xA92B4EFC, 1, 0, 0, b"u" * 16, b"host:data".ljust(32, b"\0"), 1, level, layout, used // SECTOR),
        *(CHUNK // SECTOR, LEGS, 0, 0, 0, 0, 0, 0, 0, DATA // SECTOR, used // SECTOR, 8, 0, role, 0),
        *(bytes([role]) * 16, 0, 0, 0, 0, 1, 9, (1 << 64) - 1, 0, LEGS),
    )
    made = made.ljust(256, b"\0") + roles
    return made[:216] + struct.pack("<I", checksum(made, 216)) + made[220:]


def _mixed(*chunks: bytes) -> bytes:
    total = 0
    for one in chunks:
        total ^= int.from_bytes(one, "little")
    return total.to_bytes(CHUNK, "little")


def _legs(content: bytes, level: int) -> list[bytes]:
    """Left symmetric, as mdadm makes RAID5 and RAID6; the second parity is noise, which must not matter."""
    parity = level - 4
    wide = LEGS - parity
    legs: list[list[bytes]] = [[] for _leg in range(LEGS)]
    for row in range(len(content) // (CHUNK * wide)):
        data = [content[(row * wide + at) * CHUNK :][:CHUNK] for at in range(wide)]
        first = LEGS - 1 - row % LEGS
        written = [_mixed(*data), *([os.urandom(CHUNK)] if parity == 2 else []), *data]
        for at, chunk in enumerate(written):
            legs[(first + at) % LEGS].append(chunk)
    return [b"".join(one) for one in legs]


def array_disk(path: Path, level: int, lost: set[int]) -> Path:
    """A disk whose partitions are the members of an array with an ext4 on it; the `lost` are zeros."""
    content = file_system(path.parent / "content", 12 * MIB).read_bytes()
    legs = _legs(content, level)
    used = len(legs[0])
    size = DATA + used
    table = "".join(f"{(MIB + at * size) // SECTOR},{size // SECTOR},fd\n" for at in range(LEGS))
    with open(path, "wb") as file:
        file.truncate(2 * MIB + LEGS * size)
        for role, leg in enumerate(legs):
            if role not in lost:
                file.seek(MIB + role * size + 4096)
                file.write(_superblock(level, 2, role, used))
                file.seek(MIB + role * size + DATA)
                file.write(leg)
    argv = ["sfdisk", "-q", path]
    subprocess.run(argv, input=f"label: dos\n{table}", text=True, check=True)
    return path


@needs_root
@pytest.mark.parametrize(("level", "lost"), [(6, 0), (6, 1), (6, 3), (5, 2)])
def test_one_lost_member_is_reckoned(tmp_path: Path, guard: Guard, level: int, lost: int) -> None:
    disk = array_disk(tmp_path / "disk.raw", level, {lost})
    guard.watch(disk)
    with Session(StateFolder(tmp_path / "state"), SystemRunner()) as session:
        session.select(str(disk), "raw")
        [array] = [one for one in session.inspect().volumes if one.kind == "md"]
        assert (array.id, array.content, array.elsewhere) == ("md:data", "ext4", True)
        tree = session.open("md:data")
        assert (tree.root / "home/letter").read_text() == LETTER
        assert (tree.root / "home/long").read_bytes() == bytes(range(256)) * 9000
        assert {"nbd", "fuse-export", "loop", "mount"} <= {one.what for one in session.stack.standing}


def test_what_cannot_be_reckoned_is_an_error_and_no_zeros(tmp_path: Path) -> None:
    path = tmp_path / "members"
    path.write_bytes(bytes(CHUNK))
    member = {
        "offset": 0,
        "size": CHUNK,
        "version": "1.2",
        "uuid": "",
        "name": "",
        "level": 5,
        "layout": 2,
        "chunk": CHUNK,
        "disks": 3,
        "role": 0,
        "events": 1,
        "data": 0,
        "room": CHUNK,
        "used": CHUNK,
    }
    told = {"level": 5, "layout": 2, "chunk": CHUNK, "size": 2 * CHUNK, "path": str(path)}
    beyond = {**member, "offset": CHUNK}
    array = from_description(json.loads(json.dumps({**told, "members": [member, None, beyond]})))
    assert array.read(0, SECTOR) == bytes(SECTOR)
    with pytest.raises(OSError, match="Input/output"):
        array.read(CHUNK, CHUNK + SECTOR)
