"""A logical volume as it is at one moment: its snapshot, which stands for as long as a backup takes.

Only where the operator asks for it, since the volume group of the host is changed for that time. What is
read is as after a power cut: whole, but without what a machine has only in its memory.
"""

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from core import lvm, tools
from core.command import Command
from core.disks.logical import logical_volume, mapping
from core.disks.model import Disk
from core.disks.naming import Dest
from core.disks.outlook import Outlook, outlook
from core.errors import NeedsRoot, NoSpace, Refused, SalvageError, WrongUsage
from core.i18n import _
from core.lvm import LogicalVolume
from core.runner import Runner, SystemRunner
from core.text import quoted, safe, size
from core.undo.mappings import PREFIX
from core.undo.pairs import Pair
from core.undo.snapshots import UNWATCHED, VolumeSnapshot
from core.undo.stack import Stack

_LEAST = 20
"""A snapshot that takes less than this part of its volume is not begun: it would soon be full."""
_SPARE = 10
"""This part of the group's free room is left to others."""
_POOL = (90, 95)
"""Per cent of a thin pool in use: above the first no snapshot is made, above the second it is given up."""
_MAKE = ("--yes", "--snapshot", "--permission", "r", "--monitor", "n", *UNWATCHED)
"""Neither it nor its pool is watched by dmeventd, which would be started for it, and stay."""
_EVERY = 1.0
"""Seconds between two looks at a snapshot that is being read."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The snapshot that is to be made of a volume."""

    volume: LogicalVolume
    extents: int
    """What is set aside for what is written meanwhile; 0 in a thin pool, which takes that from its own."""
    pool_free: int = 0
    """Bytes that nothing uses in the thin pool."""

    @property
    def room(self) -> int:
        """Bytes that may be written to the volume meanwhile."""
        return self.pool_free or self.extents * self.volume.extent

    @property
    def is_safe(self) -> bool:
        """Whether it can take as much as the whole volume written anew."""
        return not self.volume.is_thin and self.extents >= _whole(self.volume)

    def told(self) -> tuple[str, ...]:
        """What it does to the host and what the copy will be, in sentences."""
        volume = self.volume
        if volume.is_thin:
            made = _(
                "While the backup is made, there is a snapshot of {volume} in the volume group; at the end it"
                " is removed. What is written meanwhile takes room in the thin pool {pool}, of which {size}"
                " are free; before that is full, the backup is given up."
            )
        elif self.is_safe:
            made = _(
                "While the backup is made, there is a snapshot of {volume} in the volume group, with {size}"
                " for what is written meanwhile; at the end it is removed."
            )
        else:
            made = _(
                "While the backup is made, there is a snapshot of {volume} in the volume group, with {size}"
                " for what is written meanwhile; at the end it is removed. If more is written, the backup"
                " fails; the volume itself is not harmed."
            )
        consistent = _(
            "The copy is of one moment, as after a power cut (crash-consistent): what a machine has only in"
            " its memory is not in it."
        )
        pool = f"{volume.group}/{volume.pool}"
        return made.format(volume=volume.title, size=size(self.room), pool=pool), consistent


