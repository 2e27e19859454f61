"""A directory tree from top to bottom, without recursion and without following links."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from core.files.prefetch import Prefetch
from core.files.trail import LIST, Trail
from core.i18n import _
from core.text import safe

Failed = Callable[[bytes, str], None]
"""Takes the path and a sentence about what could not be read."""

Identity = tuple[int, int]
"""Device and inode number."""


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
    opened: bool


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

    def close(self) -> None:
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
        folders = [_Folder(b".", top, self._list(), True)]
        while folders:
            folder = folders[-1]
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
        return _Folder(name, status, self._list(), True)

    def _list(self) -> list[tuple[int, bytes, Step]]:
        """What is in the current directory, the last first."""
        found: list[tuple[int, bytes, Step]] = []
        try:
            with os.scandir(self.trail.fd) as listing:
                for entry in listing:
                    found.append((entry.inode(), os.fsencode(entry.name), _step(entry)))
        except OSError as error:
            self._failed(self.prefix.rstrip(b"/") or b"/", reason(error))
        found.sort(reverse=True)
        if self._prefetch:
            files = [name for _inode, name, step in reversed(found) if step is Step.FILE]
            self._prefetch.enter(self.trail.fd, files)
        return found


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


def reason(error: OSError) -> str:
    """What the system says about an error, as a sentence."""
    return _("The system says: {reason}.").format(reason=safe(os.strerror(error.errno or 0)))
