"""Text to read at leisure: an after-talk, a verdict, a record."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from core.i18n import N_, _
from core.lab.telling import Said
from core.text import safe
from tui.plain import plain
from tui.screens.dialog import Dialog
from tui.screens.step import KeyLine
from tui.widgets.lines import Line, Piece, wrapped
from tui.widgets.pager import Pager
from tui.widgets.shell_text import shell_lines

_ROLES = {"title": "pager--title", "command": "pager--command", "good": "pager--good", "bad": "pager--bad"}


class SaidScreen(Dialog[None]):
    """Paragraphs under a title; Esc and Enter close it."""

    topic: ClassVar[str] = "said"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter", "close", N_("back"), show=False)]

    def __init__(self, title: str, said: Sequence[Said]) -> None:
        super().__init__()
        self._title, self.said = title, said

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="wide -snug"):
            yield Static(plain(self._title), classes="title")
            yield Pager()
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        super().on_mount()
        pager = self.query_one(Pager)
        pager.draw_with(lambda width: drawn(self.said, width))
        pager.focus()
        self.name_keys()

    def name_keys(self) -> None:
        self.query_one(KeyLine).show([*self.scroll_keys(), ("Esc", _("back"))])

    def action_close(self) -> None:
        self.app.pop_screen()


def drawn(said: Sequence[Said], width: int) -> list[Line]:
    """Paragraphs as lines; a title has an empty line before it, and the last one has one behind it."""
    lines: list[Line] = []
    for one in said:
        if one.role == "title":
            lines += [(), (Piece(safe(one.text), "pager--title"),)]
            continue
        for paragraph in one.text.split("\n"):
            if one.role == "command":
                shown = shell_lines("    " + safe(paragraph), width, " " * 8)
            else:
                own = " " * (len(paragraph) - len(paragraph.lstrip(" ")))
                hang = own + ("    " if paragraph.lstrip(" ").startswith(("• ", "* ")) else "  ")
                shown = wrapped("  " + safe(paragraph), width, hang)
            lines += [(Piece(line, _ROLES.get(one.role, "")),) for line in shown]
    if lines and any(piece.text.strip() for piece in lines[-1]):
        lines.append(())
    return lines[1:] if lines and not lines[0] else lines
