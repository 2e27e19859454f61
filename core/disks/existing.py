"""A backup that exists: found, and compared with the disk by content.

Its name proves nothing. It is vetted like any other disk, and then it is the same, another state of the
same disk, another disk, or no whole disk at all.
"""

import contextlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.cancel import CancelToken
from core.command import Command
from core.disks.header import Source
from core.disks.medium import CHUNK, Buffer, extents
from core.disks.model import Disk
from core.disks.vet import blockdev, vet
from core.errors import Cancelled, PointsOutside, SalvageError
from core.files.progress import Listener, Meter
from core.i18n import _, sentences
from core.runner import Runner
from core.text import date, duration, safe, size

_AFTER = re.compile(
    r"(~|[._-](bak|backup|orig|old|save|copy)[0-9]*|[._-]?[0-9]{4}-?[0-9]{2}-?[0-9]{2}([T_-]?[0-9]{4,6})?)"
    r"(\.[a-z0-9]{2,8})?$",
    re.IGNORECASE,
)
"""What people and programs put behind a name for a backup of it."""
_BESIDE = (".sha256", ".mapfile", ".virt-salvage-part", ".virt-salvage-map")

Kind = Literal["same", "state", "other", "damaged"]
Marks = Callable[[Disk], frozenset[str]]
"""The identifiers inside a disk: of its partition table and its file systems."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be a backup of the disk."""

    path: Path
    size: int
    """Bytes that it takes."""
    mtime_ns: int
    verified: bool
    """A list of checksums of ours lies beside it: it was whole once."""

    def to_json(self) -> dict[str, object]:
        return {
            "path": safe(self.path),
            "size": self.size,
            "mtime": self.mtime_ns / 1e9,
            "verified": self.verified,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a candidate is to the disk."""

    kind: Kind
    path: Path
    sentence: str
    differing: int | None
    """Bytes that differ, in steps of 64 KiB; None where only that they differ is known."""
    older_by: float
    """Seconds that it was written before the disk was; negative when after."""

    def to_json(self) -> dict[str, object]:
        return {
            "verdict": self.kind,
            "path": safe(self.path),
            "sentence": self.sentence,
            "differing": self.differing,
            "older_by": round(self.older_by, 3),
        }


def find_backups(disk: Disk, given: Path | None = None) -> list[Candidate]:
    """Files that may be backups of the disk by their name, the newest first.

    Looked for in the disk's folder, or in `given`; a given file is one whatever it is called.
    """
    if given and not given.is_dir():
        return [named] if (named := _candidate(given)) else []
    folder = given or disk.path.parent
    own = {(status.st_dev, status.st_ino) for path in disk.files if (status := _status(path))}
    found: list[Candidate] = []
    for entry in _files(folder):
        status = _status(entry)
        if not status or (status.st_dev, status.st_ino) in own:
            continue
        if _is_named_after(entry.name, disk.path, given is not None) and (one := _candidate(entry)):
            found.append(one)
    return sorted(found, key=lambda one: -one.mtime_ns)


def _is_named_after(name: str, disk: Path, elsewhere: bool) -> bool:
    if name.startswith(".") or name.endswith(_BESIDE):
        return False
    if elsewhere and name == disk.name:
        return True
    starts = (disk.name, disk.stem)
    return any(name.startswith(start) and _AFTER.fullmatch(name[len(start) :]) for start in starts)


def _files(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from sorted(folder.iterdir())


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _candidate(path: Path) -> Candidate | None:
    status = _status(path)
    if status is None or not stat.S_ISREG(status.st_mode) or status.st_size == 0:
        return None
    lists = (path.with_name(path.name + ".sha256"), path.with_name("SHA256SUMS"))
    verified = any(os.fsencode(path.name) in _start(one) for one in lists)
    return Candidate(path, status.st_blocks * 512, status.st_mtime_ns, verified)


def _start(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError:
        return b""


def examine(
    disk: Disk, path: Path, runner: Runner, progress: Listener, marks: Marks, format: str | None = None
) -> Verdict:
    """Compare a candidate with the disk; both are only read. The progress counts the disk's bytes.

    Files of the same kind are compared byte by byte, others by what a machine sees of them. Raises
    `Cancelled`, and `PointsOutside` when the candidate's header leads somewhere that is not allowed.
    """
    older = 0.0
    try:
        older = (disk.mtime_ns - os.stat(path).st_mtime_ns) / 1e9
        other = vet(str(path), format or (disk.format if _is_alike(disk, path) else None), (), runner)
        differing, missing = _compare(disk, other, runner, progress)
    except (PointsOutside, Cancelled):
        raise
    except (SalvageError, OSError) as error:
        said = error.paragraph() if isinstance(error, SalvageError) else safe(str(error))
        told = _("{path} cannot be read as a whole disk: {reason}").format(path=safe(path), reason=said)
        return Verdict("damaged", path, told, None, older)
    if missing:
        told = _("{path} is the disk as far as it goes, and cut short: {missing} are missing at its end.")
        return Verdict("damaged", path, told.format(path=safe(path), missing=size(missing)), differing, older)
    if differing == 0:
        told = _("{path} holds the same as the disk, byte by byte.").format(path=safe(path))
        return Verdict("same", path, told, 0, older)
    return _judge(disk, other, differing, older, marks)


def _is_alike(disk: Disk, path: Path) -> bool:
    """Whether it can only be a raw copy of a raw disk: nothing is guessed of what a guest wrote."""
    status = _status(path)
    return disk.format == "raw" and status is not None and status.st_size == disk.virtual_size


def _judge(disk: Disk, other: Disk, differing: int | None, older: float, marks: Marks) -> Verdict:
    path = other.path
    mine, its = marks(disk), marks(other)
    if mine and not mine & its:
        told = _("{path} is of another disk: nothing inside has the same identifiers.").format(
            path=safe(path)
        )
        return Verdict("other", path, told, differing, older)
    if other.virtual_size < disk.virtual_size and other.format == disk.format == "raw":
        told = _("{path} is cut short: {missing} are missing at its end.").format(
            path=safe(path), missing=size(disk.virtual_size - other.virtual_size)
        )
        return Verdict("damaged", path, told, differing, older)
    age = (
        _("By the times of the files it was last written {time} before the disk.")
        if older >= 0
        else _("By the times of the files it was last written {time} after the disk.")
    )
    amount = _("{size} differ").format(size=size(differing)) if differing else _("its content differs")
    template = (
        _("{path} is another state of this disk: {amount}.")
        if mine
        else _("{path} differs from the disk, and nothing inside tells whether it is of it: {amount}.")
    )
    told = template.format(path=safe(path), amount=amount)
    told = sentences((told, age.format(time=duration(abs(older)))))
    if not disk.is_block_device:
        last = _("The disk was last written {date}; of a copied one that may be when it was copied.")
        told = sentences((told, last.format(date=date(disk.mtime_ns / 1e9))))
    return Verdict("state" if mine else "other", path, told, differing, older)


def _compare(disk: Disk, other: Disk, runner: Runner, progress: Listener) -> tuple[int | None, int]:
    """The bytes that differ, None where only that they do is known; and those that a cut-off copy lacks."""
    alike = [link.format for link in disk.chain] == [link.format for link in other.chain]
    pairs = list(zip(disk.files, other.files, strict=False))
    if alike and len(disk.files) == len(other.files):
        meter = Meter(progress, len(pairs), sum(os.stat(path).st_size for path in disk.files))
        differing = sum(_differing(one, two, runner.cancel, meter) for one, two in pairs)
        meter.finish()
        lengths = [(os.stat(one).st_size, os.stat(two).st_size) for one, two in pairs]
        missing = sum(one - two for one, two in lengths)
        if differing and differing == missing and all(one >= two for one, two in lengths):
            return differing, missing
        if differing == 0 or disk.format == "raw":
            return differing, 0
    seen = Command(
        ("qemu-img", "compare", _json(disk), _json(other)),
        why=_("Compare what a machine sees of the disk and of the backup, whatever their formats."),
        good=frozenset({0, 1}),
        limits=None,
    )
    same = runner.run(seen).status == 0 and disk.virtual_size == other.virtual_size
    return 0 if same else None, 0


def _json(disk: Disk) -> str:
    graph = blockdev(disk, "disk")
    del graph["node-name"]  # the two would have the same
    return "json:" + json.dumps(graph)


def _differing(one: Path, two: Path, cancel: CancelToken, meter: Meter) -> int:
    """Bytes that differ between two files, in steps of 64 KiB; nothing is read where both have holes."""
    left, right = Buffer(), Buffer()
    differing = 0
    with Source(one) as a, Source(two) as b:
        meter.begin(os.fsencode(one.name), a.size)
        end = min(a.size, b.size)
        at = 0
        while at < end:
            cancel.check()
            stop = min(end, at + CHUNK)
            holes = _is_hole(a, at, stop) and _is_hole(b, at, stop)
            if not holes:
                _read(a, left, at, stop - at)
                _read(b, right, at, stop - at)
                if not left.same(right, stop - at):
                    differing += left.differing(right, stop - at)
            meter.add(stop - at)
            at = stop
        differing += abs(a.size - b.size)
        meter.add(a.size - end)
        meter.end()
    return differing


def _is_hole(source: Source, start: int, end: int) -> bool:
    return not any(is_data for _start, _end, is_data in extents(source.fd, start, end))


def _read(source: Source, into: Buffer, offset: int, count: int) -> None:
    got = 0
    while got < count:
        done = os.preadv(source.fd, [into.view[got:count]], offset + got)
        if done == 0:
            raise SalvageError(_("{path} became shorter while it was read.").format(path=safe(source.path)))
        got += done
