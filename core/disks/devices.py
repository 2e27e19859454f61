"""What stands on the files and block devices of a disk: loops, mappings, arrays, mounts, swap.

Read from sysfs, mountinfo and /proc/swaps. What the kernel lists as a device's holders (dm, md, bcache)
is all that claims it; an exclusive opening would only tell that somebody does, not who, and would for its
moment keep a mount or an array from coming up. The open count of a mapping tells no more than that either:
who has it open is seen among the programs, and what is mounted in every mount namespace.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core import host, loops, mounts, processes
from core.disks.model import Holder, Mode
from core.disks.programs import Targets
from core.text import quoted


@dataclass(frozen=True, slots=True)
class Above:
    """What uses a block device, however far above it."""

    places: tuple[str, ...]
    """Mount points and devices, the nearest first."""
    undo: tuple[str, ...]
    """The shell lines that take all of it away, the first to run first."""


class Devices:
    """The block devices of the host as they are at one moment."""

    def __init__(self, table: Sequence[mounts.Mount], sys: Path = Path("/sys")) -> None:
        self._table = list(table)
        self._sys = sys
        self._wide = False

    def holders(self, targets: Targets) -> Iterator[Holder]:
        """Who holds the disk by a block device that stands on it, or by its being one."""
        yield from self._loops(targets)
        for device in sorted(targets.blocks):
            yield from self._users(device)

    def served(self, targets: Targets) -> set[int]:
        """The programs that give the disk where it is a network block device: they do not use it."""
        found = set()
        for device in targets.blocks:
            thread = _line(self._node(f"{os.major(device)}:{os.minor(device)}") / "pid")
            if thread.isdigit():
                found.add(host.process_of(int(thread)) or int(thread))
        return found

    def through(self, pid: int) -> str:
        """The network block device that a program shows a disk as, with what stands on it; mostly empty."""
        for one in (self._sys / "block").glob("nbd*/pid"):
            thread = _line(one)
            if thread.isdigit() and pid in (int(thread), host.process_of(int(thread))):
                above = self._above(one.parent)
                return ", ".join((f"/dev/{one.parent.name}", *above.places))
        return ""

    # -- loops ------------------------------------------------------------------------------------

    def _loops(self, targets: Targets) -> Iterator[Holder]:
        for loop in loops.loops():
            if self._is_over(loop, targets):
                above = self._above(self._node(loop.device))
                mode: Mode = "read" if loop.read_only else "write"
                undo = (*above.undo, f"losetup --detach {quoted(loop.path)}")
                yield Holder(None, loop.path, None, mode, ", ".join(above.places), "device", undo=undo)

    @staticmethod
    def _is_over(loop: loops.Loop, targets: Targets) -> bool:
        if targets.may_hang(loop.backing):
            return False
        try:
            if targets.has(os.stat(loop.backing)):
                return True
        except OSError:
            pass  # its name is gone, or is one of another mount namespace: its inode tells
        else:
            if loop.backing != "/":
                return False
        identity = loops.backing_identity(loop.path) if targets.files and _is_local(loop, targets) else None
        return identity in targets.files

    # -- devices ----------------------------------------------------------------------------------

    def _node(self, number: str) -> Path:
        return Path(os.path.realpath(self._sys / "dev/block" / number))

    def _users(self, device: int) -> Iterator[Holder]:
        node = self._node(f"{os.major(device)}:{os.minor(device)}")
        for name, mode, ending, above in self._claims(node):
            undo = (*above.undo, *filter(None, (ending,)))
            yield Holder(
                None,
                name,
                None,
                mode,
                ", ".join((f"/dev/{above.places[0]}", *above.places[1:])),
                "device",
                undo=undo,
            )
        for mount in self._mounted(_line(node / "dev")):
            undo_mount = (f"umount {quoted(mount.point)}",)
            yield Holder(None, "mount", None, _mode_of(mount), mount.point, "device", undo=undo_mount)
        for swap in self._swaps(_line(node / "dev")):
            yield Holder(None, "swap", None, "write", swap, "device", undo=(f"swapoff {quoted(swap)}",))

    def _claims(self, node: Path) -> Iterator[tuple[str, Mode, str, Above]]:
        """The devices that claim one: name, mode, the line that ends each, and it with all above it."""
        for one in sorted(node.glob("holders/*")):
            claiming = Path(os.path.realpath(one))
            above = self._above(claiming)
            name = _line(claiming / "dm/name") or claiming.name
            mode: Mode = "read" if _line(claiming / "ro") == "1" else "write"
            yield name, mode, _ending(claiming), Above((claiming.name, *above.places), above.undo)

    def _above(self, node: Path) -> Above:
        """What is above a device and its partitions."""
        places: list[str] = []
        undo: list[str] = []
        for part in (node, *(one.parent for one in sorted(node.glob("*/partition")))):
            number = _line(part / "dev")
            for mount in self._mounted(number):
                places.append(mount.point)
                undo.append(f"umount {quoted(mount.point)}")
            for swap in self._swaps(number):
                places.append(swap)
                undo.append(f"swapoff {quoted(swap)}")
            for name, _mode, ending, above in self._claims(part):
                places += [name, *above.places[1:]]
                undo += [*above.undo, *filter(None, (ending,))]
        return Above(tuple(dict.fromkeys(places)), tuple(dict.fromkeys(undo)))

    def _mounted(self, number: str) -> list[mounts.Mount]:
        """The mounts over a device, those of other mount namespaces too."""
        if not self._wide:
            self._wide = True
            known = {(mount.device, mount.point) for mount in self._table}
            for namespace in processes.namespaces():
                self._table += [one for one in namespace.mounts if (one.device, one.point) not in known]
        found = {
            (one.point, one.device): one
            for one in self._table
            if one.device == number or (one.source.startswith("/dev/") and _number(one.source) == number)
        }
        return [one for one in found.values() if number]

    @staticmethod
    def _swaps(number: str) -> list[str]:
        lines = Path("/proc/swaps").read_bytes().splitlines()[1:]
        names = [mounts.plain(line.split()[0]) for line in lines]
        return [name for name in names if number and _number(name) == number]


def _is_local(loop: loops.Loop, targets: Targets) -> bool:
    """Whether the kernel may be asked for the inode behind a loop: it asks the file's file system for it."""
    return loop.backing.endswith(" (deleted)") and not targets.may_hang(
        loop.backing.removesuffix(" (deleted)")
    )


def _ending(node: Path) -> str:
    """The shell line that takes a mapping or an array away; empty for what is not known."""
    if name := _line(node / "dm/name"):
        kind = _line(node / "dm/uuid").partition("-")[0]
        if kind == "LVM":
            return f"lvchange --activate n {quoted(f'/dev/mapper/{name}')}"
        return f"cryptsetup close {quoted(name)}" if kind == "CRYPT" else f"dmsetup remove {quoted(name)}"
    return f"mdadm --stop {quoted(f'/dev/{node.name}')}" if (node / "md").is_dir() else ""


def _mode_of(mount: mounts.Mount) -> Mode:
    return "read" if "ro" in mount.options.split(",") else "write"


def _line(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape").strip()
    except OSError:
        return ""  # it went away while we looked


def _number(path: str) -> str | None:
    """The number of the block device at a path; None for what is none."""
    try:
        number = os.stat(path).st_rdev if path.startswith("/dev/") else 0
    except OSError:
        return None
    return f"{os.major(number)}:{os.minor(number)}" if number else None
