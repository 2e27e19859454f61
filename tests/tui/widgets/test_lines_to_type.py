"""Lines for a shell, lines with a sign before them, and lines to type into: what a person sees of them."""

import shlex

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from tests.tui.wizard import shown
from tui.widgets.lines import shell_lines, text_of, told_lines
from tui.widgets.signed import SignedText
from tui.widgets.text_line import TextLine

COMMANDS = (
    ("umount", "/var/lib/virt-salvage/sessions/20240229-120000-cafe/tree"),
    ("sh", "-c", "echo 1280 > /sys/block/loop0/queue/max_sectors_kb"),
    ("mount", "-o", "ro,noload", "/dev/loop0", "/mnt/it's here"),
    ("rm", "--", "盘" * 40, "x" * 200),
)


@pytest.mark.parametrize("width", [11, 24, 40, 76, 156])
@pytest.mark.parametrize("argv", COMMANDS)
def test_a_shell_line_that_goes_on_says_so_and_stays_the_same_command(
    argv: tuple[str, ...], width: int
) -> None:
    lines = shell_lines(shlex.join(argv), width, "    ")
    assert all(cell_len(line) <= width for line in lines)
    assert all(line.endswith("\\") for line in lines[:-1]) and not lines[-1].endswith("\\")
    first, *more = lines
    whole = "\\\n".join([first.removesuffix("\\"), *(line[4:].removesuffix("\\") for line in more)])
    assert shlex.split(whole.replace("\\\n", "")) == list(argv)


def test_what_is_quoted_stays_together_where_it_can() -> None:
    assert shell_lines("undone by: sh -c 'echo 1280 > /sys/block/loop0/queue'", 50, "  ") == [
        "undone by: sh -c \\",
        "  'echo 1280 > /sys/block/loop0/queue'",
    ]
    assert shell_lines("umount /mnt/tree", 16, "  ") == ["umount /mnt/tree"], "no sign where it fits"


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
