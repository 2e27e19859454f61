"""Work on the operator's thread, seen from the screens that handed it over."""

import asyncio
import threading
from pathlib import Path

from core.errors import SalvageError
from tests.tui.wizard import on, until, wizard
from tui.screens.start import StartScreen
from tui.screens.trouble import TroubleScreen


async def test_work_finds_the_app_when_its_screen_is_gone(tmp_path: Path) -> None:
    async with wizard(tmp_path / "state") as pilot:
        await on(pilot, StartScreen)
        screen, gone = TroubleScreen(SalvageError("What was.")), threading.Event()
        pilot.app.push_screen(screen)
        await on(pilot, TroubleScreen)
        found = pilot.app.flow.operator.submit(lambda: gone.wait(20) and screen.app)
        pilot.app.pop_screen()
        await until(pilot, lambda: screen._parent is None, "the end of the screen")
        gone.set()
        assert await asyncio.wrap_future(found) is pilot.app
