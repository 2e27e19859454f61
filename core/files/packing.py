"""Copies files and trees of a guest into an archive, with checksums: a file of the host, or a stream."""

import errno
import os
import stat
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import IO

from core.cancel import CancelToken
from core.errors import SalvageError
from core.files.abilities import Abilities
from core.files.above import Above, Folder
from core.files.archive import ArchiveFile, Stream
from core.files.choices import CAUTIOUS, Choices
from core.files.content import CHUNK, PATIENCE, Content, Hashed, ReadAt, read_at
from core.files.destination import Shape
from core.files.estimate import Estimate, estimate
from core.files.inodeflags import NONE, flags_of
from core.files.landing import told
from core.files.manifest import LONGEST, NAME, OURS, candidates, line
from core.files.metadata import CAPABILITIES, Handle, beside, listed
from core.files.naming import Names
from core.files.outcome import Copied
from core.files.prefetch import Prefetch
from core.files.progress import Listener, Meter
from core.files.sidecar import NAME as SIDECAR
from core.files.sidecar import Spool
from core.files.sources import Road, roads_of
from core.files.tally import Tally, flags_told, not_made
from core.files.tarring import TarWriter
from core.files.trail import LIST
from core.files.tree import OPEN_FILE, GuestTree
from core.files.unread import reason, why
from core.files.walk import Identity, Step, Walk, walking
from core.files.zipping import ZipWriter
from core.i18n import _
from core.text import safe

_RIGHTS = stat.S_ISUID | stat.S_ISGID
_ZIP = Abilities(
    attributes=(), acls=False, hard_links=False, pipes=False, nanoseconds=False, holes=False, any_bytes=False
)
_TAR = Abilities()


def archive_abilities(shape: Shape) -> Abilities:
    """What an archive of that shape can hold."""
    return _ZIP if shape == "zip" else _TAR


def pack(
    tree: GuestTree,
    sources: Sequence[bytes],
    out: ArchiveFile | Stream,
    cancel: CancelToken,
    progress: Listener,
    expected: Estimate | None = None,
    read: ReadAt = read_at,
    choices: Choices = CAUTIOUS,
) -> Copied:
    """Copy `sources` of the guest into an archive, each under its own name; see `core.files.copy.copy`.

    The checksums and what the archive could not keep are its last members. An archive is whole or is not
    there: what was cut off begins anew. Raises `NoSpace`, `Cancelled`, `WrongUsage` and other `SalvageError`.
    """
    began = time.monotonic()
    PATIENCE.helped()
    with ExitStack() as stack:
        roads = roads_of(tree, sources, stack, whole=choices.paths)
        once = [road.place.path for road in roads] if choices.paths else sources
        expected = expected or estimate(tree, once, cancel)
        out.check_space(expected)
        able = archive_abilities(out.shape)
        if sentence := able.sentence(out.path):
            choices.tell(sentence)
        meter = Meter(progress, expected.files, expected.apparent, expected.bare)
        spool = Spool()
        stack.callback(spool.close)
        tally = Tally(out.path, meter, spool)
        try:
            sink = stack.enter_context(out.open())
            writer = ZipWriter(sink) if out.shape == "zip" else TarWriter(sink)
            packing = _Packing(tree, writer, able, tally, cancel, meter, read, choices, stack)
            with Above(tree, packing.enter, packing.leave) as above:
                for road in roads:
                    if above.go(road.above):
                        packing.source(road)
            manifest = packing.finish(spool)
            where, verified = out.finish(manifest, choices.verify, time.monotonic() - began, cancel.check)
        except BrokenPipeError as error:
            raise SalvageError(
                _("Who reads the archive went away."),
                _("What was written so far is no whole archive."),
                _("Look after the program at the other end, and run the same command again."),
            ) from error
        except OSError as error:
            raise tally.stopped(error) from error
        meter.finish()
        return tally.outcome(tree, began, where, verified)


@dataclass(frozen=True, slots=True)
class _First:
    path: bytes
    digest: str


