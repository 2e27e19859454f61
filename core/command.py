"""A command as data: what is run, why, what it changes and how that is undone.

The same object is run, printed by the dry run, explained to the learner, written to the journal
and told in the report, so none of them can say something that the others do not.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from core.text import quoted

SERVING = "core.disks.serving"
"""The module that is a daemon of this program's own."""
_IMAGE_READERS = frozenset({"qemu-img", "qemu-io", "qemu-nbd", "qemu-storage-daemon", "nbdkit", SERVING})


class Variable(str):
    """A value that only running will tell, as it stands in a plan: the shell variable ``$NAME``."""

    __slots__ = ()

    @classmethod
    def named(cls, name: str) -> "Variable":
        return cls(f"${name}")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a helper program may use; see setrlimit(2) for memory and processor time."""

    memory: int = 2 << 30
    """Bytes of address space."""
    processor: int = 30
    """Seconds of processor time."""
    wall: float = 60.0
    """Seconds from start to end."""
    output: int = 16 << 20
    """Bytes of each of its outputs."""
    file: int = 1 << 20
    """Bytes that it may make a file reach to, where it only looks (RLIMIT_FSIZE)."""


@dataclass(frozen=True, slots=True)
class Command:
    """One program call.

    `effect` says in a sentence what changes on the host; empty means that the command only looks.
    `captures` names the shell variable that takes the output in a printed plan, or the process
    number where the command stays in the background.
    `by_hand` marks work that the program does itself: `argv` is then what one would type instead.
    """

    argv: tuple[str, ...]
    why: str
    effect: str = ""
    undo: tuple["Command", ...] = ()
    captures: str = ""
    background: bool = False
    by_hand: bool = False
    environment: tuple[tuple[str, str], ...] = ()
    good: frozenset[int] = frozenset({0})
    """Exit statuses that are no error."""
    secret: bool = False
    """What it says is nobody's business: its output is not kept with the record of what was run."""
    limits: Limits | None = field(default_factory=Limits)
    """None for work whose length is not known beforehand."""
    given: str = ""
    """Text that it reads from standard input; no secret."""
    on_network: bool = False
    """It fetches what the operator gave the address of."""
    unbroken: bool = False
    """It goes on to its end whatever becomes of us, for half of it does harm: LVM, ended at the wrong moment,
    leaves a volume suspended, and all that use it hang."""

    @property
    def changes(self) -> bool:
        return bool(self.effect)

    @property
    def reads_images(self) -> bool:
        """Whether it is a program that opens what a header may have named.

        It needs no network then: no image that was vetted leads there.
        """
        if self.on_network:
            return False
        return not _IMAGE_READERS.isdisjoint(os.path.basename(word) for word in self.argv[:6])

    def shell(self) -> str:
        """The command as a line for a shell, see `core.text.quoted`; nothing in it acts on a terminal."""
        words = [f"{name}={quoted(value)}" for name, value in self.environment]
        words += [_quoted(word) for word in self.argv]
        line = " ".join(words)
        if self.given:
            line = f"printf %s {quoted(self.given)} | {line}"
        if self.background:
            return f"{line} & {self.captures}=$!" if self.captures else f"{line} &"
        return f"{self.captures}=$({line})" if self.captures else line


def _quoted(word: str) -> str:
    return f'"{word}"' if isinstance(word, Variable) else quoted(word)


def told(commands: list[Command]) -> Iterator[str]:
    """The commands as the lines of an explained shell script."""
    for command in commands:
        yield f"# {command.why}"
        yield command.shell()
        for undo in command.undo:
            yield f"#   undone by: {undo.shell()}"
