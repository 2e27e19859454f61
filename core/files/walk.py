"""A directory tree from top to bottom, without recursion and without following links."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from itertools import islice

from core.files.prefetch import Prefetch
from core.files.trail import LIST, Trail
from core.files.tree import Place
from core.files.unread import reason
from core.i18n import _

Failed = Callable[[bytes, str], None]
"""Takes the path and a sentence about what could not be read."""

Identity = tuple[int, int]
"""Device and inode number."""


_AT_ONCE = 100_000
"""Entries of one directory that are in memory at a time, and in the order of their inodes."""


class Step(Enum):
    """What the walk does next."""

    ENTER = 1
    """A directory, before it is read; `Walk.skip` passes it by."""
    LEAVE = 2
    """The same directory, after everything in it."""
    FILE = 3
    LINK = 4
    OTHER = 5


@dataclass(slots=True)
class _Folder:
    name: bytes
    status: os.stat_result
    rest: list[tuple[int, bytes, Step]]
    """The entries that come next, the last one first."""
    opened: bool
    more: "Iterator[os.DirEntry[str]] | None" = None
    """Those of a very large directory that are not read yet."""


class Walk:
    """Walks below one directory and yields each entry once.

    The kinds are those that the directory tells (d_type in readdir(3)); who opens an entry must look
    again. Entries come in the order of their inodes, which is how ext4 and XFS lay them out on disk.
    A directory that cannot be read is told to `failed` and left.
    """

    def __init__(
        self,
        start: int,
        path: bytes,
        failed: Failed,
        seen: set[Identity] | None = None,
        prefetch: Prefetch | None = None,
    ) -> None:
        """`start` is a descriptor that the walk owns; `path` is how the start is called.

        With `prefetch` the files are asked for before they are yielded; who takes a `Step.FILE` reads it.
        """
        self.trail = Trail(start, LIST)
        self._start = path.rstrip(b"/")
        self._failed = failed
        self._prefetch = prefetch
        self._seen = seen if seen is not None else set()
        self.opened = True
        self._skip = False
        self._prefix: bytes | None = None
        self._folders: list[_Folder] = []

    def close(self) -> None:
        for folder in self._folders:
            _end(folder)
        self.trail.close()

    def skip(self) -> None:
        """Do not go into the directory that was just yielded with `Step.ENTER`."""
        self._skip = True

    @property
    def prefix(self) -> bytes:
        """The path of the current directory, with a slash at its end."""
        if self._prefix is None:
            self._prefix = b"/".join([self._start, *self.trail.names, b""])
        return self._prefix

    def steps(self) -> Iterator[tuple[Step, bytes, os.stat_result | None]]:
        """Each step with the entry's name; directories come with their status.

        While an entry is yielded, `trail` stands in the directory that holds it; at `Step.LEAVE` it
        stands in the directory itself, unless that could not be opened: then `opened` is false.
        """
        top = os.fstat(self.trail.fd)
        self._seen.add((top.st_dev, top.st_ino))
        folders = self._folders
        folders.append(self._listed(b".", top))
        while folders:
            folder = folders[-1]
            if not folder.rest and folder.more:
                self._read_on(folder)
            if folder.rest:
                _inode, name, step = folder.rest.pop()
                if step is not Step.ENTER:
                    yield step, name, None
                    if step is Step.FILE and self._prefetch:
                        self._prefetch.read()
                    continue
                status = self._look(name)
                if status is None:
                    continue
                yield Step.ENTER, name, status
                if self._skip:
                    self._skip = False
                    continue
                folders.append(self._open(name, status))
                continue
            folders.pop()
            if self._prefetch and folder.opened:
                self._prefetch.leave()
            if folders:
                self.opened = folder.opened
                yield Step.LEAVE, folder.name, folder.status
                if folder.opened:
                    self.trail.leave()
                self._prefix = None

    def _look(self, name: bytes) -> os.stat_result | None:
        try:
            status = os.stat(name, dir_fd=self.trail.fd, follow_symlinks=False)
        except OSError as error:
            self._failed(self.prefix + name, reason(error))
            return None
        identity = (status.st_dev, status.st_ino)
        if identity in self._seen:
            self._failed(
                self.prefix + name,
                _("The file system is damaged: this directory is also found elsewhere, and was read there."),
            )
            return None
        self._seen.add(identity)
        return status

    def _open(self, name: bytes, status: os.stat_result) -> _Folder:
        try:
            status = self.trail.enter(name)
        except OSError as error:
            self._failed(self.prefix + name, reason(error))
            return _Folder(name, status, [], False)
        self._prefix = None
        return self._listed(name, status)

    def _listed(self, name: bytes, status: os.stat_result) -> _Folder:
        """The current directory, with the entries that come first."""
        folder = _Folder(name, status, [], True)
        try:
            folder.more = os.scandir(self.trail.fd)
        except OSError as error:
            self._failed(self.prefix.rstrip(b"/") or b"/", reason(error))
        self._read_on(folder)
        if self._prefetch:
            self._prefetch.enter(self.trail.fd, _files(folder))
        return folder

    def _read_on(self, folder: _Folder) -> None:
        """Read more of the current directory: all of it, unless it is very large."""
        again = bool(folder.more) and folder in self._folders[-1:]
        found: list[tuple[int, bytes, Step]] = []
        try:
            for entry in islice(folder.more or (), _AT_ONCE):
                found.append((entry.inode(), os.fsencode(entry.name), _step(entry)))
        except OSError as error:
            self._failed(self.prefix.rstrip(b"/") or b"/", reason(error))
            _end(folder)
        if len(found) < _AT_ONCE:
            _end(folder)
        if len({name for _inode, name, _step in found}) < len(found):
            found = self._once_each(found)
        found.sort(reverse=True)
        folder.rest = found
        if again and self._prefetch:
            self._prefetch.go_on(_files(folder))

    def _once_each(self, found: list[tuple[int, bytes, Step]]) -> list[tuple[int, bytes, Step]]:
        """The entries that their names lead to: of several of one name, no other can be read.

        Of a very large directory only those that are in memory together are compared.
        """
        kept: dict[bytes, tuple[int, bytes, Step]] = {}
        for one in found:
            inode, name, _step = one
            if name not in kept:
                kept[name] = one
                continue
            told = _("The folder is damaged: it has several entries of this name, and only one can be read.")
            self._failed(self.prefix + name, told)
            with suppress(OSError):
                if os.stat(name, dir_fd=self.trail.fd, follow_symlinks=False).st_ino == inode:
                    kept[name] = one
        return [*kept.values()]


@contextmanager
def walking(
    place: Place, failed: Failed, seen: set[Identity] | None = None, prefetch: Prefetch | None = None
) -> Iterator[Walk | None]:
    """A walk below the directory at `place`, over at the end; None, and told, where that cannot be read."""
    try:
        start = place.open(LIST)
    except OSError as error:
        failed(place.path, reason(error))
        yield None
        return
    walk = Walk(start, place.path, failed, seen, prefetch)
    try:
        yield walk
    finally:
        walk.close()


def _files(folder: _Folder) -> list[bytes]:
    return [name for _inode, name, step in reversed(folder.rest) if step is Step.FILE]


def _end(folder: _Folder) -> None:
    if folder.more is not None:
        folder.more.close()  # type: ignore[attr-defined]
        folder.more = None


def _step(entry: "os.DirEntry[str]") -> Step:
    try:
        if entry.is_file(follow_symlinks=False):
            return Step.FILE
        if entry.is_dir(follow_symlinks=False):
            return Step.ENTER
        return Step.LINK if entry.is_symlink() else Step.OTHER
    except OSError:
        # A file system without kinds in its directories (DT_UNKNOWN) and an inode that cannot be
        # read: who looks at the entry again meets the same error and tells it.
        return Step.OTHER
