"""Foreign bytes made safe to show, and numbers made easy to read.

Names, labels and messages that come from a disk may hold control sequences, line breaks, bytes
that are no UTF-8 and characters that reverse the reading direction. `safe` turns all of them into
visible escapes, so that what it returns can be printed on any terminal and put in any log.
"""

import os
import re
import shlex
import time
import unicodedata
from collections.abc import Callable

from core.ascii import has_likeness
from core.i18n import _, use_language

# Cc control, Cf format (bidi overrides, zero width), Cs lone surrogates, Co private use,
# Cn unassigned, Zl/Zp line and paragraph separators: https://www.unicode.org/reports/tr44/
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}
_LONG = {escape: char for char, escape in _SHORT.items()}
_SPELLED = re.compile(r"\\(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|[nrt\\])")
_ascii_only = False


def keep_to_ascii(only: bool = True) -> None:
    """Speak English from now on, and let `safe` and `quoted` spell what ASCII has nothing like.

    Our other languages could not be read there, and names of other scripts would all look alike:
    ``???.txt``.
    """
    global _ascii_only
    _ascii_only = only
    if only:
        use_language("en")


def safe(value: str | bytes | os.PathLike[str]) -> str:
    """`value` as one line of printable text.

    A byte that is no UTF-8 becomes ``\\xNN``, a control character ``\\xNN`` or ``\\n``, ``\\r``, ``\\t``,
    other invisible characters ``\\uNNNN``; a backslash is doubled only where the text needed
    an escape, so ordinary names stay as they are. See `keep_to_ascii` for what other scripts become.
    """
    text = _decoded(value)
    if text.isascii() and text.isprintable():
        return text
    if not any(_is_unsafe(char) for char in text):
        return text
    return "".join(_escaped(char) for char in text)


def _decoded(value: str | bytes | os.PathLike[str]) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value if isinstance(value, str) else os.fspath(value)


def _is_unsafe(char: str) -> bool:
    return unicodedata.category(char) in _UNSAFE or (_ascii_only and not has_likeness(char))


def _escaped(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    if not _is_unsafe(char):
        return char
    point = ord(char)
    if _is_byte(char):
        return f"\\x{point - 0xDC00:02x}"
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def spelled(text: str) -> str:
    """What is meant by text in which characters are spelled as `safe` does: somebody typed what they saw."""
    return _SPELLED.sub(_meant, text)


def _meant(found: re.Match[str]) -> str:
    word = found[0]
    if word in _LONG:
        return _LONG[word]
    point = int(word[2:], 16)
    if word[1] != "x":
        return word if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF else chr(point)
    # A byte that is no UTF-8, unless the character itself is spelled: from 0xa0 on that is so in ASCII only
    return chr(point) if point < 0x80 or (_ascii_only and point >= 0xA0) else chr(0xDC00 + point)


def quoted(word: str) -> str:
    """`word` as one word of a shell line: as shlex quotes it, and with no character that a terminal obeys.

    Those stand in ``$'…'``, byte by byte in octal: POSIX.1-2024, XCU 2.2.4; bash, zsh and busybox know it.
    """
    if not any(_needs_octal(char) for char in word):
        return shlex.quote(word)
    return "$'" + "".join(_in_shell(char) for char in word) + "'"


def _in_shell(char: str) -> str:
    if char in _SHORT or char == "'":
        return _SHORT.get(char, "\\'")
    if not _needs_octal(char):
        return char
    return "".join(
        f"\\{byte:03o}" for byte in char.encode("utf-8", "surrogateescape" if _is_byte(char) else "replace")
    )


def _needs_octal(char: str) -> bool:
    return _is_unsafe(char) or (_ascii_only and not char.isascii())  # what is only like it is another name


def _is_byte(char: str) -> bool:
    """Whether it stands for a byte that is no UTF-8, kept by surrogateescape (PEP 383)."""
    return 0xDC80 <= ord(char) <= 0xDCFF


_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size(count: int) -> str:
    """A number of bytes in binary units with at most four digits: ``132.4 MiB``."""
    if count < 1024:
        return f"{count} B"
    value = float(count)
    for unit in _UNITS[1:]:
        value /= 1024
        if value < 1023.95 or unit == _UNITS[-1]:
            break
    return f"{value:.1f} {unit}"


def grouped(count: int) -> str:
    """A number with thin grouping: ``1 000 943``. The space does not break."""
    return f"{count:,}".replace(",", "\u202f")


def duration(seconds: float) -> str:
    """A length of time for people: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``."""
    if seconds < 10:
        return _("{seconds} s").format(seconds=f"{max(0.1, seconds):.1f}")
    whole = round(seconds)
    if whole < 60:
        return _("{seconds} s").format(seconds=whole)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        told = _("{minutes} min {seconds} s") if rest else _("{minutes} min")
        return told.format(minutes=minutes, seconds=rest)
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        told = _("{hours} h {minutes} min") if minutes else _("{hours} h")
        return told.format(hours=hours, minutes=minutes)
    days, hours = divmod(hours, 24)
    told = _("{days} d {hours} h") if hours else _("{days} d")
    return told.format(days=days, hours=hours)


def date(seconds: float) -> str:
    """A time for people, in the host's time zone, and says which; far-off years are no error."""
    return _date(seconds, time.localtime, "%Y-%m-%d %H:%M %Z")


def local_date(seconds: float) -> str:
    """As `date`, for a narrow column: the zone is told where there is room, of the same thing."""
    return _date(seconds, time.localtime, "%Y-%m-%d %H:%M")


def guest_date(seconds: float) -> str:
    """A time that a guest wrote, in UTC, and says so: nobody knows the zone that the guest lived in."""
    return _date(seconds, time.gmtime, "%Y-%m-%d %H:%M UTC")


def _date(seconds: float, broken_down: Callable[[float], time.struct_time], form: str) -> str:
    try:
        return time.strftime(form, broken_down(seconds))
    except (OverflowError, ValueError, OSError):
        return f"@{seconds:.0f}"


def columns(text: str) -> int:
    """The columns of a terminal that a text takes: wide characters take two, those that join none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def ljust(text: str, width: int) -> str:
    """The text with spaces behind it to `width` columns of a terminal."""
    return text + " " * (width - columns(text))


def rjust(text: str, width: int) -> str:
    """The text with spaces before it to `width` columns of a terminal."""
    return " " * (width - columns(text)) + text
