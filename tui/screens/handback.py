"""Handing back the ticket of a practice disk, for a reason."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.widgets import OptionList, Static

from core.i18n import _
from core.lab import labs
from core.lab.lab import Lab
from core.lab.stopping import REASONS
from tui.screens.menu import Choice, Menu
from tui.screens.step import Frame, Key


class HandBackScreen(Frame):
    """Why a ticket is handed back instead of being worked on."""

    topic: ClassVar[str] = "practise"

    def __init__(self, lab: Lab) -> None:
        super().__init__()
        self.lab = lab

    def body(self) -> ComposeResult:
        yield Static(_("Why do you hand the ticket back?"), classes="question", markup=False)
        yield Menu([Choice(name, _(told)) for name, told in REASONS.items()])

    def subtitle(self) -> str:
        return _(self.lab.title)

    def keys(self) -> list[Key]:
        return [("↑↓", _("move")), ("Enter", _("hand it back")), ("Esc", _("back"))]

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Menu).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        reason = event.option.id or ""
        self.work(
            _("Handing it back."),
            lambda: labs.hand_back(self.lab, self.flow.labs, reason),
            lambda _none: self.leave(),
        )
