"""Draws what a learner sees of the practice disks: the list, a ticket, the coach, a question, the prompt,
a verdict.

    python -m tests.screenshots_labs FOLDER

`tests.screenshots` draws these with all others.
"""

import shutil
import sys
from unittest.mock import patch

from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input

from core.lab import catalogue, labs, results
from core.undo.state import StateFolder
from tests.screenshots import PLACE, USUAL, Album, arrived, chosen, draw, settled
from tui.app import SalvageApp
from tui.flow import Flow
from tui.screens.byhand import ByHandScreen
from tui.screens.partitions import PartitionsScreen
from tui.screens.practise import PractiseScreen, TicketScreen
from tui.screens.protect import ProtectScreen
from tui.screens.quiz import QuizScreen
from tui.screens.said import SaidScreen
from tui.screens.start import StartScreen
from tui.widgets.rows import Rows

NAME = "offset-by-hand"


class Labs:
    """Takes each picture."""

    def __init__(self, album: Album, pilot: Pilot[int]) -> None:
        self.album, self.pilot = album, pilot

    async def take(self, name: str) -> None:
        await self.album.take(self.pilot, name)

    async def choose(self, id: str) -> None:
        await chosen(self.pilot, id)

    async def on(self, kind: type[Screen[object]]) -> None:
        await arrived(self.pilot, kind)


async def guided(shots: Labs) -> None:
    """The list, the ticket, a question with a wrong answer, the coach."""
    pilot = shots.pilot
    await shots.on(StartScreen)
    await pilot.press("1")
    await shots.on(PractiseScreen)
    await shots.choose(NAME)
    await shots.on(TicketScreen)
    await shots.take("30-ticket")
    await shots.choose("guided")
    await shots.on(ProtectScreen)
    await shots.choose("read")
    await shots.on(QuizScreen)
    await pilot.press("1")
    await settled(pilot)
    await shots.take("32-question")
    await pilot.press("3", "1")
    await shots.on(PartitionsScreen)
    rows = pilot.app.screen.query_one(Rows)
    while rows.current.volume is None or rows.current.volume.id != "2":
        await pilot.press("down")
    await shots.take("31-coach")
    for _step in range(2):
        await pilot.press("escape")
        await settled(pilot)
    await shots.on(TicketScreen)


async def by_hand(shots: Labs) -> None:
    """A wrong offset, a write that is warned of, the way, the verdict, the after-talk."""
    pilot = shots.pilot
    lab = catalogue.named(NAME, PLACE / "labs")
    await shots.choose("hand")
    await shots.on(ByHandScreen)
    field = pilot.app.screen.query_one("#prompt", Input)
    lines = [
        "sfdisk --list {name}",
        "mkdir mnt",
        "mount -o ro,noload,loop,offset={p2.start} {name} mnt",
        "mount -o loop,offset={p2.offset} {name} mnt",
    ]
    for line in lines:
        field.value = labs.told(line, lab, PLACE / "labs")
        await pilot.press("enter")
        await settled(pilot)
    await shots.take("33-by-hand")
    for line in lab.after.commands[3:]:
        field.value = labs.told(line, lab, PLACE / "labs")
        await pilot.press("enter")
        await settled(pilot)
    field.value = "rmdir mnt"
    await pilot.press("escape")
    await shots.on(TicketScreen)
    await shots.choose("check")
    await shots.on(SaidScreen)
    await shots.take("34-verdict")
    await pilot.press("escape")
    await shots.on(TicketScreen)
    await shots.choose("talk")
    await shots.on(SaidScreen)
    await shots.take("35-after-talk")
    await pilot.press("escape")


async def walk(album: Album) -> None:
    """A lab guided, and the same one by hand."""
    app = SalvageApp(Flow(StateFolder(PLACE)))
    try:
        with patch.object(results, "login", lambda: "anna"):
            async with app.run_test(size=USUAL) as pilot:
                shots = Labs(album, pilot)
                await guided(shots)
                await by_hand(shots)
    finally:
        app.flow.operator.submit(app.flow.do_close).result()
        app.flow.operator.close()
        app.flow.outside.close()
        shutil.rmtree(PLACE / "labs" / NAME, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(draw(walk, sys.argv[1:]))
