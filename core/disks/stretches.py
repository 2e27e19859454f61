"""A disk put together from stretches of files, for formats that QEMU does not read."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.disks.header import Source

ZEROS = -1


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes of the disk that lie together, at `offset` of the own file.

    None: in what is below; `ZEROS`: nowhere, they are zeros whatever is below.
    """

    length: int
    offset: int | None


class Reader(Protocol):
    """Knows where each stretch of a disk lies."""

    size: int
    """Bytes of the disk."""

    def stretches(self, start: int, end: int) -> Iterator[Stretch]:
        """What lies between two bytes of the disk, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Layered:
    """Images over each other, the top one first, over a file that is the disk itself from its first byte."""

    layers: Sequence[tuple[Source, Reader]]
    below: Source | None
    """None: what is in no layer reads as zeros."""
    below_size: int = 0
    """Bytes of that file that are the disk."""

    @property
    def size(self) -> int:
        return self.layers[0][1].size

    def read(self, start: int, end: int) -> bytearray:
        """The bytes of the disk between two places. Raises OSError where a file cannot be read."""
        into = bytearray(end - start)
        self._fill(memoryview(into), start, end, 0)
        return into

    def _fill(self, into: memoryview, start: int, end: int, depth: int) -> None:
        if depth == len(self.layers):
            stop = min(end, self.below_size)
            if self.below and stop > start:
                _pread(self.below.fd, into[: stop - start], start)
            return
        source, reader = self.layers[depth]
        if start >= reader.size:
            return  # what the disk below had less of
        at = start
        for stretch in reader.stretches(start, min(end, reader.size)):
            part = into[at - start : at - start + stretch.length]
            if stretch.offset is None:
                self._fill(part, at, at + stretch.length, depth + 1)
            elif stretch.offset != ZEROS:
                _pread(source.fd, part, stretch.offset)
            at += stretch.length


def _pread(fd: int, into: memoryview, offset: int) -> None:
    """Fill `into` from a file; what lies beyond its end stays zero."""
    done = 0
    while done < len(into):
        count = os.preadv(fd, [into[done:]], offset + done)
        if not count:
            return
        done += count
