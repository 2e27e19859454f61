"""What went wrong, what it means for the data, what can be done: with buttons that do it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static

from core.disks.ways_out import InUse, WayOut
from core.errors import (
    AlreadyThere,
    Ambiguous,
    Cancelled,
    PointsOutside,
    Refused,
    SalvageError,
    SameName,
    WantsOverlay,
)
from core.i18n import _
from tui.plain import plain
from tui.screens.menu import Choice, Menu
from tui.screens.reading import Reading
from tui.screens.step import Key, KeyLine

_AIRY = 40
"""Lines of the screen from which on there is room between the choices too."""


_OFFERED = (AlreadyThere, Ambiguous, PointsOutside, SameName, WantsOverlay)
"""Errors whose remedy names options of the command line."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """Something that the operator can do about an error."""

    title: str
    does: Callable[[], object]
    line: str = ""


class TroubleScreen(Reading[None]):
    """One error. The last remedy is always to go back."""

    topic: ClassVar[str] = "trouble"

    def __init__(self, error: SalvageError, remedies: list[Remedy] | None = None) -> None:
        super().__init__()
        self.error = error
        self.remedies = remedies or []

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="trouble"):
            yield Static(self._title(), classes="title", markup=False)
            with VerticalScroll(can_focus=False):
                ways = self._ways()
                for name, text in (
                    (_("What happened"), self.error.what),
                    (_("What it means for the data"), self.error.meaning),
                    (_("What can be done"), "" if ways or self._offered else self.error.remedy),
                ):
                    if text:
                        yield Static(name, classes="label", markup=False)
                        yield Static(plain(text), classes="said")
                if ways:
                    yield Static(_("What can be done"), classes="label", markup=False)
                for way in ways:
                    yield from _told(way)
            yield Menu(self._choices(), airy=not ways or self.app.size.height >= _AIRY)
            yield KeyLine(id="keys")

    @property
    def _offered(self) -> bool:
        """Whether the choices below are what the remedy names the options of the command line for."""
        return bool(self.remedies) and isinstance(self.error, _OFFERED)

    def _ways(self) -> list[WayOut]:
        """The ways out that are none of the choices below."""
        if not isinstance(self.error, InUse):
            return []
        offered = {remedy.title for remedy in self.remedies}
        return [way for way in self.error.ways if way.title not in offered]

    def _title(self) -> str:
        if isinstance(self.error, Refused):
            return _("Not done, to keep you safe")
        return _("Stopped") if isinstance(self.error, Cancelled) else _("This did not work")

    def _choices(self) -> list[Choice]:
        own = [Choice(str(at), one.title, one.line) for at, one in enumerate(self.remedies)]
        return [*own, Choice("back", _("Go back and choose otherwise"))]

    def keys(self) -> list[Key]:
        return [*super().keys(), ("q", _("quit"))]

    def on_mount(self) -> None:
        super().on_mount()
        if isinstance(self.error, Refused):
            # an unsafe way is not taken by one key too many
            self.query_one(Menu).highlighted = len(self.remedies)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.app.pop_screen()
        if event.option.id != "back":
            # On the app's own turn: this screen is gone, and would get no answer that the remedy asks for.
            self.app.call_later(self.remedies[int(event.option.id or 0)].does)


def _told(way: WayOut) -> ComposeResult:
    """One way out, with the commands that go it."""
    told = plain(way.told()).stylize("bold", 0, len(plain(way.title).plain))
    with Horizontal(classes="way"):
        yield Static("•", classes="bullet", markup=False)
        yield Static(told)
    for command in way.commands:
        yield Static(Content.assemble(("$ ", "$text-muted"), plain(command)), classes="way-told")
