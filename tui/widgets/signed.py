"""Sentences, each behind a sign, which stands alone in its column."""

from collections.abc import Sequence

from textual import events
from textual.content import Content
from textual.widgets import Static

from core.text import safe
from tui.widgets.lines import wrapped

_STYLES = {"✓": "$text-success"}

Signed = tuple[str, str]
"""A sign of one column, and a sentence."""


class SignedText(Static):
    """Is wrapped anew for each width that it gets."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(markup=False, id=id, classes=classes)
        self._said: tuple[Signed, ...] = ()
        self._width = 0

    def show(self, said: Sequence[Signed]) -> None:
        """Show these sentences."""
        self._said = tuple(said)
        self._draw()

    def on_resize(self, _event: events.Resize) -> None:
        if self.content_size.width != self._width:
            self._draw()

    def _draw(self) -> None:
        self._width = self.content_size.width
        self.update(Content("\n").join(self._lines(self._width or self.app.size.width)))

    def _lines(self, width: int) -> list[Content]:
        lines = []
        for sign, text in self._said:
            first, *more = wrapped(safe(text), max(8, width - 2))
            lines += [
                Content.assemble((sign, _STYLES.get(sign, "$warning")), " ", first),
                *(Content("  " + one) for one in more),
            ]
        return lines
