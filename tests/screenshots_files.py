"""Draws what the files step asks and offers: how to copy, what is found, what matters first, where it goes.

    python -m tests.screenshots_files FOLDER

`tests.screenshots` draws these with all others. By itself it draws only these, to look at.
"""

import sys
import time
from collections.abc import Callable

from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from core.undo.state import StateFolder
from tests.screenshots import PATIENCE, PLACE, USUAL, Album, arrived, aside, draw, settled
from tui.app import SalvageApp
from tui.flow import Flow
from tui.screens.files import FilesScreen
from tui.screens.finding import FindScreen, MattersScreen
from tui.screens.how import HowScreen
from tui.screens.partitions import PartitionsScreen
from tui.screens.practise import PractiseScreen, TicketScreen
from tui.screens.protect import ProtectScreen
from tui.screens.start import StartScreen
from tui.screens.target import AskTarget, TargetScreen
from tui.screens.volume import VolumeScreen
from tui.widgets.rows import Rows

LOOKED_FOR = "*.csv after:2020-01-01"
REMOTE = "root@backup:/srv/rescued"


async def come(pilot: Pilot[int], true: Callable[[], object]) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"never came, on {pilot.app.screen}")
        await pilot.pause(0.05)


def state(pilot: Pilot[int]) -> str:
    """The line of a search that says how far it is."""
    return str(pilot.app.screen.query_one("#state", Static).content)


async def asides(album: Album, pilot: Pilot[int]) -> None:
    """What the keys of the files step open over it; it stays as it was."""
    await aside(album, pilot, "o", HowScreen, "39-how")
    await pilot.press("f")
    await arrived(pilot, FindScreen)
    pilot.app.screen.query_one(Input).value = LOOKED_FOR
    await pilot.press("enter")
    results = pilot.app.screen.query_one(OptionList)
    await come(pilot, lambda: results.option_count > 1 and results.highlighted is not None)
    await pilot.press("down")
    await come(pilot, lambda: pilot.app.focused is results)
    results.highlighted = 1
    await album.take(pilot, "40-find")
    await pilot.press("escape")
    await arrived(pilot, FilesScreen)
    await pilot.press("w")
    await arrived(pilot, MattersScreen)
    await come(pilot, lambda: any(sign.isdigit() for sign in state(pilot)))
    await album.take(pilot, "41-matters")
    await pilot.press("escape")
    await arrived(pilot, FilesScreen)
    await pilot.press("t")
    await arrived(pilot, TargetScreen)
    await pilot.press("4")
    await arrived(pilot, AskTarget)
    pilot.app.screen.query_one(Input).value = REMOTE
    await album.take(pilot, "42-remote")
    await pilot.press("escape")
    await arrived(pilot, FilesScreen)


async def walk(album: Album) -> None:
    """The road to the files, and what can be asked there."""
    app = SalvageApp(Flow(StateFolder(PLACE)))
    try:
        async with app.run_test(size=USUAL) as pilot:
            for kind, key in (
                (StartScreen, "1"),
                (PractiseScreen, "enter"),
                (TicketScreen, "2"),
                (ProtectScreen, "2"),
            ):
                await arrived(pilot, kind)
                await pilot.press(key)
            await arrived(pilot, PartitionsScreen)
            rows = pilot.app.screen.query_one(Rows)
            while rows.current.volume is None or rows.current.volume.id != "5":
                await pilot.press("down")
            await pilot.press("enter")
            await arrived(pilot, VolumeScreen)
            await pilot.press("1")
            await arrived(pilot, FilesScreen)
            await settled(pilot)
            await asides(album, pilot)
    finally:
        app.flow.operator.submit(app.flow.do_close).result()
        app.flow.operator.close()
        app.flow.outside.close()


if __name__ == "__main__":
    sys.exit(draw(walk, sys.argv[1:]))
