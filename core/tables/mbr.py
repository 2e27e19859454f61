"""Reading an MBR and its chain of extended boot records (EBR) without trusting them.

The rules for the entries of an EBR are the kernel's (linux/block/partitions/msdos.c, parse_extended),
so that partitions get the numbers that the machine itself gave them.
"""

import struct
from dataclasses import dataclass

from core.i18n import _
from core.tables.model import Kind, Partition, Reading
from core.tables.sectors import Sectors
from core.tables.types import EXTENDED, PROTECTIVE, mbr_type_name

SIGNATURE = b"\x55\xaa"
MOST_LOGICALS = 256
MOST_EMPTY = 100
"""EBRs in a row that hold no partition; the kernel stops there too."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One of the four entries of a record; `start` is counted from where the record says."""

    status: int
    code: int
    start: int
    count: int

    @property
    def used(self) -> bool:
        return self.code != 0 and self.count != 0

    @property
    def extended(self) -> bool:
        return self.used and self.code in EXTENDED


@dataclass(frozen=True, slots=True)
class Mbr:
    """The first sector of a disk, read as an MBR; `sectors` is the size of the disk in sectors."""

    identifier: str
    entries: tuple[Entry, ...]
    sectors: int

    @property
    def used(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.used)

    @property
    def protective(self) -> bool:
        """Whether an entry says that the table is a GPT."""
        return any(entry.code == PROTECTIVE for entry in self.used)

    @property
    def regular(self) -> bool:
        """Whether every status byte is one that the kernel accepts (0x00 or 0x80)."""
        return all(entry.status in (0x00, 0x80) for entry in self.entries)

    @property
    def sane(self) -> bool:
        """Whether this is a table at all, and not the code or text of a boot sector.

        One wrong status byte alone does not make it none, if the partitions lie well.
        """
        return self.regular or self._well_placed()

    def _well_placed(self) -> bool:
        free = 1
        for entry in sorted(self.used, key=lambda entry: entry.start):
            if entry.start < free:
                return False
            free = entry.start + entry.count
        return free <= self.sectors


def first_sector(sectors: Sectors, sector_size: int) -> Mbr | None:
    """The MBR of the disk; None if sector 0 does not end with the signature of one."""
    data = sectors.read(0, 512)
    if len(data) < 512 or data[510:] != SIGNATURE:
        return None
    identifier = f"0x{int.from_bytes(data[440:444], 'little'):08x}"
    return Mbr(identifier, _entries(data), sectors.size // sector_size)


def _entries(data: bytes) -> tuple[Entry, ...]:
    found = []
    for place in range(446, 510, 16):
        status, code, start, count = struct.unpack("<B3xB3xII", data[place : place + 16])
        found.append(Entry(status, code, start, count))
    return tuple(found)


def read(sectors: Sectors, mbr: Mbr, sector_size: int) -> Reading:
    """All partitions that `mbr` names, the logical ones included; in order of their numbers."""
    chain = _Chain(sectors, sector_size)
    partitions: list[Partition] = []
    problems: list[str] = []
    for number, entry in enumerate(mbr.entries, start=1):
        if not entry.used:
            continue
        kind: Kind = "extended" if entry.extended else "primary"
        partitions.append(_partition(number, kind, entry.start, entry, sector_size))
        if entry.status not in (0x00, 0x80):
            problems.append(
                _("Partition {number} has the unusual status byte 0x{status:02x}.").format(
                    number=number, status=entry.status
                )
            )
        if entry.extended:
            chain.follow(entry)
    if sum(entry.extended for entry in mbr.entries) > 1:
        problems.append(_("The table has more than one extended partition."))
    logicals = [
        _partition(number, "logical", start, entry, sector_size)
        for number, (start, entry) in enumerate(chain.found, start=5)
    ]
    problems += chain.problems
    return Reading("msdos", mbr.identifier, "primary", sector_size, (*partitions, *logicals), tuple(problems))


def _partition(number: int, kind: Kind, start: int, entry: Entry, sector_size: int) -> Partition:
    return Partition(
        number=number,
        kind=kind,
        start=start,
        end=start + entry.count - 1,
        sector_size=sector_size,
        type=f"{entry.code:x}",
        type_name=mbr_type_name(entry.code),
        name=None,
        bootable=entry.status == 0x80,
    )


class _Chain:
    """The logical partitions found by following EBRs, each with its first sector on the disk."""

    def __init__(self, sectors: Sectors, sector_size: int) -> None:
        self._sectors = sectors
        self._sector_size = sector_size
        self._visited: set[int] = set()
        self.found: list[tuple[int, Entry]] = []
        self.problems: list[str] = []

    def follow(self, container: Entry) -> None:
        """Read the EBRs of one extended partition."""
        at, length, empty = container.start, container.count, 0
        while True:
            entries = self._record(at)
            if entries is None:
                return
            taken = self._take(entries, at, length, container)
            empty = 0 if taken else empty + 1
            link = next((entry for entry in entries if entry.extended), None)
            if link is None:
                return
            if len(self.found) >= MOST_LOGICALS or empty > MOST_EMPTY:
                self.problems.append(
                    _("The chain of logical partitions goes on after {count}; the rest is not shown.").format(
                        count=len(self.found)
                    )
                )
                return
            at, length = container.start + link.start, link.count
            if not container.start <= at < container.start + container.count:
                self.problems.append(
                    _(
                        "The chain of logical partitions leaves its extended partition, to sector {sector}."
                    ).format(sector=at)
                )

    def _record(self, at: int) -> tuple[Entry, ...] | None:
        """The entries of the EBR in sector `at`; None, and the reason among the problems, if it is none."""
        if at in self._visited:
            self.problems.append(
                _("The chain of logical partitions runs in a circle, back to sector {sector}.").format(
                    sector=at
                )
            )
            return None
        self._visited.add(at)
        data = self._sectors.read(at * self._sector_size, 512)
        if len(data) < 512:
            self.problems.append(
                _(
                    "The chain of logical partitions goes on in sector {sector}, which cannot be read"
                    " or lies beyond the end of the disk."
                ).format(sector=at)
            )
            return None
        if data[510:] != SIGNATURE:
            self.problems.append(
                _("The chain of logical partitions breaks at sector {sector}: no signature there.").format(
                    sector=at
                )
            )
            return None
        return _entries(data)

    def _take(self, entries: tuple[Entry, ...], at: int, length: int, container: Entry) -> bool:
        """Add the partitions of one EBR; the third and fourth entry count only where they fit inside."""
        taken = False
        for place, entry in enumerate(entries):
            if not entry.used or entry.extended:
                continue
            start = at + entry.start
            fits = (
                entry.start + entry.count <= length
                and start >= container.start
                and start + entry.count <= container.start + container.count
            )
            if place >= 2 and not fits:
                continue
            if len(self.found) < MOST_LOGICALS:
                self.found.append((start, entry))
                taken = True
        return taken
