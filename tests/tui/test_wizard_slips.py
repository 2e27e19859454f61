"""What somebody under stress does by mistake, and what the screen says so that it costs nothing."""

import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from core import mounts
from core.errors import SalvageError
from core.files.progress import Progress
from core.undo.state import StateFolder, default_folder
from tests.conftest import Guard, needs_root
from tests.tui.terminal import terminal
from tests.tui.test_wizard_busy import holder
from tests.tui.test_wizard_check import to_volume
from tests.tui.wizard import Wizard, choose, on, reads, refused, shown, until, wizard
from tui.flow import Flow
from tui.screens.ask import AskPath
from tui.screens.busy import BusyScreen
from tui.screens.commit import CommitScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.disk import DiskScreen
from tui.screens.files import FilesScreen
from tui.screens.leftovers import LeftoversScreen
from tui.screens.menu import Menu
from tui.screens.partitions import PartitionsScreen
from tui.screens.progress import ProgressScreen
from tui.screens.protect import ProtectScreen
from tui.screens.quitting import QuitScreen
from tui.screens.shown import ShownScreen
from tui.screens.snapshot import SnapshotScreen
from tui.screens.stack import StackScreen
from tui.screens.start import StartScreen
from tui.screens.trouble import TroubleScreen
from tui.screens.volume import VolumeScreen
from tui.widgets.path_field import PathField

pytestmark = needs_root


@pytest.fixture
def disk(tmp_path: Path, guard: Guard) -> Path:
    """A file system with a folder and a file."""
    tree, image = tmp_path / "tree", tmp_path / "disk.raw"
    (tree / "folder").mkdir(parents=True)
    (tree / "folder/letter").write_text("x\n")
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, image, "16M"], check=True)
    guard.watch(image)
    return image


async def mounted(pilot: Wizard, point: Path, how: str = "sight") -> None:
    await choose(pilot, how)
    await on(pilot, AskPath)
    pilot.app.screen.query_one(PathField).value = str(point)
    await pilot.press("enter")
    await on(pilot, ShownScreen)


async def test_who_holds_a_mount_is_told_where_it_is_taken_down(disk: Path, tmp_path: Path) -> None:
    point = tmp_path / "seen"
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_volume(pilot)
        await mounted(pilot, point)
        with holder(point) as one:
            await choose(pilot, "down")
            await on(pilot, BusyScreen)
            await until(pilot, lambda: f"sleep (pid {one.pid}, root) works in" in shown(pilot))
            await choose(pilot, "leave")
            await on(pilot, ShownScreen)
            assert mounts.at(point)
            await choose(pilot, "down")
            await on(pilot, BusyScreen)
            await until(pilot, lambda: "Try again now" in shown(pilot))
            one.kill()
            one.wait()
            await choose(pilot, "again")
            await on(pilot, VolumeScreen)
    assert not mounts.at(point)


async def test_what_is_to_be_typed_later_finds_the_session(disk: Path, tmp_path: Path) -> None:
    state = tmp_path / "a state"
    async with wizard(state, disk, size=(160, 50)) as pilot:
        await to_volume(pilot)
        await mounted(pilot, tmp_path / "seen")
        session = pilot.app.flow.in_sight[0].session
        told = [str(one.render()) for one in pilot.app.screen.query("#facts Static")]
        assert f"virt-salvage --state-dir '{state}' undo {session}" in " ".join(told)
        await choose(pilot, "down")
        await on(pilot, VolumeScreen)


def test_the_usual_state_folder_is_not_named() -> None:
    assert StateFolder(default_folder()).command("undo", "--all") == "virt-salvage undo --all"


