"""The step that protects the disk: a backup, another format, changes written back, and a disk in use."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.containers import VerticalScroll
from textual.widgets import Input

from core.committing import Commit
from core.disks.convert import WRITTEN
from core.errors import Cancelled, SalvageError
from core.runner import SystemRunner
from core.undo.state import StateFolder
from tests.conftest import Guard, needs_root
from tests.core.disks.holding import machine, running
from tests.tui.test_wizard_road import flow_of, sessions
from tests.tui.wizard import Wizard, choose, on, reads, refused, shown, until, wizard
from tui.screens.ask import AskPath
from tui.screens.backup import READERS, BackupScreen
from tui.screens.commit import CommitScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.existing import ExistingScreen
from tui.screens.leftovers import LeftoversScreen
from tui.screens.menu import Menu
from tui.screens.partitions import PartitionsScreen
from tui.screens.protect import ProtectScreen
from tui.screens.shown import ShownScreen
from tui.screens.start import StartScreen
from tui.screens.step import KeyLine
from tui.screens.trouble import TroubleScreen
from tui.screens.volume import VolumeScreen
from tui.widgets.path_field import PathField

pytestmark = needs_root


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A qcow2 with one file system on all of it."""
    tree, raw, path = tmp_path / "tree", tmp_path / "fs.raw", tmp_path / "vm" / "web01.qcow2"
    tree.mkdir()
    path.parent.mkdir()
    (tree / "motd").write_text("as it was\n")
    with open(raw, "wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", tree, raw], check=True)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, path], check=True)
    raw.unlink()
    return path


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    yield
    taken_down(tmp_path / "state")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def answer(pilot: Wizard, path: Path | str) -> None:
    """Type a path into the question that is open."""
    await on(pilot, AskPath)
    pilot.app.screen.query_one(PathField).value = str(path)
    await pilot.press("enter")


async def to_backup(pilot: Wizard) -> None:
    await on(pilot, ProtectScreen)
    await choose(pilot, "backup")
    await on(pilot, BackupScreen)


async def test_a_backup_is_made_and_worked_on(disk: Path, tmp_path: Path, guard: Guard) -> None:
    """What it takes is told before the first byte; afterwards the road can go on with the copy."""
    guard.watch(disk)
    place = tmp_path / "safe.qcow2"
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_backup(pilot)
        assert "none verified yet" in reads(pilot, "#backup-facts")
        await choose(pilot, "make")
        await answer(pilot, place)
        await on(pilot, ConfirmScreen)
        told = spoken(pilot)
        assert "are free there" in told
        assert "on the same medium as the disk" in told
        assert not place.exists()
        await choose(pilot, "go")
        await until(pilot, lambda: "made and verified" in shown(pilot), "the backup")
        assert "read back and compared" in spoken(pilot)
        assert flow_of(pilot).backup == place
        await pilot.press("escape")
        await on(pilot, BackupScreen)
        assert digest(place) == digest(disk)
        assert f"{place.name}, verified" in " ".join(reads(pilot, "#backup-facts").split())
        await choose(pilot, "on")
        await on(pilot, ProtectScreen)
        assert f"{place}, verified".replace(" ", "") in "".join(reads(pilot, "#disk-facts").split())
        await to_backup(pilot)
        await choose(pilot, "copy")
        await on(pilot, ProtectScreen)
        assert flow_of(pilot).disk.path == place  # type: ignore[union-attr]
        await choose(pilot, "read")
        await on(pilot, PartitionsScreen)


async def test_nothing_is_written_over_and_that_is_told_before_the_first_byte(
    disk: Path, tmp_path: Path, guard: Guard
) -> None:
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_backup(pilot)
        await choose(pilot, "make")
        await answer(pilot, disk)
        await on(pilot, ConfirmScreen)
        assert "cannot be made there" in shown(pilot)
        assert "exists already" in spoken(pilot)


