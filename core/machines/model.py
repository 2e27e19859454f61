"""What a virtual machine is to somebody who looks for its disks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Origin = Literal["libvirt", "proxmox", "qemu"]
Device = Literal["disk", "cdrom", "floppy"]


@dataclass(frozen=True, slots=True)
class MachineDisk:
    """A disk as the definition or the process of a machine has it."""

    target: str
    """What the machine or its definition calls it: ``vda``, ``scsi0``."""
    path: Path | None
    """None for what is no file or device of this host."""
    address: str = ""
    """Of a disk on a network: where it is, written as QEMU would."""
    format: str | None = None
    """The image format that the hypervisor states; None where it states none."""
    device: Device = "disk"
    read_only: bool = False
    problem: str = ""
    """Why neither path nor address is known."""
    below: tuple[str, ...] = ()
    """Paths that the definition tells of the images below."""
    beside: tuple[str, ...] = ()
    """Other paths that the machine writes to for this disk: where a job copies it to, a data file."""

    @property
    def place(self) -> str:
        """Where it is, in one word; empty when that is not known."""
        return str(self.path) if self.path else self.address


@dataclass(frozen=True, slots=True)
class VirtualMachine:
    """A machine and the disks that it has."""

    name: str
    origin: Origin
    id: str
    """What its manager calls it beside its name: the UUID of libvirt, the number of Proxmox VE, a process."""
    running: bool | None
    """None where that cannot be seen: on another node of a cluster."""
    disks: tuple[MachineDisk, ...]
    pid: int | None = None
    paused: bool = False
    node: str = ""
    """The other node of a cluster that it belongs to; empty for this host."""

    @property
    def own_disks(self) -> tuple[MachineDisk, ...]:
        """The disks that data can be on: neither CD nor floppy."""
        return tuple(one for one in self.disks if one.device == "disk")
