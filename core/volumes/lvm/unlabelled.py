"""Physical volumes whose label is lost, as their metadata areas tell of them.

A label lies in the first four sectors, where an overwritten start of a partition takes it along; the
metadata behind it, or at the end, may be whole. The header of an area says where in its physical volume
it lies, so one that is left over from something else is told apart. Source: lvm2,
lib/format_text/layout.h (struct mda_header), lib/format_text/format-text.c.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from core.i18n import _
from core.text import safe
from core.volumes.lvm.label import AREA, Area, Label, Text, texts_in, whole
from core.volumes.lvm.text import Section
from core.volumes.readable import Readable

_SECTOR = 512
_FIRST = 4096
"""Bytes: where LVM puts the first area, on every physical volume."""
_TAIL = 2 << 20
"""Bytes at the end that are searched for the second area, of which there is one on few."""
_MOST = 2
"""Areas that are read at the end: LVM makes one, and a hostile disk could have thousands."""
_NAME = struct.Struct("<4x16sIQQ")


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """What may be a physical volume; `offset` and `size` in bytes, as of `Label`."""

    offset: int
    size: int
    texts: tuple[Text, ...]


def read_unlabelled(source: Readable, offset: int, size: int, *, search: bool) -> Unlabelled | None:
    """What the metadata areas in a place without a label hold; None where there is no text in any."""
    texts: list[Text] = []
    for area in _areas(source, offset, size):
        found, _told = texts_in(source, offset, size, area, search=search)
        texts += found
    return Unlabelled(offset, size, tuple(texts)) if texts else None


def _areas(source: Readable, offset: int, size: int) -> Iterator[Area]:
    head = source.read(offset + _FIRST, _SECTOR) if size >= _FIRST + _SECTOR else b""
    if area := _area(head, _FIRST):
        yield area
    begin = max(_FIRST + _SECTOR, size - _TAIL) // _SECTOR * _SECTOR
    tail = source.read(offset + begin, size - begin) if size > begin else b""
    sectors = (tail[at : at + _SECTOR] for at in range(0, len(tail), _SECTOR))
    found = (_area(sector, begin + number * _SECTOR) for number, sector in enumerate(sectors))
    yield from islice(filter(None, found), _MOST)


def _area(head: bytes, place: int) -> Area | None:
    """The area whose header is `head`, where that says that it lies at byte `place`."""
    if len(head) < _SECTOR:
        return None
    magic, _version, start, size = _NAME.unpack_from(head)
    return Area(start, size) if magic == AREA and start == place else None


def labels_of(bare: Iterable[Unlabelled], labels: Sequence[Label]) -> list[Label]:
    """The physical volumes that the places without a label are, as far as only one can be meant."""
    found: list[Label] = []
    waiting = list(bare)
    while waiting:
        known = {one.uuid for one in (*labels, *found)}
        made = [(one, uuids[0]) for one in waiting if len(uuids := _fitting(one, known)) == 1]
        taken = [uuid for _one, uuid in made]
        sure = [(one, uuid) for one, uuid in made if taken.count(uuid) == 1]
        if not sure:
            break
        found += [_label(one, uuid) for one, uuid in sure]
        waiting = [one for one in waiting if one not in [place for place, _uuid in sure]]
    return [*found, *map(_undecided, waiting)]


def _newest(bare: Unlabelled) -> Text:
    return max(bare.texts, key=lambda one: (one.current, one.number))


def _members(text: Text) -> list[Section]:
    section = text.section.get("physical_volumes")
    values = section.values() if isinstance(section, dict) else ()
    return [one for one in values if isinstance(one, dict)]


def _fitting(bare: Unlabelled, known: set[str]) -> list[str]:
    """UUIDs of the members of its group that are not known and as long as it is, or the only one left."""
    members = [one for one in _members(_newest(bare)) if str(one.get("id", "")) not in known]
    exact = [one for one in members if whole(one.get("dev_size")) * _SECTOR == bare.size]
    return [str(one.get("id", "")) for one in exact or (members if len(members) == 1 else [])]


def _label(bare: Unlabelled, uuid: str) -> Label:
    told = _("Its LVM label is lost. By its metadata it belongs to the group {group}, and is read as that.")
    return _read_as(bare, uuid, told)


def _undecided(bare: Unlabelled) -> Label:
    told = _(
        "Its LVM label is lost. By its metadata it belongs to the group {group}; which of the physical"
        " volumes it is cannot be told."
    )
    return replace(_read_as(bare, "", told), texts=())


def _read_as(bare: Unlabelled, uuid: str, told: str) -> Label:
    name = safe(_newest(bare).name)
    return Label(bare.offset, bare.size, uuid, bare.texts, (told.format(group=name),))
