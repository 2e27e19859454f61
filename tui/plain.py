"""Foreign text for widgets, and terminals that show less than others.

Two things stand between a name from a guest's disk and the terminal: `plain` makes it safe text that is
never read as markup, and the line filters look at each line once more, right before it is drawn.
"""

import codecs
import locale
import os
import re
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.content import Content
from textual.filter import LineFilter, NoColor

from core.ascii import cuts_shown, to_ascii
from core.i18n import _, sentences
from core.text import safe

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
"""C0, DEL and C1 (ECMA-48, 5.2 and 5.3), what reverses the direction (UAX #9, 2.7), and what has no width."""
_SURROGATES = re.compile("[\ud800-\udfff]")
"""What no terminal's encoding has: a byte of a name that is no UTF-8 (PEP 383)."""

# What Textual draws borders, scroll bars and markers with, as far as `to_ascii` does not know it.
_DRAWN = str.maketrans(
    {
        **dict.fromkeys("▀▔", "-"),
        **dict.fromkeys("▄▁▂▃▅▆", "_"),
        **dict.fromkeys("▏▎▍▌▋▊▉▕▐║", "|"),
        **dict.fromkeys("═╌╍┄┅┈┉", "-"),
        **dict.fromkeys("╎╏┆┇┊┋", "|"),
        "▇": "#",
        "■": "#",
        "●": "*",
        "○": "o",
        "▶": ">",
        "◀": "<",
        "▲": "^",
        "▼": "v",
        "–": "-",
        "—": "-",
        "›": ">",
        "‹": "<",
        "¶": "P",
    }
)

_CONSOLE = str.maketrans(
    {
        **dict.fromkeys("╭┏", "┌"),
        **dict.fromkeys("╮┓", "┐"),
        **dict.fromkeys("╰┗", "└"),
        **dict.fromkeys("╯┛", "┘"),
        **dict.fromkeys("━▔", "─"),
        **dict.fromkeys("┃▏▎▕", "│"),
        **dict.fromkeys("▍▋▊▉", "▌"),
        **dict.fromkeys("▁▂▃", "▄"),
        **dict.fromkeys("▅▆▇", "█"),
        **dict.fromkeys("“”", '"'),
        **dict.fromkeys("‘’", "'"),
        **dict.fromkeys("–—", "-"),
        "\u202f": " ",
    }
)
"""What we draw with and what the font of Linux's console lacks: its unicode map is that of code page 437.

A font that setfont(8) loads may have more: so what is foreign is left alone.
"""
_DUMB = frozenset({"", "dumb", "unknown"})
_PLAIN = re.compile(r"(vt\d|ansi|cons25|sun|wyse|hp\d|pcansi)")
"""Terminals that are known to show characters of eight bits at most: terminfo(5), their names."""


def plain(text: str | bytes | os.PathLike[str]) -> Content:
    """`text` made safe to show (see `core.text.safe`); nothing in it is read as markup."""
    return Content(safe(text))


@lru_cache(maxsize=1 << 14)
def ascii_columns(text: str) -> str:
    """`text` in ASCII, with as many columns as it took before: a wide character becomes ``? ``."""
    if text.isascii():
        return text
    return "".join(_ascii_char(char) for char in cuts_shown(text).translate(_DRAWN))


@lru_cache(maxsize=1 << 12)
def _ascii_char(char: str) -> str:
    if char.isascii():
        return char
    width = cell_len(char)
    if width != 1:
        return "" if width == 0 else "?" + " " * (width - 1)
    return (to_ascii(char) or "?")[:1]


class AsciiOnly(LineFilter):
    """Turns every character outside ASCII into ASCII of the same width."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments in ASCII; the width of each stays."""
        return [
            segment if segment.text.isascii() else Segment(ascii_columns(segment.text), segment.style)
            for segment in segments
        ]


class ConsoleOnly(LineFilter):
    """Draws with what the font of Linux's console has: anything else would be a black square there."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments with other lines, blocks and dots; the width of each stays."""
        return [
            segment if segment.text.isascii() else Segment(_for_console(segment.text), segment.style)
            for segment in segments
        ]


