"""The sweep itself: what it must not find, what it may not use, what it skips, and that it stops."""

import json
import os
import random
import struct
import subprocess
import tracemalloc
from pathlib import Path

import pytest

from core.cancel import CancelToken
from core.errors import Cancelled, SalvageError
from core.tables.lost.layout import layout
from core.tables.lost.medium import Medium
from core.tables.lost.search import _KNOWN, Searching, search
from core.tables.lost.sweep import Looker, Magic
from tests.core.tables.lost_disks import MIB, blank, put, searched, seen


def _random_disk(path: Path, size: int, seed: int) -> Path:
    chance = random.Random(seed)
    with open(path, "wb") as file:
        for _block in range(size // MIB):
            file.write(chance.randbytes(MIB))
    return path


def test_random_data_hold_nothing_and_take_little_memory(tmp_path: Path) -> None:
    disk = _random_disk(tmp_path / "disk.raw", 256 * MIB, seed=20)
    tracemalloc.start()
    found = searched(disk)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found.chosen, found.rejected, found.remains) == ((), (), ())
    assert found.read == 256 * MIB
    assert peak < 100 * MIB
    assert layout(found).label is None


@pytest.mark.parametrize("seed", range(4))
def test_random_data_behind_each_magic_number_hold_nothing(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    disk = _random_disk(tmp_path / "disk.raw", 16 * MIB, seed + 100)
    with open(disk, "r+b") as file:
        for sector in range(0, 16 * MIB // 512, 2):
            magic, _judges = _KNOWN[chance.randrange(len(_KNOWN))]
            file.seek(sector * 512 + magic.offset)
            file.write(magic.value)
            if chance.random() < 0.5:  # zeros pass more of the tests than chance does
                file.seek(sector * 512 + (magic.offset + len(magic.value)) % 504)
                file.write(bytes(8))
    found = searched(disk)
    assert (found.chosen, found.rejected, found.remains) == ((), (), ())


def test_every_sector_with_a_magic_number_is_seen_and_no_other() -> None:
    chance = random.Random(3)
    magics = [
        Magic(56, b"\x53\xef"),
        Magic(0, b"XFSB"),
        Magic(502, b"SWAPSPACE2"),
        Magic(0, b"\x01CD001\x01"),
    ]
    block = bytearray(chance.randbytes(MIB))
    wanted = []
    for number, sector in enumerate(sorted(chance.sample(range(2048), 40))):
        which = number % len(magics)
        place = sector * 512 + magics[which].offset
        block[place : place + len(magics[which].value)] = magics[which].value
        wanted.append((sector * 512, which))
    by_hand = [
        (sector * 512, which)
        for sector in range(2048)
        for which, magic in enumerate(magics)
        if block[sector * 512 + magic.offset :].startswith(magic.value)
    ]
    found = Looker(magics).hits(block)
    assert found == by_hand
    assert set(wanted) <= set(found)


def test_a_disk_full_of_superblocks_ends_and_is_bounded(tmp_path: Path) -> None:
    """Each sector claims to be the first superblock of another ext2, and all of them fit together."""
    disk = tmp_path / "disk.raw"
    block = bytearray(512)
    struct.pack_into("<II", block, 0, 16, 64)
    struct.pack_into("<II", block, 20, 1, 0)
    struct.pack_into("<III", block, 32, 8192, 8192, 16)
    struct.pack_into("<H", block, 56, 0xEF53)
    struct.pack_into("<I", block, 76, 1)
    struct.pack_into("<H", block, 88, 128)
    with open(disk, "wb") as file:
        for number in range(8 * MIB // 512):
            struct.pack_into("<I", block, 104, number)
            file.write(block)
    found = searched(disk)
    assert len(found.chosen) + len(found.rejected) <= 4096
    assert any("left out" in problem for problem in found.problems)


def test_patience_with_one_kind_ends_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = blank(tmp_path / "disk.raw", 64 * MIB)
    put(disk, MIB, 48 * MIB, "ext2-1k")
    monkeypatch.setattr("core.tables.lost.search.PATIENCE", -1.0)
    found = searched(disk)
    assert found.chosen == ()
    assert any("not looked at" in problem for problem in found.problems)


def test_holes_are_skipped(tmp_path: Path) -> None:
    disk = blank(tmp_path / "disk.raw", 1 << 40)
    put(disk, 600 << 30, 32 * MIB, "ext2-1k")
    found = searched(disk)
    assert seen(found) == [("ext2", 600 << 30, 32 * MIB)]
    assert found.read < 32 * MIB


def test_progress_tells_what_was_found_so_far_and_ends_at_the_end(tmp_path: Path) -> None:
    disk = _random_disk(tmp_path / "disk.raw", 64 * MIB, seed=9)
    put(disk, MIB, 16 * MIB, "ext2-1k")
    reports: list[Searching] = []
    search(disk, CancelToken(), reports.append)
    assert (reports[-1].done, reports[-1].total) == (64 * MIB, 64 * MIB)
    assert [one.content for one in reports[-1].found] == ["ext2"]
    assert reports[-1].rate > 0


def test_cancel_ends_it_at_once(tmp_path: Path) -> None:
    disk = _random_disk(tmp_path / "disk.raw", 32 * MIB, seed=1)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        search(disk, token)


def test_what_is_no_disk_is_told(tmp_path: Path) -> None:
    with pytest.raises(SalvageError, match="neither a file nor a block device"):
        search(tmp_path, CancelToken())


def test_unreadable_places_are_passed_over_and_told(tmp_path: Path) -> None:
    """A FUSE export with injected errors gives EIO as a failing disk does."""
    disk = blank(tmp_path / "disk.raw", 96 * MIB)
    put(disk, MIB, 32 * MIB, "ext2-1k")
    put(disk, 64 * MIB, 16 * MIB, "ext2-1k")
    with open(disk, "r+b") as file:
        file.seek(40 * MIB)
        file.write(b"\1" * (4 * MIB))
    bad = (42 * MIB) // 512
    view, pid = blank(tmp_path / "view.raw", 0), tmp_path / "pid"
    error = {"event": "none", "iotype": "read", "errno": 5, "sector": bad, "once": False}
    image = {"driver": "file", "filename": str(disk), "read-only": True}
    node = {
        "driver": "blkdebug",
        "node-name": "d",
        "read-only": True,
        "image": image,
        "inject-error": [error],
    }
    export = f"type=fuse,id=e,node-name=d,mountpoint={view},writable=off"
    daemon = subprocess.Popen(
        ["qemu-storage-daemon", "--blockdev", json.dumps(node), "--pidfile", pid, "--export", export]
    )
    try:
        while not pid.exists() and daemon.poll() is None:
            os.sched_yield()
        found = searched(view)
    finally:
        daemon.terminate()
        daemon.wait()
    assert [one.start for one in found.chosen] == [MIB, 64 * MIB]
    assert 0 < found.unreadable <= 128 << 10
    assert any("could not be read" in problem for problem in found.problems)


def test_blocks_are_whole_sectors_of_the_data(tmp_path: Path) -> None:
    disk = blank(tmp_path / "disk.raw", 8 * MIB + 700)
    with open(disk, "r+b") as file:
        file.seek(3 * MIB + 100)
        file.write(b"x")
        file.seek(8 * MIB + 600)
        file.write(b"x")
    fd = os.open(disk, os.O_RDONLY)
    try:
        blocks = list(Medium(fd, 8 * MIB + 700).blocks())
    finally:
        os.close(fd)
    assert all(place % 512 == 0 and length % 512 == 0 and 0 < length <= MIB for place, length in blocks)
    assert any(place <= 3 * MIB + 100 < place + length for place, length in blocks)
    assert max(place + length for place, length in blocks) == 8 * MIB + 512
