"""The raw bytes of a disk as one file, whatever its format: no conversion, no copy.

A raw disk is its own view. Any other is shown by a daemon, see `core.disks.export`, which gets every
link of the chain with its format, so nothing is guessed from what a guest wrote.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.command import Command
from core.disks import overlay as overlays
from core.disks.export import NODE, export
from core.disks.locks import ReadLock
from core.disks.model import Disk
from core.disks.vet import blockdev
from core.i18n import _, sentences
from core.undo.pairs import FileKind, Pair
from core.undo.stack import Stack

# -u: the disk itself is not opened for this
_CREATE = ("qemu-img", "create", "-q", "-u", "-f", "qcow2")


@dataclass(frozen=True, slots=True)
class View:
    """Where the raw bytes are read. `size` is in bytes."""

    path: Path
    size: int
    writable: bool
    on: tuple[str, ...]
    """What of the undo stack it stands on."""
    descriptor: int | None = None
    """An open file with the lock of a reader on it, where the disk's own file is the view."""
    disk: Path | None = None
    """The disk that is shown, where the view is another file."""


def overlay(stack: Stack, disk: Disk, folder: Path, size: int) -> Path:
    """Make an empty overlay over the disk: every later write lands in it, none in the disk.

    With a `size` in bytes beyond the disk's end, what is missing there reads as zeros. The journal keeps
    which disk it belongs to, for committing.
    """
    path = folder / "overlay.qcow2"
    # The header of an overlay that is not over the disk itself names nothing: it would mislead
    below = () if disk.apart else ("-F", disk.format, "-b", str(disk.path))
    make = Command(
        (*_CREATE, *below, str(path), str(size)),
        why=sentences(
            (
                _("Make an overlay: a thin layer over the disk that takes every write."),
                overlays.room(folder, size).sentence(),
            )
        ),
        effect=_("a new file for changes; the disk stays as it is"),
    )
    known = overlays.facts(disk, size)
    stack.put_up(Pair("overlay", make, str(path), facts=lambda: {**FileKind.facts(path), "disk": known}))
    return path


def show(
    stack: Stack,
    disk: Disk,
    folder: Path,
    lock: ReadLock,
    *,
    tie: bool,
    over: Path | None,
    size: int,
    writable: bool,
) -> View:
    """Show the disk, or the overlay of `size` bytes over it, as raw bytes.

    `folder` is the session's own; with `tie` the daemon dies with this program. Whoever shows the disk
    holds the open files of `lock` too: QEMU itself keeps nobody from writing to a raw file that an
    overlay stands on. Raises SalvageError when the daemon cannot open the disk.
    """
    if disk.format == "raw" and over is None:
        return View(
            disk.path, disk.virtual_size, writable=False, on=(), descriptor=lock.descriptor(disk.path)
        )
    path = folder / "view.raw"
    export(
        stack,
        _nodes(disk, over),
        path,
        tie=tie,
        on=(*((str(over),) if over else ()), *((str(disk.socket),) if disk.socket else ())),
        why=_("Show the disk as raw bytes, read through its own format, without converting it."),
        writable=writable,
        pass_fds=lock.descriptors,
    )
    return View(path, size, writable, on=(str(path),), disk=disk.path)


def folder(path: Path) -> Command:
    """Makes a folder of the session for another disk; it goes with the session's."""
    return Command(
        ("mkdir", str(path)),
        why=_("Make a folder for the next disk."),
        effect=_("an empty folder in the state folder"),
    )


def _nodes(disk: Disk, over: Path | None) -> dict[str, Any]:
    if over is None:
        return blockdev(disk, NODE)
    return {"node-name": NODE, **overlays.graph(over, blockdev(disk, "original"))}
