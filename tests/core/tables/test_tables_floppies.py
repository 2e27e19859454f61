"""File systems that fill a whole disk: their boot sectors are no tables."""

import subprocess
from pathlib import Path

import pytest

from core.runner import SystemRunner
from core.tables.judge import read_table
from core.tables.model import PartitionTable
from tests.core.tables.table_disks import get, gpt_disk, gpt_entry, put, record, sparse

# XFS of current versions of mkfs.xfs is at least 300 MiB large
SIZES = {"xfs": 320 << 20}
MAKERS = {
    "ext4": ("mke2fs", "-q", "-F", "-t", "ext4"),
    "xfs": ("mkfs.xfs", "-q", "-f"),
    "btrfs": ("mkfs.btrfs", "-q"),
    "fat12": ("mkfs.vfat", "-F", "12", "-s", "128"),
    "fat16": ("mkfs.vfat", "-F", "16"),
    "fat32": ("mkfs.vfat", "-I", "-F", "32", "-s", "1"),
    "exfat": ("mkfs.exfat",),
    "swap": ("mkswap",),
}


def read(disk: Path) -> PartitionTable:
    scratch = disk.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    return read_table(disk, disk.stat().st_size, scratch, SystemRunner())


def formatted(disk: Path, maker: str) -> Path:
    sparse(disk, SIZES.get(maker, 200 << 20))
    made = subprocess.run([*MAKERS[maker], disk], capture_output=True, check=False)
    if made.returncode:
        pytest.fail(made.stderr.decode())
    return disk


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.hostile(26)
def test_file_system_on_the_whole_disk_is_no_table(tmp_path: Path, maker: str) -> None:
    table = read(formatted(tmp_path / "disk", maker))
    assert (table.label, table.partitions, table.gaps, table.problems) == (None, (), (), ())


@pytest.mark.parametrize("maker", ["ext4", "xfs", "btrfs"])
@pytest.mark.hostile(26)
def test_boot_loader_signature_alone_makes_no_table(tmp_path: Path, maker: str) -> None:
    """A boot loader in front of a file system leaves 55 AA behind, with four empty entries."""
    disk = formatted(tmp_path / "disk", maker)
    put(disk, 510, b"\x55\xaa")
    assert read(disk).label is None


def test_table_written_over_a_file_system_counts_and_the_file_system_is_named(tmp_path: Path) -> None:
    disk = formatted(tmp_path / "disk", "ext4")
    put(disk, 0, record((0, 0x83, 2048, 4096)))
    table = read(disk)
    assert (table.label, [p.start for p in table.partitions]) == ("msdos", [2048])
    assert any("signature of a file system (ext4)" in problem for problem in table.problems)


@pytest.mark.parametrize("maker", ["ext4", "xfs", "fat32"])
def test_file_system_on_a_disk_that_once_had_a_gpt(tmp_path: Path, maker: str) -> None:
    """The old backup stays at the end of the disk; what is there now is one file system."""
    disk = gpt_disk(tmp_path / "disk", 655360, [gpt_entry(2048, 4095)])
    backup = get(disk, 655359 * 512, 512)
    subprocess.run([*MAKERS[maker], disk], check=True, capture_output=True)
    put(disk, 655359 * 512, backup)
    table = read(disk)
    assert (table.label, table.partitions) == (None, ())
    assert len(table.problems) == 1 and "once had a GPT" in table.problems[0]


def test_gpt_behind_a_boot_sector_that_only_looks_like_fat(tmp_path: Path) -> None:
    disk = gpt_disk(tmp_path / "disk", 20000, [gpt_entry(2048, 4095)])
    put(disk, 0, b"\xeb\x3c\x90MSDOS5.0" + bytes.fromhex("000204010002000200"))
    assert [p.start for p in read(disk).partitions] == [2048]
