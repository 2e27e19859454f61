"""Asks the kernel for files before their turn comes, so that a copy does not wait for each one of them.

A cold small file costs two round trips to the medium, one for its inode and one for its data, and a copy that
reads one after the other spends most of its time with waiting. A thread opens the next files in the order
of the walk and lets the kernel read them ahead (posix_fadvise(2), POSIX_FADV_WILLNEED).
"""

import os
import threading
from collections.abc import Sequence
from contextlib import suppress

from core import namespace

_AHEAD = 96
"""Files that may have been asked for and not been read."""
_TURN = 24
"""Files that are asked for at a time: the two threads wake each other no more often than that."""
_HEAD = 256 << 10
"""Bytes of each that are asked for; the kernel reads ahead by itself in longer ones."""
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDERS = 32
"""Folders whose rest is remembered while the walk is below them."""


class _Batch:
    """The files of one folder."""

    __slots__ = ("asked", "fd", "names", "read")

    def __init__(self, fd: int, names: Sequence[bytes]) -> None:
        self.fd = fd
        self.names = names
        self.asked = 0
        self.read = 0


class Prefetch:
    """Follows a walk from folder to folder. A context manager: at its end the thread is gone."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._batches: list[_Batch] = []
        self._waits = False
        self._warm = False
        self._ended = False
        self.idle = False
        """Nothing is asked for while the files that come need not be read."""
        self.apart = False
        """Nor while another process is to read the files of the folders that the walk goes into."""
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "Prefetch":
        return self

    def __exit__(self, *_error: object) -> None:
        with self._change:
            self._ended = True
            self._change.notify()
        if self._thread:
            self._thread.join()
        for batch in self._batches:
            if batch.fd >= 0:
                os.close(batch.fd)
        self._batches.clear()

    def enter(self, folder: int, names: Sequence[bytes]) -> None:
        """The walk goes into an open folder, where these files will come in this order."""
        if self.apart:
            names = ()
        with self._change:
            fd = os.dup(folder) if names else -1
            self._batches.append(_Batch(fd, names))
            if len(self._batches) > _FOLDERS:
                old = self._batches[-_FOLDERS - 1]
                old.names = ()
            if names:
                self._change.notify()
        if names and self._thread is None:
            self._thread = threading.Thread(target=self._work, name="prefetch", daemon=True)
            self._thread.start()

    def go_on(self, names: Sequence[bytes]) -> None:
        """In the current folder, all of whose files were read, these will come next."""
        with self._change:
            batch = self._batches[-1]
            if batch.fd >= 0:
                batch.names, batch.asked, batch.read = names, 0, 0
            self._change.notify()

    def leave(self) -> None:
        """The walk goes up again."""
        with self._change:
            batch = self._batches.pop()
            if batch.fd >= 0:
                os.close(batch.fd)
                self._change.notify()

    def read(self) -> None:
        """The next file of the current folder was read."""
        batch = self._batches[-1]
        # Without the lock: only this thread counts what was read, and the other one need not know at once
        batch.read += 1
        if batch.read % _TURN == 0 and self._waits:
            with self._change:
                self._change.notify()

    def _work(self) -> None:
        namespace.apart()
        names: Sequence[bytes]
        while True:
            with self._change:
                while not self._ended and (batch := self._next()) is None:
                    self._waits = True
                    self._change.wait()
                    self._waits = False
                if self._ended or batch is None:
                    return
                start = max(batch.asked, batch.read)
                names = batch.names[start : start + _TURN]
                batch.asked = start + len(names)
                # The folder may be closed as soon as the lock is let go
                folder = os.dup(batch.fd)
            try:
                self._ask(folder, names)
            finally:
                os.close(folder)

    def _next(self) -> _Batch | None:
        """The deepest folder that still has files to ask for; None while enough of them are asked for."""
        ahead = 0
        for batch in reversed(self._batches):
            ahead += max(0, batch.asked - batch.read)
            if ahead > _AHEAD - _TURN:
                return None
            if max(batch.asked, batch.read) < len(batch.names):
                return batch
        return None

    def _ask(self, folder: int, names: Sequence[bytes]) -> None:
        """Ask for the files; where they are all in memory already, look at one of many only."""
        if self.idle:
            return
        for name in names if not self._warm else names[-1:]:
            cold = _asked(folder, name)
            self._warm = self._warm if cold is None else not cold


def _asked(folder: int, name: bytes) -> bool | None:
    """Ask for a file, if it is not in memory; whether that was so, None where nobody can tell.

    What cannot be opened or asked for is met, and told, by who reads it.
    """
    with suppress(OSError):
        fd = os.open(name, _OPEN, dir_fd=folder)
        try:
            try:
                if os.preadv(fd, [bytearray(1)], 0, os.RWF_NOWAIT):
                    return False
                return None
            except BlockingIOError:
                pass
            except OSError:
                # A file system that knows no such look: every file is asked for
                pass
            os.posix_fadvise(fd, 0, _HEAD, os.POSIX_FADV_WILLNEED)
            return True
        finally:
            os.close(fd)
    return None
