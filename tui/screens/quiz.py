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
from tui.screens.menu import Choice, Menu
from tui.screens.reading import BOTH, Reading
from tui.screens.step import LOW, Key, KeyLine
from tui.widgets.signed import SignedText


class QuizScreen(Reading[None]):
    """A wrong answer is explained and may be followed by another; the right one goes on.

    The reason stands below the question and is scrolled into sight; the answers keep room for the one that
    is highlighted. On a low screen the title gives its lines to them.
    """

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
                yield SignedText(id="why", classes="said")
            yield Menu(self._choices())
            yield KeyLine(id="keys")

    @property
    def framing(self) -> int:
        return 3 if self.app.size.height < LOW else super().framing

    def keys(self) -> list[Key]:
        if self.right:
            return [("Enter", _("go on"))]
        move, enter, later = ("↑↓", _("move")), ("Enter", _("answer")), ("Esc", _("later"))
        # on a narrow line the key that shows the rest of the reason counts for more than Enter
        return [move, enter, later] if self.app.size.width >= BOTH else [move, later, enter]

    def _told(self, text: str) -> str:
        return labs.told(text, self.lab, self.app.flow.labs)

    def _choices(self) -> list[Choice]:
        if self.right:
            return [Choice("on", _("Go on"))]
        return [Choice(str(at), self._told(answer.text)) for at, answer in enumerate(self.quiz.answers)]

    def on_mount(self) -> None:
        self.query_one("#why").display = False
        super().on_mount()

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
        if answer.right:
            self.right = True
            self.query_one(Menu).offer(self._choices())
        self.fit()
        if not answer.right:
            self.wrong.add(at)
            return
        try:
            labs.answered(self.lab, self.app.flow.labs, self.number, len(self.wrong))
        except SalvageError as error:
            self.app.pop_screen()
            self.app.trouble(error)

    def fitted(self) -> None:
        """Show the reason from its first line on, where not all of the text has room."""
        why = self.query_one("#why")
        if why.display:
            self.query_one(VerticalScroll).scroll_to_widget(why, top=True, animate=False)
        self.query_one(Menu).scroll_to_highlight()
