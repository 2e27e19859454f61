"""``vm:NAME`` and ``vm:NAME:TARGET``: a disk by the machine that has it."""

import difflib
import os
from collections.abc import Sequence
from pathlib import Path

from core.disks.finding import disk_at
from core.disks.formats import NAMES, RAW, ambiguous, matching
from core.disks.header import Source
from core.disks.usage import Usage
from core.errors import SalvageError, WrongUsage
from core.i18n import _, enumerated, listed, noted
from core.machines import census
from core.machines.model import MachineDisk, VirtualMachine
from core.machines.places import Places
from core.text import safe, size

PREFIX = "vm:"
_OPENED = ("nbd://", "nbd+unix://", "ssh://", "https://", "http://")
_MOST_TOLD = 8


def by_machine(given: str, format: str | None, places: Places | None = None) -> tuple[str, str | None]:
    """The path or address that ``vm:…`` stands for, and the format to open it as; others as they are.

    A machine's definition is the hypervisor's word on the format, so it is handed on, unless the operator
    gave theirs. Raises `WrongUsage` where no machine is called so or the machine has several disks,
    `Ambiguous` where the hypervisor says raw and the disk begins like an image, and `SalvageError` where
    the disk is not on this host.
    """
    if not given.startswith(PREFIX):
        return given, format
    machine, disk = _chosen(given.removeprefix(PREFIX), census.machines(places))
    if disk.address:
        if disk.address.startswith(_OPENED):
            return disk.address, format
        raise _elsewhere(machine, disk)
    if disk.path is None:
        raise _nowhere(machine, disk, disk.problem or _("The drive is empty."))
    if not os.path.lexists(disk.path):
        raise _missing(machine, disk, disk.path)
    stated = "raw" if disk.format == "iso" else disk.format
    if format is not None or stated not in NAMES:
        return str(disk.path), format
    if stated == RAW:
        _require_raw(machine, disk.path)
    return str(disk.path), stated


def _chosen(text: str, known: Sequence[VirtualMachine]) -> tuple[VirtualMachine, MachineDisk]:
    named = _named(text, known)
    target = ""
    if not named:
        name, _colon, target = text.rpartition(":")
        named = _named(name, known)
    if not named:
        raise _unknown(text, known)
    found = [(one, disk) for one in named for disk in one.disks if disk.place or disk.problem]
    wanted = [
        (one, disk) for one, disk in found if (disk.target == target if target else disk.device == "disk")
    ]
    # The same disk of two machines of one name is one disk all the same
    if len({disk.place or disk.problem for _one, disk in wanted}) == 1:
        return wanted[0]
    raise _several(named, found, target)


def _named(name: str, known: Sequence[VirtualMachine]) -> list[VirtualMachine]:
    """The machines of that name; else the one that its manager knows by that number or UUID."""
    same = [one for one in known if one.name == name]
    return same or [one for one in known if name and one.id == name and not one.node]


def _require_raw(machine: VirtualMachine, path: Path) -> None:
    """Raise `Ambiguous` when a disk that is stated to be raw begins like an image: its guest may do that."""
    with Source(path) as source:
        names = [known.name for known in matching(source) if not known.in_trailer]
    if names:
        told = _("the definition of the machine {name} says that it is raw").format(name=safe(machine.name))
        raise ambiguous(path, names, told)


# -- what is said ------------------------------------------------------------------------------------


def _several(
    named: Sequence[VirtualMachine], found: Sequence[tuple[VirtualMachine, MachineDisk]], target: str
) -> WrongUsage:
    name = safe(named[0].name)
    lines = [_told(machine, disk) for machine, disk in found]
    if not lines:
        return WrongUsage(
            _("The machine {name} has no disk.").format(name=name),
            remedy=_("`virt-salvage list` shows what else there is; a path can be given as well."),
        )
    more = len(lines) - _MOST_TOLD
    told = _("; ").join(lines[:_MOST_TOLD]) + (_("; and {count} more").format(count=more) if more > 0 else "")
    if len(named) > 1:
        what = _("{count} machines are called {name}.").format(count=len(named), name=name)
        remedy = _("Give the path of the disk: {disks}.").format(disks=told)
    elif target:
        what = _("The machine {name} has no disk {target}.").format(name=name, target=safe(target))
        remedy = _("Its disks are: {disks}.").format(disks=told)
    else:
        what = _("The machine {name} has several disks, or only removable ones.").format(name=name)
        if sum(disk.device == "disk" for _one, disk in found) > 1:
            what = _("The machine {name} has several disks.").format(name=name)
        remedy = _("Say which, as in {example}: {disks}.").format(
            example=safe(f"{PREFIX}{named[0].name}:{found[0][1].target}"), disks=told
        )
    return WrongUsage(what, remedy=remedy)


