"""The table that a search found, written to a new overlay or copy: `inspect --scan --write-table`."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from core.command import Command
from core.runner import SystemRunner
from tests.conftest import Guard, Program
from tests.core.tables.lost_disks import MIB, blank, put, run, wipe, with_table
from tests.core.tables.table_disks import gpt_disk, gpt_entry

LOGICAL = """\
label: dos
1 : start=2048, size=40960, type=83
2 : start=43008, size=150000, type=5
5 : start=45056, size=81920, type=83
6 : start=129024, size=32768, type=82
"""
NAMED = """\
label: gpt
1 : start=2048, size=40960, name="boot part"
2 : start=45056, size=81920
"""
MAKERS = {1: "ext2-1k", 5: "ext4-1k", 6: "swap", 2: "ext4-1k"}
Places = list[tuple[int, int, int]]


def _disk(path: Path, script: str) -> Places:
    """A disk with file systems; where its partitions lay before the table was wiped."""
    disk = blank(path, 96 * MIB)
    parts = with_table(disk, script)
    for part in parts:
        if part["number"] != 2 or "gpt" in script:
            put(disk, part["start"] * 512, part["sectors"] * 512, MAKERS[part["number"]])
    return [(part["number"], part["start"], part["sectors"]) for part in parts]


def _read(image: Path, program: Program, *options: str | Path) -> Places:
    called = program("inspect", "--json", image, *options)
    assert called.status == 0, called.err
    table = json.loads(called.out)["table"]
    assert table["source"] == "primary"
    return [(one["number"], one["start"], one["sectors"]) for one in table["partitions"]]


@pytest.fixture
def lost(tmp_path: Path) -> tuple[Path, Places]:
    disk = tmp_path / "lost.raw"
    before = _disk(disk, LOGICAL)
    wipe(disk, 0, 512)
    return disk, before


def _starts(places: Places) -> list[tuple[int, int]]:
    return [(number, start) for number, start, _sectors in places]


@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_to_an_overlay_that_other_programs_can_use(
    format: str, lost: tuple[Path, Places], program: Program, guard: Guard, tmp_path: Path
) -> None:
    disk, before = lost
    if format == "qcow2":
        disk = tmp_path / "lost.qcow2"
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", lost[0], disk)
    guard.watch(disk)
    over = tmp_path / "over.qcow2"
    called = program("inspect", "--scan", "--json", "--format", format, "--write-table", over, disk)
    assert called.status == 0, called.err
    assert json.loads(called.out)["written"]["backing"] == str(disk)
    assert _starts(_read(over, program, "--allow", disk)) == _starts(before)
    raw = tmp_path / "seen.raw"
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", over, raw)
    seen = json.loads(run("sfdisk", "--json", raw))["partitiontable"]["partitions"]
    assert [one["start"] for one in seen] == [start for _number, start in _starts(before)]


def test_to_a_copy_that_needs_no_other_file(
    lost: tuple[Path, Places], program: Program, guard: Guard, tmp_path: Path
) -> None:
    disk, before = lost
    guard.watch(disk)
    copy = tmp_path / "copy.raw"
    called = program("inspect", "--scan", "--format", "raw", "--write-table", copy, "--to", "raw", disk)
    assert called.status == 0, called.err
    assert _starts(_read(copy, program)) == _starts(before)
    # all but the sectors of the table is what it was
    same, other = disk.read_bytes(), copy.read_bytes()
    records = {0, 43008, *(start - 2048 for number, start, _sectors in before if number > 5)}
    differing = {at // 512 for at in range(0, len(same), 512) if same[at : at + 512] != other[at : at + 512]}
    assert differing and differing <= records


def test_a_gpt_with_a_name_and_boot_code_that_stays(program: Program, guard: Guard, tmp_path: Path) -> None:
    disk = tmp_path / "lost.raw"
    before = _disk(disk, NAMED)
    wipe(disk, 0, 512)
    wipe(disk, 95 * MIB, MIB)  # of the backup nothing is left, of the first copy the header stands
    with open(disk, "r+b") as file:
        file.write(b"boot code")
    guard.watch(disk)
    over = tmp_path / "over.qcow2"
    called = program("inspect", "--scan", "--format", "raw", "--write-table", over, disk)
    assert called.status == 0, called.err
    called = program("inspect", "--json", over, "--allow", disk)
    table = json.loads(called.out)["table"]
    assert (table["label"], table["problems"]) == ("gpt", [])
    assert [(one["number"], one["start"], one["sectors"]) for one in table["partitions"]] == before
    assert table["partitions"][0]["name"] == "boot part"
    raw = tmp_path / "seen.raw"
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", over, raw)
    assert raw.read_bytes()[:9] == b"boot code"


def test_nothing_is_ever_written_over(lost: tuple[Path, Places], program: Program, guard: Guard) -> None:
    disk, _before = lost
    guard.watch(disk)
    for target in (disk, disk.parent / "link"):
        if target != disk:
            target.symlink_to(disk)
        called = program("inspect", "--scan", "--format", "raw", "--write-table", target, disk)
        assert (called.status, "exists already" in called.err) == (3, True)


def test_a_folder_gets_a_file_of_the_disks_name(lost: tuple[Path, Places], program: Program) -> None:
    disk, _before = lost
    folder = disk.parent / "folder"
    folder.mkdir()
    called = program("inspect", "--scan", "--format", "raw", "--write-table", folder, disk)
    assert called.status == 0, called.err
    assert [one.name for one in folder.iterdir()] == ["lost-table.qcow2"]


def test_the_dry_run_tells_and_writes_nothing(
    lost: tuple[Path, Places], program: Program, guard: Guard, tmp_path: Path
) -> None:
    disk, _before = lost
    guard.watch(disk)
    called = program(
        "inspect", "--scan", "--format", "raw", "--dry-run", "--write-table", tmp_path / "over.qcow2", disk
    )
    assert called.status == 0, called.err
    assert "| sfdisk --quiet" in called.out and "start=45056" in called.out
    assert not (tmp_path / "over.qcow2").exists()


def test_where_nothing_was_found_nothing_is_written(program: Program, tmp_path: Path) -> None:
    disk = blank(tmp_path / "disk.raw", 8 * MIB)
    called = program("inspect", "--scan", "--write-table", tmp_path / "over.qcow2", disk)
    assert (called.status, "no table to write" in called.err) == (1, True)
    assert not (tmp_path / "over.qcow2").exists()


@pytest.mark.parametrize("words", [("--write-table", "over"), ("--scan", "--to", "raw")])
def test_options_that_want_others(
    words: tuple[str, ...], program: Program, lost: tuple[Path, Places]
) -> None:
    assert program("inspect", *words, lost[0]).status == 2


def test_a_command_reads_what_it_is_given_and_says_so() -> None:
    command = Command(("sha256sum",), "Hash it.", given="it's\ntwo lines\n")
    out = SystemRunner().run(command).out
    assert out.split()[0].decode() == hashlib.sha256(b"it's\ntwo lines\n").hexdigest()
    by_hand = subprocess.run(["bash", "-c", command.shell()], capture_output=True, check=True)
    assert by_hand.stdout == out


def test_a_table_that_sfdisk_cannot_write_is_not_written(program: Program, tmp_path: Path) -> None:
    disk = gpt_disk(tmp_path / "disk", 16384, [gpt_entry(256, 8447)], 4096)
    put(disk, MIB, 32 * MIB, "ext4")
    over = tmp_path / "over.qcow2"
    called = program("inspect", "--scan", "--format", "raw", "--write-table", over, disk)
    assert (called.status, "sectors of 4096 bytes" in called.err) == (1, True)
    assert not over.exists()
