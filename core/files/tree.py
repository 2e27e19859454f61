"""A guest's tree as the host sees it below a mount point.

Symbolic links are read and resolved here, inside the guest's own root, never by the kernel: an
absolute link of the guest must not end in the host's ``/etc``, and the mount may be ``nosymfollow``.
"""

import errno
import os
import posixpath
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path
from types import TracebackType

from core.errors import SalvageError, WrongUsage
from core.files.entry import Entry, Kind, kind_of
from core.files.ordering import ordered
from core.files.trail import LIST, SEARCH, Trail
from core.files.unread import hint, why
from core.i18n import N_, _
from core.text import safe

MOST_LINKS = 40
"""Links followed in one path, as many as the kernel follows (MAXSYMLINKS in include/linux/namei.h)."""

OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""How a file of the guest is opened: no link followed, no waiting for the other end of a pipe."""

_CHUNK = 1 << 20
_PAGE, _LOOK, _INTERVAL = 500, 512, 0.1
"""Entries of a first page; entries between two looks at the clock; seconds between two reports."""

Hear = Callable[[Sequence[Entry], int], None]
"""Told some entries to show meanwhile, and how many names or entries were read so far."""

_NOT_READ: dict[Kind, str] = {
    "dir": N_("{path} is a directory, not a file."),
    "symlink": N_("{path} is a symbolic link, not a file."),
    "fifo": N_("{path} is a named pipe; there is nothing in it to read."),
    "socket": N_("{path} is a socket; there is nothing in it to read."),
    "char": N_("{path} is a device; reading it would read the host's device, so it is left alone."),
    "block": N_("{path} is a device; reading it would read the host's device, so it is left alone."),
}


@dataclass(slots=True)
class Place:
    """Where a path leads: an entry of an open directory. Close it, or use it in a ``with``."""

    parent: int
    """Descriptor of the directory that holds it, for looking up only."""
    name: bytes
    """Its name there; ``.`` for the root and for a path that ends in ``.`` or ``..``."""
    path: bytes
    """The path from the guest's root with every link resolved."""
    status: os.stat_result

    def __enter__(self) -> "Place":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def kind(self) -> Kind:
        return kind_of(self.status.st_mode)

    def open(self, flags: int) -> int:
        """A descriptor of it, no link followed. Raises OSError."""
        return os.open(self.name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.parent)

    def close(self) -> None:
        if self.parent >= 0:
            os.close(self.parent)
            self.parent = -1


