"""Reads back what was written, from the medium and not from memory, and compares the checksums."""

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from core.files.choices import Verify
from core.files.content import CHUNK, Content, digest
from core.files.manifest import listed
from core.files.samples import Sample, are_there
from core.files.trail import SEARCH, descend

_PART = 0.1
_LEAST = 0.3
"""Without a word the reading back takes a tenth of the time of the copy, or this many seconds."""


@dataclass(slots=True)
class Verified:
    """Files and bytes (`size`) that were read back, and the paths of those that are not what was written."""

    files: int = 0
    size: int = 0
    parts: int = 0
    """Large files of which a few pieces were read back, which count in `size` alone."""
    whole: bool = False
    """All of them were read back."""
    wrong: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pace:
    """How many seconds a copy took, and how many bytes it brought."""

    took: float
    size: int

    def seconds_of(self, size: int) -> float:
        """How long it takes to read a file of that size back, reckoned from the copy."""
        return size * self.took / max(self.size, 1)


def read_back(
    root: int,
    manifest: IO[bytes],
    how: Verify,
    pace: Pace,
    samples: Mapping[bytes, Sequence[Sample]],
    check: Callable[[], None],
) -> Verified:
    """Compare the files below the open folder `root` with their lines in `manifest`.

    Everything must have been flushed. Where not all is read, the start is left to chance, and of a large file
    that would take too long its `samples` are compared instead. `check` is called often and may raise.
    Raises OSError of the target.
    """
    done = Verified()
    if how == "none":
        return done
    left = seconds_for(pace.took) if how == "fits" else float("inf")
    until = time.monotonic() + left
    buffer = memoryview(bytearray(CHUNK))
    for path, checksum in _round(manifest, how == "fits"):
        check()
        left = until - time.monotonic()
        if left < 0:
            return done
        fd = _opened(root, path)
        if fd is None:
            done.wrong.append(path)
            continue
        try:
            size = os.fstat(fd).st_size
            parts = samples.get(path, ()) if pace.seconds_of(size) > left else ()
            if not (are_there(fd, parts, buffer) if parts else _is(fd, checksum, buffer, check)):
                done.wrong.append(path)
            elif parts:
                done.parts += 1
                done.size += sum(part.length for part in parts)
            else:
                done.files += 1
                done.size += size
        finally:
            os.close(fd)
    done.whole = not done.parts
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


def _opened(root: int, path: bytes) -> int | None:
    """A file to be read from the medium; None where it cannot be opened."""
    above, _slash, name = path.rpartition(b"/")
    try:
        parent = descend(root, above, SEARCH)
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
        finally:
            os.close(parent)
    except OSError:
        return None
    with suppress(OSError):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    return fd


def _is(fd: int, checksum: str, buffer: memoryview, check: Callable[[], None]) -> bool:
    content = Content.of(fd, os.fstat(fd), buffer)
    return digest(content, lambda _count: check()) == checksum and not content.gaps
