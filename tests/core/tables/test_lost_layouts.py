"""Tables put together from what a search finds: starts, sizes, numbers, and who wins where two overlap."""

import random
import time
from pathlib import Path

import pytest

from core.tables.lost.layout import layout
from core.tables.lost.script import script
from tests.core.tables.lost_disks import MIB, blank, has, put, run, searched, seen, wipe, with_table
from tests.core.tables.table_disks import gpt_disk, gpt_entry

LOGICAL = """\
label: dos
1 : start=2048, size=65536, type=83
2 : start=67584, size=190464, type=5
5 : start=69632, size=40960, type=83
6 : start=112640, size=16384, type=82
7 : start=131072, size=122880, type=7
"""
TRACKS = """\
label: dos
1 : start=63, size=32067, type=83
2 : start=32130, size=208845, type=5
5 : start=32193, size=80262, type=83
6 : start=112518, size=64197, type=82
"""
GUID = """\
label: gpt
1 : start=2048, size=65536, type=U
2 : start=67584, size=81920, type=L, name="root"
3 : start=149504, size=32768, type=S
4 : start=182272, size=65536, type=L
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file").write_bytes(random.Random(1).randbytes(300_000))
    return folder


def _fill(disk: Path, parts: list[dict[str, int]], makers: dict[int, str]) -> None:
    for part in parts:
        if part["number"] in makers:
            put(disk, part["start"] * 512, part["sectors"] * 512, makers[part["number"]])


def _places(disk: Path) -> list[dict[str, int]]:
    table = layout(searched(disk))
    return [{"number": one.number, "start": one.start, "sectors": one.sectors} for one in table.partitions]


@pytest.mark.parametrize(
    ("text", "makers"),
    [
        (LOGICAL, {1: "ext4-1k", 5: "ext3", 6: "swap", 7: "ntfs"}),
        (TRACKS, {1: "ext2-1k", 5: "ext2-1k", 6: "swap"}),
    ],
)
def test_an_mbr_with_logical_partitions(text: str, makers: dict[int, str], tmp_path: Path) -> None:
    if "ntfs" in makers.values() and not has("mkntfs"):
        pytest.skip("mkntfs is missing")
    disk = blank(tmp_path / "disk.raw", 128 * MIB)
    before = with_table(disk, text)
    _fill(disk, before, makers)
    wipe(disk, 0, 512)
    after = {one["number"]: one for one in _places(disk)}
    for one in before:
        if one["number"] == 2:
            assert after[2]["start"] == one["start"]  # its end is only known from what lies in it
        else:
            assert after[one["number"]] == one
    assert len(after) == len(before)


def test_a_gpt_that_lost_both_headers(tmp_path: Path) -> None:
    disk = blank(tmp_path / "disk.raw", 128 * MIB)
    before = with_table(disk, GUID)
    _fill(disk, before, {1: "fat16", 2: "ext4", 3: "swap", 4: "ext2-1k"})
    wipe(disk, 512, 33 * 512)  # what is left of the first sector announces a GPT
    wipe(disk, 128 * MIB - 33 * 512, 33 * 512)
    table = layout(searched(disk))
    assert (table.label, table.source) == ("gpt", "scan")
    assert _places(disk) == before


def test_the_backup_of_a_gpt_in_the_midst_of_a_disk_that_has_grown(tmp_path: Path) -> None:
    """It knows the names, and how long the partition is that does not say so itself."""
    disk = blank(tmp_path / "disk.raw", 128 * MIB)
    before = with_table(disk, GUID)
    _fill(disk, before, {1: "fat16", 2: "ext2-1k", 3: "swap", 4: "ext2-1k"})
    wipe(disk, 0, 34 * 512)
    with open(disk, "r+b") as file:
        file.truncate(200 * MIB)
    table = layout(searched(disk))
    assert _places(disk) == before
    assert [one.name for one in table.partitions] == [None, "root", None, None]
    assert table.partitions[0].type == "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"


def test_an_image_in_a_file_is_not_a_partition(tmp_path: Path, tree: Path) -> None:
    inner = blank(tree / "vm.img", 24 * MIB)
    run("mkfs.ext4", "-q", "-F", inner)
    with open(inner, "r+b") as file:  # without holes, so that it lies in one piece
        data = file.read()
        file.seek(0)
        file.write(data)
    disk = blank(tmp_path / "disk.raw", 256 * MIB)
    put(disk, MIB, 200 * MIB, "ext4", tree)
    found = searched(disk)
    assert seen(found) == [("ext4", MIB, 200 * MIB)]
    # its journal holds more copies of its superblock
    inside = [one.reason for one in found.rejected if one.candidate.size == 24 * MIB]
    assert inside and all("inside" in reason for reason in inside)

    # also when only copies are left of the outer one's superblock
    wipe(disk, MIB, 4096)
    assert seen(searched(disk)) == [("ext4", MIB, 200 * MIB)]
    wipe(disk, MIB, MIB)
    assert seen(searched(disk)) == [("ext4", MIB, 200 * MIB)]


def test_of_two_generations_the_later_one(tmp_path: Path, tree: Path) -> None:
    disk = blank(tmp_path / "disk.raw", 256 * MIB)
    put(disk, MIB, 150 * MIB, "ext4-1k", tree)
    put(disk, 151 * MIB, 90 * MIB, "ext2-1k")
    time.sleep(1.1)  # the superblock counts in seconds
    put(disk, MIB, 60 * MIB, "ext4-1k", tree)
    put(disk, 61 * MIB, 180 * MIB, "ext4-1k", tree)
    found = searched(disk)
    assert seen(found) == [("ext4", MIB, 60 * MIB), ("ext4", 61 * MIB, 180 * MIB)]
    assert ("ext4", MIB, 150 * MIB) in [
        (one.candidate.content, one.candidate.start, one.candidate.size) for one in found.rejected
    ]


def test_a_later_partition_in_what_was_free_before(tmp_path: Path) -> None:
    """The former file system keeps copies of its superblock, but counts the place as free."""
    disk = blank(tmp_path / "disk.raw", 256 * MIB)
    put(disk, MIB, 240 * MIB, "ext4-1k")
    wipe(disk, MIB, 4 * MIB)
    time.sleep(1.1)
    put(disk, 8 * MIB, 40 * MIB, "ext2-1k")
    put(disk, 48 * MIB, 100 * MIB, "ext4-1k")
    assert seen(searched(disk)) == [("ext2", 8 * MIB, 40 * MIB), ("ext4", 48 * MIB, 100 * MIB)]


def test_a_file_system_on_the_whole_disk_is_in_no_table(tmp_path: Path) -> None:
    disk = blank(tmp_path / "disk.raw", 32 * MIB)
    put(disk, 0, 32 * MIB, "ext2-1k")
    found = searched(disk)
    assert seen(found) == [("ext2", 0, 32 * MIB)]
    table = layout(found)
    assert (table.label, table.partitions) == (None, ())


@pytest.mark.parametrize("text", [LOGICAL, GUID])
def test_the_script_makes_the_same_table_again(text: str, tmp_path: Path) -> None:
    disk = blank(tmp_path / "disk.raw", 128 * MIB)
    _fill(
        disk,
        with_table(disk, text),
        {1: "fat16", 2: "ext4", 3: "swap", 4: "ext2-1k", 5: "ext3", 6: "swap", 7: "ext2-1k"}
        if text == GUID
        else {1: "ext4-1k", 5: "ext3", 6: "swap", 7: "ext2-1k"},
    )
    wipe(disk, 0, 34 * 512)
    wipe(disk, 128 * MIB - 33 * 512, 33 * 512)
    table = layout(searched(disk))
    again = with_table(blank(tmp_path / "copy.raw", 128 * MIB), script(table))
    assert again == [
        {"number": one.number, "start": one.start, "sectors": one.sectors} for one in table.partitions
    ]


def test_a_table_has_no_room_for_hundreds(tmp_path: Path) -> None:
    alone = blank(tmp_path / "alone", 256 << 10)
    run("mkfs.ext2", "-q", "-F", "-b", "1024", alone)
    block = alone.read_bytes()[:2048]
    disk = blank(tmp_path / "disk.raw", 200 << 18)
    with open(disk, "r+b") as file:
        for number in range(4, 200):
            file.seek(number << 18)
            file.write(block[: 1024 + 104] + number.to_bytes(16, "big") + block[1024 + 120 :])
    found = searched(disk)
    assert (len(found.chosen), len(found.rejected)) == (128, 68)
    assert "no room" in found.rejected[-1].reason
    assert len(layout(found).partitions) == 128


def test_a_gpt_of_4096_byte_sectors_is_counted_in_those(tmp_path: Path) -> None:
    disk = gpt_disk(tmp_path / "disk", 16384, [gpt_entry(256, 8447, "root".encode("utf-16-le"))], 4096)
    put(disk, MIB, 32 * MIB, "ext4")
    table = layout(searched(disk))
    assert (table.sector_size, table.label) == (4096, "gpt")
    assert [(one.start, one.end, one.name, one.offset) for one in table.partitions] == [
        (256, 8447, "root", MIB)
    ]
