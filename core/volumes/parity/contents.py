"""The bytes of a RAID with parity, read from and written to what its legs lie in.

What was on a lost leg, or cannot be read from one, is reckoned from the parities, as md does it.
"""

import errno
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from core.volumes.galois import inverse, mixed, power, times
from core.volumes.parity.model import Raid
from core.volumes.raid import Row, parity_place, row_of
from core.volumes.readable import Readable, in_pieces


class Writable(Readable, Protocol):
    """Bytes that can be written too."""

    def write(self, offset: int, data: bytes) -> None:
        """Write all of `data` at `offset`; raises OSError where that fails."""
        ...


class Contents:
    """The bytes of a RAID."""

    def __init__(self, raid: Raid, source: Readable) -> None:
        self._raid, self._source = raid, source

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes; fewer where they are neither there nor can be reckoned."""
        return in_pieces(self._piece, offset, length, self._raid.size)

    def _piece(self, offset: int, most: int) -> bytes:
        raid = self._raid
        chunk, rest = divmod(offset, raid.chunk)
        leg, row = parity_place(raid.kind, chunk, len(raid.legs))
        at, length = row * raid.chunk + rest, min(most, raid.chunk - rest)
        return self._of(leg, at, length) or self._reckoned(leg, at, length)

    def _of(self, leg: int, at: int, length: int) -> bytes:
        """At most so many bytes of a leg; none where it is lost or fails."""
        parts = []
        for offset, size in self._raid.places(leg, at, length):
            try:
                parts.append(self._source.read(offset, size))
            except OSError:
                break
            if len(parts[-1]) < size:
                break
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _reckoned(self, wanted: int, at: int, length: int) -> bytes:
        """Bytes of a leg with data from the others of the row; none where too many of these fail."""
        row = row_of(self._raid.kind, at // self._raid.chunk, len(self._raid.legs))
        read = {leg: self._of(leg, at, length) for leg in row.data if leg != wanted}
        data = {leg: piece for leg, piece in read.items() if len(piece) == length}
        lost = [leg for leg in read if leg not in data]
        first = self._of(row.first, at, length) if len(lost) < 2 else b""
        if not lost and len(first) == length:
            return mixed(first, *data.values())
        second = self._of(row.second, at, length) if row.second is not None and len(lost) < 2 else b""
        if len(second) < length:
            return b""
        rest = mixed(second, *(times(piece, power(row.data[leg])) for leg, piece in data.items()))
        own = power(row.data[wanted])
        if not lost:
            return times(rest, inverse(own))
        if len(first) < length:
            return b""
        other = power(row.data[lost[0]])
        both = mixed(first, *data.values())
        return times(mixed(rest, times(both, other)), inverse(own ^ other))


class WritableContents(Contents):
    """The bytes of a RAID that can be written to, for several threads at once."""

    def __init__(self, raid: Raid, source: Writable) -> None:
        super().__init__(raid, source)
        self._target = source
        self._lock = threading.RLock()
        """Between the writes of data and of its parity nothing can be reckoned from the two."""

    def write(self, offset: int, data: bytes) -> None:
        """Write to the RAID, and keep its parities right; raises OSError where something of that fails."""
        chunk = self._raid.chunk
        view, done = memoryview(data), 0
        while done < len(data):
            at = offset + done
            piece = bytes(view[done : done + chunk - at % chunk])
            with self._lock:
                self._write(at, piece)
            done += len(piece)

    def _reckoned(self, wanted: int, at: int, length: int) -> bytes:
        with self._lock:
            return super()._reckoned(wanted, at, length)

    def _write(self, offset: int, new: bytes) -> None:
        raid = self._raid
        chunk, rest = divmod(offset, raid.chunk)
        leg, number = parity_place(raid.kind, chunk, len(raid.legs))
        row = row_of(raid.kind, number, len(raid.legs))
        at = number * raid.chunk + rest
        old = self.read(offset, len(new))
        change = mixed(_all(old, len(new)), new)
        writes = [(leg, old, new), *self._parities(row, leg, at, change)]
        self._write_all(at, [one for one in writes if raid.legs[one[0]]])

    def _parities(self, row: Row, leg: int, at: int, change: bytes) -> list[tuple[int, bytes, bytes]]:
        """The parities of a row that are there, before and after a change to a leg with data."""
        found = []
        for parity, factor in ((row.first, 1), (row.second, power(row.data[leg]))):
            if parity is not None and self._raid.legs[parity]:
                old = _all(self._of(parity, at, len(change)), len(change))
                found.append((parity, old, mixed(old, times(change, factor))))
        return found

    def _write_all(self, at: int, writes: Sequence[tuple[int, bytes, bytes]]) -> None:
        """Write to legs, each with what was there before: that comes back where one of them fails.

        Parity that fits no more would tell something else of a lost leg.
        """
        for number, (leg, _old, new) in enumerate(writes):
            try:
                self._put(leg, at, new)
            except OSError:
                for again, old, _new in writes[: number + 1]:
                    with suppress(OSError):
                        self._put(again, at, old)
                raise

    def _put(self, leg: int, at: int, data: bytes) -> None:
        done = 0
        for offset, size in self._raid.places(leg, at, len(data)):
            self._target.write(offset, data[done : done + size])
            done += size
        _all(data[:done], len(data))


def _all(data: bytes, length: int) -> bytes:
    if len(data) < length:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return data
