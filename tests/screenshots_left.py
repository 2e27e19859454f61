"""Draws what stands in the way of a copy or of taking down: a file that is there, who holds a mount.

    python -m tests.screenshots_left FOLDER

`tests.screenshots` draws these with all others. By itself it draws only these, to look at.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

from textual.pilot import Pilot

from core.files.destination import Destination
from tests.screenshots import CHANGED, PLACE, USUAL, Album, arrived, chosen, draw, settled
from tests.screenshots_protect import State
from tui.app import SalvageApp
from tui.chosen import Wish
from tui.flow import Flow
from tui.screens.ask import AskPath
from tui.screens.busy import BusyScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.done import DoneScreen
from tui.screens.files import FilesScreen
from tui.screens.how import ClashScreen
from tui.screens.leftovers import LeftoversScreen
from tui.screens.partitions import PartitionsScreen
from tui.screens.preview import PreviewScreen
from tui.screens.protect import ProtectScreen
from tui.screens.quitting import QuitScreen
from tui.screens.shown import ShownScreen
from tui.screens.start import StartScreen
from tui.screens.volume import VolumeScreen
from tui.widgets.path_field import PathField
from tui.widgets.rows import Rows

LETTER = b"letter.txt"


def disk() -> Path:
    """A machine's disk with a small home."""
    tree = PLACE / "tree"
    (tree / "home/anna").mkdir(parents=True)
    (tree / "home/anna" / LETTER.decode()).write_text("Dear Bela,\nthe keys are with the porter.\n" * 12)
    (tree / "home/anna/notes.txt").write_text("call the porter\n")
    for path in (*tree.rglob("*"), tree):
        os.utime(path, (CHANGED, CHANGED))
    raw, image = PLACE / "fs.raw", PLACE / "web04.qcow2"
    with open(raw, "wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", tree, "-L", "root", raw], check=True)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, image], check=True)
    os.utime(image, (CHANGED, CHANGED))
    raw.unlink()
    shutil.rmtree(tree)
    return image


@asynccontextmanager
async def wizard(wish: Wish | None = None) -> AsyncIterator[Pilot[int]]:
    """The wizard at its start, or with a disk that was named; what it left up stays up."""
    app = SalvageApp(Flow(State(PLACE)), wish)
    try:
        async with app.run_test(size=USUAL) as pilot:
            yield pilot
    finally:
        app.flow.operator.submit(app.flow.do_close).result()
        app.flow.operator.close()
        app.flow.outside.close()


async def to_volume(pilot: Pilot[int]) -> None:
    await arrived(pilot, ProtectScreen)
    await chosen(pilot, "read")
    await arrived(pilot, PartitionsScreen)
    await pilot.press("enter")
    await arrived(pilot, VolumeScreen)


async def line(pilot: Pilot[int], name: bytes) -> None:
    """Move to a name in the list of files."""
    rows = pilot.app.screen.query_one(Rows)
    while rows.current.name != name:
        await pilot.press("down")
    await settled(pilot)


async def copies(album: Album, image: Path) -> None:
    """A file is looked at, copied, and copied again where somebody has changed it."""
    target = PLACE / "rescued"
    async with wizard(Wish(str(image))) as pilot:
        await to_volume(pilot)
        await chosen(pilot, "loop")
        await arrived(pilot, FilesScreen)
        await line(pilot, b"home")
        await pilot.press("enter")
        await settled(pilot)
        await pilot.press("enter")
        await settled(pilot)
        await line(pilot, LETTER)
        await pilot.press("v")
        await arrived(pilot, PreviewScreen)
        await album.take(pilot, "49-preview")
        await pilot.press("escape")
        await arrived(pilot, FilesScreen)
        app = pilot.app
        assert isinstance(app, SalvageApp)
        app.flow.target = Destination("folder", target)
        app.flow.choices = replace(app.flow.choices, existing="ask")
        await pilot.press("space", "y")
        await arrived(pilot, DoneScreen)
        (copied,) = target.rglob(LETTER.decode())
        copied.write_text("of somebody else\n")
        os.utime(copied, (CHANGED + 7200, CHANGED + 7200))
        await chosen(pilot, "files")
        await arrived(pilot, FilesScreen)
        await pilot.press("y")
        await arrived(pilot, ClashScreen)
        await album.take(pilot, "50-clash")
        await pilot.press("1")
        await arrived(pilot, DoneScreen)


async def left(album: Album, image: Path) -> None:
    """A mount in sight is left up; the next start finds it, and a shell holds it."""
    point = PLACE / "mnt"
    async with wizard(Wish(str(image))) as pilot:
        await to_volume(pilot)
        await chosen(pilot, "sight")
        await arrived(pilot, AskPath)
        pilot.app.screen.query_one(PathField).value = str(point)
        await album.take(pilot, "51-path")
        await pilot.press("enter")
        await arrived(pilot, ShownScreen)
        await album.take(pilot, "52-in-sight")
        await pilot.press("q")
        await arrived(pilot, QuitScreen)
        await album.take(pilot, "53-leave-it")
        await chosen(pilot, "leave")
        await settled(pilot)
    async with wizard() as pilot:
        await arrived(pilot, StartScreen)
        await album.take(pilot, "54-something-left")
        await chosen(pilot, "left")
        await arrived(pilot, LeftoversScreen)
        await album.take(pilot, "55-leftovers")
        with holder(point):
            await pilot.press("enter")
            await arrived(pilot, ConfirmScreen)
            await chosen(pilot, "undo")
            await arrived(pilot, BusyScreen)
            await album.take(pilot, "56-busy")
        await chosen(pilot, "again")
        await arrived(pilot, LeftoversScreen)


@contextmanager
def holder(point: Path) -> Iterator[None]:
    """A shell that works in a mount."""
    argv = ["sh", "-c", "echo; exec sleep 600"]
    with subprocess.Popen(argv, cwd=point, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


async def walk(album: Album) -> None:
    """All scenes, each in the real program."""
    image = disk()
    await copies(album, image)
    await left(album, image)


if __name__ == "__main__":
    sys.exit(draw(walk, sys.argv[1:]))
