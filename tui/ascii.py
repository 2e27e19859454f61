"""Text for terminals that show nothing but ASCII; the width stays the same."""

import re
import unicodedata

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


def _replaced(char: str) -> str:
    if char.isascii():
        return char
    if unicodedata.combining(char):
        return ""
    base = unicodedata.normalize("NFKD", char)[0]
    if base.isascii() and base.isprintable() and unicodedata.east_asian_width(char) not in "WF":
        return base
    if 0x2500 <= ord(char) <= 0x257F:
        return "+"
    return "??" if unicodedata.east_asian_width(char) in "WF" else "?"
