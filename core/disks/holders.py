"""Who has a disk open: what programs have open, QEMU's own locks, hypervisors, and block devices over it.

One alone is not enough: another program takes no QEMU lock, ``file.locking=off`` hides QEMU, a process in
another container shows only its lock, and where nothing is seen the kernel still counts who writes.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from core import mounts, processes
from core.disks import arguments, hypervisors, locks, programs
from core.disks.devices import Devices
from core.disks.hypervisors import Domain, Roots
from core.disks.locks import ReadLock
from core.disks.model import Disk, Holder
from core.disks.programs import Seen, Targets, User
from core.disks.ways_out import InUse, refuse_if_written
from core.i18n import _, ngettext
from core.text import safe
from core.undo.sightings import Sessions

_SHARED = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "ocfs2", "gfs2", "fuse.sshfs", "fuse.glusterfs"}
)


@dataclass(frozen=True, slots=True)
class Survey:
    """Who holds a disk, and what could not be seen."""

    holders: tuple[Holder, ...]
    problems: tuple[str, ...]


def holders(disk: Disk, sessions: Sessions | None = None) -> tuple[Holder, ...]:
    """Everybody but this process who has any file of the disk's chain open, writers first."""
    return survey(disk, sessions).holders


def held(disk: Disk, sessions: Sessions | None = None) -> Disk:
    """The disk with `held_by` and what could not be seen filled in."""
    return with_holders(disk, survey(disk, sessions))


def with_holders(disk: Disk, seen: Survey) -> Disk:
    """The disk with what a look at its holders found."""
    problems = tuple(dict.fromkeys((*disk.problems, *seen.problems)))
    return replace(disk, held_by=seen.holders, problems=problems)


def lock_to_read(disk: Disk, sessions: Sessions | None = None) -> ReadLock:
    """Look who holds the disk, and keep every QEMU from beginning to write to it.

    Raises `InUse` when somebody writes, also when that begins between the look and the lock.
    """
    refuse_if_written(disk, holders(disk, sessions))
    lock = ReadLock.take(disk.files)
    written = lock.writers()
    if written:
        lock.close()
        now = holders(disk, sessions)
        refuse_if_written(disk, now)
        raise InUse(disk, [Holder(None, "qemu", None, "write", str(written[0]), "lock")])
    return lock


def survey(disk: Disk, sessions: Sessions | None = None, roots: Roots | None = None) -> Survey:
    """Look at the locks, the processes, the hypervisors and the block devices; only looks.

    What belongs to one of the `sessions` of this program is named so.
    """
    roots = roots or Roots()
    table = mounts.mounts()
    targets = Targets.of(disk.files, table)
    devices = Devices(table)
    seen = programs.look(targets, devices.served(targets))
    machines = {one.pid: one for one in hypervisors.running(roots) if one.pid}
    found = [_holder(user, machines, devices, targets) for user in seen.users]
    found += devices.holders(targets)
    found += _told_by_managers(machines, targets, {one.pid for one in found})
    found += _unseen(disk, seen, targets, found, machines, devices)
    if sessions:
        found = [sessions.named(one) for one in found]
    found = sorted(dict.fromkeys(found), key=lambda one: (one.mode == "read", one.pid or 0))
    problems = (
        *_blind(seen),
        *_out_of_sight(targets),
        *_unlockable(disk),
        *_noted(seen),
        *_saved(roots, targets),
    )
    return Survey(tuple(found), problems)


# -- who ---------------------------------------------------------------------------------------------


def _holder(user: User, machines: dict[int, Domain], devices: Devices, targets: Targets) -> Holder:
    domain = machines.get(user.pid)
    machine = None
    if domain:
        source = domain.source(targets.paths)
        machine = domain.machine_with(source) if source else domain.machine
    name = arguments.machine(user.words) or (machine.name if machine else None)
    through = devices.through(user.pid)
    return Holder(user.pid, user.program, name, user.mode, through, user.evidence, machine, file=user.file)


