"""Who has any of the host's disks open: one look over all programs, for lists of thousands of disks.

It sees open files, loops and what stands on block devices. The full look at one disk, which also sees
locks, maps and counts, is `core.disks.holders`.
"""

import os
import stat
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core import loops, mounts
from core.disks import arguments, programs
from core.disks.devices import Devices
from core.disks.model import Holder, Identity, Mode
from core.disks.programs import Targets

BLOCK = -1
"""Stands for the device number in the identity of a block device; the other is the number of its own."""


def identity(at: os.stat_result) -> Identity:
    """What a file or block device is known by, whatever it is called."""
    return (BLOCK, at.st_rdev) if stat.S_ISBLK(at.st_mode) else (at.st_dev, at.st_ino)


@dataclass
class Usage:
    """What all programs had open at one moment; an empty one knows of nobody."""

    table: Sequence[mounts.Mount] = ()
    opened: dict[Identity, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    """The programs, and the numbers of their open files."""
    looped: set[Identity] = field(default_factory=set)

    @classmethod
    def now(cls, folders: Sequence[Path]) -> "Usage":
        """Look at all programs but this one; disks are looked for in `folders`.

        Files that somebody else serves are only looked at below those: a server that is away would stop us.
        """
        table = mounts.mounts()
        usage = cls(table)
        remote = tuple(one.point for one in table if one.type.startswith(programs.REMOTE))
        served = Targets(frozenset(), frozenset(), frozenset(), tuple(map(str, folders)), remote)
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != os.getpid():
                usage._look(int(name), served)
        for loop in loops.loops():
            if not served.may_hang(loop.backing):
                usage._loop(loop.backing)
        return usage

    def _look(self, pid: int, served: Targets) -> None:
        folder = f"/proc/{pid}/fd"
        try:
            numbers = os.listdir(folder)
        except OSError:
            return  # it has ended, or may not be looked at
        for number in numbers:
            link = f"{folder}/{number}"
            try:
                path = os.readlink(link)
                if path.startswith(programs.PSEUDO) or served.may_hang(path):
                    continue
                at = os.stat(link)
            except OSError:
                continue  # it was closed meanwhile
            if stat.S_ISREG(at.st_mode) or stat.S_ISBLK(at.st_mode):
                self.opened[identity(at)].append((pid, number))

    def _loop(self, backing: str) -> None:
        try:
            self.looped.add(identity(os.stat(backing)))
        except OSError:
            return  # its name is gone: no disk that is found has it

    def holders(self, path: Path, known: Identity) -> tuple[Holder, ...]:
        """Who has a disk open, writers first."""
        if known not in self.opened and known not in self.looped and (known[0] != BLOCK or not self.table):
            return ()
        modes: dict[int, Mode] = {}
        for pid, number in self.opened.get(known, ()):
            mode = programs.opened_as(pid, number)
            if mode and modes.get(pid) != "write":
                modes[pid] = mode
        found = [
            Holder(pid, programs.program(pid), arguments.machine(programs.command_line(pid)), mode)
            for pid, mode in modes.items()
        ]
        if known in self.looped or known[0] == BLOCK:
            found += Devices(self.table).holders(Targets.of((path,), self.table))
        return tuple(sorted(dict.fromkeys(found), key=lambda one: (one.mode == "read", one.pid or 0)))
