"""The road by clicks alone: what a person with a mouse can do."""

from pathlib import Path

import pytest

from core.lab import catalogue, labs
from core.runner import SystemRunner
from tests.conftest import needs_root
from tests.tui.wizard import Wizard, on, shown, until, wizard
from tui.keys import press_of
from tui.screens.disk import DiskScreen
from tui.screens.done import DoneScreen
from tui.screens.files import FilesScreen
from tui.screens.help import HelpScreen
from tui.screens.partitions import PartitionsScreen
from tui.screens.protect import ProtectScreen
from tui.screens.start import StartScreen
from tui.screens.volume import VolumeScreen


async def click(pilot: Wizard, text: str) -> None:
    """Click on the first letter of what stands on the screen; a double click would be two of them."""
    lines = shown(pilot).splitlines()
    place = next(((line.index(text), at) for at, line in enumerate(lines) if text in line), None)
    assert place, f"{text} is not on the screen:\n{shown(pilot)}"
    await pilot.click(offset=place)
    await pilot.pause()


async def test_the_last_line_can_be_clicked(tmp_path: Path) -> None:
    async with wizard(tmp_path) as pilot:
        await on(pilot, StartScreen)
        await click(pilot, "↑↓ move")  # two keys in one: neither is meant
        await click(pilot, "? help")
        await on(pilot, HelpScreen)
        await click(pilot, "Esc back")
        await on(pilot, StartScreen)
        await click(pilot, "Recover files")
        await on(pilot, DiskScreen)
        await click(pilot, "/ filter")
        await until(pilot, lambda: "Esc show all" in shown(pilot))
        await click(pilot, "show all")
        await click(pilot, "Esc back")
        await on(pilot, StartScreen)


@needs_root
async def test_the_road_by_clicks_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = labs.start(catalogue.built_in()[0], tmp_path / "labs", SystemRunner(), 7)
    monkeypatch.chdir(tmp_path)
    async with wizard(tmp_path / "state", disk) as pilot:
        await on(pilot, ProtectScreen)
        await click(pilot, "Read only")
        await on(pilot, PartitionsScreen)
        await click(pilot, "home")
        await click(pilot, "home")
        await on(pilot, VolumeScreen)
        await click(pilot, "Browse and copy files (the")
        await on(pilot, FilesScreen)
        await until(pilot, lambda: "[ ] srv" in shown(pilot))
        await click(pilot, "[ ] home")
        await click(pilot, "[ ] srv")
        await click(pilot, "[x] home")
        assert "[ ] home" in shown(pilot) and "> [x] srv" not in shown(pilot) and "[x] srv" in shown(pilot)
        await click(pilot, "y copy")
        await on(pilot, DoneScreen)
        await click(pilot, "Another partition")
        await on(pilot, PartitionsScreen)
        await click(pilot, "+Disk")  # at the first place of the line
        await on(pilot, DiskScreen)
    assert [path.name for path in (tmp_path / f"{disk.stem}-recovered").iterdir() if path.is_dir()] == ["srv"]


def test_a_key_is_pressed_by_its_name() -> None:
    pressed = {name: press_of(name) for name in ("Esc", "?", "F1", "q", "F", "↑↓", "0-9", "Space")}
    keys = {name: one.key if one else None for name, one in pressed.items()}
    assert keys == {
        "Esc": "escape",
        "?": "question_mark",
        "F1": "f1",
        "q": "q",
        "F": "F",
        "↑↓": None,
        "0-9": None,
        "Space": "space",
    }
