"""QEMU's locks on the files of a disk: asking for them, and holding the reader's.

QEMU locks single bytes of a file, one for each thing that it does and one for each that it does not
share (RAW_LOCK_PERM_BASE and RAW_LOCK_SHARED_BASE in its block/file-posix.c). Whoever holds the bytes of
a reader keeps every QEMU that wants to write from opening the file: it ends with ``Failed to get "write"
lock``. A lock belongs to an open file description (F_OFD_SETLK of fcntl(2)): it lasts until the last
one who has that description open, a child or a loop device, lets go of it.
"""

import errno
import fcntl
import os
import signal
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.disks.header import open_to_read
from core.errors import SalvageError

# BLK_PERM_* of QEMU's block-common.h: consistent read, write, write unchanged, resize
_DOES = 100
_KEEPS_OUT = 200
_READ, _WRITE, _RESIZE = 0, 1, 3
WRITERS = frozenset({_DOES + _WRITE, _DOES + _RESIZE})
"""The bytes that only who may write or resize has locked."""
READER = (_DOES + _READ, _KEEPS_OUT + _WRITE, _KEEPS_OUT + _RESIZE)
"""The bytes that a reader of an image locks, as ``qemu-nbd --read-only`` does of a qcow2."""
_ASKED = (*range(_DOES, _DOES + 4), *range(_KEEPS_OUT, _KEEPS_OUT + 4))
_FLOCK = struct.Struct("@hhqqi4x")
"""struct flock of a 64-bit Linux: fcntl(2)."""


def _flock(kind: int, byte: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, byte, 1, 0)


def _asked(fd: int, bytes: Iterable[int]) -> frozenset[int] | None:
    """Which of the bytes somebody else has locked, by another open file description; takes no lock.

    None where the file system has no locks.
    """
    found = set()
    for byte in bytes:
        try:
            answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK, byte))
        except OSError:
            return None
        if _FLOCK.unpack(answer)[0] != fcntl.F_UNLCK:
            found.add(byte)
    return frozenset(found)


def locked(path: Path) -> frozenset[int] | None:
    """The bytes of QEMU that are locked in a file or block device, also by this process; only asks.

    None where its file system has no locks, and nothing where the file cannot be read.
    """
    try:
        fd = open_to_read(path)
    except SalvageError:
        return frozenset()  # who may not read it is told so when it is opened
    try:
        return _asked(fd, _ASKED)
    finally:
        os.close(fd)


def written(path: Path) -> bool | None:
    """Whether anybody on this host, this process included, has a regular file open for writing.

    None where nobody can tell: a block device, a file of somebody else, a file system without leases. The
    kernel grants a lease for reading only while its count of writers is nought (F_SETLEASE of fcntl(2)),
    and counts everybody in every container, mapped files and loop devices too. The lease is given back
    at once; who opens the file for writing in that moment waits for that, and is not refused.
    """
    try:
        fd = open_to_read(path)
    except SalvageError:
        return None
    try:
        # By default the kernel would tell of such an opening by SIGIO, which ends the program
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    else:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class ReadLock:
    """The locks of a reader on every file of a disk, held by open files of this process.

    Given on to a child or a loop device, the open files hold them there too.
    """

    descriptors: tuple[int, ...]
    files: tuple[Path, ...]
    """What each descriptor is open on."""

    @classmethod
    def take(cls, files: Sequence[Path]) -> "ReadLock":
        """Lock the files; nothing of them changes, no time either. Raises SalvageError as opening does.

        The locks of readers do not exclude each other, nor do they exclude a writer who was there before:
        ask `writers` then. Where a file system has no locks, the file is only open.
        """
        descriptors: list[int] = []
        try:
            for path in files:
                descriptors.append(open_to_read(path))
                os.set_blocking(descriptors[-1], True)
                _lock(descriptors[-1])
        except BaseException:
            cls(tuple(descriptors), ()).close()
            raise
        return cls(tuple(descriptors), tuple(files))

    def writers(self) -> list[Path]:
        """The files that somebody has the locks of a writer on."""
        pairs = zip(self.descriptors, self.files, strict=True)
        return [path for fd, path in pairs if _asked(fd, WRITERS)]

    def descriptor(self, path: Path) -> int | None:
        """The descriptor that is open on a file; None when it is none of these."""
        return dict(zip(self.files, self.descriptors, strict=True)).get(path)

    def close(self) -> None:
        """Let go; the kernel does the same when this process ends."""
        for fd in self.descriptors:
            with suppress(OSError):  # a daemon that showed the file has ended; it was only read
                os.close(fd)


def _lock(fd: int) -> None:
    with suppress(OSError):  # no locks here, or none of QEMU's: whoever looks for holders says so
        for byte in READER:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_RDLCK, byte))
