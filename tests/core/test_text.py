"""Foreign bytes are made safe, numbers are easy to read."""

import pytest

from core.text import duration, grouped, safe, size


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
