"""A list of rows under a fixed heading, of any length: only what is in sight is drawn."""

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Offset, Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from core.i18n import N_
from tui.widgets.lines import Line, Piece, joined, text_of

MARKER = ">"


class Rows(ScrollView, can_focus=True):
    """Rows with a cursor, moved by the arrows, j and k, PgUp, PgDn, Home, End, g and G.

    A subclass says how many rows there are, what the heading and what each row reads. The row under
    the cursor has a ``>`` before it, so it is seen without colour too.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", N_("up"), show=False),
        Binding("down,j", "move(1)", N_("down"), show=False),
        Binding("pageup", "page(-1)", N_("page up"), show=False),
        Binding("pagedown", "page(1)", N_("page down"), show=False),
        Binding("home,g", "end(-1)", N_("first"), show=False),
        Binding("end,G", "end(1)", N_("last"), show=False),
        Binding("enter", "choose", N_("choose")),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "rows--heading",
        "rows--cursor",
        "rows--cursor-unfocused",
        "rows--muted",
        "rows--bad",
        "rows--mark",
    }
    DEFAULT_CSS = """
    Rows {
        height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1;
        scrollbar-background: $panel; scrollbar-background-hover: $panel; scrollbar-background-active: $panel;
    }
    Rows > .rows--heading { color: $text-muted; text-style: bold; }
    Rows > .rows--cursor {
        background: $block-cursor-background; color: $block-cursor-foreground;
        text-style: $block-cursor-text-style;
    }
    Rows > .rows--cursor-unfocused { background: $block-cursor-blurred-background; text-style: bold; }
    Rows > .rows--muted { color: $text-muted; }
    Rows > .rows--bad { color: $text-error; }
    Rows > .rows--mark { color: $text-accent; text-style: bold; }
    """

    cursor: reactive[int] = reactive(0, repaint=False)
    """Index of the row under the cursor."""

    class Highlighted(Message):
        """The cursor stands on another row."""

        def __init__(self, rows: "Rows", index: int) -> None:
            super().__init__()
            self.rows = rows
            self.index = index

        @property
        def control(self) -> "Rows":
            return self.rows

    class Chosen(Message):
        """Enter was pressed on a row, or it was clicked when the cursor stood there already."""

        def __init__(self, rows: "Rows", index: int) -> None:
            super().__init__()
            self.rows = rows
            self.index = index

        @property
        def control(self) -> "Rows":
            return self.rows

    # -- what a subclass says ---------------------------------------------------------------------

    def row_count(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    def heading(self, width: int) -> Line:
        """The line over the rows, in at most `width` columns."""
        raise NotImplementedError

    def row(self, index: int, width: int) -> Line:
        """One row in at most `width` columns."""
        raise NotImplementedError

    def empty_text(self) -> str:
        """What stands there when there is no row."""
        return ""

    # -- what it does -----------------------------------------------------------------------------

    def renew(self, cursor: int = 0) -> None:
        """Draw everything again after the rows have changed; the cursor goes to `cursor`."""
        self.virtual_size = Size(max(1, self.scrollable_content_region.width), self.row_count() + 1)
        self.set_reactive(Rows.cursor, self._within(cursor))
        self._keep_in_sight()
        self.refresh()
        if self.row_count():
            self.post_message(self.Highlighted(self, self.cursor))

    def _within(self, index: int) -> int:
        return max(0, min(index, self.row_count() - 1))

    def validate_cursor(self, index: int) -> int:
        return self._within(index)

    def watch_cursor(self, before: int, now: int) -> None:
        if not self.is_attached or before == now:
            return
        self._keep_in_sight()
        for index in (before, now):
            self.refresh_line(index + 1)
        self.post_message(self.Highlighted(self, now))

    @property
    def _visible(self) -> int:
        return max(1, self.scrollable_content_region.height - 1)

    def _keep_in_sight(self) -> None:
        top = self.scroll_offset.y
        if self.cursor < top:
            top = self.cursor
        elif self.cursor >= top + self._visible:
            top = self.cursor - self._visible + 1
        if top != self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, force=True)
        self._place_terminal_cursor()

    def _place_terminal_cursor(self) -> None:
        """Braille and speech follow the terminal's cursor."""
        if self.has_focus:
            area = self.content_region
            self.app.cursor_position = Offset(area.x, area.y + 1 + self.cursor - self.scroll_offset.y)

    def on_focus(self) -> None:
        self._place_terminal_cursor()

    def on_resize(self, event: events.Resize) -> None:
        self.virtual_size = Size(max(1, event.size.width), self.row_count() + 1)
        if self.cursor < self._visible and self.scroll_offset.y:  # what was scrolled away for want of room
            self.scroll_to(y=0, animate=False, force=True)
        self._keep_in_sight()
        self.refresh()

    def action_move(self, by: int) -> None:
        self.cursor += by

    def action_page(self, direction: int) -> None:
        self.cursor += direction * max(1, self._visible - 1)

    def action_end(self, direction: int) -> None:
        self.cursor = 0 if direction < 0 else self.row_count() - 1

    def action_choose(self) -> None:
        if self.row_count():
            self.post_message(self.Chosen(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        place = event.get_content_offset(self)
        if place is None or place.y < 1:
            return
        index = self.scroll_offset.y + place.y - 1
        if index < self.row_count():
            self.click_row(index, place.x)

    def click_row(self, index: int, column: int) -> None:
        """A click on a row, at that column of it: go there; choose it if it is there already."""
        if index == self.cursor:
            self.action_choose()
        self.cursor = index

    def render_line(self, y: int) -> Strip:
        """One line of the screen: the heading, then the rows that are in sight."""
        width = self.scrollable_content_region.width
        index = self.scroll_offset.y + y - 1
        if y == 0:
            return self._strip(self._led(" ", self.heading(width - 2)), width, "rows--heading")
        if index >= self.row_count():
            told = self.empty_text() if index == 0 else ""
            return self._strip((Piece("  " + told, "rows--muted"),), width)
        line = self.row(index, width - 2)
        if index != self.cursor:
            return self._strip(self._led(" ", line), width)
        # the whole row in one style: what its pieces tell by colour, they tell by letters too
        whole = (Piece(f"{MARKER} {text_of(line)}"),)
        return self._strip(whole, width, "rows--cursor" if self.has_focus else "rows--cursor-unfocused")

    @staticmethod
    def _led(sign: str, line: Line) -> Line:
        return (Piece(sign + " "), *line)

    def _strip(self, line: Line, width: int, role: str = "") -> Strip:
        base = self.get_component_rich_style(role) if role else self.rich_style
        segments = [Segment(piece.text, self._style(piece.role, base)) for piece in joined(line)]
        return Strip(segments).adjust_cell_length(width, base)

    def _style(self, role: str, base: Style) -> Style:
        return base + self.get_component_rich_style(role, partial=True) if role else base

    def refresh_line(self, y: int) -> None:
        """Draw one line of the list again; the heading is line 0 and never scrolls."""
        at = y - self.scroll_offset.y
        if 0 <= at < self.size.height:
            self.refresh(Region(0, at, max(1, self.size.width), 1))
