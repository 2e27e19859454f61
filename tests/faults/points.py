"""The points of a run where a fault can hit, and the hitting. The product knows nothing of it.

A point is a line of the journal (before it is written, after it is on disk), a program that is about to be
started, a change in the state folder or of a loop device, or a piece of a copy. The same run has the same
points, but for what the kernel may or may not have done by itself already, such as freeing a loop device.
"""

import errno
import mmap
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

from core import host, loops, runner
from core.command import SERVING, Command
from core.files.progress import Meter
from core.runner import Result, SystemRunner
from core.undo import journal, stack
from core.undo.journal import Journal

_DAEMONS = ("qemu-storage-daemon", "qemu-nbd", SERVING)
LINE_BEFORE, LINE_AFTER, PROGRAM, CHANGE, PIECE = "before line", "after line", "program", "change", "piece"


@dataclass(frozen=True, slots=True)
class Point:
    """A place in a run, known by its kind, its label, and how many such there were before it."""

    kind: str
    label: str
    nth: int
    """Counts from 1."""
    releasing: bool
    """Something is being taken down."""
    export: bool = False
    """The daemon that serves the disk is running."""
    several: bool = False
    """One more stands on it."""
    serving: bool = False
    """One of these is this program's own."""
    daemon: bool = False
    """The program about to be started is a daemon."""

    def __str__(self) -> str:
        return f"{self.kind} {self.label}" + (f" ({self.nth})" if self.nth > 1 else "")


_ANYWHERE = ("kill", "SIGTERM", "SIGHUP", "terminal", "export killed", "full disk")
_ALONE = ("lowest killed", "server killed")
_STARTED = ("fails", "fails late", "keeps failing", "hangs", "hangs late", "orphaned", "orphaned at once")
FAULTS = (*_ANYWHERE, *_ALONE, "torn line", *_STARTED)
"""
- `kill`: SIGKILL to the program; `orphaned`: the same while a program that it started still works, a daemon
  `at once` when it is started;
- `SIGTERM`, `SIGHUP`, `terminal`: the other end of the terminal is closed;
- `export killed`: SIGKILL to the daemon that serves the disk, and to those that stand on it;
- `lowest killed`: to the first of several alone; `server killed`: to that of this program's own alone;
- `full disk`: no more room where the journal lies, from here on and also for the undo;
- `torn line`: SIGKILL when half of the line is written;
- `fails`: the started program does nothing and fails; `fails late`: it does its work and fails then;
  `keeps failing`: this and all later ones until the program's end, in a release;
- `hangs`, `hangs late`: it never ends, before or after its work, and SIGINT comes; a daemon does not even
  hear SIGTERM.
"""


def faults_at(point: Point) -> list[str]:
    """The faults that can hit there."""
    if point.kind != PROGRAM:
        never = {
            "export killed": not point.export,
            "lowest killed": not point.several,
            "server killed": not point.serving,
            "torn line": point.kind != LINE_BEFORE,
        }
        return [fault for fault in (*_ANYWHERE, *_ALONE, "torn line") if not never.get(fault)]
    if point.daemon:
        return ["fails", "hangs", "orphaned at once"]
    again = ["keeps failing"] if point.releasing else []
    return ["fails", "fails late", *again, "hangs", "hangs late", "orphaned"]


