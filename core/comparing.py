"""What an overlay would change on its disk: file by file in the volumes that it touches, else in bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.disks.model import Disk
from core.disks.overlay import Extent, length, within
from core.errors import Cancelled, SalvageError
from core.files.changes import Change, Tally, census, compare, settle
from core.i18n import _
from core.runner import Runner
from core.session import Session
from core.text import safe, size
from core.undo.state import StateFolder
from core.volumes.model import Volume


@dataclass(frozen=True, slots=True)
class Touched:
    """A volume that the overlay holds something of."""

    id: str
    title: str
    content: str | None
    bytes: int
    """Bytes of the volume that the overlay holds, in whole clusters."""
    trouble: str = ""
    """Why its files were not compared; empty when they were."""

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "content": self.content,
            "bytes": self.bytes,
            "compared": not self.trouble,
            "trouble": self.trouble,
        }


@dataclass(frozen=True, slots=True)
class Changes:
    """What committing would change. Sizes in bytes."""

    added: int
    removed: int
    changed: int
    unread: int
    first: tuple[Change, ...]
    volumes: tuple[Touched, ...]
    outside: int
    """Bytes outside of every volume: the partition table, and what lies between."""
    bytes: int
    """All that the overlay holds, in whole clusters."""

    @property
    def total(self) -> int:
        return self.added + self.removed + self.changed

    def to_json(self) -> dict[str, Any]:
        return {
            "added": self.added,
            "removed": self.removed,
            "changed": self.changed,
            "unread": self.unread,
            "first": [change.to_json() for change in self.first],
            "volumes": [one.to_json() for one in self.volumes],
            "outside": self.outside,
            "bytes": self.bytes,
        }

    def lines(self) -> list[str]:
        """The changes for a person, a line each."""
        summary = _(
            "Against what lies on the disk: files added: {added}, removed: {removed}, changed: {changed}."
        )
        told = [summary.format(added=self.added, removed=self.removed, changed=self.changed)]
        told += ["  " + change.sentence() for change in self.first]
        if self.total > len(self.first):
            more = self.total - len(self.first)
            told.append("  " + _("and {count} more").format(count=more))
        if self.unread:
            told.append(_("Entries that could not be looked at: {count}.").format(count=self.unread))
        for one in self.volumes:
            words = _("Of {volume} ({content}) the overlay holds {size}.").format(
                volume=one.title, content=safe(one.content or "?"), size=size(one.bytes)
            )
            told.append(f"{words} {one.trouble}".strip())
        if self.outside:
            told.append(_("Outside of every volume it holds {size}.").format(size=size(self.outside)))
        return told


def changes(
    state: StateFolder,
    runner: Runner,
    disk: Disk,
    overlay: Path,
    allow: Sequence[Path],
    extents: Sequence[Extent],
    live: Mapping[int, Path] | None = None,
) -> Changes:
    """Compare the disk with what is seen through the overlay, both at a clean state.

    `live` says where volumes are mounted over the overlay now, by the byte of the disk at which each begins;
    then nothing else can look through it.

    Each is looked at through a throw-away overlay, in which the journals of the file systems are
    replayed; neither is written to. Raises SalvageError where one of them cannot be shown, `Cancelled`.
    """
    tally = Tally()
    touched: list[Touched] = []
    inside = 0
    with Session(state, runner) as before, Session(state, runner) as after:
        before.select(str(disk.path), disk.format, allow)
        before.protect(overlay=True)
        if live is None:
            after.select(str(overlay), "qcow2", [*allow, *disk.files])
            after.protect(overlay=True)
        for volume in before.inspect().volumes:
            if volume.apart:
                continue  # what was written to it is told by the volume that it lies in
            held = length(within(extents, volume.offset, volume.offset + volume.size))
            inside += 0 if volume.inside else held
            if held:
                if live is None:
                    trouble = _compared(before, after, volume, tally)
                else:
                    trouble = _compared_live(before, live.get(volume.offset), volume, tally)
                touched.append(Touched(volume.id, volume.title, volume.content, held, trouble))
    whole = length(extents)
    return Changes(
        tally.added,
        tally.removed,
        tally.changed,
        tally.unread,
        tally.first,
        tuple(touched),
        max(0, whole - inside),
        whole,
    )


def _compared(before: Session, after: Session, volume: Volume, tally: Tally) -> str:
    """Compare the files of one volume; why that cannot be done, empty when it was."""
    cancel = before.runner.cancel
    try:
        root = before.open(volume.id).root
        with before.guest():
            taken = census(root, cancel)
        before.close_tree()
        root = after.open(volume.id).root
        with after.guest():
            doubts = compare(taken, root, cancel, tally)
        after.close_tree()
        if doubts.digests:
            root = before.open(volume.id).root
            with before.guest():
                settle(doubts, root, cancel, tally)
            before.close_tree()
    except Cancelled:
        raise
    except SalvageError as error:
        return _("Its files were not compared: {why}").format(why=error.what)
    return ""


def _compared_live(before: Session, point: Path | None, volume: Volume, tally: Tally) -> str:
    """The same with a volume that is mounted over the overlay at `point`, and may change meanwhile."""
    cancel = before.runner.cancel
    if point is None:
        return _("Its files were not compared: it is not mounted.")
    if not (volume.content or "").startswith("ext"):
        return _("Its files can only be compared when it is not mounted: two of one UUID are mixed up.")
    try:
        root = before.open(volume.id).root
        with before.guest():
            taken = census(root, cancel)
            doubts = compare(taken, point, cancel, tally)
            settle(doubts, root, cancel, tally)
        before.close_tree()
    except Cancelled:
        raise
    except SalvageError as error:
        return _("Its files were not compared: {why}").format(why=error.what)
    return ""
