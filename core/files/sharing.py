"""Files of the guest that share blocks (reflinks) share them in the target too, where it can: FIDEDUPERANGE.

The kernel compares the bytes itself before it lets two files share them, see ioctl_fideduperange(2).
"""

import errno
import fcntl
import os
import struct
from contextlib import suppress

from core.files.bad import extents
from core.files.trail import SEARCH, descend

_FIDEDUPERANGE = 0xC0189436
_RANGE = struct.Struct("=QQHHIqQQiI")
_AT_ONCE = 16 << 20
"""Bytes of one call: btrfs takes no more."""
_MOST = 100_000


class Sharing:
    """Remembers where shared blocks were brought to first."""

    def __init__(self, root: int) -> None:
        """`root` is the target's folder; it stays the caller's."""
        self._root = root
        self._first: dict[tuple[int, int], tuple[bytes, int]] = {}

    def bring(self, source: int, target: int, path: bytes) -> None:
        """The open file `source` was written to the open file `target`, called `path` below the folder.

        What cannot be shared is there all the same.
        """
        with suppress(OSError):
            for extent in extents(source):
                if not extent.shared:
                    continue
                key = (extent.physical, extent.length)
                first = self._first.get(key)
                if first is not None:
                    self._join(first, target, extent.logical, extent.length)
                elif len(self._first) < _MOST:
                    self._first[key] = (path, extent.logical)

    def _join(self, first: tuple[bytes, int], target: int, at: int, length: int) -> None:
        path, start = first
        above, _slash, name = path.rpartition(b"/")
        folder = descend(self._root, above, SEARCH)
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        finally:
            os.close(folder)
        try:
            length = min(length, os.fstat(fd).st_size - start, os.fstat(target).st_size - at)
            for done in range(0, length, _AT_ONCE):
                count = min(_AT_ONCE, length - done)
                request = _RANGE.pack(start + done, count, 1, 0, 0, target, at + done, 0, 0, 0)
                status = _RANGE.unpack(fcntl.ioctl(fd, _FIDEDUPERANGE, request))[8]
                if status:
                    raise OSError(abs(status) if status < 0 else errno.EINVAL, "not shared")
        finally:
            os.close(fd)
