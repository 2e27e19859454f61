"""Files of any length as rows to look at."""

import random

import pytest
from rich.cells import cell_len

from core.text import safe
from tui.widgets.lines import text_of, wrapped
from tui.widgets.long_text import LongBytes, LongText

PIECES = (b"word", b" ", b"x" * 90, "日本語".encode(), b"\x1b[2J", b"\xff\xfe", b"\t", b"[/foo]", b"\r", b"")


@pytest.mark.hostile(46)
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("width", [20, 76, 116])
def test_every_row_is_what_the_lines_wrap_to(seed: int, width: int) -> None:
    chance = random.Random(seed)
    lines = [b"".join(chance.choices(PIECES, k=chance.randrange(12))) for _line in range(60)] + [b"last"]
    text = LongText(b"\n".join(lines) + b"\n")
    wanted = [row for line in lines for row in wrapped(safe(line.rstrip(b"\r").expandtabs(4)), width)]
    assert text.count(width) == len(wanted)
    numbers = list(range(len(wanted)))
    chance.shuffle(numbers)
    for number in numbers:
        row = text_of(text.row(number, width))
        assert row == wanted[number]
        assert row.isprintable() and cell_len(row) <= width


def test_another_width_wraps_anew() -> None:
    text = LongText(b"one two three four\n")
    assert [text.count(width) for width in (30, 10, 30)] == [1, 2, 1]


def test_nothing_and_no_end_of_line() -> None:
    assert LongText(b"").count(40) == 0
    assert LongText(b"no end").count(40) == 1
    assert LongText(b"\n\n").count(40) == 2


@pytest.mark.parametrize(("width", "across"), [(76, 16), (40, 8)])
def test_bytes_are_told_in_numbers_and_letters(width: int, across: int) -> None:
    data = bytes(range(256)) * 300
    shown = LongBytes(data)
    assert shown.count(width) == len(data) // across
    for number in (0, 5, shown.count(width) - 1):
        row = text_of(shown.row(number, width))
        place, numbers, letters = row[:5], row[7 : 7 + 3 * across], row[8 + 3 * across :]
        assert int(place, 16) == number * across
        assert bytes.fromhex(numbers) == data[number * across : (number + 1) * across]
        assert len(letters) == across and letters.isascii() and letters.isprintable()
        assert cell_len(row) <= width
