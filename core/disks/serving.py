"""A daemon of this program's own: serves a disk that QEMU does not read over a Unix socket.

Read-only, but for a RAID that lies on an overlay. It speaks as much of the NBD protocol as QEMU's client
asks of it: fixed newstyle handshake, simple replies.
Facts from the NBD project's doc/proto.md; numbers are big-endian.
"""

import argparse
import json
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

from core.disks.cow import CowReader
from core.disks.header import Source
from core.disks.stretches import Layered, Reader
from core.disks.vdi import VdiReader
from core.disks.vhd import DifferenceReader
from core.disks.vhdx import VhdxReader

_MAGIC, _OPTION = b"NBDMAGIC", b"IHAVEOPT"
_FIXED_NEWSTYLE, _NO_ZEROES = 1, 2
_EXPORT_NAME, _ABORT, _INFO, _GO = 1, 2, 6, 7
_REPLY = 0x3E889045565A9
_ACK, _TOLD, _UNSUPPORTED = 1, 3, (1 << 31) + 1
_FLAGS, _READ_ONLY, _SEND_FLUSH = 1 | 1 << 8, 1 << 1, 1 << 2
"""Has flags, and what is written by one connection is seen by all."""
_REQUEST, _SIMPLE = 0x25609513, 0x67446698
_READ, _WRITE, _DISCONNECT, _FLUSH = 0, 1, 2, 3
_EPERM, _EIO, _EINVAL, _ENOSPC = 1, 5, 22, 28
_LONGEST = 32 << 20
"""Bytes of one read or write: what a client may ask for without having asked first."""
_MOST_OPTION = 4096
READERS: dict[str, Callable[[Source], Reader]] = {
    "cow": CowReader,
    "vhd": DifferenceReader,
    "vhdx": VhdxReader,
    "vdi": VdiReader,
}


class Disk(Protocol):
    """What is served."""

    @property
    def size(self) -> int:
        """Bytes of the disk."""
        ...

    def read(self, start: int, end: int) -> bytes | bytearray:
        """The bytes between two places; raises OSError where they cannot be read."""
        ...


@runtime_checkable
class WritableDisk(Disk, Protocol):
    """What is served for writing too."""

    def write(self, start: int, data: bytes) -> None:
        """Write all of the data; raises OSError where that fails."""
        ...

    def flush(self) -> None:
        """Bring all that was written to the medium; raises OSError where that fails."""
        ...


class _Over(Exception):
    """The client is gone or said good-bye."""


class Client:
    """One connection."""

    def __init__(self, peer: socket.socket, disk: Disk) -> None:
        self._peer = peer
        self._disk = disk
        self._target = disk if isinstance(disk, WritableDisk) else None

    def serve(self) -> None:
        """Answer until the client goes."""
        try:
            with self._peer:
                self._greet()
                while True:
                    self._answer()
        except (_Over, OSError):
            return

    def _take(self, count: int) -> bytes:
        found, done = bytearray(count), 0
        while done < count:
            more = self._peer.recv_into(memoryview(found)[done:])
            if not more:
                raise _Over
            done += more
        return bytes(found)

    def _put(self, head: bytes, data: bytes | bytearray) -> None:
        sent = self._peer.sendmsg([head, data])
        if sent < len(head) + len(data):
            self._peer.sendall(head[sent:])
            self._peer.sendall(memoryview(data)[max(0, sent - len(head)) :])

    def _greet(self) -> None:
        self._peer.sendall(_MAGIC + _OPTION + struct.pack(">H", _FIXED_NEWSTYLE | _NO_ZEROES))
        (flags,) = struct.unpack(">I", self._take(4))
        can = _SEND_FLUSH if self._target else _READ_ONLY
        facts = struct.pack(">QH", self._disk.size, _FLAGS | can)
        while True:
            magic, option, length = struct.unpack(">8sII", self._take(16))
            if magic != _OPTION or length > _MOST_OPTION:
                raise _Over
            self._take(length)
            if option == _EXPORT_NAME:
                self._peer.sendall(facts + (b"" if flags & _NO_ZEROES else bytes(124)))
                return
            if option in (_INFO, _GO):
                self._reply(option, _TOLD, struct.pack(">H", 0) + facts)
                self._reply(option, _ACK)
                if option == _GO:
                    return
            elif option == _ABORT:
                self._reply(option, _ACK)
                raise _Over
            else:
                self._reply(option, _UNSUPPORTED)

    def _reply(self, option: int, kind: int, data: bytes = b"") -> None:
        self._peer.sendall(struct.pack(">QIII", _REPLY, option, kind, len(data)) + data)

    def _answer(self) -> None:
        magic, _flags, kind, cookie, start, length = struct.unpack(">IHHQQI", self._take(28))
        if magic != _REQUEST or kind == _DISCONNECT:
            raise _Over
        data, error = self._done(kind, start, length)
        self._put(struct.pack(">IIQ", _SIMPLE, error, cookie), data)

    def _done(self, kind: int, start: int, length: int) -> tuple[bytes | bytearray, int]:
        """What a request gives: data, and a number of an error or 0."""
        if kind == _WRITE and length > _LONGEST:
            raise _Over  # nothing tells where the next request begins but all of its data
        given = self._take(length) if kind == _WRITE else b""
        try:
            if kind == _READ:
                if length > _LONGEST or start + length > self._disk.size:
                    return b"", _EINVAL
                return self._disk.read(start, start + length), 0
            if kind == _WRITE and self._target:
                if start + length > self._disk.size:
                    return b"", _ENOSPC
                self._target.write(start, given)
            elif kind != _FLUSH:
                return b"", _EPERM
            elif self._target:
                self._target.flush()
        except OSError:
            return b"", _EIO
        return b"", 0


def opened(description: str) -> Disk:
    """The disk that a description in JSON names, see `core.disks.front` and `core.volumes.parity.daemon`."""
    told = json.loads(description)
    if "raid" in told:
        from core.volumes.parity.daemon import from_description

        return from_description(told["raid"])
    layers: list[tuple[Source, Reader]] = []
    for link in told["links"]:
        source = Source(Path(link["path"]))
        os.set_blocking(source.fd, True)
        layers.append((source, READERS[link["reader"]](source)))
    below = Source(Path(told["below"]["path"])) if told["below"] else None
    return Layered(layers, below, told["below"]["size"] if told["below"] else 0)


def main() -> int:
    """Serve until a signal ends it; the socket's folder is the session's own."""
    parser = argparse.ArgumentParser(prog="core.disks.serving")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--pid-file", type=Path, required=True)
    parser.add_argument("description")
    options = parser.parse_args()
    disk = opened(options.description)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(options.socket))
        listening.listen()
        options.pid_file.write_text(f"{os.getpid()}\n")
        while True:
            peer, _address = listening.accept()
            threading.Thread(target=Client(peer, disk).serve, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
