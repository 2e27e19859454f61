"""The daemon of this program's own as a client of its protocol sees it. QEMU as one has tests elsewhere."""

import errno
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from core.disks.serving import Client, Disk

SIZE = 1 << 20
READ, WRITE, DISCONNECT, FLUSH, TRIM = 0, 1, 2, 3, 4
EPERM, EIO, EINVAL, ENOSPC = 1, 5, 22, 28


class ReadOnly:
    """Bytes that can be read, but for the last sector."""

    def __init__(self) -> None:
        self.size = SIZE
        self.bytes = bytearray(range(256)) * (SIZE // 256)

    def read(self, start: int, end: int) -> bytes:
        if end > SIZE - 512:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        return bytes(self.bytes[start:end])


class Writable(ReadOnly):
    """The same for writing."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed = 0

    def write(self, start: int, data: bytes) -> None:
        if start + len(data) > SIZE - 512:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        self.bytes[start : start + len(data)] = data

    def flush(self) -> None:
        self.flushed += 1
        if self.flushed > 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


class Peer:
    """A client."""

    def __init__(self, line: socket.socket) -> None:
        self.line = line
        assert self.take(18)[:16] == b"NBDMAGICIHAVEOPT"
        line.sendall(struct.pack(">I8sII", 3, b"IHAVEOPT", 1, 0))
        self.size, self.flags = struct.unpack(">QH", self.take(10))

    def take(self, count: int) -> bytes:
        found = b""
        while len(found) < count and (piece := self.line.recv(count - len(found))):
            found += piece
        return found

    def ask(self, kind: int, start: int, length: int, data: bytes = b"") -> int:
        """The number of the error; 0 for none."""
        self.line.sendall(struct.pack(">IHHQQI", 0x25609513, 0, kind, 77, start, length) + data)
        magic, error, cookie = struct.unpack(">IIQ", self.take(16))
        assert (magic, cookie) == (0x67446698, 77)
        return int(error)

    def read(self, start: int, length: int) -> bytes:
        assert self.ask(READ, start, length) == 0
        return self.take(length)


@contextmanager
def served(disk: Disk) -> Iterator[Peer]:
    ours, theirs = socket.socketpair()
    with ours:
        ours.settimeout(20)
        thread = threading.Thread(target=Client(theirs, disk).serve)
        thread.start()
        yield Peer(ours)
        ours.close()
        thread.join(20)
        assert not thread.is_alive()


def test_a_read_only_disk_says_so_and_refuses_writes() -> None:
    disk = ReadOnly()
    with served(disk) as peer:
        assert peer.size == SIZE
        assert peer.flags & 0b111 == 0b011
        assert peer.ask(WRITE, 0, 512, b"x" * 512) == EPERM
        assert peer.ask(TRIM, 0, 512) == EPERM
        assert peer.ask(FLUSH, 0, 0) == 0
        assert peer.read(0, 512) == bytes(range(256)) * 2


def test_a_writable_disk_takes_writes_and_flushes() -> None:
    disk = Writable()
    with served(disk) as peer:
        assert peer.flags & 0b1111 == 0b0101  # flushes, and writes through at no request's wish
        data = os.urandom(300_000)
        assert peer.ask(WRITE, 1000, len(data), data) == 0
        assert peer.read(1000, len(data)) == data == disk.bytes[1000:][: len(data)]
        assert peer.ask(TRIM, 0, 512) == EPERM
        assert peer.ask(FLUSH, 0, 0) == 0
        assert disk.flushed == 1


def test_what_fails_below_is_an_error_and_the_connection_goes_on() -> None:
    with served(Writable()) as peer:
        assert peer.ask(READ, SIZE - 512, 512) == EIO
        assert peer.ask(WRITE, SIZE - 512, 512, b"x" * 512) == EIO
        assert [peer.ask(FLUSH, 0, 0), peer.ask(FLUSH, 0, 0)] == [0, EIO]
        assert peer.ask(READ, SIZE - 512, 1024) == EINVAL
        assert peer.ask(WRITE, SIZE - 512, 1024, b"x" * 1024) == ENOSPC
        assert peer.read(256, 256) == bytes(range(256))


@pytest.mark.parametrize("disk", [ReadOnly(), Writable()])
def test_a_write_that_is_too_long_ends_the_connection(disk: ReadOnly) -> None:
    with served(disk) as peer:
        peer.line.sendall(struct.pack(">IHHQQI", 0x25609513, 0, WRITE, 1, 0, (32 << 20) + 1))
        assert peer.take(1) == b""


def test_a_client_that_goes_in_the_midst_of_a_write_changes_nothing() -> None:
    disk = Writable()
    before = bytes(disk.bytes)
    with served(disk) as peer:
        peer.line.sendall(struct.pack(">IHHQQI", 0x25609513, 0, WRITE, 1, 0, 4096) + b"half")
    assert disk.bytes == before
