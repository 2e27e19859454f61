"""The coach: what to look at on this step, why, and what next; under the step, as much as fits."""

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from tui.widgets.lines import Line, Piece, content_of, cut, left, wrapped
from tui.widgets.side import Part

MOST = 9
"""Lines that the coach takes on a tall screen; a short one leaves less."""


class Coach(Static):
    """Hidden while there is nothing to say."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"coach--title"}
    DEFAULT_CSS = """
    Coach { height: auto; padding: 0 1; border-left: heavy $accent; margin: 0 1; display: none; }
    Coach > .coach--title { color: $text-accent; text-style: bold; }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)

    def show(self, advice: Sequence[Part], width: int, lines: int) -> None:
        """Say it in so many lines of a screen of `width` columns; what is next stands there always."""
        self.display = bool(advice)
        if advice:
            self.update(self._drawn(advice, max(20, width - 6), lines))

    def _drawn(self, advice: Sequence[Part], width: int, height: int) -> Content:
        lines = drawn(advice, width, height)
        return content_of(self, lines)


def drawn(advice: Sequence[Part], width: int, height: int) -> list[Line]:
    """The parts; the last, what is next, always stands there, the others as far as they fit."""
    indent = max(cell_len(title) for title, _text in advice) + 2
    shown = [[*_part(title, text, width, indent)] for title, text in advice]
    order = [shown[-1], *shown[:-1]]
    room = height
    kept: list[list[Line]] = []
    for part in order:
        if len(part) <= room or not kept:
            kept.append(part[:room])
            room -= len(kept[-1])
        elif room > 0:
            kept.append([*part[: room - 1], *_cut(part[room - 1], width)])
            room = 0
    return [line for part in shown for one in kept if one and one[0] == part[0] for line in one]


def _part(title: str, text: str, width: int, indent: int) -> list[Line]:
    first, *rest = wrapped(text, width - indent) or [""]
    head = (Piece(left(title, indent), "coach--title"), Piece(first))
    return [head, *((Piece(" " * indent + line),) for line in rest)]


def _cut(line: Line, width: int) -> list[Line]:
    *before, last = line
    return [(*before, Piece(cut(last.text + " ...", width)))]
