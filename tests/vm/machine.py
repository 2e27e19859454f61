"""Boots the test machine and runs commands in it as root.

The guest sees the checkout read-only at /checkout, a shared folder at /scratch, the pure Python
packages of the host's interpreter at /site, given disks at /disks/NAME, and an ext4 at /tmp. All
that it changes, but for /scratch and the disks, is gone with it. Tests there tell by MD5 whether a disk is
what it was: SHA-256 takes four times as long under emulation.
"""

import os
import selectors
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from core.errors import SalvageError
from core.text import safe

from . import kept, usermode
from .build import Image, build, cache
from .qemu import Setup, command, commands, prepare, scratch

BOOT_DEADLINE = 120.0
"""Seconds from start to the first command; under emulation on a busy host."""
KVM_DEADLINE = 20.0
"""The same for the one try with KVM, which takes two seconds where it works."""
SLACK = 30.0
"""Seconds that an answer may come later than the command's own deadline."""
POWER_OFF_DEADLINE = 30.0


class MachineFailed(SalvageError):
    """The test machine did not boot, or was gone before it answered."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a command in the machine ended."""

    status: int
    """Exit status; 124 when its time was up, see timeout(1)."""
    output: str
    """Standard output and standard error as they came."""


class Machine:
    """One boot of the machine: boots when its context is entered, powers off when it is left."""

    def __init__(self, image: Image, setup: Setup) -> None:
        self._image = image
        self._setup = setup if setup.accelerator else replace(setup, accelerator=accelerator(image))
        self._folder = Path(tempfile.mkdtemp(prefix="vm-"))
        self.scratch = scratch(setup, self._folder)
        """Where the host sees what the guest sees at /scratch."""
        self._console = self._folder / "console"
        self._errors = self._folder / "errors"
        self._process: subprocess.Popen[bytes] | None = None
        self._number = 0
        self._pending = b""

    def __enter__(self) -> Self:
        try:
            self.boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.power_off()
        finally:
            self.close()

    def boot(self, deadline: float = BOOT_DEADLINE) -> None:
        """Start the machine and wait until it takes commands; raises `MachineFailed`."""
        until = time.monotonic() + deadline
        if self._setup.accelerator == usermode.NAME:
            usermode.prepare(self._image, self._setup, self._folder)
            argv = usermode.command(self._image, self._setup, self._folder, talk="commands")
            self._start(argv, usermode.MEMORY)
        else:
            prepare(self._image, self._setup, self._folder)
            state = self._state() if kept.serves(self._setup) else None
            if state:
                self._start([*self._emulated(talk="keep"), *kept.incoming(state)], self._folder)
                self._answer("kept", until)
                self._say(f"{time.time():.3f} {'yes' if self._setup.udev else 'no'}")
            else:
                self._start(self._emulated(talk="commands"), self._folder)
        self._answer("ready", until)

    def keep(self, target: Path) -> None:
        """Boot as far as all such machines are alike and save that; raises `MachineFailed`."""
        prepare(self._image, self._setup, self._folder)
        self._start([*self._emulated(talk="keep"), *kept.monitor(self._folder)], self._folder)
        self._answer("kept", time.monotonic() + BOOT_DEADLINE)
        try:
            kept.save(self._folder, target)
        except OSError as error:
            raise self._failed(f"could not be saved ({error})") from error

    def _state(self) -> Path:
        """That of the machine this one goes on from; the first one who wants it makes it."""
        state = kept.place(self._image, self._setup.checkout)
        with kept.only_one():
            if state.exists():
                state.touch()
            else:
                first = Machine(self._image, replace(self._setup, scratch=None))
                try:
                    first.keep(state)
                finally:
                    first.close()
        return state

    def _emulated(self, talk: str) -> list[str]:
        return [
            *command(self._image, self._setup, self._folder, talk=talk),
            *("-chardev", f"file,id=console,path={self._console}", "-serial", "chardev:console"),
            *("-chardev", "stdio,id=talk,signal=off", "-serial", "chardev:talk"),
        ]

    def _start(self, argv: Sequence[str], temporary: Path) -> None:
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                argv,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "TMPDIR": str(temporary)},
                start_new_session=True,
            )

    def run(self, line: str | Sequence[str], timeout: float = 300.0) -> Result:
        """Run a shell line, or a program with its arguments, as root in /checkout.

        Raises `MachineFailed` when the machine ends before the command does, or does not answer.
        """
        self._number += 1
        script = commands(self._folder) / str(self._number)
        script.write_text((line if isinstance(line, str) else shlex.join(line)) + "\n", encoding="utf-8")
        self._say(f"{self._number} {timeout:g}")
        status = self._answer(f"{self._number} ", time.monotonic() + timeout + SLACK)
        return Result(int(status), _text(script.with_suffix(".out")))

    def start_udev(self) -> None:
        """Let udev run from now on in a machine that was booted without it, as on a server.

        What a test makes before goes several times as fast.
        """
        shown = self.run(
            "set -e; /lib/systemd/systemd-udevd --daemon;"
            " udevadm trigger --action=add --subsystem-match=block --subsystem-match=misc; udevadm settle"
        )
        if shown.status:
            raise self._failed("has no udev")

    def power_off(self) -> None:
        """Shut the machine down in order, unless it is down already; its disks are written out."""
        if self._process is None or self._process.poll() is not None:
            return
        self._say("off")
        try:
            self._process.wait(POWER_OFF_DEADLINE)
        except subprocess.TimeoutExpired as error:
            raise self._failed("did not power off") from error
        compiled = commands(self._folder) / "pycache.new"
        if compiled.exists():
            new = self._image.compiled.with_name(f"{self._folder.name}.tar")
            shutil.copyfile(compiled, new)
            new.replace(self._image.compiled)

    def kill(self) -> None:
        """Pull the plug: what the guest has not flushed to its disks is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def console(self) -> str:
        """What the kernel said on its console."""
        return _text(self._console)

    def close(self) -> None:
        """Kill the machine if it still runs and delete what it needed on the host."""
        self.kill()
        if self._process is not None:
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
        shutil.rmtree(self._folder)

    def _say(self, line: str) -> None:
        assert self._process and self._process.stdin
        try:
            self._process.stdin.write(line.encode() + b"\n")
        except BrokenPipeError as error:
            raise self._failed("has ended") from error

    def _answer(self, start: str, deadline: float) -> str:
        """The rest of the next line that begins with `start`."""
        assert self._process and self._process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while True:
                while b"\n" in self._pending:
                    line, _newline, self._pending = self._pending.partition(b"\n")
                    said = line.decode(errors="replace").strip()
                    if said.startswith(start):
                        return said.removeprefix(start)
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise self._failed("does not answer")
                data = os.read(self._process.stdout.fileno(), 4096)
                if not data:
                    self._process.wait(SLACK)
                    raise self._failed("has ended")
                self._pending += data

    def _failed(self, how: str) -> MachineFailed:
        lines = [*_text(self._errors).splitlines()[-3:], *self.console().splitlines()[-10:]]
        said = " / ".join(safe(line) for line in lines if line.strip())
        return MachineFailed(f"The test machine {how}.", f"It said last: {said or 'nothing'}")


def run(line: str | Sequence[str], checkout: Path, timeout: float = 300.0) -> Result:
    """Boot a machine, run one command in it and power it off; see `Machine.run`.

    Raises what `build` raises, and `MachineFailed`.
    """
    with Machine(build(), Setup(checkout)) as machine:
        return machine.run(line, timeout)


def warm(module: str) -> str:
    """How a shell of the machine calls a module of this checkout that uses the program, see warm.py."""
    return f"MODULE={module} /checkout/tests/vm/salvage"


def accelerator(image: Image) -> str:
    """The faster of KVM and emulation that works on this host.

    A KVM that opens can still leave the guest hanging at its boot, so it is tried once; the cache
    folder remembers the verdict for this kernel of the host.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    verdict = cache() / f"accelerator-{os.uname().release}"
    if not verdict.exists():
        verdict.write_text("kvm" if _boots_with_kvm(image) else "tcg", encoding="utf-8")
    return verdict.read_text(encoding="utf-8")


def _boots_with_kvm(image: Image) -> bool:
    machine = Machine(image, Setup(Path(__file__).parent, accelerator="kvm"))
    try:
        machine.boot(KVM_DEADLINE)
    except MachineFailed:
        return False
    finally:
        machine.close()
    return True


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
