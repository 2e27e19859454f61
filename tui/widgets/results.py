"""A list that grows while somebody looks: a line each, the one under the cursor marked by a letter too."""

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Offset
from textual.strip import Strip
from textual.widgets import OptionList

from tui.widgets.rows import MARKER


class Results(OptionList):
    """Lines to choose from; the chosen one has a ``>`` before it, so it is seen without colour too."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id, compact=True, markup=False)

    def watch_highlighted(self, highlighted: int | None) -> None:
        super().watch_highlighted(highlighted)
        self._place_terminal_cursor()

    def on_focus(self) -> None:
        self._place_terminal_cursor()

    def _place_terminal_cursor(self) -> None:
        """Braille and speech follow the terminal's cursor."""
        if self.has_focus and self.highlighted is not None:
            area = self.content_region
            self.app.cursor_position = Offset(area.x, area.y + self.highlighted - self.scroll_offset.y)

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        if self.highlighted is None or self.scroll_offset.y + y != self.highlighted:
            return strip
        style = self.get_component_rich_style("option-list--option-highlighted")
        style += Style(meta={"option": self.highlighted})
        return Strip([Segment(MARKER + strip.text[1:], style)], strip.cell_length)