async def test_a_folder_that_is_not_there_is_told_before_it_is_made(
    disk: Path, tmp_path: Path, guard: Guard
) -> None:
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_backup(pilot)
        await choose(pilot, "make")
        await answer(pilot, tmp_path / "nonexist/x")
        await on(pilot, ConfirmScreen)
        assert "cannot be made there" in shown(pilot) and "There is no folder" in spoken(pilot)
        await choose(pilot, "where")
        await answer(pilot, f"{tmp_path}/new/")
        await on(pilot, ConfirmScreen)
        assert "does not exist yet and will be made" in spoken(pilot)
        await choose(pilot, "go")
        await until(pilot, lambda: "made and verified" in shown(pilot), "the backup")
    assert (tmp_path / "new" / disk.name).is_file()


def spoken(pilot: Wizard) -> str:
    """What stands on the screen as running text, without frames."""
    return " ".join(shown(pilot).replace("│", "").replace("┃", "").split())


async def to_existing(pilot: Wizard) -> None:
    await to_backup(pilot)
    await choose(pilot, "existing")
    await on(pilot, ExistingScreen)


async def test_a_backup_that_exists_counts_when_its_content_is_the_same(
    disk: Path, tmp_path: Path, guard: Guard
) -> None:
    """Two are named like backups; the older state is told as such, the same one is counted."""
    same = Path(shutil.copy2(disk, disk.with_name("web01.qcow2.bak")))
    older = Path(shutil.copy2(disk, disk.with_name("web01-2024-01-31.qcow2")))
    subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", "write -P 7 16M 64k", older], check=True, stdout=subprocess.DEVNULL
    )
    os.utime(older, (os.stat(disk).st_mtime - 7200,) * 2)
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_existing(pilot)
        await until(pilot, lambda: "web01.qcow2.bak" in shown(pilot), "the found ones")
        assert "without checksums" in spoken(pilot)
        await pilot.press("2")
        await on(pilot, ConfirmScreen)
        assert "another state of this disk" in spoken(pilot)
        assert "it was last written 2 h before the disk." in spoken(pilot)
        assert flow_of(pilot).backup is None
        await pilot.press("escape")
        await on(pilot, ExistingScreen)
        await pilot.press("1")
        await on(pilot, ConfirmScreen)
        assert "counts as the backup" in spoken(pilot)
        await pilot.press("escape")
        await on(pilot, BackupScreen)
        assert flow_of(pilot).backup == same
        await choose(pilot, "copy")
        await on(pilot, ProtectScreen)


async def test_a_backup_of_another_disk_is_recognised_wherever_it_lies(
    disk: Path, tmp_path: Path, guard: Guard
) -> None:
    other = tmp_path / "elsewhere" / "web01.qcow2"
    other.parent.mkdir()
    raw = tmp_path / "other.raw"
    subprocess.run(["mkfs.ext4", "-q", "-F", raw, "32M"], check=True)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, other], check=True)
    guard.watch(disk, other)
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_existing(pilot)
        assert "nothing is named like a backup" in spoken(pilot)
        await choose(pilot, "elsewhere")
        await answer(pilot, other.parent)
        await until(pilot, lambda: "2  Another file" in shown(pilot), "the other folder")
        await pilot.press("1")
        await on(pilot, ConfirmScreen)
        assert "of another disk" in spoken(pilot)
        assert flow_of(pilot).backup is None


async def test_all_that_the_header_names_is_listed_and_read_page_by_page(tmp_path: Path) -> None:
    """A chain with a data file and many extents of a name: more than the upper half of a small screen."""
    folder = tmp_path / "vm"
    folder.mkdir()
    create = ["qemu-img", "create", "-q", "-f", "qcow2"]
    below: list[str] = []
    for number in range(12):
        name = f"layer-{number:02}-of-a-long-chain.qcow2"
        subprocess.run([*create, *below, name, "8M"], cwd=folder, check=True)
        below = ["-F", "qcow2", "-b", name]
    data = ["-o", "data_file=web01.data,data_file_raw=off"]
    subprocess.run([*create, *data, *below, "web01.qcow2", "8M"], cwd=folder, check=True)
    async with wizard(tmp_path / "state", folder / "web01.qcow2") as pilot:
        await on(pilot, ProtectScreen)
        facts = reads(pilot, "#disk-facts")
        assert all(f"layer-{number:02}" in facts for number in range(12))
        assert "Data in" in facts and "web01.data" in facts
        await until(pilot, lambda: "Space read on" in shown(pilot), "the key")
        assert "Held by" not in shown(pilot)
        await pilot.press("space", "space")
        await until(pilot, lambda: "Held by" in shown(pilot), "the last page")


