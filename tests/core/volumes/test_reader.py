"""Who reads a file system: the kernel, or a program where the kernel cannot or does not want to."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core import host
from core.runner import SystemRunner
from core.session import Session
from core.undo.state import StateFolder
from tests.conftest import Guard, needs_root

pytestmark = [
    needs_root,
    pytest.mark.skipif(
        not shutil.which("mkntfs") or not shutil.which("ntfs-3g") or host.kernel_reads("ntfs3"),
        reason="no driver here that is sure to refuse, or no program to take its place",
    ),
]


@pytest.mark.parametrize("private", [True, False])
def test_where_the_driver_refuses_the_program_is_tried(
    private: bool, tmp_path: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, point, state = tmp_path / "ntfs.raw", tmp_path / "m", tmp_path / "state"
    with open(disk, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkntfs", "-q", "-F", "-f", "-L", "data", disk], check=True, capture_output=True)
    guard.watch(disk)
    monkeypatch.setattr(host, "kernel_reads", lambda _system: True)

    def opens() -> None:
        with Session(StateFolder(state), SystemRunner()) as session:
            session.select(str(disk), "raw")
            session.open("disk", None if private else point)
            [mount] = [one for one in session.stack.standing if one.what == "mount"]
            assert "pid" in mount.identity, "by a daemon"
            with session.guest() as tree:
                assert tree.entries(b"/") is not None

    with ThreadPoolExecutor(1) as thread:
        thread.submit(opens).result()
    assert guard.left_behind() == []
