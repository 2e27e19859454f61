"""A passphrase: kept in memory, handed to a program through a pipe, and shown nowhere.

It never stands in an argument, in the environment, in the journal or in a message: all of these can be
read by others or are kept. A pipe is emptied by the one who reads it.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

from core.errors import SalvageError, WrongUsage
from core.i18n import _
from core.text import safe

LONGEST = 32 << 10
"""Bytes; a pipe takes that much without a reader. See pipe(7)."""


class Secret:
    """A passphrase or key. It does not print, compare or pickle itself."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        """Raises `WrongUsage` for one that is empty or longer than `LONGEST`."""
        if not value:
            raise WrongUsage(_("The passphrase is empty."))
        if len(value) > LONGEST:
            raise WrongUsage(_("The passphrase is longer than {count} bytes.").format(count=LONGEST))
        self._value = value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written down")

    @classmethod
    def typed(cls, text: str) -> "Secret":
        """A passphrase from a keyboard; what was no UTF-8 there keeps its bytes (PEP 383)."""
        return cls(text.encode("utf-8", "surrogateescape"))

    @classmethod
    def from_file(cls, path: Path | int, *, whole: bool = False) -> "Secret":
        """What a file or an open descriptor holds; without one newline at its end, unless wanted `whole`.

        Raises `SalvageError` where it cannot be read, `WrongUsage` for nothing or too much.
        """
        name = safe(path) if isinstance(path, Path) else _("descriptor {number}").format(number=path)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY) if isinstance(path, Path) else path
            try:
                return cls(_all(fd) if whole else _all(fd).removesuffix(b"\n"))
            finally:
                if isinstance(path, Path):
                    os.close(fd)
        except (OSError, OverflowError) as error:
            reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else str(error)
            raise SalvageError(
                _("The passphrase cannot be read from {name}: {reason}.").format(
                    name=name, reason=safe(reason)
                ),
                _("Nothing was opened."),
            ) from error

    @contextmanager
    def handed(self) -> Iterator[int]:
        """The read end of a pipe with the secret in it, for one program to read once."""
        read, write = os.pipe2(os.O_CLOEXEC)
        try:
            os.write(write, self._value)
        finally:
            os.close(write)
        try:
            yield read
        finally:
            os.close(read)


def _all(fd: int) -> bytes:
    found = b""
    while len(found) <= LONGEST + 1 and (piece := os.read(fd, 1 << 16)):
        found += piece
    return found


@contextmanager
def all_handed(secrets: "list[Secret]") -> Iterator[tuple[int, ...]]:
    """The read ends of one pipe for each secret, see `Secret.handed`."""
    with ExitStack() as pipes:
        yield tuple(pipes.enter_context(one.handed()) for one in secrets)
