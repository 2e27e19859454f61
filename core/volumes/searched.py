"""The volumes of a disk whose table was put together by a search, and what the search set aside."""

from dataclasses import dataclass, replace
from pathlib import Path

from core.disks.view import View
from core.i18n import _
from core.runner import Runner
from core.tables.content import Content, probe
from core.tables.lost.candidate import Candidate
from core.tables.lost.layout import layout
from core.tables.lost.rivals import Rejected
from core.tables.lost.script import script
from core.tables.lost.search import Found
from core.tables.model import Json, Partition
from core.volumes.filesystems import FILE_SYSTEMS
from core.volumes.inspecting import with_layers
from core.volumes.model import Inspection, Volume, of_disk, of_partition

MOST = 50
"""Of what was set aside, so much is offered as volumes; the rest is counted."""
_EXT = frozenset({"ext2", "ext3", "ext4"})


@dataclass(frozen=True, slots=True)
class SetAside:
    """A candidate that did not make it into the table; it can be opened all the same, by its volume's id."""

    volume: Volume
    reason: str

    def to_json(self) -> Json:
        return {**self.volume.to_json(), "offset": self.volume.offset, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Searched(Inspection):
    """What a search says of a disk, in the place of its own table."""

    found: Found
    aside: tuple[SetAside, ...]

    def volume(self, name: str) -> Volume:
        """The volume of that id, also of what was set aside; WrongUsage lists those of the table."""
        for one in self.aside:
            if one.volume.id == name:
                return one.volume
        # a dataclass with slots is made anew, so that super() without arguments finds the wrong class
        return Inspection.volume(self, name)

    @property
    def more(self) -> int:
        """How many more were set aside than are offered."""
        return sum(not one.copy for one in self.found.rejected) - len(self.aside)

    @property
    def sfdisk(self) -> str:
        """The table as a script for sfdisk(8)."""
        return script(self.table)

    def to_json(self) -> Json:
        """What `inspect --json` says of the search beside the table and the volumes."""
        return {
            "read": self.found.read,
            "unreadable": self.found.unreadable,
            "seconds": round(self.found.seconds, 3),
            "runners_up": [one.to_json() for one in self.aside],
            "runners_up_count": len(self.aside) + self.more,
            "sfdisk": self.sfdisk,
        }


def searched(view: View, found: Found, sector_size: int, scratch: Path, runner: Runner) -> Searched:
    """The table that fits what was found, and its volumes; `sector_size` in bytes is the medium's own."""
    table = layout(found, sector_size)
    at = {one.start: one for one in found.chosen}
    volumes = [
        _volume(part, at[part.offset], probe(view.path, part.offset, part.size, runner))
        for part in table.partitions
        if part.kind != "extended" and part.offset < view.size
    ]
    if not volumes or 0 in at:
        volumes.insert(0, of_disk(view.size, probe(view.path, 0, view.size, runner)))
    own = [one for one in found.rejected if not one.copy]
    aside = [_set_aside(number, one) for number, one in enumerate(own[:MOST], start=1)]
    return Searched(table, with_layers(view, volumes, scratch, runner), found, tuple(aside))


def _volume(part: Partition, candidate: Candidate, content: Content) -> Volume:
    """The volume of a partition; the search knows more than libblkid where the beginning is lost."""
    volume = of_partition(part, content)
    if candidate.primary:
        return volume
    told = _lost_beginning(candidate)
    return replace(
        volume,
        content=candidate.content,
        label=candidate.label,
        uuid=candidate.uuid,
        candidates=(),
        problems=(*volume.problems, told),
        superblock=_superblock(candidate),
    )


def _superblock(candidate: Candidate) -> int | None:
    """Bytes from the start of the volume to the superblock that the kernel is to be pointed to."""
    if candidate.primary or candidate.content not in _EXT:
        return None
    return candidate.superblock - candidate.start


def _lost_beginning(candidate: Candidate) -> str:
    if candidate.content in _EXT:
        return _("Its first superblock is lost; it is opened by the copy at byte {place} of it.").format(
            place=candidate.superblock - candidate.start
        )
    return _(
        "Its first superblock is lost, and the kernel cannot be pointed to a copy: repair it on a copy of"
        " the disk, or on an overlay."
    )


def _set_aside(number: int, rejected: Rejected) -> SetAside:
    one = rejected.candidate
    problems = () if one.primary or one.content not in FILE_SYSTEMS else (_lost_beginning(one),)
    volume = Volume(
        f"alt{number}",
        "partition",
        one.start,
        one.size,
        one.content,
        one.label,
        one.uuid,
        problems,
        superblock=_superblock(one),
    )
    return SetAside(volume, rejected.reason)
