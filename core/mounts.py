"""The mounts of the calling thread's namespace, from mountinfo; see proc_pid_mountinfo(5)."""

import os
import re
import select
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_OCTAL = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo."""

    id: int
    parent: int
    device: str
    """Major and minor number as ``7:0``."""
    root: str
    point: str
    options: str
    type: str
    source: str
    of_system: str = ""
    """Options of the file system itself, whatever this mount says."""

    @property
    def stopped(self) -> bool:
        """Whether the file system takes no writes any more although it was mounted for them.

        ext4 does that after an error: it says ``emergency_ro`` since Linux 6.15, ``ro`` before.
        """
        words = {*self.of_system.split(",")}
        return "rw" in self.options.split(",") and bool(words & {"ro", "emergency_ro", "shutdown"})


def plain(field: bytes) -> str:
    """A path as it is, out of a table in which the kernel writes some bytes as octal numbers."""
    return os.fsdecode(_OCTAL.sub(lambda match: bytes([int(match[1], 8)]), field))


def _parsed(line: bytes) -> Mount:
    left, _dash, right = line.partition(b" - ")
    identity, parent, device, root, point, options, *_optional = left.split(b" ")
    kind, source, *rest = right.split(b" ")
    return Mount(
        int(identity),
        int(parent),
        device.decode(),
        plain(root),
        plain(point),
        options.decode(),
        kind.decode(),
        plain(source),
        plain(b" ".join(rest)),
    )


def _lines(table: bytes) -> list[Mount]:
    return [_parsed(line) for line in table.splitlines() if b" - " in line]


def mounts(process: str = "thread-self") -> list[Mount]:
    """All mounts, in the order in which the kernel lists them: a later one covers an earlier one."""
    return _lines(Path(f"/proc/{process}/mountinfo").read_bytes())


def at(point: str | Path) -> list[Mount]:
    """The mounts on one mount point, the topmost last."""
    wanted = os.path.abspath(point)
    return [mount for mount in mounts() if mount.point == wanted]


def over(point: str | Path) -> Mount | None:
    """What hides the mounts on one mount point: a mount on one of the folders above it, put there later.

    By the table alone: no file system is asked.
    """
    wanted = os.path.abspath(point)
    table = mounts()
    on = {(mount.parent, mount.point): mount for mount in table}
    here = next((mount for mount in table if mount.point == "/"), None)
    folders = [*reversed(Path(wanted).parents), Path(wanted)]
    for folder in map(str, folders):
        while here and (above := on.get((here.id, folder))):
            here = above
    if here is None or here.point == wanted or not any(mount.point == wanted for mount in table):
        return None
    return here


def below(folder: str | Path) -> list[Mount]:
    """The mounts on `folder` and inside of it."""
    wanted = os.path.abspath(folder)
    return [m for m in mounts() if m.point == wanted or m.point.startswith(wanted.rstrip("/") + "/")]


def wait_until(ready: Callable[[], bool], seconds: float, stop: Callable[[], bool]) -> bool:
    """Wait until `ready` says so, woken by the kernel at every change of the mounts.

    `stop` is asked ten times a second. False when the time is up or `stop` said so.
    """
    with open("/proc/thread-self/mountinfo", "rb", buffering=0) as table:
        poll = select.poll()
        poll.register(table, select.POLLPRI | select.POLLERR)
        for _turn in range(max(1, round(seconds * 10))):
            while table.read(1 << 16):
                pass
            if ready():
                return True
            if stop():
                return False
            poll.poll(100)
            table.seek(0)
    return ready()
