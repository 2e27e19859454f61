"""What is worth knowing of a table and harmless: alignment, room that belongs to nobody, who read it."""

from collections.abc import Sequence

from core.i18n import _, all_of, enumerated, ngettext, sentences
from core.tables.model import Gap, Partition, Reader, Sources
from core.text import grouped
from core.text import size as told_size

_PAGE = 4096
_ROOM = 1 << 20
"""Bytes that tools leave free before the first partition and between two for alignment's sake."""
_MOST_NAMED = 8


def notes(partitions: Sequence[Partition], gaps: Sequence[Gap], sector_size: int) -> tuple[str, ...]:
    """A sentence on each; a table without partitions has none."""
    if not partitions:
        return ()
    return (*_alignment(partitions), *_free(gaps, sector_size))


def _alignment(partitions: Sequence[Partition]) -> list[str]:
    askew = [
        part.number
        for part in partitions
        if part.kind != "extended" and part.offset % _PAGE and part.size >= _ROOM
    ]
    if not askew:
        return []
    named = enumerated(str(number) for number in askew[:_MOST_NAMED])
    if len(askew) > _MOST_NAMED:
        named += _(" and {count} more").format(count=len(askew) - _MOST_NAMED)
    told = ngettext(
        "Partition {numbers} does not begin at a multiple of 4 KiB: slow on many media, otherwise harmless.",
        "Partitions {numbers} do not begin at a multiple of 4 KiB: slow on many media, otherwise harmless.",
        len(askew),
    )
    return [told.format(numbers=named)]


def _free(gaps: Sequence[Gap], sector_size: int) -> list[str]:
    """Room that could hold a partition: a lost one may have lain there."""
    wide = [gap for gap in gaps if (gap.end - gap.start + 1) * sector_size > _ROOM]
    if not wide:
        return []
    largest = max(wide, key=lambda gap: gap.end - gap.start)
    total = sum(gap.end - gap.start + 1 for gap in wide) * sector_size
    told = ngettext(
        "{size} belong to no partition: sectors {start} to {end}.",
        "{size} belong to no partition; the largest piece, {piece}, lies at sectors {start} to {end}.",
        len(wide),
    )
    return [
        told.format(
            size=told_size(total),
            piece=told_size((largest.end - largest.start + 1) * sector_size),
            start=grouped(largest.start),
            end=grouped(largest.end),
        )
    ]


def told(sources: Sources) -> str:
    """Which reader each fact is from, as a sentence; empty where nothing was read."""
    if sources.places is None or sources.types is None:
        return ""
    contents = _("Contents by {reader}.").format(reader="libblkid")
    if sources.places == sources.types == "search":
        return sentences((_("Start, end, types and names come from the search."), contents))
    places = _("Start and end were read by {reader}.")
    if sources.agree:
        places = _("Start and end were read by {reader}, with the same result by {readers}.")
    return sentences(
        (
            places.format(reader=_name(sources.places), readers=all_of([*map(_name, sources.agree)])),
            _("Types and names by {reader}.").format(reader=_name(sources.types)),
            contents,
        )
    )


def _name(reader: Reader) -> str:
    return {"sectors": _("our own reader"), "search": _("the search")}.get(reader, reader)
