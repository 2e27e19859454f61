"""The bytes of one file: its data, its holes, and what stands in for what cannot be read."""

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from core.files.beside import Beside, Inline

CHUNK = 1 << 20
_BLOCK = 4096
"""After a read that failed, how much is tried at a time: the page size, and a block of most disks."""
_RETRIES = 2
_BREATH, _LONGER = 0.02, 0.3
"""Seconds before a block is tried for the last time: a server may have hung up at the error before. The
longer one is for the first blocks of a place, which would be lost too while it is not back."""
_NEXT = 2 * _BLOCK
_IN_VAIN = 60.0
"""Seconds of waits in a row that brought nothing, after which no more are made: what is lost is lost, and a
whole disk of it shall not take hours longer. Some bad places are waited through by then, each of which a
server that hung up has a good block behind, which comes by a wait."""
_CACHED = 2 << 20
"""At most so much is one piece of the kernel's cache: ext4, XFS and btrfs read and lose it as a whole."""
_FINE = 1 << 16
_SECTOR = 512  # the unit of st_blocks, see inode(7)
_ZEROS = bytes(CHUNK)
_NEW = hashlib.sha256()
"""Copied for each file: OpenSSL looks for the algorithm anew whenever one is made by name."""
_AHEAD = 4 << 20
"""Bytes of a long file that the kernel is asked for before they are read."""
_BEHIND = 8 << 20
"""Bytes after which the kernel is asked to write out what it got."""
_APART = 4 << 20
"""Files of this size and more are hashed beside the writing; below, that costs more than it gains."""

Note = Callable[[int, memoryview], None]
"""Gets each piece that was written, and where in the file it lies."""

ReadAt = Callable[[int, memoryview, int], int]
"""Reads from a descriptor into memory at an offset; how many bytes came. Raises OSError."""


