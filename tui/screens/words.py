"""The words of the trade, by key."""

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from core.i18n import N_, _
from tui.screens.dialog import Dialog
from tui.screens.step import KeyLine
from tui.widgets.lines import Line, Piece, left, wrapped
from tui.widgets.pager import Pager
from tui.widgets.text_line import TextLine
from tui.words import Word, matching


class WordsScreen(Dialog[None]):
    """A line to type into, and the words that have these letters: those of the screen below first."""

    topic: ClassVar[str] = "words"
    passing: ClassVar[bool] = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", N_("back"), show=False),
        Binding("up", "turn('up')", N_("up"), show=False),
        Binding("down", "turn('down')", N_("down"), show=False),
        Binding("pageup", "turn('page_up')", N_("page up"), show=False),
        Binding("pagedown", "turn('page_down')", N_("page down"), show=False),
    ]

    def __init__(self, below: str) -> None:
        super().__init__()
        self._below = below

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="wide"):
            yield Static(_("The words of the trade"), classes="title", markup=False)
            yield TextLine(placeholder=_("a word, or a part of it"), compact=True)
            yield Pager()
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        self.query_one(Pager).can_focus = False
        self.query_one(Input).focus()
        self._show("")
        self.query_one(KeyLine).show([("a-z", _("find")), ("↑↓", _("scroll")), ("Esc", _("back"))])

    def on_input_changed(self, event: Input.Changed) -> None:
        self._show(event.value.strip())

    def _show(self, word: str) -> None:
        here, others = matching(word, self._below)
        groups = [(_("For this step"), here), (_("Others") if here else "", others)]
        self.query_one(Pager).draw_with(lambda width: drawn(groups, width))

    def action_turn(self, how: str) -> None:
        """Scroll, while the letters go into the line."""
        pager = self.query_one(Pager)
        {"up": pager.scroll_up, "down": pager.scroll_down, "page_up": pager.scroll_page_up}.get(
            how, pager.scroll_page_down
        )(animate=False)

    def action_close(self) -> None:
        self.app.pop_screen()


def drawn(groups: Sequence[tuple[str, Sequence[Word]]], width: int) -> list[Line]:
    """Each word and what it means, group by group under its title, in at most `width` columns."""
    names = [cell_len(_(word.name)) for _title, words in groups for word in words]
    if not names:
        return [(Piece(_("Nothing here has that word."), "pager--muted"),)]
    column = min(max(names) + 2, width // 2)
    lines: list[Line] = []
    for title, words in groups:
        if words and title:
            lines += [*([()] if lines else []), (Piece(title, "pager--command"),)]
        for word in words:
            first, *more = wrapped(_(word.means), width - column)
            lines.append((Piece(left(_(word.name), column), "pager--title"), Piece(first)))
            lines += [(Piece(" " * column + line),) for line in more]
    return lines
