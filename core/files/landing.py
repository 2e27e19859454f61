"""One file, link, pipe or socket of the guest brought to its place in the target."""

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.files.content import CHUNK, Content, Gap, ReadAt, digest, transfer
from core.files.lacking import lacks
from core.files.metadata import compare, give, keep, keep_named
from core.files.resume import Identity, Known, identity
from core.files.samples import LARGE, Sample, Sampler
from core.files.sharing import Sharing
from core.files.target import Target
from core.files.unread import hint, why
from core.i18n import _, sentences
from core.text import grouped

Tick = Callable[[int], None]


class Taken(Exception):
    """Something else already bears the name in the target, and it is not replaced.

    Or it is a copy of this very file (`lacks`) in which zeros stand for what could not be read then.
    """

    def __init__(self, lacks: bool = False) -> None:
        super().__init__()
        self.lacks = lacks


class NothingReadable(Exception):
    """Not one byte of the file could be read; a copy of it would be all zeros."""

    def __init__(self, gaps: list[Gap]) -> None:
        super().__init__()
        self.gaps = gaps


@dataclass(frozen=True, slots=True)
class Landed:
    """A regular file in its place."""

    digest: str
    gaps: list[Gap]
    lost: list[str]
    same: bool
    """It was there already, with the same content."""
    copy: Identity | None = None
    """What the copy is like now; None for one that was trusted without being read."""
    samples: Sequence[Sample] = ()
    """Pieces of a large file that was written just now."""


