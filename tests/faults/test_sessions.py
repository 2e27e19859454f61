"""Several sessions at once, and what the next command does with one that died."""

import fcntl
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.host import running
from core.runner import SystemRunner
from core.undo.journal import NAME
from core.undo.state import Known, StateFolder
from tests.conftest import Called, Guard, Program, needs_root
from tests.faults.pipelines import SECRET, Place

pytestmark = needs_root

ROOT = Path(__file__).parents[2]
CRASH = Path(__file__).parent / "crash.py"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("sessions") / "w", 0)
    place.base.mkdir()
    place.make_disks()
    return place


@pytest.fixture(autouse=True)
def originals(place: Place, guard: Guard) -> None:
    guard.watch(place.disk("raw"), place.disk("qcow2"))


@contextmanager
def _standing(state: Path, place: Place, format: str, *targets: Path) -> Iterator[subprocess.Popen[str]]:
    """A program that has a volume open, and a file to write to."""
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.faults.standing"),
            *(str(state), str(place.disk(format)), format, *targets),
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        try:
            yield process
        finally:
            process.kill()


def _mount_and_die(place: Place, state: Path, point: Path) -> None:
    """A mount in everybody's sight whose program is killed before it is kept: a leftover."""
    mount = ["mount", str(place.disk("qcow2")), "disk", str(point)]
    lines = 10  # begin, and intent and done of export, folder, loop and mount come before `kept`
    crash = [sys.executable, str(CRASH), str(lines), "before", "--state-dir", str(state), *mount]
    assert subprocess.run(crash, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False).returncode == -9
    assert (point / "home/letter.txt").exists()


@pytest.mark.hostile(49)
@pytest.mark.hostile(56)
@pytest.mark.parametrize(("dying", "living"), [("qcow2", "qcow2"), ("raw", "qcow2"), ("qcow2", "raw")])
def test_killing_one_session_leaves_the_other_alone(
    place: Place, state_dir: Path, program: Program, guard: Guard, dying: str, living: str
) -> None:
    with _standing(state_dir, place, living) as one:
        with _standing(state_dir, place, dying) as other:
            other.kill()
        undone = program("undo", "--all")
        assert undone.status == 0, undone
        assert f"pid {one.pid}" in undone.err
        [known] = StateFolder(state_dir).known()
        assert known.alive
        said, _none = one.communicate("go\n", timeout=60)
        assert said == SECRET
        assert one.returncode == 0
    assert StateFolder(state_dir).known() == []
    assert guard.left_behind() == []


@pytest.mark.hostile(49)
def test_the_next_command_takes_down_what_a_dead_session_left(
    place: Place, state_dir: Path, program: Program, guard: Guard, tmp_path: Path
) -> None:
    assert program("mount", place.disk("raw"), "disk", tmp_path / "kept", "--format", "raw").status == 0
    _mount_and_die(place, state_dir, tmp_path / "left")
    dead = next(one.account.session for one in StateFolder(state_dir).known() if not one.account.kept)
    listed = program("ls", place.disk("qcow2"), "disk", "/home")
    assert listed.status == 0, listed
    assert dead in listed.err
    assert f"{tmp_path / 'left'}: taken down." in listed.err
    assert not (tmp_path / "left").exists()
    assert not running("qemu-storage-daemon", str(state_dir))
    assert (tmp_path / "kept/home/letter.txt").read_text() == SECRET
    [session] = json.loads(program("status", "--json").out)["sessions"]
    assert session["kept"]
    undone = program("undo", "--all")
    assert undone.status == 0, undone.out + undone.err
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("options", [(), ("--writable",)])
def test_a_session_at_work_does_not_hold_what_another_left_up(
    place: Place, state_dir: Path, program: Program, guard: Guard, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Its private namespace began with copies of all mounts, and a copy keeps a loop device up."""
    mount = ("mount", place.disk("raw"), "disk", tmp_path / "m", "--format", "raw", *options)
    assert program(*mount).status == 0
    with _standing(state_dir, place, "qcow2") as one:
        undone = program("undo", "--all")
        assert undone.status == 0, undone.out + undone.err
        assert not (tmp_path / "m").exists()
        assert one.communicate("go\n", timeout=60)[0] == SECRET
    assert guard.left_behind() == []


def test_a_session_that_copies_onto_what_another_has_up_keeps_it(
    place: Place, state_dir: Path, program: Program, guard: Guard, tmp_path: Path
) -> None:
    point = tmp_path / "m"
    assert program("mount", place.disk("raw"), "disk", point, "--format", "raw", "--writable").status == 0
    with _standing(state_dir, place, "qcow2", point / "copied") as one:
        undone = program("undo", "--all")
        assert undone.status == 1, undone
        assert f"pid {one.pid}" in undone.out + undone.err
        assert (point / "copied").exists()
        assert one.communicate("go\n", timeout=60)[0] == SECRET
    assert (point / "copied").read_text() == SECRET
    assert program("undo", "--all").status == 0
    assert guard.left_behind() == []


@pytest.mark.hostile(56)
def test_many_commands_at_once_clean_up_one_leftover(
    place: Place, state_dir: Path, program: Program, guard: Guard, tmp_path: Path
) -> None:
    """Only one of them can take it down; the others go on with their own work."""

    def listing(_number: int) -> Called:
        return program("ls", place.disk("qcow2"), "disk", "/home")

    _mount_and_die(place, state_dir, tmp_path / "left")
    with ThreadPoolExecutor(6) as threads:
        done = list(threads.map(listing, range(6)))
    assert [one.status for one in done] == [0] * 6, done
    assert all("letter.txt" in one.out for one in done)
    assert sum("taken down" in one.err for one in done) == 1
    assert not (tmp_path / "left").exists()
    assert StateFolder(state_dir).known() == []
    assert guard.left_behind() == []


@pytest.mark.hostile(56)
def test_many_undos_at_once(
    place: Place, state_dir: Path, program: Program, guard: Guard, tmp_path: Path
) -> None:
    assert program("mount", place.disk("qcow2"), "disk", tmp_path / "m", "--writable").status == 0
    with ThreadPoolExecutor(6) as threads:
        done = list(threads.map(lambda _n: program("undo", "--all"), range(6)))
    assert [one.status for one in done] == [0] * 6, done
    assert not (tmp_path / "m").exists()
    assert StateFolder(state_dir).known() == []


@pytest.fixture
def dead(place: Place, state_dir: Path, tmp_path: Path) -> Known:
    _mount_and_die(place, state_dir, tmp_path / "left")
    [known] = StateFolder(state_dir).leftovers()
    return known


def test_what_another_took_down_meanwhile_is_no_error(dead: Known, state_dir: Path) -> None:
    state = StateFolder(state_dir)
    assert all(release.released for release in state.undo(dead, SystemRunner()))
    assert state.undo(dead, SystemRunner()) == []


@pytest.mark.hostile(56)
def test_what_another_takes_down_now_is_left_to_it(dead: Known, state_dir: Path, tmp_path: Path) -> None:
    state = StateFolder(state_dir)
    with open(state.sessions / dead.account.session / NAME) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert state.undo(dead, SystemRunner()) == []
        assert (tmp_path / "left/home").exists()
    assert len(state.undo(dead, SystemRunner())) == 4
    assert not (tmp_path / "left").exists()


def test_somebody_who_only_looks_hinders_no_undo(dead: Known, state_dir: Path) -> None:
    state = StateFolder(state_dir)
    with open(state.sessions / dead.account.session / NAME) as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        threading.Timer(0.05, fcntl.flock, (other, fcntl.LOCK_UN)).start()
        assert len(state.undo(dead, SystemRunner())) == 4
