"""Partition tables that are broken or made to hurt, asked about as a person does: rows 20 to 29.

More of the same rows, without the command line: tests/core/tables/test_tables_hostile.py.
"""

import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.volumes import twins
from tests.conftest import Guard, needs_root
from tests.core.tables.table_disks import gpt_disk, gpt_entry, mbr_disk, put, record, sparse
from tests.hostile.asking import Answer, ask
from tests.hostile.hostile_disk import hostile_disk

EXTENDED = (0, 5, 2048, 100000)
SECTORS = 131072
MIB = 1 << 20


def inspected(disk: Path, state: Path, guard: Guard, *, shown: bool = False) -> Any:
    """What `inspect --json` says of a disk that must stay as it is; with `shown` it is for people too."""
    guard.watch(disk)
    told = ask(state, "inspect", "--json", disk)
    assert told.status == 0, told
    if shown:
        people = ask(state, "inspect", disk)
        assert (people.status, people.err) == (0, ""), people
    return json.loads(told.out)


def numbers(document: Any) -> list[int]:
    return [one["number"] for one in document["table"]["partitions"]]


def said(document: Any, *words: str) -> bool:
    told = [*document["table"]["problems"], *(p for v in document["volumes"] for p in v["problems"])]
    return any(all(word in line for word in words) for line in told)


def ext4(path: Path, size: int = 4 * MIB, *options: str, file: str = "letter") -> bytes:
    """The bytes of an ext4 with one file in it."""
    tree = path.with_suffix(".tree")
    tree.mkdir()
    (tree / file).write_text("rescued\n")
    sparse(path, size)
    make: list[str | Path] = ["mke2fs", "-q", "-t", "ext4", "-b", "1024", "-d", tree, *options, path]
    subprocess.run(make, check=True)
    return path.read_bytes()


def chained(disk: Path) -> Path:
    """A disk whose chain of logical partitions leads back to its first record."""
    mbr_disk(disk, SECTORS, EXTENDED)
    put(disk, 2048 * 512, record((0, 0x83, 64, 16384), (0, 5, 0, 4096)))
    put(disk, (2048 + 64) * 512, ext4(disk.with_suffix(".fs")))
    return disk


def cycle_of_two(disk: Path) -> Path:
    mbr_disk(disk, SECTORS, EXTENDED)
    put(disk, 2048 * 512, record((0, 0x83, 64, 100), (0, 5, 4096, 4096)))
    put(disk, 6144 * 512, record((0, 0x83, 64, 100), (0, 5, 0, 4096)))
    return disk


def far_too_many(disk: Path) -> Path:
    mbr_disk(disk, SECTORS, EXTENDED)
    for place in range(1001):
        link = (0, 5, 64 * (place + 1), 64) if place < 1000 else (0, 0, 0, 0)
        put(disk, (2048 + 64 * place) * 512, record((0, 0x83, 8, 8), link))
    return disk


def outside(disk: Path) -> Path:
    mbr_disk(disk, SECTORS, EXTENDED)
    put(disk, 2048 * 512, record((0, 0x83, 64, 100), (0, 5, 900000, 4096)))
    return disk


@pytest.mark.hostile(20)
@pytest.mark.parametrize(
    ("make", "listed", "words"),
    [
        (chained, [1, 5], "runs in a circle"),
        (cycle_of_two, [1, 5, 6], "runs in a circle"),
        (outside, [1, 5], "leaves its extended partition"),
    ],
)
def test_chains_without_an_end(
    make: Callable[[Path], Path], listed: list[int], words: str, tmp_path: Path, guard: Guard
) -> None:
    document = inspected(make(tmp_path / "disk.raw"), tmp_path / "state", guard, shown=True)
    assert numbers(document) == listed
    assert said(document, words)


@pytest.mark.hostile(20)
def test_a_thousand_and_one_logical_partitions_are_cut_at_a_limit(
    tmp_path: Path, guard: Guard, program: Callable[..., Any]
) -> None:
    disk = far_too_many(tmp_path / "disk.raw")
    guard.watch(disk)
    told = program("inspect", "--json", disk)
    assert told.status == 0, told
    document = json.loads(told.out)
    assert len(document["table"]["partitions"]) == 257
    assert said(document, "goes on after 256")


@needs_root
@pytest.mark.hostile(20)
def test_only_the_chosen_partition_becomes_a_device(tmp_path: Path, guard: Guard) -> None:
    """No partition scan: the kernel would make 250 devices of such a chain."""
    disk, state, point = chained(tmp_path / "disk.raw"), tmp_path / "state", tmp_path / "m"
    guard.watch(disk)
    told = ask(state, "mount", "--explain", disk, "5", point)
    try:
        assert told.status == 0, told
        assert (point / "letter").read_text() == "rescued\n"
        attached = [line for line in told.err.splitlines() if "losetup --find" in line]
        assert len(attached) == 1
        assert not any(word in told.err for word in ("partscan", "kpartx", "partprobe", "partx"))
        assert [one.name for one in Path("/sys/block").glob("loop*/loop*p*")] == []
    finally:
        assert ask(state, "undo", "--all").status == 0
    refused = ask(state, "ls", disk, "5", "--way", "kpartx")
    assert refused.status == 1, refused
    assert "kpartx" in refused.err


