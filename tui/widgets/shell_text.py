"""A line for the shell in several lines that the shell reads as the very same command.

POSIX.1-2024, Shell Command Language, 2.2: outside quotes and within double ones a backslash takes the end of
the line away; within single quotes nothing does, so they are closed before it and opened again after it.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from rich.cells import cell_len

from tui.breaking import split_at
from tui.widgets.lines import Line, Piece, wrapped

_WORDS = re.compile(r" +|(?:'[^']*'|\"(?:\\.|[^\"\\])*\"|\\.|[^ '\"\\]|['\"\\])+")
_OUTSIDE = re.compile(r'(?:"(?:\\.|[^"\\])*"|[^"])*?(?: |$)')
_NEXT_WORD = " \\"
"""How a line ends whose next one is another word."""


class _Part(NamedTuple):
    """What stays together on a line where there is room, and how a line ends that stops before it."""

    blank: str
    text: str
    ending: str = _NEXT_WORD


def shell_lines(command: str, width: int, indent: str = "") -> list[str]:
    """`command` in lines of at most `width` columns.

    It is broken at blanks, and the next line begins with `indent`: behind a backslash; within JSON and after
    a ``;`` of a quoted script without one, since these may have ends of lines. A word for which there is no
    room goes on in the first column, where nothing is added to it.
    """
    if cell_len(command) <= width:
        return [command]
    room = max(8, width - 2)
    lines, line, quote = [], "", ""  # the quote that is open where the line begins
    parts = list(_parts(command, room - cell_len(indent)))
    for at, (blank, text, ending) in enumerate(parts):
        fits = width if at + 1 == len(parts) else room
        if line.strip() and cell_len(line + blank + text) > fits:
            lines.append(line + ending)
            blank, quote = "", _open_quote(line, quote)
            line = indent[: max(0, fits - cell_len(text))]
        line += blank + text
        while cell_len(line) > fits:
            head, rest = split_at(line, room - 1)
            inside = _open_quote(head, quote)
            if inside.startswith("\\"):  # what it takes the meaning of goes with it
                head, rest, inside = head[:-1], head[-1] + rest, inside[1:]
            if not head or not rest:
                break
            single = "'" if inside == "'" else ""
            lines.append(head + single + "\\")
            line, quote = single + rest, "" if single else inside
    return [*lines, line]


def told_lines(text: str, width: int, command: str) -> list[Line]:
    """Prose; or lines for a shell, each after ``$ `` and in the role `command`, or a remark after ``# ``."""
    lines: list[Line] = []
    for line in text.split("\n"):
        if line.startswith("$ "):
            lines += [(Piece(one, command),) for one in shell_lines(line, width, "    ")]
        else:
            lines += [(Piece(one),) for one in wrapped(line, width, "# " if line.startswith("# ") else "")]
    return lines


def _parts(command: str, room: int) -> Iterator[_Part]:
    """The words, apart from the blanks before them; those wider than `room` in pieces where they may be."""
    blank, before = "", ""
    for word in _WORDS.findall(command):
        if not word.strip():
            blank = word
            continue
        first, *more = [word] if cell_len(word) <= room else _pieces(word, before)
        yield _Part(blank, first)
        yield from (_Part(" ", piece, "") for piece in more)
        blank, before = "", word


def _pieces(word: str, before: str) -> list[str]:
    """A word apart at those of its blanks that may as well be ends of lines."""
    inner = word[1:-1]
    if not (word[0] == word[-1] == "'") or "'" in inner:
        return [word]
    outside = [found[0].removesuffix(" ") for found in _OUTSIDE.finditer(word) if found[0]]
    if inner[0] in "{[":
        return outside
    if before != "-c":
        return [word]
    pieces = [outside[0]]
    for piece in outside[1:]:
        if pieces[-1].endswith(";"):
            pieces.append(piece)
        else:
            pieces[-1] += " " + piece
    return pieces


def _open_quote(line: str, quote: str) -> str:
    """The quote that is open after `line`, before which `quote` was; behind a backslash that one first."""
    escaped = False
    for char in line:
        if escaped:
            escaped = False
        elif char == "\\" and quote != "'":
            escaped = True
        elif char == quote:
            quote = ""
        elif char in "'\"" and not quote:
            quote = char
    return "\\" + quote if escaped else quote
