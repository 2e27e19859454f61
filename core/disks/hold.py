"""The hold that a session has on its disk: looked at for others who hold it, and locked while it is read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.disks.holders import holders, lock_to_read, survey, with_holders
from core.disks.locks import ReadLock
from core.disks.model import Disk
from core.disks.ways_out import refuse_if_written
from core.undo.sightings import Sessions

_NOTHING = ReadLock((), ())


class Hold:
    """One disk at a time. A plan only looks; it locks nothing."""

    def __init__(self, sessions: Callable[[], Sessions], *, planning: bool) -> None:
        self._sessions = sessions
        self._planning = planning
        self._lock: ReadLock | None = None

    def look(self, disk: Disk) -> Disk:
        """The disk with everybody who holds it."""
        return with_holders(disk, survey(disk, self._sessions()))

    def take(self, disk: Disk) -> ReadLock:
        """Lock the disk's files from now on, if they are not yet; raises `core.disks.ways_out.InUse`."""
        if self._lock is None:
            self._lock = self._taken(disk)
        return self._lock

    @contextmanager
    def during(self, disk: Disk) -> Iterator[None]:
        """Lock the disk's files for some work; raises `core.disks.ways_out.InUse`."""
        lock = self._taken(disk)
        try:
            yield
        finally:
            lock.close()

    def _taken(self, disk: Disk) -> ReadLock:
        if not self._planning:
            return lock_to_read(disk, self._sessions())
        refuse_if_written(disk, holders(disk, self._sessions()))
        return _NOTHING

    def end(self) -> None:
        """Let go. Whom the open files were given on to, they stay with."""
        if self._lock:
            self._lock.close()
            self._lock = None
