"""The wish to stop, carried to whatever goes on."""

import threading
import time
from collections.abc import Callable

from core.errors import Cancelled, SalvageError
from core.i18n import _


class CancelToken:
    """Carries the wish to stop from any thread or signal handler to the work that is going on."""

    WATCH = 0.2
    """Seconds between two looks at what the work stands on."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.watch: Callable[[], SalvageError | None] | None = None
        """Asked by `check`, now and then, whether what the work stands on is still there."""
        self._looked = 0.0

    def cancel(self) -> None:
        self._event.set()

    def reset(self) -> None:
        self._event.clear()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raise `Cancelled` when somebody wants the work to stop, and what `watch` finds."""
        if self._event.is_set():
            raise Cancelled(_("Stopped as asked."))
        if self.watch and time.monotonic() - self._looked > self.WATCH:
            self._looked = time.monotonic()
            if trouble := self.watch():
                raise trouble

    def wait(self, seconds: float) -> bool:
        """Wait at most `seconds`; True as soon as somebody wants the work to stop."""
        return self._event.wait(seconds)
