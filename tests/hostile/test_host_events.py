"""Rows 49, 51, 56, 60 and 61: what happens to the host while a disk is worked on."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core import host, loops, mounts
from core.files import delivery
from core.files.destination import Destination
from core.files.progress import Meter, Progress
from core.runner import SystemRunner
from core.session import Session
from core.undo import journal as journals
from core.undo.state import StateFolder
from tests.conftest import Guard, Program, needs_root
from tests.tui.wizard import on, reads, shown, until, wizard
from tui.flow import Flow
from tui.screens import progress as progress_screen
from tui.screens.files import FilesScreen
from tui.screens.partitions import PartitionsScreen
from tui.screens.progress import ProgressScreen
from tui.screens.protect import ProtectScreen
from tui.screens.trouble import TroubleScreen
from tui.screens.volume import VolumeScreen

pytestmark = needs_root

ROOT = Path(__file__).parents[2]


@pytest.fixture
def qcow2(source: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "disks"
    folder.mkdir(exist_ok=True)
    return Path(shutil.copy2(source / "disk.qcow2", folder))


@contextmanager
def _tmpfs(place: Path, options: str) -> Iterator[Path]:
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


# -- 51: the journal cannot be written --------------------------------------------------------------------


@pytest.mark.hostile(51)
@pytest.mark.parametrize("verb", ["ls", "mount", "copy", "inspect"])
def test_without_room_for_the_journal_nothing_is_put_up(
    verb: str, qcow2: Path, state_dir: Path, tmp_path: Path, program: Program, guard: Guard
) -> None:
    guard.watch(qcow2)
    where = {"inspect": [], "ls": ["disk"], "mount": ["disk", tmp_path / "m"]}
    words = where.get(verb, ["disk", "/", tmp_path / "out"])
    with _tmpfs(state_dir, "size=64k"):
        (state_dir / "ballast").write_bytes(bytes(64 << 10))
        called = program(verb, qcow2, *words)
        assert called.status == 1, called
        assert "No space left" in called.err
        assert str(state_dir) in called.err
        assert "nothing is changed on this host" in called.err.lower()
        assert "--state-dir" in called.err
        assert not host.running("qemu-storage-daemon", str(state_dir))
        assert guard.left_behind() == [one for one in guard.left_behind() if str(state_dir) in one]
        assert not [path for path in (state_dir / "sessions").rglob("*") if path.is_file()]
    assert not (tmp_path / "m").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.hostile(51)
def test_a_read_only_state_folder_puts_nothing_up(
    disk: Path, state_dir: Path, tmp_path: Path, program: Program, guard: Guard
) -> None:
    with _tmpfs(state_dir, "size=64k"):
        subprocess.run(["mount", "-o", "remount,ro", state_dir], check=True)
        called = program("mount", "--format", "raw", disk, "disk", tmp_path / "m")
        assert called.status == 1, called
        assert "Read-only file system" in called.err
        assert "--state-dir" in called.err
        assert program("status").status == 0
    assert not (tmp_path / "m").exists()


@pytest.mark.hostile(51)
def test_a_journal_that_fills_up_on_the_way_takes_down_what_is_up(
    qcow2: Path, state_dir: Path, tmp_path: Path, program: Program, guard: Guard
) -> None:
    """Whatever the room that is left: it is refused with a sentence and nothing stays up, or it works."""
    ended = set()
    for pages in range(1, 6):
        with _tmpfs(state_dir, f"size={pages * 4}k,nr_inodes=40"):
            called = program("ls", qcow2, "disk")
            ended.add(called.status)
            assert called.status in (0, 1), called
            if called.status:
                assert "space" in called.err, called
            assert program("undo", "--all").status in (0, 1)
            assert not host.running("qemu-storage-daemon", str(state_dir))
            assert [one for one in mounts.below(state_dir) if Path(one.point) != state_dir] == []
            assert not [one for one in loops.loops() if str(state_dir) in one.backing]
    assert 1 in ended


# -- 56: a second instance, another user --------------------------------------------------------------------


@pytest.mark.hostile(56)
def test_another_user_neither_sees_nor_takes_down(
    disk: Path, state_dir: Path, tmp_path: Path, program: Program, guard: Guard
) -> None:
    """Their state folder is their own; ours is closed to them, and said to be."""
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed")
    point = tmp_path / "m"
    assert program("mount", "--format", "raw", disk, "disk", point).status == 0

    def nobody(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"),
                *(sys.executable, "-m", "tui.main", *map(str, words)),
            ],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "HOME": str(tmp_path / "nobody"), "PYTHONDONTWRITEBYTECODE": "1"},
        )

    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder not in (Path("/"), Path("/tmp")):
            folder.chmod(folder.stat().st_mode | 0o055)
    (tmp_path / "nobody").mkdir()
    os.chown(tmp_path / "nobody", 65534, 65534)
    state_dir.chmod(0o700)
    for call in (("status",), ("undo", "--all"), ("inspect", "--format", "raw", disk)):
        theirs = nobody(*call, "--state-dir", state_dir)
        assert "Traceback" not in theirs.stderr
        assert "mistake in virt-salvage" not in theirs.stderr, theirs.stderr
        assert "Permission denied" in theirs.stdout + theirs.stderr or theirs.returncode, theirs
        own = nobody(*call)
        assert "Traceback" not in own.stderr and "mistake" not in own.stderr, own.stderr
    assert (point / "f0").exists()
    assert program("undo", "--all").status == 0
    assert not point.exists()


# -- 60: a target that stalls ----------------------------------------


@contextmanager
def _frozen(mount: Path) -> Iterator[Callable[[], None]]:
    """A target whose writes do not return, as over a network that is gone, until the given call."""
    thawed = threading.Event()

    def thaw() -> None:
        if not thawed.is_set():
            thawed.set()
            subprocess.run(["fsfreeze", "--unfreeze", mount], check=True)

    subprocess.run(["fsfreeze", "--freeze", mount], check=True)
    deadline = threading.Timer(60, thaw)
    deadline.start()
    try:
        yield thaw
    finally:
        deadline.cancel()
        thaw()


@pytest.fixture
def target(guard: Guard, tmp_path: Path) -> Iterator[Path]:
    """A file system that can be frozen."""
    if not shutil.which("fsfreeze"):
        pytest.skip("fsfreeze is not installed")
    image, point = tmp_path / "target.img", tmp_path / "target"
    point.mkdir()
    with open(image, "xb") as file:
        file.truncate(24 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, point], check=True)
    yield point
    subprocess.run(["umount", point], check=True)
    mounts.wait_until(
        lambda: str(image) not in [one.backing for one in loops.loops()], 10, lambda: False
    )  # the kernel frees it a moment later


@pytest.mark.hostile(60)
async def test_a_target_that_stalls_leaves_the_screen_alive(
    disk: Path, target: Path, tmp_path: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.watch(disk)
    monkeypatch.setattr(progress_screen, "SILENT", 1.0)
    monkeypatch.setattr(delivery, "lacking", lambda _target: "")  # it stalls once the copy has begun
    async with wizard(tmp_path / "state", disk) as pilot:
        flow: Flow = pilot.app.flow  # type: ignore[attr-defined]
        await on(pilot, ProtectScreen)
        await pilot.press("1")
        await on(pilot, PartitionsScreen)
        await pilot.press("enter")
        await on(pilot, VolumeScreen)
        await pilot.press("1")
        await on(pilot, FilesScreen)
        flow.target = Destination("folder", target / "out")
        (target / "out").mkdir(mode=0o700)
        with _frozen(target) as thaw:
            await pilot.press("down", *["space"] * 6, "y")
            await until(pilot, lambda: isinstance(pilot.app.screen, ProgressScreen))
            began = time.monotonic()
            await until(pilot, lambda: "does not answer" in reads(pilot, "#status"), "a word on the silence")
            await pilot.press("question_mark")
            await until(pilot, lambda: "What it is" in shown(pilot))
            await pilot.press("escape", "escape")
            await until(pilot, lambda: "Stopping..." in reads(pilot, "#status"))
            assert time.monotonic() - began < 10, "the screen answers while the target does not"
            thaw()
            await on(pilot, TroubleScreen)
            assert "Stopped as asked" in shown(pilot)
        assert not [path for path in (target / "out").rglob("*") if path.is_file() and "part" in path.name]


@pytest.mark.hostile(60)
def test_a_copy_to_a_target_that_stalls_hears_the_wish_to_stop(
    disk: Path, target: Path, state_dir: Path, guard: Guard
) -> None:
    """As soon as the target answers again: no signal but SIGKILL reaches a write that hangs."""
    guard.watch(disk)
    argv = ["--state-dir", state_dir, "copy", "--format", "raw", disk, "disk", "/", target / "out"]
    (target / "out").mkdir(mode=0o700)
    with _frozen(target) as thaw:
        running = subprocess.Popen(
            [sys.executable, "-m", "tui.main", *argv], stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
        mounts.wait_until(
            lambda: all(_waits(running.pid) for _look in range(10)), 20, lambda: running.poll() is not None
        )
        running.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(0.3)
        thaw()
        _out, err = running.communicate(timeout=20)
    assert running.returncode == 130, err
    assert os.listdir(state_dir / "sessions") == []


def _waits(pid: int) -> bool:
    """Whether a thread of the program waits for the kernel and nothing else: state D of proc(5)."""
    time.sleep(0.02)
    states = [
        path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{pid}/task").glob("*/stat")
    ]
    return "D" in states


# -- 61: the clock jumps ----------------------------------------


class Clock:
    """A clock of the host that somebody sets while we work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shift = 0.0
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + self.shift)


