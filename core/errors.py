"""What went wrong, what it means for the data, what to do next.

Every error that a person can meet is a `SalvageError`: three short sentences and an exit status
(see the table of exit statuses in the README). Anything else that escapes is a bug of ours.
"""

from enum import IntEnum
from pathlib import Path

from core.i18n import sentences


class Exit(IntEnum):
    """Exit statuses of the program."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    IN_PART = 4
    INTERRUPTED = 130


_ENDS = frozenset(".!?:;。！？：；")


class SalvageError(Exception):
    """Something could not be done.

    `what` happened, what it means for the data (`meaning`), what to do next (`remedy`):
    whole sentences, already in the person's language, with foreign names already made safe.
    """

    status = Exit.FAILED

    def __init__(self, what: str, meaning: str = "", remedy: str = "") -> None:
        self.what = what
        self.meaning = meaning
        self.remedy = remedy
        super().__init__(what)

    def paragraph(self) -> str:
        """The whole message as one paragraph; what another program said may want its full stop."""
        parts = [part for part in (self.what, self.meaning, self.remedy) if part]
        ended = [part if part[-1] in _ENDS else f"{part}." for part in parts[:-1]]
        return sentences([*ended, *parts[-1:]])


class WrongUsage(SalvageError):
    """The command line asks for something that does not exist or does not fit together."""

    status = Exit.USAGE


class SameName(WrongUsage):
    """Two sources would bear one name in the target; with the guest's whole paths they have two."""


class SeveralMembers(WrongUsage):
    """The archive holds several files that may be the disk; only the operator can say which."""

    def __init__(self, members: tuple[tuple[str, int], ...], what: str, meaning: str, remedy: str) -> None:
        super().__init__(what, meaning, remedy)
        self.members = members
        """Their names and bytes."""


class Refused(SalvageError):
    """Going on would be unsafe; the remedy says what would make it safe."""

    status = Exit.REFUSED


class WantsOverlay(Refused):
    """What would be written to the disk by opening it can go to an overlay."""


class AlreadyThere(Refused):
    """The archive that is to be written is there already."""


class NotEmpty(Refused):
    """The folder at which something is to be mounted has something in it."""


class PointsOutside(Refused):
    """The disk's header points to `path`, which the operator has not allowed."""

    def __init__(self, path: Path, what: str, meaning: str, remedy: str) -> None:
        super().__init__(what, meaning, remedy)
        self.path = path


class Ambiguous(Refused):
    """The disk can be read as any of `formats`; only the operator can say which."""

    def __init__(self, formats: tuple[str, ...], what: str, meaning: str, remedy: str) -> None:
        super().__init__(what, meaning, remedy)
        self.formats = formats


class NeedsPassphrase(Refused):
    """The image at `path` is encrypted, and its passphrase was not given, or a wrong one (`again`)."""

    def __init__(self, path: Path, what: str, meaning: str, remedy: str, *, again: bool = False) -> None:
        super().__init__(what, meaning, remedy)
        self.path = path
        self.again = again


class DoneInPart(SalvageError):
    """The work ended, but not everything could be read or kept."""

    status = Exit.IN_PART


class Cancelled(SalvageError):
    """The operator or a signal stopped the work; everything has been or is being taken down."""

    status = Exit.INTERRUPTED


class NoSpace(SalvageError):
    """It does not fit on the target."""


class NeedsRoot(SalvageError):
    """The step needs rights that this user does not have."""


class ToolMissing(SalvageError):
    """A program of the system that the step needs is not installed."""
