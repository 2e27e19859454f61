"""The whole road through the wizard, on a real practice disk, by keys alone."""

import filecmp
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from textual.widgets import Input

from core.files.destination import Destination
from core.lab import catalogue, labs
from core.runner import SystemRunner
from core.undo.health import is_gone
from core.undo.state import StateFolder
from tests.conftest import Guard, needs_root
from tests.hostile.signatures import hfsplus
from tests.tui.wizard import Wizard, choose, on, reads, refused, shown, until, wizard
from tui.app import SalvageApp
from tui.flow import Flow
from tui.keys import keys_of
from tui.screens.ask import AskPath
from tui.screens.commands import CommandsScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.disk import DiskScreen
from tui.screens.done import DoneScreen
from tui.screens.files import FilesScreen
from tui.screens.help import HelpScreen
from tui.screens.leftovers import LeftoversScreen
from tui.screens.partitions import PartitionsScreen
from tui.screens.practise import PractiseScreen, TicketScreen
from tui.screens.protect import ProtectScreen
from tui.screens.quitting import QuitScreen
from tui.screens.shown import ShownScreen
from tui.screens.stack import StackScreen
from tui.screens.start import StartScreen
from tui.screens.target import AskTarget, TargetScreen
from tui.screens.volume import VolumeScreen
from tui.widgets.file_table import FileTable
from tui.widgets.partition_table import VolumeTable
from tui.widgets.path_field import PathField

pytestmark = needs_root

SEED = 7


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labs.start(catalogue.built_in()[0], tmp_path_factory.mktemp("labs"), SystemRunner(), SEED)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def flow_of(pilot: Wizard) -> Flow:
    app = pilot.app
    assert isinstance(app, SalvageApp)
    return app.flow


def up(pilot: Wizard) -> list[str]:
    return [entry.what for entry in flow_of(pilot).standing]


def sessions(state: Path) -> list[str]:
    return os.listdir(state / "sessions") if (state / "sessions").exists() else []


async def to_partitions(pilot: Wizard, protection: str = "read") -> None:
    await on(pilot, ProtectScreen)
    await choose(pilot, protection)
    await on(pilot, PartitionsScreen)


async def to_volume(pilot: Wizard, number: int = 5) -> None:
    rows = {2: 0, 5: 2, 6: 3, 7: 4}[number]
    await pilot.press(*["down"] * rows, "enter")
    await on(pilot, VolumeScreen)


async def to_files(pilot: Wizard, protection: str = "read") -> None:
    await to_partitions(pilot, protection)
    await to_volume(pilot)
    await choose(pilot, "loop")
    await on(pilot, FilesScreen)
    await until(pilot, lambda: pilot.app.screen.query_one(FileTable).row_count())


async def type_path(pilot: Wizard, path: Path) -> None:
    await on(pilot, AskPath)
    await until(pilot, lambda: isinstance(pilot.app.focused, Input), "the line to type in")
    field = pilot.app.screen.query_one(PathField)
    field.value = str(path)
    await pilot.press("enter")


async def type_target(pilot: Wizard, place: Path | str, kind: str = "folder") -> None:
    """Choose the kind of target, and type its place."""
    await on(pilot, TargetScreen)
    await choose(pilot, kind)
    await on(pilot, AskTarget)
    field = pilot.app.screen.query_one(Input)
    field.value = str(place)
    await pilot.press("enter")


async def test_keys_that_would_only_say_why_they_do_nothing_are_not_told(disk: Path, state: Path) -> None:
    async with wizard(state, disk) as pilot:
        await to_partitions(pilot)
        told = [one.does for one in keys_of(pilot.app.screen)]
        assert "search for lost partitions" in told
        assert "write the table that was found" not in told
        assert "the disk's own table" not in told
        assert "add the disk that has the other parts" not in told


