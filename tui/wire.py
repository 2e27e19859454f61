"""What goes over the line to the terminal: only what differs from what stands there already.

Textual paints a screen several times while it settles, and says the whole style before every word. A serial
line at 9600 baud carries 960 characters a second, and an SSH connection may not be much better. So what is
painted goes into a model of the screen first, and from the model go the cells that changed, the style where
it changes, and no more. Positions and styles are written as ECMA-48 has them: CUP (8.3.21), CUF (8.3.20),
SGR (8.3.117), EL (8.3.41), ED (8.3.39).
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache

from rich.cells import cell_len
from textual.drivers.linux_driver import LinuxDriver

_TOKEN = re.compile(
    r"\x1b\[(?P<style>[0-9;:]*)m"
    r"|\x1b\[(?P<line>[0-9]+);(?P<column>[0-9]+)H"
    r"|(?P<control>\x1b\[[^@-~]*[@-~]|\x1b[\]P_^][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|\x07)"
    r"|(?P<end>[\r\n]+)"
    r"|(?P<text>[^\x1b\x07\r\n]+)"
)
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
"""Synchronized output: a terminal that knows it shows what is between them at once."""
_POINTER = "\x1b]22;"
"""Textual tells the mouse's shape with every change, though it stays the same: of no use here, and old
terminals write it down as text."""
_NEAR = 6
"""Cells that stay and are written again, because that is no longer than to go around them."""
_ERASE = 8
"""Blank cells from which on erasing the rest of the line is shorter."""
_SEEN_ON_BLANKS = frozenset({"4", "7", "9", "21", "53"})
"""Underlined, reversed, struck out, underlined twice, overlined (ECMA-48, 8.3.117)."""


def _parts(style: str) -> Iterator[str]:
    """A style part by part; a colour with its numbers is one part."""
    words = style.split(";")
    at = 0
    while at < len(words):
        wide = {"5": 3, "2": 5}.get(words[at + 1], 1) if words[at] in ("38", "48") and words[at + 1 :] else 1
        yield ";".join(words[at : at + wide])
        at += wide


@lru_cache(maxsize=1 << 12)
def _said(style: str) -> str:
    """A style without what is so anyway: the terminal's own colours, after a reset."""
    return ";".join(part for part in _parts(style) if part not in ("0", "39", "49", ""))


@lru_cache(maxsize=1 << 12)
def _behind(style: str) -> str:
    """Of a style what is seen where there is no letter."""
    parts = list(_parts(style))
    if _SEEN_ON_BLANKS.intersection(parts):
        return style
    return ";".join(part for part in parts if part[:2] == "10" or (part[0:1] == "4" and part != "4"))


class Row:
    """One line: a character and a style for each column. The second column of a wide character is empty."""

    __slots__ = ("chars", "styles")

    def __init__(self) -> None:
        self.chars: list[str] = []
        self.styles: list[str] = []

    def reach(self, columns: int) -> None:
        """Have at least that many columns."""
        missing = columns - len(self.chars)
        if missing > 0:
            self.chars += [" "] * missing
            self.styles += [""] * missing


