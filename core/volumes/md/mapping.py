"""An array without parity, put together by the kernel's device mapper, from tables that this program writes.

md itself is not asked: a member that the host sees is assembled by its udev rules, and an assembled array
shows what lies in it to everybody. See `core.volumes.tables`; those with parity go by `core.volumes.parity`.
"""

from core.disks.view import View
from core.errors import Refused
from core.i18n import _
from core.text import safe
from core.undo.stack import Stack
from core.volumes.kpartx import ASSEMBLED
from core.volumes.loop import attach_bytes
from core.volumes.md.model import Array, whole_chunks
from core.volumes.tables import MARGIN, Line, Maker, Shown, hidden, sectors

_LEAD = 4096
"""Bytes before a member's data that are attached with them: what begins there is no signature."""


def put_together(
    stack: Stack, view: View, session: str, array: Array, begin: int, content: str | None
) -> Shown:
    """Show an array with that content; its members lie in `view` behind byte `begin`.

    Raises `Refused` where that cannot be done, or not without the host taking notice.
    """
    legs: dict[int, Shown] = {}
    for at, member in array.there.items():
        place = begin + member.offset + member.data
        hidden_start = place >= _LEAD and (not member.data or member.data >= 3 * _LEAD)
        if not hidden_start and content in ASSEMBLED:
            raise Refused(
                _("The host would see {content} at the start of a member, and put that together.").format(
                    content=safe(content)
                ),
                _("Nothing was attached."),
                _("Open copies of the disks in a virtual machine."),
            )
        why = _("Attach the data of member {number} of the array {name}, without its superblock.")
        told = why.format(number=at, name=safe(array.name))
        lead = _LEAD if hidden_start else 0
        size = member.used or whole_chunks(member.room, array.chunk)
        legs[at] = Shown(attach_bytes(stack, view, place - lead, size + lead, told).path, lead, size)
    why = _("Put the array {name} together, without resynchronising it.").format(name=safe(array.name))
    maker = Maker(stack, "md", session, why, view.writable)
    order = [legs.get(at) for at in range(len(array.members))]
    if array.level == 10:
        lines = maker.copies(array.copies, array.chunk, order, array.size)
    else:
        lines = _zones(array, legs) if array.level == 0 else _linear(array, legs)
    return Shown(maker.create(hidden(lines)), MARGIN, array.size)


def _zones(array: Array, legs: dict[int, Shown]) -> list[Line]:
    lines = []
    for zone in array.zones:
        count = len(zone.legs)
        first = zone.start // array.chunk % count if array.layout == 1 else 0
        order = [legs[at] for at in (*zone.legs[first:], *zone.legs[:first])]
        places = " ".join(f"{one.path} {sectors(one.begin + zone.at)}" for one in order)
        target = f"striped {count} {sectors(array.chunk)} {places}" if count > 1 else f"linear {places}"
        lines.append(Line(zone.start, zone.size, target, tuple(one.path for one in order)))
    return lines


def _linear(array: Array, legs: dict[int, Shown]) -> list[Line]:
    lines, at = [], 0
    for place in range(len(array.members)):
        member = array.members[place]
        if member is None:
            break  # how long it was is not known, so what lies behind it is lost too
        size = whole_chunks(member.room, array.chunk)
        shown = legs[place]
        lines.append(Line(at, size, f"linear {shown.path} {sectors(shown.begin)}", (shown.path,)))
        at += size
    return lines
