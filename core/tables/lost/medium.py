"""The disk under the search: what of it holds data, and reading on past what cannot be read."""

import errno
import os
from collections.abc import Iterator

SECTOR = 512
STEP = 1 << 20
"""Bytes of one block of the sweep: enough for the disk, and little enough for a processor's cache."""
_RETRY = 64 << 10
"""Bytes that are read at once where a whole block fails."""
MOST = 4 << 20
"""Bytes that one look at a place reads at most."""


class Medium:
    """A disk of `size` bytes open as `fd`; several threads may read at the same time."""

    def __init__(self, fd: int, size: int) -> None:
        self.fd = fd
        self.size = size
        self.unreadable = 0
        """Bytes that could not be read so far."""

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`; fewer at the end and where the medium fails."""
        length = min(length, self.size - offset, MOST)
        if offset < 0 or length <= 0:
            return b""
        try:
            return os.pread(self.fd, length, offset)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return b""

    def fill(self, block: bytearray, offset: int, length: int) -> None:
        """Read `length` bytes from `offset` into `block`; what cannot be read becomes zeros."""
        view = memoryview(block)
        done = 0
        while done < length:
            try:
                count = os.preadv(self.fd, [view[done:length]], offset + done)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                self._piecewise(view[done:length], offset + done)
                return
            if not count:
                view[done:length] = bytes(length - done)
                return
            done += count

    def _piecewise(self, view: memoryview, offset: int) -> None:
        for place in range(0, len(view), _RETRY):
            piece = view[place : place + _RETRY]
            try:
                count = os.preadv(self.fd, [piece], offset + place)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                count = 0
                self.unreadable += len(piece)
            piece[count:] = bytes(len(piece) - count)

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Places and lengths of the blocks that hold data, whole sectors, from the first to the last.

        Holes are skipped where the file system, or the export of an image, can tell them: lseek(2).
        """
        end = self.size // SECTOR * SECTOR
        for first, last in self._data(end):
            for place in range(first, last, STEP):
                yield place, min(STEP, last - place)

    def _data(self, end: int) -> Iterator[tuple[int, int]]:
        place = 0
        while place < end:
            try:
                first = os.lseek(self.fd, place, os.SEEK_DATA)
                last = os.lseek(self.fd, first, os.SEEK_HOLE)
            except OSError as error:
                if error.errno != errno.ENXIO:  # block devices and some exports cannot tell
                    yield place, end
                return
            first = max(place, first // SECTOR * SECTOR)
            last = min(end, -(-last // SECTOR) * SECTOR)
            if first < last:
                yield first, last
            place = max(last, place + SECTOR)
