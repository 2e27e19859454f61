"""The second way to a partition: the whole disk on one loop device, its partitions mapped by kpartx(8).

Good: the partitions get names as on the machine they came from (/dev/mapper/loop0p5), and other tools
see them all. Bad: it takes the device mapper, the table is read once more by another program, and more
has to be taken down. So it is offered, and the offset loop stays the default.
"""

from collections.abc import Sequence

from core import host, loops, tools
from core.command import Command, Variable
from core.disks.view import View
from core.errors import Refused, SalvageError
from core.i18n import _
from core.tables.model import PartitionTable
from core.text import safe
from core.undo.pairs import LoopKind, Pair
from core.undo.stack import Stack
from core.volumes.loop import Device, bind
from core.volumes.model import Inspection, Volume

MOST = 64
"""Partitions up to which the way is offered: a hostile table makes hundreds of devices."""


ASSEMBLED = frozenset(
    {"LVM2_member", "LVM1_member", "linux_raid_member", "isw_raid_member", "ddf_raid_member", "bcache"}
)
"""What the rules of udev put together by themselves as soon as a device shows it."""


def problem(table: PartitionTable, volumes: Sequence[Volume] = ()) -> str | None:
    """Why this way cannot be gone here, as a sentence; None when it can."""
    if not host.has_device_mapper():
        return _("The kernel of this host has no device mapper, which kpartx needs.")
    if not tools.find("kpartx"):
        return _("kpartx is not installed.")
    if not table.partitions:
        return _("There is no partition table to map.")
    if table.problems or len(table.partitions) > MOST:
        return _("The partition table is damaged or unusual, and kpartx would map all of it.")
    assembled = [volume for volume in volumes if volume.content in ASSEMBLED]
    if assembled:
        return _(
            "kpartx would map {volume} too, which contains {content}: the host would put that together."
        ).format(volume=assembled[0].title, content=assembled[0].content)
    return None


def require(inspection: Inspection, volume: Volume, *, to_end: bool) -> None:
    """Raise SalvageError where a volume cannot be opened this way."""
    hindrance = problem(inspection.table, inspection.volumes)
    if to_end:
        hindrance = _("kpartx maps a partition as long as the table says.")
    if volume.partition is None:
        hindrance = _("kpartx maps partitions, and {volume} is none.").format(volume=volume.title)
    if hindrance:
        raise SalvageError(hindrance, _("Nothing was attached."), _("Use a loop device with offset."))


def map_partitions(stack: Stack, view: View, volume: Volume) -> Device:
    """Attach the whole disk and map its partitions; the device of `volume`."""
    argv = ["losetup", "--find", "--show", *([] if view.writable else ["--read-only"]), str(view.path)]
    command = Command(
        tuple(argv),
        why=_("Attach the whole disk to a loop device."),
        effect=_("one loop device is taken"),
        captures="LOOP",
    )
    pair = Pair("loop", command, "", view.on, facts=lambda: LoopKind.facts(view.path, 0, 0))
    loop = bind(stack, view, pair).path
    _refuse_taken_names(loop)
    read_only = [] if view.writable else ["-r"]
    # -s waits until the nodes are there
    command = Command(
        ("kpartx", "-a", "-v", "-s", *read_only, loop),
        why=_("Map each partition of its table to a device of its own."),
        effect=_("one mapping for each partition appears in /dev/mapper"),
    )
    stack.put_up(Pair("dm", command, loop, (loop,)))
    return Device(_mapped(loop, volume.id), (loop,))


def _refuse_taken_names(loop: str) -> None:
    """Raise Refused where somebody else's mapping has a name that kpartx would use.

    kpartx does not refuse by itself: it loads its own table into a mapping of that name.
    """
    prefix = loop.rpartition("/")[2] + "p"
    taken = [name for name in loops.mapping_names() if name.startswith(prefix)]
    if taken and not isinstance(loop, Variable):
        raise Refused(
            _("There is already a mapping of the name {name} on this host.").format(name=safe(taken[0])),
            _("kpartx would load another table into it, so nothing was mapped."),
            _("Use a loop device with offset, or remove that mapping if it is nobody's."),
        )


def _mapped(loop: str, number: str) -> str:
    """The device of a partition once its loop device is mapped."""
    if isinstance(loop, Variable):
        return Variable(f'/dev/mapper/$(basename "{loop}")p{number}')
    return f"/dev/mapper/{loop.rpartition('/')[2]}p{number}"
