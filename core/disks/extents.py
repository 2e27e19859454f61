"""What QEMU tells of a disk: where its bytes lie, what its files lack, and how far long work is."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from core.command import Command, Limits
from core.disks.header import Source
from core.disks.model import Disk, Link
from core.disks.overlay import named
from core.disks.vet import blockdev
from core.errors import NoSpace, SalvageError
from core.files.progress import Meter
from core.i18n import _
from core.runner import CommandFailed, Runner
from core.text import safe, size

_WEEK = 7 * 86400
LONG = Limits(processor=_WEEK, wall=float(_WEEK))
"""For work that takes as long as the disk is large."""
_LONGEST_MAP = 256 << 20
_PERCENT = re.compile(rb"\((\d+\.\d+)/100%\)")


@dataclass(frozen=True, slots=True)
class Lack:
    """Bytes that a file of the disk should hold and does not; they read as zeros."""

    path: Path
    bytes: int

    def sentence(self) -> str:
        return _("{path} is cut short: {size} of the disk lie behind its end and read as zeros.").format(
            path=safe(self.path), size=size(self.bytes)
        )


@dataclass(frozen=True, slots=True)
class Extents:
    """What QEMU's map tells of a disk before it is read."""

    data: int | None
    """Bytes that the new image takes at least, in its own units; None: the map is too long to be read."""
    lacks: tuple[Lack, ...] = ()


def extents(disk: Disk, runner: Runner, unit: int = 1 << 16) -> Extents:
    """How much there is to write, in units of so many bytes, and what the disk's files lack.

    What lies behind the end of a file is what its tables put there. Raises SalvageError where QEMU cannot
    read those tables.
    """
    if disk.socket and runner.planning:
        return Extents(None)  # the daemon that could be asked is only planned
    command = Command(
        ("qemu-img", "map", "--output=json", named(blockdev(disk, "source"))),
        why=_("See where the disk's bytes lie in its files, and whether the files reach that far."),
        limits=replace(LONG, output=_LONGEST_MAP),
    )
    try:
        stretches = json.loads(runner.run(command).out)
    except CommandFailed as failure:
        if failure.result.stopped == "output":
            return Extents(None)
        raise unreadable(disk, failure) from failure
    # Behind a daemon's socket the offsets are those of the disk, not of its files
    ends = [None if disk.socket else _end(link) for link in disk.chain]
    lost: dict[Path, int] = {}
    wanted = reached = 0
    for one in stretches:
        start, depth = one["start"], one["depth"]
        if one["data"] and not one["zero"]:
            first, last = max(reached, start // unit), -(-(start + one["length"]) // unit)
            wanted, reached = wanted + max(0, last - first), max(reached, last)
        if (end := ends[depth]) is not None and "offset" in one:
            beyond = min(one["length"], one["offset"] + one["length"] - end)
            if beyond > 0:
                lost[disk.chain[depth].path] = lost.get(disk.chain[depth].path, 0) + beyond
    return Extents(wanted * unit, tuple(Lack(path, count) for path, count in lost.items()))


def _end(link: Link) -> int | None:
    """Where the file ends whose offsets the map tells; None where those are of other files."""
    if link.parts or not link.exists or link.format == "raw":
        return None
    with Source(link.path) as source:
        return source.size


def hearing(meter: Meter, total: int) -> Callable[[bytes], None]:
    """Turns what ``qemu-img -p`` prints into progress over `total` bytes."""
    done = 0

    def hear(data: bytes) -> None:
        nonlocal done
        found = _PERCENT.findall(data)
        if found:
            now = min(total, int(float(found[-1]) / 100 * total))
            meter.add(max(0, now - done))
            done = max(done, now)

    return hear


def unreadable(disk: Disk, failure: CommandFailed) -> SalvageError:
    said = failure.result.err
    if b"No space left" in said or b"Disk quota exceeded" in said:
        return NoSpace(
            _("The target is full."),
            _("The new image was not finished and is removed; the disk is untouched."),
            _("Choose a target with more room."),
        )
    return SalvageError(
        _("{path} could not be converted. {why}").format(path=safe(disk.path), why=failure.what),
        _("The new image is removed; the disk is untouched."),
        _("A byte copy keeps what can still be read: virt-salvage backup."),
    )
