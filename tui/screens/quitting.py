"""The question before leaving while something is still up."""

from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static

from core.i18n import N_, _, sentences, titled
from core.text import safe
from tui.plain import plain
from tui.screens.menu import Choice, Menu
from tui.screens.reading import Reading
from tui.screens.step import Key, KeyLine
from tui.widgets.lines import left, middle_cut

TAKE_DOWN = "take-down"
LEAVE = "leave"
STAY = "stay"
_NAME = 15
"""Columns for what a thing is."""


@runtime_checkable
class Undone(Protocol):
    """A step that knows what leaving costs, as a sentence; empty when nothing is left undone."""

    @property
    def undone(self) -> str: ...


class Up(Static):
    """What stands, a line each; a path that is too long is cut in its middle."""

    DEFAULT_CSS = "Up { height: auto; padding: 0 1; }"

    def __init__(self, rows: Sequence[tuple[str, str]]) -> None:
        super().__init__(markup=False)
        self._rows = rows

    def render(self) -> Content:
        """The lines for the room at hand."""
        room = max(10, self.content_region.width - _NAME)
        lines = ("  " + left(what, _NAME - 2) + middle_cut(where, room) for what, where in self._rows)
        return Content("\n".join(lines))


class QuitScreen(Reading[str]):
    """Take everything down, leave what others may see, or stay."""

    topic: ClassVar[str] = "quit"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", N_("stay"), show=False)]

    def compose(self) -> ComposeResult:
        flow = self.app.flow
        with Vertical(id="dialog"):
            yield Static(_("Something is still up"), classes="title", markup=False)
            with VerticalScroll(can_focus=False):
                undone = [one.undone for one in self.app.screen_stack if isinstance(one, Undone)]
                if any(undone):
                    yield Static(plain("\n".join(filter(None, undone))), id="undone", classes="warning")
                standing = flow.session.stack.standing if flow.session else ()
                rows = [(one.named, safe(one.target)) for one in standing]
                for shown in flow.in_sight:
                    if any(entry.what == "mount" for entry in shown.entries):
                        volume = _("{path} ({volume})").format(path=safe(shown.point), volume=shown.title)
                        rows.append((_("mount"), volume))
                    else:
                        rows += [(one.named, safe(one.target)) for one in shown.entries]
                yield Up(rows)
            yield Menu(self._choices())
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Enter alone throws nothing away."""
        super().on_mount()
        if self.app.flow.at_stake:
            menu = self.query_one(Menu)
            menu.highlighted = menu.get_option_index(LEAVE)

    def _choices(self) -> list[Choice]:
        flow = self.app.flow
        sessions = [shown.session for shown in flow.in_sight]
        up = {entry.what for shown in flow.in_sight for entry in shown.entries}
        kept = _("Leave the mount, take down the rest, and quit")
        if up and "mount" not in up:
            kept = _("Keep the overlay, take down the rest, and quit")
        leave = Choice(
            LEAVE,
            kept,
            titled(_("Take it down later with"), flow.state.command("undo", *sessions)),
            "" if sessions else _("What is up belongs to this program alone: it cannot outlive it."),
        )
        return [
            Choice(
                TAKE_DOWN,
                _("Take everything down and quit"),
                sentences((flow.at_stake, _("The host is then as it was found."))),
            ),
            leave,
            Choice(STAY, _("Stay")),
        ]

    def keys(self) -> list[Key]:
        return [("↑↓", _("move")), ("Enter", _("choose")), ("Esc", _("stay"))]

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option.id != STAY:
            self.go_on_no_more()
        self.dismiss(event.option.id)

    def action_close(self) -> None:
        self.dismiss(STAY)
