"""One file or block device copied byte by byte: read once, hashed on the way, holes kept.

What the verification promises. Every piece is read back past the page cache right after it was written, and
compared with what was read from the disk, byte by byte; where the disk has holes the copy has holes or
zeros. When everything is written and flushed, a sample of every 64 MiB is read once more, so that a stick
which claims more room than it has, and begins again at its start, is found out. What cannot be seen from
here: whether a drive answers from its own cache instead of its medium.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.cancel import CancelToken
from core.disks.areas import SKIPPED, UNTRIMMED, Areas
from core.disks.header import Source
from core.disks.medium import BLOCK, GRAIN, Buffer, Medium, extents, open_direct
from core.disks.stream import Hash, Reached, stream
from core.errors import NoSpace, SalvageError
from core.files.progress import Meter
from core.i18n import _
from core.text import safe

_FICLONE = 0x40049409
"""Share the blocks of another file: ioctl_ficlone(2)."""
SAVE_AFTER = 5.0
"""Seconds of work that are lost at most when the power goes."""
_SAMPLE_EVERY = 64 << 20
_LONGEST_SKIP = 64 << 20
READ_ERRORS = frozenset({errno.EIO, errno.EILSEQ, errno.ENODATA, errno.EREMOTEIO, errno.EUCLEAN})


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes of a source that could not be read; zeros stand in their place."""

    path: Path
    offset: int
    length: int
    error: str

    def to_json(self) -> dict[str, object]:
        return {
            "path": safe(self.path),
            "error": self.error,
            "offset": self.offset,
            "length": self.length,
        }


def clone(source: Source, target: int) -> bool:
    """Let the target share the source's blocks, in an instant; False where the file system cannot."""
    if source.is_block_device or source.identity[0] != os.fstat(target).st_dev:
        return False
    try:
        fcntl.ioctl(target, _FICLONE, source.fd)
    except OSError:
        return False
    return True