class Seat:
    """What the run tells the process that watches it, in memory that both have."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 4096)

    def tell(self, text: str) -> None:
        self._shared.seek(0)
        self._shared.write(text.encode()[:4000] + b"\0")

    def told(self) -> str:
        return self._shared[:].split(b"\0", 1)[0].decode()


@dataclass
class Injector:
    """Counts the points of this process and lets `fault` hit at the point `at`; None only counts."""

    at: Point | None
    fault: str
    seat: Seat
    hang_up: Callable[[], None]
    """Closes the other end of the terminal."""
    fill_up: Callable[[], None]
    """Takes all the room in the state folder."""
    state: Path
    marker: str
    """The TMPDIR of everything that this run starts."""
    soon: float
    """Seconds that a release waits for what hangs, in the place of many."""

    def __post_init__(self) -> None:
        self.points: list[Point] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        self.things: dict[int, str] = {}
        self.releasing = False
        self.full = False
        self.torn = False
        self.failing = False

    # -- points -------------------------------------------------------------------------------

    def reach(self, kind: str, label: str, *, daemon: bool = False) -> bool:
        """Note the point; whether it is the one where the fault hits."""
        self.counts[kind, label] += 1
        nth = self.counts[kind, label]
        if self.at:
            hits = (kind, label, nth) == (self.at.kind, self.at.label, self.at.nth)
            if hits:
                self.seat.tell("hit")
            return hits
        up = exports(self.marker)
        serving = any(SERVING.encode() in words for _pid, words in up)
        self.points.append(Point(kind, label, nth, self.releasing, bool(up), len(up) > 1, serving, daemon))
        return False

    def strike(self) -> None:
        """Let a fault hit that needs no program."""
        match self.fault:
            case "kill":
                die()
            case "SIGTERM" | "SIGHUP":
                os.kill(os.getpid(), signal.Signals[self.fault])
            case "terminal":
                self.hang_up()
            case "export killed" | "lowest killed" | "server killed":
                up = exports(self.marker)
                if self.fault == "lowest killed":
                    up = up[:1]
                for pid, words in up:
                    if self.fault != "server killed" or SERVING.encode() in words:
                        os.kill(pid, signal.SIGKILL)
            case "full disk":
                self.fill_up()
                self.full = True
            case "torn line":
                self.torn = True

    def pass_by(self, kind: str, label: str) -> None:
        if self.reach(kind, label):
            self.strike()

    # -- programs -----------------------------------------------------------------------------

    def started(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """What is started in the place of `argv`."""
        tie, words = _tie(argv)
        label = SERVING if SERVING in words else os.path.basename(words[0])
        daemon = label in _DAEMONS
        if self.reach(PROGRAM, label, daemon=daemon):
            self.failing = self.fault == "keeps failing"
            if daemon and self.fault == "hangs":
                return (*tie, "bash", "-c", _DEAF, *words)
            slow = _SLOW if tie[-len(runner.UNBROKEN) :] == runner.UNBROKEN else {}
            return (*tie, "sh", "-c", slow.get(self.fault, _SCRIPTS[self.fault]), "sh", *words)
        return (*tie, "false") if self.failing else argv

    def limited(self, command: Command) -> Command:
        """A release waits a moment for a program that hangs, not a minute."""
        if self.releasing and self.fault.startswith("hangs") and command.limits:
            return replace(command, limits=replace(command.limits, wall=self.soon))
        return command


def _tie(argv: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the runner puts before a command, and the command."""
    tie: tuple[str, ...] = ()
    for before in (runner.OFFLINE, runner.TIED, runner.UNBROKEN):
        if argv[: len(before)] == before:
            tie, argv = (*tie, *before), argv[len(before) :]
    return tie, argv


_SCRIPTS = {
    "fails": "exit 1",
    "keeps failing": "exit 1",
    "fails late": '"$@"; exit 1',
    "hangs": 'kill -INT "$PPID"; exec sleep 1000',
    "hangs late": '"$@"; kill -INT "$PPID"; exec sleep 1000',
    "orphaned": 'kill -KILL "$PPID"; sleep 0.2; exec "$@"',
    "orphaned at once": 'kill -KILL "$PPID"; exec "$@"',
}
_SLOW = {
    "hangs": 'kill -INT "$PPID"; sleep 2; exec "$@"',
    "hangs late": '"$@"; kill -INT "$PPID"; sleep 2',
}
"""What changes a volume group of the host is never ended, so it is only slow when SIGINT comes."""
_DEAF = 'trap "" TERM; kill -INT "$PPID"; exec -a "$0" tail -f /dev/null -- "$@" 2>/dev/null'
"""A daemon by its command line, which serves nothing and does not hear SIGTERM."""


def exports(marker: str) -> list[tuple[int, bytes]]:
    """The daemons that a run started, each with its command line, in the order in which they were started."""
    found = [one for one in ours(marker) if any(name.encode() in one[1] for name in _DAEMONS)]
    return sorted(found, key=lambda one: host.started(one[0]) or 0)


def ours(marker: str) -> Iterator[tuple[int, bytes]]:
    """The living processes with `marker` as TMPDIR, each with its command line."""
    wanted = b"TMPDIR=" + os.fsencode(marker)
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if wanted not in file.read().split(b"\0"):
                    continue
            with open(f"/proc/{name}/cmdline", "rb") as file:
                yield int(name), file.read().replace(b"\0", b" ")
        except OSError:
            continue  # it ended while we looked, or is a zombie


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