async def test_a_path_too_long_for_its_line_keeps_the_choices_apart(tmp_path: Path) -> None:
    """The path that is to be allowed breaks within its own column, and the cursor stands on one choice."""
    base, disk = tmp_path / ("a-long-name-" * 6 + ".qcow2"), tmp_path / "vm" / "web02.qcow2"
    disk.parent.mkdir()
    create = ["qemu-img", "create", "-q", "-f", "qcow2"]
    subprocess.run([*create, base, "8M"], check=True)
    subprocess.run([*create, "-F", "qcow2", "-b", base, disk], check=True)
    async with wizard(tmp_path / "state", disk) as pilot:
        await on(pilot, TroubleScreen)
        lines = [line.strip("┃ ").rstrip() for line in shown(pilot).splitlines()]
        at = next(at for at, line in enumerate(lines) if "Allow this very path" in line)
        marked = [line for line in lines if line.startswith(">")]
        assert marked == [">  2  Go back and choose otherwise"] or marked == [
            "> 2  Go back and choose otherwise"
        ]
        inner = shown(pilot).splitlines()[at + 1]
        assert inner.index(lines[at + 1][:5]) == shown(pilot).splitlines()[at].index("Allow")


async def test_an_error_names_the_keys_that_turn_its_pages_as_long_as_it_has_some(tmp_path: Path) -> None:
    async with wizard(tmp_path / "state") as pilot:
        await on(pilot, StartScreen)
        pilot.app.push_screen(TroubleScreen(SalvageError("What was. " * 200)))
        await on(pilot, TroubleScreen)
        text = pilot.app.screen.query_one(VerticalScroll)
        for lines, has_pages in ((24, True), (70, False), (24, True)):
            await pilot.resize_terminal(80, lines)
            for true, what in (
                (lambda: bool(text.max_scroll_y), "the room"),
                (lambda: "Space, b scroll" in shown(pilot), "the keys"),
            ):
                await until(pilot, lambda true=true, has_pages=has_pages: true() == has_pages, what)
        # the room changes once more, and no step of its own looks at it
        text.styles.max_height = text.styles.height = 100
        await until(pilot, lambda: not text.max_scroll_y, "all of it")
        await until(
            pilot, lambda: "Space, b" not in text.screen.query_one(KeyLine).render().plain, "its keys"
        )


async def test_another_format_is_written_and_said_to_be_no_backup(
    disk: Path, tmp_path: Path, guard: Guard
) -> None:
    guard.watch(disk)
    place = tmp_path / "web01.vmdk"
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_backup(pilot)
        await choose(pilot, "convert")
        await on(pilot, ConfirmScreen)
        await choose(pilot, "vmdk")
        await answer(pilot, place)
        await until(pilot, lambda: "Written and verified" in shown(pilot), "the new image")
        assert "it is no backup" in spoken(pilot)
        assert flow_of(pilot).backup is None
        await pilot.press("escape")
        await on(pilot, BackupScreen)
    same = subprocess.run(
        ["qemu-img", "compare", "-f", "qcow2", "-F", "vmdk", disk, place], capture_output=True, check=False
    )
    assert same.returncode == 0


