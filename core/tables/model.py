"""What a partition table says: partitions, the gaps between them, and what is wrong with it."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["primary", "extended", "logical"]
Source = Literal["primary", "backup", "scan"]
Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Partition:
    """One entry of a table. `start` and `end` (inclusive) are sectors of `sector_size` bytes.

    They are what the table says: on a truncated or damaged disk they may lie beyond its end.
    `type` is the MBR code in hexadecimal as sfdisk writes it (``83``, ``5``), the type GUID in
    capitals, or empty where the kind of table names no type. `name` is untrusted text.
    """

    number: int
    kind: Kind
    start: int
    end: int
    sector_size: int
    type: str
    type_name: str
    name: str | None
    bootable: bool

    @property
    def sectors(self) -> int:
        return self.end - self.start + 1

    @property
    def offset(self) -> int:
        """Where it begins, in bytes."""
        return self.start * self.sector_size

    @property
    def size(self) -> int:
        """How long it says it is, in bytes."""
        return self.sectors * self.sector_size

    def to_json(self) -> Json:
        return {
            "number": self.number,
            "kind": self.kind,
            "start": self.start,
            "end": self.end,
            "sectors": self.sectors,
            "offset": self.offset,
            "size": self.size,
            "type": self.type,
            "type_name": self.type_name,
            "name": self.name,
            "bootable": self.bootable,
        }


@dataclass(frozen=True, slots=True)
class Gap:
    """Sectors from `start` to `end` (inclusive) that belong to no partition."""

    start: int
    end: int

    def to_json(self) -> Json:
        return {"start": self.start, "end": self.end}


@dataclass(frozen=True, slots=True)
class Reading:
    """What one of our own readers found, before it is compared with what others say."""

    label: str
    identifier: str | None
    source: Source
    sector_size: int
    partitions: tuple[Partition, ...]
    problems: tuple[str, ...] = ()


Reader = Literal["sectors", "libparted", "sfdisk", "search"]
"""Our own readers of the sectors themselves, other programs, and the search for lost partitions."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Which reader each fact of a table is from; None where there is no such fact."""

    places: Reader | None = None
    """Of numbers, first and last sectors."""
    types: Reader | None = None
    """Of types, names and flags."""
    agree: tuple[Reader, ...] = ()
    """Who else read the same places."""

    def to_json(self) -> Json:
        return {"places": self.places, "types": self.types, "agree": list(self.agree)}


@dataclass(frozen=True, slots=True)
class PartitionTable:
    """The judged table of a disk of `sectors` sectors.

    `label` is libparted's name for the kind of table (``msdos``, ``gpt``, ``mac``, ``bsd``, ``sun``, …);
    None where the disk has no table.
    """

    label: str | None
    identifier: str | None
    source: Source
    sector_size: int
    sectors: int
    partitions: tuple[Partition, ...]
    gaps: tuple[Gap, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """What is worth knowing, and harmless."""
    sources: Sources = Sources()

    def partition(self, number: int) -> Partition | None:
        """The partition with this number; None if there is none."""
        return next((entry for entry in self.partitions if entry.number == number), None)

    def to_json(self) -> Json:
        """The table as the ``table`` part of ``inspect --json``."""
        return {
            "label": self.label,
            "identifier": self.identifier,
            "source": self.source,
            "sector_size": self.sector_size,
            "sectors": self.sectors,
            "partitions": [entry.to_json() for entry in self.partitions],
            "gaps": [gap.to_json() for gap in self.gaps],
            "problems": list(self.problems),
            "notes": list(self.notes),
            "sources": self.sources.to_json(),
        }


def gaps_between(partitions: tuple[Partition, ...], sectors: int) -> tuple[Gap, ...]:
    """The ranges of a disk of `sectors` sectors that hold no primary or logical partition.

    The inside of an extended partition counts as free where no logical partition lies, so
    the sectors that link the logical partitions belong to gaps.
    """
    gaps: list[Gap] = []
    free = 0
    for entry in sorted(partitions, key=lambda entry: (entry.start, entry.end)):
        if entry.kind == "extended":
            continue
        if entry.start > free:
            gaps.append(Gap(free, min(entry.start, sectors) - 1))
        free = max(free, entry.end + 1)
        if free >= sectors:
            break
    if free < sectors:
        gaps.append(Gap(free, sectors - 1))
    return tuple(gaps)
