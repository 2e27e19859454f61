"""A way down through directories, held by file descriptors and never by a path.

No component is ever looked up by more than its own name in a directory that is already open, and
never through a symbolic link, so a tree that changes or lies cannot lead the way out of itself.
"""

import errno
import os
from types import TracebackType

SEARCH = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""For looking names up only."""
LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""For reading the directory as well."""

_KEPT = 64
"""Levels whose descriptors stay open. Deeper trees close the upper ones and open them again on the way
up, because the usual limit is 1,024 open files and a tree may be deeper than that."""


class Trail:
    """The directories from a starting one down to the current one."""

    def __init__(self, start: int, flags: int = SEARCH) -> None:
        """`start` is the descriptor of the first directory; the trail owns and closes it."""
        self.names: list[bytes] = []
        self._flags = flags
        self._fds = [start]
        status = _status(start)
        self._identities = [(status.st_dev, status.st_ino)]

    def __enter__(self) -> "Trail":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def fd(self) -> int:
        """The descriptor of the current directory; raises OSError when it cannot be opened again."""
        fd = self._fds[-1]
        return fd if fd >= 0 else self._reopen()

    def enter(self, name: bytes) -> os.stat_result:
        """Go down into the directory `name`; its status. Raises OSError, ENOTDIR for a link too."""
        fd = os.open(name, self._flags, dir_fd=self.fd)
        status = _status(fd)
        self.names.append(name)
        self._fds.append(fd)
        self._identities.append((status.st_dev, status.st_ino))
        old = len(self._fds) - 1 - _KEPT
        if old > 0:
            self._shut(old)
        return status

    def leave(self) -> None:
        """Go up again, to the directory that the current one was entered from."""
        self._identities.pop()
        self.names.pop()
        below = self._fds.pop()
        if below < 0:
            return
        if self._fds[-1] < 0:
            self._fds[-1] = self._above(below)
        os.close(below)

    def restart(self) -> None:
        """Go up to the starting directory."""
        while self.names:
            self.leave()

    def close(self) -> None:
        """Close every descriptor; the trail cannot be used afterwards."""
        for index in range(len(self._fds)):
            self._shut(index)

    def _shut(self, index: int) -> None:
        if self._fds[index] >= 0:
            os.close(self._fds[index])
            self._fds[index] = -1

    def _above(self, below: int) -> int:
        """The current directory's descriptor by way of ``..``, if that is the one that was entered."""
        try:
            fd = os.open(b"..", self._flags, dir_fd=below)
        except OSError:
            # Walking down again, when the directory is needed, meets the error if there is one.
            return -1
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino) == self._identities[-1]:
            return fd
        os.close(fd)
        return -1

    def _reopen(self) -> int:
        last = len(self._fds) - 1
        level = last
        while self._fds[level] < 0:
            level -= 1
        while level < last:
            fd = os.open(self.names[level], self._flags, dir_fd=self._fds[level])
            if 0 < level < last - _KEPT:
                self._shut(level)
            level += 1
            self._fds[level] = fd
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) != self._identities[level]:
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return self._fds[last]


def descend(start: int, path: bytes, flags: int = SEARCH) -> int:
    """A new descriptor of the directory at the relative `path` below `start`, no link followed.

    Raises OSError.
    """
    fd = os.open(b".", flags, dir_fd=start)
    for name in filter(None, path.split(b"/")):
        try:
            below = os.open(name, flags, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd


def _status(fd: int) -> os.stat_result:
    """What an open directory says of itself; one that says nothing, over a dead daemon, is closed."""
    try:
        return os.fstat(fd)
    except OSError:
        os.close(fd)
        raise
