"""Somebody removes the state folder while a session is at work."""

import shutil
from pathlib import Path

from core.runner import SystemRunner
from core.session import Session
from core.undo.state import StateFolder
from tests.conftest import Guard


def test_the_session_ends_all_the_same(tmp_path: Path, guard: Guard) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(bytes(1 << 20))
    guard.watch(disk)
    session = Session(StateFolder(tmp_path / "state"), SystemRunner())
    session.select(str(disk), "raw")
    session.view()
    assert session.touched
    shutil.rmtree(tmp_path / "state")
    session.close()
