"""The arrays that the members found on a disk make up."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from core.i18n import _, ngettext
from core.tables.content import Content
from core.volumes.md.contents import contents
from core.volumes.md.model import Array, whole_chunks
from core.volumes.md.superblock import Member, read_member
from core.volumes.model import Problems, Volume, of_bytes, of_layer
from core.volumes.raid import PARITY
from core.volumes.readable import Readable
from core.volumes.space import Space

_LEVELS = (-1, 0, 1, 4, 5, 6, 10)


def read_arrays(source: Readable, places: Iterable[tuple[int, int]]) -> list[tuple[Array, list[Member]]]:
    """The arrays, each with all its members, also those that do not count; `places` are offset and size."""
    sets: dict[str, list[Member]] = {}
    for offset, size in places:
        if member := read_member(source, offset, size):
            sets.setdefault(member.uuid, []).append(member)
    names: set[str] = set()
    found = []
    for members in sets.values():
        array = _assembled(members)
        if array.name in names:
            array = replace(array, name=array.uuid)
        names.add(array.name)
        found.append((array, members))
    return found


def _assembled(members: Sequence[Member]) -> Array:
    """The array as its newest superblock tells it, from the members that are as new.

    One change behind counts as new: the machine stopped between two superblocks (mdadm's Assemble.c).
    """
    newest = max(members, key=lambda one: (one.role is not None, one.events))
    places: list[Member | None] = [None] * newest.disks
    for one in sorted(members, key=lambda one: -one.events):
        fits = (one.level, one.disks, one.chunk) == (newest.level, newest.disks, newest.chunk)
        if one.role is None:
            continue
        if fits and one.complete and one.events + 1 >= newest.events and places[one.role] is None:
            places[one.role] = one
    name = newest.name.partition(":")[2] or newest.name or newest.uuid
    array = Array(name, newest.uuid, newest.level, newest.layout, newest.chunk, tuple(places), 0)
    array = replace(array, hindrance=_hindrance(array, newest))
    if array.hindrance:
        return array
    return replace(array, size=_size(array), problems=tuple(_problems(array, newest)))


def _hindrance(array: Array, newest: Member) -> str:
    if array.level not in _LEVELS:
        return _("Its level ({level}) is not one that this program reads.").format(level=array.level)
    if newest.reshaping:
        return _("It was being changed to another shape when it was left; only md itself can end that.")
    if array.level in (4, 5, 6) and (not array.parity or len(array.members) <= PARITY[array.parity]):
        return _("Its layout ({layout}) is not one that this program reads.").format(layout=array.layout)
    if array.level == 10 and not _plain_copies(array):
        return _("Its layout ({layout}) is not one that this program reads.").format(layout=array.layout)
    if not array.enough:
        return _(
            "Only {count} of its {all} members are here and up to date, which is too few. Give the other"
            " disks too: DISK,DISK2; in the wizard, a."
        ).format(count=len(array.there), all=len(array.members))
    if array.level == 0 and len(array.zones) > 1 and array.layout not in (1, 2):
        return _("Its members differ in size, and which of two layouts it has is not written down.")
    return ""


def _plain_copies(array: Array) -> bool:
    copies = array.copies
    plain = copies.near >= 1 and copies.far >= 1 and not (array.layout or 0) >> 17
    return plain and copies.near * copies.far <= len(array.members)


def _size(array: Array) -> int:
    there = list(array.there.values())
    used = min(one.used for one in there)
    count = len(array.members)
    match array.level:
        case 1:
            return used
        case 0:
            return sum(zone.size for zone in array.zones)
        case -1:
            return sum(whole_chunks(one.room, array.chunk) for one in _until_missing(array))
        case 10:
            copies, rows = array.copies, used // array.chunk
            if copies.far > 1:
                rows //= copies.far
            return rows * count // copies.near * array.chunk
    return used // array.chunk * array.chunk * (count - PARITY[array.parity])


def _until_missing(array: Array) -> Iterable[Member]:
    for one in array.members:
        if one is None:
            return
        yield one


def _problems(array: Array, newest: Member) -> Iterable[str]:
    missing = len(array.members) - len(array.there)
    if missing:
        told = ngettext(
            "{count} of its {all} members is missing or out of date; it is read without that.",
            "{count} of its {all} members are missing or out of date; it is read without them.",
            missing,
        )
        yield told.format(count=missing, all=len(array.members))
    if not newest.clean and array.level in (1, 4, 5, 6, 10):
        yield _(
            "It was not in sync when the machine stopped. It is not resynchronised here; what was being"
            " written just then may be old or new."
        )
    if array.lost and not newest.clean:
        yield _("Parity may not fit the data where it was just being written: single files may be wrong.")
    if newest.journal:
        yield _("It has a journal device, which may hold newer data; that is not read.")
    if array.level == -1 and missing:
        yield _("Only what lies before the missing member can be read.")


def arrays(space: Space, members: Sequence[Volume], problems: Problems) -> list[Volume]:
    """The arrays that `members`, runs of the space, make up, as volumes; nothing is attached."""
    at = {one.offset: one.id for one in members}
    found, seen = [], set()
    for array, own in read_arrays(space.source, [(one.offset, one.size) for one in members]):
        seen |= {one.offset for one in own}
        first = min((one.offset for one in array.there.values()), default=own[0].offset)
        elsewhere = len({one.role for one in own if one.role is not None}) < len(array.members)
        across = tuple(at[offset] for offset in sorted(one.offset for one in array.there.values()))
        found.append(replace(_volume(space, array, at[first]), elsewhere=elsewhere, across=across))
        left = [at[one.offset] for one in own if one not in array.there.values() and one.role is not None]
        for id in left if not array.hindrance else ():
            told = _("It is older than the others of its array, or was being rebuilt: it is not used.")
            problems[id].append(told)
    for one in members:
        if one.offset not in seen:
            told = _("Its superblock makes no sense to this program, so its array is not known.")
            problems[one.id].append(told)
    return found


def _volume(space: Space, array: Array, inside: str) -> Volume:
    name = f"md:{array.name}"
    if array.hindrance:
        nothing = Content(None, problems=(array.hindrance,))
        return of_layer(name, "md", array.size, nothing, inside, space.under, array)
    run = array.run(0)
    member = array.members[run[0]] if run else None
    if run and member and run[2] >= array.size:
        begin = member.offset + member.data + run[1]
        content = _with(space.probe(begin, array.size), array.problems)
        return of_bytes(name, "md", begin, array.size, content, inside, space.under)
    content = space.probe_ends(contents(array, space.source), array.size)
    return of_layer(name, "md", array.size, _with(content, array.problems), inside, space.under, array)


def _with(content: Content, problems: tuple[str, ...]) -> Content:
    return replace(content, problems=(*content.problems, *problems))
