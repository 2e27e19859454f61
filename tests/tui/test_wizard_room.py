"""What a screen does with the room that it has: nothing that counts is out of sight, also after a resize."""

import os
import subprocess
from pathlib import Path

import pytest
from textual.containers import VerticalScroll
from textual.widgets import Static

from core.errors import Refused
from core.i18n import use_language
from core.lab import catalogue, labs
from core.runner import SystemRunner
from tests.conftest import Guard
from tests.tui.wizard import choose, on, reads, shown, until, wizard
from tui.chosen import Exercise
from tui.plain import plain
from tui.screens.confirm import ConfirmScreen
from tui.screens.done import DoneScreen
from tui.screens.files import FilesScreen
from tui.screens.menu import Choice, Menu
from tui.screens.palette import PaletteScreen
from tui.screens.partitions import PartitionsScreen
from tui.screens.practise import PractiseScreen, TicketScreen
from tui.screens.protect import ProtectScreen
from tui.screens.start import StartScreen
from tui.screens.trouble import TroubleScreen
from tui.screens.volume import VolumeScreen
from tui.widgets.rows import Rows

CHOICES = [Choice("a", "One", "What it means."), Choice("b", "Two")]


async def test_a_menu_keeps_every_choice_in_sight_on_a_short_screen(tmp_path: Path) -> None:
    lab = catalogue.named("offset-by-hand", tmp_path)
    disk = labs.start(lab, tmp_path / "labs", SystemRunner())
    async with wizard(tmp_path, size=(80, 22)) as pilot:
        await on(pilot, StartScreen)
        pilot.app.push_screen(TicketScreen(Exercise(lab, disk)))
        await on(pilot, TicketScreen)
        menu = pilot.app.screen.query_one(Menu)
        assert menu.max_scroll_y == 0
        assert "8  Start over with a new disk" in shown(pilot)
        assert "What to look at, why, what next" in shown(pilot), "the highlighted one is explained"
        assert "It tells why a line goes wrong, and warns before harm." not in shown(pilot)
        await pilot.press("down", "down")
        await pilot.pause()
        assert "It tells why a line goes wrong, and warns before harm." in shown(pilot)
        assert "What to look at, why, what next" not in shown(pilot)
        await pilot.resize_terminal(100, 40)
        await until(pilot, lambda: "What to look at, why, what next" in shown(pilot), "all explained")
        assert "Where it would be wrong to go on." in shown(pilot)


async def test_a_dialog_is_as_close_as_the_screen_that_it_came_to(tmp_path: Path) -> None:
    """It is as wide as before, so nothing tells its menu of the resize but the screen."""
    async with wizard(tmp_path, size=(100, 30)) as pilot:
        await on(pilot, StartScreen)
        pilot.app.push_screen(ConfirmScreen("Title", [plain("word " * 50)], CHOICES))
        await on(pilot, ConfirmScreen)
        airy = pilot.app.screen.query_one(Menu).lines
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: pilot.app.screen.query_one(Menu).lines == airy - 2, "the gaps are gone")
        text = pilot.app.screen.query_one(VerticalScroll)
        assert text.size.height == text.query_one(Static).size.height, "no line is wasted"
        assert "? help" in shown(pilot)


async def test_the_marked_choice_stays_in_sight_when_the_screen_gets_small(tmp_path: Path) -> None:
    choices = [Choice(str(number), f"Choice {number}", "What it means.") for number in range(5)]
    async with wizard(tmp_path) as pilot:
        await on(pilot, StartScreen)
        pilot.app.push_screen(ConfirmScreen("Title", [plain("word")], choices))
        await on(pilot, ConfirmScreen)
        await pilot.press("up", "up")
        await until(pilot, lambda: "> 5  Choice 4" in shown(pilot), "the last but one is marked")
        await pilot.resize_terminal(40, 12)
        await until(pilot, lambda: "> 5  Choice 4" in shown(pilot), "it is still in sight")


async def test_what_a_key_does_stays_in_its_column_on_a_narrow_screen(tmp_path: Path) -> None:
    async with wizard(tmp_path, size=(40, 12)) as pilot:
        await on(pilot, StartScreen)
        await pilot.press("colon")
        await on(pilot, PaletteScreen)
        first, second = [line for line in shown(pilot).splitlines() if "as one" in line or "would" in line]
        assert first.index("the commands") == second.index("would type")


async def test_an_error_is_told_without_scrolling_where_it_fits(tmp_path: Path) -> None:
    error = Refused("What it was. " * 12, "What it means. " * 10, "What can be done. " * 10)
    async with wizard(tmp_path) as pilot:
        await on(pilot, StartScreen)
        pilot.app.push_screen(TroubleScreen(error))
        await on(pilot, TroubleScreen)
        text = pilot.app.screen.query_one(VerticalScroll)
        assert text.size.height == text.virtual_size.height == 14
        assert "read on" not in shown(pilot)