def read_at(fd: int, into: memoryview, offset: int) -> int:
    """preadv(2) into one buffer."""
    return os.preadv(fd, [into], offset)


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes that could not be read: from `start` up to but without `end`."""

    start: int
    end: int
    code: int
    """The error number; 0 where the file ended before its size."""


@dataclass(slots=True, eq=False)
class Patience:
    """Waits before a block is tried once more, as long as that brings anything."""

    _in_vain: float = 0.0

    def wait(self, seconds: float) -> None:
        if self._in_vain < _IN_VAIN:
            self._in_vain += seconds
            time.sleep(seconds)

    def helped(self) -> None:
        """A block came after a wait, or what is read now is not what was waited for in vain."""
        self._in_vain = 0


PATIENCE = Patience()
"""Of all that is read here: a copy of many small files has one, not one for each. It begins anew with each
copy, which may be of another disk, or of this one behind another cable."""


@dataclass(slots=True)
class Content:
    """One open file, read once from its beginning to its end."""

    fd: int
    size: int
    sparse: bool
    buffer: memoryview
    """At least `CHUNK` bytes, lent for as long as the file is read. Who puts another in its place keeps a
    piece that lies in the first for longer."""
    read: ReadAt = read_at
    gaps: list[Gap] = field(default_factory=list)
    got: int = 0
    """Bytes that really came from the file; holes do not count."""
    patience: Patience = PATIENCE

    @classmethod
    def of(cls, fd: int, status: os.stat_result, buffer: memoryview, read: ReadAt = read_at) -> "Content":
        return cls(fd, status.st_size, status.st_blocks * _SECTOR < status.st_size, buffer, read)

    @property
    def nothing_readable(self) -> bool:
        """There were bytes to read and not one came."""
        return bool(self.gaps) and not self.got

    def at_once(self) -> memoryview | None:
        """All of a small file in one read; None for any other, and where that read does not bring it all."""
        if self.sparse or not 0 < self.size <= CHUNK:
            return None
        try:
            count = self.read(self.fd, self.buffer[: self.size], 0)
        except OSError:
            return None
        if count != self.size:
            return None
        self.got = count
        return self.buffer[:count]

    def pieces(self) -> Iterator[memoryview | int]:
        """The file in order: bytes, or a number of zero bytes that need not be written.

        A piece is valid until the next one is asked for. Read errors become `gaps`, filled with zeros.
        """
        if self.size > CHUNK:
            _advise(self.fd)
        if not self.sparse:
            yield from self._data(0, self.size, False)
            return
        position = 0
        for start, end in self._extents():
            if start > position:
                yield from _hole(start - position)
            # One extent over all of a file that has fewer blocks than bytes: the file system does
            # not tell its holes (SEEK_DATA in lseek(2)), so they are looked for.
            yield from self._data(start, end, (start, end) == (0, self.size))
            position = end
        if position < self.size:
            yield from _hole(self.size - position)

    def data_extents(self) -> list[tuple[int, int]] | None:
        """Where data lies, start and end; None where the file system does not tell its holes."""
        found = list(self._extents())
        return None if found == [(0, self.size)] else found

    def _extents(self) -> Iterator[tuple[int, int]]:
        position = 0
        while position < self.size:
            try:
                start = os.lseek(self.fd, position, os.SEEK_DATA)
                end = os.lseek(self.fd, start, os.SEEK_HOLE)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return
                start, end = position, self.size
            if start < position or end <= start:
                start, end = position, self.size
            if start >= self.size:
                return
            end = min(end, self.size)
            yield start, end
            position = end

    def _data(self, start: int, end: int, find_zeros: bool) -> Iterator[memoryview | int]:
        position = asked = start
        while position < end:
            want = min(len(self.buffer), end - position)
            if end - start > CHUNK and asked < end and position >= asked - _AHEAD // 2:
                _ask(self.fd, asked, _AHEAD)
                asked += _AHEAD
            try:
                count = self.read(self.fd, self.buffer[:want], position)
            except OSError:
                yield from self._by_blocks(position, position + want)
                position += want
                continue
            if count == 0:
                self._lose(position, end, 0)
                yield from _hole(end - position)
                return
            self.got += count
            if find_zeros:
                yield from _sifted(self.buffer[:count])
            else:
                yield self.buffer[:count]
            position += count

    def _by_blocks(self, start: int, end: int) -> Iterator[memoryview | int]:
        _singly(self.fd, start, end)
        position = start
        while position < end:
            stop = min(end, position - position % _BLOCK + _BLOCK)
            piece = self.buffer[: stop - position]
            try:
                count = self._again(piece, position)
            except OSError as error:
                self._lose(position, stop, error.errno or errno.EIO)
                yield stop - position
                position = stop
                continue
            if count == 0:
                self._lose(position, stop, 0)
                yield stop - position
                position = stop
                continue
            self.got += count
            yield piece[:count]
            position += count
        if self.size > CHUNK:
            _advise(self.fd)

    def _again(self, piece: memoryview, position: int) -> int:
        """A block of a place that could not be read at once: a few tries, for a medium that is dying.

        One, where a long stretch before it is lost: of a medium that is dead nothing comes by trying. But now
        and then two: a server that hung up at the last bad block would not be waited for to the file's end.
        """
        lost = self.gaps[-1] if self.gaps else None
        before = position - lost.start if lost is not None and lost.end == position else 0
        retries = _RETRIES if before < CHUNK else int(position % _FINE == 0)
        for time_left in reversed(range(retries)):
            try:
                return self.read(self.fd, piece, position)
            except OSError as error:
                failed = error.errno
            _singly(self.fd, position, position + len(piece))  # what was on its way then is in the cache now
            if not time_left and failed == errno.EIO:
                self.patience.wait(_LONGER if before <= _NEXT else _BREATH)
        count = self.read(self.fd, piece, position)
        self.patience.helped()
        return count

    def _lose(self, start: int, end: int, code: int) -> None:
        if self.gaps and self.gaps[-1].end == start and self.gaps[-1].code == code:
            start = self.gaps.pop().start
        self.gaps.append(Gap(start, end, code))


def _advise(fd: int) -> None:
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    except OSError as error:
        # Only a hint: a file system that does not take it reads all the same.
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ESPIPE, errno.EOPNOTSUPP):
            raise


def _singly(fd: int, start: int, end: int) -> None:
    """Let the kernel read page by page from now on, and forget the larger pieces that it has there."""
    first = start - start % _CACHED
    with suppress(OSError):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        os.posix_fadvise(fd, first, end + -end % _CACHED - first, os.POSIX_FADV_DONTNEED)


def _ask(fd: int, start: int, length: int) -> None:
    # The kernel's own window is a few requests wide, which is little for a disk behind a daemon
    with suppress(OSError):
        os.posix_fadvise(fd, start, length, os.POSIX_FADV_WILLNEED)


def _hole(length: int) -> Iterator[int]:
    while length > 0:
        yield min(length, CHUNK)
        length -= CHUNK


def _sifted(piece: memoryview) -> Iterator[memoryview | int]:
    for start in range(0, len(piece), _FINE):
        part = piece[start : start + _FINE]
        if part.tobytes() == _ZEROS[: len(part)]:
            yield len(part)
        else:
            yield part


class Hashed:
    """SHA-256 over the pieces of a file."""

    def __init__(self) -> None:
        self._checksum = _NEW.copy()

    def add(self, piece: memoryview | int) -> None:
        self._checksum.update(memoryview(_ZEROS)[:piece] if isinstance(piece, int) else piece)

    def digest(self) -> str:
        """In hexadecimal."""
        return self._checksum.hexdigest()


def digest(content: Content, tick: Callable[[int], None]) -> str:
    """SHA-256 of the file in hexadecimal; `tick` gets the bytes done."""
    checksum = _NEW.copy()
    for piece in content.pieces():
        if isinstance(piece, int):
            checksum.update(memoryview(_ZEROS)[:piece])
            tick(piece)
        else:
            checksum.update(piece)
            tick(len(piece))
    return checksum.hexdigest()


def write_small(content: Content, target: int) -> bytes | None:
    """Write a small file to the descriptor `target`; SHA-256 of it, None if one read does not bring it all.

    Raises OSError of the target only.
    """
    piece = content.at_once() if content.size else memoryview(b"")
    if piece is None:
        return None
    _write(target, piece, 0)
    checksum = _NEW.copy()
    checksum.update(piece)
    return checksum.digest()


def transfer(content: Content, target: int, tick: Callable[[int], None], note: Note | None = None) -> str:
    """Write the file to the descriptor `target`, holes as holes; SHA-256 of what was written.

    `note` gets the pieces of a file that is not read at once. Raises OSError of the target only.
    """
    checksum = _NEW.copy()
    if (piece := content.at_once()) is not None:
        checksum.update(piece)
        _write(target, piece, 0)
        tick(len(piece))
    elif content.size < _APART:
        _transfer(content, target, tick, Inline(checksum.update), note)
    else:
        with Beside(checksum.update) as hashing:
            _transfer(content, target, tick, hashing, note)
    return checksum.hexdigest()


def _transfer(
    content: Content,
    target: int,
    tick: Callable[[int], None],
    hashing: "Inline | Beside",
    note: Note | None,
) -> None:
    if content.sparse:
        os.ftruncate(target, content.size)
    position = sent = 0
    hole = False
    for piece in content.pieces():
        hashing.add(memoryview(_ZEROS)[:piece] if isinstance(piece, int) else piece)
        if isinstance(piece, int):
            position += piece
            hole = True
            tick(piece)
            continue
        _write(target, piece, position)
        if note:
            note(position, piece)
        position += len(piece)
        if position - sent >= _BEHIND:
            hashing.then(partial(_send, target, sent, position - sent))
            sent = position
        content.buffer = hashing.free(content.buffer, piece)
        tick(len(piece))
    if hole and not content.sparse:
        os.ftruncate(target, position)


def _send(fd: int, start: int, length: int) -> None:
    """Let the kernel begin to write these bytes out, so that little is left to wait for at the end.

    POSIX_FADV_DONTNEED does not wait and does not drop what is not written yet (mm/fadvise.c).
    """
    with suppress(OSError):
        os.posix_fadvise(fd, start, length, os.POSIX_FADV_DONTNEED)


def _write(target: int, piece: memoryview, position: int) -> None:
    while piece:
        count = os.pwrite(target, piece, position)
        piece = piece[count:]
        position += count
