"""Everything on this host that can be opened as a disk: machines first, then what else lies about."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.disks.finding import Found, disk_at, find_disks
from core.disks.usage import Usage
from core.machines import census
from core.machines.model import MachineDisk, VirtualMachine
from core.machines.places import Places


@dataclass(frozen=True, slots=True)
class Member:
    """A disk of a machine, and what was found where it should be."""

    disk: MachineDisk
    found: Found | None
    """None where nothing is, and for what is no file or device of this host."""

    def to_json(self) -> dict[str, Any]:
        known = self.found.to_json() if self.found else {"path": self.disk.place or None, "format": None}
        return {
            "target": self.disk.target,
            **known,
            "device": self.disk.device,
            "stated_format": self.disk.format,
            "read_only": self.disk.read_only,
            "exists": self.found is not None if self.disk.path else None,
            "problem": self.disk.problem or None,
        }


@dataclass(frozen=True, slots=True)
class Group:
    """A machine with its disks; empty drives are left out."""

    machine: VirtualMachine
    members: tuple[Member, ...]

    @property
    def own(self) -> tuple[Member, ...]:
        """The disks that data can be on: neither CD nor floppy."""
        return tuple(one for one in self.members if one.disk.device == "disk")

    def to_json(self) -> dict[str, Any]:
        machine = self.machine
        return {
            "name": machine.name,
            "origin": machine.origin,
            "id": machine.id or None,
            "node": machine.node or None,
            "running": machine.running,
            "paused": machine.paused,
            "pid": machine.pid,
            "disks": [member.to_json() for member in self.members],
        }


def inventory(
    folders: Sequence[Path], skipped: list[Path] | None = None, places: Places | None = None
) -> Iterator[Group | Found]:
    """The machines, then the images under the folders and where machines keep theirs, then block devices.

    A disk of a machine is told with its machine only. What could not be looked at is added to `skipped`.
    """
    known = census.machines(places)
    everywhere = [*folders, *census.folders(places)]
    usage = Usage.now([folder.expanduser() for folder in everywhere])
    taken = set()
    for machine in known:
        group = _group(machine, usage)
        taken |= {member.found.identity for member in group.members if member.found}
        yield group
    for found in find_disks(everywhere, skipped, usage):
        if found.identity not in taken:
            yield found


def _group(machine: VirtualMachine, usage: Usage) -> Group:
    members = []
    for disk in machine.disks:
        if disk.place or disk.problem:
            # The same path on another node may be another disk
            here = disk.path and (not machine.node or not disk.path.is_relative_to("/dev"))
            found = disk_at(disk.path, usage) if disk.path and here else None
            members.append(Member(disk, replace(found, vm=machine.name) if found else None))
    return Group(machine, tuple(members))
