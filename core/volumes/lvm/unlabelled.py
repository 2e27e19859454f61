"""Physical volumes whose label is lost, as their metadata areas tell of them.

A label lies in the first four sectors, where an overwritten start of a partition takes it along; the
metadata behind it, or at the end, may be whole. The header of an area says where in its physical volume
it lies, so one that is left over from something else is told apart. Source: lvm2,
lib/format_text/layout.h (struct mda_header), lib/format_text/format-text.c.
"""

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from core.i18n import _
from core.text import safe
from core.volumes.lvm.label import AREA, Area, Label, Text, Texts, texts_in, whole
from core.volumes.readable import Readable

_SECTOR = 512
_FIRST = 4096
"""Bytes: where LVM puts the first area, on every physical volume."""
_TAIL = 2 << 20
"""Bytes at the end that are searched for the second area, of which there is one on few."""
_DATA = 1 << 20
"""Bytes: before these lie label and metadata, which members of a group have alike."""
_BLOCK, _SAMPLES = 4096, 256
_MOST = 2
"""Areas that are read at the end: LVM makes one, and a hostile disk could have thousands."""
_NAME = struct.Struct("<4x16sIQQ")


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """What may be a physical volume; `offset` and `size` in bytes, as of `Label`."""

    offset: int
    size: int
    texts: tuple[Text, ...]


def read_unlabelled(
    source: Readable, offset: int, size: int, known: Texts, *, search: bool
) -> Unlabelled | None:
    """What the metadata areas in a place without a label hold; None where there is no text in any."""
    texts: list[Text] = []
    for area in _areas(source, offset, size):
        found, _told = texts_in(source, offset, size, area, known, search=search)
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


def labels_of(source: Readable, bare: Sequence[Unlabelled], labels: Sequence[Label]) -> list[Label]:
    """The physical volumes that the places without a label are, as far as only one can be meant.

    A member that nobody has yet is meant where it is as long as the place, or where the group has no other;
    it is not sure where the place may as well be a copy of one that has its label.
    """
    newest: dict[str, Text] = {}
    for text in (*(text for label in labels for text in label.texts), *map(_newest, bare)):
        group = str(text.section["id"])
        newest[group] = max((newest.get(group, text), text), key=_age)
    taken = {label.uuid for label in labels}
    wanted = [_fitting(one, newest[str(_newest(one).section["id"])], taken) for one in bare]
    meant = Counter(uuid for uuids in wanted if len(uuids) == 1 for uuid in uuids)
    return [
        _read_as(
            one, uuids, sure=len(uuids) == 1 and meant[uuids[0]] == 1 and not _copied(source, one, labels)
        )
        for one, uuids in zip(bare, wanted, strict=True)
    ]


def _copied(source: Readable, bare: Unlabelled, labels: Sequence[Label]) -> bool:
    """Whether a block of data at the same place of a physical volume of the same length is the same.

    Of one that went on after it was copied some still are; what lies on two members is not, but for mirrors.
    """
    step = max(_BLOCK, (bare.size - _DATA) // _SAMPLES // _BLOCK * _BLOCK)
    for label in labels:
        if label.size != bare.size:
            continue
        for at in range(_DATA, bare.size - _BLOCK, step):
            block = source.read(bare.offset + at, _BLOCK)
            if block.strip(b"\0") and block == source.read(label.offset + at, _BLOCK):
                return True
    return False


def _age(text: Text) -> tuple[bool, int]:
    return text.current, text.number


def _newest(bare: Unlabelled) -> Text:
    return max(bare.texts, key=_age)


def _fitting(bare: Unlabelled, text: Text, taken: set[str]) -> list[str]:
    """UUIDs of the members that the place may be, by the newest text of its group."""
    section = text.section.get("physical_volumes")
    values = section.values() if isinstance(section, dict) else ()
    members = [one for one in values if isinstance(one, dict)]
    return [
        uuid
        for one in members
        if (uuid := str(one.get("id", ""))) not in taken
        and (len(members) == 1 or whole(one.get("dev_size")) * _SECTOR == bare.size)
    ]


def _read_as(bare: Unlabelled, uuids: Sequence[str], *, sure: bool) -> Label:
    """The place as the physical volume that it is, where that is sure; else as one that is not read."""
    if sure:
        told = _(
            "Its LVM label is lost. By its metadata it belongs to the group {group}, and is read as that."
        )
    elif uuids:
        told = _(
            "Its LVM label is lost. By its metadata it belongs to the group {group}; which of the"
            " physical volumes it is cannot be told."
        )
    else:
        told = _(
            "It holds metadata of the LVM group {group}, but is none of the physical volumes that are"
            " missing: it may be a copy of one, or left over."
        )
    uuid, texts = (uuids[0], bare.texts) if sure else ("", ())
    return Label(bare.offset, bare.size, uuid, texts, (told.format(group=safe(_newest(bare).name)),))
