"""Healthy tables: what anybody would see in them, and that nothing is written to look."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from core import child
from core.errors import SalvageError
from core.runner import SystemRunner
from core.tables.judge import read_table
from core.tables.model import Gap, PartitionTable
from tests.conftest import Program
from tests.core.tables.table_disks import (
    gpt_disk,
    gpt_entry,
    mbr_disk,
    practice_disk,
    put,
    record,
    scripted,
    sparse,
)


def read(disk: Path) -> PartitionTable:
    scratch = disk.parent / f"scratch-{disk.name}"
    scratch.mkdir()
    table = read_table(disk, disk.stat().st_size, scratch, SystemRunner())
    assert list(scratch.iterdir()) == []
    return table


def test_practice_table_is_the_classical_one(tmp_path: Path) -> None:
    table = read(practice_disk(tmp_path / "disk"))
    assert table.problems == ()
    assert (table.label, table.identifier, table.source, table.sector_size) == (
        "msdos",
        "0x1234abcd",
        "primary",
        512,
    )
    assert [(p.number, p.kind, p.start, p.end, p.type) for p in table.partitions] == [
        (1, "primary", 63, 7055, "83"),
        (2, "primary", 7056, 180431, "83"),
        (3, "extended", 180432, 1000943, "5"),
        (5, "logical", 180495, 451583, "83"),
        (6, "logical", 451647, 722735, "83"),
        (7, "logical", 722799, 993887, "83"),
        (8, "logical", 993951, 1000943, "83"),
    ]
    assert table.gaps == (
        Gap(0, 62),
        Gap(180432, 180494),
        Gap(451584, 451646),
        Gap(722736, 722798),
        Gap(993888, 993950),
    )
    fifth = table.partition(5)
    assert fifth and fifth.offset == 92413440 and fifth.size == 138797568 and fifth.type_name == "Linux"


def test_json_has_the_shape_of_the_contract(tmp_path: Path) -> None:
    document = json.loads(json.dumps(read(practice_disk(tmp_path / "disk")).to_json()))
    assert document["label"] == "msdos" and document["gaps"][0] == {"start": 0, "end": 62}
    assert document["partitions"][3] == {
        "number": 5,
        "kind": "logical",
        "start": 180495,
        "end": 451583,
        "sectors": 271089,
        "offset": 92413440,
        "size": 138797568,
        "type": "83",
        "type_name": "Linux",
        "name": None,
        "bootable": False,
    }


def test_gpt_with_six_partitions(tmp_path: Path) -> None:
    lines = ["label: gpt", "label-id: 11111111-2222-3333-4444-555555555555"]
    lines += [f"{n} : start={2048 * n}, size=2048, name=part{n}" for n in range(1, 7)]
    lines[2] += ", attrs=LegacyBIOSBootable"
    table = read(scripted(tmp_path / "disk", 16 << 20, "\n".join(lines) + "\n"))
    assert table.problems == ()
    assert (table.label, table.identifier, table.source) == (
        "gpt",
        "11111111-2222-3333-4444-555555555555",
        "primary",
    )
    assert [(p.number, p.kind, p.start, p.end, p.name) for p in table.partitions] == [
        (n, "primary", 2048 * n, 2048 * n + 2047, f"part{n}") for n in range(1, 7)
    ]
    assert {p.type for p in table.partitions} == {"0FC63DAF-8483-4772-8E79-3D69D8477DE4"}
    assert [p.bootable for p in table.partitions] == [True, False, False, False, False, False]


def test_gpt_with_gaps_in_its_numbers(tmp_path: Path) -> None:
    table = read(gpt_disk(tmp_path / "disk", 8192, [bytes(128), gpt_entry(100, 199), bytes(128)]))
    assert [p.number for p in table.partitions] == [2] and table.problems == ()


def test_own_gpt_writer_is_what_sfdisk_and_libparted_accept(tmp_path: Path) -> None:
    """The damaged tables elsewhere are made by our own writer: undamaged, nobody must object."""
    table = read(gpt_disk(tmp_path / "disk", 8192, [gpt_entry(100, 199, "ä/b".encode("utf-16-le"))]))
    assert table.problems == () and table.partitions[0].name == "ä/b"


@pytest.mark.hostile(25)
def test_four_kib_sectors_are_found_in_a_file(tmp_path: Path) -> None:
    table = read(gpt_disk(tmp_path / "disk", 4096, [gpt_entry(256, 511)], sector_size=4096))
    assert (table.label, table.sector_size, table.sectors, table.problems) == ("gpt", 4096, 4096, ())
    assert table.partitions[0].offset == 256 * 4096 and table.partitions[0].size == 256 * 4096


@pytest.mark.hostile(25)
def test_sector_size_that_is_known_beforehand_is_used_for_an_mbr(tmp_path: Path) -> None:
    disk = sparse(tmp_path / "disk", 4096 * 4096)
    put(disk, 0, record((0x80, 0x83, 256, 1024), (0, 5, 2048, 1024)))
    put(disk, 2048 * 4096, record((0, 0x83, 8, 100)))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    table = read_table(disk, 4096 * 4096, scratch, SystemRunner(), sector_size=4096)
    assert [(p.number, p.start, p.offset) for p in table.partitions] == [
        (1, 256, 1 << 20),
        (2, 2048, 8 << 20),
        (5, 2056, 2056 * 4096),
    ]
    assert table.partitions[0].bootable and table.problems == ()


def test_table_without_partitions(tmp_path: Path) -> None:
    table = read(scripted(tmp_path / "disk", 4 << 20, "label: dos\n"))
    assert (table.label, table.partitions, table.problems) == ("msdos", (), ())
    assert table.gaps == (Gap(0, 8191),)


def test_blank_disk_has_no_table(tmp_path: Path) -> None:
    table = read(sparse(tmp_path / "disk", 4 << 20))
    assert (table.label, table.partitions, table.gaps, table.problems) == (None, (), (), ())


@pytest.mark.parametrize("size", [0, 1, 511, 513, 1 << 20])
def test_tiny_and_odd_sizes_are_no_table(tmp_path: Path, size: int) -> None:
    assert read(sparse(tmp_path / "disk", size)).label is None


def test_hybrid_mbr_is_noted_and_the_gpt_shown(tmp_path: Path) -> None:
    disk = gpt_disk(tmp_path / "disk", 8192, [gpt_entry(2048, 4095)])
    put(disk, 0, record((0, 0xEE, 1, 2047), (0x80, 0x83, 2048, 2048)))
    table = read(disk)
    assert (table.label, len(table.partitions)) == ("gpt", 1)
    assert any("hybrid MBR" in problem for problem in table.problems)


def test_left_over_gpt_does_not_hide_the_mbr(tmp_path: Path) -> None:
    disk = gpt_disk(tmp_path / "disk", 8192, [gpt_entry(2048, 4095)])
    put(disk, 0, record((0, 0x83, 5000, 1000)))
    table = read(disk)
    assert (table.label, [p.start for p in table.partitions]) == ("msdos", [5000])
    assert any("left over" in problem for problem in table.problems)


def test_very_large_sparse_disk(tmp_path: Path) -> None:
    disk = gpt_disk(tmp_path / "disk", (8 << 40) // 512, [gpt_entry(2048, (4 << 40) // 512)])
    table = read(disk)
    assert table.partitions[0].size > 3 << 40 and table.problems == ()


def test_nothing_is_written_and_no_program_sees_the_disk_itself(tmp_path: Path) -> None:
    disk = gpt_disk(tmp_path / "disk", 20000, [gpt_entry(2048, 4095)])
    os.utime(disk, ns=(10**18, 10**18))
    neighbour = tmp_path / "disk1"
    neighbour.write_bytes(b"precious")
    before = hashlib.sha256(disk.read_bytes()).digest(), os.stat(disk).st_mtime_ns
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    runner = SystemRunner()
    read_table(disk, disk.stat().st_size, scratch, runner)
    assert before == (hashlib.sha256(disk.read_bytes()).digest(), os.stat(disk).st_mtime_ns)
    assert neighbour.read_bytes() == b"precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "disk1", "scratch"]
    seen = [ran.command.argv for ran in runner.transcript if str(disk) in ran.command.argv]
    assert [argv[0] for argv in seen] == ["blkid"]
    assert len(runner.transcript) == 3 and not any(ran.command.changes for ran in runner.transcript)


def test_a_view_that_cannot_be_opened_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SalvageError, match="No such file"):
        read_table(tmp_path / "missing", 512, tmp_path, SystemRunner())
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(SalvageError, match="neither a file nor a block device"):
        read_table(tmp_path / "fifo", 512, tmp_path, SystemRunner())


def test_without_room_for_the_table_copy_our_own_reading_stands(tmp_path: Path) -> None:
    disk = mbr_disk(tmp_path / "disk", 8192, (0, 0x83, 64, 100))
    runner = SystemRunner()
    # a file system's largest file is smaller than what a header can claim
    table = read_table(disk, 1 << 62, tmp_path, runner)
    assert [p.start for p in table.partitions] == [64]
    assert any("no copy of the table" in problem for problem in table.problems)


def test_without_libparted_our_own_reading_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = mbr_disk(tmp_path / "disk", 8192, (0, 0x83, 64, 100))
    monkeypatch.setattr(child.sys, "executable", shutil.which("false"))
    table = read(disk)
    assert [p.start for p in table.partitions] == [64]
    assert any("libparted could not be asked" in problem for problem in table.problems)


def test_libparted_is_found_without_the_environment_of_the_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parted.py").write_text("raise SystemExit(3)\n")
    disk = mbr_disk(tmp_path / "disk", 8192, (0, 0x83, 64, 100))
    assert read(disk).problems == ()


@pytest.mark.skipif(not shutil.which("parted"), reason="parted, which makes these tables, is not installed")
@pytest.mark.parametrize("label", ["mac", "bsd", "sun", "amiga", "dvh", "pc98", "atari"])
def test_tables_of_other_machines_are_read_by_libparted(tmp_path: Path, label: str) -> None:
    disk = sparse(tmp_path / "disk", 64 << 20)
    kind = ["primary"] if label in ("dvh", "pc98", "atari") else []
    make = ["parted", "-s", disk, "mklabel", label, "mkpart", *kind, "ext2", "16MiB", "32MiB"]
    subprocess.run(make, check=True, capture_output=True)
    shown = subprocess.run(["parted", "-sm", disk, "unit", "s", "print"], check=True, capture_output=True)
    lines = [line.split(":") for line in shown.stdout.decode().splitlines() if line[0].isdigit()]
    table = read(disk)
    assert table.label == label and lines
    assert [[str(p.number), f"{p.start}s", f"{p.end}s"] for p in table.partitions] == [
        line[:3] for line in lines
    ]
    assert all(p.type == "" and p.type_name for p in table.partitions)


def test_missing_sfdisk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = mbr_disk(tmp_path / "disk", 8192, (0, 0x83, 64, 100))
    from core import tools

    real = shutil.which
    monkeypatch.setattr(tools, "find", lambda name: None if name == "sfdisk" else real(name))
    table = read(disk)
    assert [p.start for p in table.partitions] == [64]
    assert any("sfdisk is not installed" in problem for problem in table.problems)


@pytest.mark.skipif(not shutil.which("xorriso"), reason="xorriso, which makes boot media, is not installed")
@pytest.mark.parametrize("kind", ["isohybrid", "isohybrid from 64", "gpt"])
def test_a_boot_medium_is_a_table_and_a_file_system(kind: str, tmp_path: Path, program: Program) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/readme").write_text("boot me")
    with open(tmp_path / "efi", "wb") as file:
        file.truncate(4 << 20)
    subprocess.run(["mkfs.vfat", tmp_path / "efi"], check=True, capture_output=True)
    efi = ["-append_partition", "2", "0xef", str(tmp_path / "efi")]
    options = {
        "isohybrid": ["-part_like_isohybrid", *efi],
        "isohybrid from 64": ["-part_like_isohybrid", "-partition_offset", "16", *efi],
        "gpt": [*efi, "-appended_part_as_gpt"],
    }
    disk = tmp_path / "boot.iso"
    make = ["xorriso", "-as", "mkisofs", "-quiet", "-o", disk, *options[kind], tmp_path / "tree"]
    subprocess.run(make, check=True, capture_output=True)
    called = program("inspect", "--json", "--format", "raw", disk)
    assert called.status == 0, called.err
    document = json.loads(called.out)
    assert document["table"]["label"] == ("gpt" if kind == "gpt" else "msdos")
    assert any("iso9660" in problem for problem in document["table"]["problems"])
    contents = {one["id"]: one["content"] for one in document["volumes"]}
    assert contents["2"] == "vfat"
    whole = "disk" if kind == "gpt" else "1"
    assert contents[whole] == "iso9660"
    assert ("disk" in contents) == (kind == "gpt")
