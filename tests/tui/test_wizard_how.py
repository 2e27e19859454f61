"""How the files are copied, chosen in the wizard: what is there, what lends rights, what is read back."""

from pathlib import Path

import pytest

from core.lab import catalogue, labs
from core.runner import SystemRunner
from tests.conftest import Guard, needs_root
from tests.tui.test_wizard_road import flow_of, to_files, type_target
from tests.tui.wizard import choose, on, shown, until, wizard
from tui.screens.done import DoneScreen
from tui.screens.files import FilesScreen
from tui.screens.how import ClashScreen, HowScreen
from tui.screens.menu import Menu

pytestmark = needs_root


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labs.start(catalogue.built_in()[0], tmp_path_factory.mktemp("labs"), SystemRunner(), 7)


async def test_what_is_there_is_asked_about_and_the_rest_follows(
    disk: Path, tmp_path: Path, guard: Guard
) -> None:
    guard.watch(disk)
    target = tmp_path / "out"
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_files(pilot)
        await pilot.press("o")
        await on(pilot, HowScreen)
        await pilot.press("2", "2", "2", "3", "4", "5", "1")
        await on(pilot, FilesScreen)
        choices = flow_of(pilot).choices
        assert (choices.existing, choices.verify) == ("ask", "all")
        assert choices.privileges and choices.devices
        await pilot.press("space")
        await pilot.press("t")
        await type_target(pilot, target)
        await on(pilot, FilesScreen)
        home = target / "home"
        await pilot.press("y")
        await on(pilot, DoneScreen)
        copied = flow_of(pilot).copied
        assert copied and copied.whole and copied.verified.whole
        files = [path for path in home.rglob("*") if path.is_file() and not path.is_symlink()]
        changed = [path for path in files if path.stat().st_nlink == 1 and path.stat().st_size][:2]
        for path in changed:
            path.write_text("of the operator")
        await choose(pilot, "files")
        await on(pilot, FilesScreen)
        await pilot.press("y")
        await on(pilot, ClashScreen)
        await until(pilot, lambda: "something else" in shown(pilot).lower())
        pilot.app.screen.query_one(Menu).focus()
        await pilot.press("5")
        await on(pilot, DoneScreen)
        again = flow_of(pilot).copied
        assert again and again.kept_both == 2 and again.unreadable == []
        for path in changed:
            assert path.read_text() == "of the operator"
            assert path.with_name(path.name + "~2").stat().st_size