def _told(machine: VirtualMachine, disk: MachineDisk) -> str:
    """A disk by its target, its size and where it is."""
    found = disk_at(disk.path, Usage()) if disk.path and not machine.node else None
    if disk.device != "disk":
        length = {"cdrom": _("CD"), "floppy": _("floppy")}[disk.device]
    elif found and found.virtual_size is not None:
        length = size(found.virtual_size)
    else:
        length = _("on a network") if disk.address else _("size unknown") if found else _("not there")
    return noted(safe(disk.target), listed((length, safe(disk.place or "?"))))


def _unknown(text: str, known: Sequence[VirtualMachine]) -> WrongUsage:
    what = _("There is no machine {name} here.").format(name=safe(text))
    if not known:
        where = _("Neither libvirt nor Proxmox VE nor a running QEMU tells of any machine.")
        remedy = _("Give the path of the disk; virt-salvage list shows those that it can find here.")
        if os.geteuid():
            remedy = _("What libvirt and Proxmox VE know, only root may read: try the same with sudo.")
        return WrongUsage(what, where, remedy)
    names = sorted({one.name for one in known})
    name = text.partition(":")[0].lower()
    lower = {one.lower(): one for one in names}
    near = [lower[one] for one in difflib.get_close_matches(name, lower, 3, 0.5)]
    near += [one for one in names if name and name in one.lower() and one not in near]
    if near:
        told = enumerated(map(safe, near[:_MOST_TOLD]))
        return WrongUsage(what, remedy=_("Is it one of these: {names}?").format(names=told))
    told = enumerated(map(safe, names[:_MOST_TOLD])) + (", ..." if len(names) > _MOST_TOLD else "")
    return WrongUsage(what, remedy=_("Those that are known: {names}.").format(names=told))


def _elsewhere(machine: VirtualMachine, disk: MachineDisk) -> SalvageError:
    if disk.address.startswith("fat:"):
        return SalvageError(
            _("The disk {target} of the machine {name} is a folder that it sees as a disk: {path}.").format(
                target=safe(disk.target), name=safe(machine.name), path=safe(disk.address[4:])
            ),
            _("Its files lie on this host already."),
        )
    return SalvageError(
        _("The disk {target} of the machine {name} is not on this host but on a network: {address}.").format(
            target=safe(disk.target), name=safe(machine.name), address=safe(disk.address)
        ),
        _("Nothing was opened."),
        _("Map it to a block device of this host (such as `rbd map`), read-only, and give that device."),
    )


def _nowhere(machine: VirtualMachine, disk: MachineDisk, why: str) -> SalvageError:
    return SalvageError(
        _("The disk {target} of the machine {name} cannot be opened by its name.").format(
            target=safe(disk.target), name=safe(machine.name)
        ),
        why,
        _("Give its path, if you know it."),
    )


def _missing(machine: VirtualMachine, disk: MachineDisk, path: Path) -> SalvageError:
    values = {"target": safe(disk.target), "name": safe(machine.name), "path": safe(path)}
    if machine.node:
        where = _("The machine belongs to another node of the cluster: {node}.").format(
            node=safe(machine.node)
        )
    else:
        where = _("It was moved or deleted, or its storage is not there: not mounted, or not activated.")
    return SalvageError(
        _("The disk {target} of the machine {name} should be {path}, but nothing is there.").format(**values),
        where,
        _("Mount the storage or activate its volume group, or look where the file went."),
    )