@pytest.mark.hostile(21)
def test_the_third_entry_of_a_record_is_a_partition(tmp_path: Path, guard: Guard) -> None:
    disk = mbr_disk(tmp_path / "disk.raw", SECTORS, (0, 5, 2048, 40000))
    put(disk, 2048 * 512, record((0, 0x83, 64, 100), (0, 0, 0, 0), (0, 0x83, 2000, 16384)))
    put(disk, 4048 * 512, ext4(tmp_path / "fs"))
    document = inspected(disk, tmp_path / "state", guard)
    assert numbers(document) == [1, 5, 6]
    assert document["volumes"][1]["content"] == "ext4"
    assert said(document, "sfdisk reads this table differently", "partition 6 is not there")


OVERLAP = ((0, 0x83, 2048, 16384), (0, 0x83, 10000, 16384))
BEYOND = ((0, 0x83, 2048, 16384), (0, 0x83, 30000, 10**9))
FROM_ZERO = ((0, 0x83, 2048, 16384), (0, 0x83, 0, 1000))
TWO_EXTENDED = ((0, 0x83, 2048, 16384), (0, 5, 30000, 4096), (0, 0xF, 40000, 4096))


@needs_root
@pytest.mark.hostile(22)
@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (OVERLAP, "overlap"),
        (BEYOND, "are missing"),
        (FROM_ZERO, "begins at sector 0"),
        (TWO_EXTENDED, "more than one extended"),
    ],
)
def test_a_table_that_libparted_refuses_is_shown_and_what_is_whole_opens(
    entries: tuple[tuple[int, int, int, int], ...], words: str, tmp_path: Path, guard: Guard
) -> None:
    disk = mbr_disk(tmp_path / "disk.raw", 60000, *entries)
    put(disk, 2048 * 512, ext4(tmp_path / "fs", 3 * MIB))
    document = inspected(disk, tmp_path / "state", guard)
    assert numbers(document)[: len(entries)] == list(range(1, len(entries) + 1))
    assert said(document, words)
    assert said(document, "libparted refuses")
    listed = ask(tmp_path / "state", "ls", disk, "1")
    assert listed.status == 0, listed
    assert "letter" in listed.out


@pytest.mark.hostile(22)
def test_a_range_that_ends_before_it_begins_is_no_partition(tmp_path: Path, guard: Guard) -> None:
    disk = gpt_disk(tmp_path / "disk.raw", 20000, [gpt_entry(4096, 2048), gpt_entry(5000, 6000)])
    document = inspected(disk, tmp_path / "state", guard)
    assert numbers(document) == [2]
    assert said(document, "Entry 1", "is no range")


@needs_root
@pytest.mark.hostile(23)
@pytest.mark.parametrize("damage", ["crc", "backup only", "truncated"])
def test_one_good_copy_of_a_gpt_is_enough(damage: str, tmp_path: Path, guard: Guard) -> None:
    entries = [gpt_entry(2048, 18431), gpt_entry(20000, 29999)]
    disk = gpt_disk(tmp_path / "disk.raw", 40000, entries)
    put(disk, 2048 * 512, ext4(tmp_path / "fs"))
    if damage == "crc":
        put(disk, 512 + 56, b"\xff")
    elif damage == "backup only":
        put(disk, 0, bytes(34 * 512))
    else:
        os.truncate(disk, 25000 * 512)
    document = inspected(disk, tmp_path / "state", guard)
    assert document["table"]["source"] == ("primary" if damage == "truncated" else "backup")
    assert numbers(document) == [1, 2]
    assert ask(tmp_path / "state", "cat", disk, "1", "/letter").out == "rescued\n"


@pytest.mark.hostile(24)
@pytest.mark.parametrize(("count", "size"), [(2**32 - 1, 128), (128, 0), (128, 2**31), (2**31, 2**31)])
def test_a_header_that_asks_for_all_memory(count: int, size: int, tmp_path: Path, guard: Guard) -> None:
    disk = gpt_disk(tmp_path / "disk.raw", 20000, [gpt_entry(2048, 4095)], count=count, entry_size=size)
    document = inspected(disk, tmp_path / "state", guard)
    assert document["table"]["label"] == "gpt"
    assert said(document, f"announces {count} entries of {size} bytes")


