"""Lines for a shell, lines with a sign before them, and lines to type into: what a person sees of them."""

import json
import re
import shlex
import subprocess

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from tests.tui.wizard import shown
from tui.breaking import breaks
from tui.widgets.lines import text_of, wrapped
from tui.widgets.shell_text import shell_lines, told_lines
from tui.widgets.signed import SignedText
from tui.widgets.text_line import TextLine

PLACE = "/var/lib/virt-salvage/sessions/20240229-120000-cafe"
SPOKEN = {"filename": f"{PLACE}/an overlay, not: it.qcow2", "driver": "qcow2", "file": {"aio": "threads"}}
COMMANDS = (
    ("umount", f"{PLACE}/tree"),
    ("sh", "-c", "echo 1280 > /sys/block/loop0/queue/max_sectors_kb"),
    ("sh", "-c", f'until mountpoint -q "{PLACE}/a; b"; do sleep 0.1; done; exit 0'),
    ("mount", "-o", "ro,noload", "/dev/loop0", "/mnt/it's here, and it's a long way to there"),
    ("rm", "--", "盘" * 40, "x" * 200, "a b" * 50, "a;  b" * 30, "", "\\" * 40, "c\nd" * 20),
    ("qemu-storage-daemon", "--blockdev", json.dumps(SPOKEN), "--export", f"mountpoint={PLACE}/view.raw"),
    ("virsh", json.dumps({"name": "it's a \" of, a: name" * 4})),
)


def _words(line: str) -> list[str]:
    """What a shell hands to a program."""
    told = subprocess.run(["sh", "-c", "printf '%s\\0' " + line], capture_output=True, check=True).stdout
    return told.decode().split("\0")[:-1]


def _meant(words: list[str]) -> list[object]:
    """JSON as its value, a script as its commands, all else as it is."""
    script = words[:2] == ["sh", "-c"]
    return [
        json.loads(word) if word.startswith("{") else re.sub(r";\s+", "; ", word) if script else word
        for word in words
    ]


@pytest.mark.parametrize("width", [11, 24, 40, 76, 156])
@pytest.mark.parametrize("argv", COMMANDS)
def test_a_shell_reads_the_same_command_from_lines_that_go_on(argv: tuple[str, ...], width: int) -> None:
    lines = shell_lines(shlex.join(argv), width, "    ")
    assert all(cell_len(line) <= width for line in lines)
    assert _meant(_words("\n".join(lines))) == _meant(list(argv))


@pytest.mark.parametrize("width", range(10, 60))
def test_a_line_goes_on_within_double_quotes(width: int) -> None:
    line = 'kill "$(cat \'/run/a b.pid\' || echo \\"none, not one\\")" "${EXPORT:-none that is known}"'
    assert _words("\n".join(shell_lines(line, width, "  "))) == _words(line)


def test_what_is_quoted_stays_together_where_it_can() -> None:
    assert shell_lines("undone by: sh -c 'echo 1280 > /sys/block/loop0/queue'", 50, "  ") == [
        "undone by: sh -c \\",
        "  'echo 1280 > /sys/block/loop0/queue'",
    ]
    assert shell_lines("umount /mnt/tree", 16, "  ") == ["umount /mnt/tree"], "no sign where it fits"


def test_a_name_is_not_broken_where_there_is_another_place() -> None:
    assert shell_lines("touch /var/lib/sessions/cafe/view.raw", 26, "  ") == [
        "touch \\",
        "/var/lib/sessions/cafe/\\",
        "view.raw",
    ]
    assert shell_lines("umount /var/lib/sessions/cafe/tree", 28, "    ") == [
        "umount \\",
        " /var/lib/sessions/cafe/tree",
    ]


@pytest.mark.parametrize("width", [-3, 0, 1, 2])
@pytest.mark.parametrize("text", ["plain words", "/a/path", "盘 and 盘", "/"])
def test_no_room_at_all_ends_too(text: str, width: int) -> None:
    parts = breaks(text, width)
    assert parts == sorted(set(parts)) and 0 not in parts
    assert "".join(wrapped(text, width)).replace(" ", "") == text.replace(" ", "")


def test_commands_of_a_lesson_stand_on_lines_of_their_own() -> None:
    lines = told_lines("# An overlay:\n$ qemu-img create -b DISK overlay.qcow2", 30, "typed")
    assert [text_of(line) for line in lines] == [
        "# An overlay:",
        "$ qemu-img create -b DISK \\",
        "    overlay.qcow2",
    ]
    assert [line[0].role for line in lines] == ["", "typed", "typed"]


class _Page(App[None]):
    CSS = """
    SignedText { width: 20; height: auto; }
    TextLine, TextLine:focus { width: 20; border: none; height: 1; padding: 0; }
    """

    def __init__(self, *, ascii_only: bool = False, colour: bool = True) -> None:
        super().__init__()
        self.ascii_only, self.colour = ascii_only, colour

    def compose(self) -> ComposeResult:
        yield SignedText()
        yield TextLine("sda 1")


async def test_a_sentence_stands_beside_its_sign() -> None:
    async with _Page().run_test(size=(40, 10)) as pilot:
        pilot.app.query_one(SignedText).show([("!", "The table is damaged here."), ("×", "No.")])
        await pilot.pause()
        assert shown(pilot).splitlines()[:3] == ["! The table is", "  damaged here.", "× No."]
        await _width(pilot, 40)
        assert shown(pilot).splitlines()[:2] == ["! The table is damaged here.", "× No."]


async def _width(pilot: Pilot[None], columns: int) -> None:
    pilot.app.query_one(SignedText).styles.width = columns
    await pilot.pause()
    await pilot.pause()


@pytest.mark.parametrize(
    ("ascii_only", "colour", "ruled"), [(False, True, False), (True, True, True), (False, False, True)]
)
async def test_a_field_can_be_seen_where_it_has_no_ground(
    ascii_only: bool, colour: bool, ruled: bool
) -> None:
    async with _Page(ascii_only=ascii_only, colour=colour).run_test(size=(40, 10)) as pilot:
        field = pilot.app.query_one(TextLine)
        field.cursor_blink = False
        field.focus()
        await pilot.pause()
        [line] = [line for line in shown(pilot).splitlines() if "sda" in line]
        assert line == ("sda 1 " + "_" * 14 if ruled else "sda 1"), "the cursor stands behind what is typed"
        field.value = ""
        await pilot.pause()
        assert shown(pilot).count("_") == (19 if ruled else 0)


async def test_what_is_longer_than_the_field_says_so() -> None:
    async with _Page().run_test(size=(40, 10)) as pilot:
        field = pilot.app.query_one(TextLine)
        field.cursor_blink = False
        field.value = "/var/backup/web01.qcow2.before"

        async def reads(column: int) -> str:
            field.cursor_position = column
            await pilot.pause()
            await pilot.pause()
            return next(line.rstrip() for line in shown(pilot).splitlines() if line.strip())

        pilot.app.set_focus(None)
        await pilot.pause()
        assert await reads(0) == "/var/b….qcow2.before", "both ends, while nobody types"
        field.focus()
        assert await reads(30) == "…web01.qcow2.before"
        assert await reads(24) == "…web01.qcow2.before"
        assert await reads(0) == "/var/backup/web01.q…"
        assert await reads(15) == "/var/backup/web01.q…"
