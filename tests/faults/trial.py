"""One fault in one run: hit, start the program again, undo everything, look what is left."""

import ctypes
import fcntl
import gc
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

from core import loops, mounts
from core.errors import Exit
from core.undo.state import StateFolder
from tests.conftest import Guard
from tests.faults.classical import LoneGuard
from tests.faults.pipelines import Pipeline, Place, undo
from tests.faults.points import Injector, Point, Seat, full_disk, injected, ours
from tests.starter import load
from tui import verbs
from tui.main import main

PATIENCE = 120.0
"""Seconds that a run may take; more is a program that hangs."""
_SMALL = 64 << 20
"""Bytes of the small file system."""
_STATUSES = frozenset(Exit)
"""Wrong usage too: where blkid fails, a volume group is not seen, and there is no such volume."""
_KILLS = frozenset({"kill", "torn line", "orphaned", "orphaned at once"})
_LEAVES = frozenset({"keeps failing", "full disk"})
"""Faults after which the program itself cannot take everything down; the next one does."""
_BUG = "mistake in virt-salvage"


@dataclass(frozen=True, slots=True)
class Trial:
    """A fault at a point of a pipeline."""

    pipeline: Pipeline
    point: Point
    fault: str

    def __str__(self) -> str:
        return f"{self.pipeline.name}: {self.fault} at {self.point}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a trial; no findings when the host is as it was found."""

    trial: Trial
    findings: tuple[str, ...]
    seconds: float
    undo_seconds: float
    hit: bool
    """False when the run did not come to the point: the kernel had done that step by itself."""


@dataclass
class Ended:
    """How a process of ours ended."""

    status: int
    """-N for a signal."""
    said: str


@dataclass
class Bench:
    """The place of one sweeper with its disks and its small file system: a context manager."""

    place: Place
    guard: Guard = field(init=False)
    parsers: Any = field(init=False)
    """What understands the command line: made once, not in each run."""

    def __enter__(self) -> "Bench":
        load()
        self.parsers = verbs.parsers()
        self.place.base.mkdir(parents=True)
        self.place.make_disks()
        self.place.small.mkdir()
        argv = ["mount", "-t", "tmpfs", "-o", f"size={_SMALL}", "faults", str(self.place.small)]
        subprocess.run(argv, check=True)
        self.guard = self.place.guarded()
        self.guard.watch(*self.place.disks)
        return self

    def __exit__(self, *_error: object) -> None:
        self.sweep_away()
        subprocess.run(["umount", str(self.place.small)], check=True)
        self.guard.check_originals()
        self.place.clear()

    # -- running ------------------------------------------------------------------------------

    def points(self, pipeline: Pipeline) -> list[Point]:
        """The points of a run without a fault; AssertionError when it fails or leaves something."""
        seat, told = Seat(), self.place.base / "points"
        injector = self._injector(None, "", seat, self.place.state)

        def run() -> int:
            status = self._calls(pipeline, injector, self.place.state)
            told.write_text(json.dumps([asdict(point) for point in injector.points]))
            return status

        ended = self._child(run, self.place.state)
        assert ended.status == 0, (pipeline.name, ended)
        assert self.left(self.place.state) == [], pipeline.name
        self._forget_results()
        return [Point(**one) for one in json.loads(told.read_text())]

    def run(self, trial: Trial) -> Outcome:
        """Let the fault hit, undo everything in a new process, and look what is left."""
        began = time.monotonic()
        full = trial.fault == "full disk"
        state = self.place.small / "state" if full else self.place.state
        seat = Seat()
        injector = self._injector(trial.point, trial.fault, seat, state)
        run = lambda: self._calls(trial.pipeline, injector, state)  # noqa: E731
        ended = self._child(run, state, terminal=injector if trial.fault == "terminal" else None)
        hit = bool(seat.told())
        findings = _behaved(trial.fault if hit else "", ended)
        kept = trial.point.label == "kept" and self._kept(state)  # a signal then comes too late
        if trial.fault not in _KILLS | _LEAVES and not kept:
            findings += [f"left by the program itself: {one}" for one in self.left(state)]
        undoing = time.monotonic()
        undone = self._child(lambda: self._undo(state, full), state)
        undo_seconds = time.monotonic() - undoing
        findings += _complaints("undo", undone, frozenset({0}))
        findings += self.left(state) or self._changed(trial.pipeline)
        if findings:
            self.sweep_away()
        self._forget_results()
        return Outcome(trial, tuple(findings), time.monotonic() - began, undo_seconds, hit)

    def _injector(self, at: Point | None, fault: str, seat: Seat, state: Path) -> Injector:
        return Injector(
            at, fault, seat, lambda: None, self._fill_up, state, self._marker(state), self.place.soon
        )

    @staticmethod
    def _marker(state: Path) -> str:
        return str(state.parent / "tmp")

    def _calls(self, pipeline: Pipeline, injector: Injector, state: Path) -> int:
        with pipeline.steps(self.place), injected(injector):
            for call in pipeline.calls(self.place, state):
                status = self._main(call)
                if status:
                    return status
        return 0

    def _undo(self, state: Path, full: bool) -> int:
        with full_disk(lambda: full):
            return self._main(undo(state))

    def _main(self, call: list[str]) -> int:
        with patch.object(verbs, "parsers", lambda: self.parsers):
            return main(call)

    def _fill_up(self) -> None:
        about = os.statvfs(self.place.small)
        assert about.f_blocks * about.f_frsize == _SMALL, "nothing but the small file system may be filled"
        with open(self.place.small / "ballast", "ab") as file:
            os.posix_fallocate(file.fileno(), 0, about.f_bavail * about.f_frsize)

    def _child(self, work: Callable[[], int], state: Path, terminal: Injector | None = None) -> Ended:
        """Run `work` in a process of its own, as far as can be like a new interpreter's."""
        said = self.place.base / "said"
        Path(self._marker(state)).mkdir(exist_ok=True)
        master, slave = pty.openpty() if terminal else (-1, -1)
        pid = os.fork()
        if pid == 0:
            if terminal:
                terminal.hang_up = lambda: os.close(master)
            os.environ["TMPDIR"] = self._marker(state)
            _become(work, said, slave)
        for descriptor in {master, slave} - {-1}:
            os.close(descriptor)
        status = _wait(pid)
        return Ended(status, said.read_text(errors="replace") if said.exists() else "")

    # -- looking ------------------------------------------------------------------------------

    def left(self, state: Path) -> list[str]:
        """What is left on the host; what still works may end first."""
        end = time.monotonic() + 2
        while (working := list(ours(self._marker(state)))) and time.monotonic() < end:
            time.sleep(0.02)
        found = [f"process {pid}: {words.decode(errors='replace')[:120]}" for pid, words in working]
        found += self.guard.left_behind()
        found += [f"{one.path} {one.backing}" for one in loops.loops() if self._is_ours(one)]
        if state.is_dir():
            sessions = state / "sessions"
            found += [f"state: {path.relative_to(state)}" for path in state.rglob("*") if path != sessions]
        if self.place.point.exists():
            found.append("the mount point is still there")
        return found

    @staticmethod
    def _kept(state: Path) -> bool:
        """Whether the one session that there is was left up on purpose, as `mount` does."""
        return [known.account.kept for known in StateFolder(state).known()] == [True]

    def _is_ours(self, loop: loops.Loop) -> bool:
        return loop.size_limit == self.place.disk_size

    def _changed(self, pipeline: Pipeline) -> list[str]:
        """Whether the disk of that pipeline is another one now; all are looked at in the end."""
        if pipeline.action == "snapshot":
            return []  # of a volume of the host, which others write to
        try:
            self.guard.check_originals(self.place.disk(pipeline.format, pipeline.volume))
        except AssertionError as error:
            return [str(error).splitlines()[0]]
        return []

    # -- clearing -----------------------------------------------------------------------------

    def _forget_results(self) -> None:
        """Remove what a run leaves on purpose, and the fault's own things."""
        argv = ["rm", "-rf", "--one-file-system", *map(str, self._results())]
        subprocess.run(argv, check=True)

    def _results(self) -> Iterator[Path]:
        place = self.place
        yield from (place.out, place.backup, place.base / "said", place.small / "ballast")
        yield from place.base.glob("backup.*")
        yield from place.base.glob(".backup.*")

    def sweep_away(self) -> None:
        """After a finding: take down by force what is left, so that the next trial begins clean."""
        for state in (self.place.state, self.place.small / "state"):
            for pid, _words in ours(self._marker(state)):
                os.kill(pid, signal.SIGKILL)
        for mount in reversed(mounts.below(self.place.base)):
            if mount.point != str(self.place.small):
                subprocess.run(["umount", "--lazy", mount.point], check=False)
        for loop in loops.loops():
            if self._is_ours(loop):
                subprocess.run(["losetup", "--detach", loop.path], check=False)
        for state in (self.place.state, self.place.small / "state"):
            subprocess.run(["rm", "-rf", "--one-file-system", str(state)], check=False)
        if isinstance(self.guard, LoneGuard):
            self.guard.take_down()
        if self.place.point.is_dir():
            self.place.point.rmdir()


