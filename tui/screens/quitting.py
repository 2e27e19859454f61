"""The question before leaving while something is still up."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import OptionList, Static

from core.i18n import N_, _
from core.text import safe
from tui.plain import plain
from tui.screens.menu import Choice, Menu
from tui.screens.reading import Reading
from tui.screens.step import Key, KeyLine
from tui.widgets.lines import left, middle_cut

TAKE_DOWN = "take-down"
LEAVE = "leave"


class QuitScreen(Reading[str]):
    """Take everything down, leave what others may see, or stay."""

    topic: ClassVar[str] = "quit"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", N_("stay"), show=False)]

    def compose(self) -> ComposeResult:
        flow = self.app.flow
        with Vertical(id="dialog"):
            yield Static(_("Something is still up"), classes="title", markup=False)
            with VerticalScroll(can_focus=False):
                for entry in flow.session.stack.standing if flow.session else ():
                    # the dialog is at most 76 columns wide, its frame and padding take eight
                    room = min(self.app.size.width, 76) - 8 - 15
                    line = "  " + left(entry.what, 13) + middle_cut(safe(entry.target), room)
                    yield Static(plain(line), classes="said")
                for shown in flow.in_sight:
                    told = _("  mounted in sight: {path} ({volume})")
                    line = told.format(path=safe(shown.point), volume=shown.title)
                    yield Static(plain(line), classes="said")
            yield Menu(self._choices())
            yield KeyLine(id="keys")

    def _choices(self) -> list[Choice]:
        flow = self.app.flow
        names = ", ".join(shown.session for shown in flow.in_sight)
        leave = Choice(
            LEAVE,
            _("Leave it mounted and quit"),
            _("Take it down later with: virt-salvage undo {session}").format(session=names),
            "" if names else _("What is up belongs to this program alone: it cannot outlive it."),
        )
        return [
            Choice(TAKE_DOWN, _("Take everything down and quit"), _("The host is then as it was found.")),
            leave,
            Choice("stay", _("Stay")),
        ]

    def keys(self) -> list[Key]:
        return [("Enter", _("choose")), ("Esc", _("stay"))]

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)

    def action_close(self) -> None:
        self.dismiss("stay")