class ByteCopy:
    """A copy on its way; it knows how far everything is whole."""

    def __init__(
        self, source: Source, medium: Medium, areas: Areas, cancel: CancelToken, meter: Meter
    ) -> None:
        self._source = source
        self._medium = medium
        self._cancel = cancel
        self._meter = meter
        self.areas = areas
        """What could not be read so far."""
        self.reached = 0
        """Everything before this offset is copied and compared."""
        self.state: Hash = hashlib.sha256()
        """SHA-256 up to there."""
        self._direct = -1
        self._skip = GRAIN
        self._skip_to = 0
        self._holes: list[tuple[int, int]] = []
        self._samples: dict[int, tuple[bytes, int]] = {}

    def go_on_from(self, reached: int, state: Hash) -> None:
        """Take over what an earlier run copied."""
        self.reached, self.state = reached, state

    def run(self, save: Callable[[], None]) -> str:
        """Copy from where it stands to the end; the SHA-256 of everything, zeros in place of what is missing.

        `save` is called now and then, when `reached` may be written down. Raises `Cancelled`, `NoSpace`, and
        `SalvageError` for errors of the target and when what is read back is not what was written.
        """
        self._direct = open_direct(self._source.fd, os.O_RDONLY)
        try:
            self._run(save)
        finally:
            if self._direct >= 0:
                os.close(self._direct)
        return self.state.hexdigest()

    def _run(self, save: Callable[[], None]) -> None:
        saved = time.monotonic()
        with contextlib.suppress(OSError):
            os.posix_fadvise(self._source.fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        pieces = extents(self._source.fd, self.reached, self._source.size)
        with (
            target_errors(),
            contextlib.closing(
                stream(pieces, self._read, self._write, self.state, self._cancel.check)
            ) as reached,
        ):
            for piece in reached:
                self._account(piece)
                if time.monotonic() - saved > SAVE_AFTER:
                    os.fdatasync(self._medium.fd)
                    save()
                    saved = time.monotonic()
            os.fsync(self._medium.fd)
            self._check_holes()
            self._check_samples()

    def _account(self, piece: Reached) -> None:
        if piece.result is None:
            self._holes.append((piece.offset, piece.end))
        elif piece.result is False:
            raise differs(self._source.path)
        elif isinstance(piece.result, bytes):
            self._samples[piece.offset] = piece.result, min(GRAIN, piece.count)
        self.reached, self.state = piece.end, piece.state
        self._meter.errors = len(self.areas)
        self._meter.add(piece.count, moved=piece.result is not None)

    def _write(self, piece: Buffer, offset: int, count: int) -> bool | bytes:
        """Whether it is on the medium; of one piece in many, also what its first bytes are."""
        if not self._medium.put(piece, offset, count):
            return False
        sampled = offset // _SAMPLE_EVERY != (offset - count) // _SAMPLE_EVERY
        return hashlib.sha256(piece.view[: min(GRAIN, count)]).digest() if sampled else True

    def _check_samples(self) -> None:
        back = Buffer(GRAIN)
        for offset, (digest, count) in self._samples.items():
            self._medium.get(back, offset, count)
            if hashlib.sha256(back.view[:count]).digest() != digest:
                raise differs(self._source.path)

    def _check_holes(self) -> None:
        """What lies where the disk has holes; nothing is read where the copy has holes too."""
        back = Buffer()
        for start, end in self._holes:
            for begin, stop, is_data in extents(self._medium.fd, start, end):
                for at in range(begin, stop if is_data else begin, len(back.view)):
                    self._cancel.check()
                    count = min(len(back.view), stop - at)
                    self._medium.get(back, at, count)
                    if not back.is_zero(count):
                        raise differs(self._source.path)

    # -- reading ------------------------------------------------------------------------------

    def _read(self, into: Buffer, offset: int, count: int) -> None:
        """Read a piece; past an error it is left out, farther with every further error.

        So a dying medium gives first what it gives easily; `core.disks.rescue` comes back for the rest.
        """
        got, step, failed = 0, count, False
        while got < count:
            at = offset + got
            if at < self._skip_to:
                got = min(count, self._skip_to - offset)
                self._leave_out(into, offset, at, offset + got)
                continue
            try:
                done = self._read_some(into, got, min(count, got + step), at)
            except OSError as error:
                if error.errno not in READ_ERRORS:
                    raise cannot_read(self._source, at, error.strerror or str(error)) from error
                if step > GRAIN:
                    step = GRAIN
                    continue
                failed = True
                got = self._fail(into, offset, at // BLOCK * BLOCK, offset + count) - offset
                continue
            if done == 0:
                raise _shorter(self._source)
            got = min(count, got + done)
        if not failed and self._skip_to <= offset:
            self._skip = GRAIN

    def _read_some(self, into: Buffer, start: int, end: int, at: int) -> int:
        """Past the page cache where that goes: less work, and what others need stays in it."""
        if self._direct < 0 or at % BLOCK:
            return os.preadv(self._source.fd, [into.view[start:end]], at)
        return os.preadv(self._direct, [into.view[start : -(-end // BLOCK) * BLOCK]], at)

    def _fail(self, into: Buffer, offset: int, at: int, stop: int) -> int:
        """Note the piece at `at`, and pass by what follows; where to go on."""
        end = min(at + GRAIN, stop)
        into.blank(at - offset, end - offset)
        self.areas.mark(at, end, UNTRIMMED)
        self._skip_to = end + self._skip - GRAIN
        self._skip = min(2 * self._skip, _LONGEST_SKIP)
        return end

    def _leave_out(self, into: Buffer, offset: int, at: int, end: int) -> None:
        into.blank(at - offset, end - offset)
        self.areas.mark(at, end, SKIPPED)


def read_back(medium: Medium, size: int, cancel: CancelToken, meter: Meter, counted: bool = True) -> str:
    """The SHA-256 of a file as the medium has it; raises OSError where it cannot be read."""
    os.fsync(medium.fd)

    state: Hash = hashlib.sha256()
    with contextlib.closing(
        stream(extents(medium.fd, 0, size), medium.get, None, state, cancel.check)
    ) as pieces:
        for piece in pieces:
            meter.add(piece.count if counted else 0)
            state = piece.state
    return state.hexdigest()


def differs(path: Path) -> SalvageError:
    return SalvageError(
        _("The copy of {path} is not what was read from it.").format(path=safe(path)),
        _("The target or the memory of this host is faulty; the copy is removed."),
        _("Choose a target on another medium."),
    )


def _shorter(source: Source) -> SalvageError:
    return SalvageError(
        _("{path} became shorter while it was read.").format(path=safe(source.path)),
        _("Somebody changes it: a backup of it would not be whole."),
        _("Find out who holds it and try again."),
    )


class Unreachable(SalvageError):
    """The disk cannot be read at all any more: it went away."""


def cannot_read(source: Source, offset: int, reason: str) -> Unreachable:
    return Unreachable(
        _("Cannot read {path} at byte {offset}: {reason}.").format(
            path=safe(source.path), offset=offset, reason=reason
        ),
        _("The backup is not finished; the disk is untouched."),
        _("Make sure that the disk can be reached, and try again."),
    )


@contextlib.contextmanager
def target_errors() -> Iterator[None]:
    """Turns what the system says about the target into an error for a person."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(
                _("The target is full."),
                _("The backup was not finished and is removed; the disk is untouched."),
                _("Choose a target with more room."),
            ) from error
        if error.errno == errno.EFBIG:
            raise NoSpace(
                _("The target's file system cannot hold a file as large as this."),
                _("Nothing was copied; the disk is untouched."),
                _("Choose a target with another file system, such as ext4 or XFS."),
            ) from error
        raise SalvageError(
            _("Writing the backup failed: {reason}.").format(reason=error.strerror),
            _("It is removed; the disk is untouched."),
            _("Choose another target."),
        ) from error