async def test_the_room_for_the_overlay_is_told(disk: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state", disk) as pilot:
        await on(pilot, ProtectScreen)
        await until(pilot, lambda: "are free for it in" in spoken(pilot), "the room")


async def test_who_writes_is_named_with_ways_out(disk: Path, tmp_path: Path, guard: Guard) -> None:
    """A running machine: nothing is attached; a backup can be looked at meanwhile, the ways are told."""
    guard.watch(disk)
    ready = tmp_path / "ready"
    with running(machine(disk, "qcow2", ready), ready):
        async with wizard(tmp_path / "state", disk) as pilot:
            await on(pilot, ProtectScreen)
            assert "web01" in reads(pilot, "#disk-facts")
            assert refused(pilot, "read")
            assert refused(pilot, "overlay")
            await choose(pilot, "ways")
            await on(pilot, TroubleScreen)
            told = spoken(pilot)
            assert "is writing to this disk" in told
            assert "Shut the machine down" in told and "Let its manager make a backup" in told
            assert told.count("Look at a backup instead") == 1
            await pilot.press("space")
            await pilot.pause()
            assert sessions(tmp_path / "state") == []
            await pilot.press("escape")
            await to_backup(pilot)
            assert refused(pilot, "make")
            assert refused(pilot, "convert")


async def test_while_it_is_written_to_a_backup_is_opened_instead(
    disk: Path, tmp_path: Path, guard: Guard
) -> None:
    backup = Path(shutil.copy2(disk, disk.with_name("web01.bak.qcow2")))
    ready = tmp_path / "ready"
    guard.watch(disk, backup)
    with running(machine(disk, "qcow2", ready), ready):
        async with wizard(tmp_path / "state", disk) as pilot:
            await on(pilot, ProtectScreen)
            await choose(pilot, "ways")
            await on(pilot, TroubleScreen)
            await choose(pilot, "1")
            await on(pilot, ExistingScreen)
            await until(pilot, lambda: backup.name in shown(pilot), "the backup")
            await pilot.press("1")
            await on(pilot, ConfirmScreen)
            assert "cannot be compared" in spoken(pilot)
            await choose(pilot, "open")
            await until(
                pilot, lambda: flow_of(pilot).disk and flow_of(pilot).disk.path == backup, "the backup"
            )  # type: ignore[union-attr]
            await on(pilot, ProtectScreen)
            await choose(pilot, "read")
            await on(pilot, PartitionsScreen)


async def asked(pilot: Wizard) -> None:
    """Wait until the disk's name is asked for."""
    await on(pilot, CommitScreen)
    await until(pilot, lambda: pilot.app.screen.query_one("#name-row").display, "the question")
    await pilot.pause()


async def to_shown(pilot: Wizard, point: Path) -> None:
    await on(pilot, ProtectScreen)
    await choose(pilot, "overlay")
    await on(pilot, PartitionsScreen)
    await pilot.press("enter")
    await on(pilot, VolumeScreen)
    await choose(pilot, "writable")
    await answer(pilot, point)
    await on(pilot, ShownScreen)


async def test_changes_are_written_back_when_the_name_is_typed(disk: Path, tmp_path: Path) -> None:
    """The one act that changes the original: shown, asked for by name, backed up, verified."""
    point, before = tmp_path / "point", digest(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_shown(pilot, point)
        (point / "motd").write_text("changed\n")
        (point / "new").touch()
        await choose(pilot, "commit")
        await asked(pilot)
        text = shown(pilot)
        assert "changed: /motd" in text
        assert "added: /new" in text
        assert digest(disk) == before
        await _says(pilot, "It is on the same medium as the disk")
        assert "Shift+Tab to the backup" in shown(pilot)
        await pilot.press("shift+tab", "x")
        await until(pilot, lambda: "same medium" not in shown(pilot), "nothing told of another place")
        await pilot.press("backspace", "enter")
        await _says(pilot, "It is on the same medium as the disk")
        (left,) = flow_of(pilot).in_sight
        assert [entry.what for entry in left.entries] == ["overlay"], "told is what is up still"
        await pilot.press(*"web02.qcow2", "enter")
        assert "not the disk's name" in shown(pilot) or await _says(pilot, "not the disk's name")
        assert digest(disk) == before
        pilot.app.screen.query_one("#name", Input).value = ""
        await pilot.press(*"web01.qcow2", "enter")
        await until(pilot, lambda: "Written and verified" in shown(pilot), "the end")
        await pilot.press("escape")
        await on(pilot, StartScreen)
    (backup,) = (one for one in disk.parent.glob("*.before-commit-*") if one.suffix != ".sha256")
    assert digest(backup) == before
    assert digest(disk) != before
    assert sessions(tmp_path / "state") == []
    raw = tmp_path / "after.raw"
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", disk, raw], check=True)
    seen = subprocess.run(["debugfs", "-R", "cat /motd", raw], capture_output=True, text=True, check=True)
    assert seen.stdout == "changed\n"


async def _says(pilot: Wizard, words: str) -> bool:
    await until(pilot, lambda: words in shown(pilot), words)
    return True


async def test_esc_leaves_the_disk_and_keeps_the_overlay(disk: Path, tmp_path: Path, guard: Guard) -> None:
    guard.watch(disk)
    point = tmp_path / "point"
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_shown(pilot, point)
        (point / "motd").write_text("changed\n")
        await choose(pilot, "commit")
        await asked(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: "The overlay is kept" in shown(pilot), "what is kept")
        await pilot.press("escape")
        await on(pilot, StartScreen)
        (name,) = sessions(tmp_path / "state")
        flow = flow_of(pilot)
        released = flow.outside.submit(flow.do_undo, [name]).result()
        assert all(one.released for one in released)
    assert sessions(tmp_path / "state") == []


async def test_a_mount_that_was_left_up_is_written_back_later(disk: Path, tmp_path: Path) -> None:
    """Another wizard, another day: the overlay is found, and the backup goes where it is told to."""
    point, before, place = tmp_path / "point", digest(disk), tmp_path / "safe.qcow2"
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_shown(pilot, point)
        (point / "motd").write_text("changed\n")
    async with wizard(tmp_path / "state") as pilot:
        await on(pilot, StartScreen)
        await until(pilot, lambda: not refused(pilot, "left"), "what is left")
        await choose(pilot, "left")
        await on(pilot, LeftoversScreen)
        assert "write back into the disk" in shown(pilot)
        await pilot.press("i")
        await asked(pilot)
        pilot.app.screen.query_one(PathField).value = str(place)
        await pilot.press(*"web01.qcow2", "enter")
        await until(pilot, lambda: "Written and verified" in shown(pilot), "the end")
    assert digest(place) == before
    assert digest(disk) != before
    assert sessions(tmp_path / "state") == []


@pytest.mark.parametrize("key", ["a", "enter"])
async def test_what_was_written_is_thrown_away_only_when_it_is_asked_for(
    disk: Path, tmp_path: Path, guard: Guard, key: str
) -> None:
    guard.watch(disk)
    point = tmp_path / "point"
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_shown(pilot, point)
        (point / "motd").write_text("changed\n")
    async with wizard(tmp_path / "state") as pilot:
        await on(pilot, StartScreen)
        await until(pilot, lambda: not refused(pilot, "left"), "what is left")
        await choose(pilot, "left")
        await on(pilot, LeftoversScreen)
        await pilot.press(key)
        await on(pilot, ConfirmScreen)
        assert "throw away what is in the overlay" in shown(pilot)
        await pilot.press("enter")
        await on(pilot, LeftoversScreen)
        assert (point / "motd").read_text() == "changed\n"
        await pilot.press(key)
        await on(pilot, ConfirmScreen)
        await choose(pilot, "undo")
        await on(pilot, LeftoversScreen)
        await until(pilot, lambda: "Nothing is up any more." in shown(pilot), "the end")
    assert sessions(tmp_path / "state") == []


async def test_an_overlay_without_room_is_told_once(disk: Path, tmp_path: Path, guard: Guard) -> None:
    """The place of the overlays is small and somebody fills it while the mount is up."""
    guard.watch(disk)
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "small", small], check=True)
    try:
        async with wizard(small / "state", disk) as pilot:
            await to_shown(pilot, tmp_path / "point")
            filling = small / "filling"
            subprocess.run(["fallocate", "-l", str(_room(small)), filling], check=True)
            await on(pilot, TroubleScreen)
            assert "no room left where the overlay lies" in spoken(pilot)
            assert "The disk is untouched" in spoken(pilot)
            await pilot.press("escape")
            await pilot.pause(1.5)
            assert isinstance(pilot.app.screen, ShownScreen)
            filling.unlink()
            await choose(pilot, "down")
            await on(pilot, ConfirmScreen)
            await choose(pilot, "down")
            await on(pilot, VolumeScreen)
    finally:
        (small / "filling").unlink(missing_ok=True)
        taken_down(small / "state")
        subprocess.run(["umount", small], check=True)


