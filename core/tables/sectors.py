"""Bounded reading of a disk, remembering what was read.

The **table copy**: libparted opens neighbours of an image for writing and resolves links, and other
readers of tables open what they are given for writing too. So none of them gets to see the disk.
They get a sparse file of the same size that holds only the bytes that our own readers looked at and
the first and last mebibyte, where every kind of table that libparted knows keeps its first sectors.
"""

import os
import stat
from pathlib import Path
from types import TracebackType

from core.drives import with_medium
from core.errors import SalvageError
from core.i18n import _
from core.text import safe

EDGE = 1 << 20
CHUNK = 1 << 20
MOST = 16 << 20
"""Bytes that one call of `Sectors.read` hands back at most; 1024 GPT entries of 4 KiB are 4 MiB."""


class Sectors:
    """A disk opened for reading only; a context manager.

    `size` is the length in bytes. Reading beyond it, or where the medium fails, gives fewer bytes
    than asked; a failing medium also leaves a sentence in `problems`.
    """

    def __init__(self, view: Path, size: int) -> None:
        """Open `view`; raises `SalvageError` when that cannot be done."""
        self.size = size
        self.problems: list[str] = []
        self._visited: set[tuple[int, int]] = set()
        self._fd = opened(view)

    def __enter__(self) -> "Sectors":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`; fewer at the end of the disk and at unreadable places."""
        length = min(length, self.size - offset, MOST)
        if offset < 0 or length <= 0:
            return b""
        self._visited.add((offset, offset + length))
        return self._pread(offset, length)

    def _pread(self, offset: int, length: int) -> bytes:
        parts: list[bytes] = []
        while length > 0:
            try:
                data = os.pread(self._fd, min(length, CHUNK), offset)
            except OSError as error:
                self.problems.append(
                    _("Cannot read the disk at byte {offset}: {reason}.").format(
                        offset=offset, reason=os.strerror(error.errno or 0)
                    )
                )
                break
            if not data:
                break
            parts.append(data)
            offset += len(data)
            length -= len(data)
        return b"".join(parts)

    def ranges(self) -> list[tuple[int, int]]:
        """What was read and both edges of the disk, merged: pairs of first byte and byte after the last."""
        edges = {(0, min(EDGE, self.size)), (max(0, self.size - EDGE), self.size)}
        merged: list[tuple[int, int]] = []
        for start, end in sorted(self._visited | edges):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    def write_table_copy(self, copy: Path) -> None:
        """Make the table copy (see the module) at `copy`, which must not exist yet.

        Raises OSError where the file system of `copy` has no room for it or for a file of this size.
        """
        fd = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(fd, self.size)
            for start, end in self.ranges():
                for offset in range(start, end, CHUNK):
                    data = self._pread(offset, min(CHUNK, end - offset))
                    if data.strip(b"\0"):
                        os.pwrite(fd, data, offset)
        finally:
            os.close(fd)


def length(view: Path) -> int:
    """Bytes of a file or block device; raises `SalvageError` when it cannot be opened."""
    fd = opened(view)
    try:
        return os.lseek(fd, 0, os.SEEK_END)
    finally:
        os.close(fd)


def opened(view: Path) -> int:
    """A descriptor that reads `view`, a file or block device; raises `SalvageError` where it cannot."""
    try:
        fd = os.open(view, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        mode = os.fstat(fd).st_mode
        if stat.S_ISBLK(mode):
            return with_medium(fd, view)
    except OSError as error:
        raise _unopened(view, os.strerror(error.errno or 0)) from error
    if not stat.S_ISREG(mode):
        os.close(fd)
        raise _unopened(view, _("neither a file nor a block device"))
    return fd


def _unopened(view: Path, reason: str) -> SalvageError:
    return SalvageError(
        _("Cannot open {path} for reading: {reason}.").format(path=safe(view), reason=reason),
        _("Nothing was changed."),
    )
