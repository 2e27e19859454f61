"""A copy that has no final name yet, and the map beside it by which the next run goes on.

The map says how far the copy is whole, as a SHA-256 of everything up to there; a line of it is written
only when what it speaks of is on the medium. The next run reads the copy back and trusts it as far as the
checksums agree. A lock on the map, which goes with its process, keeps two runs apart.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.cancel import CancelToken
from core.disks.areas import UNTRIMMED, Area, Areas
from core.disks.bytecopy import target_errors
from core.disks.header import Source
from core.disks.medium import Buffer, Medium, extents
from core.disks.rescue import Patch
from core.disks.stream import Hash, stream
from core.errors import NeedsRoot, Refused, SalvageError
from core.files.progress import Meter
from core.i18n import _
from core.text import safe

LEAST = 64 << 20
"""Bytes that are worth keeping for another run; less is done again in a moment."""
_VERSION = 1
_LONGEST_NAME = 200


@dataclass(slots=True)
class Account:
    """What the map of an earlier run says."""

    reached: list[tuple[int, str]] = field(default_factory=list)
    """Offsets, and the SHA-256 of all before each."""
    areas: list[Area] = field(default_factory=list)
    patches: dict[int, Patch] = field(default_factory=dict)


def part_of(place: Path) -> Path:
    """Where the copy lies until it has its name."""
    return place.with_name(f".{_short(place.name)}.virt-salvage-part")


def map_of(place: Path) -> Path:
    """Where it is written down how far that is."""
    return place.with_name(f".{_short(place.name)}.virt-salvage-map")


def _short(name: str) -> str:
    raw = os.fsencode(name)
    return name if len(raw) <= _LONGEST_NAME else hashlib.sha256(raw).hexdigest()


class Map:
    """What is known of the unfinished copies of one backup: lines for each file, and the lock.

    There is one for all files of a backup, so that it goes in one step when everything has its name.
    Raises `Refused` where another run works on them, `NeedsRoot` and `SalvageError` where it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = _locked(path)
        self._lines: list[dict[str, Any]] = []
        whole = 0
        for line in os.pread(self._fd, os.fstat(self._fd).st_size, 0).splitlines(keepends=True):
            try:
                value = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n") or not isinstance(value, dict):
                break
            self._lines.append(value)
            whole += len(line)
        os.ftruncate(self._fd, whole)

    def of(self, number: int) -> list[dict[str, Any]]:
        """The lines of a file, its head first: what was written since the copy of it began."""
        lines = [line for line in self._lines if line.get("file") == number]
        heads = [at for at, line in enumerate(lines) if "virt-salvage" in line]
        return lines[heads[-1] :] if heads else []

    def save(self, **values: Any) -> None:
        """Write a line; what it speaks of is on the medium already."""
        os.lseek(self._fd, 0, os.SEEK_END)
        os.write(self._fd, json.dumps(values).encode() + b"\n")
        os.fdatasync(self._fd)

    def forget(self) -> None:
        """Everything is whole and has its name, or is given up."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def close(self) -> None:
        os.close(self._fd)


class Unfinished:
    """The copy of one source on its way to `place`; taken over from an earlier run where that fits.

    Raises `Refused` where something else has the name, `NeedsRoot`, and `SalvageError` where nothing
    can be written.
    """

    def __init__(self, source: Source, place: Path, map: Map, number: int) -> None:
        self.source = source
        self.place = place
        self.part = part_of(place)
        self._map = map
        self._number = number
        self.account = Account()
        self.again = ""
        """Why an earlier run's copy was of no use, as a sentence; empty if there was none or it is used."""
        self.named = False
        """It has its final name already."""
        with _writable(place.parent):
            self.medium = self._take_over() or self._begin()

    @property
    def resumes(self) -> bool:
        return bool(self.account.reached)

    def save(self, **values: Any) -> None:
        """Write a line of the map; what it speaks of is on the medium already."""
        self._map.save(file=self._number, **values)

    def remove(self) -> None:
        """Take away what there is of the copy."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.place if self.named else self.part)

    def close(self) -> None:
        self.medium.close()

    # -- taking over --------------------------------------------------------------------------

    def _source(self) -> dict[str, object]:
        source = self.source
        known = {"path": os.fsencode(source.path).hex(), "size": source.size}
        if not source.is_block_device and not source.is_shown:
            known |= {"inode": source.identity[1], "mtime_ns": source.mtime_ns}
        return known

    def _take_over(self) -> Medium | None:
        first, *lines = self._map.of(self._number) or [{}]
        if os.path.lexists(self.place):
            medium = self._opened(self.place, first)
            if medium is None:
                raise exists(self.place)
            self.named = True
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.part)  # killed between the two names
        else:
            medium = self._opened(self.part, first)
        if medium is None:
            if os.path.lexists(self.part):
                self.again = _(
                    "An unfinished copy of another disk, or of another state of this one, was at {path}:"
                    " the copy began anew."
                ).format(path=safe(self.place))
                os.unlink(self.part)
            return None
        self.account = _account(lines)
        if not self.account.reached:
            self.again = _(
                "An earlier run was cut off in its first seconds, before anything of its copy was sure to be"
                " on the medium: the copy began anew."
            )
        return medium

    def _opened(self, path: Path, first: dict[str, Any]) -> Medium | None:
        """The file by that name, if it is the one that the map speaks of and for the same source."""
        if first.get("virt-salvage") != _VERSION or first.get("source") != self._source():
            return None
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
                return None
            raise
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_ino != first.get("inode"):
            os.close(fd)
            return None
        return Medium(path, fd)

    def _begin(self) -> Medium:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self.part, flags, 0o600)
        inode = os.fstat(fd).st_ino
        self.save(**{"virt-salvage": _VERSION, "source": self._source(), "inode": inode})
        return Medium(self.part, fd)


def exists(path: Path) -> Refused:
    return Refused(
        _("{path} exists already.").format(path=safe(path)),
        _("A backup never replaces a file."),
        _("Choose another name or folder."),
    )


def _locked(path: Path) -> int:
    """The map, made if missing, with its lock."""
    while True:
        with _writable(path.parent):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(fd)
            raise Refused(
                _("Another backup is writing to {path} now.").format(path=safe(path.parent)),
                _("Nothing was changed."),
                _("Wait until it has ended, or choose another target."),
            ) from error
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                os.close(fd)
                raise
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path, follow_symlinks=False).st_ino == os.fstat(fd).st_ino:
                return fd
        os.close(fd)  # the other run ended, and removed it, between our two steps


def _account(lines: list[dict[str, Any]]) -> Account:
    """What the lines say; a line that makes no sense ends the account."""
    account = Account()
    try:
        for line in lines:
            if "to" in line:
                account.reached.append((int(line["to"]), str(line["sha256"])))
            for offset, length, digest in line.get("patches", ()):
                account.patches[int(offset)] = Patch(int(offset), int(length), str(digest))
            if "areas" in line:
                account.areas = [Area(int(a), int(b), c) for a, b, c in line["areas"]]
    except (KeyError, TypeError, ValueError):
        return account
    return account


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise no_right(folder) from error
    except OSError as error:
        raise SalvageError(
            _("Cannot write to {path}: {reason}.").format(path=safe(folder), reason=error.strerror),
            _("Nothing was copied."),
            _("Choose another target."),
        ) from error


def no_right(folder: Path) -> NeedsRoot:
    return NeedsRoot(
        _("No permission to write to {path}.").format(path=safe(folder)),
        _("Nothing was copied."),
        _("Choose a folder of your own, or run the same command with sudo."),
    )


@dataclass(frozen=True, slots=True)
class Trusted:
    """What of an earlier run's copy is whole."""

    to: int
    """Everything before this offset, but for `areas`."""
    state: Hash
    areas: Areas
    patches: tuple[Patch, ...]