@pytest.mark.hostile(61)
@pytest.mark.parametrize("jump", [-1e8, 1e8])
def test_rate_and_time_left_do_not_follow_the_clock(jump: float, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    seen: list[Progress] = []
    meter = Meter(seen.append, 1, 100 << 20)
    meter.begin(b"big", 100 << 20)
    for step in range(6):
        if step == 3:
            clock.shift = jump
        time.sleep(0.11)
        meter.add(1 << 20)
    rates = [one.rate for one in seen if one.rate]
    assert len(rates) >= 4
    assert max(rates) < 4 * min(rates)
    assert all(one.seconds_left is None or 1 < one.seconds_left < 100 for one in seen)


@pytest.mark.hostile(61)
def test_the_last_put_up_is_the_first_taken_down_whatever_the_clock_says(
    state_dir: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is set back between two sessions, and the second stands on the first."""
    clock = Clock(monkeypatch)
    state = StateFolder(state_dir)
    names = ["b-first", "a-second", "c-third"]
    for name in names:
        journal = state.begin(state.sessions / name, f"/srv/{name}")
        journal.append("kept")
        journal.close()
        clock.shift -= 1e7
    assert [one.account.session for one in state.known()] == names
    began = [one.account.began for one in state.known()]
    assert began == sorted(began, reverse=True), "the clock did go back"
    told = json.loads(program("status", "--json").out)["sessions"]
    assert [one["id"] for one in told] == names
    account = journals.read(state.sessions / names[0] / journals.NAME)
    assert not account.of_other_boot


@pytest.mark.hostile(61)
def test_a_jump_within_a_session_changes_nothing(
    disk: Path, state_dir: Path, tmp_path: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.watch(disk)
    clock = Clock(monkeypatch)
    with Session(StateFolder(state_dir), SystemRunner(), private=False) as session:
        session.select(str(disk), "raw")
        clock.shift = -1e9
        session.open("disk", tmp_path / "m")
        clock.shift = 1e9
        copied = session.copy([b"/"], tmp_path / "out", lambda _progress: None)
        assert 0 <= copied.seconds < 60
    assert os.listdir(state_dir / "sessions") == []


# -- 49: a terminal that changes its size without end ----------------------------------------


@pytest.mark.hostile(49)
async def test_a_storm_of_sizes_loses_nothing(disk: Path, tmp_path: Path, guard: Guard) -> None:
    """From one column to very many, while work goes on; afterwards the screen is drawn as ever."""
    sizes = [(1, 1), (200, 3), (2, 50), (80, 24), (20, 5), (7, 7)]
    async with wizard(tmp_path / "state", disk) as pilot:
        await on(pilot, ProtectScreen)
        await pilot.press("1")
        for turn in range(18):
            await pilot.resize_terminal(*sizes[turn % len(sizes)])
        await pilot.resize_terminal(80, 24)
        await on(pilot, PartitionsScreen)
        await pilot.press("enter")
        await on(pilot, VolumeScreen)
        await pilot.press("1")
        for turn in range(18):
            await pilot.resize_terminal(*sizes[turn % len(sizes)])
        await pilot.resize_terminal(80, 24)
        await on(pilot, FilesScreen)
        await until(pilot, lambda: "f3" in shown(pilot))
