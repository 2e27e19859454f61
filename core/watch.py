"""Looks after the daemons of a session while work goes on over what they show."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.errors import Cancelled, SalvageError
from core.files.content import read_at
from core.i18n import _
from core.runner import Runner
from core.undo.health import ExportEnded, trouble
from core.undo.stack import Stack


class Watch:
    """Turns what comes of a daemon's end, hundreds of read errors, into the one sentence that is true."""

    def __init__(
        self, runner: Runner, stack: Callable[[], Stack], silent: Callable[[], ExportEnded | None]
    ) -> None:
        """`silent` tells of a server that a daemon was ended for."""
        self._runner = runner
        self._stack = stack
        self._silent = silent

    def health(self) -> ExportEnded | None:
        """What is wrong with what is up: a daemon that ended by itself. Cheap, and for any thread."""
        stack = self._stack()
        return None if stack.releasing else self._silent() or trouble(stack.standing)

    @contextmanager
    def work(self) -> Iterator[None]:
        """Work on what is up: raises ExportEnded when a daemon ends under it, whatever else came of that."""
        token = self._runner.cancel
        before, token.watch = token.watch, self.health
        try:
            yield
            self._require()
        except (SalvageError, OSError) as error:
            if not isinstance(error, Cancelled | ExportEnded):
                self._require(error)
            raise
        finally:
            token.watch = before

    def read_at(self, fd: int, into: memoryview, offset: int) -> int:
        """Read for a copy: an error is the guest's disk's own only while the daemons under it run."""
        try:
            return read_at(fd, into, offset)
        except OSError as error:
            self._require(error)
            raise

    def _require(self, cause: Exception | None = None) -> None:
        if ended := self.health():
            if self._runner.cancel.cancelled:
                raise Cancelled(_("Stopped as asked.")) from cause
            raise ended from cause
