"""A process of its own that brings small files to their places, beside the one that walks.

It gets open files and the open folder where they belong, and brings those that one read brings and that the
target keeps as they are. Any other it leaves as if it had not been there, for a new file bears no name until
it is whole: see `core.files.small`.
"""

import ctypes
import os
import resource
import signal
import socket
import sys
from struct import Struct

from core.files.bad import extents
from core.files.content import CHUNK, Content, write_small
from core.files.inodeflags import NONE, flags_of
from core.files.metadata import compare, give
from core.files.resume import identity
from core.files.target import NAMELESS, settle_nameless

FILES = 16
"""Files that it gets at a time."""
ANSWER = Struct("=i32s4q")
"""For each of them: 0 or an error, the checksum, and what `core.files.resume.identity` tells of the copy."""
LEFT = -1
"""It was not brought, for another reason than an error of the target."""
READY = b"ready"
_LONGEST = 255 * FILES + FILES
_DEATH = 1  # PR_SET_PDEATHSIG in prctl(2)


def main() -> None:
    """Arguments: the socket's descriptor, the parent's id, and 1 or 0 for privileges and shared blocks."""
    there, parent, privileges, shares = map(int, sys.argv[1:])
    _end_with(parent)
    work = Worker(bool(privileges), bool(shares))
    with socket.socket(fileno=there) as line:
        line.send(READY)
        while work.on(line):
            pass


def _end_with(parent: int) -> None:
    """Let the kernel end this process with the thread that started it. Nothing of its memory is kept."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_DEATH, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit()


class Worker:
    """Brings one file after the other."""

    def __init__(self, privileges: bool, shares: bool) -> None:
        """`shares`: the target could let files share blocks, so those that do are left."""
        self._privileges = privileges
        self._shares = shares
        self._buffer = memoryview(bytearray(CHUNK))

    def on(self, line: socket.socket) -> bool:
        """Take some files and tell what came of them; False when there are no more."""
        names, fds, _flags, _from = socket.recv_fds(line, _LONGEST, FILES + 1)
        wanted = names.split(b"\0")
        if len(fds) != len(wanted) + 1:
            # The end, or descriptors that did not all fit into this process
            return False
        folder, *files = fds
        answers = []
        for name, fd in zip(wanted, files, strict=True):
            answers.append(self._brought(fd, folder, name))
            os.close(fd)
        os.close(folder)
        line.send(b"".join(answers))
        return True

    def _brought(self, source: int, folder: int, name: bytes) -> bytes:
        try:
            status = os.fstat(source)
            if flags_of(source) is not NONE or self._is_shared(source):
                return _left(LEFT)
        except OSError:
            return _left(LEFT)
        try:
            fd = os.open(b".", NAMELESS, 0o600, dir_fd=folder)
            try:
                checksum = write_small(Content.of(source, status, self._buffer), fd)
                if checksum is None:
                    return _left(LEFT)
                lost = give(source, fd, status, True, self._privileges)
                compare(status, os.fstat(fd), lost)
                if lost:
                    return _left(LEFT)
                settle_nameless(fd, folder, name)
                return ANSWER.pack(0, checksum, *identity(os.fstat(fd)))
            finally:
                os.close(fd)
        except OSError as error:
            return _left(error.errno or LEFT)

    def _is_shared(self, source: int) -> bool:
        return self._shares and any(extent.shared for extent in extents(source))


def _left(code: int) -> bytes:
    return ANSWER.pack(code, b"", 0, 0, 0, 0)


if __name__ == "__main__":
    main()
