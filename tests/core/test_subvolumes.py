"""The subvolumes and snapshots of a btrfs: listed and chosen."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Guard, Program, needs_root
from tests.hostile.volumes import by_hand, filled

pytestmark = needs_root


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """As a distribution lays it out: a root that is shown by itself, a home, a snapshot of each kind."""
    path = filled(tmp_path / "disk.raw", "btrfs")
    with by_hand(path, tmp_path / "by-hand", "rw") as point:

        def btrfs(*words: str | Path) -> None:
            subprocess.run(["btrfs", *words], check=True, capture_output=True)

        for name in ("@", "@home", "@, old"):
            btrfs("subvolume", "create", point / name)
        (point / "@home/letter").write_text("before\n")
        (point / "@/var").mkdir()
        btrfs("subvolume", "create", point / "@/var/lib")
        btrfs("subvolume", "snapshot", "-r", point / "@home", point / "@/snapshot-1")
        (point / "@home/letter").write_text("after\n")
        (point / "@/hostname").write_text("web01\n")
        (point / "@, old/file").write_text("comma\n")
        btrfs("subvolume", "set-default", point / "@")
        btrfs("subvolume", "delete", "-C", _made(point / "gone"))
    return path


def _made(path: Path) -> Path:
    subprocess.run(["btrfs", "subvolume", "create", path], check=True, capture_output=True)
    return path


def test_they_are_listed_as_btrfs_itself_lists_them(
    disk: Path, program: Program, tmp_path: Path, guard: Guard
) -> None:
    guard.watch(disk)
    told = program("subvolumes", "--json", "--format", "raw", disk, "disk")
    assert told.status == 0, told
    found = {one["path"]: one for one in json.loads(told.out)["subvolumes"]}
    assert set(found) == {"/", "/@", "/@home", "/@, old", "/@/var/lib", "/@/snapshot-1"}
    assert [path for path, one in found.items() if one["default"]] == ["/@"]
    assert [path for path, one in found.items() if one["snapshot"]] == ["/@/snapshot-1"]
    assert [path for path, one in found.items() if one["read_only"]] == ["/@/snapshot-1"]
    with by_hand(disk, tmp_path / "by-hand", "ro,subvolid=5") as point:
        said = subprocess.run(["btrfs", "subvolume", "list", point], capture_output=True, text=True)
    numbers = {int(line.split()[1]) for line in said.stdout.splitlines()}
    assert {one["id"] for one in found.values()} == numbers | {5}
    told = program("subvolumes", "--format", "raw", disk, "disk")
    assert "snapshot, read-only  /@/snapshot-1" in told.out


def test_each_can_be_chosen_by_its_path_and_by_its_number(disk: Path, program: Program, guard: Guard) -> None:
    guard.watch(disk)

    def cat(path: str, *options: str) -> str:
        told = program("cat", *options, "--format", "raw", disk, "disk", path)
        assert told.status == 0, told
        return told.out

    assert cat("/hostname") == "web01\n"
    assert cat("/letter", "--subvolume", "@home") == "after\n"
    assert cat("/letter", "--subvolume", "/@/snapshot-1") == "before\n"
    assert cat("/@home/letter", "--subvolume", "5") == "after\n"
    told = program("cat", "--subvolume", "@, old", "--format", "raw", disk, "disk", "/file")
    assert told.status == 2, told
    listed = json.loads(program("subvolumes", "--json", "--format", "raw", disk, "disk").out)["subvolumes"]
    number = next(one["id"] for one in listed if one["path"] == "/@, old")
    assert cat("/file", "--subvolume", str(number)) == "comma\n"


def test_a_copy_of_the_top_brings_every_subvolume(
    disk: Path, program: Program, tmp_path: Path, guard: Guard
) -> None:
    guard.watch(disk)
    out = tmp_path / "out"
    told = program("copy", "--subvolume", "5", "--format", "raw", disk, "disk", "/", out)
    assert told.status == 0, told
    assert (out / "@home/letter").read_text() == "after\n"
    assert (out / "@/snapshot-1/letter").read_text() == "before\n"


def test_what_is_not_there_or_no_btrfs_is_said(
    disk: Path, program: Program, tmp_path: Path, guard: Guard
) -> None:
    guard.watch(disk)
    told = program("ls", "--subvolume", "@nowhere", "--format", "raw", disk, "disk")
    assert told.status == 1, told
    assert "subvolume" in told.err
    other = filled(tmp_path / "other.raw", "ext4")
    for words in (("ls", "--subvolume", "@"), ("subvolumes",)):
        verb, *more = words
        told = program(verb, *more, "--format", "raw", other, "disk")
        assert told.status == 2, told