# -- in the place of what the product uses ----------------------------------------------------


class _Module:
    """A module with some names exchanged, for one user of it."""

    def __init__(self, module: object, **names: object) -> None:
        self.__dict__.update(names)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def full_disk(is_full: Callable[[], bool], torn: Callable[[], bool] = lambda: False) -> Any:
    """Lets the journal meet a full disk: the first line is cut off, the next ones do not come at all."""
    cut: list[int] = []

    def write(descriptor: int, data: bytes) -> int:
        if torn():
            os.write(descriptor, data[: len(data) // 2])
            die()
        if not is_full():
            return os.write(descriptor, data)
        if not cut:
            cut.append(os.write(descriptor, data[: len(data) // 2]))
            return cut[0]
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return patch.object(journal, "os", _Module(os, write=write))


@contextmanager
def injected(injector: Injector) -> Iterator[None]:
    """Everything in the product that has a point passes by the injector."""
    with ExitStack() as patches:
        if injector.fault == "hangs":
            patches.enter_context(patch.object(stack, "PATIENCE", injector.soon))
        patches.enter_context(patch.object(Journal, "append", _appending(injector)))
        patches.enter_context(full_disk(lambda: injector.full, lambda: injector.torn))
        patches.enter_context(patch.object(runner, "subprocess", _starting(injector)))
        patches.enter_context(patch.object(SystemRunner, "run", _running(injector)))
        patches.enter_context(patch.object(Meter, "add", _adding(injector)))
        patches.enter_context(patch.object(loops, "change_file", _handing_on(injector)))
        for name in ("mkdir", "unlink", "rmdir"):
            patches.enter_context(patch.object(Path, name, _changing(injector, name)))
        yield


def _appending(injector: Injector) -> Callable[..., None]:
    append = Journal.append

    def appended(self: Journal, event: str, **values: Any) -> None:
        number = values.get("n", 0)
        if event == "intent":
            injector.things[number] = values["what"]
        label = f"{event} {injector.things.get(number, '')}".rstrip()
        injector.pass_by(LINE_BEFORE, label)
        append(self, event, **values)
        if event == "releasing":
            injector.releasing = True
        elif event in ("released", "stuck"):
            injector.releasing = False
        injector.pass_by(LINE_AFTER, label)

    return appended


def _starting(injector: Injector) -> Any:
    class Popen(subprocess.Popen[bytes]):
        def __init__(self, argv: tuple[str, ...], **options: Any) -> None:
            super().__init__(injector.started(argv), **options)

    return _Module(subprocess, Popen=Popen)


def _running(injector: Injector) -> Callable[..., Result]:
    run = SystemRunner.run

    def ran(self: SystemRunner, command: Command, *arguments: Any, **named: Any) -> Result:
        return run(self, injector.limited(command), *arguments, **named)

    return ran


def _adding(injector: Injector) -> Callable[..., None]:
    add = Meter.add

    def added(self: Meter, count: int, *, moved: bool = True) -> None:
        injector.pass_by(PIECE, "of a copy")
        add(self, count, moved=moved)

    return added


def _handing_on(injector: Injector) -> Callable[[str, int], bool]:
    change = loops.change_file

    def changed(path: str, descriptor: int) -> bool:
        injector.pass_by(CHANGE, "loop without the lock")
        done = change(path, descriptor)
        injector.pass_by(CHANGE, "loop with the lock")
        return done

    return changed


def _changing(injector: Injector, name: str) -> Callable[..., None]:
    change = getattr(Path, name)

    def changed(self: Path, *arguments: Any, **named: Any) -> None:
        # What mkdir(parents=True) calls again for the folders above is one point
        inner = sys._getframe(1).f_code.co_name == "mkdir"
        if injector.state in self.parents and not inner:
            injector.pass_by(CHANGE, f"{name} {_part(self, injector.state)}")
        change(self, *arguments, **named)

    return changed


def _part(path: Path, state: Path) -> str:
    """The name of a thing in the state folder, the same in every run."""
    parts = path.relative_to(state).parts
    return "/".join(("sessions", "ID", *parts[2:])) if len(parts) > 1 else "/".join(parts)
