"""The entries of a guest's folders, one by one, each brought to its place in the target."""

import errno
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.files.bad import BadPlaces
from core.files.clash import Clashes
from core.files.inodeflags import NONE, InodeFlags, flags_of
from core.files.landing import Landed, Landing, NothingReadable, Taken, told, told_nothing
from core.files.late import Late
from core.files.means import Means
from core.files.metadata import beside
from core.files.resume import Known, identity
from core.files.samples import Sample
from core.files.tally import flags_told, not_made
from core.files.tree import OPEN_FILE
from core.files.unread import reason
from core.files.walk import Identity, Step
from core.i18n import _
from core.text import grouped, safe

_SAMPLED = 10_000
"""Large files whose samples are kept: memory is to stay flat."""
_CANNOT_HOLD = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})


@dataclass(frozen=True, slots=True)
class _First:
    """The first name of a file with several, in the target."""

    path: bytes
    size: int
    digest: str
    """Empty for what is no regular file."""


class Bringing:
    """Brings files, links, pipes, sockets and devices; remembers what must be done later."""

    def __init__(self, means: Means, landing: Landing, clashes: Clashes) -> None:
        self._target = means.target
        self._resume = means.resume
        self._prefetch = means.prefetch
        self._landing = landing
        self._clashes = clashes
        self._able = means.able
        self._small = means.small
        self._tally = means.tally
        self._meter = means.meter
        self._cancel = means.cancel
        self._choices = means.choices
        self._bad = BadPlaces(means.choices.bad)
        self._linked: dict[Identity, _First] = {}
        self.late: list[Late] = []
        """Files at or beside bad places, which `bring` has left out."""
        self.samples: dict[bytes, Sequence[Sample]] = {}
        """By the path below the folder, of large files."""
        self.flagged: list[tuple[bytes, bytes, InodeFlags]] = []
        """The guest's path, the path below the folder, and the flags that it is to get last of all."""

    # -- entries --------------------------------------------------------------------------------

    def bring(self, step: Step, parent: int, name: bytes, path: bytes, onto: bytes) -> None:
        """One entry that is no directory, from the open directory `parent` of the guest."""
        if step is Step.FILE:
            self.file(parent, name, path, onto)
        else:
            self._look(parent, name, path, onto)

    def _look(self, parent: int, name: bytes, path: bytes, onto: bytes) -> None:
        text: bytes | None = None
        try:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                text = os.readlink(name, dir_fd=parent)
        except OSError as error:
            self._tally.failed(path, reason(error))
            self._meter.end(file=False)
            return
        mode = status.st_mode
        if stat.S_ISREG(mode):
            self.file(parent, name, path, onto)
            return
        self._meter.begin(path, 0)
        source = (parent, name)
        if text is not None:
            link = text
            self._other(
                status, source, path, onto, text,
                lambda wanted, replace: self._landing.symlink(parent, status, name, link, wanted, replace),
            )  # fmt: skip
        elif stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or self._wanted_device(mode):
            self._other(
                status, source, path, onto, None,
                lambda wanted, replace: self._landing.special(parent, status, name, wanted, replace),
            )  # fmt: skip
        else:
            self._lose_other(status, source, path, onto, [not_made(status)])
        self._meter.end(file=False)

    def _wanted_device(self, mode: int) -> bool:
        return self._choices.devices and (stat.S_ISCHR(mode) or stat.S_ISBLK(mode))

    def file(self, parent: int, name: bytes, path: bytes, onto: bytes, late: bool = False) -> None:
        known = self._resume.take(path)
        self._prefetch.idle = known is not None or self._small.works
        try:
            fd = os.open(name, OPEN_FILE, dir_fd=parent)
        except OSError as error:
            self._tally.failed(path, reason(error))
            self._meter.end()
            return
        mine = True
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                told = _("The file system is damaged: its directory says that this is a file.")
                self._tally.failed(path, told)
            elif self._bad and not late and self._threatened(fd):
                self.late.append(Late(path, self._target.names, onto))
                return
            elif not self._bad and self._small.wants(status):
                mine = False
                self._small.give(fd, status, path, onto)
                return
            else:
                self._meter.begin(path, status.st_size)
                if status.st_nlink == 1 or not self._link(status, fd, path, onto):
                    self._land(fd, status, path, onto, known)
        except OSError as error:
            self._tally.unwritten(path, error)
        finally:
            if mine:
                os.close(fd)
        self._meter.end()

    def _threatened(self, fd: int) -> bool:
        try:
            return self._bad.threatens(fd)
        except OSError:
            return True  # where it lies cannot be read either

    def _land(self, fd: int, status: os.stat_result, path: bytes, onto: bytes, known: Known | None) -> None:
        def make(wanted: bytes, replace: bool) -> Landed:
            return self._landing.file(fd, status, wanted, self._tick, replace, known)

        try:
            landed, name = self._clashes.bring(path, onto, status, make)
        except Taken:
            self._tally.taken(path)
            return
        except NothingReadable as error:
            self._bad.learn(fd, error.gaps)
            self._tally.failed(path, told_nothing(error.gaps))
            return
        tally = self._tally
        tally.files += 1
        tally.bytes += status.st_size
        tally.same += landed.same
        if landed.gaps:
            self._bad.learn(fd, [gap for gap in landed.gaps if gap.code])
            tally.failed(path, told(landed.gaps, status.st_size))
        elif count := self._bad.known_of(fd):
            sentence = _(
                "{count} bytes of it lie where the disk could not be read: zeros may stand in their place."
            )
            tally.failed(path, sentence.format(count=grouped(count)))
        self.note(
            path, self._target.path(name), status, fd, landed.lost, flags_of(fd), path.rpartition(b"/")[2]
        )
        there = self._target.path(name)
        self._remember(status, there, landed.digest)
        if landed.samples and len(self.samples) < _SAMPLED:
            self.samples[there] = landed.samples
        whole = landed.copy if not landed.gaps and not landed.lost else None
        self._small.enlist(path, there, landed.digest, (identity(status), whole) if whole else None)

    def _remember(self, status: os.stat_result, there: bytes, digest: str) -> None:
        if status.st_nlink > 1:
            identity = (status.st_dev, status.st_ino)
            self._linked.setdefault(identity, _First(there, status.st_size, digest))

    def _link(self, status: os.stat_result, source: int | bytes, path: bytes, onto: bytes) -> bool:
        """Make another name of a file that is in the target already; False where there is none."""
        first = self._linked.get((status.st_dev, status.st_ino))
        if first is None:
            return False
        try:
            if not self._able.hard_links:
                raise OSError(errno.EPERM, os.strerror(errno.EPERM))
            if self._target.holds(onto) and not self._target.is_same(first.path, onto):
                # Brought by a cut-off copy as a file of its own: made one with the first again.
                if not first.digest or not self._landing.is_file_with(onto, first.size, first.digest):
                    return False
                self._target.link(first.path, onto, replace=True)
            elif not self._target.holds(onto):
                self._target.link(first.path, onto, replace=False)
        except OSError as error:
            if error.errno not in _CANNOT_HOLD | {errno.EEXIST, errno.ENAMETOOLONG}:
                raise
            sentence = _("It was one file with {path}.").format(path=safe(first.path))
            there = self._target.path(onto)
            self._tally.lose(path, there, status, source, [sentence], same_as=first.path)
            return False
        if first.digest:
            self._tally.files += 1
            self._tally.same += self._target.holds(onto)
            self._small.enlist(path, self._target.path(onto), first.digest, None)
        elif stat.S_ISLNK(status.st_mode):
            self._tally.symlinks += 1
        else:
            self._tally.others += 1
        return True

    def _other(
        self,
        status: os.stat_result,
        source: tuple[int, bytes],
        path: bytes,
        onto: bytes,
        text: bytes | None,
        make: Callable[[bytes, bool], list[str]],
    ) -> None:
        """A link, pipe, socket or device, which `make` brings to its place."""
        try:
            if status.st_nlink > 1 and self._link(status, beside(*source), path, onto):
                return
            if not (self._able.symlinks if text is not None else self._able.pipes):
                raise OSError(errno.EPERM, os.strerror(errno.EPERM))
            lost, name = self._clashes.bring(path, onto, status, make)
        except Taken:
            self._tally.taken(path)
            return
        except OSError as error:
            if error.errno in _CANNOT_HOLD:
                told = _("The target cannot hold links or pipes; it was not made.")
                self._lose_other(status, source, path, onto, [told], text)
            else:
                self._tally.unwritten(path, error)
            return
        self._note_other(status, source, path, name, lost, text)
        self._remember(status, self._target.path(name), "")
        if stat.S_ISLNK(status.st_mode):
            self._tally.symlinks += 1
        else:
            self._tally.others += 1

    # -- what is lost ---------------------------------------------------------------------------

    def _note_other(
        self,
        status: os.stat_result,
        source: tuple[int, bytes],
        path: bytes,
        onto: bytes,
        lost: list[str],
        text: bytes | None,
    ) -> None:
        self._tally.own(status)
        name = path.rpartition(b"/")[2]
        if name != onto:
            lost = [*lost, _renamed(onto)]
        if lost:
            self._lose_other(status, source, path, onto, lost, text)

    def _lose_other(
        self,
        status: os.stat_result,
        source: tuple[int, bytes],
        path: bytes,
        onto: bytes,
        lost: list[str],
        text: bytes | None = None,
    ) -> None:
        name = path.rpartition(b"/")[2]
        true = name if name != onto else None
        there = self._target.path(onto)
        self._tally.lose(path, there, status, beside(*source), lost, target=text, name=true)

    def note(
        self,
        path: bytes,
        there: bytes,
        status: os.stat_result,
        source: int | None,
        lost: list[str],
        flags: InodeFlags,
        name: bytes,
    ) -> None:
        """A file or folder is in its place, `there` below the folder."""
        self._tally.own(status)
        if flags is not NONE:
            if self._choices.privileges:
                self.flagged.append((path, there, flags))
            else:
                lost = [*lost, *flags_told(flags)]
        onto = there.rpartition(b"/")[2]
        true = None
        if name != onto:
            true = name
            lost = [*lost, _renamed(onto)]
        if lost:
            self._tally.lose(path, there, status, source, lost, flags=flags, name=true)

    def _tick(self, count: int) -> None:
        self._cancel.check()
        self._meter.add(count)


def _renamed(onto: bytes) -> str:
    return _("It is called {name} here.").format(name=safe(onto))
