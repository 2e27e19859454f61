"""The wizard after a crash: told, checked, the journal replayed, browsed; subvolumes chosen."""

import subprocess
from pathlib import Path

import pytest
from textual.widgets import Input

from core.volumes.state import State
from tests.conftest import Guard, needs_root
from tests.core.tables.table_disks import sparse
from tests.hostile.test_filesystems import dirty
from tests.hostile.volumes import MIB, by_hand, filled
from tests.tui.wizard import Wizard, choose, on, refused, shown, until, wizard
from tui.screens.ask import AskPath
from tui.screens.check import CheckScreen
from tui.screens.files import FilesScreen
from tui.screens.help import HelpScreen
from tui.screens.partitions import PartitionsScreen
from tui.screens.protect import ProtectScreen
from tui.screens.shown import ShownScreen
from tui.screens.subvolumes import SubvolumesScreen
from tui.screens.trouble import TroubleScreen
from tui.screens.volume import VolumeScreen

pytestmark = needs_root


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    (tmp_path / "crash").mkdir()
    return dirty("ext4", tmp_path / "crash").rename(tmp_path / "disk.raw")


async def to_volume(pilot: Wizard, protection: str = "read") -> None:
    await on(pilot, ProtectScreen)
    await choose(pilot, protection)
    await on(pilot, PartitionsScreen)
    await pilot.press("enter")
    await on(pilot, VolumeScreen)


async def test_a_crash_is_told_checked_and_its_journal_browsed(
    crashed: Path, tmp_path: Path, guard: Guard
) -> None:
    guard.watch(crashed)
    async with wizard(tmp_path / "state", crashed) as pilot:
        await to_volume(pilot)
        assert "It was not unmounted, as after a crash" in shown(pilot)
        assert "> 1  Browse and copy files, with the journal replayed (recommended)" in shown(pilot)
        await choose(pilot, "check")
        await on(pilot, CheckScreen)
        await until(pilot, lambda: "found nothing wrong" in shown(pilot))
        await choose(pilot, "replayed")
        await until(pilot, lambda: "files added: 20, removed: 0" in shown(pilot))
        await pilot.press("question_mark")
        await on(pilot, HelpScreen)
        assert "Is the file system sound?" in shown(pilot)
        await pilot.press("escape")
        await on(pilot, CheckScreen)
        await choose(pilot, "browse")
        await on(pilot, FilesScreen)
        await until(pilot, lambda: "file19" in shown(pilot))
        assert "was not unmounted" not in shown(pilot)


async def test_over_an_overlay_the_usual_way_is_the_one_that_replays(
    crashed: Path, tmp_path: Path, guard: Guard
) -> None:
    guard.watch(crashed)
    async with wizard(tmp_path / "state", crashed) as pilot:
        await to_volume(pilot, "overlay")
        assert "1  Browse and copy files, with the journal replayed (the usual way)" in shown(pilot)
        assert "recommended" not in shown(pilot), "the same thing is offered once"
        await choose(pilot, "loop")
        await on(pilot, FilesScreen)
        await until(pilot, lambda: "file19" in shown(pilot))
        assert "journal replayed" in shown(pilot)


async def test_a_clean_volume_over_an_overlay_is_not_told_as_replayed(tmp_path: Path, guard: Guard) -> None:
    """As a volume whose cache is written to when it is put together."""
    disk = filled(tmp_path / "disk.raw")
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_volume(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, VolumeScreen)
        screen._open("loop", State.REPLAYED)
        await on(pilot, FilesScreen)
        await until(pilot, lambda: "letter" in shown(pilot))
        assert "over an overlay" in shown(pilot)
        assert "replayed" not in shown(pilot)


async def test_without_its_journal_that_is_said_above_the_files(
    crashed: Path, tmp_path: Path, guard: Guard
) -> None:
    guard.watch(crashed)
    async with wizard(tmp_path / "state", crashed) as pilot:
        await to_volume(pilot)
        await choose(pilot, "loop")
        await on(pilot, FilesScreen)
        await until(pilot, lambda: "This ext4 was not unmounted" in shown(pilot))
        assert "file19" not in shown(pilot)
        await pilot.press("escape")
        await on(pilot, VolumeScreen)
        await choose(pilot, "replayed")
        await on(pilot, FilesScreen)
        await until(pilot, lambda: "file19" in shown(pilot))


