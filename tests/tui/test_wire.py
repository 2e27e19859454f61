"""What goes over the line: a terminal shows the same with it as without it, and gets far less."""

import random

import pyte
import pytest

from tui.wire import Wire

COLUMNS, LINES = 40, 8
STYLES = (
    "",
    "0",
    "1",
    "38;5;60",
    "38;5;49;48;5;4",
    "48;2;4;7;9",
    "1;38;2;127;180;216;48;2;16;21;26",
    "31",
    "97;104",
    "39;49",
    "7",
    "4;32",
    "1;7;39;49",
)
TEXTS = ("a", "abc", "   ", "x y z", "        ", "日本", "a日b", "│", "█▓", "e\u0301", "> 1  word", "~" * 9)


class Seen:
    """What a terminal shows, cell by cell."""

    def __init__(self) -> None:
        self.screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.Stream(self.screen)
        self._stream.feed("\x1b[?7l")

    def feed(self, data: str) -> None:
        self._stream.feed(data)

    def cells(self) -> list[object]:
        rows = [[self.screen.buffer[y][x] for x in range(COLUMNS)] for y in range(LINES)]
        return [_seen(cell) for row in rows for cell in row]


def _seen(cell: pyte.screens.Char) -> object:
    if cell.data == " " and not (cell.reverse or cell.underscore):
        return " ", cell.bg
    return cell


def paint(chance: random.Random) -> str:
    """A part of the screen as Textual paints it: whole stretches, each style said anew.

    Textual never paints half of a wide character, so the lines that have some are painted whole.
    """
    parts = []
    for _line in range(chance.randint(1, LINES)):
        y = chance.randrange(LINES)
        whole = y < LINES // 2
        x = 0 if whole else chance.randrange(COLUMNS)
        parts.append(f"\x1b[{y + 1};{x + 1}H")
        while x < COLUMNS:
            style, text = chance.choice(STYLES), chance.choice(TEXTS)
            if not whole and not text.isascii():
                continue
            wide = sum(2 if char in "日本" else char != "\u0301" for char in text)
            if x + wide > COLUMNS:
                text, wide = " " * (COLUMNS - x), COLUMNS - x
            parts.append(f"\x1b[{style}m{text}\x1b[0m" if style else text)
            x += wide
            if not whole and chance.random() < 0.3:
                break
    parts.append(f"\x1b[{chance.randrange(LINES) + 1};{chance.randrange(COLUMNS) + 1}H")
    return "".join(parts)


@pytest.mark.parametrize("seed", range(40))
def test_a_terminal_shows_the_same(seed: int) -> None:
    chance = random.Random(seed)
    wire, direct, spared = Wire(), Seen(), Seen()
    for _turn in range(40):
        painted = paint(chance)
        direct.feed(painted)
        spared.feed(wire.sent(painted))
        if chance.random() < 0.05:
            wire.again()
        assert spared.screen.display == direct.screen.display
        assert spared.cells() == direct.cells()
        assert (spared.screen.cursor.x, spared.screen.cursor.y) == (
            direct.screen.cursor.x,
            direct.screen.cursor.y,
        )


def test_what_stands_there_already_is_not_sent() -> None:
    wire = Wire()
    painted = "".join(f"\x1b[{y + 1};1H\x1b[38;5;60;48;5;16m{'word ' * 8}\x1b[0m\r\n" for y in range(LINES))
    assert len(wire.sent(painted)) > 300
    assert wire.sent(painted) == ""
    changed = wire.sent("\x1b[3;1H\x1b[38;5;60;48;5;16mwood\x1b[0m")
    assert changed == "\x1b[3;3Ho\x1b[1C"


def test_the_style_is_said_where_it_changes_only() -> None:
    wire = Wire()
    wire.sent("\x1b[1;1H")
    sent = wire.sent("\x1b[1;1H" + "".join(f"\x1b[1;31m{char}\x1b[0m" for char in "abcdef"))
    assert sent == "\x1b[1;31mabcdef"


def test_blanks_at_the_end_of_a_line_are_erased() -> None:
    wire = Wire()
    wire.sent("\x1b[1;1H" + "x" * COLUMNS)
    assert wire.sent("\x1b[1;1Hab" + " " * (COLUMNS - 2)) == "\x1b[1;1Hab\x1b[K\x1b[38C"


def test_an_update_of_nothing_is_no_update() -> None:
    wire = Wire()
    wire.sent("\x1b[1;1Hword")
    assert [wire.sent(data) for data in ("\x1b[?2026h", "\x1b[1;1Hword", "\x1b[?2026l")] == ["", "", ""]
    assert wire.sent("\x1b[?2026h") + wire.sent("\x1b[1;1Hwort") == "\x1b[?2026h\x1b[1;4Ht"
    assert wire.sent("\x1b[?2026l") == "\x1b[?2026l"


def test_other_controls_go_on_as_they_are_and_in_their_place() -> None:
    wire = Wire()
    wire.sent("\x1b[1;1Hab")
    assert wire.sent("\x07") == "\x07"
    assert wire.sent("\x1b]0;title\x07\x1b[2;1Hcd\x1b[?1000h") == "\x1b]0;title\x07\x1b[2;1Hcd\x1b[?1000h"


def test_the_shape_of_the_mouse_is_not_sent() -> None:
    wire = Wire()
    wire.sent("\x1b[1;1Hab")
    assert wire.sent("\x1b]22;default\x07") == ""
    assert wire.sent("\x1b[1;3H\x1b]22;text\x07cd").endswith("cd")


def test_a_cleared_or_resized_terminal_gets_all_again() -> None:
    wire = Wire()
    wire.sent("\x1b[1;1Hword")
    wire.again()
    assert "word" in wire.sent("\x1b[5;1H")
    wire.forget()
    assert "word" not in wire.sent("\x1b[1;1Hother")
