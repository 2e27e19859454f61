"""The search for lost partitions in the wizard: offered, watched, cut short, opened, its table written."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input

from core.cancel import CancelToken
from core.tables.lost import search as searching
from core.tables.lost.medium import Medium
from core.tables.lost.sweep import Looker, Pass, sweep
from tests.conftest import Guard, needs_root
from tests.core.tables.lost_disks import MIB, blank, place, put, run, wipe, with_table
from tests.tui.wizard import Wizard, choose, on, reads, shown, until, wizard
from tui.app import SalvageApp
from tui.screens.ask import AskPath
from tui.screens.confirm import ConfirmScreen
from tui.screens.files import FilesScreen
from tui.screens.partitions import PartitionsScreen
from tui.screens.protect import ProtectScreen
from tui.screens.search import SearchScreen
from tui.screens.volume import VolumeScreen
from tui.widgets.found_table import FoundTable

pytestmark = needs_root

TABLE = """\
label: dos
1 : start=2048, size=40960, type=83
2 : start=43008, size=150000, type=5
5 : start=45056, size=81920, type=83
6 : start=129024, size=32768, type=82
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lost")
    (folder / "tree").mkdir()
    (folder / "tree/letter").write_text("found again")
    disk = blank(folder / "disk.raw", 96 * MIB)
    for part in with_table(disk, TABLE):
        if maker := {1: "ext2-1k", 5: "ext4-1k", 6: "swap"}.get(part["number"]):
            tree = folder / "tree" if part["number"] == 5 else None
            put(disk, part["start"] * 512, part["sectors"] * 512, maker, tree)
    wipe(disk, 0, 512)
    return disk


@pytest.fixture
def disk(made: Path, tmp_path: Path, guard: Guard) -> Path:
    disk = tmp_path / "disk.qcow2"
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", made, disk)
    guard.watch(disk)
    return disk


async def _to_partitions(pilot: Wizard) -> None:
    await on(pilot, ProtectScreen)
    await choose(pilot, "read")
    await on(pilot, PartitionsScreen)


async def _search(pilot: Wizard) -> None:
    await _to_partitions(pilot)
    await pilot.press("s")
    await on(pilot, PartitionsScreen)
    await until(pilot, lambda: "put together" in shown(pilot), "the table of the search")


async def test_it_is_offered_and_leads_to_the_files(disk: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state", disk) as pilot:
        await _to_partitions(pilot)
        assert "Press s to search" in reads(pilot, "#offer")
        await pilot.press("s")
        await on(pilot, PartitionsScreen)
        await until(pilot, lambda: "put together" in shown(pilot))
        assert "2 extended" in shown(pilot) and not pilot.app.screen.query_one("#offer").display
        await pilot.press("down", "down", "enter")
        await on(pilot, VolumeScreen)
        await choose(pilot, "loop")
        await on(pilot, FilesScreen)
        assert "letter" in shown(pilot)


async def test_a_healthy_table_is_searched_on_request_only_and_comes_back(tmp_path: Path) -> None:
    disk = blank(tmp_path / "disk.raw", 64 * MIB)
    (part,) = with_table(disk, "label: dos\n1 : start=2048, size=81920, type=83\n")
    put(disk, part["start"] * 512, part["sectors"] * 512, "ext4-1k")
    async with wizard(tmp_path / "state", disk) as pilot:
        await _to_partitions(pilot)
        assert not pilot.app.screen.query_one("#offer").display
        await pilot.press("s")
        await until(pilot, lambda: "put together" in shown(pilot))
        await pilot.press("o")
        await until(pilot, lambda: "put together" not in shown(pilot))
        assert "1 ext4" in shown(pilot)


async def test_its_table_goes_to_an_overlay(disk: Path, tmp_path: Path) -> None:
    over = tmp_path / "over.qcow2"
    async with wizard(tmp_path / "state", disk) as pilot:
        await _search(pilot)
        await pilot.press("w")
        await on(pilot, ConfirmScreen)
        await choose(pilot, "qcow2-over")
        await on(pilot, AskPath)
        pilot.app.screen.query_one(Input).value = str(over)
        await pilot.press("enter")
        await until(pilot, lambda: "The table is written" in shown(pilot))
        await pilot.press("escape")
        await on(pilot, PartitionsScreen)
    raw = tmp_path / "seen.raw"
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", over, raw)
    assert "start=       45056" in run("sfdisk", "--dump", raw)


async def test_what_was_set_aside_stands_below_the_table(tmp_path: Path, guard: Guard) -> None:
    inner = blank(tmp_path / "vm.img", 16 * MIB)
    run("mkfs.ext2", "-q", "-F", "-b", "1024", inner)
    disk = blank(tmp_path / "disk.raw", 96 * MIB)
    put(disk, MIB, 80 * MIB, "ext4")
    place(disk, 48 * MIB, inner)
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await _search(pilot)
        await until(pilot, lambda: "alt1" in shown(pilot))
        assert "set aside" in shown(pilot)
        await pilot.press("end", "enter")
        await on(pilot, VolumeScreen)
        assert f"begins at byte {48 * MIB}" in shown(pilot)


async def test_a_disk_with_nothing_on_it_keeps_its_own_table(tmp_path: Path) -> None:
    disk = blank(tmp_path / "disk.raw", 8 * MIB)
    async with wizard(tmp_path / "state", disk) as pilot:
        await _to_partitions(pilot)
        await pilot.press("s")
        await until(pilot, lambda: "found nothing" in shown(pilot))
        await on(pilot, PartitionsScreen)
        assert "Press s to search" in reads(pilot, "#offer")


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A medium that stops answering after the first things were found, until the search is to end."""

    def slowly(medium: Medium, looker: Looker, cancel: CancelToken) -> Iterator[Pass]:
        for step in sweep(medium, looker, cancel):
            yield step
            if step.hits:
                break
        while True:
            cancel.check()
            time.sleep(0.05)
            yield Pass((), step.place or MIB, step.read)

    monkeypatch.setattr(searching, "sweep", slowly)


@pytest.mark.usefixtures("slow")
async def test_first_results_while_it_runs_and_one_of_them_opened_at_once(disk: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state", disk) as pilot:
        await _to_partitions(pilot)
        await pilot.press("s")
        await until(pilot, lambda: isinstance(pilot.app.screen, SearchScreen))
        await until(pilot, lambda: pilot.app.screen.query_one(FoundTable).row_count() > 0)
        assert "a second" in shown(pilot) and "%" in shown(pilot)
        await pilot.press("enter")
        await on(pilot, VolumeScreen)
        await pilot.press("escape")
        await on(pilot, PartitionsScreen)
        assert "was stopped after" in shown(pilot)


@pytest.mark.usefixtures("slow")
async def test_esc_ends_it_and_keeps_what_was_found(disk: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state", disk) as pilot:
        await _to_partitions(pilot)
        await pilot.press("s")
        await until(pilot, lambda: isinstance(pilot.app.screen, SearchScreen))
        await until(pilot, lambda: pilot.app.screen.query_one(FoundTable).row_count() > 0)
        await pilot.press("escape")
        await on(pilot, PartitionsScreen)
        assert "was stopped after" in shown(pilot)
        app = pilot.app
        assert isinstance(app, SalvageApp) and app.flow.inspection
        assert app.flow.inspection.table.source == "scan"
