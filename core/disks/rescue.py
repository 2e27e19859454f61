"""What a dying medium did not give at once, asked for again: in small pieces, then sector by sector.

The idea is that of GNU ddrescue: first all that is easy, then the edges of what is not, each sector by
itself, and at last a few more tries of what stayed bad. `ddrescue` itself is not run: what it writes is
not compared with what it read, and a second program would fight with us for the copy. The map that stays
beside the copy is in its format, so it can go on where we ended.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from core.cancel import CancelToken
from core.disks.areas import BAD, SKIPPED, UNTRIMMED, Areas, Status
from core.disks.bytecopy import READ_ERRORS, SAVE_AFTER, cannot_read, differs
from core.disks.header import Source
from core.disks.medium import BLOCK, GRAIN, Buffer, Medium, open_direct
from core.files.progress import Meter

_SECTOR = 512
_RETRIES = 2


@dataclass(frozen=True, slots=True)
class Patch:
    """A piece that was read after the first pass; until then the copy had zeros there."""

    offset: int
    length: int
    digest: str


class Rescue:
    """The later passes over what the first one left out."""

    def __init__(
        self, source: Source, medium: Medium, areas: Areas, cancel: CancelToken, meter: Meter
    ) -> None:
        self._source = source
        self._medium = medium
        self._areas = areas
        self._cancel = cancel
        self._meter = meter
        self.patches: list[Patch] = []
        self.error = os.strerror(5)
        """What the system said last."""
        self._saved = time.monotonic()
        self._buffer = Buffer(GRAIN)

    def run(self, save: Callable[[], None]) -> None:
        """Read what can be read of the areas; what stays is marked as bad.

        `save` is called when areas and patches may be written down. Raises `Cancelled`, OSError for
        errors of the target.
        """
        with _sectors(self._source) as (fd, sector):
            self._pass(fd, SKIPPED, GRAIN, UNTRIMMED, save)
            self._pass(fd, UNTRIMMED, sector, BAD, save)
            for _again in range(_RETRIES):
                self._pass(fd, BAD, sector, BAD, save)
        os.fsync(self._medium.fd)
        save()

    def _pass(self, fd: int, status: Status, step: int, failed: Status, save: Callable[[], None]) -> None:
        for area in self._areas.having(status):
            for at in range(area.start, area.end, step):
                self._cancel.check()
                self._meter.errors = len(self._areas)
                self._meter.add(0)
                count = min(step, area.end - at)
                if self._read(fd, at, count):
                    self._keep(at, count)
                else:
                    self._areas.mark(at, at + count, failed)
                if time.monotonic() - self._saved > SAVE_AFTER:
                    os.fdatasync(self._medium.fd)
                    save()
                    self._saved = time.monotonic()

    def _read(self, fd: int, at: int, count: int) -> bool:
        """Whether all of it came; a last sector may be asked for beyond the end of a file."""
        wanted = -(-count // _SECTOR) * _SECTOR
        got = 0
        while got < count:
            try:
                done = os.preadv(fd, [self._buffer.view[got:wanted]], at + got)
            except OSError as error:
                self.error = error.strerror or str(error)
                if error.errno in READ_ERRORS:
                    return False
                raise cannot_read(self._source, at, self.error) from error
            if done == 0:
                return False
            got += done
        return True

    def _keep(self, at: int, count: int) -> None:
        if not self._medium.put(self._buffer, at, count):
            raise differs(self._source.path)
        self.patches.append(Patch(at, count, hashlib.sha256(self._buffer.view[:count]).hexdigest()))
        self._areas.read(at, at + count)


@contextmanager
def _sectors(source: Source) -> Iterator[tuple[int, int]]:
    """The source for reading single sectors, past the page cache where that goes, and their size."""
    direct = open_direct(source.fd, os.O_RDONLY)
    if direct < 0:
        yield source.fd, BLOCK
        return
    try:
        yield direct, _sector_size(direct)
    finally:
        os.close(direct)


def _sector_size(fd: int) -> int:
    try:
        os.preadv(fd, [Buffer(BLOCK).view[:_SECTOR]], 0)
    except OSError as error:
        return _SECTOR if error.errno in READ_ERRORS else BLOCK
    return _SECTOR
