"""The one door to the operating system: runs commands, or writes them down.

`SystemRunner` runs them; `PlanRunner` runs those that only look and writes down the others. Nothing
else in the program starts a process, so there is one place that cancels, limits and records.
"""

import os
import resource
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import IO, Literal, TypeVar

from core import tools
from core.cancel import CancelToken
from core.command import Command, Variable
from core.errors import Cancelled, SalvageError
from core.i18n import _, sentences
from core.text import safe

T = TypeVar("T")
Stopped = Literal["", "asked", "time", "output"]

TIED = ("setpriv", "--pdeathsig", "KILL")
"""Before a command: it dies with the thread that started it. Nothing is put up after we are dead."""

UNBROKEN = ("env", "--ignore-signal=PIPE")
"""Before a command that must come to its end: not even our own, with nobody left to read, ends it."""

OFFLINE = ("unshare", "--net", "--")
"""Before a program of QEMU: it reaches no network, whatever an image names."""

BACKGROUND_MEMORY = 2 << 30
"""Bytes of data that a process in the background may take; see RLIMIT_DATA in setrlimit(2)."""

_UDEV = Path("/run/udev/control")
"""The socket of udev, where it runs."""

GRACE = 5.0
"""Seconds that a cancelled program has to end by itself before it is killed."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    status: int
    """Exit status; -N when signal N ended it."""
    out: bytes = b""
    err: bytes = b""
    seconds: float = 0.0
    stopped: Stopped = ""
    """Why we ended it: somebody asked for that, or it took too much time or wrote too much."""


@dataclass(frozen=True, slots=True)
class Ran:
    """One line of the transcript: what was run and how it ended (None: it was only planned)."""

    command: Command
    result: Result | None
    when: float = field(default_factory=time.time)


class CommandFailed(SalvageError):
    """A program of the system ended with an exit status that means an error."""

    def __init__(self, command: Command, result: Result) -> None:
        self.command = command
        self.result = result
        # The first line says what is wrong; what follows is advice, such as mount's about dmesg(1)
        said = safe(result.err.strip().splitlines()[0].strip()[:400]) if result.err.strip() else ""
        program = safe(os.path.basename(command.argv[0]))
        if result.stopped == "time":
            ended = _("{program} did not end in time and was stopped.").format(program=program)
        elif result.stopped == "output":
            ended = _("{program} wrote without end and was stopped.").format(program=program)
        elif result.status == -signal.SIGXCPU:
            ended = _("{program} used up the processor time that it may have and was stopped.").format(
                program=program
            )
        elif result.status < 0:
            ended = _("{program} was ended by signal {number}.").format(
                program=program, number=-result.status
            )
        else:
            ended = _("{program} failed with exit status {status}.").format(
                program=program, status=result.status
            )
        if said:
            ended = sentences((ended, _("It said: {message}").format(message=said)))
        super().__init__(ended)


Listener = Callable[[Ran], None]


def environment(command: Command) -> dict[str, str]:
    """The clean environment that a command gets: messages in English, nothing of the person's.

    Without udev, in a container or a rescue system, libdevmapper is told to make what lies in /dev/mapper
    itself; without that word it makes nothing (seen with Debian's): `DM_DISABLE_UDEV` in its libdm-common.c.
    """
    clean = {
        "PATH": tools.search_path(),
        "LC_ALL": "C.UTF-8",
        "HOME": "/",
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
    }
    if not _UDEV.exists():
        clean["DM_DISABLE_UDEV"] = "1"
    clean.update(command.environment)
    return clean


class Runner:
    """What both runners share: the cancel token and the transcript."""

    planning = False

    def __init__(self, cancel: CancelToken | None = None, listener: Listener | None = None) -> None:
        self.cancel = cancel or CancelToken()
        self.transcript: list[Ran] = []
        self.listeners: list[Listener] = [listener] if listener else []

    def run(
        self, command: Command, pass_fds: tuple[int, ...] = (), hear: Callable[[bytes], None] | None = None
    ) -> Result:
        """Run `command` to its end; `hear` gets each piece of its standard output as it comes.

        Raises `CommandFailed` when its exit status is not among the good ones, `Cancelled` after
        the whole process group has ended when the token says so, `core.errors.ToolMissing` when
        the program is not installed.
        """
        raise NotImplementedError

    def start(self, command: Command, log: Path, pass_fds: tuple[int, ...] = ()) -> int:
        """Start `command` in the background with both outputs going to `log`; its process number.

        It keeps the files `pass_fds` open.
        """
        raise NotImplementedError

    def perform(self, command: Command, work: Callable[[], T], planned: T) -> T:
        """Do `work` ourselves in the place of `command`; `planned` where nothing may be changed."""
        raise NotImplementedError

    def ended(self, pid: int) -> int | None:
        """The exit status of a process that `start` started; None while it runs."""
        raise NotImplementedError

    def _record(self, command: Command, result: Result | None) -> None:
        ran = Ran(command, result)
        self.transcript.append(ran)
        for listener in self.listeners:
            listener(ran)


class SystemRunner(Runner):
    """Runs what it is given."""

    def __init__(self, cancel: CancelToken | None = None, listener: Listener | None = None) -> None:
        super().__init__(cancel, listener)
        self._background: dict[int, subprocess.Popen[bytes]] = {}

    def run(
        self, command: Command, pass_fds: tuple[int, ...] = (), hear: Callable[[bytes], None] | None = None
    ) -> Result:
        self.cancel.check()
        began = time.monotonic()
        before, cancel = (UNBROKEN, CancelToken()) if command.unbroken else (TIED, self.cancel)
        process = self._spawn(command, subprocess.PIPE, subprocess.PIPE, pass_fds, before=before)
        try:
            out, err, stopped = _drain(process, command, cancel, hear)
        except BaseException:
            if command.unbroken:
                process.wait()
            else:
                _end_group(process)
            raise
        result = Result(process.returncode, out, err, time.monotonic() - began, stopped)
        self._record(command, replace(result, out=b"") if command.secret else result)
        if stopped == "asked":
            raise Cancelled(_("Stopped as asked."))
        if stopped or result.status not in command.good:
            raise CommandFailed(command, result)
        return result

    def start(self, command: Command, log: Path, pass_fds: tuple[int, ...] = ()) -> int:
        self.cancel.check()
        with open(log, "ab") as sink:
            process = self._spawn(command, sink, subprocess.STDOUT, pass_fds)
        self._background[process.pid] = process
        self._record(command, Result(0))
        return process.pid

    def ended(self, pid: int) -> int | None:
        process = self._background.get(pid)
        return process.poll() if process else None

    def perform(self, command: Command, work: Callable[[], T], planned: T) -> T:
        self.cancel.check()
        began = time.monotonic()
        value = work()
        self._record(command, Result(0, seconds=time.monotonic() - began))
        return value

    @staticmethod
    def _spawn(
        command: Command,
        out: IO[bytes] | int,
        err: IO[bytes] | int,
        pass_fds: tuple[int, ...],
        before: tuple[str, ...] = (),
    ) -> subprocess.Popen[bytes]:
        for program in (command.argv[0], *before[:1]):
            tools.require(program)
        if command.reads_images and _may_leave_network():
            before = (*OFFLINE, *before)
        with _given(command) as given:
            process = subprocess.Popen(
                (*before, *command.argv),
                stdin=given,
                stdout=out,
                stderr=err,
                env=environment(command),
                cwd="/",
                start_new_session=True,
                pass_fds=pass_fds,
            )
        _limit(process.pid, command)
        return process


@contextmanager
def _given(command: Command) -> Iterator[int]:
    """A file with what the command reads from standard input."""
    if not command.given:
        yield subprocess.DEVNULL
        return
    fd = os.memfd_create("given", os.MFD_CLOEXEC)
    try:
        os.write(fd, command.given.encode("utf-8", "surrogateescape"))
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


class PlanRunner(SystemRunner):
    """Runs what only looks and writes the rest down: the dry run."""

    planning = True

    def run(
        self, command: Command, pass_fds: tuple[int, ...] = (), hear: Callable[[bytes], None] | None = None
    ) -> Result:
        if not command.changes and not any(isinstance(word, Variable) for word in command.argv):
            return super().run(command, pass_fds, hear)
        self._record(command, None)
        return Result(0)

    def start(self, command: Command, log: Path, pass_fds: tuple[int, ...] = ()) -> int:
        self._record(command, None)
        return 0

    def perform(self, command: Command, work: Callable[[], T], planned: T) -> T:
        self._record(command, None)
        return planned


@lru_cache(maxsize=1)
def _may_leave_network() -> bool:
    """Whether we may give a child a network of its own, which has no way out; see unshare(1)."""
    if os.geteuid() or not tools.find(OFFLINE[0]):
        return False
    return not subprocess.run(
        (*OFFLINE, "true"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={"PATH": tools.search_path()},
        cwd="/",
        check=False,
    ).returncode


def _limit(pid: int, command: Command) -> None:
    """Set what a child may use, see setrlimit(2); no child of ours leaves a core dump behind.

    Set from outside, since code between fork and exec is not safe in a program with threads: until
    then, for less than a millisecond, the child is setpriv(1), unshare(1) or the dynamic linker.
    """
    limits = command.limits
    bounds = [(resource.RLIMIT_CORE, 0, 0)]
    if limits:
        bounds.append((resource.RLIMIT_AS, limits.memory, limits.memory))
        bounds.append((resource.RLIMIT_CPU, limits.processor, limits.processor + 1))
        if not command.changes:
            bounds.append((resource.RLIMIT_FSIZE, limits.file, limits.file))
    elif command.background:
        # Address space says little of a program with many threads: each reserves what it may never use
        bounds.append((resource.RLIMIT_DATA, BACKGROUND_MEMORY, BACKGROUND_MEMORY))
    try:
        for which, soft, hard in bounds:
            most = resource.prlimit(pid, which)[1]
            if most != resource.RLIM_INFINITY:
                soft, hard = min(soft, most), min(hard, most)
            resource.prlimit(pid, which, (soft, hard))
    except ProcessLookupError:
        return  # it has ended already


def _drain(
    process: subprocess.Popen[bytes],
    command: Command,
    cancel: CancelToken,
    hear: Callable[[bytes], None] | None,
) -> tuple[bytes, bytes, Stopped]:
    """Read both outputs to their end; both are bounded, so no program can fill our memory.

    Also why the program was ended, if it was. One that changes something is not ended for what it writes.
    """
    limits = command.limits
    deadline = time.monotonic() + limits.wall if limits else None
    most = limits.output if limits else 1 << 20
    assert process.stdout and process.stderr
    streams = (process.stdout, process.stderr)
    chunks: dict[int, list[bytes]] = {stream.fileno(): [] for stream in streams}
    sizes: dict[int, int] = dict.fromkeys(chunks, 0)
    stopped: Stopped = ""
    with selectors.DefaultSelector() as selector:
        for number in chunks:
            selector.register(number, selectors.EVENT_READ)
        while selector.get_map() and not stopped:
            for key, _events in selector.select(timeout=0.1):
                data = os.read(key.fd, 1 << 16)
                if hear and data and key.fd == process.stdout.fileno():
                    hear(data)
                sizes[key.fd] += len(data)
                if not data:
                    selector.unregister(key.fd)
                elif sizes[key.fd] <= most + len(data):
                    chunks[key.fd].append(data)
                elif limits and not hear and not command.changes:
                    stopped = "output"
            if deadline and time.monotonic() > deadline:
                stopped = "time"
            if cancel.cancelled:
                stopped = "asked"
    if process.poll() is None and _must_end(process, deadline, bool(stopped)):
        stopped = stopped or "time"
        _end_group(process)
    process.wait()
    out, err = (b"".join(parts)[:most] for parts in chunks.values())
    for stream in streams:
        stream.close()
    return out, err, stopped


def _must_end(process: subprocess.Popen[bytes], deadline: float | None, unwanted: bool) -> bool:
    """Whether a process whose outputs are closed or that is not wanted any more must be ended."""
    if unwanted:
        return True
    try:
        process.wait(max(0.0, deadline - time.monotonic()) if deadline else None)
    except subprocess.TimeoutExpired:
        return True
    return False


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a child and all that it started, and wait until it has ended."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(GRACE)
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()