class Landing:
    """Brings entries to the directory in which the target stands. OSErrors are those of the target."""

    def __init__(
        self, target: Target, read: ReadAt, privileges: bool = False, sharing: Sharing | None = None
    ) -> None:
        self._target = target
        self._read = read
        self._privileges = privileges
        self._sharing = sharing
        self._buffer = memoryview(bytearray(CHUNK))
        self._second: memoryview | None = None

    def file(
        self,
        source: int,
        status: os.stat_result,
        name: bytes,
        tick: Tick,
        replace: bool = False,
        known: Known | None = None,
    ) -> Landed:
        """The open regular file `source` under `name`.

        What is there already is kept if its content is the same; neither is read where a cut-off copy has
        finished it (`known`) and both are what they were then. Raises `Taken` if it is not, unless it is
        to be replaced; `NothingReadable`, and OSError.
        """
        if replace:
            return self._new(source, status, name, tick, replace=True)
        if not self._target.holds(name):
            try:
                return self._new(source, status, name, tick)
            except FileExistsError:
                # Appeared meanwhile, or the target does not tell capital letters from small ones.
                return self._same(source, status, name, _ignore)
        if known and self._is_finished(source, status, name, known):
            tick(status.st_size)
            return Landed(known.digest, [], [], True)
        return self._same(source, status, name, tick)

    def _is_finished(self, source: int, status: os.stat_result, name: bytes, known: Known) -> bool:
        if identity(status) != known.source:
            return False
        there = os.stat(name, dir_fd=self._target.here, follow_symlinks=False)
        if not stat.S_ISREG(there.st_mode) or identity(there) != known.copy:
            return False
        if self._sharing and (fd := self._open_existing(name, status.st_size)) is not None:
            try:
                self._sharing.bring(source, fd, self._target.path(name))
            finally:
                os.close(fd)
        return True

    def symlink(
        self, source: int, status: os.stat_result, name: bytes, text: bytes, onto: bytes, replace: bool
    ) -> list[str]:
        """The symbolic link `name` of the directory `source`, which says `text`, as `onto`; what was lost."""
        here = self._target.here
        try:
            self._make(onto, replace, lambda wanted: os.symlink(text, wanted, dir_fd=here))
        except FileExistsError:
            self._must_be(onto, status)
            if os.readlink(onto, dir_fd=here) != text:
                raise Taken from None
        return keep_named((source, name), (here, onto), status)

    def special(
        self, source: int, status: os.stat_result, name: bytes, onto: bytes, replace: bool
    ) -> list[str]:
        """The pipe, socket or device `name` of the directory `source` as `onto`; what was lost."""
        here = self._target.here
        mode = stat.S_IFMT(status.st_mode) | 0o600
        try:
            self._make(onto, replace, lambda wanted: os.mknod(wanted, mode, status.st_rdev, dir_fd=here))
        except FileExistsError:
            self._must_be(onto, status)
        return keep_named((source, name), (here, onto), status)

    def is_file_with(self, name: bytes, size: int, checksum: str) -> bool:
        """Whether the target has a regular file `name` with that content."""
        fd = self._open_existing(name, size)
        if fd is None:
            return False
        try:
            return self._digest(fd) == checksum
        finally:
            os.close(fd)

    def _make(self, onto: bytes, replace: bool, create: Callable[[bytes], None]) -> None:
        if not replace:
            create(onto)
            return
        temporary = self._target.temporary()
        create(temporary)
        try:
            self._target.replace(temporary, onto)
        except BaseException:
            self._target.remove(temporary)
            raise

    def _new(
        self, source: int, status: os.stat_result, name: bytes, tick: Tick, replace: bool = False
    ) -> Landed:
        target = self._target
        content = Content.of(source, status, self._buffer, self._read)
        sampler = Sampler(status.st_blocks * 512) if status.st_size >= LARGE else None
        fd, temporary = target.unfinished(named=replace)
        try:
            try:
                checksum = transfer(content, fd, tick, sampler.note if sampler else None)
                if content.nothing_readable:
                    raise NothingReadable(content.gaps)
                lost = give(source, fd, status, target.plain, self._privileges)
                if self._sharing:
                    self._sharing.bring(source, fd, target.path(name))
                if replace and temporary:
                    target.replace(temporary, name)
                else:
                    target.settle(fd, temporary, name)
                copy = os.fstat(fd)
                compare(status, copy, lost)
            finally:
                os.close(fd)
        except BaseException:
            if temporary:
                target.remove(temporary)
            raise
        return Landed(checksum, content.gaps, lost, False, identity(copy), sampler.taken if sampler else ())

    def _same(self, source: int, status: os.stat_result, name: bytes, tick: Tick) -> Landed:
        fd = self._open_existing(name, status.st_size)
        if fd is None:
            raise Taken
        try:
            content = Content.of(source, status, self._buffer, self._read)
            checksum = digest(content, tick)
            if content.nothing_readable:
                raise NothingReadable(content.gaps)
            if checksum != self._digest(fd):
                raise Taken(self._lacks(fd, source, status))
            lost = keep(source, fd, status, privileges=self._privileges)
            return Landed(checksum, content.gaps, lost, True, identity(os.fstat(fd)))
        finally:
            os.close(fd)

    def _lacks(self, fd: int, source: int, status: os.stat_result) -> bool:
        if os.fstat(fd).st_mtime_ns != status.st_mtime_ns:
            return False
        return lacks(fd, Content.of(source, status, self._buffer, self._read))

    def _open_existing(self, name: bytes, size: int) -> int | None:
        """A descriptor of the target's regular file of that size; None where something else is."""
        here = self._target.here
        status = os.stat(name, dir_fd=here, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            return None
        self._target.unlock(name, stat.S_IRUSR)
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)

    def _digest(self, fd: int) -> str:
        if self._second is None:
            self._second = memoryview(bytearray(CHUNK))
        existing = Content.of(fd, os.fstat(fd), self._second)
        checksum = digest(existing, _ignore)
        return "" if existing.gaps else checksum

    def _must_be(self, name: bytes, wanted: os.stat_result) -> None:
        status = os.stat(name, dir_fd=self._target.here, follow_symlinks=False)
        same = stat.S_IFMT(status.st_mode) == stat.S_IFMT(wanted.st_mode)
        if not same or status.st_rdev != wanted.st_rdev:
            raise Taken


def _ignore(_count: int) -> None:
    return


def told(gaps: list[Gap], size: int) -> str:
    """What could not be read of a file of `size` bytes, as a sentence or two."""
    missing = sum(gap.end - gap.start for gap in gaps)
    first = gaps[0]
    ends = _("the file ends before the size that its inode says")
    told = _(
        "{missing} of {size} bytes could not be read, the first at byte {start} ({reason}); "
        "zeros stand in their place."
    ).format(
        missing=grouped(missing),
        size=grouped(size),
        start=grouped(first.start),
        reason=why(first.code) if first.code else ends,
    )
    return sentences((told, hint(first.code)))


def told_nothing(gaps: list[Gap]) -> str:
    """That a file has no readable byte, as a sentence or two."""
    code = gaps[0].code
    told = _("Not one byte could be read ({reason}); no copy was made.")
    return sentences((told.format(reason=why(code) if code else _("there is no data")), hint(code)))