@dataclass(slots=True)
class Frozen:
    """A volume's snapshot that stands."""

    plan: Plan
    path: str
    disk: Disk
    """The disk, read from the snapshot."""
    taken: float
    """When, in seconds since 1970."""
    _looked: float = 0.0

    def told(self) -> str:
        """What the copy is of, in a sentence."""
        return _("It is {volume} as it was at {time}, as after a power cut (crash-consistent).").format(
            volume=self.plan.volume.title, time=time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.taken))
        )

    def watch(self) -> SalvageError | None:
        """What is wrong with it, asked now and then; for `core.cancel.CancelToken.watch`."""
        if time.monotonic() - self._looked < _EVERY:
            return None
        return self.trouble()

    def require(self) -> None:
        """Raise `SalvageError` where what was read may not be what the volume was at that moment."""
        if trouble := self.trouble():
            raise trouble

    def trouble(self) -> SalvageError | None:
        """What is wrong with it now: it is full, its pool nearly so, or it went away."""
        self._looked = time.monotonic()
        volume = self.plan.volume
        if volume.is_thin:
            used = pool_used(volume)
            return _pool_full(volume) if used is None or max(used) > _POOL[1] else None
        words = _status(lvm.mapped(volume.group, os.path.basename(self.path)))
        if words[:1] in (["Invalid"], ["Overflow"]):
            return self._full()
        return None if words else self._gone()

    def _full(self) -> SalvageError:
        volume = self.plan.volume
        return SalvageError(
            _("More was written to {volume} than its snapshot had room for ({size}).").format(
                volume=volume.title, size=size(self.plan.room)
            ),
            _("A full snapshot shows nothing any more: the backup is given up. The volume is not harmed."),
            _("Make room in the volume group {group}, or back it up when less is written.").format(
                group=volume.group
            ),
        )

    def _gone(self) -> SalvageError:
        return SalvageError(
            _("The snapshot of {volume} went away while it was read.").format(volume=self.plan.volume.title),
            _("The backup is given up; the volume is not harmed."),
            _("Find out who removed it (lvs tells what is there), and start again."),
        )


def planned(disk: Disk, runner: Runner) -> Plan:
    """The snapshot that can be made of the volume that a disk is; only looks.

    Raises `WrongUsage` for what is no logical volume, `NeedsRoot`, `Refused` where LVM knows another volume
    by that name, and `NoSpace` where the group or the pool has too little room.
    """
    name = logical_volume(disk.path)
    if not name:
        raise WrongUsage(
            _("{path} is no logical volume of this host, and only those have such snapshots.").format(
                path=disk.title
            ),
            _("Nothing was copied."),
            _("Leave --lvm-snapshot out."),
        )
    if len(disk.files) > 1:
        raise Refused(
            _("{path} stands on other files, and a snapshot holds only the volume itself.").format(
                path=disk.title
            ),
            _("Nothing was copied."),
            _("Shut the machine down, and leave --lvm-snapshot out."),
        )
    if os.geteuid() != 0:
        raise NeedsRoot(
            _("A snapshot of {volume} can only be made by root.").format(volume=name),
            _("Nothing was changed."),
            _("Run the same command with sudo."),
        )
    tools.require("lvcreate")
    found = [one for one in lvm.volumes(runner, name) if one.mapping == mapping(disk.path)]
    if not found:
        raise Refused(
            _("LVM knows another volume as {volume} than {path}.").format(volume=name, path=disk.title),
            _("Nothing was changed."),
            _("Two groups may have the same name; `vgs --options +vg_uuid` lists them."),
        )
    return _in_pool(found[0]) if found[0].is_thin else _in_group(found[0])


