"""The overlay: where it lies, how much room it has there, and what is in it."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.command import Command, Limits
from core.disks.model import Disk
from core.errors import NoSpace, SalvageError
from core.files.space import free
from core.i18n import _, sentences
from core.runner import Runner
from core.text import safe, size

LEAST = 64 << 20
"""Bytes of room below which no overlay is begun: a file system writes some by itself when it is mounted."""
SPENT = 1 << 20
"""Bytes of room below which an overlay counts as full: it grows by clusters, and its tables grow too."""
_TABLES = 1 << 20
_LARGEST_MAP = Limits(output=256 << 20, wall=3600.0, processor=3600)

Extent = tuple[int, int]
"""Start and end of a stretch of the disk, in bytes; the end is not in it."""


@dataclass(frozen=True, slots=True)
class OverlayRoom:
    """What an overlay has before it: sizes in bytes."""

    path: Path
    """The folder that it lies in."""
    free: int
    largest: int
    """What it grows to when every byte of the disk is written."""

    @property
    def least(self) -> int:
        """What must be free before an overlay is begun."""
        return min(LEAST, self.largest)

    def sentence(self) -> str:
        """Where it lies and how far it can grow, for a person."""
        told = _("The overlay lies in {path}: {free} are free there, and it grows to {largest} at most.")
        words = told.format(path=safe(self.path), free=size(self.free), largest=size(self.largest))
        if self.free >= self.largest:
            return words
        full = _(
            "When that place is full, writes fail and the mount may turn read-only; the disk is not"
            " touched. --state-dir puts it elsewhere."
        )
        return sentences((words, full))

    def require(self) -> None:
        """Raise `NoSpace` where there is too little room to begin."""
        if self.free >= self.least:
            return
        raise NoSpace(
            _(
                "There is too little room for an overlay in {path}: {free} are free, {least} are wanted."
            ).format(path=safe(self.path), free=size(self.free), least=size(self.least)),
            _("Nothing was begun; the disk is untouched."),
            _("Make room there, or put the overlay elsewhere with --state-dir."),
        )

    def to_json(self) -> dict[str, object]:
        return {"path": safe(self.path), "free": self.free, "largest": self.largest}


def room(folder: Path, disk_size: int) -> OverlayRoom:
    """What an overlay over a disk of that many bytes has before it in `folder`, made or not."""
    return OverlayRoom(folder, free(folder), disk_size + disk_size // 8192 + _TABLES)


def spent(overlay: Path) -> bool:
    """Whether no room is left where an overlay lies, so that the next write to it may fail."""
    try:
        return free(overlay.parent) < SPENT
    except SalvageError:
        return False  # where it cannot be asked, whoever reads it meets the error


def facts(disk: Disk, size: int) -> dict[str, Any]:
    """What the journal keeps of the disk under an overlay: which it was, and how it was then."""
    return {
        "path": str(disk.path),
        "format": disk.format,
        "identity": list(disk.identity),
        "mtime_ns": disk.mtime_ns,
        "virtual_size": disk.virtual_size,
        "size": size,
        "apart": disk.apart,
    }


def graph(overlay: Path, below: dict[str, Any] | None) -> dict[str, Any]:
    """The overlay as the JSON of QEMU over `below`; None: by itself, what is not in it reads as zeros."""
    return {
        "driver": "qcow2",
        "file": {"driver": "file", "filename": str(overlay)},
        "backing": below,
    }


def named(graph: dict[str, Any]) -> str:
    """A graph of block devices as qemu-img takes it in the place of a file name; nothing is guessed."""
    return "json:" + json.dumps(graph)


def written(overlay: Path, runner: Runner, *, shared: bool = False) -> list[Extent]:
    """The stretches of the disk that the overlay holds, in whole clusters, in order.

    `shared`: although a daemon has it open for writing; then it is what was flushed last.
    """
    force = ("--force-share",) if shared else ()
    command = Command(
        ("qemu-img", "map", *force, "--output=json", named(graph(overlay, None))),
        why=_("See which stretches of the disk the overlay holds."),
        limits=_LARGEST_MAP,
    )
    try:
        found = json.loads(runner.run(command).out)
        stretches = [(one["start"], one["start"] + one["length"]) for one in found if one["present"]]
    except (ValueError, KeyError, TypeError) as error:
        raise SalvageError(
            _("What the overlay {path} holds cannot be read.").format(path=safe(overlay)),
            _("Nothing was changed; the overlay is kept."),
            _("Copy out of its mount what you need."),
        ) from error
    return merged(stretches)


def merged(extents: Iterable[Extent]) -> list[Extent]:
    """Stretches in order, those that touch as one."""
    found: list[Extent] = []
    for start, end in sorted(extents):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        elif end > start:
            found.append((start, end))
    return found


def length(extents: Iterable[Extent]) -> int:
    """Bytes in the stretches."""
    return sum(end - start for start, end in extents)


def within(extents: Sequence[Extent], start: int, end: int) -> list[Extent]:
    """The parts of the stretches that lie between two bytes of the disk."""
    return [(max(a, start), min(b, end)) for a, b in extents if a < end and b > start]


def flush(path: Path) -> None:
    """Bring what was written to a file or device to its medium, and out of the page cache. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)
