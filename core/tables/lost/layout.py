"""The partition table that fits what a search found."""

from collections.abc import Sequence

from core.i18n import _
from core.tables.check import placement_problems
from core.tables.lost.candidate import Candidate, Remain
from core.tables.lost.rivals import MIB
from core.tables.lost.search import Found
from core.tables.model import Kind, Partition, PartitionTable, Sources, gaps_between
from core.tables.notes import notes
from core.tables.types import gpt_type_name, mbr_type_name

_LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
_GUIDS = {
    "swap": "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
    "LVM2_member": "E6D6D379-F507-44C2-A23C-238F2A3DF928",
    "linux_raid_member": "A19D880F-05FC-4D3B-A006-743F0F84911E",
    "crypto_LUKS": "CA7D7CCB-63ED-4C53-861C-1742536059CC",
    "ntfs": "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
    "exfat": "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
    "vfat": "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
}
_EFI = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
_MOST_PRIMARIES = 4
_LARGEST_MBR = 1 << 32
"""Sectors that an MBR can count."""
_ROUNDED = 16 << 10
"""A file system leaves up to so many bytes of its partition unused; no tool leaves such a gap between two."""
_GPT_TAIL = 33
"""Sectors at the end of a disk that the backup of a GPT takes, where they have 512 bytes."""


def layout(found: Found, sector_size: int = 512) -> PartitionTable:
    """The table of all that was chosen; `source` is ``scan``.

    Partitions are numbered in the order of the disk, as the kinds of table number them. A candidate
    that does not say how long it is reaches to the next one. What begins with the disk itself is in
    no table. Where a GPT is left of which this is what it listed, its sectors count, not those of
    `sector_size` bytes.
    """
    starts = {one.start for one in found.chosen}
    sector_size = next(
        (one.sector for one in found.remains if one.kind == "gpt" and one.start in starts), sector_size
    )
    sectors = found.size // sector_size
    usable = [one for one in found.chosen if one.start and one.start % sector_size == 0]
    if not usable:
        gaps = gaps_between((), sectors)
        return PartitionTable(None, None, "scan", sector_size, sectors, (), gaps, found.problems)
    links = {one.start: one for one in found.remains if one.kind == "ebr"}
    label = _label(found, usable, sectors, links)
    ranges = _ranges(usable, links, sectors, sector_size, label)
    if label == "gpt":
        partitions = _gpt(usable, ranges, found.remains, sector_size)
    else:
        partitions = _msdos(usable, ranges, links, sector_size)
    problems = (
        *_remarks(usable, partitions),
        *found.problems,
        *placement_problems(partitions, sectors, found.size, sector_size),
    )
    gaps = gaps_between(partitions, sectors)
    return PartitionTable(
        label,
        None,
        "scan",
        sector_size,
        sectors,
        partitions,
        gaps,
        problems,
        notes(partitions, gaps, sector_size),
        Sources("search", "search"),
    )


def _label(found: Found, usable: Sequence[Candidate], sectors: int, links: dict[int, Remain]) -> str:
    starts = {one.start for one in usable}
    if found.gpt or any(one.kind == "gpt" and one.start in starts for one in found.remains):
        return "gpt"
    linked = len(starts & set(links))
    primaries = len(usable) - linked + bool(linked)
    return "gpt" if primaries > _MOST_PRIMARIES or sectors >= _LARGEST_MBR else "msdos"


def _ranges(
    usable: Sequence[Candidate], links: dict[int, Remain], sectors: int, sector_size: int, label: str
) -> list[tuple[int, int]]:
    """First and last sector of each; open ends reach to the next, its link included, or to the disk's end."""
    limits = []
    for one in usable[1:]:
        link = links.get(one.start)
        limits.append((link.record if link else one.start) // sector_size)
    last = sectors - (_GPT_TAIL if label == "gpt" else 0)
    limits.append(last // (MIB // sector_size) * (MIB // sector_size) if last > MIB // sector_size else last)
    ranges = []
    for one, limit in zip(usable, limits, strict=True):
        start = one.start // sector_size
        end = start + -(-one.size // sector_size)
        if one.open_ended or 0 < (limit - end) * sector_size <= _ROUNDED:
            end = max(end, limit)
        ranges.append((start, end - 1))
    return ranges


def _gpt(
    usable: Sequence[Candidate],
    ranges: Sequence[tuple[int, int]],
    remains: Sequence[Remain],
    sector_size: int,
) -> tuple[Partition, ...]:
    named = {one.start: one for one in remains if one.kind == "gpt"}
    found = []
    for number, (one, (start, end)) in enumerate(zip(usable, ranges, strict=True), start=1):
        known = named.get(one.start)
        guid = known.type if known else _EFI if one.boots else _GUIDS.get(one.content, _LINUX)
        name = known.name if known else None
        found.append(
            Partition(number, "primary", start, end, sector_size, guid, gpt_type_name(guid), name, False)
        )
    return tuple(found)


def _msdos(
    usable: Sequence[Candidate],
    ranges: Sequence[tuple[int, int]],
    links: dict[int, Remain],
    sector_size: int,
) -> tuple[Partition, ...]:
    """Primaries from 1, then the extended one around what has a link, then the logical ones from 5."""
    logical = [one.start in links for one in usable]
    found: list[Partition] = []
    number, inner = 1, 5
    for one, (start, end), linked in zip(usable, ranges, logical, strict=True):
        code = links[one.start].type if linked else one.type
        if linked and inner == 5:
            box = [place for place, inside in zip(ranges, logical, strict=True) if inside]
            first = min(links[each.start].record for each in usable if each.start in links)
            found.append(_mbr(number, "extended", first // sector_size, box[-1][1], "5", sector_size))
            number += 1
        kind: Kind = "logical" if linked else "primary"
        found.append(_mbr(inner if linked else number, kind, start, end, code, sector_size))
        inner, number = (inner + 1, number) if linked else (inner, number + 1)
    return tuple(sorted(found, key=lambda one: one.number))


def _mbr(number: int, kind: Kind, start: int, end: int, code: str, sector_size: int) -> Partition:
    name = mbr_type_name(int(code, 16))
    return Partition(number, kind, start, end, sector_size, code, name, None, False)


def _remarks(usable: Sequence[Candidate], partitions: Sequence[Partition]) -> list[str]:
    """What must be known of the table before somebody trusts it."""
    remarks = [_("This table is not read from the disk: it is put together from what a search found.")]
    numbers = {part.offset: part.number for part in partitions if part.kind != "extended"}
    for one in usable:
        number = numbers.get(one.start)
        if number is None:
            continue
        if one.open_ended:
            remarks.append(
                _(
                    "Partition {number} does not say how long it is; it is shown up to what follows it."
                ).format(number=number)
            )
        if not one.primary:
            remarks.append(
                _("The beginning of partition {number} is lost; copies of its superblock were found.").format(
                    number=number
                )
            )
    return remarks
