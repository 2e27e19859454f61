"""The seven steps of the road, where on it one is, and what was chosen at each."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from core.i18n import N_, _
from core.text import safe
from tui.widgets.lines import Line, Piece, content_of, cut, left, middle_cut, width_of

STEPS = (N_("Disk"), N_("Protect"), N_("Partition"), N_("Open"), N_("Files"), N_("Copy"), N_("Done"))
_SEPARATOR = " · "
_ROOMY = 130
"""Columns from which on what was chosen stands below its step."""
_LEAST = 12
"""Columns in which the last choice is cut in its middle; in fewer, all of them at their end."""


class Rail(Static):
    """One line with the steps, the current one in brackets; one with what was chosen so far.

    A click on a step that was gone already posts `Went`.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"rail--past", "rail--now", "rail--next", "rail--chosen"}
    DEFAULT_CSS = """
    Rail { height: 2; padding: 0 1; }
    Rail > .rail--past { color: $text-success; }
    Rail > .rail--now { text-style: bold; color: $text-accent; }
    Rail > .rail--next { color: $text-muted; }
    Rail > .rail--chosen { color: $text-muted; }
    """

    class Went(Message):
        """The mouse asks to go back to a step."""

        def __init__(self, rail: "Rail", step: int) -> None:
            super().__init__()
            self.rail = rail
            self.step = step

        @property
        def control(self) -> "Rail":
            return self.rail

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(markup=False, name=name, id=id, classes=classes)
        self._current: int | None = None
        self._chosen: Mapping[int, str] = {}

    def show(self, current: int | None, chosen: Mapping[int, str] | None = None) -> None:
        """Mark step `current` (0 to 6; None before the first) and tell what was chosen at which step."""
        now = (current, dict(chosen or {}))
        if now != (self._current, self._chosen):
            self._current, self._chosen = now
            self.refresh()

    def render(self) -> Content:
        """Both lines for the width at hand."""
        return content_of(self, drawn(self._current, self._chosen, self.content_region.width))

    def on_click(self, event: events.Click) -> None:
        place = event.get_content_offset(self)
        column = -1 if place is None else place.x  # the first place of all is false
        step = step_at(self._current, self.content_region.width, column)
        if step is not None and self._current is not None and step < self._current:
            self.post_message(self.Went(self, step))


def drawn(current: int | None, chosen: Mapping[int, str], width: int) -> list[Line]:
    """The rail in at most `width` columns.

    Steps that are done have a ``+`` before them, the current one stands in brackets. Where the
    words do not fit, only the current step keeps its word and the others their number. On a wide
    screen each choice stands below its step.
    """
    line = tuple(piece for _step, piece in _pieces(current, width))
    if width >= _ROOMY:
        column = width // len(STEPS)
        return [line, (Piece("".join(_below(chosen, column)), "rail--chosen"),)]
    *before, last = ["", *(safe(chosen[step]) for step in sorted(chosen))]
    told = _SEPARATOR.join(before[1:])
    told += _SEPARATOR if told else ""
    told += middle_cut(last, max(_LEAST, width - cell_len(told)))
    return [line, (Piece(cut(told, width), "rail--chosen"),)]


def _below(chosen: Mapping[int, str], column: int) -> Iterator[str]:
    """What was chosen, each below its step; it may run on where nothing was chosen at the next ones."""
    begin = 0
    for step, end in pairwise([*sorted(chosen), len(STEPS)]):
        room = (end - step) * column
        yield " " * (step - begin) * column + left(middle_cut(safe(chosen[step]), room - 2), room)
        begin = end


def step_at(current: int | None, width: int, column: int) -> int | None:
    """Which step stands at that column of the rail's first line; None between two."""
    begin = 0
    for step, piece in _pieces(current, width):
        end = begin + cell_len(piece.text)
        if begin <= column < end:
            return step
        begin = end
    return None


def _pieces(current: int | None, width: int) -> list[tuple[int | None, Piece]]:
    """The first line, piece by piece, with the step that each belongs to."""
    words = [_(step) for step in STEPS]
    if width >= _ROOMY:
        return list(_in_columns(words, current, width // len(STEPS)))
    pieces = list(_beside(words, current))
    if width_of(tuple(piece for _step, piece in pieces)) > width:
        short = [word if at == current else str(at + 1) for at, word in enumerate(words)]
        return list(_beside(short, current))
    return pieces


def _beside(words: Sequence[str], current: int | None) -> Iterator[tuple[int | None, Piece]]:
    for at, word in enumerate(words):
        if at:
            yield None, Piece(_SEPARATOR, "rail--next")
        yield at, _step(at, word, current)


def _in_columns(words: Sequence[str], current: int | None, column: int) -> Iterator[tuple[int | None, Piece]]:
    for at, word in enumerate(words):
        piece = _step(at, word, current)
        yield at, piece._replace(text=left(piece.text, column))


def _step(at: int, word: str, current: int | None) -> Piece:
    if current is not None and at < current:
        return Piece("+" + word, "rail--past")
    if at == current:
        return Piece(f"[{word}]", "rail--now")
    return Piece(word, "rail--next")
