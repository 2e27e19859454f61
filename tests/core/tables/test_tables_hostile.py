"""Tables that are broken or made to hurt: bounded time, what is sane is listed, the rest is said."""

import random
import struct
import time
import uuid
from pathlib import Path

import pytest

from core.runner import SystemRunner
from core.tables import gpt, mbr
from core.tables.judge import read_table
from core.tables.model import PartitionTable
from core.tables.sectors import Sectors
from tests.core.tables.table_disks import (
    get,
    gpt_disk,
    gpt_entry,
    gpt_header,
    mbr_disk,
    practice_disk,
    put,
    record,
    sparse,
)

EXTENDED = (0, 5, 2048, 100000)


def read(disk: Path) -> PartitionTable:
    scratch = disk.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    began = time.monotonic()
    table = read_table(disk, disk.stat().st_size, scratch, SystemRunner())
    assert time.monotonic() - began < 5
    return table


def places(table: PartitionTable) -> list[tuple[int, int, int]]:
    return [(p.number, p.start, p.end) for p in table.partitions]


def said(table: PartitionTable, *parts: str) -> bool:
    return any(all(part in problem for part in parts) for problem in table.problems)


@pytest.mark.hostile(20)
def test_chain_that_points_to_itself(tmp_path: Path) -> None:
    disk = mbr_disk(tmp_path / "disk", 131072, EXTENDED)
    put(disk, 2048 * 512, record((0, 0x83, 64, 100), (0, 5, 0, 4096)))
    table = read(disk)
    assert places(table) == [(1, 2048, 102047), (5, 2112, 2211)]
    assert said(table, "runs in a circle", "2048")


@pytest.mark.hostile(20)
def test_chain_of_two_that_point_to_each_other(tmp_path: Path) -> None:
    disk = mbr_disk(tmp_path / "disk", 131072, EXTENDED)
    put(disk, 2048 * 512, record((0, 0x83, 64, 100), (0, 5, 4096, 4096)))
    put(disk, 6144 * 512, record((0, 0x83, 64, 100), (0, 5, 0, 4096)))
    table = read(disk)
    assert places(table)[1:] == [(5, 2112, 2211), (6, 6208, 6307)]
    assert said(table, "runs in a circle") and said(table, "libparted refuses this table")


@pytest.mark.hostile(20)
def test_a_thousand_and_one_logical_partitions(tmp_path: Path) -> None:
    disk = mbr_disk(tmp_path / "disk", 131072, EXTENDED)
    for place in range(1001):
        link = (0, 5, 64 * (place + 1), 64) if place < 1000 else (0, 0, 0, 0)
        put(disk, (2048 + 64 * place) * 512, record((0, 0x83, 8, 8), link))
    table = read(disk)
    assert len(table.partitions) == 1 + mbr.MOST_LOGICALS
    assert said(table, "goes on after 256")


def test_exactly_as_many_as_the_limit_is_complete(tmp_path: Path) -> None:
    disk = mbr_disk(tmp_path / "disk", 131072, EXTENDED)
    for place in range(mbr.MOST_LOGICALS):
        link = (0, 5, 64 * (place + 1), 64) if place < mbr.MOST_LOGICALS - 1 else (0, 0, 0, 0)
        put(disk, (2048 + 64 * place) * 512, record((0, 0x83, 8, 8), link))
    table = read(disk)
    assert len(table.partitions) == 1 + mbr.MOST_LOGICALS and not said(table, "goes on after")


@pytest.mark.hostile(20)
def test_chain_of_empty_records_ends(tmp_path: Path) -> None:
    disk = mbr_disk(tmp_path / "disk", 131072, EXTENDED)
    for place in range(1000):
        put(disk, (2048 + 64 * place) * 512, record((0, 0, 0, 0), (0, 5, 64 * (place + 1), 64)))
    assert said(read(disk), "goes on after 0")


@pytest.mark.hostile(20)
def test_link_beyond_the_end_of_the_disk(tmp_path: Path) -> None:
    disk = mbr_disk(tmp_path / "disk", 131072, EXTENDED)
    put(disk, 2048 * 512, record((0, 0x83, 64, 100), (0, 5, 900000, 4096)))
    table = read(disk)
    assert places(table)[1:] == [(5, 2112, 2211)]
    assert said(table, "leaves its extended partition") and said(table, "sector 902048", "end of the disk")


def test_record_without_signature(tmp_path: Path) -> None:
    disk = practice_disk(tmp_path / "disk")
    put(disk, 722798 * 512, bytes(512))
    table = read(disk)
    assert [p.number for p in table.partitions] == [1, 2, 3, 5, 6]
    assert said(table, "breaks at sector 722798")


