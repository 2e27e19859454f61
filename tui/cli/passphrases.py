"""Passphrases on the command line: from a file, a descriptor, or typed at the terminal without echo."""

import os
import select
import termios
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.cancel import CancelToken
from core.disks.addresses import is_login
from core.disks.front import needed
from core.disks.unreached import password_needed, wanted_title
from core.errors import Cancelled, NeedsPassphrase
from core.i18n import _
from core.secrets import Secret
from core.session import Session
from core.text import safe
from core.volumes.luks.opening import needed as needed_of

TRIES = 3


@dataclass(slots=True)
class Passphrases:
    """What was given for this call, and which images and volumes each opened."""

    files: Sequence[str]
    """``-`` is standard input."""
    descriptors: Sequence[int]
    keys: Sequence[Path]
    cancel: CancelToken
    _read: list[Secret] | None = None
    _known: dict[Path, Secret] = field(default_factory=dict)

    def unlock(self, session: Session, path: Path) -> None:
        """Give the session the passphrase of an image, or of a volume, whose id `path` then is.

        Raises NeedsPassphrase where none fits.
        """
        if path in self._known:
            session.unlock(path, self._known[path])
            return
        failure: NeedsPassphrase | None = None
        for secret in self._given():
            try:
                self._try(session, path, secret)
                return
            except NeedsPassphrase as error:
                failure = error
        if failure:
            raise failure
        for left in range(TRIES - 1, -1, -1):
            answer = typed(_("Type {what}: ").format(what=wanted_title(path)), self.cancel)
            if answer is None:
                break
            try:
                self._try(session, path, answer)
                return
            except NeedsPassphrase as error:
                if not left:
                    raise
                say(error.what)
        if is_login(path):
            raise password_needed(path)
        raise needed(path) if path.is_absolute() else needed_of(session.volume_of(path))

    def _try(self, session: Session, path: Path, secret: Secret) -> None:
        session.unlock(path, secret)
        self._known[path] = secret

    def _given(self) -> list[Secret]:
        if self._read is None:
            self._read = [Secret.from_file(0 if one == "-" else Path(one)) for one in self.files]
            self._read += [Secret.from_file(one) for one in self.descriptors]
            self._read += [Secret.from_file(one, whole=True) for one in self.keys]
        return self._read


def say(line: str) -> None:
    """A line on the terminal itself."""
    terminal = _terminal()
    if terminal is not None:
        os.write(terminal, (safe(line) + "\n").encode(errors="replace"))
        os.close(terminal)


def typed(question: str, cancel: CancelToken) -> Secret | None:
    """A passphrase typed at the terminal, which does not show it; None where there is no terminal.

    Raises `Cancelled` when somebody wants the work to stop, or the terminal ends.
    """
    terminal = _terminal()
    if terminal is None:
        return None
    before = termios.tcgetattr(terminal)
    quiet = termios.tcgetattr(terminal)
    quiet[3] &= ~termios.ECHO
    try:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, quiet)
        os.write(terminal, safe(question).encode(errors="replace"))
        line = b""
        while not line.endswith(b"\n"):
            cancel.check()
            if select.select([terminal], [], [], 0.1)[0]:
                piece = os.read(terminal, 4096)
                if not piece:
                    raise Cancelled(_("No passphrase was given."))
                line += piece
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
        os.write(terminal, b"\n")
        os.close(terminal)
    return Secret(line.removesuffix(b"\n"))


def _terminal() -> int | None:
    """The terminal of this program, where somebody sees a question: /dev/tty, see tty(4)."""
    if not os.isatty(2):
        return None
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
