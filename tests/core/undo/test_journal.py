"""The journal: what was written is read again, whatever happened to the file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import SalvageError
from core.undo import journal as journals
from core.undo.journal import Journal, lives, read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "20260101-000000-abcd"
    made.mkdir()
    return made


def _written(folder: Path) -> Journal:
    journal = Journal.begin(folder, "/srv/web01.qcow2")
    journal.append(
        "intent", n=1, what="loop", target="", on=[], why="because", do="losetup", undo=["x"], facts={"a": 1}
    )
    journal.append(
        "done", n=1, target="/dev/loop7", undo=["losetup --detach /dev/loop7"], identity={"sequence": 9}
    )
    journal.append(
        "intent", n=2, what="mount", target="/mnt/a", on=["/dev/loop7"], why="w", do="m", undo=[], facts={}
    )
    return journal


def test_what_was_put_up_is_read_again(folder: Path) -> None:
    _written(folder).close()
    account = read(folder / journals.NAME)
    assert account.session == folder.name
    assert account.disk == "/srv/web01.qcow2"
    assert [(e.what, e.target, e.state) for e in account.entries] == [
        ("loop", "/dev/loop7", "held"),
        ("mount", "/mnt/a", "intended"),
    ]
    assert [entry.number for entry in account.standing] == [2, 1]
    assert account.entries[0].undo == ("losetup --detach /dev/loop7",)


@pytest.mark.parametrize(
    ("target", "named"), [("/dev/nbd0", "nbd device"), ("/state/sessions/one/joined-1.nbd", "server")]
)
def test_what_serves_over_a_socket_is_called_no_device(folder: Path, target: str, named: str) -> None:
    journal = Journal.begin(folder, "/srv/web01.qcow2")
    journal.append(
        "intent", n=1, what="nbd", target=target, on=[], why="w", do="d", undo=["kill 7"], facts={}
    )
    assert [entry.named for entry in journal.account().standing] == [named]


def test_released_things_do_not_stand(folder: Path) -> None:
    journal = _written(folder)
    journal.append("released", n=2)
    journal.append("stuck", n=1, error="busy")
    account = journal.account()
    assert [(entry.number, entry.state, entry.error) for entry in account.standing] == [(1, "failed", "busy")]


@pytest.mark.hostile(50)
@pytest.mark.parametrize("cut", range(2, 60, 7))
def test_a_torn_last_line_is_passed_over(folder: Path, cut: int) -> None:
    _written(folder).close()
    path = folder / journals.NAME
    os.truncate(path, path.stat().st_size - cut)
    account = read(path)
    assert [entry.number for entry in account.entries] == [1]
    assert account.damaged == 1


@pytest.mark.hostile(50)
def test_writing_goes_on_after_a_torn_line(folder: Path) -> None:
    _written(folder).close()
    path = folder / journals.NAME
    os.truncate(path, path.stat().st_size - 5)
    journal = Journal.adopt(path)
    assert journal
    journal.append("released", n=1)
    assert journal.account().entries[0].state == "released"


def test_a_changed_line_does_not_count(folder: Path) -> None:
    _written(folder).close()
    path = folder / journals.NAME
    path.write_bytes(path.read_bytes().replace(b"/dev/loop7", b"/dev/loop0"))
    account = read(path)
    assert account.damaged >= 1
    assert account.entries[0].target == ""


def test_the_lock_tells_the_living_from_the_dead(folder: Path) -> None:
    journal = _written(folder)
    assert lives(journal.path)
    assert Journal.adopt(journal.path) is None
    journal.close()
    assert not lives(journal.path)


def test_the_lock_goes_with_a_killed_process(folder: Path) -> None:
    script = (
        "import sys, os; from pathlib import Path; from core.undo.journal import Journal;"
        "Journal.begin(Path(sys.argv[1]), 'd'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(folder)], check=False)
    assert not lives(folder / journals.NAME)


@pytest.mark.hostile(51)
def test_a_full_medium_stops_before_anything_changes(folder: Path) -> None:
    journal = Journal(folder / journals.NAME, os.open("/dev/full", os.O_WRONLY))
    with pytest.raises(SalvageError) as caught:
        journal.append("kept")
    assert "nothing is changed" in caught.value.paragraph()