def _whole(volume: LogicalVolume) -> int:
    """Extents that take every chunk of the volume and the list of them: 16 bytes for each 4 KiB, and more."""
    return -(-(volume.size + volume.size // 128) // volume.extent) + 1


def _in_group(volume: LogicalVolume) -> Plan:
    whole = _whole(volume)
    given = min(whole, volume.free - volume.free // _SPARE)
    least = max(1, whole // _LEAST)
    if given < least:
        raise NoSpace(
            _("A snapshot of {volume} needs {least} at least; {free} are free in its group.").format(
                volume=volume.title,
                least=size(least * volume.extent),
                free=size(volume.free * volume.extent),
            ),
            _("Nothing was changed."),
            _("Make room in the volume group {group}, or shut the machine down and back it up then.").format(
                group=volume.group
            ),
        )
    return Plan(volume, given)


def _in_pool(volume: LogicalVolume) -> Plan:
    used = pool_used(volume)
    if used is None or max(used) > _POOL[0]:
        raise NoSpace(
            _("The thin pool {pool} is nearly full.").format(pool=f"{volume.group}/{volume.pool}"),
            _("With a snapshot, what machines write takes more of it; full, none of them could write."),
            _("Extend it with lvextend, or shut the machine down and back it up then."),
        )
    pool = next(iter(lvm.volumes(SystemRunner(), f"{volume.group}/{volume.pool}")))
    return Plan(volume, 0, max(1, int(pool.size * (100 - used[1]) / 100)))


def pool_used(volume: LogicalVolume) -> tuple[float, float] | None:
    """Per cent that are in use of the metadata and of the data of a volume's pool; None where it failed.

    See the kernel's Documentation/admin-guide/device-mapper/thin-provisioning.rst, Status.
    """
    words = _status(lvm.mapped(volume.group, volume.pool) + "-tpool")
    try:
        parts = [word.split("/") for word in words[1:3]]
        metadata, data = (100 * int(used) / int(most) for used, most in parts)
    except (ValueError, ZeroDivisionError):
        return None
    return metadata, data


def _status(name: str) -> list[str]:
    """What the target of a mapping says of itself; nothing where there is no such mapping.

    A snapshot's is ``USED/ALL METADATA``, or one word where it is none any more: see the kernel's
    Documentation/admin-guide/device-mapper/snapshot.rst.
    """
    command = Command(
        ("dmsetup", "status", name),
        why=_("Ask the kernel how full the snapshot is."),
        good=frozenset({0, 1}),
    )
    words = SystemRunner().run(command).out.decode(errors="replace").split()
    return words[3:]


def _pool_full(volume: LogicalVolume) -> SalvageError:
    return SalvageError(
        _("The thin pool {pool} is nearly full.").format(pool=f"{volume.group}/{volume.pool}"),
        _("The backup is given up and its snapshot removed, so that the machines in the pool can write on."),
        _("Extend it with lvextend, or back the volume up when less is written."),
    )


def take(stack: Stack, disk: Disk, plan: Plan, session: str) -> Frozen:
    """Make the snapshot, as something that the stack takes down again; in a plan, only tell it.

    Raises `core.runner.CommandFailed` where LVM does not make it, and `SalvageError` where what then bears
    its name is not it.
    """
    volume = plan.volume
    tag = f"{PREFIX}{session}-{stack.number}"
    room = (
        ("--activate", "y", "--ignoreactivationskip") if volume.is_thin else ("--extents", str(plan.extents))
    )
    do = Command(
        ("lvcreate", *_MAKE, *room, "--addtag", tag, "--name", tag, volume.title),
        why=_("Keep the volume as it is at this moment, to be read while the machine writes on."),
        effect=_("the volume group has one more volume, the snapshot"),
        unbroken=True,
        limits=None,
    )
    facts = VolumeSnapshot.facts(volume.group, tag, volume.name)
    path = stack.put_up(Pair("lv", do, f"/dev/{volume.group}/{tag}", facts=lambda: facts, planned=facts))
    link = replace(disk.chain[0], path=Path(path))
    frozen = Frozen(plan, path, replace(disk, path=Path(path), chain=(link,), held_by=()), time.time())
    if not stack.runner.planning:
        uuid = stack.entries[-1].identity["uuid"]
        if not uuid or mapping(Path(path)) != replace(volume, uuid=uuid).mapping:
            raise SalvageError(
                _("{path} is not the snapshot that was made.").format(path=safe(path)),
                _("Nothing was copied."),
                _("Look at what LVM has: lvs {group}").format(group=quoted(volume.group)),
            )
    return frozen


def foreseen(disk: Disk, dest: Dest, runner: Runner) -> Outlook:
    """What a backup of the volume by a snapshot would meet, at its target and in its group; only looks."""
    seen = outlook(disk, dest, frozen=True)
    try:
        told = planned(disk, runner).told()
    except SalvageError as error:
        return replace(seen, refusal=seen.refusal or error.paragraph())
    return replace(seen, warnings=(*told, *seen.warnings))
