"""The one thread that does all work on the host, so that a screen never waits and never runs two at once.

A screen hands work over and gets a future back; cancelling reaches the work through the token and,
by the runner, the process group of what it started. The thread lives as long as the program:
background daemons are tied to it (setpriv --pdeathsig follows the thread that started them).
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from threading import get_native_id
from typing import ParamSpec, TypeVar

from core.cancel import CancelToken

P = ParamSpec("P")
T = TypeVar("T")

_NICE = 10


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


@contextmanager
def giving_way() -> Iterator[None]:
    """Let this thread, and those it starts meanwhile, have the processor after the one that draws.

    A kernel that is not preempted in a call copies a MiB for ten milliseconds: on two processors a key then
    waits for several of them. In Linux each thread has a nice value of its own, which those that it makes
    take over; only root may go back to a better one (setpriority(2), sched(7)), so nobody else goes away
    from it.
    """
    if os.geteuid():
        yield
        return
    thread = get_native_id()
    before = os.getpriority(os.PRIO_PROCESS, thread)
    os.setpriority(os.PRIO_PROCESS, thread, max(before, _NICE))
    try:
        yield
    finally:
        with suppress(PermissionError):  # a root of a container may lack CAP_SYS_NICE
            os.setpriority(os.PRIO_PROCESS, thread, before)