def taken_down(state: Path) -> None:
    """Nothing stays up behind a test that failed half-way."""
    for known in StateFolder(state).known():
        StateFolder(state).undo(known, SystemRunner())


def _room(folder: Path) -> int:
    about = os.statvfs(folder)
    return about.f_bavail * about.f_frsize


def test_every_format_that_is_written_says_who_reads_it() -> None:
    assert set(READERS) == set(WRITTEN)


async def test_stopped_in_the_midst_of_writing_it_is_told_and_goes_on(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk holds a part then: that is said, and typing the name once more ends it."""
    point, before = tmp_path / "point", digest(disk)
    flush = Commit._flush

    def stopped(work: Commit) -> None:
        monkeypatch.setattr(Commit, "_flush", flush)
        raise Cancelled("Stopped as asked.")

    async with wizard(tmp_path / "state", disk) as pilot:
        await to_shown(pilot, point)
        (point / "motd").write_text("changed\n")
        await choose(pilot, "commit")
        await asked(pilot)
        monkeypatch.setattr(Commit, "_flush", stopped)
        await pilot.press(*"web01.qcow2", "enter")
        await on(pilot, TroubleScreen)
        assert "The disk holds a part of this overlay's changes" in spoken(pilot)
        await pilot.press("escape")
        await on(pilot, CommitScreen)
        assert "To go on with writing" in spoken(pilot)
        pilot.app.screen.query_one("#name", Input).value = ""
        await pilot.press(*"web01.qcow2", "enter")
        await until(pilot, lambda: "Written and verified" in shown(pilot), "the end")
    backups = [one for one in disk.parent.glob("*.before-commit-*") if one.suffix != ".sha256"]
    assert [digest(one) for one in backups] == [before]
    assert sessions(tmp_path / "state") == []


async def test_a_logical_volume_is_offered_a_backup_from_a_snapshot(
    disk: Path, tmp_path: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is offered where the disk is one, and told before anything is made; refused where LVM cannot."""
    guard.watch(disk)
    monkeypatch.setattr("tui.screens.backup.logical_volume", lambda _path: "vg/web01")
    monkeypatch.setattr("tui.screens.protect.logical_volume", lambda _path: "vg/web01")
    raw = tmp_path / "vm" / "web01.raw"
    raw.write_bytes(bytes(1 << 20))
    ready = tmp_path / "ready"
    with running(machine(raw, "raw", ready), ready):
        async with wizard(tmp_path / "state", raw) as pilot:
            await on(pilot, ProtectScreen)
            await choose(pilot, "ways")
            await on(pilot, TroubleScreen)
            titles = [one.title for one in pilot.app.screen.remedies]  # type: ignore[attr-defined]
            assert titles[-1] == "Back up a snapshot of the logical volume"
            await choose(pilot, str(len(titles) - 1))
            await on(pilot, BackupScreen)
            assert refused(pilot, "make")
            assert pilot.app.screen.query_one(Menu).highlighted_option.id == "frozen"  # type: ignore[union-attr]
            assert "as after a power cut" in spoken(pilot), shown(pilot)
            await choose(pilot, "frozen")
            await answer(pilot, tmp_path / "safe.raw")
            await on(pilot, ConfirmScreen)
            assert "is no logical volume of this host" in spoken(pilot)
    assert not (tmp_path / "safe.raw").exists()
