"""The bytes of an array, read from what its members lie in."""

from core.volumes.md.model import Array
from core.volumes.parity.contents import Contents as Reckoned
from core.volumes.readable import Readable, in_pieces


class Contents:
    """The bytes of an array without parity."""

    def __init__(self, array: Array, source: Readable) -> None:
        self._array, self._source = array, source

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes; fewer where they are not there."""
        return in_pieces(self._piece, offset, length, self._array.size)

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
