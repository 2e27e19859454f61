"""Bytes that can be read at any place: a disk, a part of one, or what is put together from several."""

from collections.abc import Callable
from typing import Protocol

_PIECE = 4 << 20


class Readable(Protocol):
    """Reading beyond its end, or where the medium fails, gives fewer bytes than asked."""

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`."""
        ...


class Window:
    """The `size` bytes of another from `begin`."""

    def __init__(self, source: Readable, begin: int, size: int) -> None:
        self._source, self._begin, self.size = source, begin, size

    def read(self, offset: int, length: int) -> bytes:
        length = min(length, self.size - offset)
        return self._source.read(self._begin + offset, length) if offset >= 0 and length > 0 else b""


class Nothing:
    """No bytes at all."""

    def read(self, offset: int, length: int) -> bytes:
        return b""


def in_pieces(piece: Callable[[int, int], bytes], offset: int, length: int, size: int) -> bytes:
    """At most `length` bytes from `offset` of what is `size` bytes long.

    `piece` gives some of the bytes from an offset on, none where they are not to be had.
    """
    parts = []
    while length > 0 and 0 <= offset < size:
        data = piece(offset, min(length, _PIECE, size - offset))
        if not data:
            break
        parts.append(data)
        offset, length = offset + len(data), length - len(data)
    return parts[0] if len(parts) == 1 else b"".join(parts)
