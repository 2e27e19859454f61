"""A terminal's screen as SVG: every character stands in its column, whatever font draws it.

Each character has its own place, and lines, corners and blocks are drawn and not written, so they meet in any
font. The cell has the measures of DejaVu Sans Mono (advance 1233/2048 em, ascent and descent 2384/2048 em).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import TypeVar

from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

T = TypeVar("T")

FONT = 16.0
CELL = FONT * 1233 / 2048
LINE = FONT * 2384 / 2048
_BASELINE = FONT * 1901 / 2048
_MARGIN = 8.0
_BLOCK = {"█": 1.0, "▓": 0.75, "▒": 0.5, "░": 0.25}
"""Shades are drawn as boxes with that share of the colour: a font's dots look different in every size."""
_HALF = "▄"
_STROKES = {
    **dict.fromkeys("─━", "lr"),
    **dict.fromkeys("│┃", "ud"),
    **dict.fromkeys("┌╭┏", "rd"),
    **dict.fromkeys("┐╮┓", "ld"),
    **dict.fromkeys("└╰┗", "ru"),
    **dict.fromkeys("┘╯┛", "lu"),
    **dict.fromkeys("├┣", "rud"),
    **dict.fromkeys("┤┫", "lud"),
    **dict.fromkeys("┬┳", "lrd"),
    **dict.fromkeys("┴┻", "lru"),
    **dict.fromkeys("┼╋", "lrud"),
}
"""Box drawing: to which sides of its cell a line goes."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A character and how it looks; the second column of a wide one holds no text."""

    text: str
    style: Style


def cells_of(segments: Iterable[Segment]) -> list[Cell]:
    """One cell for each column."""
    cells: list[Cell] = []
    for segment in segments:
        style = segment.style or Style()
        for char in segment.text:
            columns = cell_len(char)
            if columns == 0 and cells:
                cells[-1] = Cell(cells[-1].text + char, cells[-1].style)
                continue
            cells.append(Cell(char, style))
            cells += [Cell("", style)] * (columns - 1)
    return cells


def masked(cells: Sequence[Cell], masks: Sequence[tuple[re.Pattern[str], str]]) -> list[Cell]:
    """The line with what differs from run to run replaced; its length stays."""
    text = "".join(cell.text[:1] or "\0" for cell in cells)
    shown = list(cells)
    for pattern, instead in masks:
        for found in reversed(list(pattern.finditer(text))):
            style = shown[found.start()].style
            new = [Cell(char, style) for char in found.expand(instead)]
            gap = len(found.group()) - len(new)
            shown[found.start() : found.end()] = new
            if gap > 0:
                shown[found.start() + len(new) : found.start() + len(new)] = [Cell(" ", style)] * gap
            elif gap < 0:
                _take_blanks(shown, found.start() + len(new), -gap)
            text = "".join(cell.text[:1] or "\0" for cell in shown)
    return shown[: len(cells)]


def _take_blanks(cells: list[Cell], begin: int, count: int) -> None:
    """Make up for what became longer: a border at the end of the line stays in its column."""
    blanks = 0
    for at in range(begin, len(cells)):
        blanks = blanks + 1 if cells[at].text == " " else 0
        if blanks > count:
            del cells[at - count : at]
            return


@dataclass(frozen=True, slots=True)
class Ground:
    """The terminal's own colours: of what has none."""

    behind: str = "#10151a"
    text: str = "#dfe4e8"


def svg(lines: Sequence[Sequence[Cell]], title: str, ground: Ground = Ground()) -> str:
    """The screen as a document."""
    width = max(len(line) for line in lines) * CELL + 2 * _MARGIN
    height = len(lines) * LINE + 2 * _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.2f} {height:.2f}"'
        f' width="{width:.2f}" height="{height:.2f}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="100%" height="100%" rx="6" fill="{ground.behind}"/>',
        f'<g font-family="\'DejaVu Sans Mono\', monospace" font-size="{FONT:g}"'
        ' xml:space="preserve" style="white-space: pre">',
    ]
    rows = [(_MARGIN + row * LINE, line) for row, line in enumerate(lines)]
    for y, line in rows:  # all backgrounds first: one drawn later would cut into the row above
        behind = _runs(line, lambda cell: _colours(cell.style, ground)[1])
        parts += [_box(begin, end, y, colour) for begin, end, colour in behind if colour]
    for y, line in rows:
        for begin, end, style in _runs(line, lambda cell: cell.style):
            parts += _texts(line, begin, end, y, style, ground)
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _runs(line: Sequence[Cell], of: Callable[[Cell], T]) -> Iterator[tuple[int, int, T]]:
    begin = 0
    for at in range(1, len(line) + 1):
        if at == len(line) or of(line[at]) != of(line[begin]):
            yield begin, at, of(line[begin])
            begin = at


