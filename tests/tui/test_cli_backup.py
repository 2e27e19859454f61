"""`backup` on the command line: what is said before, what is left when it is stopped, what there is."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Guard, Program


@pytest.fixture
def disk(tmp_path: Path, guard: Guard) -> Path:
    (tmp_path / "vm").mkdir()
    path = tmp_path / "vm/disk.raw"
    with open(path, "wb") as file:
        file.truncate(64 << 20)
        file.seek(1 << 20)
        file.write(os.urandom(1 << 20))
    guard.watch(path)
    return path


def test_room_is_told_before_it_begins_and_by_a_dry_run(program: Program, disk: Path, tmp_path: Path) -> None:
    planned = program("backup", "--dry-run", "--format", "raw", disk, tmp_path / "copy")
    assert planned.status == 0, planned.err
    assert "The backup takes 1." in planned.err and "same medium" in planned.err
    assert planned.out.startswith("cp --sparse=always")
    assert not (tmp_path / "copy").exists()
    done = program("backup", "--format", "raw", disk, tmp_path / "copy")
    assert done.status == 0, done.err
    assert "The backup takes 1." in done.err and "64.0 MiB backed up and verified" in done.out


def test_a_slash_at_the_end_means_a_folder(program: Program, disk: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    planned = program("backup", "--dry-run", "--format", "raw", disk, f"{folder}/")
    assert planned.out.splitlines()[0] == f"mkdir {folder}" and not folder.exists()
    done = program("backup", "--format", "raw", disk, f"{folder}/")
    assert done.status == 0, done.err
    assert f"{folder} does not exist yet and will be made" in done.err
    assert sorted(one.name for one in folder.iterdir()) == ["disk.raw", "disk.raw.sha256"]
    for slip in ("missing/x", "missing/x/"):
        refused = program("backup", "--format", "raw", disk, f"{tmp_path}/{slip}")
        assert refused.status != 0 and f"There is no folder {tmp_path}/missing" in refused.err
    assert not (tmp_path / "missing").exists()
    refused = program("convert", "--format", "raw", disk, f"{tmp_path}/missing/", "--to", "qcow2")
    assert refused.status != 0 and f"There is no folder {tmp_path}/missing" in refused.err
    assert not (tmp_path / "missing").exists()


def test_an_existing_backup_is_found_and_compared(program: Program, disk: Path) -> None:
    copy = disk.with_name("disk.raw.bak")
    assert program("backup", "--format", "raw", disk, copy, "--json").status == 0
    found = program("backup", "--format", "raw", disk, "--find", "--json")
    assert [one["path"] for one in json.loads(found.out)["candidates"]] == [str(copy)]
    same = program("backup", "--format", "raw", disk, copy, "--verify")
    assert (same.status, "holds the same as the disk" in same.out) == (0, True), same.err
    with open(copy, "r+b") as file:
        file.write(b"x")
    differs = program("backup", "--format", "raw", disk, copy, "--verify", "--json")
    assert differs.status == 1
    assert json.loads(differs.out)["differing"] == 64 << 10


def test_a_place_or_a_question_is_wanted(program: Program, disk: Path) -> None:
    refused = program("backup", disk)
    assert refused.status == 2
    assert "--find" in refused.err


def test_the_program_killed_and_called_again_ends_it(program: Program, tmp_path: Path) -> None:
    """SIGKILL in the middle of real work, twice; the same command goes on."""
    (tmp_path / "vm").mkdir()
    disk, copy = tmp_path / "vm/disk.raw", tmp_path / "copy"
    with open(disk, "wb") as file:
        for _piece in range(24):
            file.write(os.urandom(8 << 20))
        file.truncate(2 << 30)
    words = [sys.executable, "-m", "tui.main", "--state-dir", str(tmp_path / "state"), "--format", "raw"]
    part = tmp_path / ".copy.virt-salvage-part"
    for _again in range(2):
        process = subprocess.Popen([*words, "backup", disk, copy], stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while not part.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.15)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = program("backup", "--format", "raw", disk, copy)
    assert done.status == 0, done.err
    subprocess.run(["cmp", disk, copy], check=True)
    assert sorted(path.name for path in tmp_path.glob("*copy*")) == ["copy", "copy.sha256"]
    assert not list(tmp_path.glob(".copy*"))
    shutil.rmtree(disk.parent)
