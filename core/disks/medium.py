"""Reading and writing past the page cache: what is compared comes from the medium.

A file opened with O_DIRECT is written to the drive and read back from it, see open(2). Where a file
system has no such thing, a piece is flushed and dropped from the page cache before it is read
(fdatasync(2), posix_fadvise(2)); a file system that lives in memory then answers from there.
"""

import contextlib
import ctypes
import errno
import mmap
import os
import threading
from collections.abc import Iterator
from pathlib import Path

CHUNK = 8 << 20
"""Bytes that are read at once."""
BLOCK = 4096
"""Bytes: direct reads and writes begin and end at multiples of it, on every medium that there is."""
GRAIN = 64 << 10
"""Bytes of zeros that become a hole."""
_NEAR = 1 << 20
"""A hole shorter than this is read like data: many small requests cost more than its zeros."""

_compare = ctypes.CDLL(None).memcmp  # lets the interpreter lock go: for large pieces
_compare.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_compare_quickly = ctypes.PyDLL(None).memcmp  # keeps it: for what differs at once, mostly
_compare_quickly.argtypes = _compare.argtypes


class Buffer:
    """Memory at the start of a page, as direct reads and writes want it.

    In huge pages where the kernel has them: a request then goes to the drive in few large pieces, which
    doubles the rate of some.
    """

    def __init__(self, size: int = CHUNK) -> None:
        self.memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with contextlib.suppress(OSError):
            self.memory.madvise(mmap.MADV_HUGEPAGE)
        self.view = memoryview(self.memory)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))

    def blank(self, start: int, end: int) -> None:
        """Fill a stretch with zeros."""
        ctypes.memset(self.address + start, 0, max(0, end - start))

    def same(self, other: "Buffer", count: int) -> bool:
        return not _compare(self.address, other.address, count)

    def is_zero(self, count: int) -> bool:
        return not _compare(self.address, ZEROS.address, count)

    def differing(self, other: "Buffer", count: int) -> int:
        """Bytes in the grains that differ."""
        lengths = ((at, min(GRAIN, count - at)) for at in range(0, count, GRAIN))
        return sum(
            length
            for at, length in lengths
            if _compare_quickly(self.address + at, other.address + at, length)
        )

    def runs(self, count: int) -> Iterator[tuple[int, int]]:
        """The stretches that are not zero, at a granularity of `GRAIN`."""
        start: int | None = None
        for at in range(0, count, GRAIN):
            length = min(GRAIN, count - at)
            if _compare_quickly(self.address + at, ZEROS.address, length):
                start = at if start is None else start
            elif start is not None:
                yield start, at
                start = None
        if start is not None:
            yield start, count


ZEROS = Buffer()


class Medium:
    """A regular file opened for reading and writing, written through to its medium. Closed by `close`."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd
        self._direct = open_direct(fd, os.O_RDWR)
        self._local = threading.local()

    def close(self) -> None:
        for fd in {self.fd, self._direct} - {-1}:
            os.close(fd)

    def put(self, piece: Buffer, offset: int, count: int) -> bool:
        """Write what is not zero and read all of it back; whether it is the same. For any thread.

        Raises OSError.
        """
        direct = self._direct >= 0 and offset % BLOCK == 0
        for start, end in piece.runs(count):
            whole = start + (end - start) // BLOCK * BLOCK if direct else start
            self._write(self._direct, piece.view[start:whole], offset + start)
            self._write(self.fd, piece.view[whole:end], offset + whole)
        back = self._scratch()
        self.get(back, offset, count)
        return back.same(piece, count)

    def clear(self, offset: int, count: int) -> None:
        """Write zeros over a stretch."""
        for at in range(offset, offset + count, CHUNK):
            self._write(self.fd, ZEROS.view[: min(CHUNK, offset + count - at)], at)

    def get(self, into: Buffer, offset: int, count: int) -> None:
        """Fill the buffer with `count` bytes as the medium has them; raises OSError."""
        aligned = offset % BLOCK == 0 and self._direct >= 0
        whole = count // BLOCK * BLOCK if aligned else 0
        if whole:
            _fill(self._direct, into, 0, offset, whole)
        if whole < count:
            os.fdatasync(self.fd)
            start = (offset + whole) // BLOCK * BLOCK
            os.posix_fadvise(self.fd, start, offset + count - start, os.POSIX_FADV_DONTNEED)
            _fill(self.fd, into, whole, offset + whole, count - whole)

    def _scratch(self) -> Buffer:
        try:
            found: Buffer = self._local.buffer
        except AttributeError:
            found = self._local.buffer = Buffer()
        return found

    @staticmethod
    def _write(fd: int, data: memoryview, offset: int) -> None:
        while data:
            done = os.pwrite(fd, data, offset)
            data, offset = data[done:], offset + done


def _fill(fd: int, into: Buffer, at: int, offset: int, count: int) -> None:
    end = at + count
    while at < end:
        done = os.preadv(fd, [into.view[at:end]], offset)
        if done == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        at, offset = at + done, offset + done


def open_direct(fd: int, flags: int) -> int:
    """The open file once more, past the page cache; -1 where its file system has no such thing."""
    try:
        again = os.open(f"/proc/self/fd/{fd}", flags | os.O_DIRECT | os.O_CLOEXEC)
    except OSError:
        return -1
    try:
        os.preadv(again, [_PROBE.view[:BLOCK]], 0)
    except OSError as error:
        if error.errno == errno.EINVAL:
            os.close(again)
            return -1
    return again


_PROBE = Buffer(BLOCK)
"""Taken for the first read of a file, which only tells whether it may be read so."""


def extents(fd: int, start: int, size: int) -> Iterator[tuple[int, int, bool]]:
    """The stretches of data and holes of a file from `start` on: lseek(2), SEEK_DATA and SEEK_HOLE.

    They begin at multiples of `BLOCK`, and short holes belong to the data around them.
    """
    at = start
    begun: int | None = None  # of the data that was found last
    for data, hole in _data(fd, start, size):
        data = max(at, data // BLOCK * BLOCK)
        hole = min(size, -(-hole // BLOCK) * BLOCK)
        if begun is not None and data - at >= _NEAR:
            yield begun, at, True
            begun = None
        if begun is None:
            if data > at:
                yield at, data, False
            begun = data
        at = max(at, hole)
    if begun is not None:
        yield begun, at, True
    if at < size:
        yield at, size, False


def _data(fd: int, at: int, size: int) -> Iterator[tuple[int, int]]:
    while at < size:
        try:
            data = os.lseek(fd, at, os.SEEK_DATA)
            hole = os.lseek(fd, data, os.SEEK_HOLE)
        except OSError as error:
            # ENXIO: nothing but a hole follows; anything else: a device or file system without them
            if error.errno != errno.ENXIO:
                yield at, size
            return
        yield data, hole
        at = hole