def _told_by_managers(
    machines: dict[int, Domain], targets: Targets, known: set[int | None]
) -> Iterator[Holder]:
    """The machines that have the disk as libvirt says, but were not seen to: it may not be open yet."""
    for pid, domain in machines.items():
        source = domain.source(targets.paths) if pid not in known else None
        if source:
            machine = domain.machine_with(source)
            name = programs.program(pid)
            yield Holder(pid, name, machine.name, source.mode, "", "hypervisor", machine)


def _unseen(
    disk: Disk,
    seen: Seen,
    targets: Targets,
    found: Sequence[Holder],
    machines: dict[int, Domain],
    devices: Devices,
) -> list[Holder]:
    """Who is known by locks alone, or by the kernel's count of writers: it does not tell who they are."""
    told = {one for user in seen.users for one in user.locked} | seen.locked
    guessed = any(one.evidence in ("arguments", "hypervisor") and one.mode == "write" for one in found)
    unseen = []
    for path in disk.files:
        locked = locks.locked(path)
        if locked is None:
            continue
        if locked & locks.WRITERS - told and not guessed:
            unseen.append(Holder(None, "qemu", None, "write", str(path), "lock"))
        elif locked - told and not locked & locks.WRITERS and not found:
            unseen.append(Holder(None, "qemu", None, "read", str(path), "lock"))
    if any(one.mode == "write" for one in (*found, *unseen)):
        return unseen
    counted = [(path, locks.written(path)) for path in disk.files]
    if targets.files and any(many is not False for _path, many in counted):
        users = programs.mapping(targets, {user.pid for user in seen.users})
        unseen += [_holder(user, machines, devices, targets) for user in users]
    if not any(one.mode == "write" for one in unseen):
        unseen += [Holder(None, "?", None, "write", str(path), "count") for path, many in counted if many]
    return unseen


# -- what could not be seen ----------------------------------------------------------------------------


def _blind(seen: Seen) -> Iterator[str]:
    count = len(seen.hidden)
    if count:
        told = ngettext(
            "Without root, {count} process of others could not be looked at: it may hold the disk.",
            "Without root, {count} processes of others could not be looked at: they may hold the disk.",
            count,
        )
        if os.geteuid() == 0:
            told = ngettext(
                "Even as root, {count} process could not be looked at: it may hold the disk.",
                "Even as root, {count} processes could not be looked at: they may hold the disk.",
                count,
            )
        yield told.format(count=count)
    if processes.hides_processes():
        yield _("This host hides the processes of others: whether they hold the disk cannot be seen.")
    if processes.in_container():
        yield _(
            "This is a container: what programs outside of it have open cannot be seen, only their locks."
        )


def _out_of_sight(targets: Targets) -> Iterator[str]:
    """What to say where other hosts may use the same files: their locks and processes are not seen here."""
    numbers = {f"{os.major(device)}:{os.minor(device)}" for device, _inode in targets.files}
    shared = {mount.type for mount in mounts.mounts() if mount.device in numbers and mount.type in _SHARED}
    for kind in sorted(shared):
        yield _(
            "The disk lies on a shared file system ({kind}): whether another host uses it cannot be seen."
        ).format(kind=kind)


def _unlockable(disk: Disk) -> Iterator[str]:
    for path in disk.files:
        if locks.locked(path) is None:
            yield _(
                "No lock can be had on {path}: a virtual machine that is started meanwhile would not be kept"
                " from writing to it."
            ).format(path=safe(path))


def _noted(seen: Seen) -> Iterator[str]:
    for user in seen.named:
        yield _("{program} (pid {pid}) names this disk in its arguments, but does not have it open.").format(
            program=safe(arguments.machine(user.words) or user.program), pid=user.pid
        )


def _saved(roots: Roots, targets: Targets) -> Iterator[str]:
    for name in hypervisors.saved(roots, targets.paths):
        yield _(
            "{vm} is off with its memory saved, and goes on with this disk as it is now: read it, but write"
            " nothing to it."
        ).format(vm=safe(name))
