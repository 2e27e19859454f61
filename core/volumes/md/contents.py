"""The bytes of an array, read from what its members lie in."""

from core.volumes.md.model import Array
from core.volumes.parity.contents import Contents as Reckoned
from core.volumes.readable import Readable

_PIECE = 4 << 20


class Contents:
    """The bytes of an array without parity."""

    def __init__(self, array: Array, source: Readable) -> None:
        self._array, self._source = array, source

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes; fewer where they are not there."""
        parts = []
        while length > 0 and 0 <= offset < self._array.size:
            data = self._piece(offset, min(length, _PIECE, self._array.size - offset))
            if not data:
                break
            parts.append(data)
            offset, length = offset + len(data), length - len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _piece(self, offset: int, most: int) -> bytes:
        found = self._array.run(offset)
        member = self._array.members[found[0]] if found else None
        if not found or not member:
            return b""
        try:
            return self._source.read(member.offset + member.data + found[1], min(found[2], most))
        except OSError:
            return b""


def contents(array: Array, source: Readable) -> Readable:
    """The bytes of an array; what is lost of one with parity is reckoned."""
    return Reckoned(array.raid, source) if array.parity else Contents(array, source)
