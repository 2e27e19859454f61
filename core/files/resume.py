"""What a copy that was cut off has finished, so that the next one need not read it again.

A journal in the target's folder has a line for each finished file. A line counts only where a mark behind it
tells that all before it was on the medium (written after syncfs(2)), and only as long as the guest's file and
its copy are the very ones that it tells of: size, time of change, inode, and the time of the inode's own
change (ctime, which nobody can set) on both sides. What was cut off in the midst has no line.

The lines stand in the order of the walk, so a few of them in memory are enough for any number of files.
"""

import errno
import hashlib
import os
import stat
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, NamedTuple

from core.files.choices import Choices
from core.files.kernel import flush
from core.files.target import JOURNAL, Target

EVERY = 20.0
"""Seconds between two marks. Each waits for the medium, and what came after the last one is read again."""
_WINDOW = 4096
"""Lines that are kept in memory for files that do not come in the order of the journal."""
_BEGIN, _SAFE = b"begin ", b"safe\n"
_NOT_OURS = frozenset({errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EACCES, errno.EPERM})

Identity = tuple[int, int, int, int]


class Known(NamedTuple):
    """A finished file: its checksum, and what it and its copy were like then."""

    digest: str
    source: Identity
    copy: Identity


def identity(status: os.stat_result) -> Identity:
    """What tells that a file is the same one and was not changed since."""
    return (status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)


class Resume:
    """Reads what an earlier copy has finished, and writes down what this one finishes."""

    def __init__(self, target: Target, choices: Choices) -> None:
        """Lines of another volume, or of a copy that gave other rights, do not count.

        Raises OSError of the target.
        """
        self._target = target
        self._due = time.monotonic() + EVERY
        self._window: OrderedDict[bytes, Known] = OrderedDict()
        self._old: Iterator[tuple[bytes, Known]] = iter(())
        self._sink = _opened(target)
        if self._sink is None:
            return
        origin = hashlib.sha256(b"%d %s" % (choices.privileges, choices.origin)).hexdigest()
        begin = _BEGIN + origin.encode("ascii") + b"\n"
        ranges = _counted(target, begin)
        self._counts = bool(ranges)
        if ranges:
            self._old = _lines(target, ranges)
        else:
            self._sink.truncate(0)
        self._sink.write(b"\n" + begin)

    def take(self, path: bytes) -> Known | None:
        """What is known of the guest's file at `path`; every file is asked for once, known or not."""
        window = self._window
        while path not in window and len(window) < _WINDOW:
            line = next(self._old, None)
            if line is None:
                break
            window[line[0]] = line[1]
        if path not in window:
            return None
        other = b""
        while other != path:
            # Those before it did not come and will not: both go the same way
            other, known = window.popitem(last=False)
        return known

    def note(self, path: bytes, digest: str, source: Identity, copy: Identity) -> None:
        """The file at `path` is finished. Raises OSError of the target."""
        if self._sink is None or b"\n" in path:
            return
        facts = (*source, *copy)
        self._sink.write(b"%s %d %d %d %d %d %d %d %d %s\n" % (digest.encode("ascii"), *facts, path))
        if time.monotonic() >= self._due:
            self._mark()

    def _mark(self) -> None:
        """Wait until all of it is on the medium, and say so."""
        assert self._sink
        self._sink.flush()
        flush(self._target.root)
        self._sink.write(_SAFE)
        self._sink.flush()
        os.fdatasync(self._sink.fileno())
        self._counts = True
        self._due = time.monotonic() + EVERY

    def abandon(self) -> None:
        """The copy ends here; the journal stays for the next one, if something in it counts."""
        if self._sink is None or self._sink.closed:
            return
        # What it still had to write may not fit; then it is as if it had been killed.
        with suppress(OSError):
            self._sink.close()
        if not self._counts:
            with suppress(OSError):
                self._target.remove_top(JOURNAL)

    def finish(self) -> None:
        """The copy is whole and needs no journal any more. Raises OSError."""
        if self._sink is not None:
            self._sink.close()
            self._target.remove_top(JOURNAL)


def _opened(target: Target) -> IO[bytes] | None:
    """The journal, to be added to; None where something else bears its name."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(JOURNAL, flags, 0o600, dir_fd=target.root)
    except OSError as error:
        if error.errno in _NOT_OURS:
            return None
        raise
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink != 1:
        os.close(fd)
        return None
    return os.fdopen(fd, "ab", buffering=1 << 18)


def _counted(target: Target, begin: bytes) -> list[tuple[int, int]]:
    """Where those lines stand that count: from and to which byte."""
    found: list[tuple[int, int]] = []
    start: int | None = None
    at = 0
    with target.open_top(JOURNAL) as file:
        for line in file:
            end = at + len(line)
            if line.startswith(_BEGIN):
                start = end if line == begin else None
            elif line == _SAFE and start is not None:
                found.append((start, at))
                start = end
            at = end
    return found


def _lines(target: Target, ranges: list[tuple[int, int]]) -> Iterator[tuple[bytes, Known]]:
    with target.open_top(JOURNAL) as file:
        for at, end in ranges:
            file.seek(at)
            while at < end:
                line = file.readline()
                at += len(line)
                fields = line[:-1].split(b" ", 9)
                if len(fields) == 10:
                    with suppress(ValueError):
                        one = [int(field) for field in fields[1:9]]
                        digest = fields[0].decode("ascii")
                        yield fields[9], Known(digest, tuple(one[:4]), tuple(one[4:]))  # type: ignore[arg-type]
