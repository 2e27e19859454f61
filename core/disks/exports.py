"""What a server of NBD offers: the names of its exports.

Asked by ``NBD_OPT_LIST`` of the NBD project's doc/proto.md. Numbers are big-endian; a server may answer that
it does not tell.
"""

import socket
import struct
from urllib.parse import quote

from core.cancel import CancelToken
from core.disks.addresses import PATIENCE, Address, address
from core.disks.knock import knock

_START = struct.Struct(">8s8sH")
_OPTION = struct.Struct(">8sII")
_REPLY = struct.Struct(">QIII")
_LIST, _ABORT = 3, 2
_ACK, _SERVER = 1, 2
_FIXED_NEWSTYLE = 1
_MAGIC = 0x3E889045565A9
_MOST = 1000
_LONGEST = 64 << 10
"""Bytes of one reply."""


def named_exports(given: str, cancel: CancelToken) -> list[str]:
    """The addresses of all that a server of NBD offers, where `given` names none of it; else `given`.

    Raises what `core.disks.addresses.address` and `core.disks.knock.knock` raise.
    """
    found = address(given)
    if found.scheme != "nbd" or found.node["export"]:
        return [given]
    knock(found, cancel)
    start = given.removesuffix("/")
    return [f"{start}/{quote(name, safe='')}" if name else given for name in exports(found)] or [given]


def exports(found: Address) -> list[str]:
    """The names of what a server on the network offers, the unnamed one as an empty text.

    Empty where it does not tell, or wants TLS first. The server must have been reached before, see
    `core.disks.knock`.
    """
    try:
        with socket.create_connection((found.host, found.port), PATIENCE) as peer:
            return _listed(peer)
    except (OSError, ValueError):
        return []


def _listed(peer: socket.socket) -> list[str]:
    magic, kind, flags = _START.unpack(_take(peer, _START.size))
    if (magic, kind) != (b"NBDMAGIC", b"IHAVEOPT") or not flags & _FIXED_NEWSTYLE:
        return []
    peer.sendall(struct.pack(">I", _FIXED_NEWSTYLE) + _OPTION.pack(b"IHAVEOPT", _LIST, 0))
    names: list[str] = []
    while len(names) < _MOST:
        magic, _option, kind, length = _REPLY.unpack(_take(peer, _REPLY.size))
        if magic != _MAGIC or length > _LONGEST:
            break
        data = _take(peer, length)
        if kind != _SERVER:
            break
        (size,) = struct.unpack_from(">I", data)
        names.append(data[4 : 4 + size].decode("utf-8", "surrogateescape"))
    peer.sendall(_OPTION.pack(b"IHAVEOPT", _ABORT, 0))
    return names


def _take(peer: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = peer.recv(count - len(found))
        if not piece:
            raise ValueError("the server hung up")
        found += piece
    return found
