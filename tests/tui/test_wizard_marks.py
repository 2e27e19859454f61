"""Marks in the wizard: two of one name, what goes with its folder, links, what stands in a copy's way."""

import os
import subprocess
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from core.errors import Cancelled
from core.files.outcome import Copied
from core.session import Session
from tests.conftest import Guard, needs_root
from tests.tui.test_wizard_check import to_volume
from tests.tui.test_wizard_road import flow_of, type_path, type_target
from tests.tui.wizard import Wizard, choose, on, reads, shown, until, wizard
from tui.screens.ask import AskPath
from tui.screens.done import DoneScreen
from tui.screens.files import FilesScreen
from tui.screens.finding import FindScreen
from tui.screens.how import HowScreen
from tui.screens.quitting import QuitScreen
from tui.screens.target import AskTarget, TargetScreen
from tui.screens.trouble import TroubleScreen
from tui.screens.volume import VolumeScreen
from tui.widgets.file_table import FileTable
from tui.widgets.results import Results

pytestmark = needs_root


@pytest.fixture
def disk(tmp_path: Path, guard: Guard) -> Path:
    tree, image = tmp_path / "tree", tmp_path / "disk.raw"
    for name in ("a/data/one", "b/data/two", "etc/hosts", "etc/ssh/config"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    (tree / "home").mkdir()
    for name, to in (("broken", "../nowhere"), ("good", "../etc/hosts"), ("circle", "circle")):
        os.symlink(to, tree / "home" / name)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, image, "16M"], check=True)
    guard.watch(image)
    return image


async def to_files(pilot: Wizard) -> None:
    await to_volume(pilot)
    await choose(pilot, "loop")
    await on(pilot, FilesScreen)
    await until(pilot, lambda: pilot.app.screen.query_one(FileTable).row_count())


async def into(pilot: Wizard, *names: str) -> None:
    """To a folder, or onto a file in it, from the top down."""
    while reads(pilot, "#place").split()[-1] != "/":
        await pilot.press("backspace")
        await on(pilot, FilesScreen)
    for name in names:
        stand_on(pilot, name)
        if name is not names[-1]:
            await pilot.press("enter")
            await until(pilot, lambda name=name: reads(pilot, "#place").endswith(name))
            await on(pilot, FilesScreen)


def stand_on(pilot: Wizard, name: str) -> None:
    table = pilot.app.screen.query_one(FileTable)
    at = [one.name.decode() for one in table._shown].index(name)
    table.cursor = at


async def mark_both(pilot: Wizard) -> None:
    for folder in ("a", "b"):
        await into(pilot, folder, "data")
        await pilot.press("space")
    await until(pilot, lambda: "2 things, 2 files" in reads(pilot, "#basket"))