def _box(begin: int, end: int, y: float, colour: str, height: float = LINE) -> str:
    """Of the whole line, or of the lower part of it that is so high."""
    # half a pixel more than its cells, so that no seam shows between neighbours
    x, top = _MARGIN + begin * CELL, y + LINE - height
    return (
        f'<rect x="{x:.2f}" y="{top:.2f}" width="{(end - begin) * CELL + 0.5:.2f}"'
        f' height="{height + 0.5:.2f}" fill="{colour}"/>'
    )


def _mixed(colour: str, behind: str, share: float) -> str:
    """A colour that is `share` of `colour` and the rest of `behind`."""
    pairs = zip(bytes.fromhex(colour[1:]), bytes.fromhex(behind[1:]), strict=True)
    return "#" + bytes(round(one * share + other * (1 - share)) for one, other in pairs).hex()


def _texts(
    line: Sequence[Cell], begin: int, end: int, y: float, style: Style, ground: Ground
) -> Iterator[str]:
    colour, behind = _colours(style, ground)
    looks = ' font-weight="bold"' if style.bold else ""
    looks += ' font-style="italic"' if style.italic else ""
    looks += ' text-decoration="underline"' if style.underline else ""
    looks += ' opacity="0.6"' if style.dim else ""
    strokes: list[str] = []
    for kind, first, after in _pieces(line, begin, end):
        if kind == "block":
            shade = _mixed(colour, behind or ground.behind, _BLOCK[line[first].text])
            yield _box(first, after, y, shade)
        elif kind == "half":
            yield _box(first, after, y, colour, LINE / 2)
        elif kind == "stroke":
            strokes += [_stroke(line[at].text, at, y) for at in range(first, after)]
        elif kind == "text":
            xs = " ".join(f"{_MARGIN + at * CELL:.2f}" for at in range(first, after) if line[at].text)
            text = escape("".join(cell.text[:1] for cell in line[first:after]))
            yield f'<text x="{xs}" y="{y + _BASELINE:.2f}" fill="{colour}"{looks}>{text}</text>'
    if strokes:
        yield f'<path d="{"".join(strokes)}" stroke="{colour}" stroke-width="1.3"{looks} fill="none"/>'


def _stroke(char: str, column: int, y: float) -> str:
    """Lines from the middle of a cell to the sides that the character names."""
    x = _MARGIN + column * CELL
    middle, height = x + CELL / 2, y + LINE / 2
    ends = {"l": (x, height), "r": (x + CELL, height), "u": (middle, y), "d": (middle, y + LINE)}
    return "".join(
        f"M{middle:.2f} {height:.2f}L{ends[side][0]:.2f} {ends[side][1]:.2f}" for side in _STROKES[char]
    )


def _pieces(line: Sequence[Cell], begin: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Neighbours that are drawn in one go: words, strokes, runs of one block."""
    for first, after, kind in _runs(line[begin:end], _kind):
        yield kind.partition(" ")[0], begin + first, begin + after


def _kind(cell: Cell) -> str:
    if cell.text in _BLOCK:
        return f"block {cell.text}"
    if cell.text == _HALF:
        return "half"
    if cell.text in _STROKES:
        return "stroke"
    return "blank" if cell.text.isspace() else "text"


@lru_cache(maxsize=1024)
def _colours(style: Style, ground: Ground) -> tuple[str, str]:
    """Text and background; the background is empty where it is the terminal's own."""
    text = _hex(style.color) or ground.text
    behind = _hex(style.bgcolor)
    return (behind or ground.behind, text) if style.reverse else (text, behind)


def _hex(colour: Color | None) -> str:
    if colour is None or colour.is_default:
        return ""
    return colour.get_truecolor().hex
