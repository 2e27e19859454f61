"""Which reader each fact is from, and what is worth knowing of a table in which nothing is wrong."""

from pathlib import Path

from core.runner import SystemRunner
from core.tables.judge import read_table
from core.tables.model import PartitionTable, Sources
from core.tables.notes import told
from tests.conftest import Program
from tests.core.tables.table_disks import (
    chain_disk,
    gpt_disk,
    gpt_entry,
    mbr_disk,
    practice_disk,
    put,
    scripted,
)

MIB = 1 << 20


def read(disk: Path) -> PartitionTable:
    return read_table(disk, disk.stat().st_size, disk.parent, SystemRunner())


def test_a_healthy_table_is_read_the_same_by_all_three(tmp_path: Path) -> None:
    disk = scripted(tmp_path / "disk", 64 * MIB, "label: gpt\n1 : start=2048, size=126976\n")
    table = read(disk)
    assert (table.problems, table.notes) == ((), ())
    assert table.sources == Sources("libparted", "sectors", ("sectors", "sfdisk"))
    said = told(table.sources)
    assert said == (
        "Start and end were read by libparted, with the same result by our own reader and sfdisk."
        " Types and names by our own reader. Contents by libblkid."
    )


def test_where_libparted_refuses_the_places_are_ours(tmp_path: Path) -> None:
    table = read(mbr_disk(tmp_path / "disk", 65536, (0, 0x83, 2048, 20000), (0, 0x83, 10000, 20000)))
    assert (table.sources.places, table.sources.agree) == ("sectors", ("sfdisk",))


def test_where_they_differ_nobody_agrees(tmp_path: Path) -> None:
    disk = chain_disk(tmp_path / "disk", 2)
    put(
        disk, (2048 + 4096) * 512 + 446 + 16, b"\0\0\0\0\5\0\0\0" + bytes(4) + b"\0\x10\0\0"
    )  # back to the first
    table = read(disk)
    assert "sfdisk" not in table.sources.agree
    assert any("circle" in problem for problem in table.problems)


def test_sixty_logical_partitions_are_no_difference_although_sfdisk_lists_fewer(tmp_path: Path) -> None:
    table = read(chain_disk(tmp_path / "disk", 60))
    assert [part.number for part in table.partitions] == [1, *range(5, 65)]
    assert table.problems == ()
    assert table.sources.agree == ("sectors", "sfdisk")


def test_partitions_that_are_not_aligned_are_named(tmp_path: Path) -> None:
    table = read(practice_disk(tmp_path / "disk"))
    assert table.problems == ()
    assert table.notes == (
        "Partitions 1, 5, 6, 7, 8 do not begin at a multiple of 4 KiB: slow on many media,"
        " otherwise harmless.",
    )


def test_room_for_a_lost_partition_is_told(tmp_path: Path) -> None:
    script = "label: dos\n1 : start=2048, size=20480\n2 : start=63488, size=20480\n"
    table = read(scripted(tmp_path / "disk", 64 * MIB, script))
    assert table.notes == (
        "43.0 MiB belong to no partition; the largest piece, 23.0 MiB, lies at sectors"
        " 83\u202f968 to 131\u202f071.",
    )


def test_a_name_beyond_the_basic_plane_is_shown_and_no_complaint(tmp_path: Path, program: Program) -> None:
    disk = gpt_disk(tmp_path / "disk", 65536, [gpt_entry(2048, 65000, "root 💾".encode("utf-16-le"))])
    called = program("inspect", "--format", "raw", disk)
    assert "root 💾" in called.out and "Start and end were read by libparted" in called.out
    assert "translate" not in called.out and "!" not in called.out


def test_a_table_that_only_the_search_made_is_told() -> None:
    assert told(Sources("search", "search")).startswith("Start, end, types and names come from the search.")
