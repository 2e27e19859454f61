"""Text for terminals that show nothing but ASCII; the width stays the same."""

import unicodedata

_KNOWN = str.maketrans(
    {
        "\u202f": " ",
        "\u00a0": " ",
        "×": "x",
        "·": ".",
        "•": "*",
        "…": "~",
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


def to_ascii(text: str) -> str:
    """`text` with every other character replaced by ASCII that takes as many columns."""
    if text.isascii():
        return text
    return "".join(_replaced(char) for char in text.translate(_KNOWN))


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