class Wire:
    """The screen as it shall be and as it is, and what makes the one out of the other."""

    def __init__(self) -> None:
        self._wanted: dict[int, Row] = {}
        self._there: dict[int, Row] = {}
        self._dirty: set[int] = set()
        self._cleared = False
        self._style, self._x, self._y = "", 0, 0
        """As painted."""
        self._sent_style: str | None = None
        self._sent_at: tuple[int, int] | None = None
        """As sent; None: not known."""
        self._begin = ""

    def forget(self) -> None:
        """The terminal has another size: all will be painted anew, on a cleared screen."""
        self._wanted.clear()
        self.again()

    def again(self) -> None:
        """Something else wrote to the terminal: send all once more, with the next that is painted."""
        self._there.clear()
        self._dirty = set(self._wanted)
        self._cleared = False
        self._sent_style, self._sent_at = None, None

    def sent(self, data: str) -> str:
        """What has to go over the line for what was painted."""
        out: list[str] = []
        painted = False
        for token in _TOKEN.finditer(data):
            kind = token.lastgroup
            if kind == "text":
                self._put(token.group())
                painted = True
            elif kind == "style":
                self._set_style(token["style"])
            elif kind == "column":
                self._x, self._y = int(token["column"]) - 1, int(token["line"]) - 1
                painted = True
            elif kind == "end":
                self._x, self._y = 0, self._y + token.group().count("\n")
            else:
                out += [self._changes() if painted else "", self._control(token.group())]
                painted = False
        if painted:
            out.append(self._changes())
        told = "".join(out)
        if told and self._begin and told != _END:
            told, self._begin = self._begin + told, ""
        return told

    # -- painting ------------------------------------------------------------------------------

    def _set_style(self, style: str) -> None:
        first, _semicolon, _rest = style.partition(";")
        anew = first in ("", "0") or not self._style
        self._style = _said(style) if anew else _said(f"{self._style};{style}")

    def _put(self, text: str) -> None:
        row = self._wanted.setdefault(self._y, Row())
        chars = list(text) if text.isascii() else _cells(text)
        begin, end = self._x, self._x + len(chars)
        row.reach(end)
        if begin and row.chars[begin] == "":  # the half that stays of a wide character is a blank
            row.chars[begin - 1] = " "
        if end < len(row.chars) and row.chars[end] == "":
            row.chars[end] = " "
        row.chars[begin:end] = chars
        row.styles[begin:end] = [self._style] * len(chars)
        self._dirty.add(self._y)
        self._x = end

    def _control(self, control: str) -> str:
        """Anything else goes on as it is. The begin of an update waits until there is one."""
        if control == _BEGIN:
            self._begin = _BEGIN
            return ""
        if control == _END:
            waiting, self._begin = bool(self._begin), ""
            return "" if waiting else _END
        if control.startswith(_POINTER):
            return ""
        if control.endswith(("J", "?1049h")):
            self.again()
        return control

    # -- sending -------------------------------------------------------------------------------

    def _changes(self) -> str:
        out: list[str] = []
        if not self._cleared:
            out.append("\x1b[0m\x1b[2J")
            self._cleared, self._sent_style, self._sent_at = True, "", None
        for y in sorted(self._dirty):
            self._send_row(y, out)
        self._dirty.clear()
        self._go(self._x, self._y, out)
        return "".join(out)

    def _send_row(self, y: int, out: list[str]) -> None:
        wanted, there = self._wanted[y], self._there.setdefault(y, Row())
        there.reach(len(wanted.chars))
        wanted.reach(len(there.chars))
        if wanted.chars == there.chars and wanted.styles == there.styles:
            return
        differing = [x for x in range(len(wanted.chars)) if _differ(wanted, there, x)]
        if not differing:
            return
        blank = self._blank_from(wanted)
        if sum(x >= blank for x in differing) > _ERASE:
            differing = [x for x in differing if x < blank]
        else:
            blank = -1
        for begin, end in _runs(differing):
            self._send_cells(wanted, y, begin, end, out)
        if blank >= 0:
            self._go(blank, y, out)
            self._use("", out)
            out.append("\x1b[K")
        there.chars[:] = wanted.chars
        there.styles[:] = wanted.styles

    @staticmethod
    def _blank_from(row: Row) -> int:
        """From which column on the row is blank, without any colour, to its end."""
        at = len(row.chars)
        while at and row.chars[at - 1] == " " and not _behind(row.styles[at - 1]):
            at -= 1
        return at

    def _send_cells(self, row: Row, y: int, begin: int, end: int, out: list[str]) -> None:
        while begin and row.chars[begin] == "":  # never from the middle of a wide character on
            begin -= 1
        x = begin
        while x < end:
            char, style = row.chars[x], row.styles[x]
            self._go(x, y, out)
            if char != " " or _behind(style) != _behind(self._sent_style or ""):
                self._use(style, out)
            out.append(char)
            columns = 1 if char.isascii() else cell_len(char)
            x += columns
            # terminals do not agree on the width of all that is not one column: then say where it goes on
            self._sent_at = (x, y) if columns == len(char) == 1 else None

    def _use(self, style: str, out: list[str]) -> None:
        if style == self._sent_style:
            return
        if not style:
            out.append("\x1b[m")
        elif not self._sent_style and self._sent_style is not None:
            out.append(f"\x1b[{style}m")
        else:
            out.append(f"\x1b[0;{style}m")
        self._sent_style = style

    def _go(self, x: int, y: int, out: list[str]) -> None:
        if self._sent_at == (x, y):
            return
        if self._sent_at is not None and self._sent_at[1] == y and x > self._sent_at[0]:
            out.append(f"\x1b[{x - self._sent_at[0]}C")
        else:
            out.append(f"\x1b[{y + 1};{x + 1}H")
        self._sent_at = (x, y)


def _cells(text: str) -> list[str]:
    """One text for each column; what has no width of its own stands with the character before it."""
    cells: list[str] = []
    for char in text:
        columns = cell_len(char)
        if columns:
            cells += [char, *[""] * (columns - 1)]
        elif cells:
            cells[-1 if cells[-1] else -2] += char
    return cells


def _differ(wanted: Row, there: Row, x: int) -> bool:
    if wanted.chars[x] != there.chars[x]:
        return True
    one, other = wanted.styles[x], there.styles[x]
    return one != other and (wanted.chars[x] != " " or _behind(one) != _behind(other))


def _runs(places: list[int]) -> Iterator[tuple[int, int]]:
    """Neighbouring places as stretches; what is near is one stretch."""
    if not places:
        return
    begin = last = places[0]
    for place in places[1:]:
        if place - last > _NEAR:
            yield begin, last + 1
            begin = place
        last = place
    yield begin, last + 1


class SparingDriver(LinuxDriver):
    """Textual's own driver, with a `Wire` between it and the terminal: that of the app."""

    def write(self, data: str) -> None:
        wire = getattr(self._app, "wire", None)
        told = wire.sent(data) if isinstance(wire, Wire) else data
        if told:
            super().write(told)

    def _get_terminal_size(self) -> tuple[int, int]:
        """The size that the terminal has, if it knows one: exported COLUMNS stay when it is resized."""
        with suppress(OSError):
            size = os.get_terminal_size(self.fileno)
            if all(size):
                return size.columns, size.lines
        return super()._get_terminal_size()
