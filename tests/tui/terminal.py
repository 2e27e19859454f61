"""The real wizard in a pseudo terminal, with an emulator that tells what a person sees there."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyte

PROGRAM = "import sys; from tui.main import main; sys.exit(main())"
SIZE = (80, 24)
PATIENCE = 120.0
"""Seconds that a wizard at work is waited for: under emulation on a busy host it starts in half a minute."""
XTERM = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
_OWN = (
    "COLUMNS",
    "LINES",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "COLORFGBG",
    "TMUX",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
)
"""What says what the terminal is like; taken from nobody but the test."""
_STRANGE = re.compile(rb"\x1b\[[>=<?][0-9;]*u|\x1b\[\?[0-9;]*\$p|\x1b\[>[0-9;]*[a-z]")
"""Questions and keyboard modes that a terminal may ignore; pyte would write some of them."""


class Terminal:
    """A wizard in a terminal of its own session, as a login has: so closing it sends SIGHUP."""

    def __init__(
        self,
        state: Path | None,
        *arguments: str,
        program: str = PROGRAM,
        environ: Mapping[str, str] = XTERM,
        size: tuple[int, int] = SIZE,
        call: Sequence[str] = (),
    ) -> None:
        self.master, slave = pty.openpty()
        self.resize(*size, slave)
        kept = {name: value for name, value in os.environ.items() if name not in _OWN}
        self.process = subprocess.Popen(
            [
                *(call or (sys.executable, "-c", program)),
                *(("--state-dir", str(state)) if state else ()),
                *arguments,
            ],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**kept, **environ},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,
        )
        os.close(slave)
        self.seen = b""
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)

    def resize(self, columns: int, lines: int, descriptor: int | None = None) -> None:
        """Give the terminal another size; the kernel tells the wizard by SIGWINCH."""
        at = self.master if descriptor is None else descriptor
        fcntl.ioctl(at, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        if descriptor is None:
            self.screen.resize(lines, columns)

    def read(self, seconds: float, quiet: float = 0.0) -> bytes:
        """What comes within that time; it ends earlier when nothing came for `quiet` seconds, if given."""
        came, end, last = b"", time.monotonic() + seconds, time.monotonic()
        while time.monotonic() < end:
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    piece = os.read(self.master, 1 << 16)
                except OSError:  # the program has closed its end
                    self.process.wait(20)
                    break
                came += piece
                self._stream.feed(_STRANGE.sub(b"", piece))
                last = time.monotonic()
            elif self.process.poll() is not None or (quiet and time.monotonic() - last > quiet):
                break
        self.seen += came
        return came

    def settled(self, seconds: float = 20.0, quiet: float = 0.8) -> bytes:
        """What comes until nothing more comes."""
        return self.read(seconds, quiet)

    def until(self, true: Callable[[], object], what: str) -> None:
        turn, end = 0, time.monotonic() + PATIENCE
        while turn < 300 or (self.process.poll() is None and time.monotonic() < end):
            if true():
                return
            self.read(0.2, 0.05)
            turn += 1
        raise AssertionError(f"never came: {what}; on the screen:\n{self.shown()}")

    def shows(self, text: str) -> None:
        """Wait until the screen shows a text."""
        self.until(lambda: text in self.shown(), text)

    def shown(self) -> str:
        """What a person sees now, line by line."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def text(self) -> str:
        """All that was ever written, without the control sequences."""
        return re.sub(r"\x1b[\[\]>=?][0-9;?<>=]*[A-Za-z]?", "", self.seen.decode("utf-8", "replace"))

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def ended(self) -> int:
        """Wait for the end; the exit status."""
        self.until(lambda: self.process.poll() is not None, "the end of the program")
        self.read(0.3)
        return self.process.returncode


@contextmanager
def terminal(
    state: Path | None,
    *arguments: str,
    program: str = PROGRAM,
    environ: Mapping[str, str] = XTERM,
    size: tuple[int, int] = SIZE,
    call: Sequence[str] = (),
) -> Iterator[Terminal]:
    """A wizard at work; ended at the end, whatever it does. Without `state` it is given no option for it.

    `call` is what starts it, if not this Python with `program`.
    """
    one = Terminal(state, *arguments, program=program, environ=environ, size=size, call=call)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()
        with suppress(OSError):
            os.close(one.master)
