"""Bytes that volumes lie in: those of the disk, or those that a layer shows or would show."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from core.i18n import _
from core.runner import Runner
from core.tables.content import Content, probe
from core.volumes.readable import Readable, Window

MOST = 500
"""Volumes above partitions that are listed."""
_HEAD, _TAIL = 4 << 20, 1 << 20
"""Bytes at both ends of a volume that libblkid gets to see where it cannot see all: there signatures lie."""
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Space:
    """`source` reads the bytes; `path` shows them to other programs from byte `begin` on, or is None.

    `under` is the id of the volume whose layer it is; empty for the disk itself. `scratch` takes a file
    for a moment.
    """

    source: Readable
    runner: Runner
    scratch: Path
    path: Path | None = None
    begin: int = 0
    under: str = ""

    def probe(self, offset: int, size: int) -> Content:
        """What lies in a range."""
        if self.path:
            return probe(self.path, self.begin + offset, size, self.runner)
        return self.probe_ends(Window(self.source, offset, size), size)

    def probe_ends(self, source: Readable, size: int) -> Content:
        """What lies in `size` bytes that no file shows: libblkid looks at a sparse copy of both ends."""
        copy = self.scratch / "ends"
        try:
            self.scratch.mkdir(parents=True, exist_ok=True)
            with _new_file(copy) as fd:
                os.ftruncate(fd, size)
                for start, end in ((0, min(_HEAD, size)), (max(_HEAD, size - _TAIL), size)):
                    for at in range(start, end, _PIECE):
                        os.pwrite(fd, source.read(at, min(_PIECE, end - at)), at)
                content = probe(copy, 0, size, self.runner)
        except OSError as error:
            told = _("What it contains is seen when it is opened: the state folder takes no copy ({reason}).")
            return Content(None, problems=(told.format(reason=os.strerror(error.errno or 0)),))
        # What lies in the middle is a hole in the copy, so what it says about that is no finding
        return replace(content, problems=())


@contextmanager
def _new_file(path: Path) -> Iterator[int]:
    """A new file for a moment, open for writing."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)
        path.unlink()
