"""A RAID with parity as a model: where the chunks of its legs lie."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

Leg = tuple[tuple[int, int], ...]
"""Offset and size in bytes of the pieces of a leg, in what the RAID lies in."""


@dataclass(frozen=True, slots=True)
class Raid:
    """A RAID of `size` bytes; `kind` is one of `core.volumes.raid.PARITY`. Sizes are in bytes."""

    kind: str
    chunk: int
    legs: tuple[Leg | None, ...]
    """None where one is lost or out of date."""
    size: int

    def moved(self, begin: int) -> "Raid":
        """The same, counted in something where it lies behind byte `begin`."""
        legs = (leg and tuple((offset + begin, size) for offset, size in leg) for leg in self.legs)
        return replace(self, legs=tuple(legs))

    def places(self, leg: int, at: int, length: int) -> Iterator[tuple[int, int]]:
        """Offset and size of what holds so many bytes of a leg from byte `at`; fewer at its end."""
        for offset, size in self.legs[leg] or ():
            if length <= 0:
                return
            if at < size:
                count = min(length, size - at)
                yield offset + at, count
                at, length = at + count, length - count
            at -= size
