"""Hands open files to a second process, so that two processors bring them: see `core.files.worker`.

What has come of them is told in the order in which they were handed on, and what has to wait for them, such
as the times of their folder, waits in the same row.
"""

import os
import select
import socket
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from core import child
from core.cancel import CancelToken
from core.files.resume import Identity
from core.files.worker import ANSWER, FILES, LEFT, READY

_MOST = 128
"""Files that may be on their way; who has more brings them meanwhile."""
_ROW = 128
"""What may wait in the row, some files of one folder being one. Each may have two descriptors open."""
_LOOK = 0.1
"""Seconds between two looks whether the copy is to stop."""
_PATIENCE = 5.0
"""Seconds that the process may take to end."""
_NOTHING = ANSWER.pack(LEFT, b"", 0, 0, 0, 0)


class Given(NamedTuple):
    """A file on its way."""

    path: bytes
    there: bytes
    """Below the target's folder."""
    folder: tuple[bytes, ...]
    """In the target."""
    onto: bytes
    status: os.stat_result


class _Work:
    """Something that waits, with descriptors of its own."""

    __slots__ = ("_fds", "_work")

    def __init__(self, work: Callable[..., None], fds: Sequence[int]) -> None:
        self._work = work
        self._fds: list[int] = []
        try:
            self._fds.extend(map(os.dup, fds))
        except OSError:
            self.drop()
            raise

    def run(self) -> None:
        try:
            self._work(*self._fds)
        finally:
            self.drop()

    def drop(self) -> None:
        while self._fds:
            os.close(self._fds.pop())


class Handing:
    """The process, and the row of what is on its way there and what waits for it."""

    def __init__(
        self,
        cancel: CancelToken,
        brought: Callable[[Given, str, Identity], None],
        left: Callable[[Given, int], None],
    ) -> None:
        """`brought` gets the checksum and what the copy is like; `left` an error of the target, or `LEFT`."""
        self._cancel = cancel
        self._brought = brought
        self._left = left
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._ready = False
        self._fds: list[int] = []
        self._files: list[Given] = []
        self._folder = -1
        self._count = 0
        self._row: deque[list[Given] | _Work] = deque()

    def start(self, privileges: bool, shares: bool) -> None:
        """Start the process; where that is not possible, nothing is ever handed on."""
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        words = (theirs.fileno(), os.getpid(), int(privileges), int(shares))
        try:
            self._process = subprocess.Popen(
                child.argv("core.files.worker", *map(str, words)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=dict(child.environment()),
                cwd="/",
                start_new_session=True,
                pass_fds=(theirs.fileno(),),
            )
        except OSError:
            self._hang_up()
        finally:
            theirs.close()

    def close(self) -> None:
        """End the process, and do nothing of what still waits."""
        self._hang_up()
        for one in self._row:
            if isinstance(one, _Work):
                one.drop()
        self._row.clear()
        self._close_files()

    @property
    def is_ready(self) -> bool:
        """The process has started and not ended."""
        if self._line and not self._ready:
            self._ready = self._received() == READY
        return self._ready

    def has_room(self) -> bool:
        """Whether another file can be handed on now."""
        if self._count >= _MOST:
            self._take_answers()
        return self.is_ready and self._count < _MOST

    def give(self, fd: int, given: Given, folder: int) -> None:
        """Hand on an open file, which is closed here, for a folder that stays open until `send`."""
        self._folder = folder
        self._fds.append(fd)
        self._files.append(given)
        self._count += 1
        # It is read when those before it have been
        with suppress(OSError):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_WILLNEED)
        if len(self._files) == FILES:
            self.send()

    def send(self) -> None:
        """Send what was given for one folder, before something is given for another."""
        if self._files:
            files, self._files = self._files, []
            self._row.append(files)
            data = b"\0".join(given.onto for given in files)
            try:
                self._send(data, [self._folder, *self._fds])
            finally:
                self._close_files()
        self._take_answers()

    def _send(self, data: bytes, fds: Sequence[int]) -> None:
        while self._line:
            try:
                socket.send_fds(self._line, [data], fds, socket.MSG_DONTWAIT)
                return
            except BlockingIOError:
                self._cancel.check()
                select.select([], [self._line], [], _LOOK)
            except OSError:
                self._hang_up()

    def after(self, work: Callable[..., None], *fds: int) -> None:
        """Do `work` with copies of the descriptors when all that was given has come, maybe at once."""
        self.send()
        if not self._row:
            work(*fds)
            return
        self._row.append(_Work(work, fds))
        if len(self._row) > _ROW:
            self._wait(_ROW // 2)

    def finish(self) -> None:
        """Wait for all that was given. Raises `Cancelled`, and what those who are told raise."""
        self.send()
        self._wait(0)

    def _wait(self, most: int) -> None:
        """Until no more than that are in the row."""
        while len(self._row) > most:
            self._cancel.check()
            if self._line:
                select.select([self._line], [], [], _LOOK)
            self._take_answers()

    def _take_answers(self) -> None:
        """Take those that have come."""
        while self._row and self._ready:
            answer = self._received()
            if answer is None:
                break
            self._told(answer)
        while self._row and not self._line:
            self._told(b"")

    def _told(self, answer: bytes) -> None:
        """The answer to what is first in the row; empty when none will come."""
        files = self._row.popleft()
        if isinstance(files, list):
            self._count -= len(files)
            told = ANSWER.iter_unpack(answer or _NOTHING * len(files))
            for given, (code, checksum, *copy) in zip(files, told, strict=True):
                if code:
                    self._left(given, code)
                else:
                    self._brought(given, checksum.hex(), (copy[0], copy[1], copy[2], copy[3]))
        else:
            files.run()
        while self._row and isinstance(work := self._row[0], _Work):
            self._row.popleft()
            work.run()

    def _received(self) -> bytes | None:
        """A message; None where there is none yet, or where the process has ended."""
        assert self._line
        try:
            if message := self._line.recv(ANSWER.size * FILES, socket.MSG_DONTWAIT):
                return message
        except BlockingIOError:
            return None
        except OSError:
            pass
        self._hang_up()
        return None

    def _hang_up(self) -> None:
        self._ready = False
        if self._line:
            self._line.close()
            self._line = None
        if self._process:
            self._process.kill()
            # One that waits for a medium that does not answer ends when that does
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE)
            self._process = None

    def _close_files(self) -> None:
        while self._fds:
            os.close(self._fds.pop())
