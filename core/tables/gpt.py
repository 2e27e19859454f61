"""Reading a GUID partition table from its two copies, trusting neither.

Layout: UEFI specification 2.10, chapter 5.3. The sizes are capped (1024 entries of 4 KiB), because a
header may ask for any amount of memory. A disk taken from another machine may have other sectors than
the file that holds it, so the header is looked for at sector sizes 512 to 4096.
"""

import struct
import uuid
import zlib
from dataclasses import dataclass

from core.i18n import _
from core.tables.model import Partition, Reading, Source
from core.tables.sectors import Sectors
from core.tables.types import gpt_type_name
from core.text import size as told_size

SIGNATURE = b"EFI PART"
SECTOR_SIZES = (512, 4096, 1024, 2048)
MOST_ENTRIES = 1024
LARGEST_ENTRY = 4096
_HEADER = struct.Struct("<8s4sII4xQQQQ16sQIII")
_ENTRY = struct.Struct("<16s16sQQQ72s")
_LEGACY_BOOT = 1 << 2
_UNUSED = bytes(16)
_LARGEST_SECTOR = 1 << 63


@dataclass(frozen=True, slots=True)
class Header:
    """One header as it stands at sector `lba`; `sound` if its checksum and its own place are right."""

    lba: int
    sound: bool
    alternate: int
    guid: str
    entries_at: int
    count: int
    entry_size: int
    checksum: int

    @property
    def bounded(self) -> bool:
        """Whether the list that it announces is one that we are ready to read."""
        return (
            self.count <= MOST_ENTRIES
            and 128 <= self.entry_size <= LARGEST_ENTRY
            and self.entry_size % 8 == 0
        )


@dataclass(frozen=True, slots=True)
class Copy:
    """One of the two copies of the table: its header and its list of entries."""

    source: Source
    header: Header
    entries: bytes
    listed: bool
    """Whether the checksum of the entries is right."""

    @property
    def trust(self) -> int:
        return 2 * self.header.sound + self.listed if self.header.bounded else 0


def read(sectors: Sectors, first_size: int = 512) -> Reading | None:
    """The GPT of the disk, from its better copy; None if neither copy has left a header.

    `first_size` is the sector size to look at first; a header there wins over one elsewhere.
    """
    sizes = (first_size, *(size for size in SECTOR_SIZES if size != first_size))
    tries = [(size, copies) for size in sizes if (copies := _copies(sectors, size))]
    if not tries:
        return None
    sector_size, copies = max(tries, key=lambda found: found[1][0].trust)
    return _judged(sectors, sector_size, copies)


def _copies(sectors: Sectors, sector_size: int) -> list[Copy]:
    """The copies found when sectors have this size, best first."""
    last = sectors.size // sector_size - 1
    found: list[Copy] = []
    primary = _copy(sectors, sector_size, 1, "primary")
    if primary:
        found.append(primary)
    for place in dict.fromkeys((primary.header.alternate if primary else last, last)):
        backup = _copy(sectors, sector_size, place, "backup") if place > 1 else None
        if backup:
            found.append(backup)
    found.sort(key=lambda copy: -copy.trust)
    return found


def _copy(sectors: Sectors, sector_size: int, lba: int, source: Source) -> Copy | None:
    header = _header(sectors.read(lba * sector_size, sector_size), lba, sector_size)
    if header is None:
        return None
    if not header.bounded:
        return Copy(source, header, b"", False)
    wanted = header.count * header.entry_size
    entries = sectors.read(header.entries_at * sector_size, wanted)
    listed = len(entries) == wanted and zlib.crc32(entries) == header.checksum
    return Copy(source, header, entries, listed)


def _header(data: bytes, lba: int, sector_size: int) -> Header | None:
    if len(data) < sector_size or not data.startswith(SIGNATURE):
        return None
    fields = _HEADER.unpack_from(data)
    _signature, _revision, length, checksum, own, alternate, _first, _last, guid = fields[:9]
    entries_at, count, entry_size, entries_checksum = fields[9:]
    sound = (
        own == lba
        and _HEADER.size <= length <= sector_size
        and zlib.crc32(data[:16] + bytes(4) + data[20:length]) == checksum
    )
    return Header(lba, sound, alternate, _guid(guid), entries_at, count, entry_size, entries_checksum)


