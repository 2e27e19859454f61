"""How much there is to copy, before it is copied."""

import os
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.cancel import CancelToken
from core.files.outcome import Unreadable
from core.files.tree import GuestTree, Place
from core.files.unread import reason
from core.files.walk import Identity, Step, walking

_SECTOR = 512  # the unit of st_blocks, see inode(7)
_INTERVAL = 0.1


@dataclass(frozen=True, slots=True)
class Estimate:
    """What lies below some paths. Every name counts; the bytes of a hard-linked file count once."""

    files: int
    directories: int
    symlinks: int
    others: int
    """Named pipes, sockets and devices."""
    apparent: int
    """Bytes as they read, holes included."""
    allocated: int
    """Bytes that they take on the guest's disk, holes not included."""
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def bare(self) -> int:
        """Entries that have a name only: neither content nor entries of their own."""
        return self.symlinks + self.others

    @property
    def entries(self) -> int:
        return self.files + self.bare + self.directories


class _Count:
    def __init__(self, cancel: CancelToken, listener: Callable[[Estimate], None] | None) -> None:
        self._cancel = cancel
        self._listener = listener
        self._next = time.monotonic() + _INTERVAL
        self._linked: set[Identity] = set()
        self._unreadable: list[Unreadable] = []
        self.directories = self.files = self.symlinks = self.others = 0
        self.apparent = self.allocated = 0

    def failed(self, path: bytes, why: str) -> None:
        self._unreadable.append(Unreadable(path, why))

    def add(self, status: os.stat_result) -> None:
        mode = status.st_mode
        if stat.S_ISDIR(mode):
            self.directories += 1
            self.allocated += status.st_blocks * _SECTOR
            return
        if stat.S_ISREG(mode):
            self.files += 1
        elif stat.S_ISLNK(mode):
            self.symlinks += 1
        else:
            self.others += 1
        if status.st_nlink > 1:
            identity = (status.st_dev, status.st_ino)
            if identity in self._linked:
                return
            self._linked.add(identity)
        self.allocated += status.st_blocks * _SECTOR
        if stat.S_ISREG(mode):
            self.apparent += status.st_size

    def breathe(self) -> None:
        self._cancel.check()
        if self._listener and time.monotonic() >= self._next:
            self._listener(self.result())
            self._next = time.monotonic() + _INTERVAL

    def result(self) -> Estimate:
        return Estimate(
            self.files,
            self.directories,
            self.symlinks,
            self.others,
            self.apparent,
            self.allocated,
            tuple(self._unreadable),
        )


def estimate(
    tree: GuestTree,
    sources: Sequence[bytes],
    cancel: CancelToken,
    progress: Callable[[Estimate], None] | None = None,
) -> Estimate:
    """Count what `copy` would copy from `sources`; `progress` gets the counts so far.

    What cannot be read is listed and does not stop the count. Raises `SalvageError` for a source
    that does not exist and `Cancelled`.
    """
    count = _Count(cancel, progress)
    for source in sources:
        with tree.resolve(source, follow_last=source.endswith(b"/")) as place:
            _count(place, count)
    return count.result()


def _count(place: Place, count: _Count) -> None:
    count.add(place.status)
    if place.kind != "dir":
        return
    with walking(place, count.failed) as walk:
        if walk is None:
            return
        for step, name, status in walk.steps():
            count.breathe()
            if step is Step.LEAVE:
                continue
            try:
                count.add(status or os.stat(name, dir_fd=walk.trail.fd, follow_symlinks=False))
            except OSError as error:
                count.failed(walk.prefix + name, reason(error))
