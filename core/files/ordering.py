"""Very many names in order, without a screen that waits for it."""

from bisect import bisect
from collections.abc import Iterable

_AT_ONCE = 1 << 15
"""Names that are sorted in one go: some ten milliseconds."""
_SAMPLES = 8
"""Names that are looked at for each part, so that all become about as long."""


def ordered(names: list[bytes]) -> list[bytes]:
    """The names byte by byte.

    `list.sort` lets no other thread of Python go on until it is done, which takes half a second for a
    million names; so they are distributed first to parts, each of which is sorted by itself.
    """
    count = len(names) // _AT_ONCE
    if not count:
        return sorted(names)
    samples = sorted(names[:: max(1, len(names) // (count * _SAMPLES))])
    bounds = samples[_SAMPLES::_SAMPLES]
    parts: list[list[bytes]] = [[] for _ in range(len(bounds) + 1)]
    for name in names:
        parts[bisect(bounds, name)].append(name)
    whole: list[bytes] = []
    for part in parts:
        part.sort()
        whole += part
    return whole


def is_ordered(names: Iterable[bytes]) -> bool:
    """Whether none comes before the one in front of it."""
    before = b""
    for name in names:
        if name < before:
            return False
        before = name
    return True