def trusted(unfinished: Unfinished, cancel: CancelToken, meter: Meter) -> Trusted:
    """Read back what an earlier run left, as far as its checksums agree, and cut off the rest.

    A block device has no time of change, so its bytes are read again too and compared. Raises `Cancelled`.
    """
    account, medium, source = unfinished.account, unfinished.medium, unfinished.source
    marks = dict(account.reached)
    there = min(source.size, os.fstat(medium.fd).st_size)
    last = max((to for to in marks if to <= there), default=0)
    begin: Hash = hashlib.sha256()
    best = Trusted(0, begin, Areas(), ())
    bad: set[int] = set()

    def read(into: Buffer, offset: int, count: int) -> None:
        medium.get(into, offset, count)
        for patch in account.patches.values():
            start, end = max(patch.offset, offset), min(patch.offset + patch.length, offset + count)
            if start < end:
                if hashlib.sha256(_bytes(medium, patch)).hexdigest() != patch.digest:
                    bad.add(patch.offset)
                into.blank(start - offset, end - offset)

    def same(piece: Buffer, offset: int, count: int) -> bool:
        return not source.is_block_device or account.areas != [] or _same(source, piece, offset, count)

    with target_errors():
        pieces = stream(
            _to_marks(extents(medium.fd, 0, last), sorted(marks)), read, same, begin, cancel.check
        )
        with contextlib.closing(pieces):
            for piece in pieces:
                if piece.result is False:
                    break
                meter.add(piece.count)
                if marks.get(piece.end) == piece.state.hexdigest():
                    best = Trusted(piece.end, piece.state, Areas(), ())
        return _cut(unfinished, best, bad)


def _cut(unfinished: Unfinished, best: Trusted, bad: set[int]) -> Trusted:
    """Drop what lies behind the trusted part; a patch that is not what it was is to be read again."""
    account, medium = unfinished.account, unfinished.medium
    if best.to < unfinished.source.size:
        os.ftruncate(medium.fd, best.to)
    os.ftruncate(medium.fd, unfinished.source.size)
    areas = Areas()
    for area in account.areas:
        if area.start < best.to:
            areas.mark(area.start, min(area.end, best.to), area.status)
    patches = [patch for patch in account.patches.values() if patch.offset + patch.length <= best.to]
    for patch in patches:
        if patch.offset in bad:
            medium.clear(patch.offset, patch.length)
            areas.mark(patch.offset, patch.offset + patch.length, UNTRIMMED)
    kept = tuple(patch for patch in patches if patch.offset not in bad)
    return Trusted(best.to, best.state, areas, kept)


def _to_marks(pieces: Iterator[tuple[int, int, bool]], marks: list[int]) -> Iterator[tuple[int, int, bool]]:
    """The same stretches, also cut where a checksum is known."""
    for start, end, is_data in pieces:
        for mark in [mark for mark in marks if start < mark < end]:
            yield start, mark, is_data
            start = mark
        yield start, end, is_data


def _same(source: Source, piece: Buffer, offset: int, count: int) -> bool:
    back = Buffer(count)
    try:
        return os.preadv(source.fd, [back.view], offset) == count and back.same(piece, count)
    except OSError:
        return True  # a medium that is dying since: the checksum of the copy tells


def _bytes(medium: Medium, patch: Patch) -> bytes:
    back = Buffer(max(patch.length, 1))
    medium.get(back, patch.offset, patch.length)
    return bytes(back.view[: patch.length])
