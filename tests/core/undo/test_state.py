"""The state folder: whatever became of it, looking into it never fails, and what is half begun goes."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import SalvageError
from core.runner import SystemRunner
from core.undo import journal as journals
from core.undo.account import Account, Entry
from core.undo.journal import Journal
from core.undo.live import Seen
from core.undo.stack import Stack
from core.undo.state import Known, StateFolder


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


def _folder(state: StateFolder, name: str, *files: str) -> Path:
    folder = state.sessions / name
    folder.mkdir(parents=True)
    for file in files:
        (folder / file).write_bytes(b"\x00\xff rubbish\n{}\n[]\n1\n")
    return folder


def test_nothing_there_is_nothing_known(state: StateFolder) -> None:
    assert state.known() == []
    assert state.problems() == []
    assert state.unaccounted() == []
    state.sweep()
    assert not state.path.exists()


@pytest.mark.parametrize("place", ["state", "state/sessions"])
def test_a_file_in_the_place_of_a_folder(place: str, state: StateFolder, tmp_path: Path) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("x")
    assert state.known() == []
    assert len(state.problems()) == 1
    state.sweep()
    with pytest.raises(SalvageError, match="cannot be used"):
        state.begin(state.new_folder(), "/srv/disk")


def test_journals_of_every_kind_of_damage(state: StateFolder) -> None:
    _folder(state, "20260101-000000-aaaa", journals.NAME)
    (_folder(state, "20260101-000000-bbbb") / journals.NAME).mkdir()
    (_folder(state, "20260101-000000-cccc") / journals.NAME).symlink_to("nowhere")
    _folder(state, "20260101-000000-dddd", "overlay.qcow2")
    (_folder(state, "20260101-000000-eeee") / journals.NAME).touch()
    known = {one.account.session[-4:]: one for one in state.known()}
    assert set(known) == {"aaaa", "eeee"}
    assert known["aaaa"].account.damaged > 0
    problems = state.problems()
    assert len(problems) == 3
    assert any("bbbb" in line and "Is a directory" in line for line in problems)
    assert any("dddd" in line and "no journal" in line for line in problems)


def test_what_was_killed_before_its_journal_began_goes(state: StateFolder) -> None:
    empty = _folder(state, "20260101-000000-aaaa")
    half = _folder(state, "20260101-000000-bbbb", journals.NEW)
    with_files = _folder(state, "20260101-000000-cccc", "overlay.qcow2")
    state.sweep()
    assert not empty.exists()
    assert not half.exists()
    assert with_files.exists(), "somebody must look at what lost its journal"


def test_nothing_goes_while_another_session_begins(state: StateFolder) -> None:
    beginning = _folder(state, "20260101-000000-aaaa")
    descriptor = os.open(state.sessions, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    state.sweep()
    assert beginning.exists()
    os.close(descriptor)
    state.sweep()
    assert not beginning.exists()


def test_beginning_and_sweeping_at_once(tmp_path: Path) -> None:
    """Twenty sessions begin while another process sweeps without a pause: each gets its journal."""
    state = StateFolder(tmp_path)
    state.sessions.mkdir()
    script = (
        "import sys; from pathlib import Path; from core.undo.state import StateFolder\n"
        "state = StateFolder(Path(sys.argv[1])); print('ready', flush=True)\n"
        "while True: state.sweep(); [state.undo(one, None) for one in state.leftovers()]"
    )
    sweeper = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert sweeper.stdout
        sweeper.stdout.readline()
        for _turn in range(20):
            folder = state.new_folder()
            journal = state.begin(folder, "/srv/disk")
            journal.append("kept")
            assert journal.account().boot
            state.forget(journal)
            journal.close()
        assert sweeper.poll() is None
    finally:
        sweeper.kill()
        sweeper.communicate()


@pytest.mark.hostile(51)
def test_a_session_that_cannot_begin_leaves_nothing(
    state: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SalvageError):
        state.begin(state.new_folder(), "/srv/disk")
    monkeypatch.undo()
    assert os.listdir(state.sessions) == []


@pytest.mark.hostile(51)
def test_taking_down_goes_on_when_it_cannot_be_written_down(state: StateFolder) -> None:
    journal = state.begin(state.new_folder(), "/srv/disk")
    journal.close()
    full = Journal(journal.path, os.open("/dev/full", os.O_WRONLY))
    full.append("released", n=1)
    assert full.unwritten
    with pytest.raises(SalvageError):
        full.append("intent", n=2)
    full.close()


def test_what_stops_taking_down_is_not_taken_for_a_full_state_folder(
    state: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.begin(state.new_folder(), "/srv/disk").close()

    def gone(*_arguments: object, **_named: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "/proc/12/task")

    monkeypatch.setattr(Stack, "release_to", gone)
    with pytest.raises(SalvageError) as told:
        state.undo(state.known()[0], SystemRunner())
    assert "Taking down stopped" in str(told.value)
    assert "/proc/12/task" in str(told.value)
    assert state.known()


def test_the_oldest_comes_first_whatever_its_name(state: StateFolder) -> None:
    for name in ("20260101-000000-ffff", "20260101-000000-0000"):
        state.begin(state.sessions / name, "/srv/disk").close()
    assert [one.account.session[-4:] for one in state.known()] == ["ffff", "0000"]


@pytest.mark.parametrize("what", ["lv", "luks", "md"])
def test_a_mapping_that_a_journal_tells_of_is_accounted_for(
    what: str, state: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name nobody can tell what a mapping is for."""
    folder = state.new_folder()
    name = f"virt-salvage-{folder.name}-3"
    seen = [Seen(folder.name, "lv", f"/dev/mapper/{one}", ()) for one in (name, f"{name}1")]
    monkeypatch.setattr("core.undo.state.seen", lambda _sessions: seen)
    up = Entry(1, what, f"/dev/mapper/{name}", "held", "w", 0.0, ())
    known = Known(Account(folder.name, "/srv/disk", "", 1, 0, 0.0, (up,)), alive=False)
    monkeypatch.setattr(StateFolder, "known", lambda _self: [known])
    assert state.unaccounted() == seen[1:]
