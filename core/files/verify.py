"""Reads back what was written, from the medium and not from memory, and compares the checksums."""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from core.files.choices import Verify
from core.files.content import CHUNK, Content, digest
from core.files.manifest import listed
from core.files.trail import SEARCH, descend

_PART = 0.1
_LEAST = 0.3
"""Without a word the reading back takes a tenth of the time of the copy, or this many seconds."""


@dataclass(slots=True)
class Verified:
    """Files and bytes (`size`) that were read back, and the paths of those that are not what was written."""

    files: int = 0
    size: int = 0
    whole: bool = False
    """All of them were read back."""
    wrong: list[bytes] = field(default_factory=list)


def read_back(
    root: int, manifest: IO[bytes], how: Verify, took: float, check: Callable[[], None]
) -> Verified:
    """Compare the files below the open folder `root` with their lines in `manifest`.

    Everything must have been flushed. `took` is how many seconds the copy took; where not all is read, the
    start is left to chance. `check` is called often and may raise. Raises OSError of the target.
    """
    done = Verified()
    if how == "none":
        return done
    until = time.monotonic() + (seconds_for(took) if how == "fits" else float("inf"))
    buffer = memoryview(bytearray(CHUNK))
    for path, checksum in _round(manifest, how == "fits"):
        check()
        if time.monotonic() > until:
            return done
        size = _look(root, path, checksum, buffer, check)
        if size is None:
            done.wrong.append(path)
        else:
            done.files += 1
            done.size += size
    done.whole = True
    return done


def seconds_for(took: float) -> float:
    """How long reading back may take without a word, after a copy that took that many seconds."""
    return max(_LEAST, took * _PART)


def _round(manifest: IO[bytes], anywhere: bool) -> Iterator[tuple[bytes, str]]:
    """Each line once, from any one on."""
    end = manifest.seek(0, os.SEEK_END)
    start = 0
    if anywhere and end:
        manifest.seek(secrets.randbelow(end))
        manifest.readline()
        start = manifest.tell()
    manifest.seek(start)
    for path, line in listed(manifest):
        yield path, _checksum(line)
    manifest.seek(0)
    at = 0
    for path, line in listed(manifest):
        if at >= start:
            return
        at += len(line)
        yield path, _checksum(line)


def _checksum(line: bytes) -> str:
    return line.lstrip(b"\\")[:64].decode("ascii")


def _look(root: int, path: bytes, checksum: str, buffer: memoryview, check: Callable[[], None]) -> int | None:
    """The size of a file that is as it should be; None for any other."""
    above, _slash, name = path.rpartition(b"/")
    try:
        parent = descend(root, above, SEARCH)
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
        finally:
            os.close(parent)
    except OSError:
        return None
    try:
        with suppress(OSError):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        content = Content.of(fd, os.fstat(fd), buffer)
        same = digest(content, lambda _count: check()) == checksum and not content.gaps
        return content.size if same else None
    finally:
        os.close(fd)