@pytest.mark.hostile(22)
def test_two_extended_partitions_are_both_followed(tmp_path: Path) -> None:
    disk = mbr_disk(tmp_path / "disk", 131072, (0, 5, 2048, 4096), (0, 0xF, 8192, 4096))
    put(disk, 2048 * 512, record((0, 0x83, 64, 100)))
    put(disk, 8192 * 512, record((0, 0x83, 64, 100)))
    table = read(disk)
    assert places(table) == [(1, 2048, 6143), (2, 8192, 12287), (5, 2112, 2211), (6, 8256, 8355)]
    assert said(table, "more than one extended") and said(table, "libparted refuses")
    assert [p.type for p in table.partitions[:2]] == ["5", "f"]


@pytest.mark.hostile(21)
def test_third_and_fourth_entry_count_where_they_fit(tmp_path: Path) -> None:
    """The kernel's rule: the fourth entry here leaves its record's range, so it is none."""
    disk = mbr_disk(tmp_path / "disk", 131072, (0, 5, 2048, 4096))
    entries = ((0, 0x83, 64, 100), (0, 0, 0, 0), (0, 0x83, 200, 100), (0, 0x83, 4000, 100))
    put(disk, 2048 * 512, record(*entries))
    with Sectors(disk, 131072 * 512) as sectors:
        found = mbr.first_sector(sectors, 512)
        assert found
        reading = mbr.read(sectors, found, 512)
    assert [(p.number, p.start, p.end) for p in reading.partitions] == [
        (1, 2048, 6143),
        (5, 2112, 2211),
        (6, 2248, 2347),
    ]
    assert said(read(disk), "sfdisk reads this table differently", "partition 6 is not there")


@pytest.mark.hostile(22)
def test_overlapping_partitions_are_listed_and_named(tmp_path: Path) -> None:
    table = read(mbr_disk(tmp_path / "disk", 8192, (0, 0x83, 100, 1000), (0, 0x83, 600, 1000)))
    assert places(table) == [(1, 100, 1099), (2, 600, 1599)]
    assert said(table, "Partitions 1 and 2 overlap", "600 to 1099") and said(table, "libparted refuses")
    assert [(g.start, g.end) for g in table.gaps] == [(0, 99), (1600, 8191)]


@pytest.mark.hostile(22)
def test_partition_from_sector_zero(tmp_path: Path) -> None:
    table = read(mbr_disk(tmp_path / "disk", 8192, (0x80, 0x83, 0, 8192)))
    assert places(table) == [(1, 0, 8191)] and said(table, "begins at sector 0")


@pytest.mark.hostile(22)
def test_truncated_disk_says_how_much_is_missing(tmp_path: Path) -> None:
    disk = practice_disk(tmp_path / "disk")
    with open(disk, "r+b") as opened:
        opened.truncate(600000 * 512)
    table = read(disk)
    assert [p.number for p in table.partitions] == [1, 2, 3, 5, 6]
    assert said(table, "Partition 6 ends at sector 722735", "600000 sectors", "59.9 MiB are missing")
    assert said(table, "libparted refuses this table") and said(table, "sector 722798")


@pytest.mark.hostile(22)
def test_partition_wholly_behind_the_end(tmp_path: Path) -> None:
    table = read(mbr_disk(tmp_path / "disk", 8192, (0, 0x83, 64, 100), (0, 0x83, 9000, 100)))
    assert said(table, "Partition 2 begins at sector 9000, after the end")
    assert [(g.start, g.end) for g in table.gaps] == [(0, 63), (164, 8191)]


def test_one_wrong_status_byte_does_not_lose_the_table(tmp_path: Path) -> None:
    table = read(mbr_disk(tmp_path / "disk", 8192, (0x01, 0x83, 64, 100), (0, 0x83, 200, 100)))
    assert places(table) == [(1, 64, 163), (2, 200, 299)] and said(table, "status byte 0x01")


def test_text_with_the_signature_is_no_table(tmp_path: Path) -> None:
    disk = sparse(tmp_path / "disk", 1 << 20)
    put(disk, 0, (b"Remove disks or other media. Press any key to restart. " * 10)[:510] + b"\x55\xaa")
    table = read(disk)
    assert (table.label, table.partitions) == (None, ())


def six(path: Path) -> Path:
    return gpt_disk(path, 20000, [gpt_entry(2048 * n, 2048 * n + 2047) for n in range(1, 7)])


@pytest.mark.hostile(23)
def test_gpt_backup_is_used_when_the_first_header_is_bad(tmp_path: Path) -> None:
    disk = six(tmp_path / "disk")
    put(disk, 512 + 56, b"\xff")
    table = read(disk)
    assert (table.source, len(table.partitions)) == ("backup", 6)
    assert said(table, "first copy", "damaged")