@needs_root
@pytest.mark.hostile(25)
@pytest.mark.parametrize("kind", ["gpt", "msdos", "msdos with logical"])
def test_sectors_of_four_kib_in_a_file(kind: str, tmp_path: Path, guard: Guard) -> None:
    disk, start, volume = tmp_path / "disk.raw", 512, "1"
    if kind == "gpt":
        gpt_disk(disk, 8192, [gpt_entry(start, 2047)], sector_size=4096)
    else:
        sparse(disk, 8192 * 4096)
        put(disk, 0, record((0, 0x83, start, 1536), (0, 5, 4096, 2048)))
    if kind == "msdos with logical":
        put(disk, 4096 * 4096, record((0, 0x83, 16, 1536)))
        start, volume = 4096 + 16, "5"
    put(disk, start * 4096, ext4(tmp_path / "fs"))
    document = inspected(disk, tmp_path / "state", guard)
    assert document["table"]["sector_size"] == 4096
    found = next(one for one in document["table"]["partitions"] if str(one["number"]) == volume)
    assert (found["start"], found["offset"]) == (start, start * 4096)
    if kind != "gpt":
        assert said(document, "sectors of 4096 bytes, not of 512")
    assert ask(tmp_path / "state", "cat", disk, volume, "/letter").out == "rescued\n"


@pytest.mark.hostile(25)
@pytest.mark.parametrize("content", ["at 512", "nowhere", "at both", "too far for 4096"])
def test_an_mbr_counts_in_sectors_of_512_bytes_unless_all_speaks_against_it(
    content: str, tmp_path: Path, guard: Guard
) -> None:
    disk = sparse(tmp_path / "disk.raw", 8192 * 4096)
    count = 10000 if content == "too far for 4096" else 1536
    put(disk, 0, record((0, 0x83, 512, count)))
    system = ext4(tmp_path / "fs", 700 * 1024)
    if content in ("at 512", "at both"):
        put(disk, 512 * 512, system)
    if content in ("at both", "too far for 4096"):
        put(disk, 512 * 4096, system)
    document = inspected(disk, tmp_path / "state", guard)
    assert document["table"]["sector_size"] == 512
    assert not said(document, "counts in sectors")


@needs_root
@pytest.mark.hostile(26)
@pytest.mark.parametrize(
    ("maker", "content"),
    [
        (("mkntfs", "-q", "-F"), "ntfs"),
        (("mkfs.vfat", "-F", "16"), "vfat"),
        (("mkfs.exfat",), "exfat"),
        (("mke2fs", "-q", "-t", "ext4"), "ext4"),
    ],
)
def test_a_file_system_on_the_whole_disk_is_no_table(
    maker: tuple[str, ...], content: str, tmp_path: Path, guard: Guard
) -> None:
    disk = sparse(tmp_path / "disk.raw", 32 * MIB)
    subprocess.run([*maker, disk], check=True, capture_output=True)
    put(disk, 510, b"\x55\xaa")
    document = inspected(disk, tmp_path / "state", guard)
    assert (document["table"]["label"], document["table"]["partitions"]) == (None, [])
    assert [(one["id"], one["content"]) for one in document["volumes"]] == [("disk", content)]
    assert ask(tmp_path / "state", "ls", "--format", "raw", disk, "disk").status == 0


@needs_root
@pytest.mark.hostile(27)
def test_a_table_inside_a_partition_is_not_followed(tmp_path: Path, guard: Guard) -> None:
    """A virtual machine's disk on a partition, and one whose first partition is the table itself."""
    disk = mbr_disk(tmp_path / "disk.raw", 60000, (0, 0x83, 2048, 30000), (0, 0xA5, 40000, 16384))
    inner = record((0, 0x83, 64, 16384), (0, 5, 64, 100))
    put(disk, 2048 * 512, inner)
    put(disk, (2048 + 64) * 512, ext4(tmp_path / "fs"))
    label = bytearray(512)
    label[0:4] = label[132:136] = (0x82564557).to_bytes(4, "little")
    label[138:140] = (8).to_bytes(2, "little")
    put(disk, 40001 * 512, bytes(label))
    document = inspected(disk, tmp_path / "state", guard)
    assert numbers(document) == [1, 2]
    assert [one["id"] for one in document["volumes"]] == ["1", "2"]
    refused = ask(tmp_path / "state", "ls", disk, "1")
    assert refused.status == 1, refused
    assert "Nothing that can be mounted was recognised" in refused.err


@pytest.mark.hostile(27)
def test_a_partition_from_the_table_s_own_sector(tmp_path: Path, guard: Guard) -> None:
    disk = mbr_disk(tmp_path / "disk.raw", 8192, (0x80, 0x83, 0, 8192))
    document = inspected(disk, tmp_path / "state", guard)
    assert numbers(document) == [1]
    assert said(document, "begins at sector 0, where the table itself lies")


