"""What a person has chosen on the way, and what stands because of it: values that the screens hand on."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from core.disks.model import Disk
from core.lab.lab import Lab
from core.session import Session
from core.undo.account import Entry


class Protection(Enum):
    """How the disk is kept from harm."""

    READ = "read"
    OVERLAY = "overlay"


@dataclass(frozen=True, slots=True)
class Wish:
    """The disk that the operator named, with their word on it."""

    given: str
    format: str | None = None
    allow: tuple[Path, ...] = ()
    snapshot: str | None = None
    """The number of the internal snapshot to work on, instead of the present state."""
    backing: tuple[Path, ...] = ()
    """What stands in for missing backing files, from the top down."""
    member: str | None = None
    """The file of an archive that is the disk, where there are several."""

    def select(self, session: Session) -> Disk:
        """Choose it in a session."""
        return session.select(
            self.given,
            self.format,
            self.allow,
            snapshot=self.snapshot,
            backing=self.backing,
            member=self.member,
        )


@dataclass(frozen=True, slots=True)
class InSight:
    """A volume mounted where everybody sees it; it outlives the wizard."""

    session: str
    point: Path
    title: str
    writable: bool
    entries: tuple[Entry, ...] = ()
    """What its session put up."""


@dataclass(frozen=True, slots=True)
class Exercise:
    """A practice disk that is being worked on."""

    lab: Lab
    disk: Path
    guided: bool = False
    """Whether a coach speaks at each step."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What one session has up, the last first."""

    session: str
    disk: str
    entries: tuple[Entry, ...]
    ours: bool
    """Whether it is the road itself; what is mounted in sight has a session of its own."""