async def test_practise_to_solved(state: Path, guard: Guard) -> None:
    """Practise → ticket → overlay → partition 5 → /home → done → checked → left; the host as found."""
    async with wizard(state) as pilot:
        await on(pilot, StartScreen)
        await pilot.press("1")
        await on(pilot, PractiseScreen)
        await pilot.press("enter")
        await on(pilot, TicketScreen)
        await until(pilot, lambda: "web01 has not come up" in shown(pilot))
        task = pilot.app.screen
        assert isinstance(task, TicketScreen)
        guard.watch(task.disk)
        await choose(pilot, "own")
        await to_files(pilot, "overlay")
        assert "w matters  Esc back" in shown(pilot), "the way back is in sight"
        table = pilot.app.screen.query_one(FileTable)
        assert table.current and table.current.name == b"home"
        await pilot.press("space")
        await until(pilot, lambda: "files" in reads(pilot, "#basket"), "the size of what is marked")
        await pilot.press("y")
        await on(pilot, DoneScreen)
        assert {"mount", "loop", "overlay", "fuse-export"} <= set(up(pilot))
        await choose(pilot, "check")
        await until(pilot, lambda: "solved" in reads(pilot, "#verdict"))
        assert "The task is solved" in reads(pilot, "#verdict")
        await choose(pilot, "leave")
        await until(pilot, lambda: pilot.app.return_code is not None)
    assert pilot.app.return_code == 0
    assert sessions(state) == []


async def test_copy_is_the_same_tree(disk: Path, state: Path, tmp_path: Path, guard: Guard) -> None:
    """What the wizard copies is what debugfs, an independent reader, takes out of the same partition."""
    guard.watch(disk)
    target = tmp_path / "out"
    async with wizard(state, disk) as pilot:
        await to_files(pilot)
        flow_of(pilot).target = Destination("folder", target)
        await pilot.press("space", "y")
        await on(pilot, DoneScreen)
        assert "Recovered" in reads(pilot, "#recovered")
        await pilot.press("a")
        await until(pilot, lambda: re.search(r"^ Taken down: \d+\.$", shown(pilot), re.M), "said in one line")
    raw, wanted = tmp_path / "raw", tmp_path / "wanted"
    wanted.mkdir()
    subprocess.run(["qemu-img", "convert", "-O", "raw", disk, raw], check=True)
    part = tmp_path / "part"
    with open(raw, "rb") as whole, open(part, "wb") as one:
        whole.seek(180495 * 512)
        one.write(whole.read(271089 * 512))
    subprocess.run(["debugfs", "-R", f"rdump /home {wanted}", part], check=True, capture_output=True)
    names = {path.relative_to(wanted) for path in wanted.rglob("*")}
    assert len(names) > 20
    assert {path.relative_to(target) for path in (target / "home").rglob("*")} | {Path("home")} == names
    for name in names:
        if (wanted / name).is_file() and not (wanted / name).is_symlink():
            assert filecmp.cmp(wanted / name, target / name, shallow=False), name
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=target, check=True)
    assert (target / "salvage-report.md").exists()
    assert sessions(state) == []


async def test_sum_of_the_highlighted_row(disk: Path, state: Path) -> None:
    async with wizard(state, disk) as pilot:
        await to_partitions(pilot)
        await until(pilot, lambda: "7056 × 512 = 3612672" in reads(pilot, "#sum"))
        await pilot.press("down", "down")
        await until(pilot, lambda: "180495 × 512 = 92413440" in reads(pilot, "#sum"))
        assert "271\u202f089 sectors" in reads(pilot, "#sum")


async def test_extended_and_empty_cannot_be_opened(disk: Path, state: Path) -> None:
    async with wizard(state, disk) as pilot:
        await to_partitions(pilot)
        await pilot.press("down")
        await until(pilot, lambda: "extended" in reads(pilot, "#about").lower())
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, PartitionsScreen)
        await pilot.press("home")
        await until(pilot, lambda: "Nothing known is on it" in reads(pilot, "#about"))
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, PartitionsScreen)


async def test_back_takes_down_what_hangs_below(disk: Path, state: Path, guard: Guard) -> None:
    async with wizard(state, disk) as pilot:
        await to_files(pilot, "overlay")
        assert "mount" in up(pilot)
        await pilot.press("escape")
        await on(pilot, VolumeScreen)
        assert set(up(pilot)) == {"fuse-export", "overlay"}
        await pilot.press("escape")
        await on(pilot, PartitionsScreen)
        await pilot.press("escape")
        await on(pilot, ProtectScreen)
        assert up(pilot) == []
        await pilot.press("escape")
        await on(pilot, DiskScreen)
        assert sessions(state) == []
        await pilot.press("escape")
        await on(pilot, StartScreen)


