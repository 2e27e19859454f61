"""The folder that a copy goes to, written to by descriptors and never through a link."""

import errno
import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from core.errors import Refused, SalvageError
from core.files.kernel import rename_new
from core.files.metadata import take_away
from core.files.trail import LIST, SEARCH, Trail, descend
from core.i18n import _
from core.text import safe

PART = b".virt-salvage-part-"
"""How the names of unfinished files begin. Whatever bears such a name in the target is ours to remove."""
TRIAL = PART + b"trial-"
"""How the folders begin in which is tried what a target can keep."""

JOURNAL = PART + b"journal"
"""What a cut-off copy has finished: see `core.files.resume`. The next copy goes on with it."""

NAMELESS = os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC
"""How a new file is opened that bears no name yet."""
_NOT_NAMELESS = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS})
_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


def open_target(dest: Path) -> int:
    """A descriptor of the folder `dest`, made with mode 0700 where it is missing, parents too.

    The folder is locked (flock(2)) until the descriptor is closed, so that two copies do not remove
    each other's unfinished files. Raises `SalvageError`, `Refused` when another copy goes on there.
    """
    try:
        make_folders(dest)
        fd = os.open(dest, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SalvageError(
            _("Cannot use {path} as the target: {reason}.").format(
                path=safe(dest), reason=safe(os.strerror(error.errno or 0))
            ),
            _("Nothing was copied."),
            _("Choose a folder that can be written to."),
        ) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise Refused(
            _("Another copy into {path} is going on.").format(path=safe(dest)),
            _("Two at a time would remove each other's unfinished files."),
            _("Wait for it to end, or choose another target."),
        ) from None
    except OSError as error:
        # A file system without locks: only one host's copies are told apart by this anyway.
        if error.errno not in _NO_LOCKS:
            os.close(fd)
            raise SalvageError(
                _("Cannot lock {path}: {reason}.").format(
                    path=safe(dest), reason=safe(os.strerror(error.errno or 0))
                )
            ) from error
    return fd


def make_folders(dest: Path) -> list[Path]:
    """Make the folder `dest` and those above it where they are missing, mode 0700; those that were made.

    Raises OSError.
    """
    made: list[Path] = []
    for folder in (*reversed(dest.absolute().parents), dest):
        if not folder.is_dir():
            os.mkdir(folder, 0o700)
            made.append(folder)
    return made


class Target:
    """Where the copy stands in its folder, and what was there before it came."""

    NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

    def __init__(self, root: int) -> None:
        """`root` is the folder's descriptor; it stays the caller's."""
        self.root = root
        status = os.fstat(root)
        self.identity = (status.st_dev, status.st_ino)
        self._is_root = os.geteuid() == 0
        self._trail = Trail(os.open(b".", LIST, dir_fd=root), LIST)
        self._run = secrets.token_hex(4).encode("ascii")
        self._number = 0
        self.nameless = self._links_nameless()
        """Whether a file can be made without a name here and be given one."""
        self.cut_off = False
        """An earlier copy into this folder did not come to its end."""
        self._before: list[frozenset[bytes] | None] = [self._first_look()]

    def close(self) -> None:
        self._trail.close()

    @property
    def here(self) -> int:
        """The current directory's descriptor. Raises OSError."""
        return self._trail.fd

    @property
    def plain(self) -> bool:
        """The current directory was made by this copy, so it holds and hands down nothing."""
        return self._before[-1] is None

    def path(self, name: bytes) -> bytes:
        """The path of `name` in the current directory, relative to the folder."""
        return b"/".join([*self._trail.names, name])

    def holds(self, name: bytes) -> bool:
        """Whether `name` was in the current directory before this copy came there."""
        before = self._before[-1]
        return before is not None and name in before

    def enter(self, name: bytes) -> None:
        """Go into the directory `name`, which is made where it is missing.

        Raises OSError: NotADirectoryError where something else, or a link, bears the name.
        """
        directory = self.here
        fresh = False
        try:
            os.mkdir(name, 0o700, dir_fd=directory)
            fresh = True
        except FileExistsError:
            self.unlock(name, 0o700)
        self._trail.enter(name)
        try:
            if fresh and not self.plain:
                take_away(self.here, frozenset(), [])
            self._before.append(None if fresh else self._found())
        except OSError:
            self._trail.leave()
            raise

    def leave(self) -> None:
        """Go up again."""
        self._trail.leave()
        self._before.pop()

    def temporary(self) -> bytes:
        """A name for an unfinished file that nothing else bears."""
        self._number += 1
        return b"%s%s-%d" % (PART, self._run, self._number)

    def unfinished(self, named: bool = False) -> tuple[int, bytes | None]:
        """A new file to write to, and the name that it bears until `settle`.

        It bears none where the file system can do without (O_TMPFILE in open(2)) unless it must be `named`:
        that costs less than a name and another one, and a kill leaves nothing. Raises OSError.
        """
        if self.nameless and not named:
            try:
                return os.open(b".", NAMELESS, 0o600, dir_fd=self.here), None
            except OSError as error:
                if error.errno not in _NOT_NAMELESS:
                    raise
        temporary = self.temporary()
        return os.open(temporary, self.NEW_FILE, 0o600, dir_fd=self.here), temporary

    def settle(self, file: int, temporary: bytes | None, name: bytes) -> None:
        """Give an unfinished file its name. Raises FileExistsError when that is taken by now."""
        if temporary is None:
            settle_nameless(file, self.here, name)
        else:
            rename_new(self.here, temporary, name)

    def replace(self, temporary: bytes, name: bytes) -> None:
        """Give what bears the name `temporary` another one, whatever bears that by now, in one step."""
        os.rename(temporary, name, src_dir_fd=self.here, dst_dir_fd=self.here)

    def remove(self, temporary: bytes) -> None:
        """Take an unfinished file away, if it is still there."""
        self._remove(self.here, temporary)

    def remove_top(self, temporary: bytes) -> None:
        """The same for a file at the top of the folder."""
        self._remove(self.root, temporary)

    def open_top(self, name: bytes) -> IO[bytes]:
        """The regular file `name` at the top of the folder, for reading. Raises OSError."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return open(os.open(name, flags, dir_fd=self.root), "rb")

    def link(self, first: bytes, name: bytes, replace: bool) -> None:
        """Make `name` a hard link to the file at `first`, a path relative to the folder.

        With `replace`, what bears the name is replaced in one step. Raises OSError.
        """
        above, _slash, last = first.rpartition(b"/")
        directory = descend(self.root, above, SEARCH)
        try:
            wanted = self.temporary() if replace else name
            os.link(last, wanted, src_dir_fd=directory, dst_dir_fd=self.here, follow_symlinks=False)
            if replace:
                os.rename(wanted, name, src_dir_fd=self.here, dst_dir_fd=self.here)
        finally:
            os.close(directory)

    def is_same(self, first: bytes, name: bytes) -> bool:
        """Whether `name` and the path `first` are already one file. Raises OSError."""
        above, _slash, last = first.rpartition(b"/")
        directory = descend(self.root, above, SEARCH)
        try:
            one = os.stat(last, dir_fd=directory, follow_symlinks=False)
        finally:
            os.close(directory)
        other = os.stat(name, dir_fd=self.here, follow_symlinks=False)
        return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)

    def unlock(self, name: bytes, bits: int) -> None:
        """Let this user reach into an entry of an earlier, cut-off copy that is closed to them.

        Root needs no such thing, and what belongs to others is left alone. The mode that the entry
        is to have is set when its copy is finished. Raises OSError.
        """
        if self._is_root:
            return
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.here)
        try:
            status = os.fstat(fd)
            mode = stat.S_IMODE(status.st_mode)
            wrong_kind = not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode))
            if wrong_kind or status.st_uid != os.geteuid() or mode & bits == bits:
                return
            os.chmod(b"/proc/self/fd/%d" % fd, mode | bits)
        finally:
            os.close(fd)

    def go(self, names: Sequence[bytes]) -> None:
        """From the top down to a folder that this copy has made. Raises OSError."""
        for name in names:
            self.enter(name)

    def leave_all(self) -> None:
        """Up to the top."""
        while self._trail.names:
            self.leave()

    @property
    def at_top(self) -> bool:
        """The current directory is the folder itself."""
        return not self._trail.names

    @property
    def names(self) -> tuple[bytes, ...]:
        """The folders from the top down to the current one."""
        return tuple(self._trail.names)

    def clean(self) -> None:
        """Remove what a cut-off copy left at the top; only once something tells that another has begun."""
        for text in os.listdir(self.root):
            name = os.fsencode(text)
            if not name.startswith(PART) or name == JOURNAL or name.startswith(PART + self._run):
                continue
            if not _is_directory(self.root, name):
                os.unlink(name, dir_fd=self.root)
            elif name.startswith(TRIAL):
                shutil.rmtree(name, dir_fd=self.root)

    def _links_nameless(self) -> bool:
        """Whether a file can be made without a name here and be given one, tried once."""
        try:
            fd = os.open(b".", NAMELESS, 0o600, dir_fd=self.root)
        except OSError:
            return False
        trial = self.temporary()
        try:
            settle_nameless(fd, self.root, trial)
        except OSError:
            return False
        finally:
            os.close(fd)
        os.unlink(trial, dir_fd=self.root)
        return True

    def _first_look(self) -> frozenset[bytes]:
        found = frozenset(map(os.fsencode, os.listdir(self.root)))
        left = {name for name in found if name.startswith(PART)}
        self.cut_off = bool(left - {JOURNAL})
        return found - left

    def _found(self) -> frozenset[bytes]:
        """What is in the current directory, after the leavings of a cut-off copy are removed."""
        kept = []
        for text in os.listdir(self.here):
            name = os.fsencode(text)
            if name.startswith(PART) and not _is_directory(self.here, name):
                os.unlink(name, dir_fd=self.here)
            else:
                kept.append(name)
        return frozenset(kept)

    @staticmethod
    def _remove(directory: int, name: bytes) -> None:
        try:
            os.unlink(name, dir_fd=directory)
        except FileNotFoundError:
            return


def settle_nameless(file: int, folder: int, name: bytes) -> None:
    """Give a file that bears no name one in an open folder. Raises FileExistsError when that is taken."""
    # The kernel follows this one link to the open file itself, see O_TMPFILE in open(2)
    os.link(b"/proc/self/fd/%d" % file, name, dst_dir_fd=folder)


def _is_directory(directory: int, name: bytes) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
