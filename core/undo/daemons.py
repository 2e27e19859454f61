"""Starting a daemon that serves a mount, and waiting until it serves."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path

from core import mounts
from core.command import Command
from core.errors import SalvageError
from core.i18n import _
from core.runner import Runner
from core.text import safe
from core.undo.pairs import DaemonKind, Pair
from core.undo.stack import Stack

TIE = ("setpriv", "--pdeathsig", "KILL")
READY_WITHIN = 30.0
"""Seconds that a daemon may take until its mount is there."""
_LONGEST = 107
"""Bytes of a socket's path: unix(7)."""


class CouldNotStart(SalvageError):
    """A daemon ended, or did not serve in time; `said` is its own first line, safe to show, or empty."""

    def __init__(self, program: str, said: str) -> None:
        super().__init__(
            _("{program} could not start: {message}").format(
                program=program, message=said or _("it said nothing")
            ),
            _("The disk was only read, and nothing was left behind."),
        )
        self.said = said


def tied(argv: tuple[str, ...], tie: bool) -> tuple[str, ...]:
    """The command of a daemon that dies with this program where nobody else sees its mount."""
    return (*TIE, *argv) if tie else argv


def serve(
    stack: Stack,
    what: str,
    do: Command,
    point: Path,
    log: Path,
    *,
    argument: str,
    on: tuple[str, ...],
    ends_with: str,
    pass_fds: tuple[int, ...] = (),
    ready: Path | None = None,
    forks: bool = False,
) -> str:
    """Start `do` in the background and wait until its mount at `point` is there; the mount point.

    With `ready`, the daemon serves a socket there, and makes that file as soon as it does. One that `forks`
    goes to the background by itself: the process that was started ends.

    What the daemon says goes to `log`; it keeps `pass_fds` open. `argument` is a part of an argument that
    tells this daemon from every other. Raises SalvageError with the daemon's own words when it ends instead.
    """
    if ready and len(bytes(point)) > _LONGEST:
        raise SalvageError(
            _("The path of the state folder is too long for a socket: {path}.").format(path=safe(log.parent)),
            _("Nothing was opened."),
            _("Give a shorter one with --state-dir."),
        )
    if ready and not stack.runner.planning:
        # What one before it at the same place left behind would pass for this one
        for left in (point, ready):
            left.unlink(missing_ok=True)
    serves = ready.exists if ready else lambda: bool(mounts.at(point))
    program = os.path.basename(next(word for word in do.argv if word not in TIE))
    pair = Pair(
        what,
        do,
        str(point),
        on,
        facts=lambda: DaemonKind.facts(point, program, argument, ends_with),
        planned={"program": program, "ends_with": ends_with},
    )

    well: frozenset[int | None] = frozenset({None, 0} if forks else {None})

    seen = ("test", "-e", str(ready)) if ready else ("mountpoint", "--quiet", str(point))
    return start(stack, pair, log, pass_fds, lambda _pid: serves(), seen, well)


def start(
    stack: Stack,
    pair: Pair,
    log: Path,
    pass_fds: tuple[int, ...],
    serves: Callable[[int], bool],
    seen: tuple[str, ...],
    well: frozenset[int | None] = frozenset({None}),
) -> str:
    """Put up what a daemon serves, and wait until the process that was started `serves`; its target.

    `seen` is what one would look with by hand. See `serve` for the rest.
    """

    def run(wanted: Pair) -> None:
        pid = stack.runner.start(wanted.do, log, pass_fds)
        wait = Command(
            ("sh", "-c", f"until {shlex.join(seen)}; do sleep 0.1; done"),
            why=_("Wait until it is there."),
            by_hand=True,
        )
        there = lambda: serves(pid)  # noqa: E731
        stack.runner.perform(
            wait, lambda: _await(stack.runner, pid, wanted.do, there, log, well), planned=None
        )

    return stack.put_up(pair, run)


def _await(
    runner: Runner,
    pid: int,
    command: Command,
    serves: Callable[[], bool],
    log: Path,
    well: frozenset[int | None],
) -> None:
    """Wait until it serves; `well` are the exit statuses of what was started that are no failure."""
    stops = lambda: runner.cancel.cancelled or runner.ended(pid) not in well  # noqa: E731
    mounts.wait_until(serves, READY_WITHIN, stops)
    runner.cancel.check()
    if serves() and runner.ended(pid) in well:
        return
    program = os.path.basename(next(word for word in command.argv if word not in TIE))
    raise CouldNotStart(program, _said(log, command, program))


def _said(log: Path, command: Command, program: str) -> str:
    """The first line that a daemon said, without what it repeats of its own command line."""
    lines = log.read_bytes().strip().splitlines() if log.exists() else []
    if not lines:
        return ""
    line = os.fsdecode(lines[0])
    for word in (program, *command.argv):
        line = line.removeprefix(f"{word}: ").removeprefix(f"{word} ")
    return safe(line[:400])
