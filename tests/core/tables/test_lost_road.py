"""From a disk without a table to checked files: `--scan` on the command line, and its table on an overlay."""

import hashlib
import json
import random
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Guard, Program, needs_root
from tests.core.tables.lost_disks import MIB, blank, put, run, wipe, with_an_image_inside, with_table

TABLE = """\
label: dos
1 : start=2048, size=40960, type=83
2 : start=43008, size=150000, type=5
5 : start=45056, size=81920, type=83
6 : start=129024, size=32768, type=82
"""


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same disk without its MBR: sparse, with every byte there, and as qcow2; and the tree in it."""
    folder = tmp_path_factory.mktemp("lost")
    tree = folder / "tree"
    (tree / "sub").mkdir(parents=True)
    chance = random.Random(11)
    for name, length in (("big", 3_000_000), ("sub/small", 100), ("sub/odd", 70_001)):
        (tree / name).write_bytes(chance.randbytes(length))
    disk = blank(folder / "sparse.raw", 96 * MIB)
    for part in with_table(disk, TABLE):
        maker = {1: "ext2-1k", 5: "ext4-1k", 6: "swap"}.get(part["number"])
        if maker:
            files = tree if part["number"] == 5 else None
            put(disk, part["start"] * 512, part["sectors"] * 512, maker, files)
    wipe(disk, 0, 512)
    run("cp", "--sparse=never", disk, folder / "full.raw")
    run("qemu-img", "convert", "-O", "qcow2", disk, folder / "disk.qcow2")
    return {
        "sparse": disk,
        "full": folder / "full.raw",
        "qcow2": folder / "disk.qcow2",
        "tree": tree,
    }


def _format(disk: Path) -> tuple[str, str]:
    return "--format", disk.suffix[1:]


def _sums(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and "lost+found" not in path.parts
    }


@needs_root
@pytest.mark.parametrize("kind", ["sparse", "full", "qcow2"])
def test_the_files_come_out_of_a_disk_without_table(
    kind: str, lost: dict[str, Path], program: Program, guard: Guard, tmp_path: Path
) -> None:
    disk, dest = lost[kind], tmp_path / "out"
    guard.watch(disk)
    called = program("copy", "--scan", *_format(disk), disk, "5", "/big", "/sub", dest)
    assert called.status == 0, called.err
    copied = _sums(dest)
    assert {name: copied[name] for name in _sums(lost["tree"])} == _sums(lost["tree"])


@pytest.mark.parametrize("kind", ["sparse", "full", "qcow2"])
def test_inspect_shows_the_table_that_was(
    kind: str, lost: dict[str, Path], program: Program, guard: Guard
) -> None:
    disk = lost[kind]
    guard.watch(disk)
    called = program("inspect", "--json", "--scan", *_format(disk), disk)
    assert called.status == 0, called.err
    document = json.loads(called.out)
    table = document["table"]
    assert (table["label"], table["source"]) == ("msdos", "scan")
    places = [
        (one["number"], one["kind"], one["start"], one["sectors"], one["type"]) for one in table["partitions"]
    ]
    assert places[0] == (1, "primary", 2048, 40960, "83")
    assert places[1][:3] == (2, "extended", 43008)
    assert places[2:] == [(5, "logical", 45056, 81920, "83"), (6, "logical", 129024, 32768, "82")]
    assert {one["id"]: one["content"] for one in document["volumes"]} == {
        "1": "ext2",
        "5": "ext4",
        "6": "swap",
    }
    if kind != "full":
        assert document["search"]["read"] < 48 * MIB


def test_inspect_says_that_a_disk_can_be_searched_and_does_not_do_it_unasked(
    lost: dict[str, Path], program: Program
) -> None:
    called = program("inspect", *_format(lost["sparse"]), lost["sparse"])
    assert called.status == 0
    assert "inspect --scan" in called.out
    assert "ext4" not in called.out


def test_a_disk_with_nothing_on_it(program: Program, tmp_path: Path) -> None:
    disk = blank(tmp_path / "disk.raw", 8 * MIB)
    called = program("inspect", "--scan", "--format", "raw", disk)
    assert called.status == 0, called.err
    assert "No partition table." in called.out
    called = program("inspect", "--scan", "--as-sfdisk", "--format", "raw", disk)
    assert (called.status, "found nothing" in called.err) == (1, True)


def test_as_sfdisk_wants_scan(lost: dict[str, Path], program: Program) -> None:
    assert program("inspect", "--as-sfdisk", lost["sparse"]).status == 2


@needs_root
def test_the_script_applied_by_hand_to_an_overlay_leaves_the_disk_alone(
    lost: dict[str, Path], program: Program, guard: Guard, tmp_path: Path
) -> None:
    """The very lines that it prints, run by a shell; afterwards the overlay has the table as its own."""
    disk = lost["sparse"]
    guard.watch(disk)
    called = program("inspect", "--scan", "--as-sfdisk", "--format", "raw", disk)
    assert called.status == 0, called.err
    script = tmp_path / "table.sfdisk"
    script.write_text(called.out)
    lines = [line[4:] for line in called.out.splitlines() if line.startswith("#   ")]
    ready = "until [ -s overlay.raw ]; do :; done"
    lines.insert(next(n for n, line in enumerate(lines) if line.endswith("&")) + 1, ready)
    text = "set -e\nPATH=$PATH:/usr/sbin:/sbin\n" + "\n".join([*lines, "kill $!", "wait"])
    subprocess.run(["sh", "-c", text], cwd=tmp_path, check=True, capture_output=True)
    called = program("inspect", "--json", tmp_path / "overlay.qcow2", "--allow", disk)
    assert called.status == 0, called.err
    table = json.loads(called.out)["table"]
    assert table["source"] == "primary"
    assert [(one["number"], one["start"]) for one in table["partitions"]] == [
        (1, 2048),
        (2, 43008),
        (5, 45056),
        (6, 129024),
    ]


@needs_root
def test_files_by_a_copy_of_the_superblock(
    program: Program, guard: Guard, tmp_path: Path, lost: dict[str, Path]
) -> None:
    """The first 4 KiB of an ext4 are gone, its root folder is not: the kernel is pointed to a copy."""
    disk = blank(tmp_path / "disk.raw", 64 * MIB)
    put(disk, MIB, 48 * MIB, "ext4-1k", lost["tree"])
    wipe(disk, MIB, 2048)
    guard.watch(disk)
    called = program("inspect", "--scan", "--format", "raw", disk)
    assert "superblock is lost" in called.out
    called = program("copy", "--scan", "--format", "raw", disk, "1", "/big", tmp_path / "out")
    assert called.status == 0, called.err
    assert (tmp_path / "out/big").read_bytes() == (lost["tree"] / "big").read_bytes()


@needs_root
def test_what_was_set_aside_opens_by_its_id_too(
    program: Program, guard: Guard, tmp_path: Path, lost: dict[str, Path]
) -> None:
    disk = with_an_image_inside(tmp_path, "-d", lost["tree"])
    guard.watch(disk)
    document = json.loads(program("inspect", "--json", "--scan", "--format", "raw", disk).out)
    assert [one["content"] for one in document["volumes"]] == ["ext4"]
    (aside,) = document["search"]["runners_up"]
    assert (aside["content"], aside["size"]) == ("ext2", 16 * MIB)
    assert "inside" in aside["reason"]
    called = program("copy", "--scan", "--format", "raw", disk, aside["id"], "/big", tmp_path / "out")
    assert called.status == 0, called.err
    assert (tmp_path / "out/big").read_bytes() == (lost["tree"] / "big").read_bytes()


@needs_root
def test_a_dry_run_shows_the_place_that_the_search_found(lost: dict[str, Path], program: Program) -> None:
    called = program("ls", "--dry-run", "--scan", "--format", "raw", lost["sparse"], "5", "/")
    assert called.status == 0, called.err
    assert f"--offset {45056 * 512}" in called.out


@needs_root
def test_mounted_for_writing_the_writes_land_in_the_overlay(
    lost: dict[str, Path], program: Program, guard: Guard, tmp_path: Path
) -> None:
    guard.watch(lost["qcow2"])
    point = tmp_path / "point"
    called = program("mount", "--scan", "--writable", lost["qcow2"], "5", point)
    assert called.status == 0, called.err
    try:
        (point / "new").write_text("written")
        assert (point / "sub/small").read_bytes() == (lost["tree"] / "sub/small").read_bytes()
    finally:
        assert program("undo", "--all").status == 0
