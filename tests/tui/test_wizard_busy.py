"""A mount in sight that somebody holds, in the wizard: who, how and where, and what can be done."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core import mounts
from tests.conftest import needs_root
from tests.tui.wizard import Wizard, choose, on, refused, shown, until, wizard
from tui.screens.busy import BusyScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.leftovers import LeftoversScreen
from tui.screens.menu import Menu

pytestmark = needs_root


@contextmanager
def holder(point: Path, code: str = "exec sleep 60") -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sh", "-c", f"echo; {code}"], cwd=point, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def _in_words(pilot: Wizard) -> str:
    return " ".join(shown(pilot).replace("┃", " ").split())


async def _stuck(pilot: Wizard) -> None:
    """Undo what the earlier session left; the screen that says who holds it."""
    pilot.app.push_screen(LeftoversScreen())
    await on(pilot, LeftoversScreen)
    await until(pilot, lambda: pilot.app.screen.query_one(Menu).option_count == 1)
    await pilot.press("enter")
    await on(pilot, ConfirmScreen)
    await choose(pilot, "undo")
    await on(pilot, BusyScreen)


async def test_what_went_with_its_program_is_neither_counted_nor_listed(
    point: Path, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.screens.leftovers.is_gone", lambda entry: entry.what == "mount")
    async with wizard(state_dir, size=(100, 50)) as pilot:
        pilot.app.push_screen(LeftoversScreen())
        await on(pilot, LeftoversScreen)
        await until(pilot, lambda: "up since" in shown(pilot), "the list")
        numbers = [int(line.split()[0]) for line in shown(pilot).splitlines() if "up since" in line]
        assert numbers == sorted(numbers, reverse=True), "the last first"
        listed = len(numbers)
        assert f"{listed} thing{'s' if listed != 1 else ''} up" in _in_words(pilot)
        assert "mount, up since" not in shown(pilot)
        await pilot.press("enter")
        await on(pilot, ConfirmScreen)
        await choose(pilot, "undo")
        await until(pilot, lambda: f"Taken down: {listed}." in shown(pilot))


@pytest.mark.hostile(54)
async def test_the_holder_is_named_and_waited_for(point: Path, state_dir: Path) -> None:
    with holder(point) as one:
        async with wizard(state_dir) as pilot:
            await _stuck(pilot)
            assert f"sleep (pid {one.pid}, root) works in" in shown(pilot)
            for choice in (
                "Wait until it is free",
                "End the programs",
                "Take it out of sight",
                "Leave it up",
            ):
                assert choice in shown(pilot)
            await choose(pilot, "wait")
            await until(pilot, lambda: "Esc stops it" in shown(pilot))
            await pilot.pause(0.5)
            assert isinstance(pilot.app.screen, BusyScreen)
            one.kill()
            await on(pilot, LeftoversScreen)
            assert not mounts.at(point)


async def test_the_wait_is_stopped_by_esc(point: Path, state_dir: Path) -> None:
    with holder(point):
        async with wizard(state_dir) as pilot:
            await _stuck(pilot)
            await choose(pilot, "wait")
            await until(pilot, lambda: "Esc stops it" in shown(pilot))
            await pilot.press("escape")
            await on(pilot, BusyScreen)
            await pilot.press("escape")
            await on(pilot, LeftoversScreen)
            assert mounts.at(point)


async def test_ending_is_asked_twice_and_killing_again(
    point: Path, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.undo.patience.GRACE", 1.0)
    with holder(point, "trap '' TERM; exec sleep 60") as one:
        async with wizard(state_dir) as pilot:
            await _stuck(pilot)
            await choose(pilot, "end")
            menu = pilot.app.screen.query_one(Menu)
            assert menu.highlighted_option and menu.highlighted_option.id == "no"
            await choose(pilot, "end-surely")
            await until(pilot, lambda: "Kill them" in shown(pilot))
            assert one.poll() is None
            assert menu.highlighted_option and menu.highlighted_option.id == "no"
            await choose(pilot, "kill")
            await on(pilot, LeftoversScreen)
            assert one.wait(5) == -signal.SIGKILL
            assert not mounts.at(point)


async def test_out_of_sight_is_said_to_be_up_still(point: Path, state_dir: Path) -> None:
    with holder(point) as one:
        async with wizard(state_dir) as pilot:
            await _stuck(pilot)
            await choose(pilot, "lazy")
            await until(pilot, lambda: "its file system still lives" in _in_words(pilot))
            await on(pilot, BusyScreen)
            assert not mounts.at(point)
            assert f"(pid {one.pid}, root)" in shown(pilot)
            assert "Take it out of sight" not in shown(pilot)
            one.kill()
            await choose(pilot, "again")
            await on(pilot, LeftoversScreen)


async def test_what_no_program_holds_cannot_be_ended(point: Path, state_dir: Path, tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "theirs", point / "lost+found"], check=True)
    try:
        async with wizard(state_dir) as pilot:
            await _stuck(pilot)
            assert "theirs is mounted below it at" in shown(pilot)
            assert refused(pilot, "end")
            assert refused(pilot, "lazy")
            assert mounts.at(point)
    finally:
        subprocess.run(["umount", point / "lost+found"], check=True)
