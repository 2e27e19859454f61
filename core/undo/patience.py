"""Waiting until nobody holds a thing of ours any more, and ending the programs that do."""

import os
import select
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from signal import SIGKILL, SIGTERM

from core import processes
from core.cancel import CancelToken
from core.undo import busy
from core.undo.account import Entry
from core.undo.holders import Held, Holder
from core.undo.stack import Release

GRACE = 5.0
"""Seconds that a program has to end after SIGTERM before anybody is asked about SIGKILL."""
_LOOK = 0.5
"""Seconds between two looks at what gives no sign: a closed file, a changed working directory."""
_AGAIN = (2.0, 60.0)
"""Seconds until another attempt though nothing was seen to change; twice as many each time, up to a limit."""

Attempt = Callable[[], list[Release]]
"""Takes down what can be taken down; may be called again."""


def stuck(releases: Sequence[Release]) -> Held:
    """Who holds what could not be taken down: the first thing, for the others stand below it."""
    for release in releases:
        if not release.released:
            return busy.held(release.entry)
    return Held()


def patiently(
    attempt: Attempt,
    seconds: float,
    cancel: CancelToken,
    told: Callable[[Held], None] | None = None,
) -> list[Release]:
    """Take down what is held as soon as it is free, for `seconds` at most; how the last attempt ended.

    `told` hears who is waited for, again whenever that changes. The wish to stop ends the waiting and
    nothing else: what is up stays up and stays in the journal.
    """
    until = time.monotonic() + seconds
    shown: tuple[Holder, ...] | None = None
    pause, longest = _AGAIN
    while True:
        releases = attempt()
        left = until - time.monotonic()
        if all(one.released for one in releases) or left <= 0 or cancel.cancelled:
            return releases
        held = stuck(releases)
        if told and held.holders != shown:
            told(held)
            shown = held.holders
        changed = wait(held, min(pause, left), cancel)
        pause = _AGAIN[0] if changed else min(pause * 2, longest)


def wait(held: Held, seconds: float, cancel: CancelToken) -> bool:
    """Wait until one of the holders lets go; whether one did.

    Woken by the kernel when a program ends or a mount changes; what gives no sign is looked at twice a
    second. `cancel` is asked ten times a second.
    """
    until = time.monotonic() + seconds
    with ExitStack() as opened:
        poll = select.poll()
        for one in held.holders:
            descriptor = processes.watch(one.process) if one.process else None
            if descriptor is not None:
                opened.callback(os.close, descriptor)
                poll.register(descriptor, select.POLLIN)
        for table in _tables(held):
            with suppress(OSError):  # it has ended, or may not be looked at
                poll.register(opened.enter_context(open(table, "rb")), select.POLLPRI)
        looked = 0.0
        while not cancel.cancelled and (now := time.monotonic()) < until:
            if now - looked >= _LOOK or poll.poll(min(0.1, until - now) * 1000):
                looked = now
                if held.holders and _changed(held):
                    return True
    return False


def _tables(held: Held) -> set[str]:
    """The tables of mounts that tell when a mount goes: ours, and those of the namespaces that hold it."""
    others = {f"/proc/{one.thread}/mountinfo" for one in held.holders if one.sees}
    return {"/proc/thread-self/mountinfo", *others}


def _changed(held: Held) -> bool:
    if any(one.process and not busy.holds(one, held.target) for one in held.holders):
        return True
    things = [one for one in held.holders if not one.process]
    return bool(things and held.entry and things != _things(held.entry))


def _things(entry: Entry) -> list[Holder]:
    return [one for one in busy.held(entry).holders if not one.process]


def end(held: Held, cancel: CancelToken, *, kill: bool = False) -> list[Holder]:
    """Ask the programs to end (SIGTERM), or end them (`kill`, SIGKILL); those that hold it still.

    Waits until they have ended or let go, with SIGTERM for `GRACE` seconds at most. Only what was found
    holding it and still does gets a signal; the very process, not its number.
    """
    number = SIGKILL if kill else SIGTERM
    for one in held.programs:
        busy.end(one, held.target, number)
    until = time.monotonic() + GRACE
    left = list(held.programs)
    while left and time.monotonic() < until and not cancel.cancelled:
        wait(Held(tuple(left), target=held.target), until - time.monotonic(), cancel)
        left = [one for one in left if busy.holds(one, held.target)]
    return left