class GuestTree:
    """A mounted file system of a guest, from its root down. A context manager."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._fd = -1

    def __enter__(self) -> "GuestTree":
        try:
            self._fd = os.open(self.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise SalvageError(
                _("Cannot open the tree at {path}: {reason}.").format(
                    path=safe(self.root), reason=safe(os.strerror(error.errno or 0))
                ),
                _("Nothing was read."),
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)
        self._fd = -1

    def resolve(self, path: bytes | str, follow_last: bool = True) -> Place:
        """The entry that `path` names, resolved inside the guest's root.

        ``..`` does not lead above the root. With `follow_last` false, a link at the end is itself
        the answer, unless a slash follows it. Raises `SalvageError` that names the path.
        """
        wanted = _as_bytes(path)
        try:
            with Trail(os.open(b".", SEARCH, dir_fd=self._fd)) as trail:
                return _resolved(trail, wanted, follow_last)
        except OSError as error:
            raise _cannot(wanted, error) from error

    def entries(self, path: bytes | str, hear: Hear | None = None) -> list[Entry]:
        """What is in the directory at `path`, sorted by name; a file is its own only entry.

        An entry whose inode cannot be read is there with its `error`. Raises `SalvageError`. While a large
        directory is read, `hear` is called about ten times a second, and may raise to stop it.
        """
        wanted = _as_bytes(path)
        with self.resolve(wanted) as place:
            try:
                if place.kind != "dir":
                    return [Entry.of(place.name, place.status)]
                fd = place.open(LIST)
                try:
                    return _listed(fd, hear)
                finally:
                    os.close(fd)
            except OSError as error:
                raise _cannot(wanted, error) from error

    def names(self, path: bytes | str) -> set[bytes]:
        """The names in the directory at `path`; none for anything else. Raises `SalvageError`."""
        wanted = _as_bytes(path)
        with self.resolve(wanted) as place:
            if place.kind != "dir":
                return set()
            try:
                fd = place.open(LIST)
                try:
                    return set(map(os.fsencode, os.listdir(fd)))
                finally:
                    os.close(fd)
            except OSError as error:
                raise _cannot(wanted, error) from error

    def open_file(self, path: bytes | str) -> int:
        """A descriptor of the regular file at `path`, for reading.

        Raises `SalvageError` for anything else: pipes, sockets and devices are never opened.
        """
        wanted = _as_bytes(path)
        with self.resolve(wanted) as place:
            _must_be_file(place.kind, wanted)
            try:
                fd = place.open(OPEN_FILE)
            except OSError as error:
                raise _cannot(wanted, error) from error
        try:
            _must_be_file(kind_of(os.fstat(fd).st_mode), wanted)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def read(self, path: bytes | str) -> Iterator[bytes]:
        """The bytes of the regular file at `path`, piece by piece. Raises `SalvageError`."""
        wanted = _as_bytes(path)
        fd = self.open_file(wanted)
        try:
            while piece := os.read(fd, _CHUNK):
                yield piece
        except OSError as error:
            raise _cannot(wanted, error) from error
        finally:
            os.close(fd)


class _LeadsNowhere(FileNotFoundError):
    """What a link leads to is not there."""

    def __init__(self, where: bytes) -> None:
        super().__init__(errno.ENOENT, os.strerror(errno.ENOENT))
        self.where = where


def _as_bytes(path: bytes | str) -> bytes:
    try:
        wanted = path if isinstance(path, bytes) else os.fsencode(path)
    except UnicodeEncodeError as error:
        raise WrongUsage(_("{path} cannot be a path.").format(path=safe(str(path)))) from error
    if b"\0" in wanted:
        raise WrongUsage(_("{path} cannot be a path: it holds a zero byte.").format(path=safe(wanted)))
    return wanted


def _resolved(trail: Trail, path: bytes, follow_last: bool) -> Place:
    pending = path.split(b"/")[::-1]
    links = 0
    while pending:
        name = pending.pop()
        if name in (b"", b"."):
            continue
        if name == b"..":
            if trail.names:
                trail.leave()
            continue
        try:
            status = os.stat(name, dir_fd=trail.fd, follow_symlinks=False)
        except FileNotFoundError as error:
            if not links:
                raise
            rest = b"/".join([*trail.names, name, *pending[::-1]])
            raise _LeadsNowhere(posixpath.normpath(b"/" + rest)) from error
        if stat.S_ISLNK(status.st_mode) and (pending or follow_last):
            links += 1
            if links > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            target = os.readlink(name, dir_fd=trail.fd)
            if target.startswith(b"/"):
                trail.restart()
            pending.extend(target.split(b"/")[::-1])
        elif stat.S_ISDIR(status.st_mode) and pending:
            trail.enter(name)
        elif pending:
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        else:
            whole = b"/" + b"/".join([*trail.names, name])
            return Place(os.dup(trail.fd), name, whole, status)
    here = b"/" + b"/".join(trail.names)
    status = os.fstat(trail.fd)
    return Place(os.dup(trail.fd), b".", here, status)


def _listed(directory: int, hear: Hear | None) -> list[Entry]:
    names: list[bytes] = []
    due = time.monotonic() + _INTERVAL
    page: list[Entry] = []
    with os.scandir(directory) as found:
        for one in found:
            names.append(os.fsencode(one.name))
            if hear and len(names) % _LOOK == 0 and time.monotonic() > due:
                page = page or [_entry(directory, name) for name in nsmallest(_PAGE, names)]
                hear(page, len(names))
                due = time.monotonic() + _INTERVAL
    entries: list[Entry] = []
    for name in ordered(names):
        entries.append(_entry(directory, name))
        if hear and len(entries) % _LOOK == 0 and time.monotonic() > due:
            page = page or entries[:_PAGE]
            hear(page, len(entries))
            due = time.monotonic() + _INTERVAL
    return entries


def _entry(directory: int, name: bytes) -> Entry:
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        target = os.readlink(name, dir_fd=directory) if stat.S_ISLNK(status.st_mode) else None
    except OSError as error:
        return Entry(name, "file", error=why(error.errno or 0))
    return Entry.of(name, status, target)


def _must_be_file(kind: Kind, path: bytes) -> None:
    if kind != "file":
        raise SalvageError(_(_NOT_READ[kind]).format(path=safe(path)))


def _cannot(path: bytes, error: OSError) -> SalvageError:
    """The error for an entry of the guest that the system does not give."""
    shown = safe(path)
    if isinstance(error, _LeadsNowhere):
        told = _("{path} leads to {target}, which is not on this volume.")
        return SalvageError(told.format(path=shown, target=safe(error.where)))
    if error.errno == errno.ENOENT:
        return SalvageError(_("There is no {path} on this volume.").format(path=shown))
    if error.errno == errno.ENOTDIR:
        return SalvageError(_("{path} leads through something that is not a directory.").format(path=shown))
    if error.errno == errno.ELOOP:
        return SalvageError(_("{path} leads through links that go round in a circle.").format(path=shown))
    code = error.errno or 0
    what_next = hint(code)
    return SalvageError(
        _("Cannot read {path} on this volume: {reason}.").format(path=shown, reason=why(code)),
        _("What lies elsewhere on the volume may be whole.") if what_next else "",
        what_next,
    )
