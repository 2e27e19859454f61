"""Text for Markdown (CommonMark) that foreign strings cannot break out of."""

import re

from core.text import safe

_BACKTICKS = re.compile(r"`+")
# Marks inside a line, at its beginning, and what GitHub's dialect makes a link without any mark.
_MARKS = re.compile(r"[\\`*_{}\[\]<>#!|~&@]|:(?=//)|(?<=www)\.|^[-+=]|(?<=^\d)[.)]")


def plain(value: str | bytes) -> str:
    """Foreign text as running text: one line, nothing in it read as a mark, a link or HTML.

    Every ASCII punctuation mark may be escaped (CommonMark 0.31, 2.4).
    """
    return _MARKS.sub(r"\\\g<0>", safe(value))


def span(value: str | bytes) -> str:
    """Foreign text as a code span, in a fence longer than any row of backticks in it (6.1)."""
    text = safe(value)
    fence = "`" * (_longest(text) + 1)
    # One space at both ends is taken away again, and keeps a backtick there from joining the fence.
    return f"{fence} {text} {fence}" if text.strip() else f"{fence} {fence}"


def block(lines: list[str]) -> list[str]:
    """Lines as a fenced code block (4.5); each line is made safe by itself."""
    shown = [safe(line) for line in lines]
    fence = "`" * max(3, 1 + max(map(_longest, shown), default=0))
    return [fence + "sh", *shown, fence]


def _longest(text: str) -> int:
    return max((len(row) for row in _BACKTICKS.findall(text)), default=0)
