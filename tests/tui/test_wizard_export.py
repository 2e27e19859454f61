"""The export dies under the wizard: it is noticed within a second or so, told, and taken down."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from core import host
from core.undo.health import ExportEnded
from tests.conftest import Guard, needs_root
from tests.tui.wizard import Wizard, choose, on, shown, until, wizard
from tui.app import SalvageApp
from tui.flow import Flow
from tui.screens.files import FilesScreen
from tui.screens.partitions import PartitionsScreen
from tui.screens.protect import ProtectScreen
from tui.screens.trouble import TroubleScreen
from tui.screens.volume import VolumeScreen

pytestmark = needs_root


@pytest.fixture
def disk(tmp_path: Path, guard: Guard) -> Path:
    raw, disk = tmp_path / "disk.raw", tmp_path / "disk.qcow2"
    with open(raw, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", raw], check=True)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, disk], check=True)
    guard.watch(disk)
    return disk


def _flow(pilot: Wizard) -> Flow:
    assert isinstance(pilot.app, SalvageApp)
    return pilot.app.flow


@pytest.mark.hostile(57)
async def test_it_is_noticed_told_and_taken_down(disk: Path, tmp_path: Path, guard: Guard) -> None:
    state = tmp_path / "state"
    async with wizard(state, disk) as pilot:
        await on(pilot, ProtectScreen)
        await choose(pilot, "read")
        await on(pilot, PartitionsScreen)
        await pilot.press("enter")
        await on(pilot, VolumeScreen)
        await choose(pilot, "loop")
        await on(pilot, FilesScreen)
        [pid] = host.running("qemu-storage-daemon", str(state))
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        await on(pilot, TroubleScreen)
        assert time.monotonic() - killed < 4, "looked at each second, and the taking down"
        screen = pilot.app.screen
        assert isinstance(screen, TroubleScreen)
        assert isinstance(screen.error, ExportEnded)
        await until(pilot, lambda: "daemon" in shown(pilot))
        assert not _flow(pilot).standing
        assert guard.left_behind() == []
        await pilot.press("escape")
        await on(pilot, ProtectScreen)
        await choose(pilot, "read")
        await on(pilot, PartitionsScreen)
        await until(pilot, lambda: _flow(pilot).view_open)
    assert _flow(pilot).proof
    assert guard.left_behind() == []