async def test_marks_are_warned_of_again_when_the_warning_is_gone(disk: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_volume(pilot)
        await choose(pilot, "loop")
        await on(pilot, FilesScreen)
        files = pilot.app.screen
        assert isinstance(files, FilesScreen)
        await until(pilot, lambda: "folder/" in shown(pilot))
        await pilot.press("down", "space", "escape")
        await until(pilot, lambda: "Esc again" in reads(pilot, "#status"), "the warning")
        await pilot.press("g", "enter")
        await until(pilot, lambda: files.here == b"/folder", "the folder")
        await until(pilot, lambda: "Esc again" not in reads(pilot, "#status"))
        await pilot.press("escape")
        await until(pilot, lambda: "Esc again" in reads(pilot, "#status"), "the warning, once more")
        assert pilot.app.screen is files


async def test_numbers_of_the_stack_are_those_that_do_something(disk: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_volume(pilot, "overlay")
        await mounted(pilot, tmp_path / "seen", "writable")
        await pilot.press("u")
        await on(pilot, StackScreen)
        await until(pilot, lambda: "undo last" in shown(pilot))
        road = [entry.number for entry in pilot.app.flow.standing]
        wanted = f"{min(road)}-{max(road)} that one" if len(road) > 1 else f"{road[0]} that one"
        assert wanted in shown(pilot)
        seen = max(entry.number for entry in pilot.app.flow.in_sight[0].entries)
        assert seen not in road
        await pilot.press(str(seen))
        await until(pilot, lambda: "comes down as a whole: press a" in reads(pilot, "#note"))
        await pilot.press("9")
        await until(pilot, lambda: "Nothing that is up has the number 9." in reads(pilot, "#note"))
        await pilot.press("escape")
        await choose(pilot, "down")
        await on(pilot, ConfirmScreen)
        assert "What was written to" in shown(pilot)
        await pilot.press("enter")  # the cursor begins at going back
        await on(pilot, ShownScreen)
        await choose(pilot, "down")
        await on(pilot, ConfirmScreen)
        await choose(pilot, "down")
        await on(pilot, VolumeScreen)


async def test_nothing_else_is_chosen_while_the_disk_is_attached(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another step would be torn away under somebody's hands when the disk is there."""
    go, inspect = threading.Event(), Flow.do_inspect

    def slow(self: Flow, *args: Any) -> Any:
        go.wait(30)
        return inspect(self, *args)

    monkeypatch.setattr(Flow, "do_inspect", slow)
    async with wizard(tmp_path / "state", disk) as pilot:
        await on(pilot, ProtectScreen)
        await pilot.press("1")
        await until(pilot, lambda: "Esc stops it" in reads(pilot, "#status"))
        await pilot.press("3", "j", "j", "enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, ProtectScreen)
        go.set()
        await on(pilot, PartitionsScreen)


@pytest.mark.parametrize("answer", ["stay", "take-down"])
async def test_no_step_tears_away_the_question_whether_to_leave(
    answer: str, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, opened = threading.Event(), Flow.do_open

    def slow(self: Flow, *args: Any, **named: Any) -> Any:
        result = opened(self, *args, **named)
        go.wait(30)
        return result

    monkeypatch.setattr(Flow, "do_open", slow)
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_volume(pilot)
        volume = pilot.app.screen
        assert isinstance(volume, VolumeScreen)
        await choose(pilot, "loop")
        await until(pilot, lambda: pilot.app.something_up, "the mount")
        await pilot.press("q")
        await on(pilot, QuitScreen)
        go.set()
        await until(pilot, lambda: not volume.busy, "the end of the work")
        await pilot.pause()
        assert isinstance(pilot.app.screen, QuitScreen)
        await choose(pilot, answer)
        if answer == "stay":
            await on(pilot, FilesScreen)
        else:
            await until(pilot, lambda: pilot.app.return_code == 0, "the end")


async def test_enter_goes_on_after_a_snapshot_was_looked_at(tmp_path: Path) -> None:
    disk = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "16M"], check=True)
    subprocess.run(["qemu-img", "snapshot", "-c", "before", disk], check=True)
    async with wizard(tmp_path / "state", disk) as pilot:
        await on(pilot, ProtectScreen)
        menu = pilot.app.screen.query_one(Menu)

        def chosen() -> str | None:
            return menu.highlighted_option.id if menu.highlighted_option else None

        assert chosen() == "read"
        await choose(pilot, "snapshot")
        await on(pilot, SnapshotScreen)
        await pilot.press("enter")
        await on(pilot, ProtectScreen)
        await until(pilot, lambda: chosen() == "read")


async def test_a_slip_in_the_path_from_the_shell_is_mended_in_the_line(tmp_path: Path) -> None:
    missing = tmp_path / "dsik.raw"
    async with wizard(tmp_path / "state", missing) as pilot:
        await on(pilot, TroubleScreen)
        await pilot.press("escape")
        await on(pilot, DiskScreen)
        assert pilot.app.screen.query_one(PathField).value == str(missing)


async def test_on_the_smallest_screen_the_key_to_read_on_is_named(tmp_path: Path) -> None:
    async with wizard(tmp_path / "state", size=(40, 12)) as pilot:
        pilot.app.push_screen(TroubleScreen(SalvageError("It is so. " * 9, "It means a lot. " * 9)))
        await on(pilot, TroubleScreen)
        await until(pilot, lambda: "Space more" in shown(pilot))
        assert "Esc back" in shown(pilot)


async def test_who_stops_a_copy_is_told_that_the_half_file_is_gone(tmp_path: Path) -> None:
    async with wizard(tmp_path / "state") as pilot:
        begun = threading.Event()

        def job(_hear: Any) -> Progress:
            begun.set()
            cancel = pilot.app.flow.operator.cancel
            cancel.wait(30)
            cancel.check()
            raise AssertionError

        screen: ProgressScreen[Progress] = ProgressScreen("Copying", job, lambda _done: None, step=5)
        pilot.app.push_screen(screen)
        await until(pilot, lambda: begun.is_set() and pilot.app.screen is screen)
        await pilot.press("escape")
        await on(pilot, TroubleScreen)
        assert "half copied was taken away there" in " ".join(shown(pilot).replace("┃", " ").split())


def test_leaving_at_once_after_a_key_is_no_error(tmp_path: Path) -> None:
    """As both come in one piece where somebody typed ahead, or pasted."""
    for keys in ("rq", "?q", "cq"):
        with terminal(tmp_path / "state") as one:
            one.shows("What shall be done")
            one.press("1")
            one.settled()
            one.press(keys)
            assert one.ended() == 0, one.text()[-600:]


async def test_the_disk_that_was_given_is_named_where_another_is_chosen(disk: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state", disk) as pilot:
        await on(pilot, ProtectScreen)
        await pilot.press("escape")
        await on(pilot, DiskScreen)
        assert pilot.app.screen.query_one(PathField).value == str(disk)
        await pilot.press("p", "enter")
        await on(pilot, ProtectScreen)


async def test_esc_on_the_first_screen_does_not_leave(tmp_path: Path) -> None:
    async with wizard(tmp_path / "state") as pilot:
        await on(pilot, StartScreen)
        await pilot.press("escape")
        await until(pilot, lambda: "q quits" in reads(pilot, "#status"))
        await pilot.press("q")
        await until(pilot, lambda: pilot.app.return_code == 0)


async def test_leaving_with_what_was_written_keeps_it_by_enter_alone(disk: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_volume(pilot, "overlay")
        await mounted(pilot, tmp_path / "seen", "writable")
        (tmp_path / "seen/new").write_text("written\n")
        await pilot.press("u")
        await on(pilot, StackScreen)
        await until(pilot, lambda: "Of this wizard" in shown(pilot), "what is up")
        assert "in everybody's sight" in shown(pilot) or "scroll" in shown(pilot)
        await pilot.press("escape")
        await choose(pilot, "commit")
        await on(pilot, CommitScreen)
        await until(pilot, lambda: "Disk name" in shown(pilot))
        await pilot.press("escape")
        await on(pilot, ConfirmScreen)
        state = tmp_path / "state"
        assert f"--state-dir {state}" in " ".join(shown(pilot).replace("│", " ").split())
        await pilot.press("enter")
        await on(pilot, StartScreen)
        await pilot.press("q")
        await on(pilot, QuitScreen)
        assert "> 2  Keep the overlay" in shown(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.return_code == 0)
    async with wizard(tmp_path / "state") as pilot:
        await on(pilot, StartScreen)
        await pilot.press("u")
        await until(pilot, lambda: "Earlier sessions left something up" in shown(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: not refused(pilot, "left"), "what is left")
        await choose(pilot, "left")
        await on(pilot, LeftoversScreen)
        await until(pilot, lambda: "left up on purpose" in shown(pilot))
        await pilot.press("enter")
        await on(pilot, ConfirmScreen)
        await choose(pilot, "undo")
        await until(pilot, lambda: "Nothing is up any more" in shown(pilot))


async def test_what_was_left_up_on_purpose_is_asked_for(disk: Path, tmp_path: Path) -> None:
    """The cursor comes to it when the one above it was taken down: a second Enter is no answer."""
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_volume(pilot)
        await mounted(pilot, tmp_path / "seen")
        await pilot.press("q")
        await on(pilot, QuitScreen)
        await choose(pilot, "leave")
        await until(pilot, lambda: pilot.app.return_code == 0)
    async with wizard(tmp_path / "state") as pilot:
        await on(pilot, StartScreen)
        await until(pilot, lambda: not refused(pilot, "left"), "what is left")
        await choose(pilot, "left")
        await on(pilot, LeftoversScreen)
        await until(pilot, lambda: "left up on purpose" in shown(pilot))
        await pilot.press("enter")
        await on(pilot, ConfirmScreen)
        assert "somebody may still work with it" in " ".join(shown(pilot).replace("│", " ").split())
        await pilot.press("enter")
        await on(pilot, LeftoversScreen)
        assert (tmp_path / "seen/folder").exists()
        await pilot.press("a")
        await on(pilot, ConfirmScreen)
        await choose(pilot, "undo")
        await until(pilot, lambda: "Nothing is up any more" in shown(pilot))