async def test_commands_are_the_plan_of_the_highlighted_choice(disk: Path, state: Path) -> None:
    async with wizard(state, disk) as pilot:
        await on(pilot, ProtectScreen)
        await pilot.press("down", "c")
        await on(pilot, CommandsScreen)
        screen = pilot.app.screen
        assert isinstance(screen, CommandsScreen)
        await until(pilot, lambda: screen._planned, "the plan")
        lines = [ran.command.shell() for ran in screen._planned]
        assert any(line.startswith("qemu-img create") for line in lines)
        assert all(ran.result is None for ran in screen._planned if ran.command.changes)
        assert up(pilot) == []
        assert sessions(state) == []
        await pilot.press("escape")
        await on(pilot, ProtectScreen)
        await pilot.press("1")
        await on(pilot, PartitionsScreen)
        await pilot.press("down", "down", "c")
        await on(pilot, CommandsScreen)
        later = pilot.app.screen
        assert isinstance(later, CommandsScreen)
        await until(pilot, lambda: later._planned, "the plan")
        assert any("--offset 92413440" in ran.command.shell() for ran in later._planned)
        await pilot.press("tab")
        await until(pilot, lambda: "that were run" in reads(pilot, "#commands-title"))


async def test_undo_last_falls_back_to_the_step_that_still_stands(disk: Path, state: Path) -> None:
    async with wizard(state, disk) as pilot:
        await to_files(pilot)
        await pilot.press("u")
        await on(pilot, StackScreen)
        await until(pilot, lambda: "loop" in shown(pilot))
        await pilot.press("l")
        await until(pilot, lambda: "mount" not in up(pilot))
        await pilot.pause(0.2)
        await pilot.press("escape")
        await on(pilot, VolumeScreen)
        await choose(pilot, "loop")
        await on(pilot, FilesScreen)
        await pilot.press("u")
        await until(pilot, lambda: "loop" in shown(pilot))
        await pilot.press("a")
        await until(pilot, lambda: not up(pilot))
        await until(pilot, lambda: "Nothing is up" in shown(pilot))
        await pilot.press("escape")
        await on(pilot, ProtectScreen)
        await to_partitions(pilot)


async def test_undo_to_a_number_takes_down_what_was_put_up_after_it(disk: Path, state: Path) -> None:
    async with wizard(state, disk) as pilot:
        await to_files(pilot, "overlay")
        assert up(pilot) == ["mount", "file", "loop", "file", "fuse-export", "overlay"]
        await pilot.press("u")
        await on(pilot, StackScreen)
        await until(pilot, lambda: "loop" in shown(pilot))
        await pilot.press("9")
        await pilot.press("3")
        await until(pilot, lambda: up(pilot) == ["fuse-export", "overlay"])
        await pilot.press("escape")
        await on(pilot, VolumeScreen)


