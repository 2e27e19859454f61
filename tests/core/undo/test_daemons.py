"""A daemon that does not hear SIGTERM is ended all the same."""

import time
from pathlib import Path

import pytest

from core import host
from core.command import Command
from core.runner import SystemRunner
from core.undo import stack as stacks
from core.undo.pairs import DaemonKind, Pair
from core.undo.stack import Stack
from core.undo.state import StateFolder


@pytest.mark.hostile(57)
def test_a_deaf_daemon_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "PATIENCE", 0.2)
    state = StateFolder(tmp_path / "state")
    journal = state.begin(state.new_folder(), "disk")
    stack = Stack(journal, SystemRunner())
    point = tmp_path / "view"
    deaf = 'trap "" TERM; exec -a deaf tail -f /dev/null -- "$0"'
    do = Command(("bash", "-c", deaf, f"mountpoint={point}"), why="w", effect="e", background=True)
    facts = DaemonKind.facts(point, "deaf", f"mountpoint={point}", "kill")

    def start(pair: Pair) -> None:
        stack.runner.start(pair.do, tmp_path / "log")
        while not host.running("deaf", str(point)):
            time.sleep(0.01)

    stack.put_up(Pair("fuse-export", do, str(point), facts=lambda: facts), start)
    [pid] = host.running("deaf", str(point))
    [release] = stack.release_to()
    assert release.released, release.note
    assert host.started(pid) is None
    journal.close()
