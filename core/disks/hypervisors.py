"""What libvirt and Proxmox VE say of the machines that run here, read from their own files.

No daemon is asked: ``virsh`` may start one, may hang with it, and knows of a running machine what stands
in the same files. libvirt writes a status file for every running machine (``/run/libvirt/qemu/NAME.xml``,
src/conf/domain_conf.c: virDomainObjFormat), Proxmox VE a file with the process number of each.

The files are read as if somebody hostile had written them, for names in them come from people: see
`core.machines.trusted` and `core.machines.markup`.
"""

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from core import host
from core.disks.model import Machine, Mode
from core.machines import libvirt, trusted
from core.machines.model import VirtualMachine

_MOST = 10_000
"""Machines on one host."""


@dataclass(frozen=True, slots=True)
class Roots:
    """Where the hypervisors keep their state."""

    running: Path = Path("/run/libvirt/qemu")
    defined: Path = Path("/etc/libvirt/qemu")
    saved: Path = Path("/var/lib/libvirt/qemu/save")
    proxmox: Path = Path("/run/qemu-server")
    proxmox_defined: Path = Path("/etc/pve/qemu-server")


@dataclass(frozen=True, slots=True)
class Source:
    """A file or device that a machine has as a disk, or below one."""

    path: str
    mode: Mode
    target: str


@dataclass(frozen=True, slots=True)
class Domain:
    """A machine and the disks that it has."""

    machine: Machine
    pid: int | None
    sources: tuple[Source, ...] = ()

    def source(self, paths: Collection[str]) -> Source | None:
        """How it has one of the files, those that it writes to first; None when it has none of them.

        Symbolic links of the machine's own paths are followed.
        """
        for one in sorted(self.sources, key=lambda source: source.mode == "read"):
            if one.path in paths or os.path.realpath(one.path) in paths:
                return one
        return None

    def machine_with(self, source: Source) -> Machine:
        """The machine with what it calls that disk."""
        return replace(self.machine, target=source.target)


def running(roots: Roots) -> list[Domain]:
    """The machines that run or are paused; those whose process is gone are left out."""
    found = [_domain(data) for _name, data in trusted.contents(roots.running, ".xml")]
    alive = [one for one in found if one and one.pid and host.started(one.pid) is not None]
    return [*alive, *_proxmox(roots)]


def saved(roots: Roots, paths: Collection[str]) -> list[str]:
    """The names of the machines that are off with their memory saved, and have one of the disks.

    A managed save (virsh(1)) goes on with the disk as it was: what is changed meanwhile is damage then.
    """
    try:
        names = {one.removesuffix(".save") for one in os.listdir(roots.saved) if one.endswith(".save")}
    except OSError:
        return []
    found = []
    for name in sorted(names):
        data = trusted.content(roots.defined / f"{name}.xml")
        domain = _domain(data) if data else None
        if domain and domain.source(paths):
            found.append(name)
    return found


def _domain(data: bytes) -> Domain | None:
    """The machine that a status or definition tells of; None for what is neither."""
    found = libvirt.definition(data)
    if found is None:
        return None
    machine = Machine(found.name, "libvirt", found.name, paused=found.paused)
    return Domain(machine, found.pid, tuple(_sources(found)))


def _sources(found: VirtualMachine) -> Iterator[Source]:
    for disk in found.disks:
        mode: Mode = "read" if disk.read_only else "write"
        own = (str(disk.path),) if disk.path else ()
        for path in (*own, *disk.beside):
            yield Source(path, mode, disk.target)
        for path in disk.below:
            yield Source(path, "read", disk.target)


# -- Proxmox VE -------------------------------------------------------------------------------------

_CONFIGURED_NAME = re.compile(rb"^name:[ \t]*(\S+)", re.MULTILINE)


def _proxmox(roots: Roots) -> Iterator[Domain]:
    """The machines of Proxmox VE: their disks are known by what their processes have open."""
    try:
        names = sorted(os.listdir(roots.proxmox))[:_MOST]
    except OSError:
        return
    for name in names:
        number, dot, ending = name.partition(".")
        if (dot, ending) != (".", "pid") or not number.isdecimal():
            continue
        pid = trusted.content(roots.proxmox / name).strip()
        if not pid.isdigit() or host.started(int(pid)) is None:
            continue
        # What stands behind the first heading is of a snapshot
        configured = trusted.content(roots.proxmox_defined / f"{number}.conf").partition(b"\n[")[0]
        told = _CONFIGURED_NAME.search(configured)
        machine = Machine(os.fsdecode(told[1]) if told else number, "proxmox", number)
        yield Domain(machine, int(pid))
