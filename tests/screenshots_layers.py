"""Draws what lies in a disk: states it keeps, encryption, subvolumes, a journal that was not carried out.

    python -m tests.screenshots_layers FOLDER

`tests.screenshots` draws these with all others. By itself it draws only these, to look at.
"""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch

from textual.pilot import Pilot
from textual.widgets import Input

from core.text import guest_date
from tests.hostile.volumes import by_hand
from tests.screenshots import CHANGED, PLACE, USUAL, Album, arrived, chosen, draw, settled
from tests.screenshots_protect import State
from tui.app import SalvageApp
from tui.chosen import Wish
from tui.flow import Flow
from tui.screens import subvolumes
from tui.screens.answer import AnswerScreen
from tui.screens.check import CheckScreen
from tui.screens.handback import HandBackScreen
from tui.screens.menu import Menu
from tui.screens.partitions import PartitionsScreen
from tui.screens.passphrase import AskKey, AskPassphrase
from tui.screens.practise import PractiseScreen, TicketScreen
from tui.screens.protect import ProtectScreen
from tui.screens.snapshot import SnapshotScreen
from tui.screens.start import StartScreen
from tui.screens.subvolumes import SubvolumesScreen
from tui.screens.volume import VolumeScreen

MIB = 1 << 20
PASSPHRASE = "Tr0ub4dor"
QUIET = {"check": True, "stdout": subprocess.DEVNULL}


@asynccontextmanager
async def wizard(disk: Path | None = None) -> AsyncIterator[Pilot[int]]:
    """The wizard at its start, or with a disk that was named."""
    app = SalvageApp(Flow(State(PLACE)), Wish(str(disk)) if disk else None)
    try:
        async with app.run_test(size=USUAL) as pilot:
            yield pilot
    finally:
        app.flow.operator.submit(app.flow.do_close).result()
        app.flow.operator.close()
        app.flow.outside.close()


async def to_ticket(pilot: Pilot[int], lab: str) -> None:
    """From the start to the ticket of a practice disk."""
    await arrived(pilot, StartScreen)
    await pilot.press("1")
    await arrived(pilot, PractiseScreen)
    menu = pilot.app.screen.query_one(Menu)
    menu.highlighted = menu.get_option_index(lab)
    await pilot.press("enter")
    await arrived(pilot, TicketScreen)


async def to_volume(pilot: Pilot[int]) -> None:
    """From the protect step to the choices of the first volume."""
    await arrived(pilot, ProtectScreen)
    await chosen(pilot, "read")
    await arrived(pilot, PartitionsScreen)
    await pilot.press("enter")


async def states(album: Album) -> None:
    """A disk that keeps a state of the week before."""
    async with wizard() as pilot:
        await to_ticket(pilot, "inside-a-snapshot")
        await chosen(pilot, "own")
        await arrived(pilot, ProtectScreen)
        await chosen(pilot, "snapshot")
        await arrived(pilot, SnapshotScreen)
        await album.take(pilot, "43-states")


async def tickets(album: Album) -> None:
    """A ticket's question, and how one is handed back."""
    async with wizard() as pilot:
        await to_ticket(pilot, "bad-area")
        await chosen(pilot, "answer")
        await arrived(pilot, AnswerScreen)
        pilot.app.screen.query_one(Input).value = "/srv/orders.db"
        await album.take(pilot, "36-answer")
        await pilot.press("escape")
        await arrived(pilot, TicketScreen)
        await chosen(pilot, "stop")
        await arrived(pilot, HandBackScreen)
        await album.take(pilot, "37-hand-back")


async def journal(album: Album) -> None:
    """A file system after a crash: checked, and what its journal holds besides."""
    async with wizard() as pilot:
        await to_ticket(pilot, "dirty-journal")
        await chosen(pilot, "own")
        await to_volume(pilot)
        await arrived(pilot, VolumeScreen)
        await album.take(pilot, "44-after-a-crash")
        await chosen(pilot, "check")
        await arrived(pilot, CheckScreen)
        await chosen(pilot, "replayed")
        await settled(pilot)
        await album.take(pilot, "45-check")


async def encrypted(album: Album) -> None:
    """A volume asks for a passphrase or a key; an image, for its own."""
    async with wizard() as pilot:
        await to_ticket(pilot, "encrypted")
        await chosen(pilot, "own")
        await arrived(pilot, ProtectScreen)
        await chosen(pilot, "read")
        await arrived(pilot, PartitionsScreen)
        rows = pilot.app.screen
        assert isinstance(rows, PartitionsScreen)
        while not isinstance(pilot.app.screen, AskKey):
            await pilot.press("down", "enter")
            await settled(pilot)
        pilot.app.screen.query_one("#passphrase", Input).value = "wrong"
        await pilot.press("enter")
        await settled(pilot)
        await arrived(pilot, AskKey)
        await album.take(pilot, "46-encrypted")
    async with wizard(image()) as pilot:
        await arrived(pilot, ProtectScreen)
        await chosen(pilot, "read")
        await arrived(pilot, AskPassphrase)
        pilot.app.screen.query_one(Input).value = PASSPHRASE
        await album.take(pilot, "47-encrypted-image")


def image() -> Path:
    """An image that QEMU encrypted."""
    key, path = PLACE / "key", PLACE / "mail01.qcow2"
    key.write_text(PASSPHRASE)
    secret = ["--object", f"secret,id=key,file={key}"]
    options = "encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10"
    create = ["qemu-img", "create", "-q", *secret, "-f", "qcow2", "-o", options, str(path), "64M"]
    for _try in range(10):  # on a busy host it cannot always tell how fast the processor is
        if subprocess.run(create, capture_output=True).returncode == 0:
            break
    key.unlink()
    os.utime(path, (CHANGED, CHANGED))
    return path


async def subvolume(album: Album) -> None:
    """A btrfs with a snapshot of each night."""
    path = PLACE / "build01.raw"
    with open(path, "wb") as file:
        file.truncate(160 * MIB)
    subprocess.run(["mkfs.btrfs", "-q", "--label", "build01", path], check=True, capture_output=True)
    with by_hand(path, PLACE / "by-hand", "rw") as point:
        for name in ("@", "@home"):
            subprocess.run(["btrfs", "subvolume", "create", point / name], **QUIET)  # type: ignore[call-overload]
        (point / "@snapshots").mkdir()
        for night in ("@home-2024-02-27", "@home-2024-02-28"):
            argv = ["btrfs", "subvolume", "snapshot", "-r", point / "@home", point / "@snapshots" / night]
            subprocess.run(argv, **QUIET)  # type: ignore[call-overload]
    (PLACE / "by-hand").rmdir()
    os.utime(path, (CHANGED, CHANGED))
    with patch.object(subvolumes, "guest_date", lambda _made: guest_date(CHANGED)):
        async with wizard(path) as pilot:
            await to_volume(pilot)
            await arrived(pilot, VolumeScreen)
            await chosen(pilot, "subvolume")
            await arrived(pilot, SubvolumesScreen)
            await album.take(pilot, "48-subvolumes")


async def walk(album: Album) -> None:
    """All scenes, each in the real program."""
    for scene in (states, tickets, journal, encrypted, subvolume):
        await scene(album)


if __name__ == "__main__":
    sys.exit(draw(walk, sys.argv[1:]))
