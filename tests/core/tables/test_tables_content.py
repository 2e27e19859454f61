"""What lies in a partition: file systems, members of other layers, names, and things that do not fit."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from core.runner import SystemRunner
from core.tables.content import Content, probe
from tests.core.tables.table_disks import put, sparse

OFFSET = 92413440
SIZE = 320 << 20
UUID = "3fdcb214-0f39-466d-a81a-a1fb114fe7cd"


def filled(path: Path, maker: list[str], size: int = SIZE) -> Path:
    sparse(path, size)
    subprocess.run([*maker, path], check=True, capture_output=True)
    return path


def shifted(path: Path, inner: Path) -> Path:
    """A disk that holds the file `inner` from byte OFFSET on."""
    with open(path, "xb") as disk:
        disk.truncate(OFFSET + inner.stat().st_size)
    subprocess.run(
        ["dd", f"if={inner}", f"of={path}", "bs=1M", f"seek={OFFSET}B", "conv=notrunc,sparse", "status=none"],
        check=True,
    )
    return path


def at_offset(tmp_path: Path, *maker: str) -> Content:
    disk = shifted(tmp_path / "disk", filled(tmp_path / "inner", list(maker)))
    return probe(disk, OFFSET, SIZE, SystemRunner())


@pytest.mark.parametrize("name", ["ext2", "ext3", "ext4"])
def test_ext(tmp_path: Path, name: str) -> None:
    found = at_offset(tmp_path, "mke2fs", "-q", "-F", "-t", name, "-L", "root fs", "-U", UUID)
    assert found == Content(name, "root fs", UUID, "filesystem")


def test_xfs(tmp_path: Path) -> None:
    found = at_offset(tmp_path, "mkfs.xfs", "-q", "-L", "data", "-m", f"uuid={UUID}")
    assert found == Content("xfs", "data", UUID, "filesystem")


def test_btrfs(tmp_path: Path) -> None:
    found = at_offset(tmp_path, "mkfs.btrfs", "-q", "-L", "pool", "-U", UUID)
    assert found == Content("btrfs", "pool", UUID, "filesystem")


def test_swap(tmp_path: Path) -> None:
    found = at_offset(tmp_path, "mkswap", "-L", "swap", "-U", UUID)
    assert found == Content("swap", "swap", UUID, "other")


def test_external_journal_is_no_file_system(tmp_path: Path) -> None:
    found = at_offset(tmp_path, "mke2fs", "-q", "-F", "-O", "journal_dev", "-U", UUID)
    assert (found.content, found.uuid, found.usage) == ("jbd", UUID, "other")


def test_luks(tmp_path: Path) -> None:
    disk = sparse(tmp_path / "disk", 4 << 20)
    put(disk, 0, b"LUKS\xba\xbe\x00\x01" + b"aes".ljust(32, b"\0") + b"xts-plain64".ljust(32, b"\0"))
    put(disk, 168, UUID.encode())
    found = probe(disk, 0, None, SystemRunner())
    assert (found.content, found.uuid, found.usage) == ("crypto_LUKS", UUID, "crypto")


def test_nothing(tmp_path: Path) -> None:
    assert probe(sparse(tmp_path / "disk", SIZE), 1 << 20, 1 << 20, SystemRunner()) == Content(None)


def test_partition_table_alone_is_no_content(tmp_path: Path) -> None:
    disk = sparse(tmp_path / "disk", 8 << 20)
    subprocess.run(["sfdisk", "-q", disk], input=b"label: gpt\n,1M\n", check=True, capture_output=True)
    assert probe(disk, 0, None, SystemRunner()) == Content(None)


@pytest.mark.parametrize(
    "label",
    [
        b"a $b\\x41\"'",
        b"M-C^A<>`",
        b"\x1b[31mred",
        b"new\nline",
        b"[/bold]",
        b"bad\xff\xfebytes",
        "ärger\u202e".encode(),
    ],
)
@pytest.mark.hostile(28)
def test_label_comes_back_byte_for_byte(tmp_path: Path, label: bytes) -> None:
    disk = filled(tmp_path / "disk", ["mke2fs", "-q", "-F", "-t", "ext2"], 1 << 20)
    put(disk, 1024 + 120, label.ljust(16, b"\0"))
    found = probe(disk, 0, None, SystemRunner())
    assert found.label is not None and found.label.encode("utf-8", "surrogateescape") == label


@pytest.mark.hostile(38)
def test_two_file_systems_in_one_place_are_both_named(tmp_path: Path) -> None:
    disk = filled(tmp_path / "disk", ["mke2fs", "-q", "-F", "-t", "ext4"])
    put(disk, (64 << 10) + 64, b"_BHRfS_M")
    found = probe(disk, 0, None, SystemRunner())
    assert (found.content, found.usage) == (None, None)
    assert any("ext4, btrfs" in problem for problem in found.problems)


@pytest.mark.parametrize(
    "maker", [("mke2fs", "-q", "-F", "-t", "ext4"), ("mkfs.xfs", "-q"), ("mkfs.btrfs", "-q")]
)
@pytest.mark.hostile("41b")
def test_file_system_larger_than_its_partition(tmp_path: Path, maker: tuple[str, ...]) -> None:
    disk = shifted(tmp_path / "disk", filled(tmp_path / "inner", list(maker)))
    tight = probe(disk, OFFSET, 100 << 20, SystemRunner())
    assert any("320.0 MiB long, but there is room for 100.0 MiB" in problem for problem in tight.problems)
    assert probe(disk, OFFSET, None, SystemRunner()).problems == ()
    with open(disk, "r+b") as opened:
        opened.truncate(OFFSET + (200 << 20))
    for size in (None, SIZE):
        cut = probe(disk, OFFSET, size, SystemRunner())
        assert any("320.0 MiB long, but there is room for 200.0 MiB" in problem for problem in cut.problems)


def test_range_behind_the_end_of_the_disk(tmp_path: Path) -> None:
    disk = sparse(tmp_path / "disk", 1 << 20)
    found = probe(disk, 2 << 20, 1 << 20, SystemRunner())
    assert found.content is None and len(found.problems) == 1


@pytest.mark.parametrize("size", [0, 1, 511])
def test_tiny_ranges(tmp_path: Path, size: int) -> None:
    assert probe(sparse(tmp_path / "disk", 1 << 20), 512, size, SystemRunner()).content is None


def test_blkid_that_dies_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "blkid"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nkill -SEGV $$\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    found = probe(sparse(tmp_path / "disk", 1 << 20), 0, None, SystemRunner())
    assert found.content is None and "blkid was ended by signal 11" in found.problems[0]


def test_nothing_is_written(tmp_path: Path) -> None:
    disk = filled(tmp_path / "disk", ["mke2fs", "-q", "-F", "-t", "ext4"], 8 << 20)
    before = hashlib.sha256(disk.read_bytes()).digest(), disk.stat().st_mtime_ns
    probe(disk, 0, None, SystemRunner())
    assert before == (hashlib.sha256(disk.read_bytes()).digest(), disk.stat().st_mtime_ns)
