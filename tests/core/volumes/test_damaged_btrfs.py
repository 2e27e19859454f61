"""A btrfs of which a tree is damaged is still read, by the options that pass over that, and it is told."""

from pathlib import Path

import pytest

from core.host import kernel_reads
from tests.conftest import Guard, Program, needs_root
from tests.core.volumes.damaged_btrfs import damaged_btrfs
from tests.making import make_btrfs

pytestmark = [
    needs_root,
    pytest.mark.skipif(not kernel_reads("btrfs"), reason="the kernel of this host has no driver for btrfs"),
]


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "home").mkdir(parents=True)
    (tree / "home/letter").write_text("saved\n")
    (tree / "home/long").write_bytes(bytes(range(256)) * 4000)
    return damaged_btrfs(tmp_path / "disk", tree)


def test_its_files_are_copied_and_it_is_told_that_nobody_checked_them(
    damaged: Path, tmp_path: Path, program: Program, guard: Guard
) -> None:
    guard.watch(damaged)
    called = program("copy", "--format", "raw", damaged, "disk", "/home", tmp_path / "out")
    assert called.status == 4, called
    assert "passing over its damaged parts" in called.err
    assert (tmp_path / "out/home/letter").read_text() == "saved\n"
    assert (tmp_path / "out/home/long").read_bytes() == bytes(range(256)) * 4000
    assert "passing over its damaged parts" in (tmp_path / "out/salvage-report.md").read_text()
    called = program("cat", "--format", "raw", damaged, "disk", "/home/letter")
    assert called.out == "saved\n" and "passing over" in called.err


def test_a_whole_one_is_read_with_its_checksums(tmp_path: Path, program: Program) -> None:
    disk = tmp_path / "whole"
    with open(disk, "wb") as file:
        file.truncate(128 << 20)
    make_btrfs(disk)
    called = program("ls", "--format", "raw", "--explain", disk, "disk", "/")
    assert called.status == 0, called
    assert "rescue=nologreplay" in called.err + called.out and "rescue=all" not in called.err + called.out
