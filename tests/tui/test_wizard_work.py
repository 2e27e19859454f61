"""Work that takes its time: signs, stopping, one piece at a time."""

from collections.abc import Callable
from pathlib import Path

from core.errors import Cancelled
from core.files.progress import Progress
from tests.tui.wizard import on, reads, shown, until, wizard
from tui.app import SalvageApp
from tui.screens.confirm import ConfirmScreen
from tui.screens.disk import DiskScreen
from tui.screens.menu import Choice
from tui.screens.progress import ProgressScreen
from tui.screens.start import StartScreen
from tui.screens.trouble import TroubleScreen


def report(done: int) -> Progress:
    return Progress(done, 10, done << 20, 10 << 20, "home/x[@click=app.quit]\\x1b", 1, 2, 1e6, 700.0, 1)


def slow(app: SalvageApp, deaf: float) -> Callable[[Callable[[Progress], None]], None]:
    """A copy that reports and never ends; it hears the wish to stop, but needs `deaf` seconds to end."""
    token = app.flow.operator.cancel

    def job(hear: Callable[[Progress], None]) -> None:
        done = 0
        while not token.wait(0.02):
            done = min(9, done + 1)
            hear(report(done))
        app.flow.outside.cancel.wait(deaf)
        raise Cancelled("Stopped as asked.")

    return job


async def test_stopping_is_said_until_it_has_stopped(tmp_path: Path) -> None:
    async with wizard(tmp_path / "state") as pilot:
        await on(pilot, StartScreen)
        app = pilot.app
        assert isinstance(app, SalvageApp)
        screen = ProgressScreen("Copying", slow(app, 1.5), lambda _none: None, step=5)
        app.push_screen(screen)
        await until(pilot, lambda: "about 12 min" in shown(pilot))
        assert "ERROR" in shown(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: "Stopping..." in reads(pilot, "#status"))
        await pilot.press("escape", "escape")
        await pilot.pause(0.3)
        assert app.screen is screen
        await on(pilot, TroubleScreen)
        await until(pilot, lambda: "Stopped as asked" in shown(pilot))
        await pilot.press("escape")
        await on(pilot, StartScreen)


async def test_long_work_shows_a_sign_and_keys_still_work(tmp_path: Path) -> None:
    async with wizard(tmp_path / "state") as pilot:
        await on(pilot, StartScreen)
        app = pilot.app
        assert isinstance(app, SalvageApp)
        start = app.screen
        assert isinstance(start, StartScreen)
        ended: list[str] = []
        token = app.flow.operator.cancel
        start.work("Looking far away.", lambda: token.wait(60), lambda _ended: ended.append("first"))
        start.work("Never heard.", lambda: None, lambda _none: ended.append("second"))
        await until(pilot, lambda: "Looking far away." in reads(pilot, "#status"))
        await pilot.press("question_mark")
        await until(pilot, lambda: "What it is" in shown(pilot))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: ended)
        assert ended == ["first"]


async def test_every_size_keeps_the_keys_in_sight(tmp_path: Path) -> None:
    for size in ((60, 20), (80, 24), (100, 30), (160, 50)):
        async with wizard(tmp_path / "state", size=size) as pilot:
            await on(pilot, StartScreen)
            await until(pilot, lambda: "? help" in shown(pilot))
            assert "Enter" in shown(pilot).splitlines()[-1]
            assert "Quit" in shown(pilot)


async def test_a_late_key_does_not_leave_the_step_below_and_its_work(tmp_path: Path) -> None:
    """Enter begins the work, and Esc, typed right after, was still meant for the step before."""
    async with wizard(tmp_path / "state") as pilot:
        await on(pilot, StartScreen)
        app = pilot.app
        assert isinstance(app, SalvageApp)
        app.push_screen(DiskScreen())
        await on(pilot, DiskScreen)
        below = app.screen
        assert isinstance(below, DiskScreen)
        ended: list[None] = []
        work = ProgressScreen(
            "Copying", lambda _hear: app.flow.outside.cancel.wait(0.3), ended.append, step=5
        )
        app.push_screen(work)
        below.action_back()
        assert app.screen_stack[-2:] == [below, work]
        await until(pilot, lambda: bool(ended))
        assert app.screen is work


async def test_an_answer_does_not_reach_a_step_that_was_left(tmp_path: Path) -> None:
    async with wizard(tmp_path / "state") as pilot:
        await on(pilot, StartScreen)
        app = pilot.app
        app.push_screen(DiskScreen())
        await on(pilot, DiskScreen)
        step, answers = app.screen, []
        app.push_screen(ConfirmScreen("Really?", [], [Choice("yes", "Yes")]), answers.append)
        question = app.screen
        assert isinstance(question, ConfirmScreen) and isinstance(step, DiskScreen)
        question.dismiss("yes")
        step.leave()
        await on(pilot, StartScreen)
        await pilot.pause(0.2)
        assert answers == []
        app.push_screen(ConfirmScreen("Really?", [], [Choice("yes", "Yes")]), answers.append)
        await on(pilot, ConfirmScreen)
        await pilot.press("enter")
        await until(pilot, lambda: answers == ["yes"])
