"""Lines made of pieces with a role: what the widgets draw, before anything has a colour.

Drawing into pieces is a pure function of values, so it can be tested without a screen; the widget
looks up a style for each role. Widths are columns of the terminal: a wide character takes two.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from textual.content import Content
from textual.style import Style as VisualStyle
from textual.widget import Widget

from tui.breaking import has_wide, held, split_at, units

ELLIPSIS = "…"


class Piece(NamedTuple):
    """Text that is drawn in one style. Its text is safe to show."""

    text: str
    role: str = ""
    """The component class of the widget that styles it; empty for the widget's own style."""


Line = tuple[Piece, ...]


def text_of(line: Line) -> str:
    """What the line reads."""
    return "".join(piece.text for piece in line)


def width_of(line: Line) -> int:
    """The columns that the line takes."""
    return sum(cell_len(piece.text) for piece in line)


def cut(text: str, width: int) -> str:
    """`text` in at most `width` columns; where something was cut off there is an ellipsis."""
    if cell_len(text) <= width:
        return text
    if width < 1:
        return ""
    return set_cell_size(text, width - 1).rstrip() + ELLIPSIS


def left(text: str, width: int) -> str:
    """`text` in exactly `width` columns, at the left."""
    shown = cut(text, width)
    return shown + " " * (width - cell_len(shown))


def right(text: str, width: int) -> str:
    """`text` in exactly `width` columns, at the right."""
    shown = cut(text, width)
    return " " * (width - cell_len(shown)) + shown


def middle_cut(text: str, width: int) -> str:
    """`text` in at most `width` columns, cut in the middle: both ends of a path tell something."""
    if cell_len(text) <= width:
        return text
    if width < 8:
        return cut(text, width)
    head = set_cell_size(text, width // 3).rstrip()
    rest = width - cell_len(head) - 1
    tail = text[-rest:]
    while cell_len(tail) > rest:
        tail = tail[1:]
    return head + ELLIPSIS + tail


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """`text` in lines of at most `width` columns; words that are too long are broken.

    Every line after the first begins with `indent`, where a wide character fits behind it.
    """
    indent = indent if len(indent) + 1 < width else ""
    lines: list[str] = []
    current = ""
    for part in _parts(text):
        if current.strip() and cell_len(current + part.rstrip()) > width:
            lines.append(current.rstrip())
            current, part = indent, part.lstrip()
        current += part
        if cell_len(current.rstrip()) > width:
            *whole, current = _broken(current, width, indent)
            lines += whole
    return [*lines, current.rstrip() or current]


def _parts(text: str) -> Iterator[str]:
    """What stays together on a line, in order."""
    whole = held(text)
    first, *words = whole.split(" ")
    at = 0
    for part in units(whole) if has_wide(text) else [first, *(f" {word}" for word in words)]:
        yield text[at : at + len(part)]
        at += len(part)


def _broken(text: str, width: int, indent: str) -> list[str]:
    lines: list[str] = []
    while cell_len(text) > width:
        head, rest = split_at(text, width)
        if not rest:
            break
        lines.append(head)
        text = indent + rest
    return [*lines, text]


def joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The same pieces with neighbours of one role made one."""
    text, role = "", ""
    for piece in pieces:
        if piece.role != role and text:
            yield Piece(text, role)
            text = ""
        text, role = text + piece.text, piece.role
    if text:
        yield Piece(text, role)


def differing(old: Line, new: Line) -> tuple[int, int]:
    """From which column on, and up to which, two lines of one width look different; equal ones: nowhere.

    A slow line is spared what stays.
    """
    first, second = _columns(old), _columns(new)
    if len(first) != len(second):
        return 0, max(len(first), len(second))
    places = [at for at, (one, other) in enumerate(zip(first, second, strict=True)) if one != other]
    return (places[0], places[-1] + 1) if places else (0, 0)


def _columns(line: Line) -> list[tuple[str, str]]:
    return [(char, piece.role) for piece in line for char in piece.text for _column in range(cell_len(char))]


class Fact(NamedTuple):
    """What a thing is called, and what it is. Both are safe to show."""

    name: str
    value: str
    style: str = ""


def facts(rows: Sequence[Fact], width: int) -> Content:
    """Facts below each other: the names in a column, the values wrapped beside it to `width` in all."""
    wide = max(cell_len(row.name) for row in rows) + 2
    lines: list[Content] = []
    for row in rows:
        first, *more = wrapped(row.value, max(20, width - wide))
        lines.append(Content.assemble((left(row.name, wide), "$text-muted"), (first, row.style)))
        lines += [Content.assemble(" " * wide, (line, row.style)) for line in more]
    return Content("\n").join(lines)


def content_of(widget: Widget, lines: Iterable[Line]) -> Content:
    """The lines as content in the widget's styles; nothing in them is read as markup."""
    styles: dict[str, VisualStyle] = {}
    rows: list[Content] = []
    for line in lines:
        parts: list[str | tuple[str, VisualStyle]] = []
        for piece in joined(line):
            if not piece.role:
                parts.append(piece.text)
                continue
            if piece.role not in styles:
                styles[piece.role] = widget.get_visual_style(piece.role, partial=True)
            parts.append((piece.text, styles[piece.role]))
        rows.append(Content.assemble(*parts))
    return Content("\n").join(rows)