@pytest.mark.hostile(23)
def test_gpt_backup_is_used_when_the_first_list_is_bad(tmp_path: Path) -> None:
    disk = six(tmp_path / "disk")
    put(disk, 1024, bytes(256))
    table = read(disk)
    assert (table.source, len(table.partitions)) == ("backup", 6)


@pytest.mark.hostile(23)
def test_gpt_backup_alone(tmp_path: Path) -> None:
    disk = six(tmp_path / "disk")
    put(disk, 0, bytes(34 * 512))
    table = read(disk)
    assert (table.label, table.source, len(table.partitions)) == ("gpt", "backup", 6)
    assert said(table, "is gone") and said(table, "MBR", "missing")


@pytest.mark.hostile(25)
def test_gpt_backup_alone_with_four_kib_sectors(tmp_path: Path) -> None:
    disk = gpt_disk(tmp_path / "disk", 4096, [gpt_entry(256, 511)], sector_size=4096)
    put(disk, 4096, bytes(4096 * 5))
    table = read(disk)
    assert (table.source, table.sector_size, places(table)) == ("backup", 4096, [(1, 256, 511)])


@pytest.mark.hostile(23)
def test_gpt_truncated_disk(tmp_path: Path) -> None:
    """libparted, sfdisk and libblkid all lose this one; the first copy is whole."""
    disk = six(tmp_path / "disk")
    with open(disk, "r+b") as opened:
        opened.truncate(10000 * 512)
    table = read(disk)
    assert (table.source, len(table.partitions)) == ("primary", 6)
    assert said(table, "made for a larger disk", "4.9 MiB") and said(table, "backup", "missing")
    assert said(table, "Partition 4 ends at sector 10239", "120.0 KiB are missing")


def test_gpt_grown_disk(tmp_path: Path) -> None:
    disk = six(tmp_path / "disk")
    with open(disk, "r+b") as opened:
        opened.truncate(30000 * 512)
    table = read(disk)
    assert (table.source, len(table.partitions)) == ("primary", 6)
    assert said(table, "has grown", "4.9 MiB") and not said(table, "backup")


def test_gpt_bad_backup_is_said(tmp_path: Path) -> None:
    disk = six(tmp_path / "disk")
    put(disk, 19999 * 512 + 56, b"\xff")
    table = read(disk)
    assert (table.source, len(table.partitions)) == ("primary", 6) and said(table, "backup", "damaged")


def test_gpt_copies_that_differ(tmp_path: Path) -> None:
    disk = six(tmp_path / "disk")
    array = gpt_entry(5000, 6000).ljust(128 * 128, b"\0")
    put(disk, (19999 - 32) * 512, array)
    put(disk, 19999 * 512, gpt_header(19999, 1, 19999 - 32, array, 19966))
    table = read(disk)
    assert (table.source, len(table.partitions)) == ("primary", 6) and said(table, "two copies")


@pytest.mark.hostile(23)
def test_gpt_both_checksums_bad_is_still_shown(tmp_path: Path) -> None:
    disk = six(tmp_path / "disk")
    put(disk, 512 + 56, b"\xff")
    put(disk, 19999 * 512 + 56, b"\xff")
    table = read(disk)
    assert (table.label, len(table.partitions)) == ("gpt", 6) and said(table, "wrong checksum")


def test_gpt_of_which_only_the_mbr_is_left(tmp_path: Path) -> None:
    disk = six(tmp_path / "disk")
    put(disk, 512, bytes(33 * 512))
    put(disk, 19999 * 512, bytes(512))
    table = read(disk)
    assert (table.label, table.partitions) == ("gpt", ()) and said(table, "neither")


@pytest.mark.parametrize(
    ("count", "entry_size"), [(2**32 - 1, 128), (128, 0), (128, 2**31), (1025, 128), (2**31, 2**31), (1, 1)]
)
@pytest.mark.hostile(24)
def test_gpt_that_asks_for_too_much(tmp_path: Path, count: int, entry_size: int) -> None:
    disk = gpt_disk(tmp_path / "disk", 20000, [gpt_entry(2048, 4095)], count=count, entry_size=entry_size)
    table = read(disk)
    assert said(table, f"announces {count} entries of {entry_size} bytes") or places(table) == [
        (1, 2048, 4095)
    ]


@pytest.mark.hostile(24)
def test_gpt_header_longer_than_its_sector(tmp_path: Path) -> None:
    disk = six(tmp_path / "disk")
    put(disk, 512 + 12, struct.pack("<I", 2**31))
    assert read(disk).source == "backup"


