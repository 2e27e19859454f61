"""A line to type into that takes every key in the order in which it was pressed."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.strip import Strip
from textual.widgets import Input

from core.i18n import bracketed
from tui.widgets.lines import ELLIPSIS, left, middle_cut

_EMPTY = "_"


class TextLine(Input):
    """Textual's own, but letters do not overtake the keys that do something.

    Textual takes a letter at once, while a key that is bound goes up to the app first. Where keys come faster
    than they are handled (a slow host, text that is pasted, a serial line) Ctrl+U would delete what was typed
    after it, and Enter would take letters that were meant for the next screen.

    What is longer than the line has a sign where it is cut: in the middle while nobody types there.

    Where a ground of its own cannot be seen, a row of ``_`` shows how far the line goes.
    """

    def on_mount(self) -> None:
        if self._grey and self.placeholder:  # where it is not dimmed, it would look like something typed
            self.placeholder = bracketed(self.placeholder)

    @property
    def _grey(self) -> bool:
        return self.app.no_color or not getattr(self.app, "colour", True)

    async def on_key(self, event: events.Key) -> None:
        bound = None if event.is_printable else self.screen.active_bindings.get(event.key)
        if bound and bound.enabled and await self.app.run_action(bound.binding.action, bound.node):
            event.stop()
            event.prevent_default()

    def render_line(self, y: int) -> Strip:
        """The line as Textual draws it; with signs where it was cut, without colours to its end."""
        strip = super().render_line(y) if y else self._cut(super().render_line(y))
        if y or not (self._grey or getattr(self.app, "ascii_only", False)):
            return strip
        width = self.scrollable_content_region.width
        cursor = 1 if self.has_focus and self.cursor_at_end else 0
        return Strip(_ruled(strip.adjust_cell_length(width), cursor), width)

    def _cut(self, strip: Strip) -> Strip:
        """What does not fit is told: at the edge it goes on beyond, or in the middle where nobody types."""
        width = self.scrollable_content_region.width
        wide = cell_len(self.value)
        if self.password or wide <= width or width < 3:
            return strip
        strip = strip.adjust_cell_length(width)
        if not self.has_focus:
            style = next((segment.style for segment in strip), None)
            return Strip([Segment(left(middle_cut(self.value, width), width), style)], width)
        before = self.scroll_offset.x
        cursor = cell_len(self.value[: self.cursor_position]) - before
        if before and cursor:
            strip = _marked(strip, 0)
        return _marked(strip, width - 1) if before + width < wide and cursor < width - 1 else strip


def _marked(strip: Strip, at: int) -> Strip:
    """The strip with the sign of a cut in column `at`."""
    style = next((segment.style for segment in strip.crop(at, at + 1)), None)
    return Strip.join([strip.crop(0, at), Strip([Segment(ELLIPSIS, style)]), strip.crop(at + 1)])


def _ruled(segments: Iterable[Segment], kept: int) -> Iterator[Segment]:
    """The segments with ``_`` for the blanks at their end, but for the first `kept`."""
    cells = [(char, one.style) for one in segments for char in one.text]
    at = len(cells)
    while at and cells[at - 1][0] == " ":
        at -= 1
    at += kept
    ruled = [*cells[:at], *((_EMPTY, style) for _blank, style in cells[at:])]
    for style, run in groupby(ruled, key=lambda cell: cell[1]):
        yield Segment("".join(char for char, _style in run), style)
