"""Work on the operator's thread, seen from the screens that handed it over."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from core.errors import SalvageError
from core.operator import Operator, giving_way
from tests.conftest import needs_root
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


@needs_root
def test_long_work_comes_after_the_screen_and_leaves_its_thread_as_it_was() -> None:
    def nice() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def long() -> list[int]:
        with giving_way(), ThreadPoolExecutor(1) as below:
            return [nice(), below.submit(nice).result()]

    operator = Operator()
    before = nice()
    assert operator.submit(long).result() == [max(before, 10)] * 2
    assert operator.submit(nice).result() == nice() == before
    operator.close()