@needs_root
@pytest.mark.hostile(28)
def test_names_and_labels_are_text_and_no_paths(tmp_path: Path, guard: Guard) -> None:
    disk = hostile_disk(tmp_path / "disk", "../disk/plain.raw")
    document = inspected(disk, tmp_path / "state", guard, shown=True)
    assert document["table"]["partitions"][0]["name"].startswith("[/bold]\x1b[2J")
    listed = ask(tmp_path / "state", "ls", disk, "1", "/")
    assert listed.status == 0, listed
    assert "\\x1b" in listed.out


@pytest.mark.hostile(28)
@pytest.mark.parametrize(
    "name", [b"\x00\xd8a\x00", b"a\x00\x00\xdc" * 18, "../../etc/passwd\nx".encode("utf-16-le")]
)
def test_half_a_pair_and_a_path_as_names(name: bytes, tmp_path: Path, guard: Guard) -> None:
    """sfdisk writes JSON that is no UTF-8 for the first two."""
    disk = gpt_disk(tmp_path / "disk.raw", 20000, [gpt_entry(2048, 4095, name)])
    document = inspected(disk, tmp_path / "state", guard, shown=True)
    assert numbers(document) == [1]
    found = document["table"]["partitions"][0]["name"]
    assert found == name.decode("utf-16-le", "replace")
    assert all("translate partition name" in line for line in document["table"]["problems"])


def opened(state: Path, disk: Path) -> Answer:
    return ask(state, "ls", "--format", "raw", disk, "disk")


@needs_root
@pytest.mark.hostile(29)
def test_clones_that_are_open_at_the_same_time_are_not_mixed_up(tmp_path: Path, guard: Guard) -> None:
    state, point = tmp_path / "state", tmp_path / "m"
    same = ("-U", "3fdcb214-0f39-466d-a81a-a1fb114fe7cd", "-L", "root")
    one, two = tmp_path / "one.raw", tmp_path / "two.raw"
    ext4(one, 4 * MIB, *same, file="file-of-one")
    ext4(two, 4 * MIB, *same, file="file-of-two")
    guard.watch(one, two)
    assert ask(state, "mount", "--format", "raw", one, "disk", point).status == 0
    try:
        assert (point / "file-of-one").exists()
        listed = opened(state, two)
        assert listed.status == 0, listed
        assert "file-of-two" in listed.out
        assert "file-of-one" not in listed.out
    finally:
        assert ask(state, "undo", "--all").status == 0


@pytest.mark.hostile(29)
def test_a_copy_of_the_host_s_own_disk_is_told(
    tmp_path: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = "3fdcb214-0f39-466d-a81a-a1fb114fe7cd"
    disk = tmp_path / "disk.raw"
    ext4(disk, 4 * MIB, "-U", uuid)
    links = tmp_path / "by-uuid"
    links.mkdir()
    (links / uuid).symlink_to("/dev/null")
    monkeypatch.setattr(twins, "BY_UUID", links)
    document = inspected(disk, tmp_path / "state", guard)
    assert said(document, "Its UUID is that of /dev/null of this host too", "Never mount it by UUID")
    (links / uuid).unlink()
    (links / uuid).symlink_to("/dev/loop7")
    assert not said(inspected(disk, tmp_path / "state", guard), "Its UUID")


@pytest.mark.hostile(29)
@needs_root
def test_a_disk_of_the_host_is_no_copy_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links, nodes, devices = (tmp_path / name for name in ("by-uuid", "nodes", "devices"))
    for name, number, place in (
        ("sda", 0, "sda"),
        ("sda1", 1, "sda/sda1"),
        ("dm-0", 2, "dm-0"),
        ("sdb", 16, "sdb"),
    ):
        (devices / place).mkdir(parents=True)
        (devices / place / "dev").write_text(f"8:{number}\n")
        nodes.mkdir(exist_ok=True)
        (nodes / f"8:{number}").symlink_to(devices / place)
        os.mknod(tmp_path / name, stat.S_IFBLK | 0o600, os.makedev(8, number))
    (devices / "sda/sda1/partition").write_text("1\n")
    (devices / "dm-0/slaves").mkdir()
    (devices / "dm-0/slaves/sda1").symlink_to(devices / "sda/sda1")
    links.mkdir()
    monkeypatch.setattr(twins, "BY_UUID", links)
    monkeypatch.setattr(twins, "NODES", nodes)
    for name in ("sda", "sda1", "dm-0"):
        (links / name).symlink_to(tmp_path / name)
        assert twins.on_host(name, tmp_path / "sda") is None
        assert twins.on_host(name, tmp_path / "sdb") == str(tmp_path / name)
