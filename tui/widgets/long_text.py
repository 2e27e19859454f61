"""A file of any length as rows to look at: nothing is made of a line before it comes into sight."""

import re
from bisect import bisect_right
from itertools import accumulate

from core.text import safe
from tui.widgets.lines import Line, Piece, wrapped

_TAB = 4
_ODD = re.compile(rb"[^\x20-\x7e]")
"""What need not take one column: it is replaced, wide, or has no width."""
_BYTES = 16


class LongText:
    """The lines of a text, wrapped; a million of them take a second to look through, on any thread."""

    def __init__(self, data: bytes) -> None:
        self._lines = data.split(b"\n")
        if self._lines and not self._lines[-1]:
            self._lines.pop()
        self._odd = {at for at, line in enumerate(self._lines) if _ODD.search(line)}
        self._width = 0
        self._ends: list[int] = []

    def count(self, width: int) -> int:
        """How many rows there are in `width` columns."""
        if width != self._width:
            self._width = width
            self._ends = list(accumulate(map(self._rows_of, range(len(self._lines)), self._lines)))
        return self._ends[-1] if self._ends else 0

    def row(self, number: int, width: int) -> Line:
        """One row in `width` columns."""
        self.count(width)
        at = bisect_right(self._ends, number)
        begins = self._ends[at - 1] if at else 0
        return (Piece(self._wrapped(at)[number - begins]),)

    def _rows_of(self, at: int, line: bytes) -> int:
        if len(line) <= self._width and at not in self._odd:
            return 1
        return len(self._wrapped(at))

    def _wrapped(self, at: int) -> list[str]:
        return wrapped(safe(self._lines[at].rstrip(b"\r").expandtabs(_TAB)), self._width)


class LongBytes:
    """Bytes that are no text: place, hexadecimal numbers, and what of them can be shown."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._column = max(4, len(f"{max(0, len(data) - 1):x}"))

    def count(self, width: int) -> int:
        return -(-len(self._data) // self._across(width))

    def row(self, number: int, width: int) -> Line:
        across = self._across(width)
        at = number * across
        some = self._data[at : at + across]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in some)
        return (Piece(f"{at:0{self._column}x}  {some.hex(' '):<{3 * across}} {shown}"),)

    def _across(self, width: int) -> int:
        return _BYTES if width >= self._column + 3 + 4 * _BYTES else _BYTES // 2
