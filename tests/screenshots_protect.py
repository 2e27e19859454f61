"""Draws what the protect step shows: vetting, who holds the disk, backups, another format, writing back.

    python -m tests.screenshots_protect FOLDER

`tests.screenshots` draws these with all others. By itself it draws each also at 80 × 24, to look at.
"""

import asyncio
import itertools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

from textual.pilot import Pilot

from core.committing import Commit
from core.disks import holders, outlook, overlay
from core.disks.backup import BackedUp
from core.files.progress import Progress
from core.runner import Runner
from core.session import Session
from core.undo.state import StateFolder
from tests.core.disks.holding import machine, running
from tests.screenshots import CHANGED, PATIENCE, PLACE, Album, alone, arrived, chosen, settled, stage
from tui.app import SalvageApp
from tui.chosen import Wish
from tui.flow import Flow
from tui.screens.ask import AskPath
from tui.screens.backup import BackupScreen
from tui.screens.commit import CommitScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.existing import ExistingScreen
from tui.screens.partitions import PartitionsScreen
from tui.screens.progress import ProgressScreen
from tui.screens.protect import ProtectScreen
from tui.screens.shown import ShownScreen
from tui.screens.start import StartScreen
from tui.screens.trouble import TroubleScreen
from tui.screens.volume import VolumeScreen
from tui.widgets.path_field import PathField

FREE = 10_934_000 * 4096
"""Bytes that seem to be free everywhere."""
HOUR = 3600
IMAGES = PLACE / "images"


class State(StateFolder):
    """Gives the sessions names that are always the same."""

    number = itertools.count(1)

    def new_folder(self) -> Path:
        return self.path / "sessions" / f"20240229-120000-caf{next(self.number):x}"


class Watched(Session):
    """Stops in the middle of a backup until its picture is taken."""

    halfway = threading.Event()
    drawn = threading.Event()

    def backup(self, dest: Path, progress: Callable[[Progress], None], *, frozen: bool = False) -> BackedUp:
        size = sum(path.stat().st_size for path in self.disk.files) if self.disk else 0
        middle = Progress(
            0, 1, size * 3 // 5, size, "web01.qcow2", size * 3 // 5, size, 212.4 * 2**20, 8.0, 0
        )
        progress(middle)
        self.halfway.set()
        self.drawn.wait(PATIENCE)
        return super().backup(dest, lambda _progress: None, frozen=frozen)


def watched(state: StateFolder, runner: Runner, private: bool) -> Session:
    return Watched(state, runner, private=private)


def disks() -> dict[str, Path]:
    """A healthy disk with two backups by name, one that points outside, one whose guest wrote a header."""
    tree = PLACE / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc" / "fstab").write_text("/dev/vda1 / ext4 defaults 0 1\n")
    (tree / "etc" / "hostname").write_text("web01\n")
    IMAGES.mkdir()
    raw, disk = PLACE / "fs.raw", IMAGES / "web01.qcow2"
    with open(raw, "wb") as file:
        file.truncate(256 << 20)
    run = subprocess.run
    run(["mkfs.ext4", "-q", "-F", "-d", tree, "-L", "root", raw], check=True)
    run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, disk], check=True)
    older = Path(shutil.copy(disk, IMAGES / "web01-2024-02-28.qcow2"))
    quiet = {"check": True, "stdout": subprocess.DEVNULL}
    run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 200M 64k", older], **quiet)  # type: ignore[call-overload]
    same = Path(shutil.copy(disk, IMAGES / "web01.qcow2.bak"))
    base, outside = PLACE / "templates" / "debian.qcow2", IMAGES / "web02.qcow2"
    base.parent.mkdir()
    run(["qemu-img", "create", "-q", "-f", "qcow2", base, "256M"], check=True)
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, outside], check=True)
    ambiguous = IMAGES / "web03.raw"
    run(["qemu-img", "create", "-q", "-f", "qcow2", ambiguous, "256M"], check=True)
    for path, age in ((disk, 0), (older, 26), (same, 0), (outside, 1), (ambiguous, 1)):
        os.utime(path, (CHANGED - age * HOUR,) * 2)
    raw.unlink()
    shutil.rmtree(tree)
    return {"disk": disk, "outside": outside, "ambiguous": ambiguous}


@contextmanager
def same_everywhere() -> Iterator[None]:
    """Free room and what cannot be looked at do not depend on the host."""
    with ExitStack() as patched:
        for place in (outlook, overlay):
            patched.enter_context(patch.object(place, "free", lambda _folder: FREE))
        patched.enter_context(patch.object(holders, "_blind", lambda _seen: ()))
        patched.enter_context(patch.object(Commit, "beside", beside))
        yield


def beside(work: Commit) -> Path:
    """The place of the backup, with a time that is always the same."""
    return work.disk.path.with_name(f"{work.name}.before-commit-20240229-120000")


