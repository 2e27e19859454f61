"""Foreign text, and terminals that show less than others."""

import re

import pytest
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from tui import plain as module
from tui.plain import (
    AsciiOnly,
    ConsoleOnly,
    NoControls,
    ansi_only,
    ascii_columns,
    on_console,
    plain,
    terminal_problem,
    wants_plain,
)

BLACK = Color(0, 0, 0)
HOSTILE = (
    "[/foo]",
    "[@click=app.quit]x[/]",
    "\x1b]0;PWN\x07",
    "a\nb\rc\td",
    b"\xff\x80name",
    "日本語の名前",
    "e\u0301\u0301",
    "\u202egnp.exe",
    "\u200b\ufeff",
    "🖴💾",
)


@pytest.mark.hostile(45)
@pytest.mark.hostile(46)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_becomes_one_line_of_text(name):
    content = plain(name)
    assert content.plain.isprintable()
    assert content.spans == []


@pytest.mark.hostile(45)
def test_markup_in_a_name_is_shown_as_it_is():
    assert plain("x[/foo]").plain == "x[/foo]"


@pytest.mark.parametrize(
    "name", [*HOSTILE, "┌─┬╌┐│║╭╯▀▄▌▐░▒▓█▔▁▊▎", "132 MiB … → × · “quoted” ✓", "Ångström ñandú", "\u202f"]
)
def test_ascii_takes_as_many_columns(name):
    text = plain(name).plain
    assert ascii_columns(text).isascii()
    assert cell_len(ascii_columns(text)) == cell_len(text)


def test_ascii_of_what_the_program_draws():
    assert ascii_columns("┌─ 3 ─┐│█▓▒░·×1\u202f000…→") == "+- 3 -+|#%:..x1 0...>"
    assert ascii_columns("日本") == "? ? "


def test_the_ascii_filter_keeps_styles_and_widths():
    segments = [Segment("│日│"), Segment("plain")]
    filtered = AsciiOnly().apply(segments, BLACK)
    assert [one.text for one in filtered] == ["|? |", "plain"]


def in_its_font(text: str) -> bytes:
    """The text in code page 437; Linux's map of it has arrows and a cross too (drivers/tty/vt/cp437.uni)."""
    return re.sub("[↑↓→←×]", "x", text).encode("cp437")


def test_the_console_filter_draws_with_code_page_437_and_keeps_what_is_foreign():
    drawn = "╭─╮│╰╯┏━┓┃┗┛▏▁▂▃▄▅▆▇█▓░·…↑↓→←“x”1\u202f000"
    (segment,) = ConsoleOnly().apply([Segment(drawn, Style(bold=True))], BLACK)
    assert in_its_font(segment.text) and cell_len(segment.text) == cell_len(drawn)
    assert segment.style == Style(bold=True)
    assert ConsoleOnly().apply([Segment("Дом é 日本")], BLACK)[0].text == "Дом é 日本"
    assert on_console({"TERM": "linux"}) and not on_console({"TERM": "xterm"})


@pytest.mark.hostile(46)
def test_the_last_filter_lets_no_control_character_through():
    every = "".join(map(chr, (*range(32), *range(127, 160))))
    filtered = NoControls().apply([Segment(f"a{every}b"), Segment("\x1b[2J"), Segment("c")], BLACK)
    assert [one.text for one in filtered] == ["ab", "[2J", "c"]


@pytest.mark.hostile(46)
def test_the_last_filter_lets_nothing_through_that_reverses_or_hides():
    typed = "a\u202egpj\u2066b\u200b\ufeff"
    (segment,) = NoControls().apply([Segment(typed)], BLACK)
    assert segment.text == "agpjb"
    assert cell_len(segment.text) == cell_len(typed)


@pytest.mark.hostile(46)
def test_the_last_filter_lets_nothing_through_that_cannot_be_encoded():
    (segment,) = NoControls().apply([Segment("a\udcffb")], BLACK)
    assert segment.text == "a?b"


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({"LANG": "en_GB.UTF-8", "TERM": "xterm-256color"}, False),
        ({"LANG": "C.utf8", "TERM": "xterm"}, False),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, True),
        ({"LANG": "C", "LC_ALL": "de_DE.utf8"}, False),
        ({"LANG": "de_DE@euro"}, True),
        ({"LANG": "en_US"}, True),
        ({"LANG": "en_US.nonsense"}, True),
        ({"LC_CTYPE": "UTF-8"}, True),
        ({"LANG": "", "LC_CTYPE": "C.UTF-8"}, False),
        ({}, True),
        ({"LANG": "en_GB.UTF-8", "TERM": "vt220"}, True),
        ({"LANG": "en_GB.UTF-8", "TERM": "linux"}, False),
    ],
)
def test_plain_is_chosen_where_the_terminal_may_not_show_more(environ, wanted):
    assert wants_plain(environ) is wanted


def test_the_console_has_its_own_sixteen_colours():
    assert ansi_only({"TERM": "linux"})
    assert ansi_only({"TERM": "vt100"})
    assert not ansi_only({"TERM": "xterm-256color"})


def test_no_terminal_and_dumb_terminals_are_told_about_the_command_line(monkeypatch):
    monkeypatch.setattr(module, "_is_terminal", lambda _descriptor: False)
    assert "virt-salvage --help" in (terminal_problem({"TERM": "xterm"}) or "")
    assert "virt-salvage --linear" in (terminal_problem({"TERM": "xterm"}) or "")
    monkeypatch.setattr(module, "_is_terminal", lambda _descriptor: True)
    assert "TERM" in (terminal_problem({"TERM": "dumb"}) or "")
    assert "TERM" in (terminal_problem({}) or "")
    assert terminal_problem({"TERM": "vt100"}) is None
