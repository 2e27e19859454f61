"""A question at the moment of a decision, with the reason for each answer, right or wrong."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import OptionList, Static

from core.errors import SalvageError
from core.i18n import N_, _
from core.lab import labs
from core.lab.lab import Lab, Quiz
from tui.plain import plain
from tui.screens.dialog import Dialog
from tui.screens.menu import Choice, Menu
from tui.screens.step import KeyLine
from tui.widgets.signed import SignedText


class QuizScreen(Dialog[None]):
    """A wrong answer is explained and may be followed by another; the right one goes on."""

    topic: ClassVar[str] = "quiz"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", N_("later"), show=False)]

    def __init__(self, lab: Lab, number: int, quiz: Quiz) -> None:
        super().__init__()
        self.lab, self.number, self.quiz = lab, number, quiz
        self.wrong: set[int] = set()
        self.right = False

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static(_("A question, before you decide"), classes="title", markup=False)
            with VerticalScroll(can_focus=False):
                yield Static(plain(self._told(self.quiz.question)), classes="said")
            yield Menu(self._choices())
            yield SignedText(id="why", classes="said")
            yield KeyLine(id="keys")

    def _told(self, text: str) -> str:
        return labs.told(text, self.lab, self.app.flow.labs)

    def _choices(self) -> list[Choice]:
        if self.right:
            return [Choice("on", _("Go on"))]
        return [Choice(str(at), self._told(answer.text)) for at, answer in enumerate(self.quiz.answers)]

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#why").display = False
        self.query_one(Menu).focus()
        self._name_keys()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if self.right:
            self.app.pop_screen()
            return
        at = int(event.option.id or 0)
        answer = self.quiz.answers[at]
        why = self.query_one("#why", SignedText)
        why.display = True
        why.show([("✓" if answer.right else "×", self._told(answer.why))])
        why.set_class(not answer.right, "warning")
        if not answer.right:
            self.wrong.add(at)
            return
        self.right = True
        self.query_one(Menu).offer(self._choices())
        self._name_keys()
        try:
            labs.answered(self.lab, self.app.flow.labs, self.number, len(self.wrong))
        except SalvageError as error:
            self.app.pop_screen()
            self.app.trouble(error)

    def _name_keys(self) -> None:
        keys = [("↑↓", _("move")), ("Enter", _("answer")), ("Esc", _("later"))]
        self.query_one(KeyLine).show([("Enter", _("go on"))] if self.right else keys)

    def action_close(self) -> None:
        self.app.pop_screen()
