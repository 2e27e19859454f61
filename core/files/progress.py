"""How far a long copy has come, told often enough for a person and not more."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from core.text import safe

_INTERVAL = 0.1
"""Seconds between two reports."""
_MEMORY = 5.0
"""Seconds over which the rate is smoothed."""
_A_FILE = 64 << 10
"""Bytes that could be copied in the time that a file takes beside its content: many small ones, as in a home,
bring hardly a byte, and would promise days for what follows."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One report. Sizes in bytes; only regular files count as files, each name of theirs."""

    files_done: int
    files_total: int | None
    bytes_done: int
    bytes_total: int | None
    current: str
    """The entry that is being copied, safe to show."""
    current_done: int
    current_size: int
    rate: float
    """Bytes a second, smoothed."""
    seconds_left: float | None
    """None while nothing can be said."""
    errors: int


Listener = Callable[[Progress], None]


class Meter:
    """Counts, and reports at most ten times a second."""

    def __init__(
        self, listener: Listener, files: int | None = None, size: int | None = None, others: int = 0
    ) -> None:
        """`others` are the links, pipes and the like, of which only the time left takes notice."""
        self._listener = listener
        self._files_total = files
        self._entries_total = (files or 0) + others
        self._bytes_total = size
        self._files = self._ended = 0
        self._bytes = 0
        self._current = b""
        self._current_done = 0
        self._current_size = 0
        self._rate = 0.0
        self._pace = 0.0
        """Smoothed as the rate, with the entries counted in: what the time left is reckoned from."""
        self._last = time.monotonic()
        self._last_bytes = 0
        self._begun = 0
        self._last_begun = 0
        self.errors = 0

    def begin(self, path: bytes, size: int) -> None:
        """The entry at `path` is next."""
        self._current = path
        self._current_size = size
        self._current_done = 0
        self._begun += 1

    def add(self, count: int) -> None:
        """`count` more bytes of the current entry are done."""
        self._bytes += count
        self._current_done += count
        if time.monotonic() - self._last >= _INTERVAL:
            self.report()

    def end(self, *, file: bool = True) -> None:
        """The current entry is done; `file` tells whether it was a regular file."""
        self._files += file
        self._ended += 1
        if time.monotonic() - self._last >= _INTERVAL:
            self.report()

    def report(self) -> None:
        """Tell how far it is, now."""
        now = time.monotonic()
        self._smooth(now)
        total = self._bytes_total
        left: float | None = None
        if total is not None and self._pace > 0:
            entries = max(0, self._entries_total - max(self._begun, self._ended))
            work = max(0, total - self._bytes) + entries * _A_FILE
            left = work / self._pace if work else None  # nobody waits "a few seconds" for what is done
        self._listener(
            Progress(
                files_done=_capped(self._files, self._files_total),
                files_total=self._files_total,
                bytes_done=_capped(self._bytes, total),
                bytes_total=total,
                current=safe(self._current),
                current_done=min(self._current_done, self._current_size),
                current_size=self._current_size,
                rate=self._rate,
                seconds_left=left,
                errors=self.errors,
            )
        )

    def _smooth(self, now: float) -> None:
        passed = now - self._last
        if passed <= 0:
            return
        grown = self._bytes - self._last_bytes
        begun = max(self._begun, self._ended)
        work = grown + (begun - self._last_begun) * _A_FILE
        self._rate = _smoothed(self._rate, grown / passed, passed)
        self._pace = _smoothed(self._pace, work / passed, passed)
        self._last = now
        self._last_bytes = self._bytes
        self._last_begun = begun


def _smoothed(before: float, current: float, passed: float) -> float:
    return before + (current - before) * (min(1.0, passed / _MEMORY) if before else 1.0)


def _capped(done: int, total: int | None) -> int:
    return done if total is None else min(done, total)
