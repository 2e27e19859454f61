"""The commands of a step: what it is about to run, and what was run so far."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from core.errors import SalvageError
from core.i18n import N_, _
from core.runner import Ran
from core.session import Session
from tui.plain import plain
from tui.screens.dialog import Dialog
from tui.screens.step import KeyLine
from tui.widgets.command_list import CommandList


class CommandsScreen(Dialog[None]):
    """The plan comes from the very functions that would run it, with a runner that only writes down."""

    topic: ClassVar[str] = "commands"
    passing: ClassVar[bool] = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,c,enter", "close", N_("back"), show=False),
        Binding("tab,p,r", "other", N_("planned or run so far"), show=False),
    ]

    def __init__(self, plan: Callable[[Session], None] | None, told: str) -> None:
        super().__init__()
        self._plan, self._told = plan, told
        self._planned: list[Ran] = []
        self._shows_plan = plan is not None
        self._note = ""
        self._waits = plan is not None

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="wide"):
            yield Static(id="commands-title", classes="title")
            yield Static(id="note", classes="said")
            yield CommandList()
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        self._show()
        plan = self._plan
        if plan:
            flow = self.app.flow
            future = flow.operator.submit(lambda: flow.do_plan(plan))
            self.app.follow(future, self._found, self._failed)

    def _found(self, planned: list[Ran]) -> None:
        self._planned, self._waits = planned, False
        self._show()

    def _failed(self, error: SalvageError) -> None:
        self._note, self._waits = error.paragraph(), False
        self._show()

    def _show(self) -> None:
        if self not in self.app.screen_stack:  # closed meanwhile: its widgets may be gone before itself
            return
        ran = self.app.flow.ran()
        title = _("The commands that lead here") if self._shows_plan else _("The commands that were run")
        note = self._note or self._told if self._shows_plan else ""
        if not self._shows_plan and not ran:
            note = _("Nothing was run yet.")
        waits = self._shows_plan and self._waits
        if waits:
            note = _("Working out what would be run.")
        self.query_one("#commands-title", Static).update(plain(title))
        self.query_one("#note", Static).update(plain(note))
        self.query_one("#note").display = bool(note)
        commands = self.query_one(CommandList)
        commands.show(self._planned if self._shows_plan else ran)
        commands.visible = not waits  # an empty list would say that nothing is run
        commands.focus()
        other = _("run so far") if self._shows_plan else _("all that leads here")
        keys = [("↑↓", _("scroll")), ("Esc", _("back"))]
        self.query_one(KeyLine).show([("Tab", other), *keys] if self._plan else keys)

    def action_other(self) -> None:
        if self._plan:
            self._shows_plan = not self._shows_plan
            self._show()

    def action_close(self) -> None:
        self.app.pop_screen()
