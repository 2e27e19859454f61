"""The ground that a command of a lab stands on: what lies inside the lab, and what is outside."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core import loops
from core.i18n import N_
from core.lab.lab import Lab, Place
from core.lab.record import Record
from core.undo.state import StateFolder

_FREE = ("/dev/null", "/dev/zero", "/dev/stdout", "/dev/stdin")
"""What may be named although it lies outside: nothing can be learned or spoilt there."""


@dataclass(frozen=True, slots=True)
class Ground:
    """One lab's folder, with what the words of a command may mean in it."""

    lab: Lab
    home: Path
    record: Record

    @property
    def places(self) -> tuple[Place, ...]:
        return self.record.places

    def path(self, word: str) -> Path:
        """Where a word leads, links followed to their end."""
        return Path(os.path.realpath(self.home / word))

    def inside(self, word: str) -> bool:
        """Whether a word leads to something of the lab: its folder, or a loop device on a file in it."""
        if word in _FREE:
            return True
        path = self.path(word)
        if str(path).startswith("/dev/loop"):
            return self.loop(word) is not None
        return path.is_relative_to(os.path.realpath(self.home))

    def loop(self, word: str) -> loops.Loop | None:
        """The loop device that a word names, if what is behind it lies in the lab."""
        path = self.path(word)
        found = loops.loop(str(path)) if str(path).startswith("/dev/loop") else None
        return found if found and found.backing.startswith(f"{os.path.realpath(self.home)}/") else None

    def original(self, word: str) -> bool:
        """Whether a word names a disk that must not change, or a loop device on one."""
        path = self.path(word)
        found = self.loop(word)
        behind = Path(found.backing) if found else path
        return behind in {Path(os.path.realpath(self.home / one.name)) for one in self.record.originals}

    def image_format(self, word: str) -> str:
        """The format of an image of the lab that is no raw one; empty for everything else."""
        try:
            with open(self.path(word), "rb") as source:
                magic = source.read(8)
        except OSError:
            return ""
        for format, begin in (("qcow2", b"QFI\xfb"), ("vmdk", b"KDMV"), ("vhdx", b"vhdxfile")):
            if magic.startswith(begin):
                return format
        return ""

    @property
    def must_stop(self) -> str:
        """Why the disk must not be read at all, as a sentence that is still to be translated; empty if it
        may."""
        if self.lab.goal.kind != "stop":
            return ""
        if self.lab.goal.reason == "running":
            return N_("A program has this disk open for writing: what is read now is neither old nor new.")
        return N_("This disk must not be opened before somebody looked at what its header names.")

    def others(self) -> set[str]:
        """The mount points and devices that belong to a colleague's session at work."""
        theirs = {one.target for one in self.record.standing if one.foreign and one.what == "session"}
        found: set[str] = set()
        for known in StateFolder(self.home.parent.parent).known():
            if known.account.session in theirs:
                found |= {entry.target for entry in known.account.standing}
        return found

    def named(self, words: tuple[str, ...]) -> Iterator[str]:
        """The words and parts of words that may be paths."""
        for word in words:
            for part in word.split(","):
                value = part.partition("=")[2] or part
                if "/" in value or os.path.lexists(self.home / value):
                    yield value
