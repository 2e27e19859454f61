"""Text for terminals that show nothing but ASCII; the width stays the same."""

import re
import unicodedata
from typing import TextIO

_CUT = re.compile("[!-~]?…[!-~]|[!-~]{0,2}…")
_KNOWN = str.maketrans(
    {
        "\u202f": " ",
        "\u00a0": " ",
        "×": "x",
        "·": ".",
        "•": "*",
        "→": ">",
        "←": "<",
        "↑": "^",
        "↓": "v",
        "─": "-",
        "━": "=",
        "│": "|",
        "┃": "|",
        "█": "#",
        "▄": "_",
        "▓": "%",
        "▒": ":",
        "░": ".",
        "▸": ">",
        "▾": "v",
        "✓": "+",
        "✗": "x",
        "“": '"',
        "”": '"',
        "‘": "'",
        "’": "'",
        "–": "-",
        "—": "-",
    }
)


def cuts_shown(text: str) -> str:
    """Where a text was cut, dots for ``…``: as many as there is room for, with a letter less on each side.

    No single character of ASCII could stand there without being taken for one of the text.
    """
    return _CUT.sub(lambda found: "." * len(found[0]), text) if "…" in text else text


def to_ascii(text: str) -> str:
    """`text` with every other character replaced by ASCII that takes as many columns."""
    if text.isascii():
        return text
    return "".join(_replaced(char) for char in cuts_shown(text).translate(_KNOWN))


def takes_all(stream: TextIO) -> bool:
    """Whether every character can be written there."""
    return (stream.encoding or "ascii").lower().replace("-", "") == "utf8"


def has_likeness(char: str) -> bool:
    """Whether something in ASCII looks like it, so that a reader knows it again: not so of most scripts."""
    return char == "…" or ord(char) in _KNOWN or bool(_like(char))


def _replaced(char: str) -> str:
    if unicodedata.combining(char):
        return ""
    return _like(char) or ("??" if unicodedata.east_asian_width(char) in "WF" else "?")


def _like(char: str) -> str:
    if char.isascii():
        return char
    if 0x2500 <= ord(char) <= 0x257F:
        return "+"
    base = unicodedata.normalize("NFKD", char)[0]
    known = base.isascii() and base.isprintable() and unicodedata.east_asian_width(char) not in "WF"
    return base if known else ""
