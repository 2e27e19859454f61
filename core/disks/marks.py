"""Whether a disk's files are still those that were looked at: time passes between a look and the attaching.

A file is known by its device and inode, a block device by its number and the kernel's count of attached
disks (diskseq in sysfs, Linux 5.15): names such as ``/dev/sdb`` go to another disk when one is pulled out.
"""

import os
import stat
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from core import loops, namespace
from core.disks.model import Disk, Identity
from core.errors import Refused
from core.i18n import N_, _, sentences
from core.text import safe


class Change(Enum):
    """What became of a file, the worst last."""

    GONE = N_("{path} is not there any more: it was deleted or renamed, or its disk was pulled out.")
    REPLACED = N_("{path} is another file or disk now than the one that was looked at.")
    WRITTEN = N_("{path} was written to since it was looked at.")


@dataclass(frozen=True, slots=True)
class Mark:
    """What a file was when it was looked at."""

    path: Path
    identity: Identity | None
    sequence: int = 0
    """A block device's diskseq; 0 where the kernel has none."""
    written: tuple[int, int] | None = None
    """When a regular file was last written to, in nanoseconds since 1970, and its size."""

    @classmethod
    def of(cls, path: Path, identity: Identity | None) -> "Mark":
        """The mark of a file that `identity` was seen of; without one, what is there now counts."""
        try:
            at = os.stat(path)
        except OSError:
            return cls(path, identity)
        if stat.S_ISBLK(at.st_mode):
            return cls(path, identity or (at.st_dev, at.st_ino), loops.node_sequence(str(path)))
        return cls(path, identity or (at.st_dev, at.st_ino), written=(at.st_mtime_ns, at.st_size))

    def change(self) -> Change | None:
        """What became of the file since; None when it is the same."""
        if self.identity is None:
            return None  # it was not there then either
        try:
            now = Mark.of(self.path.resolve(strict=True), None)
        except (OSError, RuntimeError):
            return Change.GONE
        if now.identity is None:
            return Change.GONE
        if (now.identity, now.sequence) != (self.identity, self.sequence):
            return Change.REPLACED
        return Change.WRITTEN if now.written != self.written else None


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of all files of a disk's chain."""

    marks: tuple[Mark, ...] = ()

    @classmethod
    def of(cls, disk: Disk) -> "Marks":
        # What a daemon of the session shows has the time of the last look at it
        shown = disk.path if disk.is_shown else None
        found = [(link.path, link.identity) for link in disk.chain if link.exists and link.path != shown]
        found += [(part.path, part.identity) for link in disk.chain for part in link.parts if part.exists]
        return cls(tuple(Mark.of(path, identity) for path, identity in dict(found).items()))

    def changes(self) -> dict[Change, str]:
        """What became of the files since, a sentence for each kind of change; empty when all is as it was."""
        told: dict[Change, str] = {}
        with namespace.outside():  # a disk in a disk lies where another session mounted that
            for mark in self.marks:
                if change := mark.change():
                    told.setdefault(change, _(change.value).format(path=safe(mark.path)))
        return told

    def require_same(self) -> None:
        """Raise `Refused` when anything became of the files since they were looked at."""
        told = list(self.changes().values())
        if told:
            raise Refused(
                sentences(told),
                _("What its header says now was not looked at, so nothing was attached."),
                _("Choose the disk again."),
            )
