"""The script that the wizard saves beside a copy: run, it does the same by hand."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from core.lab import catalogue, labs
from core.runner import SystemRunner
from tests.compare_trees import differences
from tests.conftest import Guard, needs_root
from tests.tui.test_wizard_road import flow_of, to_files, type_target
from tests.tui.wizard import Wizard, choose, on, reads, refused, until, wizard
from tui.keeping import SCRIPT, TRANSCRIPT
from tui.screens.done import DoneScreen
from tui.screens.files import FilesScreen

pytestmark = needs_root
RECORDS = [b"SHA256SUMS", b"salvage-report.json", b"salvage-report.md", b"salvage-report.html"]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab it's")  # a name that wants quoting
    return labs.start(catalogue.built_in()[0], folder, SystemRunner(), seed=1)


async def copied(pilot: Wizard, target: Path, kind: str = "folder") -> None:
    """Mark the first entry and copy it to `target`."""
    await to_files(pilot, "overlay")
    await pilot.press("space", "t")
    await type_target(pilot, target, kind)
    await on(pilot, FilesScreen)
    await pilot.press("y")
    await on(pilot, DoneScreen)


async def kept(pilot: Wizard) -> None:
    await choose(pilot, "keep")
    await until(pilot, lambda: "Beside the report" in reads(pilot, "#status"), "that it was saved")
    await on(pilot, DoneScreen)


async def test_the_saved_script_copies_the_same(disk: Path, tmp_path: Path, guard: Guard) -> None:
    guard.watch(disk)
    out = tmp_path / "out"
    async with wizard(tmp_path / "state", disk) as pilot:
        await copied(pilot, out)
        assert "Still up: " in reads(pilot, "#up")
        await kept(pilot)
        await kept(pilot)  # once more: nothing is written over
    names = {SCRIPT, TRANSCRIPT}
    again = {"salvage-by-hand-2.sh", "salvage-transcript-2.txt"}
    assert names | again <= set(os.listdir(out))
    assert stat.S_IMODE((out / SCRIPT).stat().st_mode) == 0o700
    assert "exit status 0" in (out / TRANSCRIPT).read_text()
    one = out.rename(tmp_path / "one")
    subprocess.run(["bash", "-n", str(one / SCRIPT)], check=True)
    done = subprocess.run([one / SCRIPT], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert not (tmp_path / "state/by-hand").exists()
    for name in names | again:
        (one / name).unlink()
    assert differences(one, out, RECORDS) == []
    assert (out / "home").is_dir()


async def test_beside_an_archive_and_not_without_the_volume(disk: Path, tmp_path: Path, guard: Guard) -> None:
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await copied(pilot, tmp_path / "out.tar", "tar")
        await kept(pilot)
        assert (tmp_path / f"out.tar.{SCRIPT}").is_file()
        assert flow_of(pilot).volume_open
        await pilot.press("a")
        await until(pilot, lambda: not flow_of(pilot).standing, "that all is down")
        await on(pilot, DoneScreen)
        assert refused(pilot, "keep")


async def test_a_folder_that_is_gone_is_told(disk: Path, tmp_path: Path, guard: Guard) -> None:
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await copied(pilot, tmp_path / "out")
        (tmp_path / "out").rename(tmp_path / "moved")
        await choose(pilot, "keep")
        await until(pilot, lambda: type(pilot.app.screen).__name__ == "TroubleScreen", "the trouble")
        await pilot.press("escape")
        await on(pilot, DoneScreen)
