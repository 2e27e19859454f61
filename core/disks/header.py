"""What the header of an image says, and the bounded reading that finds it out.

Nothing here trusts a number from the file: every read has an upper limit, and a value that cannot
be true ends in `Damaged`.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from core.disks.model import Encryption, Identity, Reading, Snapshot
from core.drives import with_medium
from core.errors import NeedsRoot, SalvageError
from core.i18n import _
from core.text import safe, size

MOST = 16 << 20
"""Bytes that one read of a table may take at most."""
LARGEST = 1 << 63
"""No disk has as many bytes (QEMU counts them in a signed 64-bit number)."""


class Damaged(SalvageError):
    """The header of an image holds something that cannot be true."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Another file that a header points to, exactly as it names it."""

    kind: Literal["backing", "data", "extent"]
    name: str
    format: str | None = None
    least: int = 0
    """Bytes that the file must have."""


@dataclass(frozen=True, slots=True)
class Header:
    """What one image says about itself."""

    format: str
    virtual_size: int
    """Bytes."""
    references: tuple[Reference, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    problems: tuple[str, ...] = ()
    blocked: str = ""
    way_out: str = ""
    window: int | None = None
    """Bytes from the start of the file that are the disk itself, see `core.disks.model.Link`."""
    encryption: Encryption = ""
    reader: Reading = ""
    identity: str = ""
    """What a difference to it calls it by, where the format has that."""
    parent: str = ""
    """What it is a difference to is called so, by its own header."""
    has_log: bool = False
    """Its log holds changes that are not in their place yet."""


class Source:
    """A file or block device opened for reading, never for writing; a context manager."""

    def __init__(self, path: Path, *, is_shown: bool = False) -> None:
        self.path = path
        self.is_shown = is_shown
        """A daemon of ours shows it, whose file has the time of each look: times say nothing."""
        self.fd = open_to_read(path)
        status = os.fstat(self.fd)
        self.is_block_device = stat.S_ISBLK(status.st_mode)
        self.identity: Identity = (status.st_dev, status.st_ino)
        self.mtime_ns = status.st_mtime_ns
        self.owner = status.st_uid
        self.size = os.lseek(self.fd, 0, os.SEEK_END) if self.is_block_device else status.st_size
        self.allocated = self.size if self.is_block_device else status.st_blocks * 512

    def __enter__(self) -> "Source":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.fd)

    def some(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes at `offset`, fewer at the end; raises `SalvageError` on a read error."""
        if offset < 0 or offset >= self.size:
            return b""
        try:
            return os.pread(self.fd, min(count, MOST), offset)
        except OSError as error:
            raise SalvageError(
                _("Cannot read {path} at byte {offset}: {reason}.").format(
                    path=safe(self.path), offset=offset, reason=error.strerror
                ),
                _("The medium may be failing; nothing was changed."),
                _("Back up what can be read before anything else: virt-salvage backup --format raw."),
            ) from error

    def exactly(self, offset: int, count: int, what: str) -> bytes:
        """`count` bytes at `offset`; raises `Damaged` when they lie beyond the end or are too many.

        `what` names the thing for the message.
        """
        if count > MOST:
            raise self.damaged(_("{what} claims {size}").format(what=what, size=size(count)))
        data = self.some(offset, count)
        if len(data) < count:
            raise self.beyond(what, offset + count)
        return data

    def beyond(self, what: str, end: int) -> Damaged:
        """The error for a thing of that name that would end at byte `end`, which the file does not have."""
        return self.damaged(
            _("{what} lies beyond the end of the file ({missing} are missing)").format(
                what=what, missing=size(end - self.size)
            )
        )

    def damaged(self, detail: str) -> Damaged:
        """The error for a header that cannot be true."""
        return Damaged(
            _("The image header of {path} is damaged: {detail}.").format(path=safe(self.path), detail=detail),
            _("Nothing was opened or changed; the data behind the header may well be whole."),
            _(
                "Make a byte copy first (virt-salvage backup --format raw), then repair the copy "
                "or search it for file systems."
            ),
        )


def open_to_read(path: Path) -> int:
    """A file descriptor for reading a regular file or block device.

    Raises `NeedsRoot` without the permission and `SalvageError` for everything else: missing, not a
    file, no medium. Never blocks on a FIFO (O_NONBLOCK) and keeps the access time where we may (O_NOATIME).
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        try:
            fd = os.open(path, flags | os.O_NOATIME)
        except PermissionError:
            fd = os.open(path, flags)
        kind = os.fstat(fd).st_mode
        if stat.S_ISBLK(kind):
            return with_medium(fd, path)
    except PermissionError as error:
        raise NeedsRoot(
            _("No permission to read {path}.").format(path=safe(path)),
            _("Reading the disk is the step that needs more rights; nothing was changed."),
            _("Run the same command with sudo, or as a user who may read that file.")
            if os.geteuid()
            else _("Even root may not: a container or a security policy forbids it."),
        ) from error
    except OSError as error:
        raise SalvageError(
            _("Cannot open {path}: {reason}.").format(path=safe(path), reason=error.strerror)
        ) from error
    if not stat.S_ISREG(kind):
        os.close(fd)
        raise SalvageError(
            _("{path} is neither a regular file nor a block device.").format(path=safe(path)),
            _("A disk cannot lie in it."),
        )
    return fd


def cut_short(needed: int, have: int) -> str:
    """The finding that a file ends before its tables say."""
    return _(
        "The file is cut short: its tables point to byte {needed}, but it ends at byte {have} "
        "({missing} are missing)."
    ).format(needed=needed, have=have, missing=size(needed - have))


def text_of(data: bytes) -> str:
    """A name from a header as a path string; bytes that are no UTF-8 are kept (PEP 383)."""
    return data.rstrip(b"\0").decode("utf-8", "surrogateescape")