async def test_two_of_one_name_are_kept_apart_by_one_key_and_only_this_once(
    disk: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_files(pilot)
        await pilot.press("t")
        await type_target(pilot, out)
        await on(pilot, FilesScreen)
        await mark_both(pilot)
        await pilot.press("y")
        await on(pilot, TroubleScreen)
        assert "Two sources are called data" in shown(pilot) and "--paths" not in shown(pilot)
        await until(pilot, lambda: "They come to lie there as a/data, b/data." in shown(pilot))
        await pilot.press("1")
        await on(pilot, DoneScreen)
        assert (out / "a/data/one").read_text() == "a/data/one" and (out / "b/data/two").exists()
        await choose(pilot, "keep")
        await until(pilot, lambda: "Beside the report" in shown(pilot))
        assert (
            "cp --archive --sparse=always --parents -- a/data b/data"
            in (out / "salvage-by-hand.sh").read_text()
        )
        await choose(pilot, "files")
        await on(pilot, FilesScreen)
        await pilot.press("x")
        await into(pilot, "etc")
        await pilot.press("space", "y")
        await on(pilot, DoneScreen)
        assert (out / "etc/ssh/config").exists() and not flow_of(pilot).choices.paths


async def test_whole_paths_are_a_way_to_copy(disk: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_files(pilot)
        await pilot.press("t")
        await type_target(pilot, out)
        await on(pilot, FilesScreen)
        await pilot.press("o")
        await on(pilot, HowScreen)
        await choose(pilot, "paths")
        assert "Names at the target: the guest's whole paths" in shown(pilot)
        await choose(pilot, "go")
        await on(pilot, FilesScreen)
        await into(pilot, "a", "data")
        await pilot.press("space", "y")
        await on(pilot, DoneScreen)
    assert (out / "a/data/one").exists()


async def test_what_goes_with_its_folder_says_so_and_is_not_marked_twice(disk: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_files(pilot)
        await into(pilot, "etc")
        await pilot.press("space")
        await into(pilot, "etc", "hosts")
        assert shown(pilot).count("[+]") == 2 and "[ ]" not in shown(pilot)
        await pilot.press("space")
        told = "It goes with its folder /etc, which is marked."
        await until(pilot, lambda: told in reads(pilot, "#status"))
        await until(pilot, lambda: "1 thing, 2 files" in reads(pilot, "#basket"))
        await pilot.press("f")
        await on(pilot, FindScreen)
        await pilot.press(*"hosts", "enter")
        await until(pilot, lambda: "1 found." in shown(pilot))
        await pilot.press("down")
        await until(pilot, lambda: isinstance(pilot.app.focused, Results))
        assert "[+]" in shown(pilot)
        await pilot.press("space")
        await until(pilot, lambda: told in shown(pilot))
        await pilot.press("escape")
        await on(pilot, FilesScreen)
        assert "1 thing" in reads(pilot, "#basket")
        await into(pilot, "etc")
        await pilot.press("space")
        await into(pilot, "etc", "hosts")
        assert "[+]" not in shown(pilot)


async def test_a_file_is_no_target_and_an_archive_that_is_there_is_replaced_or_not(
    disk: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("mine")
    there = tmp_path / "x.tar"
    there.write_text("old")
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_files(pilot)
        await into(pilot, "etc")
        await pilot.press("space", "t")
        for place in (tmp_path / "mine", tmp_path / "mine/below"):
            await type_target(pilot, place)
            await until(pilot, lambda: "is a file, not a folder" in reads(pilot, "#wrong"))
            await pilot.press("escape")
            await on(pilot, FilesScreen)
            await pilot.press("t")
        await type_target(pilot, there, "tar")
        await on(pilot, FilesScreen)
        await pilot.press("y")
        await on(pilot, TroubleScreen)
        told = " ".join(shown(pilot).replace("┃", " ").split())
        assert "is there already" in told and "--existing" not in told
        await pilot.press("1")
        await on(pilot, TargetScreen)
        await pilot.press("escape")
        await on(pilot, FilesScreen)
        assert there.read_text() == "old"
        await pilot.press("y")
        await on(pilot, TroubleScreen)
        await pilot.press("2")
        await on(pilot, DoneScreen)
        await choose(pilot, "files")
        await on(pilot, FilesScreen)
        await pilot.press("y")
        await on(pilot, TroubleScreen)  # it was for that once
        assert flow_of(pilot).choices.existing == "leave"
        await pilot.press("escape")
        await on(pilot, FilesScreen)
    with tarfile.open(there) as tar:
        assert "etc/hosts" in tar.getnames()


async def test_a_place_elsewhere_is_asked_for_as_it_is_typed_there(disk: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_files(pilot)
        await pilot.press("t")
        await type_target(pilot, "localhost", "rsync")
        await until(pilot, lambda: "localhost names no place for rsync" in reads(pilot, "#wrong"))
        assert "rsync:backup" not in reads(pilot, "#wrong")
        assert "Write it like backup:/srv/rescued." in reads(pilot, "#wrong")
        field = pilot.app.screen.query_one(Input)
        field.value = "rsync:root@127.0.0.1:/tmp/x"
        await pilot.press("enter")
        await on(pilot, FilesScreen)
        assert flow_of(pilot).target and flow_of(pilot).target.remote == "root@127.0.0.1:/tmp/x"
        await pilot.press("t")
        await type_target(pilot, "rsync://127.0.0.1/module", "rsync")
        await on(pilot, FilesScreen)
        assert flow_of(pilot).target.remote == "rsync://127.0.0.1/module"
        await pilot.press("t")
        await type_target(pilot, "rclone:far:x", "rsync")
        await on(pilot, AskTarget)
        assert "rclone" in reads(pilot, "#wrong")
        await pilot.press("escape")
        await on(pilot, FilesScreen)


async def test_what_another_machine_refuses_says_what_that_means_and_is_tried_again(
    disk: Path, tmp_path: Path
) -> None:
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_files(pilot)
        await into(pilot, "etc")
        await pilot.press("space", "t")
        await type_target(pilot, "rsync://127.0.0.1:9/module", "rsync")
        await on(pilot, FilesScreen)
        for key in ("y", "2"):
            await pilot.press(key)
            await until(pilot, lambda: isinstance(pilot.app.screen, HowScreen | TroubleScreen))
            if isinstance(pilot.app.screen, HowScreen):
                await pilot.press("1")
            await on(pilot, TroubleScreen)
            await until(pilot, lambda: "Nothing is lost: the disk was only read." in shown(pilot))
            assert "Choose another target" in shown(pilot) and "Try again" in shown(pilot)
        await pilot.press("1")
        await on(pilot, TargetScreen)
        await pilot.press("escape")
        await on(pilot, FilesScreen)


async def test_links_that_lead_nowhere_say_where_that_is(disk: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_files(pilot)
        await into(pilot, "home", "broken")
        await pilot.press("enter")
        await on(pilot, TroubleScreen)
        told = " ".join(shown(pilot).split())
        assert "/home/broken leads to /nowhere, which is not on this volume." in told
        await pilot.press("escape")
        await on(pilot, FilesScreen)
        stand_on(pilot, "circle")
        await pilot.press("enter")
        await on(pilot, TroubleScreen)
        assert "which is not on this volume" not in " ".join(shown(pilot).split())
        await pilot.press("escape")
        await on(pilot, FilesScreen)


async def test_a_copy_that_was_stopped_goes_on_by_one_key(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, begun = Session.copy, threading.Event()

    def stopped_once(self: Session, *given: Any, **named: Any) -> Copied:
        if begun.is_set():
            return real(self, *given, **named)
        begun.set()
        self.runner.cancel.wait(60)
        raise Cancelled("Stopped as asked.")

    monkeypatch.setattr(Session, "copy", stopped_once)
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_files(pilot)
        await pilot.press("t")
        await type_target(pilot, tmp_path / "out")
        await on(pilot, FilesScreen)
        await into(pilot, "etc")
        await pilot.press("space", "y")
        await until(pilot, begun.is_set)
        await pilot.press("q")
        await on(pilot, QuitScreen)
        await until(pilot, lambda: "A copy is running: leaving stops it." in " ".join(shown(pilot).split()))
        assert "Not copied yet: /etc" in shown(pilot)
        await pilot.press("escape", "escape")
        await on(pilot, TroubleScreen)
        await until(pilot, lambda: "Go on with it" in shown(pilot))
        await pilot.press("1")
        await on(pilot, DoneScreen)
        assert (tmp_path / "out/etc/hosts").exists()
        await pilot.press("q")
        await on(pilot, QuitScreen)
        assert "Not copied yet" not in shown(pilot) and "A copy is running" not in shown(pilot)
        await pilot.press("escape")


async def test_a_folder_that_is_not_empty_is_no_end(disk: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").touch()
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_volume(pilot)
        await choose(pilot, "sight")
        await type_path(pilot, tmp_path / "full")
        await on(pilot, TroubleScreen)
        assert "is not empty" in " ".join(shown(pilot).replace("┃", " ").split())
        await until(pilot, lambda: "Choose another folder" in shown(pilot))
        await choose(pilot, "0")
        await on(pilot, AskPath)
        await pilot.press("escape")
        await on(pilot, VolumeScreen)
