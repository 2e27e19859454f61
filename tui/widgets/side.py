"""What stands beside a step on a wide screen: what the step is, what can go wrong, and what is up."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual.content import Content
from textual.widgets import Static

from core.i18n import _
from core.text import safe
from core.undo.account import Entry
from tui.widgets.lines import Line, Piece, content_of, left, middle_cut, wrapped
from tui.widgets.shell_text import told_lines

Part = tuple[str, str]
"""A title and a text."""


class Side(Static):
    """The lesson of the step and the undo stack, as far as they fit."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"side--title", "side--muted", "side--up", "side--command"}
    DEFAULT_CSS = """
    Side { width: 50; height: 1fr; padding: 1 2; display: none; }
    Side > .side--title { text-style: bold; color: $text-accent; }
    Side > .side--muted { color: $text-muted; }
    Side > .side--up { color: $text-success; }
    Side > .side--command { color: $text-accent; }
    """

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(markup=False, name=name, id=id, classes=classes)
        self._parts: tuple[Part, ...] = ()
        self._standing: tuple[Entry, ...] = ()

    def show(self, parts: Sequence[Part], standing: Sequence[Entry]) -> None:
        """Tell the lesson, part by part, and what is up, the last first."""
        now = (tuple(parts), tuple(standing))
        if now != (self._parts, self._standing):
            self._parts, self._standing = now
            self.refresh()

    def render(self) -> Content:
        """The panel for the room at hand."""
        region = self.content_region
        return content_of(self, drawn(self._parts, self._standing, region.width, region.height))


def drawn(parts: Sequence[Part], standing: Sequence[Entry], width: int, height: int) -> list[Line]:
    """The panel in at most `width` columns and `height` lines; what is up is always told."""
    up = [*_up(standing, width)]
    told: list[Line] = []
    for title, text in parts:
        part: list[Line] = [(Piece(title, "side--title"),), *told_lines(text, width, "side--command")]
        if len(told) + len(part) + 1 + len(up) <= height:
            told += [*part, ()]
    return [*told, *up][:height]


def _up(standing: Sequence[Entry], width: int) -> Iterator[Line]:
    yield (Piece(_("What is up, the last first"), "side--title"),)
    if not standing:
        told = wrapped(_("Nothing that this session put up."), width)
        yield from ((Piece(line, "side--muted"),) for line in told)
    for entry in standing:
        name = left(entry.named, 13)
        yield (Piece(name, "side--up"), Piece(middle_cut(safe(entry.target), width - 13)))
