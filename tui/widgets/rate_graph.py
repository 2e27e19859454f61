"""How fast each part of a copy went: a graph that is drawn from left to right as the work goes on."""

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.content import Content
from textual.geometry import Region
from textual.widgets import Static

from core.files.progress import Progress
from core.i18n import _
from core.text import size
from tui.widgets.lines import Line, Piece, content_of, differing, left

PARTS = 240
"""Into so many the whole is divided, however wide the graph is."""
_FULL, _HALF = "█", "▄"
_AROUND = 2
"""Lines above and below the graph itself."""


class Rates:
    """The rate at which each part of the whole was copied. Told by one thread, drawn by another."""

    def __init__(self) -> None:
        self.parts: list[float | None] = [None] * PARTS
        """Bytes a second; None for what is still to come."""
        self._next = 0

    def note(self, progress: Progress) -> None:
        """Put down the rate of a report for all parts that came since the last one."""
        fraction = progress.fraction
        if fraction is None or progress.rate is None or not (progress.rate or self._next):
            return
        done = int(fraction * PARTS)
        self.parts[self._next : done] = [progress.rate] * max(0, done - self._next)
        self._next = max(self._next, done)


class RateGraph(Static):
    """Draws what has come of the rates, and each time only what is new: slow lines shall keep up."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"rate-graph--bar", "rate-graph--muted"}
    DEFAULT_CSS = """
    RateGraph { height: 1fr; max-height: 14; display: none; }
    RateGraph > .rate-graph--bar { color: $secondary; }
    RateGraph > .rate-graph--muted { color: $text-muted; }
    """

    def __init__(self, rates: Rates) -> None:
        super().__init__(markup=False)
        self._rates = rates
        self._shown: list[Line] = []

    def show(self) -> None:
        """Draw anew what differs from what stands there."""
        before, after = self._shown, self._drawn()
        if len(before) != len(after):
            self.refresh()
            return
        for y, (old, new) in enumerate(zip(before, after, strict=True)):
            begin, end = differing(old, new)
            if begin < end:
                self.refresh(Region(begin, y, end - begin, 1))

    def render(self) -> Content:
        """The graph for the room at hand."""
        self._shown = self._drawn()
        return content_of(self, self._shown)

    def _drawn(self) -> list[Line]:
        return drawn(tuple(self._rates.parts), *self.content_region.size)


def drawn(parts: Sequence[float | None], width: int, height: int) -> list[Line]:
    """The graph in at most `width` columns and `height` lines; nothing where there is no rate yet."""
    known = [rate for rate in parts if rate is not None]
    rows = height - _AROUND
    if not any(known) or rows < 2:
        return []
    title = left(_("Rate"), max(cell_len(one) for one in (_("In all"), _("Now"), _("Rate"))) + 2)
    indent = Piece(" " * cell_len(title))
    room = max(10, width - cell_len(title) - 6)
    top = _scale(max(known))
    halves = [round(2 * rows * rate / top) for rate in _columns(parts, room)]
    told = _("full height: {size} a second").format(size=size(top))
    area = [
        (indent, Piece("".join(_cell(high, row) for high in halves).rstrip(), "rate-graph--bar"))
        for row in reversed(range(rows))
    ]
    ends = Piece(left("0 %", room - 5) + "100 %", "rate-graph--muted")
    return [(Piece(title), Piece(told, "rate-graph--muted")), *area, (indent, ends)]


def _columns(parts: Sequence[float | None], width: int) -> list[float]:
    """The mean rate of the parts that each column stands for; 0 for what has not come to its end."""
    columns = []
    for column in range(width):
        begin = column * len(parts) // width
        end = max(begin + 1, (column + 1) * len(parts) // width)
        known = [rate for rate in parts[begin:end] if rate is not None]
        columns.append(sum(known) / len(known) if len(known) == end - begin else 0.0)
    return columns


def _scale(most: float) -> int:
    """The next power of two: the graph grows, but not at every report."""
    top = 1 << 10
    while top < most:
        top <<= 1
    return top


def _cell(halves: int, row: int) -> str:
    """The row (0 is the lowest) of a column that is so many halves of a line high; each has at least one."""
    if halves > 2 * row + 1:
        return _FULL
    return _HALF if halves == 2 * row + 1 else " "
