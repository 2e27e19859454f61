"""Finding what to copy in the wizard: a search, what matters first, a look into a file."""

from pathlib import Path

import pytest
from textual.widgets import Input, OptionList

from core.files.destination import Destination
from core.lab import catalogue, labs
from core.runner import SystemRunner
from tests.conftest import Guard, needs_root
from tests.tui.test_wizard_road import flow_of, to_files
from tests.tui.wizard import on, reads, until, wizard
from tui.screens.done import DoneScreen
from tui.screens.files import FilesScreen
from tui.screens.finding import FindScreen, MattersScreen

pytestmark = needs_root


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labs.start(catalogue.built_in()[0], tmp_path_factory.mktemp("labs"), SystemRunner(), 7)


def marked_lines(rows: OptionList) -> list[int]:
    """The lines with a sign that tells the row under the cursor without colour."""
    return [y for y in range(rows.size.height) if rows.render_line(y).text.startswith(">")]


async def test_found_and_marked_and_copied(disk: Path, tmp_path: Path, guard: Guard) -> None:
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_files(pilot)
        await pilot.press("f")
        await on(pilot, FindScreen)
        assert "Enter search" in reads(pilot, "#keys") and "↓ results" in reads(pilot, "#keys")
        pilot.app.screen.query_one(Input).value = "size:+1 *"
        await pilot.press("enter")
        results = pilot.app.screen.query_one(OptionList)
        await until(pilot, lambda: results.option_count > 1, "results")
        await until(pilot, lambda: "found." in reads(pilot, "#state"), "the end of the search")
        await pilot.press("n")
        assert pilot.app.screen.query_one(Input).value == "size:+1 *n", "the line keeps the letters"
        await pilot.press("down")
        assert "Enter go there" in reads(pilot, "#keys") and "results" not in reads(pilot, "#keys")
        await pilot.press("down")
        assert marked_lines(results) == [1]
        await pilot.press("space")
        await until(pilot, lambda: "Marked" in reads(pilot, "#state"), "that it is marked")
        assert [y for y in range(results.size.height) if "[x]" in results.render_line(y).text] == [1]
        await pilot.press("enter")
        await on(pilot, FilesScreen)
        await until(pilot, lambda: "1 thing" in reads(pilot, "#basket"), "the mark in the basket")
        flow_of(pilot).target = Destination("folder", tmp_path / "out")
        await pilot.press("y")
        await on(pilot, DoneScreen)
        copied = flow_of(pilot).copied
        assert copied and copied.files == 1 and copied.unreadable == []


async def test_one_key_marks_what_matters(disk: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_files(pilot)
        await pilot.press("w")
        await on(pilot, MattersScreen)
        await until(pilot, lambda: "places" in reads(pilot, "#state") or "Nothing" in reads(pilot, "#state"))
        rows = pilot.app.screen.query_one(OptionList)
        assert marked_lines(rows) == ([rows.highlighted] if rows.option_count else [])
        await pilot.press("enter")
        await on(pilot, FilesScreen)


async def test_nonsense_is_told_in_the_search(disk: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_files(pilot)
        await pilot.press("f")
        await on(pilot, FindScreen)
        pilot.app.screen.query_one(Input).value = "size:much"
        await pilot.press("enter")
        await until(pilot, lambda: "no size" in reads(pilot, "#state"), "what is wrong")
        await pilot.press("escape")
        await on(pilot, FilesScreen)
