"""A daemon of this program's own: serves a disk that QEMU does not read over a Unix socket, read-only.

It speaks as much of the NBD protocol as QEMU's client asks of it: fixed newstyle handshake, simple replies.
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
from typing import Protocol

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
_FLAGS = 1 | 2 | 1 << 8
"""Has flags, is read-only, may be opened more than once."""
_REQUEST, _SIMPLE = 0x25609513, 0x67446698
_READ, _DISCONNECT, _FLUSH = 0, 2, 3
_EPERM, _EIO, _EINVAL = 1, 5, 22
_LONGEST = 32 << 20
"""Bytes of one read: what a client may ask for without having asked first."""
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


class _Over(Exception):
    """The client is gone or said good-bye."""


class Client:
    """One connection."""

    def __init__(self, peer: socket.socket, disk: Disk) -> None:
        self._peer = peer
        self._disk = disk

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
        found = b""
        while len(found) < count:
            piece = self._peer.recv(count - len(found))
            if not piece:
                raise _Over
            found += piece
        return found

    def _greet(self) -> None:
        self._peer.sendall(_MAGIC + _OPTION + struct.pack(">H", _FIXED_NEWSTYLE | _NO_ZEROES))
        (flags,) = struct.unpack(">I", self._take(4))
        facts = struct.pack(">QH", self._disk.size, _FLAGS)
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
        data, error = b"", 0
        if kind == _READ:
            data, error = self._read(start, length)
        elif kind != _FLUSH:
            error = _EPERM
            if kind == 1:
                raise _Over  # a write brings its data along: nobody who was told the flags sends one
        self._peer.sendall(struct.pack(">IIQ", _SIMPLE, error, cookie) + data)

    def _read(self, start: int, length: int) -> tuple[bytes, int]:
        if length > _LONGEST or start + length > self._disk.size:
            return b"", _EINVAL
        try:
            return bytes(self._disk.read(start, start + length)), 0
        except OSError:
            return b"", _EIO


def opened(description: str) -> Disk:
    """The disk that a description in JSON names, see `core.disks.front` and `core.volumes.md.reckoned`."""
    told = json.loads(description)
    if "array" in told:
        from core.volumes.md.reckoned import from_description

        return from_description(told["array"])
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
