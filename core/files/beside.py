"""Hashing beside the reading and writing of a large file."""

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from core import namespace

if TYPE_CHECKING:
    from concurrent.futures import Future

Update = Callable[[memoryview], None]
"""Takes the pieces of a file in order."""


class Inline:
    """The same without a thread, for files that are over before one has started."""

    def __init__(self, update: Update) -> None:
        self.add = update

    def then(self, work: Callable[[], None]) -> None:
        work()

    def free(self, buffer: memoryview, _piece: memoryview) -> memoryview:
        """A buffer of that length that is not needed any more."""
        return buffer


class Beside:
    """A thread that is at most one piece behind: while it hashes that, the next one is read elsewhere.

    A context manager: at its end all is hashed and the thread is gone. One that stayed would keep the mount
    namespace that it was born in.
    """

    def __init__(self, update: Update) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self._update = update
        self._thread = ThreadPoolExecutor(max_workers=1, initializer=namespace.apart)
        self._last: Future[None] | None = None
        self._spare: memoryview | None = None

    def __enter__(self) -> "Beside":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()

    def add(self, piece: memoryview) -> None:
        """Hash this piece; the one before it is done when this returns."""
        if self._last:
            self._last.result()
        self._last = self._thread.submit(self._update, piece)

    def then(self, work: Callable[[], None]) -> None:
        """Do something after what was added so far is hashed, without waiting for it."""
        self._thread.submit(work)

    def free(self, buffer: memoryview, piece: memoryview) -> memoryview:
        """A buffer of that length in which `piece`, the last one, does not lie."""
        if piece.obj is not buffer.obj:
            return buffer
        other = self._spare if self._spare is not None else memoryview(bytearray(len(buffer)))
        self._spare = buffer
        return other