async def answer(pilot: Pilot[int], path: Path) -> None:
    await arrived(pilot, AskPath)
    pilot.app.screen.query_one(PathField).value = str(path)
    await pilot.press("enter")


async def vetting(album: Album, pilot: Pilot[int], name: str) -> None:
    """What stands in the way of opening a disk."""
    await arrived(pilot, TroubleScreen)
    await album.take(pilot, name)


async def in_use(album: Album, pilot: Pilot[int]) -> None:
    """A machine writes to it."""
    await arrived(pilot, ProtectScreen)
    await album.take(pilot, "19-in-use")
    await chosen(pilot, "ways")
    await arrived(pilot, TroubleScreen)
    await album.take(pilot, "20-ways-out")


async def backups(album: Album, pilot: Pilot[int]) -> None:
    """One that exists is judged, one is made, another format is written."""
    await arrived(pilot, ProtectScreen)
    await chosen(pilot, "backup")
    await arrived(pilot, BackupScreen)
    await album.take(pilot, "21-backup")
    await chosen(pilot, "existing")
    await arrived(pilot, ExistingScreen)
    await album.take(pilot, "22-existing")
    await pilot.press("2")
    await arrived(pilot, ConfirmScreen)
    await album.take(pilot, "23-older")
    await pilot.press("escape", "escape")
    await arrived(pilot, BackupScreen)
    await chosen(pilot, "make")
    await answer(pilot, PLACE / "web01.backup.qcow2")
    await arrived(pilot, ConfirmScreen)
    await album.take(pilot, "24-before")
    await pilot.press("1")
    await arrived(pilot, ProgressScreen)
    while not Watched.halfway.is_set():
        await pilot.pause(0.05)
    await album.take(pilot, "25-backing-up")
    Watched.drawn.set()
    await arrived(pilot, ConfirmScreen)
    await album.take(pilot, "26-backed-up")
    await pilot.press("escape")
    await arrived(pilot, BackupScreen)
    await album.take(pilot, "27-with-backup")
    await chosen(pilot, "convert")
    await arrived(pilot, ConfirmScreen)
    await album.take(pilot, "28-formats")
    await pilot.press("3")
    await answer(pilot, PLACE / "web01.vmdk")
    await arrived(pilot, ConfirmScreen)
    await album.take(pilot, "29-converted")
    await pilot.press("escape", "escape")


async def commits(album: Album, pilot: Pilot[int]) -> None:
    """A writable mount, and its changes written back."""
    await arrived(pilot, ProtectScreen)
    await chosen(pilot, "overlay")
    await arrived(pilot, PartitionsScreen)
    await pilot.press("enter")
    await arrived(pilot, VolumeScreen)
    await chosen(pilot, "writable")
    await answer(pilot, PLACE / "mnt")
    await arrived(pilot, ShownScreen)
    await album.take(pilot, "30-writable")
    (PLACE / "mnt/etc/fstab").write_text("UUID=1 / ext4 defaults 0 1\n")
    (PLACE / "mnt/etc/network").mkdir()
    await chosen(pilot, "commit")
    await arrived(pilot, CommitScreen)
    await settled(pilot)
    await album.take(pilot, "31-commit")
    await pilot.press(*"web01.qcow2", "enter")
    await arrived(pilot, ConfirmScreen)
    await album.take(pilot, "32-committed")
    await pilot.press("escape")
    await arrived(pilot, StartScreen)


@contextmanager
def wizard(disk: Path) -> Iterator[SalvageApp]:
    Watched.drawn.clear()
    Watched.halfway.clear()
    app = SalvageApp(Flow(State(PLACE), maker=watched), Wish(str(disk)))
    try:
        yield app
    finally:
        Watched.drawn.set()
        app.flow.operator.submit(app.flow.do_close).result()
        app.flow.operator.close()
        app.flow.outside.close()


async def walk(album: Album) -> None:
    """All scenes, each in the real program."""
    at = disks()
    with same_everywhere():
        for name, which in (("17-outside", "outside"), ("18-ambiguous", "ambiguous")):
            with wizard(at[which]) as app:
                async with app.run_test(size=(100, 30)) as pilot:
                    await vetting(album, pilot, name)
        ready = PLACE / "ready"
        with (
            running(machine(at["disk"], "qcow2", ready), ready),
            wizard(at["disk"]) as app,
        ):
            async with app.run_test(size=(100, 30)) as pilot:
                await in_use(album, pilot)
        os.utime(at["disk"], (CHANGED, CHANGED))
        with wizard(at["disk"]) as app:
            async with app.run_test(size=(100, 30)) as pilot:
                await backups(album, pilot)
                await commits(album, pilot)


def main() -> int:
    if os.geteuid() != 0 or len(sys.argv) != 2:
        print("As root: python -m tests.screenshots_protect FOLDER", file=sys.stderr)
        return 3
    album = Album(Path(sys.argv[1]).absolute())
    with alone(), stage():
        asyncio.run(walk(album))
    return 0


if __name__ == "__main__":
    sys.exit(main())
