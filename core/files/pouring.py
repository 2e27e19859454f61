"""One file of the guest as a stream: what can be read of it, with zeros where a byte is lost."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

from core.cancel import CancelToken
from core.errors import SalvageError
from core.files.content import CHUNK, Content, Gap, ReadAt
from core.files.tree import GuestTree
from core.files.unread import hint, why
from core.i18n import _
from core.text import grouped, safe

_ZEROS = memoryview(bytes(CHUNK))

Write = Callable[[memoryview], object]


@dataclass(frozen=True, slots=True)
class Poured:
    """What came of it. `size` is in bytes."""

    size: int
    """Of the whole file."""
    gaps: list[Gap]

    @property
    def lost(self) -> int:
        """Bytes that zeros stand for."""
        return sum(gap.end - gap.start for gap in self.gaps)

    def ranges(self) -> list[str]:
        """Where zeros stand for what was lost, a line each."""
        told = _("bytes {first} to {last}: {reason}")
        return [
            told.format(first=grouped(gap.start), last=grouped(gap.end - 1), reason=_reason(gap))
            for gap in self.gaps
        ]


def pour(
    tree: GuestTree,
    path: bytes,
    write: Write,
    read: ReadAt,
    cancel: CancelToken,
    most: int = sys.maxsize,
) -> Poured:
    """Give the bytes of the regular file at `path` to `write`, in order; not much more than `most` of them.

    Nothing is written of a file that has no readable byte: raises `SalvageError` then, and `Cancelled`.
    """
    fd = tree.open_file(path)
    try:
        content = Content.of(fd, os.fstat(fd), memoryview(bytearray(CHUNK)), read)
        done = held = 0  # zeros at the beginning: whether any byte comes behind them is seen later
        for piece in content.pieces():
            cancel.check()
            if done >= most:
                break
            if isinstance(piece, int):
                done += piece
                if content.got:
                    write(_ZEROS[:piece])
                else:
                    held += piece
                continue
            done += len(piece)
            held = _filled(held, write, cancel)
            write(piece)
        if content.nothing_readable:
            raise _nothing(path, content.gaps[0])
        _filled(held, write, cancel)
        return Poured(content.size, content.gaps)
    finally:
        os.close(fd)


def _filled(zeros: int, write: Write, cancel: CancelToken) -> int:
    """Write so many zeros; none are left then."""
    while zeros:
        cancel.check()
        some = min(zeros, CHUNK)
        write(_ZEROS[:some])
        zeros -= some
    return 0


def _reason(gap: Gap) -> str:
    return why(gap.code) if gap.code else _("the file ends before the size that its inode says")


def _nothing(path: bytes, gap: Gap) -> SalvageError:
    told = _("Not one byte of {path} could be read: {reason}.")
    return SalvageError(
        told.format(path=safe(path), reason=_reason(gap)), _("Nothing was written."), hint(gap.code)
    )
