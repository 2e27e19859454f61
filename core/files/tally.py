"""What a copy has brought so far, and what it could not bring."""

import errno
import os
import stat
import time
from pathlib import Path

from core.errors import NoSpace, SalvageError
from core.files.inodeflags import NONE, InodeFlags
from core.files.metadata import Handle
from core.files.outcome import Copied, Lost, Unreadable, Why
from core.files.owners import owners
from core.files.progress import Meter
from core.files.sidecar import Sidecar, Spool, described
from core.files.tree import GuestTree
from core.files.verify import Verified
from core.i18n import _
from core.text import grouped, safe, size

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
BROKEN = frozenset({errno.EIO, errno.EROFS, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ENOTCONN})
_TOLD = 50_000
"""Entries of each list that are told one by one; memory is to stay flat."""
_OWNERS = 10_000


class Tally:
    """Counts and lists, the counts exact."""

    def __init__(self, dest: Path, meter: Meter, sidecar: Sidecar | Spool) -> None:
        self._dest = dest
        self._meter = meter
        self._sidecar = sidecar
        self.files = self.directories = self.symlinks = self.others = 0
        self.bytes = self.same = 0
        self._unreadable: list[Unreadable] = []
        self._lost: list[Lost] = []
        self._more_unreadable = self._more_lost = 0
        self.users: set[int] = set()
        self.groups: set[int] = set()

    def own(self, status: os.stat_result) -> None:
        """Note the owner and group of an entry that was brought."""
        if len(self.users) < _OWNERS:
            self.users.add(status.st_uid)
        if len(self.groups) < _OWNERS:
            self.groups.add(status.st_gid)

    def lose(
        self,
        path: bytes,
        there: bytes,
        status: os.stat_result,
        source: Handle | None,
        lost: list[str],
        *,
        flags: InodeFlags = NONE,
        target: bytes | None = None,
        name: bytes | None = None,
        same_as: bytes | None = None,
    ) -> None:
        """The target did not keep something of the guest's `path`, which is `there` below the folder.

        For the others see `core.files.sidecar.described`. Raises OSError of the target.
        """
        self.note(path, lost)
        self._sidecar.add(
            described(there, status, source, lost, flags=flags, target=target, name=name, same_as=same_as)
        )

    def note(self, path: bytes, lost: list[str]) -> None:
        """The same for what no list can bring back."""
        for what in lost:
            if len(self._lost) < _TOLD:
                self._lost.append(Lost(path, what))
            else:
                self._more_lost += 1

    def failed(self, path: bytes, error: str, why: Why = "unread") -> None:
        """Something could not be read, or was not brought."""
        self._meter.errors += 1
        if len(self._unreadable) < _TOLD:
            self._unreadable.append(Unreadable(path, error, why))
        else:
            self._more_unreadable += 1

    def taken(self, path: bytes) -> None:
        """Something else bears its name in the target."""
        self.failed(
            path,
            _(
                "Something else of that name is already in the target and was not replaced. Move it away and"
                " copy again."
            ),
            "taken",
        )

    def unwritten(self, path: bytes, error: OSError) -> None:
        """An error of the target: told about this entry, unless the target is full or broken: raised."""
        if error.errno in FULL | BROKEN:
            raise self.stopped(error) from error
        if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.EEXIST, errno.EISDIR):
            self.taken(path)
            return
        why = safe(os.strerror(error.errno or 0))
        self.failed(
            path, _("It could not be written to the target: {reason}.").format(reason=why), "unwritten"
        )

    def outcome(self, tree: GuestTree, began: float, manifest: Path, verified: Verified) -> Copied:
        """What has come of the copy out of `tree`; `began` by the monotonic clock."""
        return Copied(
            files=self.files,
            directories=self.directories,
            symlinks=self.symlinks,
            others=self.others,
            bytes=self.bytes,
            seconds=time.monotonic() - began,
            manifest=manifest,
            unreadable=self.unreadable,
            lost_metadata=self.lost,
            skipped_same=self.same,
            verified=verified,
            owners=owners(tree, self.users, self.groups),
        )

    @property
    def unreadable(self) -> list[Unreadable]:
        """What could not be read, or was not brought."""
        more = _("And {count} more are not told one by one.").format(count=grouped(self._more_unreadable))
        return [
            *self._unreadable,
            *([Unreadable(b"/", more, self._unreadable[-1].why)] if self._more_unreadable else []),
        ]

    @property
    def lost(self) -> list[Lost]:
        """What the target did not keep."""
        more = _("And {count} more: all of them are in salvage-metadata.jsonl.")
        told = more.format(count=grouped(self._more_lost))
        return [*self._lost, *([Lost(b"/", told)] if self._more_lost else [])]

    def stopped(self, error: OSError) -> SalvageError:
        """The target does not take any more."""
        so_far = _("{files} files with {size} are there, each of them whole.").format(
            files=grouped(self.files), size=size(self.bytes)
        )
        if error.errno in FULL:
            return NoSpace(
                _("{path} is full.").format(path=safe(self._dest)),
                so_far,
                _("Make room there and copy again: it goes on where it stopped."),
            )
        return SalvageError(
            _("Writing to {path} failed: {reason}.").format(
                path=safe(self._dest), reason=safe(os.strerror(error.errno or 0))
            ),
            so_far,
            _("Look after the target, then copy again: it goes on where it stopped."),
        )


def not_made(status: os.stat_result) -> str:
    """That a device node was left out, as a sentence."""
    numbers = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    if stat.S_ISCHR(status.st_mode):
        return _("The character device {numbers} was not made.").format(numbers=numbers)
    if stat.S_ISBLK(status.st_mode):
        return _("The block device {numbers} was not made.").format(numbers=numbers)
    return _("It is of a kind that Linux does not know, and was not made.")


def flags_told(flags: InodeFlags) -> list[str]:
    """That flags and project were left out, as sentences."""
    told = [_("The flag {name} was not given to the copy.").format(name=name) for name in flags.names]
    if flags.project:
        told.append(_("It was counted for project {number}.").format(number=flags.project))
    return told
