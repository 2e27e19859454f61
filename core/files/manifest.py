"""SHA256SUMS: the checksums of what was copied, as sha256sum(1) of GNU coreutils reads them.

A name with a backslash, a line feed or a carriage return is escaped, and its line begins with a
backslash (coreutils 9, ``print_filename`` in src/digest.c). Names are bytes; there is no other quoting.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from typing import IO
from zlib import crc32

from core.files.target import Target

NAME = b"SHA256SUMS"
OURS = (NAME, b"salvage-")
"""How the names of what a copy leaves beside the files begin."""
_AT_ONCE = 200_000
"""Paths of a manifest that are in memory at a time."""
LONGEST = 4096 - 1
"""Longest path that sha256sum can open (PATH_MAX counts the zero byte)."""

_LINE = re.compile(rb"(\\?)([0-9a-f]{64}) [ *]([^\r\n]+)\n", re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_PLAIN = {b"\\": b"\\", b"n": b"\n", b"r": b"\r"}


def line(path: bytes, digest: str) -> bytes:
    """One line of the manifest for a path relative to where the manifest lies."""
    # sha256sum takes a lone "-" for standard input.
    name = b"./-" if path == b"-" else path
    mark = b""
    if b"\\" in name or b"\n" in name or b"\r" in name:
        mark = b"\\"
        name = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return mark + digest.encode("ascii") + b"  " + name + b"\n"


class NoManifest(ValueError):
    """A line is not one that sha256sum writes."""


def listed(lines: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Path and line of each file in a manifest. Raises `NoManifest`."""
    for text in lines:
        match = _LINE.fullmatch(text)
        if not match:
            raise NoManifest
        name = match[3]
        if match[1]:
            name = _ESCAPED.sub(lambda escape: _PLAIN.get(escape[1], escape[0]), name)
        yield b"-" if name == b"./-" else name, text


class Manifest:
    """Collects checksums while files are copied and puts them beside the copy at the end.

    The manifest of an earlier copy into the same folder is kept and added to. A file of that name
    that came from the guest is left alone, and the manifest gets another name.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._temporary = target.temporary()
        fd = os.open(self._temporary, target.NEW_FILE, 0o600, dir_fd=target.root)
        # On the medium before anything else is, it tells after a power cut that a copy was going on
        os.fsync(fd)
        os.fsync(target.root)
        self._sink = os.fdopen(fd, "wb", buffering=1 << 20)
        self._lines = 0
        self.top: set[bytes] = set()
        """Names of the guest's files at the top of the folder that are like those of our own."""

    def add(self, path: bytes, digest: str) -> bool:
        """Note a file; False when its path is too long for sha256sum to open it."""
        if len(path) > LONGEST:
            return False
        if path.startswith(OURS) and b"/" not in path:
            self.top.add(path)
        self._sink.write(line(path, digest))
        self._lines += 1
        return True

    def so_far(self) -> IO[bytes]:
        """The lines of this copy, for reading. Raises OSError."""
        self._sink.flush()
        return open(self._open(self._temporary), "rb")

    def finish(self) -> bytes:
        """Put the manifest in its place; its name. Raises OSError."""
        name, earlier = self._choose()
        if earlier:
            self._take_over(name)
        self._sink.close()
        os.rename(self._temporary, name, src_dir_fd=self._target.root, dst_dir_fd=self._target.root)
        return name

    def abandon(self) -> None:
        """Take the unfinished manifest away, if it is still there."""
        # What it still had to write may not fit; the file goes away all the same.
        with suppress(OSError):
            self._sink.close()
        self._target.remove_top(self._temporary)

    def _take_over(self, name: bytes) -> None:
        """Add the lines of an earlier manifest about files that this copy did not bring.

        Of very many files a part is compared at a time: what is in memory has a bound.
        """
        parts = self._lines // _AT_ONCE + 1
        for part in range(parts):
            with self.so_far() as written:
                mine = {path for path, _line in listed(written) if crc32(path) % parts == part}
            with open(self._open(name), "rb") as existing:
                for path, text in listed(existing):
                    if path not in mine and (parts == 1 or crc32(path) % parts == part):
                        self._sink.write(text)

    def _earlier(self, name: bytes) -> set[bytes] | None:
        """The names like its own that an existing manifest lists; None when it is something else."""
        with open(self._open(name), "rb") as existing:
            try:
                return {path for path, _line in listed(existing) if path.startswith(NAME)}
            except NoManifest:
                return None

    def _open(self, name: bytes) -> int:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._target.root)

    def _choose(self) -> tuple[bytes, bool]:
        """A name that is free or holds a manifest of ours, and whether it does."""
        found: dict[bytes, set[bytes] | None] = {}
        for name in candidates(NAME):
            try:
                status = os.stat(name, dir_fd=self._target.root, follow_symlinks=False)
            except FileNotFoundError:
                unused = name
                break
            found[name] = None
            if stat.S_ISREG(status.st_mode) and name not in self.top:
                found[name] = self._earlier(name)
        guests = {path for names in found.values() if names for path in names}
        for name, names in found.items():
            if names is not None and name not in guests:
                return name, True
        return unused, False


def candidates(name: bytes) -> Iterator[bytes]:
    """`name`, and the endless row of names to fall back to when the guest's tree has taken it."""
    yield name
    yield name + b".virt-salvage"
    for number in count(2):
        yield name + b".virt-salvage-%d" % number
