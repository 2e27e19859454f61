"""What the wizard's tests share: a wizard without a terminal, and waiting for what it shows."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from core.undo.state import StateFolder
from tui.app import SalvageApp
from tui.chosen import Wish
from tui.flow import Flow
from tui.screens.menu import Menu
from tui.screens.step import KeyLine

Wizard = Pilot[int]

SIZE = (80, 24)


@asynccontextmanager
async def wizard(
    state: Path, disk: Path | str | None = None, size: tuple[int, int] = SIZE
) -> AsyncIterator[Wizard]:
    """A wizard at work; what it left up at the end is taken down as `run` does it."""
    flow = Flow(StateFolder(state))
    app = SalvageApp(flow, Wish(str(disk)) if disk else None)
    try:
        async with app.run_test(size=size) as pilot:
            yield pilot
    finally:
        flow.operator.submit(flow.do_close).result()
        flow.operator.close()
        flow.outside.close()


async def until(pilot: Wizard, true: Callable[[], object], what: str = "") -> None:
    """Wait until something is true; fails after a minute and says what the screen shows."""
    for _turn in range(1200):
        await pilot.pause(0.05)
        if true():
            return
    raise AssertionError(f"never came: {what or true}; on the screen:\n{shown(pilot)}")


async def on(pilot: Wizard, kind: type[Screen[Any]]) -> None:
    """Wait until a screen of that kind is on top, no work goes on, and it is drawn."""
    await until(
        pilot,
        lambda: (
            isinstance(pilot.app.screen, kind)
            and not getattr(pilot.app.screen, "busy", "")
            and shown(pilot).strip()
        ),
        kind.__name__,
    )
    await pilot.pause()  # until it is idle: what it draws after its first layout stands there too


def shown(pilot: Wizard) -> str:
    """What stands on the screen, line by line."""
    screen = pilot.app.screen
    return "\n".join(
        "".join(segment.text for segment in strip).rstrip()
        for strip in screen._compositor.render_strips(screen.size)
    )


def reads(pilot: Wizard, selector: str) -> str:
    """What a line of text on the top screen reads."""
    line = pilot.app.screen.query_one(selector, Static)
    return str(line.render() if isinstance(line, KeyLine) else line.content)


async def choose(pilot: Wizard, id: str) -> None:
    """Choose out of the menu by its number, as a person does; without numbers, by Enter on it."""
    menu = pilot.app.screen.query_one(Menu)
    at = next(at for at in range(menu.option_count) if menu.get_option_at_index(at).id == id)
    assert not menu.get_option_at_index(at).disabled, f"{id} cannot be chosen"
    if not menu.numbered:
        menu.highlighted = at
        await pilot.press("enter")
        return
    await pilot.press(*str(at + 1), *(["enter"] if menu.option_count > 9 else []))


def refused(pilot: Wizard, id: str) -> bool:
    """Whether a choice of the menu is greyed."""
    return pilot.app.screen.query_one(Menu).get_option(id).disabled
