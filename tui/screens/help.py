"""The explanation of a screen."""

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from core.i18n import N_, _
from tui.keys import in_ascii
from tui.screens.dialog import Dialog
from tui.screens.lessons import LESSONS
from tui.screens.step import Key, KeyLine
from tui.widgets.lines import Line, Piece, left, wrapped
from tui.widgets.pager import Pager
from tui.widgets.shell_text import told_lines


class HelpScreen(Dialog[None]):
    """What the screen is, what can go wrong, what it does by hand, and its keys."""

    passing: ClassVar[bool] = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,f1,enter", "close", N_("back"), show=False)
    ]

    def __init__(self, topic: str, keys: Sequence[Key]) -> None:
        super().__init__()
        self.lesson = LESSONS[topic]
        self._keys = keys

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="wide"):
            yield Static(_(self.lesson.title), classes="title", markup=False)
            yield Pager()
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        pager = self.query_one(Pager)
        pager.draw_with(self._drawn)
        pager.focus()
        self.name_keys()

    def name_keys(self) -> None:
        self.query_one(KeyLine).show([*self.scroll_keys(), ("d", _("words")), ("Esc", _("back"))])

    def _drawn(self, width: int) -> list[Line]:
        lines: list[Line] = []
        for title, text in self.lesson.parts():
            lines.append((Piece(title, "pager--title"),))
            lines += [(Piece("  "), *line) for line in told_lines(text, width - 2, "pager--command")]
            lines.append(())
        lines.append((Piece(_("Keys"), "pager--title"),))
        told = in_ascii if self.app.ascii_only else str
        keys = [(told(name), does) for name, does in self._keys]
        column = max((cell_len(name) for name, _does in keys), default=0) + 2
        for name, does in keys:
            first, *more = wrapped(does, max(10, width - 2 - column))
            lines.append((Piece("  "), Piece(left(name, column), "pager--command"), Piece(first)))
            lines += [(Piece(" " * (2 + column) + line),) for line in more]
        return lines

    def action_close(self) -> None:
        self.app.pop_screen()