def _for_console(text: str) -> str:
    return cuts_shown(text).translate(_CONSOLE)


class NoControls(LineFilter):
    """Drops control characters: the last line of defence behind `plain`, and a typed line's only one.

    Put it last in `App.get_line_filters`, so that nothing after it can bring some back.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments without C0 and C1, and with ``?`` for what cannot be encoded."""
        return [
            segment if segment.text.isprintable() else Segment(_harmless(segment.text), segment.style)
            for segment in segments
        ]


def _harmless(text: str) -> str:
    return _SURROGATES.sub("?", _CONTROLS.sub("", text))


def filters(
    before: Sequence[LineFilter], *, ascii_only: bool, colour: bool = True, console: bool = False
) -> list[LineFilter]:
    """What `App.get_line_filters` hands out: Textual's own filters, then ours."""
    less: list[LineFilter] = [] if colour else [NoColor()]
    if ascii_only:
        less.append(AsciiOnly())
    elif console:
        less.append(ConsoleOnly())
    return [*before, *less, NoControls()]


def terminal_problem(environ: Mapping[str, str] | None = None) -> str | None:
    """Why no screen can be drawn here, as sentences; None if one can."""
    term = (os.environ if environ is None else environ).get("TERM", "")
    if not all(map(_is_terminal, (0, 1, 2))):  # Textual draws on standard error
        what = _("The wizard needs a terminal, and standard input, output or error is none.")
    elif term in _DUMB:
        what = _("The wizard needs a terminal that can place the cursor, and TERM says that this one cannot.")
    else:
        return None
    by_line = _("Line by line it works all the same: virt-salvage --linear.")
    return sentences((what, by_line, _("The command line does the same: virt-salvage --help")))


def _is_terminal(descriptor: int) -> bool:
    stream = (sys.__stdin__, sys.__stdout__, sys.__stderr__)[descriptor]
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # the stream is closed
        return False


def wants_plain(environ: Mapping[str, str]) -> bool:
    """Whether to draw in ASCII only: the locale is not UTF-8, or the terminal is known to be too old.

    The locale is found as in setlocale(3): LC_ALL, then LC_CTYPE, then LANG; the first that is set counts.
    """
    if _PLAIN.match(environ.get("TERM", "")):
        return True
    chosen = next((environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)), "C")
    language, _dot, charset = chosen.partition(".")
    charset = charset.partition("@")[0]
    if not charset:
        charset = _implied_charset(language)
    try:
        return codecs.lookup(charset).name != "utf-8"
    except LookupError:
        return True


def as_started(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with LC_CTYPE as the program was given it.

    Python sets LC_CTYPE to C.UTF-8 where the locale is C (PEP 538), and so hides that the terminal may not
    know UTF-8; what the kernel keeps of the beginning tells (proc_pid_environ(5)).
    """
    began = Path("/proc/self/environ").read_bytes().split(b"\0")
    given = [os.fsdecode(one) for one in began if one.startswith(b"LC_CTYPE=")]
    kept = {name: value for name, value in environ.items() if name != "LC_CTYPE"}
    return {**kept, **({"LC_CTYPE": given[0].partition("=")[2]} if given else {})}


def _implied_charset(name: str) -> str:
    """The character set that glibc's table names for a locale without one (locale.alias(5))."""
    if name in ("C", "POSIX"):
        return "ascii"
    return locale.normalize(name).partition(".")[2] or "ascii"


def on_console(environ: Mapping[str, str]) -> bool:
    """Whether it is Linux's console, with a font of 256 or 512 characters."""
    return environ.get("TERM", "") in {"linux", "linux-16color"}


def ansi_only(environ: Mapping[str, str]) -> bool:
    """Whether the terminal has the sixteen colours of its own palette only, as Linux's console."""
    return on_console(environ) or _PLAIN.match(environ.get("TERM", "")) is not None
