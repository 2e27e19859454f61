"""An array as a model: its members in their places, and where the bytes of it lie in them."""

from collections.abc import Iterator
from dataclasses import dataclass

from core.errors import SalvageError
from core.i18n import _
from core.text import safe
from core.volumes.md.superblock import Member
from core.volumes.parity.model import Raid
from core.volumes.raid import PARITY, Copies, copies_place, parity_place

_PARITY_KINDS = {
    4: {0: "raid5_n"},
    5: {0: "raid5_la", 1: "raid5_ra", 2: "raid5_ls", 3: "raid5_rs", 4: "raid4", 5: "raid5_n"},
    6: {
        0: "raid6_la",
        1: "raid6_ra",
        2: "raid6_ls",
        3: "raid6_rs",
        8: "raid6_zr",
        9: "raid6_nr",
        10: "raid6_nc",
    },
}


@dataclass(frozen=True, slots=True)
class Zone:
    """A part of a RAID0: from byte `start` of the array on, chunks go round over `legs`, from byte `at`."""

    start: int
    size: int
    at: int
    legs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Array:
    """An array; what is missing or out of date has no member in its place. Sizes are in bytes."""

    name: str
    uuid: str
    level: int
    layout: int | None
    chunk: int
    members: tuple[Member | None, ...]
    size: int
    problems: tuple[str, ...] = ()
    hindrance: str = ""
    """Why its bytes cannot be put together, as a sentence; empty when they can."""

    @property
    def there(self) -> dict[int, Member]:
        """The members that count, by their place."""
        return {at: one for at, one in enumerate(self.members) if one}

    @property
    def parity(self) -> str:
        """How its parity goes round, by dm-raid's name; empty for a level without, or an unknown way."""
        layout = 0 if self.level == 4 else self.layout
        return _PARITY_KINDS.get(self.level, {}).get(-1 if layout is None else layout, "")

    @property
    def raid(self) -> Raid:
        """An array with parity as a RAID of any kind; KeyError for one without."""
        room = self.size // (len(self.members) - PARITY[self.parity])
        legs = (((one.offset + one.data, room),) if one else None for one in self.members)
        return Raid(self.parity, self.chunk, tuple(legs), self.size)

    @property
    def copies(self) -> Copies:
        """The layout of a RAID10."""
        layout = self.layout or 0
        far, used = layout >> 8 & 0xFF, min((one.used for one in self.there.values()), default=0)
        rows = used // self.chunk if self.chunk else 0
        return Copies(layout & 0xFF, far, bool(layout & 1 << 16), rows // far if far else 0)

    @property
    def zones(self) -> tuple[Zone, ...]:
        """The zones of a RAID0 all of whose members are there: a larger member is used alone at its end."""
        rooms = {at: one.room // self.chunk * self.chunk for at, one in self.there.items()}
        found: list[Zone] = []
        start = done = 0
        for room in sorted(set(rooms.values())):
            legs = tuple(at for at in rooms if rooms[at] > done)
            size = (room - done) * len(legs)
            found.append(Zone(start, size, done, legs))
            start, done = start + size, room
        return tuple(found)

    def run(self, offset: int) -> tuple[int, int, int] | None:
        """The member with byte `offset`, where in its data, and how many bytes lie there; None if lost."""
        for leg, at, size in self._places(offset):
            if self.members[leg]:
                return leg, at, size
        return None

    def _places(self, offset: int) -> Iterator[tuple[int, int, int]]:
        if self.level == 1:
            yield from ((leg, offset, self.size - offset) for leg in range(len(self.members)))
            return
        if self.level == -1:
            yield from self._linear(offset)
            return
        chunk, rest = divmod(offset, self.chunk)
        if self.level == 0:
            zone = next(one for one in self.zones if one.start <= offset < one.start + one.size)
            # before Linux 3.14 and in layout 1 chunks are counted from the array's start
            counted = chunk if self.layout == 1 else (offset - zone.start) // self.chunk
            row = (offset - zone.start) // self.chunk // len(zone.legs)
            yield zone.legs[counted % len(zone.legs)], zone.at + row * self.chunk + rest, self.chunk - rest
        elif self.level == 10:
            for leg, row in copies_place(self.copies, chunk, len(self.members)):
                yield leg, row * self.chunk + rest, self.chunk - rest
        else:
            leg, row = parity_place(self.parity, chunk, len(self.members))
            yield leg, row * self.chunk + rest, self.chunk - rest

    def _linear(self, offset: int) -> Iterator[tuple[int, int, int]]:
        at = 0
        for leg, member in enumerate(self.members):
            if member is None:
                return  # how long the missing one was is not known
            room = whole_chunks(member.room, self.chunk)
            if at <= offset < at + room:
                yield leg, offset - at, at + room - offset
            at += room

    def pieces(self, most: int) -> tuple[tuple[int, int], ...]:
        """Offset and size of its bytes, piece by piece, in what its members lie in.

        Raises `SalvageError` where some are lost, or there are more than `most` pieces.
        """
        found: list[tuple[int, int]] = []
        offset = 0
        while offset < self.size:
            place = self.run(offset)
            member = self.members[place[0]] if place else None
            if place is None or member is None or len(found) >= most:
                raise SalvageError(
                    _("The array {name} lies in more pieces than can be put together here.").format(
                        name=safe(self.name)
                    )
                    if place
                    else _("A part of the array {name} is lost and has to be reckoned.").format(
                        name=safe(self.name)
                    ),
                    _("The disk is untouched."),
                    _("Open it on a host that has the device mapper, with the package dmsetup."),
                )
            size = min(place[2], self.size - offset)
            found.append((member.offset + member.data + place[1], size))
            offset += size
        return tuple(found)

    @property
    def lost(self) -> bool:
        """Whether parity has to be reckoned to read all of it."""
        return self.level in (4, 5, 6) and len(self.there) < len(self.members)

    @property
    def enough(self) -> bool:
        """Whether the members that are there hold all its data."""
        missing = [at for at, one in enumerate(self.members) if one is None]
        match self.level:
            case 1:
                return bool(self.there)
            case 4 | 5 | 6:
                return len(missing) <= PARITY.get(self.parity, 0)
            case 10:
                count = len(self.members)
                return all(
                    any(self.members[leg] for leg, _row in copies_place(self.copies, chunk, count))
                    for chunk in range(count)
                )
            case -1:
                return self.members[0] is not None
        return not missing


def whole_chunks(size: int, chunk: int) -> int:
    """Bytes rounded down to whole chunks, where there are chunks."""
    return size // chunk * chunk if chunk else size
