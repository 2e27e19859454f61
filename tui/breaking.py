"""Where a line of text is broken: between words, and where Chinese, which has none, may be broken.

Between two wide characters a line may end, but none begins with a full stop and the like and none ends with
an opening bracket (GB/T 15834 5.1.10); what is written in Latin letters stays together. Rich and Textual
break a text without spaces in any place, and at every space, one that does not break too.

A number stays with its unit, whatever space is between the two: so the space itself can be a plain one,
which is found again in a report and known to every terminal.
"""

import re
from collections.abc import Iterator

import textual.content
from rich._wrap import divide_line
from rich.cells import cell_len

_WIDE = (
    "\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff"
    "\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\U00020000-\U0003fffd"
)
_OPENING = "（《〈「『【〔〖“‘"
_CLOSING = "，。、；：？！）》〉」』】〕〗”’…"
_HAS_WIDE = re.compile(f"[{_WIDE}]")
_UNIT = re.compile(
    rf"(?=\S)[{_OPENING}]*(?:[^\s{_WIDE}{_OPENING}{_CLOSING}]+|(?![{_OPENING}{_CLOSING}])[{_WIDE}])?"
    rf"[{_CLOSING}]*\s*|\s+"
)
_HELD = re.compile(r"(?<=\d) (?=(?:[KMGTPE]i)?B\b|(?:s|min|h|d)\b|%)|[\u00a0\u202f]")
"""Spaces at which no line ends."""


def has_wide(text: str) -> bool:
    """Whether anything in it takes two columns."""
    return not text.isascii() and _HAS_WIDE.search(text) is not None


def held(text: str) -> str:
    """The text with something else in the place of each space at which no line ends; as long, as wide."""
    return _HELD.sub("_", text)


def units(text: str) -> list[str]:
    """What stays together on a line, each with the white space behind it."""
    return _UNIT.findall(text)


def breaks(text: str, width: int, fold: bool = True) -> list[int]:
    """Where the lines after the first begin, so that each fits into `width` columns.

    As `divide_line` of Rich, which does it for texts without wide characters.
    """
    text = held(text)
    if not has_wide(text):
        return divide_line(text, width, fold)
    return [*_filled(text, width, fold)]


def _filled(text: str, width: int, fold: bool) -> Iterator[int]:
    at = used = 0
    for unit in units(text):
        wanted = cell_len(unit.rstrip())
        if used and used + wanted > width:
            yield at
            used = 0
        if fold and wanted > width:
            for place, char in enumerate(unit.rstrip()):
                if used and used + cell_len(char) > width:
                    yield at + place
                    used = 0
                used += cell_len(char)
            used += len(unit) - len(unit.rstrip())
        else:
            used += cell_len(unit)
        at += len(unit)


def teach_textual() -> None:
    """Have Textual break what it shows the same way; it offers no place where that could be said."""
    textual.content.divide_line = breaks  # type: ignore[attr-defined]