def _guid(data: bytes) -> str:
    return str(uuid.UUID(bytes_le=data)).upper()


def _judged(sectors: Sectors, sector_size: int, copies: list[Copy]) -> Reading:
    """The reading of the best copy, and what is wrong with both."""
    best = copies[0]
    partitions, problems = _partitions(best, sector_size)
    other = next((copy for copy in copies if copy.source != best.source), None)
    problems = [*_damage(best, other), *problems]
    if other and other.trust == 3 and _partitions(other, sector_size)[0] != partitions:
        problems.append(_("The two copies of the partition table list different partitions."))
    end = best.header.alternate if best.source == "primary" else best.header.lba
    problems += _misplaced(end, sectors.size, sector_size) if best.header.sound else []
    return Reading("gpt", best.header.guid, best.source, sector_size, partitions, tuple(problems))


def _damage(best: Copy, other: Copy | None) -> list[str]:
    """Sentences about the state of the two copies."""
    problems: list[str] = []
    if best.source == "backup":
        problems.append(
            _("The first copy of the partition table is damaged; its backup at the end of the disk is used.")
            if other
            else _(
                "The first copy of the partition table is gone; its backup at the end of the disk is used."
            )
        )
    elif other is None:
        problems.append(_("The backup of the partition table is missing."))
    elif other.trust < 3:
        problems.append(_("The backup of the partition table is damaged."))
    if not best.header.bounded:
        problems.append(
            _(
                "The header of the partition table is damaged: it announces {count} entries of {size} bytes."
            ).format(count=best.header.count, size=best.header.entry_size)
        )
    elif not best.header.sound:
        problems.append(
            _("The header of the partition table has a wrong checksum; what is listed may be wrong.")
        )
    if best.header.bounded and not best.listed:
        problems.append(
            _("The list of partitions has a wrong checksum; what is listed may be incomplete or wrong.")
        )
    return problems


def _misplaced(end: int, size: int, sector_size: int) -> list[str]:
    """A sentence if the table was made for a disk that ended with sector `end`, not where this one does."""
    last = size // sector_size - 1
    if end > last:
        return [
            _("The table was made for a larger disk: {missing} are missing at the end.").format(
                missing=told_size((end - last) * sector_size)
            )
        ]
    if end < last:
        return [
            _(
                "The disk has grown since its table was made: the last {rest} lie behind the table's end."
            ).format(rest=told_size((last - end) * sector_size))
        ]
    return []


def _partitions(copy: Copy, sector_size: int) -> tuple[tuple[Partition, ...], list[str]]:
    """The partitions that one copy lists, and a sentence for each entry that cannot be one."""
    found: list[Partition] = []
    problems: list[str] = []
    step = copy.header.entry_size
    for number in range(1, len(copy.entries) // step + 1 if step else 1):
        entry = _ENTRY.unpack_from(copy.entries, (number - 1) * step)
        kind, _own, start, end, attributes, name = entry
        if kind == _UNUSED:
            continue
        if end < start or end >= _LARGEST_SECTOR:
            problems.append(
                _(
                    "Entry {number} of the table is left out: from sector {start} to {end} is no range."
                ).format(number=number, start=start, end=end)
            )
            continue
        guid = _guid(kind)
        found.append(
            Partition(
                number=number,
                kind="primary",
                start=start,
                end=end,
                sector_size=sector_size,
                type=guid,
                type_name=gpt_type_name(guid),
                name=_name(name),
                bootable=bool(attributes & _LEGACY_BOOT),
            )
        )
    return tuple(found), problems


def _name(data: bytes) -> str | None:
    """A name in UTF-16 up to the first NUL; half a surrogate pair becomes U+FFFD."""
    return data.decode("utf-16-le", "replace").split("\0", 1)[0] or None
