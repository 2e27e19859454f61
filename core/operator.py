"""The one thread that does all work on the host, so that a screen never waits and never runs two at once.

A screen hands work over and gets a future back; cancelling reaches the work through the token and,
by the runner, the process group of what it started. The thread lives as long as the program:
background daemons are tied to it (setpriv --pdeathsig follows the thread that started them).
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

from core.cancel import CancelToken

P = ParamSpec("P")
T = TypeVar("T")


class Operator:
    """Runs one piece of work after the other on a thread of its own."""

    def __init__(self) -> None:
        self.cancel = CancelToken()
        """Given to the runner of every session that this operator works on."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="operator")

    def submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Do `work` after what was handed over before; an earlier wish to stop does not reach it.

        It sees the context variables of whoever hands it over: a screen that is gone by then finds its app
        only there.
        """

        def run() -> T:
            self.cancel.reset()
            return work(*args, **kwargs)

        return self._thread.submit(copy_context().run, run)

    def close(self) -> None:
        """Wait for the work that was handed over, then end the thread."""
        self._thread.shutdown(wait=True)