@pytest.mark.hostile(22)
def test_gpt_entry_that_ends_before_it_begins(tmp_path: Path) -> None:
    entries = [gpt_entry(4096, 2048), gpt_entry(100, 2**64 - 1), gpt_entry(5000, 6000)]
    table = read(gpt_disk(tmp_path / "disk", 20000, entries))
    assert places(table) == [(3, 5000, 6000)]
    assert said(table, "Entry 1", "4096 to 2048") and said(table, "Entry 2")


@pytest.mark.hostile(28)
def test_names_are_text_whatever_they_hold(tmp_path: Path) -> None:
    names = [
        "\x1b]0;owned\x07".encode("utf-16-le"),
        "[/bold] [@click=app.quit]x".encode("utf-16-le"),
        b"\x00\xd8a\x00",
        b"a\x00\x00\xdc" * 18,
        "../../etc/passwd\nx".encode("utf-16-le"),
    ]
    entries = [gpt_entry(2048 * n, 2048 * n + 100, name) for n, name in enumerate(names, start=1)]
    table = read(gpt_disk(tmp_path / "disk", 20000, entries))
    assert [p.name for p in table.partitions] == [
        "\x1b]0;owned\x07",
        "[/bold] [@click=app.quit]x",
        "\ufffda",
        "a\ufffd" * 18,
        "../../etc/passwd\nx",
    ]
    for problem in table.problems:
        assert problem.isprintable()


def test_unknown_types_have_a_name_too(tmp_path: Path) -> None:
    kind = uuid.UUID("12345678-1234-1234-1234-123456789abc")
    table = read(gpt_disk(tmp_path / "disk", 8192, [gpt_entry(100, 199, kind=kind)]))
    assert (table.partitions[0].type, table.partitions[0].type_name) == (str(kind).upper(), "unknown")
    table = read(mbr_disk(tmp_path / "disk2", 8192, (0, 0x01 + 0x50, 64, 10), (0, 0x0C, 100, 10)))
    assert [(p.type, p.type_name) for p in table.partitions] == [("51", "unknown"), ("c", "FAT32 (LBA)")]


def test_thousands_of_problems_stay_few_sentences(tmp_path: Path) -> None:
    entries = [gpt_entry(9000 + n, 1) for n in range(100)]
    table = read(gpt_disk(tmp_path / "disk", 20000, entries))
    assert len(table.problems) <= 41 and said(table, "more problems")


def _mutated(original: bytes, areas: list[tuple[int, int]], chance: random.Random) -> bytes:
    data = bytearray(original)
    for _ in range(chance.choice((1, 2, 8, 40))):
        start, length = chance.choice(areas)
        place = start + chance.randrange(length)
        data[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    return bytes(data)


@pytest.mark.parametrize("seed", range(3))
def test_own_readers_survive_random_damage(tmp_path: Path, seed: int) -> None:
    """300 cases in all; whatever they see, it is bounded and the judge's arithmetic holds."""
    chance = random.Random(seed)
    first = mbr_disk(tmp_path / "mbr", 4096, (0x80, 0x83, 64, 100), (0, 5, 1024, 3000))
    for place in range(4):
        at = 1024 + 512 * place
        put(first, at * 512, record((0, 0x83, 16, 400), (0, 5, 512 * (place + 1), 512)))
    second = gpt_disk(tmp_path / "gpt", 4096, [gpt_entry(100 * n, 100 * n + 50) for n in range(1, 20)])
    chains = [(440, 72), *(((1024 + 512 * place) * 512 + 440, 72) for place in range(4))]
    lists = [(512, 92), (1024, 19 * 128), (4095 * 512, 92), (446, 66), ((4095 - 32) * 512, 19 * 128)]
    kinds = [(get(first, 0, 4096 * 512), chains), (get(second, 0, 4096 * 512), lists)]
    disk = tmp_path / "disk"
    for case in range(100):
        disk.write_bytes(_mutated(*kinds[case % 2], chance))
        began = time.monotonic()
        with Sectors(disk, disk.stat().st_size) as sectors:
            found = mbr.first_sector(sectors, 512)
            readings = [mbr.read(sectors, found, 512) if found else None, gpt.read(sectors)]
        assert time.monotonic() - began < 1
        for reading in filter(None, readings):
            assert len(reading.partitions) <= 1024
            assert all(p.end >= p.start >= 0 and p.size > 0 for p in reading.partitions)
            assert all(problem.isprintable() for problem in reading.problems)


def test_judge_survives_random_damage(tmp_path: Path) -> None:
    chance = random.Random(4711)
    original = six(tmp_path / "original").read_bytes()
    for case in range(15):
        disk = tmp_path / f"disk{case}"
        disk.write_bytes(_mutated(original, [(440, 72), (512, 92), (1024, 768)], chance))
        table = read(disk)
        assert table.label in ("gpt", "msdos", None)
        assert all(0 <= gap.start <= gap.end < table.sectors for gap in table.gaps)
