"""Places of a volume that cannot be read, and which files lie there: FIEMAP, see fiemap.rst of the kernel.

ext4 and XFS answer with bytes on the device; btrfs with addresses of its own, which agree with each other
but not with a map of the disk.
"""

import errno
import fcntl
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.files.content import Gap

_FIEMAP = 0xC020660B
_HEAD = struct.Struct("=QQIIII")
_EXTENT = struct.Struct("=QQQQQI12s")
_AT_ONCE = 64
_MOST = 65_536
_LAST = 0x1
_NOWHERE = 0x2 | 0x4 | 0x200  # unknown, delayed allocation, inside of the inode
_SHARED = 0x2000
_AROUND = 1 << 20
"""Bytes on each side of a bad place in which others are expected."""
_NOT_HERE = frozenset({errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


@dataclass(frozen=True, slots=True)
class Extent:
    """A stretch of a file and where it lies, in bytes."""

    logical: int
    physical: int
    length: int
    shared: bool


def extents(fd: int, start: int = 0, length: int = (1 << 64) - 1) -> Iterator[Extent]:
    """Where an open file lies on its volume; nothing where the file system does not tell. Raises OSError."""
    end = min(start + length, (1 << 64) - 1)
    for _round in range(_MOST // _AT_ONCE):
        request = bytearray(_HEAD.size + _AT_ONCE * _EXTENT.size)
        _HEAD.pack_into(request, 0, start, end - start, 0, 0, _AT_ONCE, 0)
        try:
            fcntl.ioctl(fd, _FIEMAP, request)
        except OSError as error:
            if error.errno in _NOT_HERE:
                return
            raise
        count = _HEAD.unpack_from(request)[3]
        for index in range(count):
            logical, physical, size, _one, _two, flags, _three = _EXTENT.unpack_from(
                request, _HEAD.size + index * _EXTENT.size
            )
            if not flags & _NOWHERE:
                yield Extent(logical, physical, size, bool(flags & _SHARED))
            start = logical + size
            if flags & _LAST:
                return
        if not count or start >= end:
            return


class BadPlaces:
    """What is known of a volume's bad places: told beforehand, or met while it was read."""

    def __init__(self, known: Sequence[tuple[int, int]]) -> None:
        self._known = sorted(known)
        self._met: list[tuple[int, int]] = []

    def __bool__(self) -> bool:
        return bool(self._known or self._met)

    def threatens(self, fd: int) -> bool:
        """Whether an open file lies at or beside a bad place. Raises OSError."""
        areas = self._known + self._met
        return any(_common(extent, areas) for extent in extents(fd))

    def known_of(self, fd: int) -> int:
        """Bytes of an open file that were known to be unreadable beforehand. Raises OSError."""
        if not self._known:
            return 0
        return sum(_common(extent, self._known) for extent in extents(fd))

    def learn(self, fd: int, gaps: Sequence[Gap]) -> None:
        """An open file could not be read there: what lies around is expected to be bad too."""
        for gap in gaps:
            for extent in extents(fd, gap.start, gap.end - gap.start):
                start = extent.physical + max(0, gap.start - extent.logical)
                end = extent.physical + min(extent.length, gap.end - extent.logical)
                self._add(start - _AROUND, end + _AROUND)

    def _add(self, start: int, end: int) -> None:
        joined: list[tuple[int, int]] = []
        for one, other in sorted([*self._met, (start, end)]):
            if joined and one <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(other, joined[-1][1]))
            else:
                joined.append((one, other))
        self._met = joined


def _common(extent: Extent, areas: Sequence[tuple[int, int]]) -> int:
    start, end = extent.physical, extent.physical + extent.length
    return sum(max(0, min(end, stop) - max(start, begin)) for begin, stop in areas)
