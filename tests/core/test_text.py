"""Foreign bytes are made safe, numbers are easy to read."""

import os
import shlex
import subprocess
from collections.abc import Iterator

import pytest

from core.ascii import to_ascii
from core.i18n import _, use_language
from core.text import duration, grouped, keep_to_ascii, quoted, safe, size, spelled


@pytest.fixture
def in_ascii() -> Iterator[None]:
    use_language("zh_CN")
    keep_to_ascii()
    yield
    keep_to_ascii(False)


@pytest.mark.hostile(46)
@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"plain name.txt", "plain name.txt"),
        ("Grüße 文件", "Grüße 文件"),
        (b"\x1b]0;PWN\x07", r"\x1b]0;PWN\x07"),
        (b"a\nb\tc\rd", r"a\nb\tc\rd"),
        (b"bad \xff byte", r"bad \xff byte"),
        ("rtl \u202e evil", r"rtl \u202e evil"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("[@click=app.quit]x[/]", "[@click=app.quit]x[/]"),
        (b"back\\slash", "back\\slash"),
        (b"back\\slash\n", "back\\\\slash\\n"),
        ("c1 \x9b31m", r"c1 \x9b31m"),
        ("\ud800", r"\ud800"),
    ],
)
def test_safe(raw: bytes | str, shown: str) -> None:
    assert safe(raw) == shown
    assert safe(raw).isprintable()
    safe(raw).encode()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("文档.txt", r"\u6587\u6863.txt"),
        ("Журнал", r"\u0416\u0443\u0440\u043d\u0430\u043b"),
        ("Grüße – 1\u202f000 → 2…", "Grü\\xdfe – 1\u202f000 → 2…"),
        ("💾", r"\U0001f4be"),
    ],
)
def test_in_ascii_what_nothing_looks_like_is_spelled(in_ascii: None, name: str, shown: str) -> None:
    assert safe(name) == safe(safe(name)) == shown
    assert to_ascii(shown).isascii() and "?" not in to_ascii(shown)
    assert _("The disk") == "The disk", "no other language can be read there"


@pytest.mark.parametrize("name", ["文档 $'1'.txt", "résumé", "plain name", "a\\b 文"])
def test_in_ascii_a_word_of_the_shell_is_that_name(in_ascii: None, name: str) -> None:
    assert quoted(name).isascii()
    told = subprocess.run(["bash", "-c", f"printf %s {quoted(name)}"], capture_output=True, check=True)
    assert told.stdout.decode() == name
    assert quoted("plain name") == shlex.quote("plain name")


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (138797568, "132.4 MiB"),
        (1 << 40, "1.0 TiB"),
        (1023 << 20, "1023.0 MiB"),
        (1 << 63, "8.0 EiB"),
    ],
)
def test_size(count: int, shown: str) -> None:
    assert size(count) == shown


def test_grouped() -> None:
    assert grouped(1000943) == "1\u202f000\u202f943"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.44, "0.4 s"),
        (12.3, "12 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (59.7, "1 min"),
        (266400, "3 d 2 h"),
    ],
)
def test_duration(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize("ascii_only", [False, True])
def test_what_is_spelled_is_understood_again(ascii_only: bool) -> None:
    names = ["plain", "a\u200bb", "line\nbreak \\ slash", os.fsdecode(b"\xff\x80"), "\x1b[31m", "\U000e0001"]
    names += ["\u6587\u6863.txt", "2\u00d72"] if ascii_only else []
    keep_to_ascii(ascii_only)
    try:
        for name in names:
            if name != os.fsdecode(b"\xff\x80") or not ascii_only:
                assert spelled(safe(name)) == name
    finally:
        keep_to_ascii(False)
    for odd in ("\\ud800", "\\U00110000", "\\q", "\\u65"):
        assert spelled(odd) == odd
