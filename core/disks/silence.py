"""A watch over a server that a disk is read from: one that falls silent must not hold this program for ever.

Who reads from a file system in user space sleeps until its daemon answers, and hears no signal but SIGKILL.
QEMU's clients wait without end for a server that keeps its connection and says nothing. So somebody asks for
a sector now and then; when no answer comes, the daemon is ended, and with it every wait for it.
"""

import mmap
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from core.cancel import CancelToken
from core.disks.addresses import Address
from core.i18n import _
from core.text import safe
from core.undo.health import ExportEnded

SILENT = 60.0
"""Seconds without an answer after which a server counts as gone."""
GRACE = 3.0
"""The same, when somebody wants the work to stop."""
_EVERY = 0.5
_ASKS = 10.0
_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


class Silence:
    """Watches one export; the thread that makes it is the one whose signals count as a wish to stop."""

    def __init__(self, found: Address, place: Path, end: Callable[[], None], cancel: CancelToken) -> None:
        """`end` ends the daemon that shows `place`."""
        self._found, self._end, self._cancel = found, end, cancel
        self._fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECT)
        self._waiter = threading.main_thread().native_id
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._late = False
        """The watch is closed: who still reads closes the file."""
        self._asked: float | None = None
        """Since when a question is open."""
        self.error: ExportEnded | None = None
        """Why the daemon was ended."""
        self._reader: threading.Thread | None = None
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the watch; before the daemon is taken down."""
        self._over.set()
        self._thread.join()
        if self._reader:
            self._reader.join(GRACE)
        with self._lock:
            if self._asked is None:
                self._let_go()
            self._late = True

    def _watch(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # they are for the thread that works
        wished: float | None = None
        heard = time.monotonic()
        while not self._over.wait(_EVERY):
            now = time.monotonic()
            wished = (wished or now) if self._is_wished() else None
            if self._asked is None and (wished or now - heard > _ASKS):
                self._ask()
            elif self._asked is None:
                continue
            waits = now - (self._asked or now)
            if waits > (GRACE if wished else SILENT):
                self.error = self._silent(round(waits))
                self._end()
                return
            if self._asked is None:
                heard = now

    def _is_wished(self) -> bool:
        """Whether somebody wants the work to stop, be it by a signal that the working thread cannot hear."""
        if self._cancel.cancelled:
            return True
        try:
            told = Path(f"/proc/self/task/{self._waiter}/status").read_text()
        except OSError:
            return False
        pending = 0
        for line in told.splitlines():
            if line.startswith(("SigPnd:", "ShdPnd:")):
                pending |= int(line.split()[1], 16)
        return any(pending >> (number - 1) & 1 for number in _SIGNALS)

    def _ask(self) -> None:
        self._asked = time.monotonic()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        with mmap.mmap(-1, mmap.PAGESIZE) as page, suppress(OSError):  # an error is an answer too
            os.preadv(self._fd, [page], 0)
        with self._lock:
            self._asked = None
            if self._late:
                self._let_go()

    def _let_go(self) -> None:
        with suppress(OSError):  # of an export whose daemon is gone
            os.close(self._fd)

    def _silent(self, seconds: int) -> ExportEnded:
        return ExportEnded(
            _("{server} fell silent: no answer came for {count} seconds.").format(
                server=safe(self._found.host) or self._found.title, count=seconds
            ),
            _("The connection was given up. The disk itself is untouched; what was copied before is kept."),
            _("See how the server is doing, and run the same command again: a copy goes on where it was."),
        )
