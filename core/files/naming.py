"""Names that a target cannot hold, and what the entries are called there instead."""

import unicodedata
from itertools import count

from core.files.abilities import Abilities

_LONGEST = 255


class Names:
    """Finds names for the entries of one folder after the other, the same ones in the same order.

    A byte that the target refuses becomes ``%XX``; of two names that it does not tell apart the second
    gets ``~2`` at its end. The true names are kept beside the copy, see `core.files.sidecar`.
    """

    def __init__(self, abilities: Abilities) -> None:
        self._abilities = abilities
        self._plain = abilities.any_name
        self._taken: list[dict[str, bytes]] = [{}]

    def down(self) -> None:
        """Into a folder: its names are apart from those above."""
        self._taken.append({})

    def up(self) -> None:
        self._taken.pop()

    def fit(self, name: bytes) -> bytes:
        """What the entry `name` of the current folder is called in the target."""
        if self._plain:
            return name
        wanted = self._spelled(name)
        if self._abilities.tells_case_apart:
            return wanted
        taken = self._taken[-1]
        candidate = wanted
        for number in count(2):
            if taken.setdefault(_key(candidate), name) == name:
                return candidate
            candidate = numbered(wanted, number)
        return candidate

    def _spelled(self, name: bytes) -> bytes:
        able = self._abilities
        refused = set(able.refused)
        if 0x01 in refused:
            refused |= set(range(1, 32))
        if not able.any_bytes:
            refused |= set(_no_utf8(name))
        spelled = b"".join(b"%%%02X" % byte if byte in refused else bytes((byte,)) for byte in name)
        if not able.dots_and_spaces and spelled[-1:] in (b".", b" "):
            spelled = spelled[:-1] + b"%%%02X" % spelled[-1]
        return spelled[:_LONGEST]


def numbered(name: bytes, number: int) -> bytes:
    """`name` with a number at its end, for the second thing of that name."""
    mark = b"~%d" % number
    return name[: _LONGEST - len(mark)] + mark


def _key(name: bytes) -> str:
    text = name.decode("utf-8", "surrogateescape")
    return unicodedata.normalize("NFC", text.casefold())


def _no_utf8(name: bytes) -> bytes:
    """The bytes of a name that belong to no character."""
    text = name.decode("utf-8", "surrogateescape")
    return bytes(ord(char) - 0xDC00 for char in text if 0xDC80 <= ord(char) <= 0xDCFF)
