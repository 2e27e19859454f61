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
from rich.cells import cell_len

_WIDE = (
    "\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff"
    "\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\U00020000-\U0003fffd"
)
_OPENING = "（《〈「『【〔〖“‘"
_CLOSING = "，。、；：？！）》〉」』】〕〗”’…"
_NOTE = 8
"""Characters in brackets that stay together: so short a note is one word."""
_HAS_WIDE = re.compile(f"[{_WIDE}]")
_UNIT = re.compile(
    rf"（[^\s（）]{{1,{_NOTE}}}）[{_CLOSING}]*\s*"
    rf"|(?=\S)[{_OPENING}]*(?:[^\s{_WIDE}{_OPENING}{_CLOSING}]+|(?![{_OPENING}{_CLOSING}])[{_WIDE}])?"
    rf"[{_CLOSING}]*\s*|\s+"
)
_HELD = re.compile(r"(?<=\d) (?=(?:[KMGTPE]i)?B\b|(?:s|min|h|d)\b|%)|[\u00a0\u202f]")
"""Spaces at which no line ends."""
_JOINTS = "/,="
"""Behind which a long word is rather broken than anywhere else."""


def has_wide(text: str) -> bool:
    """Whether anything in it takes two columns."""
    return not text.isascii() and _HAS_WIDE.search(text) is not None


def held(text: str) -> str:
    """The text with something else in the place of each space at which no line ends; as long, as wide."""
    return _HELD.sub("_", text)


def units(text: str) -> list[str]:
    """What stays together on a line, each with the white space behind it."""
    return _UNIT.findall(text)


def split_at(text: str, width: int) -> tuple[str, str]:
    """A word that is too long, as what stands in `width` columns and the rest; not in a name if it can be."""
    taken = 0
    for index, char in enumerate(text):
        taken += cell_len(char)
        if taken > width and index:
            after = 1 + max(text.rfind(sign, 0, index) for sign in _JOINTS)
            if after and cell_len(text[:after]) * 2 > width:
                index = after
            return text[:index], text[index:]
    return text, ""


def breaks(text: str, width: int, fold: bool = True) -> list[int]:
    """Where the lines after the first begin, so that each fits into `width` columns."""
    return [*_filled(held(text), width, fold)]


def _filled(text: str, width: int, fold: bool) -> Iterator[int]:
    at = used = 0
    for unit in units(text):
        word = unit.rstrip()
        if used and used + cell_len(word) > width:
            yield at
            used = 0
        at += len(unit)
        head, rest = split_at(word, width) if fold else (word, "")
        while rest:
            yield at - len(unit) + len(word) - len(rest)
            head, rest = split_at(rest, width)
        used += cell_len(head + unit[len(word) :])


def teach_textual() -> None:
    """Have Textual break what it shows the same way; it offers no place where that could be said."""
    textual.content.divide_line = breaks  # type: ignore[attr-defined]
