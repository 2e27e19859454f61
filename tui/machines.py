"""What both faces say of machines, their disks, and who holds them."""

from collections.abc import Sequence

from core.disks.model import Holder
from core.i18n import N_, _, listed, noted
from core.machines.inventory import Member
from core.machines.model import MachineDisk, VirtualMachine
from core.text import safe

_ORIGINS = {"libvirt": "libvirt", "proxmox": "Proxmox VE", "qemu": "QEMU"}
_DEVICES = {"cdrom": N_("CD"), "floppy": N_("floppy")}


def machine_told(machine: VirtualMachine) -> str:
    """A machine in one line: its name, who manages it, whether it runs."""
    return noted(safe(machine.name), listed((origin_told(machine), state_told(machine))))


def origin_told(machine: VirtualMachine) -> str:
    """Who manages it, with its number there."""
    number = f" {safe(machine.id)}" if machine.origin == "proxmox" else ""
    return _ORIGINS[machine.origin] + number


def state_told(machine: VirtualMachine) -> str:
    """Whether it runs, in a word or two."""
    if machine.node:
        return _("on node {node}").format(node=safe(machine.node))
    if machine.paused:
        return _("paused")
    return _("running") if machine.running else _("off")


def device_told(disk: MachineDisk, format: str) -> str:
    """The format of a disk; what it is, where it is not a disk that data can be on."""
    return _(_DEVICES[disk.device]) if disk.device != "disk" else safe(format)


def missing_told(member: Member) -> str:
    """Where a disk is that could not be found here, and what is wrong."""
    disk = member.disk
    if disk.address:
        return _("{address} (on a network)").format(address=safe(disk.address))
    if disk.path:
        return _("{path} (not there)").format(path=safe(disk.path))
    return disk.problem


def holders_told(holders: Sequence[Holder], *, short: bool = False) -> str:
    """Who has a disk open, the first by name; empty for nobody. With `short` not what they do with it."""
    if not holders:
        return ""
    first = holders[0]
    more = f" +{len(holders) - 1}" if len(holders) > 1 else ""
    if first.program == "mount":
        return _("mounted") + more
    if short:
        return (
            safe(first.vm or ("qemu" if first.program.startswith("qemu-system-") else first.program)) + more
        )
    mode = {"read": _("reads"), "write": _("writes")}[first.mode]
    return f"{safe(first.vm or first.program)} {mode}{more}"
