"""What came of a copy."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from core.files.entry import named
from core.files.owners import Owners
from core.files.verify import Verified
from core.i18n import _, ngettext
from core.text import duration, grouped, safe, size

Why = Literal["unread", "taken", "unwritten"]
"""Not read; read, but something else bears its name in the target; read, but not written to the target."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something of the guest that is not, or not wholly, in the copy."""

    path: bytes
    """The path on the guest's volume."""
    error: str
    """What happened, as a sentence."""
    why: Why = "unread"

    @property
    def title(self) -> str:
        """What did not come about, at the head of a list."""
        return _("Not read") if self.why == "unread" else _("Not copied")

    def told(self) -> str:
        """The same with the path and the reason, as one line."""
        told = _("not read: {path}: {what}")
        if self.why != "unread":
            told = _("not copied: {path}: {what}")
        return told.format(path=safe(self.path), what=self.error)


@dataclass(frozen=True, slots=True)
class Lost:
    """Something about an entry that the target could not keep."""

    path: bytes
    """The path on the guest's volume."""
    what: str
    """What is missing, as a sentence."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A finished copy, which may have gaps: see `unreadable` and `lost_metadata`."""

    files: int
    """Names of regular files, those that were already there included."""
    directories: int
    symlinks: int
    others: int
    """Named pipes and sockets."""
    bytes: int
    """Sizes of the files as they read, holes included, each hard-linked file once."""
    seconds: float
    manifest: Path
    unreadable: list[Unreadable]
    lost_metadata: list[Lost]
    skipped_same: int
    """Files that an earlier run had already brought."""
    sidecar: Path | None = None
    """Where that lies which the target could not keep."""
    verified: Verified = field(default_factory=Verified)
    owners: Owners = field(default_factory=Owners)
    replaced: int = 0
    kept_both: int = 0

    @property
    def whole(self) -> bool:
        """Everything was read and everything was kept."""
        return not self.unreadable and not self.lost_metadata

    @property
    def has_taken(self) -> bool:
        """Whether something was left out since something else bears its name in the target."""
        return any(gap.why == "taken" for gap in self.unreadable)

    def to_json(self) -> dict[str, object]:
        """The outcome as `copy --json` prints it."""
        return {
            "files": self.files,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            **named("manifest", os.fsencode(self.manifest)),
            "unreadable": [
                {**named("path", gap.path), "error": gap.error, "why": gap.why} for gap in self.unreadable
            ],
            "lost_metadata": [{**named("path", lost.path), "what": lost.what} for lost in self.lost_metadata],
            "sidecar": os.fsdecode(self.sidecar) if self.sidecar else None,
            "verified": {
                "files": self.verified.files,
                "parts_of": self.verified.parts,
                "bytes": self.verified.size,
                "all": self.verified.whole,
                "wrong": [os.fsdecode(path) for path in self.verified.wrong],
            },
            "replaced": self.replaced,
            "kept_both": self.kept_both,
        }


def verified_told(copied: Copied) -> str:
    """How much of a copy was read back from the target and compared, as words."""
    verified = copied.verified
    if verified.whole:
        return _("all of it")
    if not verified.files and not verified.parts:
        return _("nothing")
    told = _("{files} of {all} files, {size}")
    if verified.parts:
        told = ngettext(
            "{files} of {all} files and parts of {parts} large one, {size}",
            "{files} of {all} files and parts of {parts} large ones, {size}",
            verified.parts,
        )
    return told.format(
        files=grouped(verified.files),
        all=grouped(copied.files),
        parts=grouped(verified.parts),
        size=size(verified.size),
    )


def there_told(copied: Copied) -> str:
    """How many files an earlier copy had brought, as a sentence; empty where it had brought none."""
    count = copied.skipped_same
    return (
        ngettext("Already there: {count} file", "Already there: {count} files", count).format(
            count=grouped(count)
        )
        if count
        else ""
    )


def came_told(copied: Copied) -> str:
    """How many files there are, and how long it took; how much that is, unless all was there already."""
    time = duration(copied.seconds)
    if copied.skipped_same and copied.skipped_same == copied.files:
        return _("nothing new in {time}").format(time=time)
    told = ngettext("{files} file, {size}, in {time}", "{files} files, {size}, in {time}", copied.files)
    return told.format(files=grouped(copied.files), size=size(copied.bytes), time=time)
