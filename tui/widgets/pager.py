"""Text of any length that is read with the keys."""

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from core.i18n import N_
from tui.widgets.lines import Line, joined

Draw = Callable[[int], Sequence[Line]]
"""Gives the lines for a width in columns."""


class Pages(Protocol):
    """Rows to read, for any width in columns."""

    def count(self, width: int) -> int:
        """How many rows there are."""

    def row(self, number: int, width: int) -> Line:
        """One of them."""


class Drawn:
    """Few lines, drawn all at once for a width."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._width = 0
        self._lines: Sequence[Line] = ()

    def count(self, width: int) -> int:
        if width != self._width:
            self._width, self._lines = width, tuple(self._draw(width))
        return len(self._lines)

    def row(self, number: int, width: int) -> Line:
        self.count(width)
        return self._lines[number]


def _nothing(_width: int) -> Sequence[Line]:
    return ()


class Pager(ScrollView, can_focus=True):
    """Shows lines that are drawn anew for each width; scrolled by the arrows, j and k, PgUp, PgDn, g, G.

    One that `follows` shows its end when the screen gets another size.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        # with the library's own keys: else the help tells those by the library's names, in English
        Binding("up,k", "scroll_up", N_("up"), show=False),
        Binding("down,j", "scroll_down", N_("down"), show=False),
        Binding("home,g", "scroll_home", N_("top"), show=False),
        Binding("end,G", "scroll_end", N_("end"), show=False),
        Binding("pagedown,space", "page_down", N_("page down"), show=False),
        Binding("pageup", "page_up", N_("page up"), show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "pager--title",
        "pager--command",
        "pager--muted",
        "pager--good",
        "pager--bad",
    }
    DEFAULT_CSS = """
    Pager {
        height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1;
        scrollbar-background: $panel; scrollbar-background-hover: $panel; scrollbar-background-active: $panel;
    }
    Pager > .pager--title { text-style: bold; }
    Pager > .pager--command { color: $text-accent; }
    Pager > .pager--muted { color: $text-muted; }
    Pager > .pager--good { color: $text-success; }
    Pager > .pager--bad { color: $text-error; text-style: bold; }
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
        follows: bool = False,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._follows = follows
        self._pages: Pages = Drawn(_nothing)
        self._count = self._width = 0

    def draw_with(self, draw: Draw) -> None:
        """Show what `draw` gives for the width at hand, from the top."""
        self.read(Drawn(draw))

    def read(self, pages: Pages) -> None:
        """Show rows that are made as they come into sight, from the top."""
        self._pages = pages
        self._drawn_anew()
        self.scroll_to(y=0, animate=False, force=True)

    def _drawn_anew(self) -> None:
        width = self.scrollable_content_region.width
        if width < 1:
            return
        self._width = max(1, width - 1)  # a blank before the scroll bar
        self._count = self._pages.count(self._width)
        self.virtual_size = Size(width, self._count)
        self.refresh()

    def on_resize(self, _event: events.Resize) -> None:
        self._drawn_anew()
        if self._follows:
            self.scroll_end(animate=False, force=True)

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        width = self.scrollable_content_region.width
        index = self.scroll_offset.y + y
        base = self.rich_style
        if index >= self._count:
            return Strip.blank(width, base)
        line = self._pages.row(index, self._width)
        segments = [Segment(piece.text, self._style(piece.role, base)) for piece in joined(line)]
        return Strip(segments).adjust_cell_length(width, base)

    def _style(self, role: str, base: Style) -> Style:
        return base + self.get_component_rich_style(role, partial=True) if role else base
