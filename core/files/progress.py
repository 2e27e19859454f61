"""How far a long copy has come, told often enough for a person and not more."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from core.text import safe

_INTERVAL = 0.1
"""Seconds between two reports."""
_LAST = 3.0
"""Seconds that the rate is of: what stands still is seen to."""
_MEMORY = 5.0
"""Seconds that the pace is of which the time left is reckoned from."""
_NEARLY = 0.999
"""The most that is told to be done before the end: reading back and flushing come behind the last byte."""
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
    rate: float | None
    """Bytes a second in the last seconds, without holes; None where nobody counts them."""
    seconds_left: float | None
    """None while nothing can be said."""
    errors: int
    work_done: float | None = None
    """How much of the work is done, 0 to 1, each entry counting beside its bytes; 1 at the very end."""
    phase: str = ""
    """What is done now, where the work has several parts that are each told from 0 to 100 %."""

    @property
    def fraction(self) -> float | None:
        """How much is done, 0 to 1; by the bytes where nothing closer is known."""
        if self.work_done is not None:
            return self.work_done
        done, total = self.bytes_done, self.bytes_total
        if total == 0:
            done, total = self.files_done, self.files_total
        if total is None:
            return None
        return min(1.0, max(0.0, done / total)) if total > 0 else 1.0


Listener = Callable[[Progress], None]


class Meter:
    """Counts, and reports at most ten times a second."""

    def __init__(
        self,
        listener: Listener,
        files: int | None = None,
        size: int | None = None,
        others: int = 0,
        *,
        phase: str = "",
        rated: bool = True,
    ) -> None:
        """`others` are links, pipes and the like, of which only the fraction and the time left take notice.

        Unless `rated`, what is added is a reckoned part of the whole, and no rate is told.
        """
        self._phase, self._rated = phase, rated
        self._listener = listener
        self._files_total = files
        self._entries_total = (files or 0) + others
        self._bytes_total = size
        self._files = self._ended = 0
        self._bytes = 0
        self._current = b""
        self._current_done = 0
        self._current_size = 0
        self._moved = 0
        self._last = time.monotonic()
        self._rate = _Speed(_LAST, self._last)
        self._pace = _Speed(_MEMORY, self._last)
        """With the entries and the holes counted in."""
        self._over = False
        self._begun = 0
        self.errors = 0

    def begin(self, path: bytes, size: int) -> None:
        """The entry at `path` is next."""
        self._current = path
        self._current_size = size
        self._current_done = 0
        self._begun += 1

    def add(self, count: int, *, moved: bool = True) -> None:
        """`count` more bytes of the current entry are done; not `moved` where they are a hole."""
        self._bytes += count
        self._moved += count if moved else 0
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
        self._last = now
        begun = max(self._begun, self._ended)
        rate, pace = self._rate.of(now, self._moved), self._pace.of(now, self._bytes + begun * _A_FILE)
        total = self._bytes_total
        left: float | None = None
        if total is not None and pace > 0:
            entries = max(0, self._entries_total - begun)
            work = max(0, total - self._bytes) + entries * _A_FILE
            left = (
                work / pace if work else None
            )  # what comes behind the last byte takes nobody knows how long
        self._listener(
            Progress(
                files_done=_capped(self._files, self._files_total),
                files_total=self._files_total,
                bytes_done=_capped(self._bytes, total),
                bytes_total=total,
                current=safe(self._current),
                current_done=min(self._current_done, self._current_size),
                current_size=self._current_size,
                rate=rate if self._rated else None,
                seconds_left=left,
                errors=self.errors,
                work_done=self._work_done(),
                phase=self._phase,
            )
        )

    def finish(self) -> None:
        """All is done, and told."""
        self._over = True
        self.report()

    def _work_done(self) -> float | None:
        if self._bytes_total is None:
            return None
        if self._over:
            return 1.0
        whole = self._bytes_total + self._entries_total * _A_FILE
        done = min(self._bytes, self._bytes_total) + min(self._ended, self._entries_total) * _A_FILE
        return min(_NEARLY, done / whole) if whole else _NEARLY


class _Speed:
    """How fast something grew in the last seconds."""

    def __init__(self, seconds: float, now: float) -> None:
        self._seconds = seconds
        self._marks: deque[tuple[float, int]] = deque([(now, 0)])

    def of(self, now: float, grown: int) -> float:
        """By the second, when it has come to so much."""
        self._marks.append((now, grown))
        while len(self._marks) > 2 and now - self._marks[1][0] >= self._seconds:
            self._marks.popleft()
        then, before = self._marks[0]
        return (grown - before) / (now - then) if now > then else 0.0


def _capped(done: int, total: int | None) -> int:
    return done if total is None else min(done, total)
