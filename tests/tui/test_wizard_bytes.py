"""The real wizard on every console, byte by byte: what it sends, and what a person sees of it.

A serial line at 9600 baud carries 960 bytes a second.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.tui.terminal import XTERM, Terminal, terminal

UTF8 = {"LC_ALL": "C.UTF-8"}
CONSOLES: dict[str, tuple[Mapping[str, str], tuple[str, ...]]] = {
    "xterm": (XTERM, ()),
    "xterm-true": ({**XTERM, "COLORTERM": "truecolor"}, ()),
    "tmux": ({**UTF8, "TERM": "tmux-256color", "TMUX": "/tmp/tmux-0/default,1,0"}, ()),
    "screen": ({**UTF8, "TERM": "screen"}, ()),
    "console": ({**UTF8, "TERM": "linux"}, ()),
    "vt100": ({**UTF8, "TERM": "vt100"}, ()),
    "vt220": ({**UTF8, "TERM": "vt220"}, ()),
    "lang-c": ({"TERM": "xterm-256color", "LANG": "C"}, ()),
    "no-color": ({**XTERM, "NO_COLOR": "1"}, ()),
    "plain": (XTERM, ("--plain",)),
}
ASCII = {"vt100", "vt220", "lang-c", "plain"}
MONO = {"no-color", "plain"}
SIXTEEN = {"console", "vt100", "vt220"}
FIRST, KEY, SCREEN = 4500, 500, 5500
"""Bytes that the first screen, a key that changes little, and another screen may cost."""
LONG_COLOURS = 100
"""Bytes more that a key may cost where each colour is told by three numbers; no serial line does."""


def pressed(one: Terminal, key: str) -> int:
    """What a key costs, in bytes."""
    one.press(key)
    return len(one.settled(10, 0.7))


@pytest.mark.parametrize("console", CONSOLES)
def test_a_console(console: str, tmp_path: Path) -> None:
    environ, arguments = CONSOLES[console]
    with terminal(tmp_path, *arguments, environ=environ) as one:
        one.shows("What shall be done")
        one.settled()
        assert len(one.seen) < FIRST
        assert "> 1  Practise" in one.shown()

        for key, row in (("j", 1), ("k", 0), ("\x1b[B", 1), ("\x1b[A", 0)):
            before = one.screen.cursor.y
            assert 0 < pressed(one, key) < KEY + LONG_COLOURS * (console == "xterm-true"), key
            assert one.screen.cursor.y != before, "the terminal's cursor follows"
            assert one.shown().split("\n")[one.screen.cursor.y].startswith(f" > {row + 1}")

        assert pressed(one, "?") < SCREEN
        assert "What can go wrong" in one.shown()
        assert pressed(one, "\x1b") < SCREEN
        assert "What shall be done" in one.shown()
        assert one.read(2) == b"", "idle sends nothing"

        one.press("q")
        assert one.ended() == 0
    if console in ASCII:
        assert [byte for byte in one.seen if byte > 126] == []
    styles = set(re.findall(rb"\x1b\[([0-9;]*)m", one.seen))
    if console in MONO | SIXTEEN:
        assert not any(b"38;" in style or b"48;" in style for style in styles), styles
    if console in MONO:
        assert styles <= {b"", b"0", b"1", b"7", b"1;7", b"0;1", b"0;7", b"0;1;7"}, styles


def test_it_opens_when_nothing_at_all_is_given(tmp_path: Path) -> None:
    """As `make run` and `virt-salvage` call it; only the folder that would be this host's is another."""
    elsewhere = (
        "import os, pathlib, sys, tui.main;"
        "tui.main.default_folder = lambda: pathlib.Path(os.environ['STATE']);"
        "sys.exit(tui.main.main())"
    )
    with terminal(None, program=elsewhere, environ={**XTERM, "STATE": str(tmp_path)}) as one:
        one.shows("What shall be done")
        one.press("q")
        assert one.ended() == 0


def test_a_terminal_that_something_wrote_over_is_drawn_anew_by_a_key(tmp_path: Path) -> None:
    with terminal(tmp_path) as one:
        one.shows("What shall be done")
        one.settled()
        one._stream.feed(b"\x1b[10;5H[ 4711.000000] usb 1-1: new device\x1b[20;1Hmessage")
        assert "usb 1-1" in one.shown()
        one.press("\x0c")
        one.until(lambda: "usb 1-1" not in one.shown() and "message" not in one.shown(), "the screen anew")
        assert "> 1  Practise" in one.shown()
        one.press("q")
        assert one.ended() == 0


def test_it_follows_the_terminals_size(tmp_path: Path) -> None:
    """By the kernel's signal, live: too small, wide, usual; nothing of the size before is left.

    COLUMNS and LINES, which some shells export, stay as they were.
    """
    with terminal(tmp_path, environ={**XTERM, "COLUMNS": "80", "LINES": "24"}) as one:
        one.shows("What shall be done")
        one.settled()
        one.resize(30, 10)
        one.shows("too small")
        one.resize(160, 50)
        one.shows("What can go wrong")
        one.settled()
        assert "too small" not in one.shown()
        assert one.shown().count("What shall be done") == 1
        one.resize(80, 24)
        one.until(lambda: "What can go wrong" not in one.shown(), "the narrow screen")
        one.settled()
        assert "> 1  Practise" in one.shown()
        one.press("q")
        assert one.ended() == 0


def test_a_terminal_of_no_size_is_taken_for_the_usual_one(tmp_path: Path) -> None:
    """A serial line knows no size: stty says 0 0."""
    with terminal(tmp_path, environ={**XTERM, "TERM": "vt220"}, size=(80, 24)) as one:
        one.shows("What shall be done")
        assert "help" in one.shown()
        one.press("q")
        assert one.ended() == 0


def test_keys_that_come_at_once_are_taken_in_their_order(tmp_path: Path) -> None:
    """Typed ahead or pasted on a slow host: in a line no letter overtakes a key that does something."""
    with terminal(tmp_path / "state") as one:
        one.shows("What shall be done")
        one.press("2")
        one.shows("type a path")
        one.settled()
        one.press("p")
        one.shows("to the list")
        one.press("wrong\x15/tmp/no-such-disk.qcow2\r")
        one.shows("There is no /tmp/no-such-disk.qcow2.")
        one.press("\x1b")
        one.until(lambda: "There is no" not in one.shown(), "the step again")
        one.press("\x1b")
        one.settled()
        one.press("/cup")  # c, u and p are commands elsewhere
        one.shows("/cup")
        one.press("\x1b")
        one.settled()
        one.press("\x1b")
        one.shows("What shall be done")
        one.press("q")
        assert one.ended() == 0
