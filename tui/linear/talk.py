"""Lines said and answers read: no colour, no line written over, nothing aligned by spaces."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from core.ascii import to_ascii
from core.files.progress import Progress
from core.i18n import _, listed, ngettext, sentences
from core.text import keep_to_ascii, safe, size
from tui.plain import as_started, wants_plain
from tui.time_left import about

BACK = ""
"""The answer that leads to the step before."""
EVERY = 10.0
"""Seconds between two lines of progress."""


class Leave(Exception):
    """The person leaves: they said so, the answers ended, or a signal came."""

    def __init__(self, *, interrupted: bool = False) -> None:
        super().__init__()
        self.interrupted = interrupted


@dataclass(frozen=True, slots=True)
class Asides:
    """What can be answered to any question of a step: `?` and `c`; what they say, as lines."""

    help: Callable[[], Sequence[str]] = tuple
    commands: Callable[[], Sequence[str]] = tuple


@dataclass(slots=True)
class Talk:
    """One conversation over two streams."""

    answers: TextIO
    lines: TextIO
    plain: bool = False
    asking: bool = field(default=False, init=False)
    """Whether an answer is waited for: a signal then ends the conversation at once."""
    ended: bool = field(default=False, init=False)
    """Whether a signal came that ends it, while something else was done: no question is asked any more."""
    _told: float = field(default=0.0, init=False)

    @classmethod
    def here(cls, *, plain: bool) -> "Talk":
        """The conversation at this program's own terminal."""
        in_ascii = plain or wants_plain(as_started(os.environ))
        if in_ascii:
            keep_to_ascii()
        return cls(sys.stdin, sys.stdout, in_ascii)

    def say(self, text: str = "", end: str = "\n") -> None:
        """Text, made safe line by line; raises `Leave` where the terminal is gone."""
        text = "\n".join(map(safe, text.split("\n")))
        try:
            self.lines.write((to_ascii(text) if self.plain else text) + end)
            self.lines.flush()
        except OSError as error:
            raise Leave(interrupted=True) from error

    def read(self, question: str, asides: Asides) -> str:
        """What is typed behind a question; `?`, `c` and `q` are answered here.

        Raises `Leave` for `q` and at the end of the answers.
        """
        while True:
            self.say(question, end=" ")
            self.asking = True
            try:
                if self.ended:
                    raise Leave(interrupted=True)
                line = self.answers.readline()
            except OSError as error:  # the terminal is gone
                raise Leave(interrupted=True) from error
            finally:
                self.asking = False
            if not line:
                self.say()
                raise Leave
            if not self.answers.isatty():  # a terminal shows what is typed; a record of the talk should too
                self.say(line.rstrip("\n"))
            answer = line.strip()
            if answer == "q":
                raise Leave
            if answer not in ("?", "c"):
                return answer
            told = asides.help() if answer == "?" else asides.commands()
            for one in told or [_("Nothing is run at this step.")]:
                self.say(one)

    def text(self, question: str, asides: Asides) -> str:
        """A word or a path; `BACK` for `b` and for nothing."""
        answer = self.read(question, asides)
        return BACK if answer == "b" else answer

    def choose(self, question: str, choices: Sequence[tuple[str, str]], asides: Asides) -> str:
        """The name of the one that is chosen by its number; `BACK` for `b`."""
        self.say()
        self.say(question)
        for number, (_name, line) in enumerate(choices, 1):
            self.say(f"{number}: {line}")
        while True:
            answer = self.read(_("A number, b back, ? help, c commands, q leave:"), asides)
            if answer == "b":
                return BACK
            if number := numbered(answer, len(choices)):
                return choices[number - 1][0]
            self.say(_("That is none of the answers."))

    def sure(self, question: str, asides: Asides) -> bool:
        """Whether the person says yes in full."""
        return self.text(sentences((question, _("Type yes:"))), asides) == "yes"

    def progress(self, progress: Progress) -> None:
        """A line of progress every ten seconds."""
        now = time.monotonic()
        if now - self._told < EVERY:
            return
        self._told = now
        parts = [size(progress.bytes_done)]
        if progress.bytes_total:
            parts[0] = _("{done} of {total}").format(done=parts[0], total=size(progress.bytes_total))
        done = progress.files_done
        parts.append(ngettext("{count} file", "{count} files", done).format(count=done))
        if progress.seconds_left is not None:
            parts.append(about(progress.seconds_left))
        self.say(listed([progress.phase, *parts]))


def numbered(word: str, most: int) -> int:
    """A number from 1 to `most` that was typed; 0 for anything else."""
    number = int(word) if word.isascii() and word.isdigit() and len(word) < 10 else 0
    return number if number <= most else 0
