"""Rows that a filter narrows as one types."""

from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from core.i18n import N_, _
from core.text import grouped, safe
from tui.widgets.lines import Line, Piece, left
from tui.widgets.rows import Rows


class FilteredRows(Rows):
    """`/` begins a filter; the letters then go into it. A subclass says in `look_for` what it leaves."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", N_("filter"), key_display="/", show=False)
    ]

    class Filtering(Message):
        """A filter begins to be typed, is typed no more, or is gone: other keys count now."""

    filtering = False
    """Whether letters go into the filter."""
    typed = ""
    """What the filter is, as far as it is typed."""

    def look_for(self, needle: str) -> None:
        """Narrow the rows to those with `needle` in them."""
        raise NotImplementedError

    def type_filter(self, begins: bool) -> None:
        """Let letters go into the filter, or no more."""
        if begins != self.filtering:
            self.filtering = begins
            self.post_message(self.Filtering())
            self.refresh()

    def action_filter(self) -> None:
        self.type_filter(True)

    def clear_filter(self) -> bool:
        """Show everything again; False when there was no filter."""
        if not (self.filtering or self.typed):
            return False
        self.type_filter(False)
        self.look_for("")
        self.post_message(self.Filtering())
        return True

    async def on_key(self, event: events.Key) -> None:
        """While a filter is typed, the letters go into it; the arrows still move."""
        if event.key == "slash" and not self.filtering:
            self.action_filter()  # here and now: the letters that follow must not be taken for commands
        elif event.key == "escape":
            if not self.clear_filter():
                return
        elif not self.filtering:
            return
        elif event.key == "enter":
            self.type_filter(False)
        elif event.key == "backspace":
            self.look_for(self.typed[:-1])
        elif event.is_printable and event.character:
            self.look_for(self.typed + event.character)
        else:
            return
        event.stop()
        event.prevent_default()

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """While a filter is typed, letters are no commands."""
        return self.filtering and character is not None and character.isprintable()

    def filter_line(self, found: int, whole: int, width: int) -> Line:
        """The heading while a filter is on: what it is, and how many of all it leaves."""
        told = _("{found} of {whole}").format(found=grouped(found), whole=grouped(whole))
        text = "/" + safe(self.typed) + ("_" if self.filtering else "")
        return (Piece(left(text, max(0, width - cell_len(told) - 1)) + " " + told, "rows--mark"),)
