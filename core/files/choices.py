"""What a person may choose about a copy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.files.entry import Entry

Existing = Literal["leave", "both", "replace", "ask"]
"""What becomes of something else that bears the name in the target: it is left and told, both are kept,
the guest's takes its place, or somebody is asked each time."""

Verify = Literal["fits", "all", "none"]
"""How much of what was written is read back: as much as costs little time, all of it, nothing."""


@dataclass(frozen=True, slots=True)
class Clash:
    """Two things of one name: the guest's and another one that is in the target."""

    path: bytes
    """On the guest's volume."""
    guest: Entry
    there: Entry


def _nobody(_clash: Clash) -> Existing:
    return "leave"


def _unheard(_sentence: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class Choices:
    """How a copy is made; without a word it is the cautious way."""

    existing: Existing = "leave"
    decide: Callable[[Clash], Existing] = _nobody
    """Whom `ask` asks; called from the thread that copies."""
    paths: bool = False
    """Keep the guest's whole paths below the target; else each source comes under its own name."""
    privileges: bool = False
    """Give setuid, setgid, file capabilities and the flags immutable and append-only to the copies."""
    devices: bool = False
    """Make device nodes."""
    verify: Verify = "fits"
    bad_map: Path | None = None
    """A map of GNU ddrescue that tells what of the disk could not be read; None: the one beside the disk."""
    bad: Sequence[tuple[int, int]] = ()
    """Where the volume is known to be unreadable, in bytes from its start, the ends not included."""
    origin: bytes = b""
    """What tells the volume from others: a cut-off copy of another one is not gone on with."""
    tell: Callable[[str], None] = _unheard
    """Gets sentences that a person should know before the copy goes on."""


CAUTIOUS = Choices()
