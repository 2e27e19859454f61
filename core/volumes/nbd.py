"""The third way to a partition: the whole disk on a network block device of the kernel, by qemu-nbd(8).

Good: the kernel reads the partition table itself and gives each partition a device, without the device
mapper, as on the machine that the disk came from; QEMU stands behind the device and tells of errors where
a loop device cannot. Bad: it takes a module that is mostly not loaded, the device is gone when its server
ends, and everybody on the host sees all partitions. So it is offered, and the offset loop stays the default.

The server shows the view, not the image a second time: what is served is what was vetted and inspected,
whatever the image's format, and an overlay has one writer only. The module is not loaded by this program:
that would change the host beyond what it puts up.
"""

from collections.abc import Sequence
from pathlib import Path

from core import mounts, slots, tools
from core.command import Command
from core.disks.view import View
from core.errors import Refused, SalvageError
from core.i18n import _
from core.tables.model import PartitionTable
from core.undo.connected import SERVER, SlotKind
from core.undo.daemons import start, tied
from core.undo.pairs import Pair
from core.undo.stack import Stack
from core.volumes.kpartx import ASSEMBLED, MOST
from core.volumes.loop import Device, attach_bytes
from core.volumes.model import Inspection, Volume

_NODE_WITHIN = 3.0
"""Seconds that a partition's node may take after the kernel read the table."""


def problem(table: PartitionTable, volumes: Sequence[Volume] = ()) -> str | None:
    """Why this way cannot be gone here, as a sentence; None when it can."""
    if not tools.find(SERVER):
        return _("qemu-nbd is not installed.")
    if not slots.slots():
        return _("The kernel's module nbd is not loaded here; as root, `modprobe nbd` loads it.")
    if table.problems or len(table.partitions) > MOST:
        return _("The partition table is damaged or unusual, and the kernel would read all of it.")
    assembled = [volume for volume in volumes if volume.content in ASSEMBLED]
    if assembled:
        return _(
            "The kernel would show {volume} too, which contains {content}: the host would put that together."
        ).format(volume=assembled[0].title, content=assembled[0].content)
    return None


def require(inspection: Inspection, volume: Volume) -> None:
    """Raise SalvageError where a volume cannot be opened this way."""
    hindrance = problem(inspection.table, inspection.volumes)
    if volume.apart:
        hindrance = _("{volume} is put together first, and its device is another one.").format(
            volume=volume.title[:1].upper() + volume.title[1:]
        )
    if hindrance:
        raise SalvageError(hindrance, _("Nothing was attached."), _("Use a loop device with offset."))


def connect(stack: Stack, view: View, volume: Volume, folder: Path, *, tie: bool) -> Device:
    """Connect the whole disk to a free slot; the device of `volume`.

    `folder` is the session's own; with `tie` the server dies with this program. Raises Refused when there
    is no free slot, and SalvageError with the server's own words when it does not start.
    """
    if stack.runner.planning:
        free = [one for one in slots.slots() if slots.is_free(one)] or ["/dev/nbd0"]
        return _device(stack, view, volume, _serve(stack, view, free[0], folder, tie=tie))
    for slot in slots.slots():
        with slots.locked(slot) as ours:
            if not ours or not slots.is_free(slot):
                continue
            try:
                _serve(stack, view, slot, folder, tie=tie)
            except SalvageError:
                if slots.is_free(slot):
                    raise
                continue  # somebody who does not lock was faster
        return _device(stack, view, volume, slot)
    raise Refused(
        _("All network block devices of this host are in use."),
        _("None of them was touched, and nothing was attached."),
        _("Use a loop device with offset, or free one: `qemu-nbd --disconnect` ends one that is nobody's."),
    )


def _serve(stack: Stack, view: View, slot: str, folder: Path, *, tie: bool) -> str:
    known = folder / f"{slot.rpartition('/')[2]}.pid"
    # --verbose: it stays in the foreground, and so dies with this program where it is tied to it
    argv = (
        *(SERVER, "--verbose", f"--connect={slot}", *(() if view.writable else ("--read-only",))),
        *("--format=raw", f"--pid-file={known}", str(view.path)),
    )
    command = Command(
        tied(argv, tie),
        why=_("Show the whole disk as a network block device; the kernel gives its partitions devices."),
        effect=_("one slot of the network block devices is taken"),
        background=True,
        limits=None,
    )
    argument = f"--pid-file={known}"
    pair = Pair(
        "nbd",
        command,
        slot,
        view.on,
        facts=lambda: SlotKind.facts(slot, argument),
        planned=SlotKind.facts(slot, argument),
    )
    return start(
        stack,
        pair,
        known.with_suffix(".log"),
        () if view.descriptor is None else (view.descriptor,),
        lambda pid: slots.is_connected(slot, pid),
        ("test", "-e", f"/sys/block/{known.stem}/pid"),
    )


def _device(stack: Stack, view: View, volume: Volume, slot: str) -> Device:
    """The device of a volume on a connected slot: the kernel's own for it, or a loop device with offset."""
    part = volume.partition
    if part is None:
        return Device(slot, (slot,))
    number = int(volume.id) if volume.id.isdigit() else 0
    expected = 0 < number <= slots.most_partitions() and part.size == volume.size
    if expected and _node(stack, volume, slot, number):
        return Device(f"{slot}p{number}", (slot,))
    why = _("The kernel made no device for the partition: attach it to a loop device, by its offset.")
    whole = View(Path(slot), view.size, view.writable, on=(slot,))
    return attach_bytes(stack, whole, volume.offset, volume.size, why)


def _node(stack: Stack, volume: Volume, slot: str, number: int) -> bool:
    """Wait until the kernel has read the table; whether it shows the volume just where it lies."""

    def look() -> bool:
        slots.look_for_partitions(slot)
        there = lambda: bool(slots.partition(slot, number, volume.offset, volume.size))  # noqa: E731
        return mounts.wait_until(there, _NODE_WITHIN, lambda: stack.runner.cancel.cancelled)

    wait = Command(
        ("sh", "-c", f"until test -b {slot}p{number}; do sleep 0.1; done"),
        why=_("Wait until the kernel has read the partition table."),
        by_hand=True,
    )
    found = stack.runner.perform(wait, look, planned=True)
    stack.runner.cancel.check()
    return found
