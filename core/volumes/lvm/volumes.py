"""The logical volumes of a space as volumes that can be opened."""

import re
from collections.abc import Sequence
from dataclasses import replace

from core.i18n import _, ngettext, sentences
from core.tables.content import Content
from core.volumes import joined, tables
from core.volumes.lvm.beds import Beds
from core.volumes.lvm.groups import read_groups
from core.volumes.lvm.model import Group, Logical
from core.volumes.lvm.runs import MIRRORS, Contents, NotPlain, Places, missing
from core.volumes.model import Pieces, Problems, Volume, of_bytes, of_layer
from core.volumes.raid import PARITY
from core.volumes.space import MOST, Space

_NAME = re.compile(r"[A-Za-z0-9_.+][A-Za-z0-9_.+\-]*\Z")
_NOT_OPENED = frozenset({"thin-pool", "cache-pool", "vdo-pool", "snapshot"})


def logical_volumes(
    space: Space, members: Sequence[Volume], bare: Sequence[Volume], problems: Problems
) -> list[Volume]:
    """The volumes of all groups that `members`, runs of the space, belong to; nothing is attached.

    In `bare` nothing was recognised: those that have lost their label are looked for there. Not many more
    than are listed are looked at. Raises `Cancelled`.
    """
    places, unknown = ([(one.offset, one.size) for one in some] for some in (members, bare))
    groups, labels = read_groups(space.source, places, unknown)
    at = {one.offset: one.id for one in (*bare, *members)}
    for label in labels:
        problems[at[label.offset]] += label.problems
    found: list[Volume] = []
    names: set[str] = set()
    for group in groups:
        own = [at[one.offset] for one in group.physical.values() if one.offset in at]
        if not own:
            continue
        problems[own[0]] += group.problems
        name = group.name if group.name not in names else group.uuid
        names.add(name)
        bytes_of, beds = Places(group, space.source), Beds(group)
        for one in group.logical.values():
            space.runner.cancel.check()
            if len(found) < MOST and _opens(one, group):
                below = [group.physical[bed] for bed in sorted(beds.of(one.name))]
                there = sorted(bed.offset for bed in below if bed.offset is not None)
                across = tuple(at[offset] for offset in there if offset in at) or (own[0],)
                gone = [bed.device for bed in below if bed.offset is None]
                made = _volume(space, name, one, bytes_of, across[0], gone, lost=bool(gone) and not there)
                found.append(replace(made, elsewhere=bool(gone), across=across))
    if members and not groups:
        told = _("No metadata of LVM could be read there, so its logical volumes are not known.")
        problems[members[0].id].append(told)
    return found


def _opens(volume: Logical, group: Group) -> bool:
    # of a snapshot a volume of its own says that it is one; what people call it is the one with the changes
    shown = volume.visible or volume.name in group.snapshots
    made = volume.type not in _NOT_OPENED
    return bool(shown and made and volume.size and _NAME.match(volume.name))


def _volume(
    space: Space, group: str, volume: Logical, places: Places, inside: str, gone: Sequence[str], *, lost: bool
) -> Volume:
    """The volume; `gone` are the devices that parts of it were on and are not here; `lost`: all of it was."""
    snapshot = places.group.snapshots.get(volume.name)
    size = snapshot.size if snapshot else volume.size
    name = f"{group}/{volume.name}"
    layer = Pieces(places.group, volume.name, _hindrance(volume, places, gone if lost else ()))
    problems = (*_degraded(volume, places), *_unchecked(volume, places.group))
    try:
        raid = places.reckoned(volume)
        runs = () if raid else places.runs(volume, joined.MOST)
    except NotPlain as error:
        told = _needs_mapper(volume, error, places, gone)
        unseen = Content(None, problems=(*problems, *told))
        return of_layer(name, "lv", size, unseen, inside, space.under, layer)
    if len(runs) != 1:
        content = space.probe_ends(Contents(places, volume), size)
        return of_layer(name, "lv", size, _with(content, problems), inside, space.under, layer)
    content = space.probe(runs[0].offset, size)
    return of_bytes(name, "lv", runs[0].offset, size, _with(content, problems), inside, space.under)


def _hindrance(volume: Logical, places: Places, lost: Sequence[str]) -> str:
    """Why nothing can open it: its driver would write, or all of it is on disks that are not here."""
    if lost:
        return missing(lost[0]).what
    vdo = [places.closed(segment) for segment in volume.segments if segment.type == "vdo"]
    return next((sentences((one.what, one.meaning, one.remedy)) for one in vdo if one), "")


def _with(content: Content, problems: tuple[str, ...]) -> Content:
    return replace(content, problems=(*content.problems, *problems))


def _needs_mapper(volume: Logical, error: NotPlain, places: Places, gone: Sequence[str]) -> tuple[str, ...]:
    """What must be told of a volume that only the kernel can put together."""
    lost = len(volume.segments) == 1 and volume.type in PARITY
    if lost or any(places.closed(segment) for segment in volume.segments):
        return (error.what,)
    lacks = tables.problem()
    if not gone and not lacks:
        return ()
    return (
        missing(gone[0]).what if gone else error.what,
        *((_("It needs the device mapper. ") + lacks,) if lacks else ()),
    )


def _degraded(volume: Logical, places: Places) -> tuple[str, ...]:
    """A sentence where copies of a mirror or parts of a RAID are lost or old."""
    for segment in volume.segments:
        if not (segment.type in MIRRORS or segment.type.startswith("raid")) or not segment.parts:
            continue
        count, whole = len(segment.parts), len(places.legs(volume, segment))
        if whole < count:
            told = ngettext(
                "{whole} of the {count} parts of its {type} is whole and up to date; only that is read.",
                "{whole} of the {count} parts of its {type} are whole and up to date; only these are read.",
                whole,
            )
            return (told.format(whole=whole, count=count, type=segment.type),)
    return ()


def _unchecked(volume: Logical, group: Group) -> tuple[str, ...]:
    """A sentence where checksums are kept beside the data of a volume or of the parts of its RAID."""
    parts = [
        group.logical[part.name]
        for one in volume.segments
        for part in one.parts
        if part.name in group.logical
    ]
    if not any(one.type == "integrity" for part in (volume, *parts) for one in part.segments):
        return ()
    return (_("Its checksums (dm-integrity) are not checked, and what only their journal had is not seen."),)