async def test_numbers_of_two_digits_undo_after_enter_only(
    disk: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a stack of many things the first digit alone would take nearly all of them down."""
    monkeypatch.setattr("tui.screens.stack._DIGITS", 3)
    async with wizard(state, disk) as pilot:
        await to_files(pilot, "overlay")
        await pilot.press("u")
        await on(pilot, StackScreen)
        await until(pilot, lambda: "loop" in shown(pilot))
        await pilot.press("1")
        await until(pilot, lambda: "Undo 1 and all above it: Enter." in shown(pilot))
        await pilot.press("2")
        await until(pilot, lambda: "Undo 12 and" in shown(pilot))
        assert len(up(pilot)) == 6, "nothing goes before Enter"
        await pilot.press("enter", "3", "enter")
        await until(pilot, lambda: up(pilot) == ["fuse-export", "overlay"])


async def test_a_reason_too_long_for_its_lines_is_read_in_whole(tmp_path: Path, guard: Guard) -> None:
    mac = tmp_path / "mac.raw"
    with open(mac, "wb") as file:
        file.truncate(16 << 20)
    hfsplus(mac)
    guard.watch(mac)
    async with wizard(tmp_path / "state", mac) as pilot:
        await on(pilot, ProtectScreen)
        await choose(pilot, "read")
        await on(pilot, PartitionsScreen)
        await until(pilot, lambda: "… Enter: all of it" in shown(pilot))
        await pilot.press("enter")
        await on(pilot, ConfirmScreen)
        assert "on a copy in a virtual machine." in " ".join(shown(pilot).replace("│", " ").split())
        await pilot.press("enter")
        await on(pilot, PartitionsScreen)


_DIES = """
import os, sys
from pathlib import Path
from core.runner import SystemRunner
from core.session import Session
from core.undo.state import StateFolder
session = Session(StateFolder(Path(sys.argv[1])), SystemRunner(), private=False)
session.__enter__()
session.select(sys.argv[2])
session.view()
os._exit(1)
"""


async def test_who_comes_with_a_disk_is_told_of_what_a_dead_session_left(
    disk: Path, state: Path, guard: Guard
) -> None:
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", _DIES, state, disk], cwd=root, check=False)
    assert len(sessions(state)) == 1
    async with wizard(state, disk) as pilot:
        await on(pilot, ProtectScreen)
        await until(pilot, lambda: "4  Take down what an earlier session left up" in shown(pilot))
        await choose(pilot, "left")
        await on(pilot, LeftoversScreen)
        await until(pilot, lambda: "its program died" in shown(pilot))
        await pilot.press("a")
        await until(pilot, lambda: "Nothing is up any more" in shown(pilot))
        await until(pilot, lambda: "Taken down: " in reads(pilot, "#status"))
        await pilot.press("escape")
        await on(pilot, ProtectScreen)
        await until(pilot, lambda: "Take down what an" not in shown(pilot))


_DIES_OPEN = _DIES.replace(", private=False", "").replace("session.view()", "session.open('5')")


async def test_what_went_with_the_program_that_died_is_not_called_up(
    disk: Path, state: Path, guard: Guard
) -> None:
    """A mount that only it saw, and the loop device and the export under that."""
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", _DIES_OPEN, state, disk], cwd=root, check=False)
    (dead,) = StateFolder(state).known()
    went = [entry for entry in dead.account.standing if entry.what in ("mount", "loop")]
    async with wizard(state) as pilot:
        await on(pilot, StartScreen)
        await until(pilot, lambda: all(map(is_gone, went)), "the kernel has taken down what nobody sees")
        await until(pilot, lambda: not refused(pilot, "left"), "what is left")
        await choose(pilot, "left")
        await on(pilot, LeftoversScreen)
        await until(pilot, lambda: "folder, up since" in shown(pilot))
        assert "mount, up since" not in shown(pilot) and "loop, up since" not in shown(pilot)
        up = shown(pilot).count(", up since")
        assert f"{up} thing" in " ".join(shown(pilot).split())
        await pilot.press("enter")
        await until(pilot, lambda: f"Taken down: {up}." in reads(pilot, "#status"))
    assert sessions(state) == []


async def test_another_volume_gets_a_target_of_its_own(disk: Path, state: Path, tmp_path: Path) -> None:
    async with wizard(state, disk) as pilot:
        await to_files(pilot)
        flow_of(pilot).target = Destination("folder", tmp_path / "out")
        await pilot.press("space", "y")
        await on(pilot, DoneScreen)
        await choose(pilot, "partition")
        await on(pilot, PartitionsScreen)
        pilot.app.screen.query_one(VolumeTable).go_to("6")
        await pilot.press("enter")
        await on(pilot, VolumeScreen)
        await choose(pilot, "loop")
        await on(pilot, FilesScreen)
        target = flow_of(pilot).target
        assert target and target.path.parent == tmp_path and target.path.name.endswith("-6-recovered")
        await pilot.press("escape", "escape")
        await on(pilot, PartitionsScreen)


async def test_quit_with_something_up_asks(disk: Path, state: Path, guard: Guard) -> None:
    async with wizard(state, disk) as pilot:
        await to_partitions(pilot)
        await pilot.press("q")
        await on(pilot, QuitScreen)
        assert refused(pilot, "leave")
        await pilot.press("escape")
        await on(pilot, PartitionsScreen)
        await pilot.press("ctrl+q")
        await on(pilot, QuitScreen)
        await choose(pilot, "take-down")
        await until(pilot, lambda: pilot.app.return_code is not None)
    assert sessions(state) == []


async def test_mounted_in_sight_left_up_and_finished_later(
    disk: Path, state: Path, tmp_path: Path, guard: Guard
) -> None:
    """A mount in sight outlives the wizard; the next start offers to take it down."""
    guard.watch(disk)
    point = tmp_path / "seen"
    async with wizard(state, disk) as pilot:
        await to_partitions(pilot)
        await to_volume(pilot)
        assert refused(pilot, "writable")
        await choose(pilot, "sight")
        await type_path(pilot, point)
        await on(pilot, ShownScreen)
        assert (point / "home").is_dir()
        with pytest.raises(OSError):
            (point / "home" / "new").touch()
        await pilot.press("escape")  # that it stays was asked for
        await on(pilot, VolumeScreen)
        assert (point / "home").is_dir()
        await pilot.resize_terminal(160, 50)
        await until(pilot, lambda: "/seen" in shown(pilot), "what is in sight, among what is up")
        await pilot.press("q")
        await on(pilot, QuitScreen)
        await choose(pilot, "leave")
        await until(pilot, lambda: pilot.app.return_code is not None)
    assert os.path.ismount(point)
    async with wizard(state, size=(140, 40)) as pilot:
        await on(pilot, StartScreen)
        await choose(pilot, "left")
        await on(pilot, LeftoversScreen)
        await until(pilot, lambda: str(disk) in shown(pilot))
        await pilot.press("enter")
        await on(pilot, ConfirmScreen)
        await choose(pilot, "undo")
        await until(pilot, lambda: not point.exists())
        await until(pilot, lambda: "Nothing is up" in shown(pilot))
        await pilot.press("escape")
        await on(pilot, StartScreen)
        assert refused(pilot, "left")
    assert sessions(state) == []


async def test_writing_is_offered_with_an_overlay_only(
    disk: Path, state: Path, tmp_path: Path, guard: Guard
) -> None:
    guard.watch(disk)
    point = tmp_path / "seen"
    # the path before it may be of any length, so the line may end anywhere
    lost = re.compile(r"thrown[\s│]+away")
    async with wizard(state, disk) as pilot:
        await to_partitions(pilot, "overlay")
        await to_volume(pilot)
        await choose(pilot, "writable")
        await type_path(pilot, point)
        await on(pilot, ShownScreen)
        (point / "home" / "new").write_text("x")
        assert "What was written there is thrown away." in shown(pilot)
        await pilot.press("q")
        await on(pilot, QuitScreen)
        await until(pilot, lambda: lost.search(shown(pilot)), "what is lost")
        await pilot.press("escape", "u")
        await on(pilot, StackScreen)
        await until(pilot, lambda: "undo last" in shown(pilot), "what is up")
        await pilot.press("a")
        await on(pilot, ConfirmScreen)
        await until(pilot, lambda: lost.search(shown(pilot)), "what is lost")
        assert (point / "home" / "new").exists()
        await pilot.press("escape")
        await on(pilot, StackScreen)
        await pilot.press("escape")
        await on(pilot, ShownScreen)
        await choose(pilot, "down")
        await on(pilot, ConfirmScreen)
        await choose(pilot, "down")
        await on(pilot, VolumeScreen)
    assert not point.exists()
    assert sessions(state) == []


@pytest.mark.hostile(60)
async def test_no_room_at_the_target_offers_another(disk: Path, state: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "small", small], check=True)
    try:
        async with wizard(state, disk) as pilot:
            await to_files(pilot)
            flow_of(pilot).target = Destination("folder", small / "out")
            await pilot.press("space", "y")
            await until(pilot, lambda: "does not fit" in shown(pilot))
            await pilot.press("1")
            await type_target(pilot, tmp_path / "large")
            wanted = Destination("folder", tmp_path / "large")
            await until(pilot, lambda: flow_of(pilot).target == wanted)
    finally:
        subprocess.run(["umount", small], check=True)


async def test_browsing_marks_and_preview(disk: Path, state: Path) -> None:
    async with wizard(state, disk) as pilot:
        await to_files(pilot)
        table = pilot.app.screen.query_one(FileTable)
        await pilot.press("enter")
        await until(pilot, lambda: "/home" in reads(pilot, "#place"))
        await until(pilot, lambda: table.row_count() > 1)
        await pilot.press("space", "space")
        await until(pilot, lambda: "2 things" in reads(pilot, "#basket"))
        await pilot.press("backspace")
        await until(pilot, lambda: reads(pilot, "#place").endswith("/"))
        assert table.current and table.current.name == b"home"
        await pilot.press("enter")
        await until(pilot, lambda: "[x]" in shown(pilot))
        await pilot.press("x")
        await until(pilot, lambda: "nothing yet" in reads(pilot, "#basket"))
        await pilot.press("y")
        await until(pilot, lambda: "Mark something" in reads(pilot, "#status"))


async def test_the_way_up_is_named_and_marks_are_not_lost_by_one_key(disk: Path, state: Path) -> None:
    async with wizard(state, disk) as pilot:
        await to_files(pilot)
        files = pilot.app.screen
        assert isinstance(files, FilesScreen) and "parent" not in reads(pilot, "#keys")
        await pilot.press("v")
        await until(pilot, lambda: "A folder" in reads(pilot, "#status"), "a line, and no error")
        await pilot.press("enter")
        await until(pilot, lambda: files.here != b"/", "the folder")
        await until(pilot, lambda: "← parent" in reads(pilot, "#keys"), "the way up")
        await pilot.press("space", "escape")
        await until(pilot, lambda: "Esc again" in reads(pilot, "#status"), "the warning")
        assert pilot.app.screen is files
        await pilot.press("escape")
        await on(pilot, VolumeScreen)


async def test_what_is_marked_and_where_it_goes_are_told_in_full_on_a_small_screen(
    disk: Path, state: Path
) -> None:
    async with wizard(state, disk, size=(40, 12)) as pilot:
        await to_files(pilot)
        told = " ".join(shown(pilot).split())
        assert "nothing yet: Space marks a file or a folder Target " in told


async def test_a_row_that_is_refused_when_the_disk_was_taken_down_meanwhile_is_no_error(
    disk: Path, state: Path
) -> None:
    async with wizard(state, disk) as pilot:
        await to_partitions(pilot)
        table = pilot.app.screen.query_one(VolumeTable)
        refused_row = next(row for row in table._rows if row.refused)
        screen = pilot.app.screen
        flow_of(pilot).inspection = None
        table.post_message(VolumeTable.Refused(table, refused_row))
        await pilot.pause()
        await pilot.press("down", "up")
        await pilot.pause()
        assert pilot.app.screen is screen


async def test_a_very_small_screen_shows_what_a_partition_holds_and_the_whole_sum(
    disk: Path, state: Path
) -> None:
    async with wizard(state, disk, size=(40, 12)) as pilot:
        await to_partitions(pilot)
        await until(pilot, lambda: "Offset = " in shown(pilot), "the sum")
        line = next(line for line in shown(pilot).splitlines() if "Offset = " in line)
        sectors, offset = line.split("=")[1:]
        assert int(sectors.split("×")[0]) * 512 == int(offset)
        assert "ext4    home" in shown(pilot)
        assert "all of it" not in shown(pilot)  # Enter opens it


async def test_on_a_screen_too_small_to_show_anything_no_key_does_something_unseen(
    disk: Path, state: Path
) -> None:
    async with wizard(state, disk) as pilot:
        await on(pilot, ProtectScreen)
        await pilot.resize_terminal(20, 5)
        await pilot.press("1", "enter", "question_mark")
        await pilot.pause(0.5)
        assert isinstance(pilot.app.screen, ProtectScreen) and not flow_of(pilot).road_stands
        assert "q quits" in " ".join(shown(pilot).split())
        await pilot.resize_terminal(80, 24)
        await to_partitions(pilot)
        await pilot.resize_terminal(20, 5)
        await pilot.press("q", "1", "enter", "ctrl+c")
        await pilot.pause(0.5)
        assert isinstance(pilot.app.screen, PartitionsScreen) and pilot.app.is_running
        assert "keys do nothing" in " ".join(shown(pilot).split())
        await pilot.resize_terminal(80, 24)
        await pilot.press("q")
        await on(pilot, QuitScreen)
        await choose(pilot, "take-down")
        await until(pilot, lambda: not pilot.app.is_running, "the end")

    async with wizard(state, disk, size=(20, 5)) as pilot:
        await on(pilot, ProtectScreen)
        await pilot.press("q")
        await until(pilot, lambda: not pilot.app.is_running, "the end")


async def test_what_never_has_a_journal_is_not_said_to_have_an_empty_one(disk: Path, state: Path) -> None:
    async with wizard(state, disk) as pilot:
        await to_partitions(pilot)
        await to_volume(pilot, 2)
        assert "ext2" in shown(pilot) and "It has no journal" in shown(pilot)


@pytest.mark.parametrize("key", ["question_mark", "f1"])
async def test_every_step_explains_itself(disk: Path, state: Path, key: str) -> None:
    async with wizard(state, disk) as pilot:
        await to_files(pilot)
        for kind in (FilesScreen, VolumeScreen, PartitionsScreen, ProtectScreen, DiskScreen, StartScreen):
            await on(pilot, kind)
            await pilot.press(key)
            await on(pilot, HelpScreen)
            await until(pilot, lambda: "What it is" in shown(pilot))
            await pilot.press("escape")
            await on(pilot, kind)
            if kind is not StartScreen:
                await pilot.press("escape")
