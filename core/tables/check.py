"""Where partitions lie badly: over each other, over the end of the disk, outside their container."""

from collections.abc import Sequence

from core.i18n import _
from core.tables.model import Partition
from core.text import size as told_size


def placement_problems(
    partitions: Sequence[Partition], sectors: int, size: int, sector_size: int
) -> list[str]:
    """A sentence for each partition that lies badly on a disk of `sectors` sectors and `size` bytes."""
    problems: list[str] = []
    if partitions and size % sector_size:
        problems.append(
            _("The disk ends in the middle of a sector, {rest} bytes after its last whole one.").format(
                rest=size % sector_size
            )
        )
    for entry in partitions:
        problems += _own_place(entry, sectors)
    problems += _overlaps([entry for entry in partitions if entry.kind != "logical"])
    problems += _overlaps([entry for entry in partitions if entry.kind == "logical"])
    return problems + _strays(partitions)


def _own_place(entry: Partition, sectors: int) -> list[str]:
    if entry.start >= sectors:
        return [
            _(
                "Partition {number} begins at sector {start}, after the end of the disk ({sectors} sectors)."
            ).format(number=entry.number, start=entry.start, sectors=sectors)
        ]
    if entry.end >= sectors:
        missing = (entry.end - sectors + 1) * entry.sector_size
        return [
            _(
                "Partition {number} ends at sector {end}, but the disk has only {sectors} sectors:"
                " {missing} are missing."
            ).format(number=entry.number, end=entry.end, sectors=sectors, missing=told_size(missing))
        ]
    if entry.start == 0:
        return [
            _("Partition {number} begins at sector 0, where the table itself lies.").format(
                number=entry.number
            )
        ]
    return []


def _overlaps(partitions: Sequence[Partition]) -> list[str]:
    problems: list[str] = []
    widest: Partition | None = None
    for entry in sorted(partitions, key=lambda entry: (entry.start, entry.end)):
        if widest and entry.start <= widest.end:
            problems.append(
                _("Partitions {first} and {second} overlap, from sector {start} to {end}.").format(
                    first=widest.number,
                    second=entry.number,
                    start=entry.start,
                    end=min(entry.end, widest.end),
                )
            )
        if widest is None or entry.end > widest.end:
            widest = entry
    return problems


def _strays(partitions: Sequence[Partition]) -> list[str]:
    containers = [entry for entry in partitions if entry.kind == "extended"]
    return [
        _("The logical partition {number} does not lie inside an extended partition.").format(
            number=entry.number
        )
        for entry in partitions
        if entry.kind == "logical"
        and not any(box.start <= entry.start and entry.end <= box.end for box in containers)
    ]
