"""A few pieces of each large file, remembered while it is written.

Reading a large file back takes as long as copying it. Where there is no time for that, these pieces are
compared with what the medium gives.
"""

import os
import random
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from core.files.content import CHUNK

LARGE = 16 << 20
"""Bytes; smaller files are read back whole or not at all."""
_WANTED = 8
_MOST = 32
"""Pieces of one file: about so many, and never more than that."""


class Sample(NamedTuple):
    """Where a piece lies in its file, how long it is, in bytes, and its CRC-32."""

    start: int
    length: int
    checksum: int


class Sampler:
    """Remembers pieces of one file, chosen by chance."""

    def __init__(self, allocated: int) -> None:
        """`allocated` is how many bytes of the file are data and not holes."""
        self._share = _WANTED * CHUNK / max(allocated, CHUNK)
        self.taken: list[Sample] = []

    def note(self, start: int, piece: memoryview) -> None:
        """This piece was written."""
        if len(self.taken) < _MOST and random.random() < self._share:
            self.taken.append(Sample(start, len(piece), zlib.crc32(piece)))


def are_there(fd: int, samples: Sequence[Sample], buffer: memoryview) -> bool:
    """Whether the open file gives those pieces; what it cannot give it has not."""
    for start, length, checksum in samples:
        try:
            count = os.preadv(fd, [buffer[:length]], start)
        except OSError:
            return False
        if count < length or zlib.crc32(buffer[:length]) != checksum:
            return False
    return True
