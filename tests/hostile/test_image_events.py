"""Rows 59 and 63: the image goes away or becomes another, and names of devices go to other disks."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core import loops, mounts
from core.disks.marks import Change, Mark, Marks
from core.disks.vet import vet
from core.errors import Refused
from core.runner import SystemRunner
from core.session import Session
from core.undo.state import StateFolder
from tests.conftest import Guard, Program, needs_root
from tests.hostile.small_disks import FILES

pytestmark = needs_root

ROOT = Path(__file__).parents[2]


# -- 52, 63: names of devices are not theirs ---------------------------------------------------------------


@pytest.mark.hostile(63)
def test_another_disk_of_the_same_name_is_not_attached(
    source: Path, disk: Path, state_dir: Path, tmp_path: Path, guard: Guard
) -> None:
    """A stick is pulled out and another one put in between the look and the attaching."""
    other = Path(shutil.copy2(source / "disk.raw", tmp_path / "other.raw"))
    node = _attached(disk)
    try:
        with Session(StateFolder(state_dir), SystemRunner(), private=False) as session:
            session.select(node, "raw")
            subprocess.run(["losetup", "--detach", node], check=True)
            mounts.wait_until(lambda: loops.loop(node) is None, 10, lambda: False)
            subprocess.run(["losetup", node, other], check=True)
            with pytest.raises(Refused, match="another file or disk now"):
                session.view()
            with pytest.raises(Refused):
                session.backup(tmp_path / "backup", lambda _progress: None)
        assert not (tmp_path / "backup").exists()
    finally:
        subprocess.run(["losetup", "--detach", node], check=True)


def _attached(image: Path) -> str:
    found = subprocess.run(["losetup", "--find", "--show", image], check=True, capture_output=True, text=True)
    return found.stdout.strip()


@pytest.mark.hostile(63)
def test_the_same_device_is_the_same_disk(disk: Path) -> None:
    node = _attached(disk)
    try:
        marks = Marks.of(vet(node, "raw", (), SystemRunner()))
        assert marks.marks[0].sequence > 0
        assert marks.changes() == {}
    finally:
        subprocess.run(["losetup", "--detach", node], check=True)


# -- 59: the image goes away or becomes another ----------------------------------------


def _deleted(path: Path) -> None:
    path.unlink()


def _replaced(path: Path) -> None:
    shutil.copy2(path, path.with_name("new"))
    path.with_name("new").rename(path)


def _written(path: Path) -> None:
    with open(path, "r+b") as file:
        file.write(file.read(1))


EVENTS = {
    Change.GONE: (_deleted, "not there any more"),
    Change.REPLACED: (_replaced, "another file or disk now"),
    Change.WRITTEN: (_written, "written to since"),
}


@pytest.mark.hostile(59)
@pytest.mark.parametrize("change", EVENTS)
@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_what_became_another_since_the_look_is_not_attached(
    change: Change, format: str, source: Path, state_dir: Path, tmp_path: Path, guard: Guard
) -> None:
    folder = tmp_path / "disks"
    folder.mkdir()
    base = Path(shutil.copy2(source / f"disk.{format}", folder))
    top = folder / "top.qcow2"
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", base.name, "-F", format, top]
    subprocess.run(argv, check=True, cwd=folder)
    event, said = EVENTS[change]
    for given, changed in ((base, base), (top, base)):
        with Session(StateFolder(state_dir), SystemRunner(), private=False) as session:
            session.select(str(given), format if given is base else None)
            kept = folder / "kept"
            shutil.copy2(changed, kept)
            event(changed)
            with pytest.raises(Refused) as caught:
                session.view()
            assert said in caught.value.what
            assert str(changed) in caught.value.what
            assert "nothing was attached" in caught.value.meaning
            kept.rename(changed)
        assert not (state_dir / "sessions").exists() or os.listdir(state_dir / "sessions") == []


@pytest.mark.hostile(59)
@pytest.mark.parametrize("change", EVENTS)
@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_while_it_is_attached_the_old_one_is_read_and_that_is_said(
    change: Change, format: str, source: Path, state_dir: Path, tmp_path: Path, guard: Guard
) -> None:
    folder = tmp_path / "disks"
    folder.mkdir()
    path = Path(shutil.copy2(source / f"disk.{format}", folder))
    event, said = EVENTS[change]
    dest = tmp_path / "out"
    with Session(StateFolder(state_dir), SystemRunner(), private=False) as session:
        session.select(str(path), format)
        session.open("disk", tmp_path / "m")
        event(path)
        copied = session.copy([b"/"], dest, lambda _progress: None)
        assert copied.unreadable == []
        told = session.caution if change is Change.WRITTEN else session.remark
        assert said in told
    assert {name: (dest / name).read_bytes() for name in FILES} == FILES
    assert said in (dest / "salvage-report.md").read_text().replace("\\", "")


@pytest.mark.hostile(59)
@pytest.mark.parametrize("event", [_deleted, _replaced])
def test_a_mount_over_an_image_that_went_still_comes_down(
    event: Callable[[Path], None],
    disk: Path,
    state_dir: Path,
    tmp_path: Path,
    program: Program,
    guard: Guard,
) -> None:
    assert program("mount", "--format", "raw", disk, "disk", tmp_path / "m").status == 0
    event(disk)
    assert (tmp_path / "m/f3").read_bytes() == FILES["f3"]
    [session] = json.loads(program("status", "--json").out)["sessions"]
    assert session["disk"] == str(disk)
    undone = program("undo")
    assert undone.status == 0, undone
    assert not (tmp_path / "m").exists()
    assert os.listdir(state_dir / "sessions") == []


@pytest.mark.hostile(59)
def test_the_command_line_says_that_a_disk_was_written_to(
    disk: Path, state_dir: Path, tmp_path: Path, guard: Guard
) -> None:
    """Status 4: what was copied may be half old and half new."""
    script = (
        "import sys; from pathlib import Path; from tests.hostile.test_image_events import _written\n"
        "from core.files.progress import Meter; from tui.main import main\n"
        "end = Meter.end\n"
        "def ended(self):\n    _written(Path(sys.argv[1])); end(self)\n"
        "Meter.end = ended; sys.exit(main(sys.argv[2:]))"
    )
    argv = ["--state-dir", state_dir, "copy", "--format", "raw", disk, "disk", "/", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, "-c", script, disk, *argv], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 4, done
    assert "written to since" in done.stderr
    assert "copy it once more" in done.stderr


@pytest.mark.hostile(59)
def test_a_mark_tells_what_became_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(b"x" * 512)
    mark = Mark.of(path, None)
    assert mark.change() is None
    path.rename(tmp_path / "moved")
    path.symlink_to("moved")
    assert mark.change() is None, "it is the very file, by another way"
    os.truncate(path, 1024)
    assert mark.change() is Change.WRITTEN
    path.unlink()
    path.symlink_to("disk")
    assert mark.change() is Change.GONE
    path.unlink()
    path.write_bytes(b"x" * 512)
    assert mark.change() is Change.REPLACED
