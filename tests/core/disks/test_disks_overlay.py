"""An overlay: its room is told before, and when it is full the disk stays untouched and it is said."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from core.disks.overlay import LEAST, merged, room, within, written
from core.errors import NoSpace
from core.runner import SystemRunner
from core.session import Session
from core.undo.state import StateFolder
from tests.conftest import Guard, Program, needs_root
from tests.core.disks.disk_images import created

SIZE = 24 << 20


@pytest.fixture
def disk(tmp_path: Path, guard: Guard) -> Path:
    """A qcow2 with ext4 on the whole disk."""
    tree, raw, image = tmp_path / "tree", tmp_path / "raw", tmp_path / "web01.qcow2"
    tree.mkdir()
    (tree / "letter").write_text("dear reader\n")
    with open(raw, "wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-J", "size=4", "-d", tree, raw], check=True)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, image], check=True)
    guard.watch(image)
    return image


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """A state folder on a file system of its own, of 32 MiB."""
    place = tmp_path / "state"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32M", "state", place], check=True)
    yield place
    (place / "ballast").unlink(missing_ok=True)
    for known in StateFolder(place).known():
        StateFolder(place).undo(known, SystemRunner())
    subprocess.run(["umount", place], check=True)


def test_room_is_what_the_file_system_has(tmp_path: Path) -> None:
    found = room(tmp_path / "not" / "there", SIZE)
    about = os.statvfs(tmp_path)
    assert abs(found.free - about.f_bavail * about.f_frsize) < 1 << 30
    assert SIZE < found.largest < SIZE + (2 << 20)
    assert str(tmp_path) in found.sentence()
    assert room(tmp_path, 1 << 50).least == LEAST


def test_what_an_overlay_holds_is_told_by_its_clusters(tmp_path: Path) -> None:
    over = created(tmp_path / "over.qcow2", "qcow2", size=SIZE)
    assert written(over, SystemRunner()) == []
    for at in ("1M 64k", "1088k 512", "5M 1"):
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", f"write -q {at}", over], check=True)
    mebi = 1 << 20
    assert written(over, SystemRunner()) == [(mebi, mebi + 131072), (5 * mebi, 5 * mebi + 65536)]


def test_stretches_are_joined_and_cut() -> None:
    assert merged([(5, 9), (0, 2), (2, 4), (8, 10), (3, 3)]) == [(0, 4), (5, 10)]
    assert within([(0, 4), (5, 10)], 2, 6) == [(2, 4), (5, 6)]
    assert within([(0, 4)], 4, 9) == []


def _flush(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@needs_root
def test_where_it_lies_and_how_far_it_grows_is_told_before(
    disk: Path, tmp_path: Path, program: Program, state_dir: Path
) -> None:
    planned = program("mount", disk, "disk", tmp_path / "m", "--writable", "--dry-run", "--explain")
    assert f"The overlay lies in {state_dir}" in planned.out
    done = program("mount", disk, "disk", tmp_path / "m", "--writable", "--json")
    assert "are free there, and it grows to 25.0 MiB at most" in done.err
    told = json.loads(done.out)["overlay"]
    assert told["largest"] > SIZE and told["free"] <= 32 << 20
    assert program("undo", "--all").status == 0


@needs_root
def test_too_little_room_is_refused_before_anything_is_put_up(
    disk: Path, tmp_path: Path, program: Program, state_dir: Path
) -> None:
    (state_dir / "ballast").write_bytes(bytes(12 << 20))
    done = program("mount", disk, "disk", tmp_path / "m", "--writable")
    assert done.status == NoSpace.status
    assert "too little room for an overlay" in done.err and "--state-dir" in done.err
    assert not (tmp_path / "m").exists()
    assert "Nothing of ours" in program("status").out


@needs_root
def test_when_it_is_full_the_disk_is_untouched_and_it_is_said(
    disk: Path, tmp_path: Path, program: Program, state_dir: Path
) -> None:
    point = tmp_path / "m"
    assert program("mount", disk, "disk", point, "--writable").status == 0
    left = os.statvfs(state_dir)
    (state_dir / "ballast").write_bytes(bytes(left.f_bavail * left.f_frsize - (3 << 20)))
    assert "no room is left" not in program("status").out
    kept = 0
    with pytest.raises(OSError, match="Errno"), open(point / "big", "wb", buffering=0) as file:
        for _turn in range(12):
            file.write(os.urandom(1 << 20))
            os.fsync(file.fileno())
            kept += 1
    assert kept <= 3, "what has no room was taken for written"
    for number in range(400):  # until the journal comes to where it was not before
        with suppress(OSError):
            (point / f"folder{number}").mkdir()
            _flush(point)
        if not os.access(point, os.W_OK):
            break
    status = program("status").out
    assert "full: no room is left where it lies" in status
    assert "read-only since an error in writing" in status
    entries = json.loads(program("status", "--json").out)["sessions"][0]["entries"]
    said = {entry["what"]: entry.get("remark", "") for entry in entries}
    assert "disk is untouched" in said["overlay"] and "disk is untouched" in said["mount"]
    session = json.loads(program("status", "--json").out)["sessions"][0]["id"]
    refused = program("commit", session, "--yes")
    assert (refused.status, "is not in the overlay" in refused.err) == (3, True)
    assert (point / "letter").read_text() == "dear reader\n"
    refused = program("copy", disk, "disk", "/letter", tmp_path / "out")
    assert (refused.status, "--state-dir" in refused.err) == (1, True)
    elsewhere = ("--state-dir", tmp_path / "elsewhere")
    assert program("copy", disk, "disk", "/letter", tmp_path / "out", *elsewhere).status == 0
    assert (tmp_path / "out" / "letter").read_text() == "dear reader\n"
    (state_dir / "ballast").unlink()
    refused = program("commit", session, "--yes")
    assert (refused.status, "is not in the overlay" in refused.err) == (3, True), "room came too late"
    assert program("undo", "--all").status == 0


@needs_root
def test_copying_goes_on_over_a_full_overlay(disk: Path, tmp_path: Path, state_dir: Path) -> None:
    with Session(StateFolder(state_dir), SystemRunner()) as session:
        session.select(str(disk))
        session.protect(overlay=True)
        session.open("disk")
        assert session.full() == ""
        left = os.statvfs(state_dir)
        with open(state_dir / "ballast", "wb") as file:
            file.write(bytes(left.f_bavail * left.f_frsize))
        assert "what is written now is lost" in session.full()
        assert session.health() is None
        copied = session.copy([b"/letter"], tmp_path / "out", lambda _progress: None)
        assert (copied.files, copied.unreadable) == (1, [])
    assert (tmp_path / "out" / "letter").read_text() == "dear reader\n"
    (state_dir / "ballast").unlink()
    assert StateFolder(state_dir).known() == []
