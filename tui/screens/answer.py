"""The question that a practice disk's ticket asks, and the line for the answer."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from core.i18n import N_, _
from tui.plain import plain
from tui.screens.dialog import Dialog
from tui.screens.step import KeyLine
from tui.widgets.text_line import TextLine


class AnswerScreen(Dialog[str]):
    """Asks for the answer to a `question`; `before` is the answer that was given last."""

    topic: ClassVar[str] = "answer"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", N_("back"), show=False)]

    def __init__(self, question: str, before: str = "") -> None:
        super().__init__()
        self._question, self._before = question, before

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static(_("The question of the ticket"), classes="title", markup=False)
            yield Static(plain(self._question), classes="said")
            yield TextLine(compact=True)
            yield Static(id="wrong", classes="warning")
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        super().on_mount()
        line = self.query_one(Input)
        line.value = self._before
        line.focus()
        self.query_one(KeyLine).show([("Enter", _("answer")), ("Esc", _("back"))])

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip():
            self.dismiss(event.value)
        else:
            self.query_one("#wrong", Static).update(plain(_("The answer is empty.")))

    def action_close(self) -> None:
        self.app.pop_screen()