async def test_a_repair_shows_what_it_brings_back(tmp_path: Path, guard: Guard) -> None:
    disk = filled(tmp_path / "disk.raw")
    subprocess.run(["debugfs", "-w", "-R", "unlink letter", disk], check=True, capture_output=True)
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_volume(pilot)
        assert refused(pilot, "replayed")
        await choose(pilot, "check")
        await on(pilot, CheckScreen)
        await until(pilot, lambda: "The file system is damaged" in shown(pilot))
        await choose(pilot, "repaired")
        await until(pilot, lambda: "added: /lost+found/#" in shown(pilot))
        assert "Repaired, and checked again: e2fsck found nothing wrong." in shown(pilot)
        await choose(pilot, "sight")
        await on(pilot, AskPath)
        pilot.app.screen.query_one(Input).value = str(tmp_path / "m")
        await pilot.press("enter")
        await on(pilot, ShownScreen)
        assert [path.read_text() for path in (tmp_path / "m/lost+found").iterdir()] == ["rescued\n"]
        await choose(pilot, "down")
        await on(pilot, CheckScreen)
    assert not (tmp_path / "m/lost+found").exists()


@pytest.mark.parametrize("protection", ["read", "overlay"])
async def test_what_is_mounted_for_reading_only_is_not_offered_for_writing(
    protection: str, tmp_path: Path, guard: Guard
) -> None:
    disk = sparse(tmp_path / "disk.raw", 40 * MIB)
    subprocess.run(["mkfs.vfat", disk], check=True, capture_output=True)
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_volume(pilot, protection)
        assert refused(pilot, "writable")
        assert "vfat is mounted for reading only." in shown(pilot)
        assert "Only with an overlay" not in shown(pilot)


async def test_a_subvolume_is_chosen(tmp_path: Path, guard: Guard) -> None:
    disk = filled(tmp_path / "disk.raw", "btrfs")
    with by_hand(disk, tmp_path / "by-hand", "rw") as point:
        for name in ("@", "@home"):
            subprocess.run(["btrfs", "subvolume", "create", point / name], check=True, capture_output=True)
        (point / "@home/letter").write_text("rescued\n")
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_volume(pilot)
        await choose(pilot, "subvolume")
        await on(pilot, SubvolumesScreen)
        await until(pilot, lambda: "/@home" in shown(pilot))
        assert "Which subvolume or snapshot of " in shown(pilot)
        await pilot.press("2")  # the numbers that stand there are no choices
        await pilot.pause()
        await on(pilot, SubvolumesScreen)
        await pilot.press("down", "down", "enter")
        await on(pilot, FilesScreen)
        await until(pilot, lambda: "letter" in shown(pilot))


@pytest.mark.usefixtures("cached")
async def test_what_cannot_be_looked_at_as_it_lies_is_checked_and_shown_over_an_overlay(
    crashed: Path, tmp_path: Path, guard: Guard
) -> None:
    guard.watch(crashed)
    async with wizard(tmp_path / "state", crashed) as pilot:
        await to_volume(pilot)
        await choose(pilot, "check")
        await until(pilot, lambda: isinstance(pilot.app.screen, TroubleScreen))
        assert "Open it over an overlay" in shown(pilot)
        assert "--replay" not in shown(pilot), "that is the command line's"
        await choose(pilot, "0")
        await on(pilot, CheckScreen)
        await until(pilot, lambda: "With its journal replayed: e2fsck found nothing wrong." in shown(pilot))
        assert "The files were not compared" in shown(pilot)
        await choose(pilot, "back")
        await on(pilot, VolumeScreen)
        point = tmp_path / "seen"
        await choose(pilot, "sight")
        await on(pilot, AskPath)
        pilot.app.screen.query_one(Input).value = str(point)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, TroubleScreen))
        await choose(pilot, "0")
        await on(pilot, ShownScreen)
        assert (point / "file19").exists()
        await choose(pilot, "down")
        await on(pilot, VolumeScreen)