@pytest.mark.parametrize("size", [(80, 24), (60, 20), (100, 30)])
async def test_the_list_of_keys_says_how_it_is_used(tmp_path: Path, size: tuple[int, int]) -> None:
    async with wizard(tmp_path, size=size) as pilot:
        await on(pilot, StartScreen)
        await pilot.press("colon")
        await on(pilot, PaletteScreen)
        assert "Enter do it" in shown(pilot)
        assert "F1 help" in shown(pilot)


async def test_a_wide_screen_shows_the_road_and_the_ticket(tmp_path: Path) -> None:
    async with wizard(tmp_path, size=(160, 50)) as pilot:
        await on(pilot, StartScreen)
        assert "The road, in seven steps" in shown(pilot)
        await pilot.press("1")
        await on(pilot, PractiseScreen)
        assert "web01 has not come up" in shown(pilot)
        await pilot.press("down")
        await until(pilot, lambda: "shop02 was moved to another host" in shown(pilot), "the next ticket")
        assert "{" not in shown(pilot)
    async with wizard(tmp_path) as pilot:
        await on(pilot, StartScreen)
        assert "The road, in seven steps" not in shown(pilot)


async def test_the_first_picture_is_translated_and_stays_in_line(tmp_path: Path) -> None:
    use_language("zh_CN")
    try:
        async with wizard(tmp_path) as pilot:
            await on(pilot, StartScreen)
            drawn = shown(pilot)
    finally:
        use_language("en")
    assert "故障虚拟机" in drawn and "dead VM" not in drawn


async def test_at_the_end_all_choices_are_in_sight_and_undo_is_offered_while_something_is_up(
    tmp_path: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # beside what it is started in lies what it copies
    lab = catalogue.named("classical-table", tmp_path)
    disk = labs.start(lab, tmp_path / "labs", SystemRunner())
    guard.watch(disk)
    async with wizard(tmp_path, disk) as pilot:
        await on(pilot, ProtectScreen)
        await choose(pilot, "read")
        await on(pilot, PartitionsScreen)
        assert pilot.app.screen.query_one(Rows).scroll_offset.y == 0
        await pilot.press("down", "down", "enter")
        await on(pilot, VolumeScreen)
        await choose(pilot, "loop")
        await on(pilot, FilesScreen)
        await pilot.press("space", "y")
        await on(pilot, DoneScreen)
        menu = pilot.app.screen.query_one(Menu)
        assert menu.max_scroll_y == 0 and menu.option_count >= 5
        assert "Still up: mount, " in shown(pilot)
        keys = reads(pilot, "#keys")
        assert "l undo last" in keys and "a undo all" in keys and "Esc files" in keys
        await pilot.press("a")
        await until(pilot, lambda: "Nothing is up" in shown(pilot), "all is taken down")
        keys = reads(pilot, "#keys")
        assert "undo last" not in keys and "undo all" not in keys and "Esc back" in keys


@pytest.mark.parametrize("size", [(40, 12), (60, 20), (80, 24)])
async def test_a_row_and_a_choice_are_in_sight_on_every_size(
    tmp_path: Path, size: tuple[int, int], guard: Guard
) -> None:
    lab = catalogue.named("classical-table", tmp_path)
    disk = labs.start(lab, tmp_path / "labs", SystemRunner())
    guard.watch(disk)
    async with wizard(tmp_path, size=size) as pilot:
        await on(pilot, StartScreen)
        pilot.app.push_screen(TicketScreen(Exercise(lab, disk)))
        await on(pilot, TicketScreen)
        assert "> 1" in shown(pilot)
        await choose(pilot, "own")
        await on(pilot, ProtectScreen)
        assert "> 1" in shown(pilot)
        await choose(pilot, "read")
        await on(pilot, PartitionsScreen)
        row = [line for line in shown(pilot).splitlines() if line.startswith(" >")]
        assert row and row[0].split()[:2] == [">", "2"]


async def test_the_picture_says_in_full_only_what_the_table_leaves_room_for(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(b"")
    os.truncate(disk, 64 << 20)
    table = "label: gpt\n" + ",4M\n" * 8
    subprocess.run(["sfdisk", "-q", disk], input=table, text=True, check=True)
    async with wizard(tmp_path / "state", disk, size=(100, 36)) as pilot:
        await on(pilot, ProtectScreen)
        await choose(pilot, "read")
        await on(pilot, PartitionsScreen)
        for size in ((100, 36), (80, 24), (160, 50), (80, 40), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.2)
            there = "In full: 1 (4.0 MiB)" in shown(pilot)
            assert there == (size[1] > 24), size
            assert size[1] == 24 or all(f"   {number}  " in shown(pilot) for number in range(1, 9))