class _Packing:
    """One run of `pack`."""

    def __init__(
        self,
        tree: GuestTree,
        writer: TarWriter | ZipWriter,
        able: Abilities,
        tally: Tally,
        cancel: CancelToken,
        meter: Meter,
        read: ReadAt,
        choices: Choices,
        stack: ExitStack,
    ) -> None:
        self._tree = tree
        self._writer = writer
        self._able = able
        self._names = Names(able)
        self._tally = tally
        self._cancel = cancel
        self._meter = meter
        self._read = read
        self._choices = choices
        self._prefetch = stack.enter_context(Prefetch())
        self._buffer = memoryview(bytearray(CHUNK))
        self._manifest: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the stack
        stack.callback(self._manifest.close)
        self._linked: dict[Identity, _First] = {}
        self._folders: list[bytes] = []
        self._tops: set[bytes] = set()

    # -- the way through ------------------------------------------------------------------------

    def source(self, road: Road) -> None:
        place = road.place
        if place.kind != "dir":
            self._entry(place.parent, place.name, place.path, self._names.fit(road.name or place.name))
            return
        with walking(place, self._tally.failed, prefetch=self._prefetch) as walk:
            if walk is None:
                return
            if road.name is not None:
                self._enter(walk.trail.fd, road.name, place.path, os.fstat(walk.trail.fd))
            self._contents(walk)
            if road.name is not None:
                self._leave()

    def enter(self, folder: Folder) -> bool:
        """A folder above a source whose whole path is kept."""
        self._enter(folder.fd, folder.name, folder.path, folder.status)
        return True

    def leave(self, _folder: Folder) -> None:
        """All sources below it are there."""
        self._leave()

    def _contents(self, walk: Walk) -> None:
        for step, name, status in walk.steps():
            self._cancel.check()
            path = walk.prefix + name
            if step is Step.ENTER and status is not None:
                self._enter(self._open(walk, name), name, path, status, close=True)
            elif step is Step.LEAVE:
                self._leave()
            else:
                try:
                    self._entry(walk.trail.fd, name, path, self._names.fit(name))
                except OSError as error:
                    self._tally.failed(path, reason(error))

    def _open(self, walk: Walk, name: bytes) -> int | None:
        with suppress(OSError):
            return os.open(name, LIST, dir_fd=walk.trail.fd)
        return None

    def _enter(
        self, fd: int | None, name: bytes, path: bytes, status: os.stat_result, *, close: bool = False
    ) -> None:
        onto = self._names.fit(name)
        there = self._path(onto)
        self._names.down()
        try:
            mode, attributes, lost = self._rights(fd, status)
            self._writer.folder(there, status, mode, attributes)
            self._note(path, there, status, fd, lost, fd)
        finally:
            if close and fd is not None:
                os.close(fd)
        self._folders.append(onto)
        self._tally.directories += 1

    def _leave(self) -> None:
        self._folders.pop()
        self._names.up()

    def _path(self, name: bytes) -> bytes:
        if not self._folders and name.startswith(OURS):
            self._tops.add(name)
        return b"/".join([*self._folders, name])

    # -- entries --------------------------------------------------------------------------------

    def _entry(self, parent: int, name: bytes, path: bytes, onto: bytes) -> None:
        try:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
            text = os.readlink(name, dir_fd=parent) if stat.S_ISLNK(status.st_mode) else None
            fd = os.open(name, OPEN_FILE, dir_fd=parent) if stat.S_ISREG(status.st_mode) else None
        except OSError as error:
            self._tally.failed(path, reason(error))
            self._meter.end()
            return
        there = self._path(onto)
        source: Handle = beside(parent, name) if fd is None else fd
        try:
            self._meter.begin(path, status.st_size if fd is not None else 0)
            if status.st_nlink > 1 and self._link(status, source, path, there):
                return
            if fd is not None:
                self._file(fd, status, path, there)
            else:
                self._other(source, status, path, there, text)
        finally:
            if fd is not None:
                os.close(fd)
            self._meter.end(file=fd is not None)

    def _file(self, fd: int, status: os.stat_result, path: bytes, there: bytes) -> None:
        mode, attributes, lost = self._rights(fd, status)
        content = Content.of(fd, status, self._buffer, self._read)
        hashed = Hashed()
        for piece in self._writer.file(there, status, mode, attributes, content):
            hashed.add(piece)
            self._cancel.check()
            if isinstance(piece, int):
                self._meter.add(piece, moved=False)
            else:
                self._meter.add(len(piece))
        self._tally.files += 1
        self._tally.bytes += status.st_size
        if content.gaps:
            self._tally.failed(path, told(content.gaps, status.st_size))
        self._note(path, there, status, fd, lost, fd)
        self._sum(path, there, hashed.digest())
        if status.st_nlink > 1:
            self._linked.setdefault((status.st_dev, status.st_ino), _First(there, hashed.digest()))

    def _sum(self, path: bytes, there: bytes, digest: str) -> None:
        if len(there) > LONGEST:
            told = _("Its checksum is not in the manifest: the path is too long for sha256sum.")
            self._tally.note(path, [told])
        else:
            self._manifest.write(line(there, digest))

    def _link(self, status: os.stat_result, source: Handle, path: bytes, there: bytes) -> bool:
        first = self._linked.get((status.st_dev, status.st_ino))
        if first is None:
            return False
        if not self._able.hard_links:
            sentence = _("It was one file with {path}.").format(path=safe(first.path))
            self._tally.lose(path, there, status, source, [sentence], same_as=first.path)
            return False
        self._writer.link(there, status, first.path)
        if first.digest:
            self._tally.files += 1
            self._sum(path, there, first.digest)
        elif stat.S_ISLNK(status.st_mode):
            self._tally.symlinks += 1
        else:
            self._tally.others += 1
        return True

    def _other(
        self, source: Handle, status: os.stat_result, path: bytes, there: bytes, text: bytes | None
    ) -> None:
        kind = status.st_mode
        device = stat.S_ISCHR(kind) or stat.S_ISBLK(kind)
        if text is None and (stat.S_ISSOCK(kind) or not self._able.pipes):
            lost = [not_made(status) if device else _("An archive of this kind holds no pipes and sockets.")]
        elif device and not self._choices.devices:
            lost = [not_made(status)]
        else:
            mode, attributes, lost = self._rights(source, status)
            self._writer.head(there, status, mode, attributes, target=text or b"")
            self._tally.symlinks += text is not None
            self._tally.others += text is None
            if status.st_nlink > 1:
                self._linked.setdefault((status.st_dev, status.st_ino), _First(there, ""))
        self._note(path, there, status, source, lost, None, text)

    # -- what is kept ---------------------------------------------------------------------------

    def _rights(
        self, source: Handle | None, status: os.stat_result
    ) -> tuple[int, dict[bytes, bytes], list[str]]:
        """Mode and attributes that the member gets, and what it does not get."""
        lost: list[str] = []
        mode = stat.S_IMODE(status.st_mode)
        lends = mode & _RIGHTS and not stat.S_ISDIR(status.st_mode)
        if lends and not self._choices.privileges:
            mode &= ~_RIGHTS
            told = _("The mode was {mode}: setuid and setgid were not given to the copy.")
            lost.append(told.format(mode=f"{stat.S_IMODE(status.st_mode):04o}"))
        attributes = {} if source is None else self._attributes(source, lost)
        if CAPABILITIES.encode() in attributes and not self._choices.privileges:
            del attributes[CAPABILITIES.encode()]
            lost.append(_("Its capabilities were not given to the copy."))
        if attributes and not self._able.attributes:
            lost.append(_("Its extended attributes and access control lists have no place in the archive."))
            attributes = {}
        return mode, attributes, lost

    @staticmethod
    def _attributes(source: Handle, lost: list[str]) -> dict[bytes, bytes]:
        follow = isinstance(source, int)
        found: dict[bytes, bytes] = {}
        try:
            for name in listed(source):
                found[os.fsencode(name)] = os.getxattr(source, name, follow_symlinks=follow)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS):
                told = _("Its extended attributes could not be read: {reason}.")
                lost.append(told.format(reason=why(error.errno or 0)))
        return found

    def _note(
        self,
        path: bytes,
        there: bytes,
        status: os.stat_result,
        source: Handle | None,
        lost: list[str],
        fd: int | None,
        target: bytes | None = None,
    ) -> None:
        self._tally.own(status)
        flags = flags_of(fd) if fd is not None else None
        if flags:
            lost = [*lost, *flags_told(flags)]
        name, onto = path.rpartition(b"/")[2], there.rpartition(b"/")[2]
        if name != onto:
            lost = [*lost, _("It is called {name} here.").format(name=safe(onto))]
        if lost:
            true = name if name != onto else None
            self._tally.lose(path, there, status, source, lost, target=target, name=true, flags=flags or NONE)

    def finish(self, spool: Spool) -> IO[bytes]:
        """The last members, and the end; the lines of the manifest."""
        self._cancel.check()
        for name, lines in ((NAME, self._manifest), (SIDECAR, spool.lines())):
            if lines is not None:
                free = next(one for one in candidates(name) if one not in self._tops)
                size = lines.seek(0, os.SEEK_END)
                lines.seek(0)
                self._writer.text(free, lines, size)
        self._writer.close()
        return self._manifest