def _become(work: Callable[[], int], said: Path, slave: int) -> NoReturn:
    """The life of a forked process: whatever happens, it never comes back."""
    status = 99
    try:
        _settle(said, slave)
        status = work()
        with suppress(OSError):  # a terminal that is gone
            sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - told to the parent by the status
        traceback.print_exc()
    finally:
        os._exit(status)


def _settle(said: Path, slave: int) -> None:
    """Make a forked process like one that was just started: signals, standard streams, session."""
    gc.freeze()
    os.setsid()
    die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if slave >= 0:
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        streams = [slave] * 3
    else:
        sink = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        streams = [os.open(os.devnull, os.O_RDONLY), sink, sink]
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(0, "r", closefd=False),
        os.fdopen(1, "w", encoding="utf-8", closefd=False),
        os.fdopen(2, "w", encoding="utf-8", buffering=1, closefd=False),
    )


def die_with_parent(number: int) -> None:
    """Get the signal when the process that forked this one ends: prctl(2), PR_SET_PDEATHSIG."""
    ctypes.CDLL(None).prctl(1, int(number), 0, 0, 0)


def _wait(pid: int) -> int:
    descriptor = os.pidfd_open(pid)
    try:
        if not select.select([descriptor], [], [], PATIENCE)[0]:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return 98
    finally:
        os.close(descriptor)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _behaved(fault: str, ended: Ended) -> list[str]:
    """What was wrong with the way in which the program ended."""
    if fault in _KILLS:
        return [] if ended.status == -signal.SIGKILL else [f"not killed: {ended}"]
    return _complaints("the program", ended, _STATUSES if fault else frozenset({0}))


def _complaints(who: str, ended: Ended, good: frozenset[int]) -> list[str]:
    """What a person would complain of: a hang, a traceback, a message about a bug, a wrong status."""
    if ended.status == 98:
        return [f"{who} hung"]
    if ended.status not in good or _BUG in ended.said or "Traceback" in ended.said:
        return [f"{who} ended with {ended.status}: {ended.said.strip()[-6000:]}"]
    return []
