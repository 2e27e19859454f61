"""An overlay's way back into its disk: the one act of this program that writes to an original.

In this order, each step alone on the caller's word: take down what stands on the overlay, see what
changed, back the disk up, write, verify, let the overlay go. The overlay stays as it is until the disk is
proved to hold the same, so a commit that is cut off anywhere is done once more from the start of writing.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core import conditions
from core.command import Command
from core.comparing import Changes, changes
from core.conditions import mounted, refused, write_out
from core.disks import overlay as overlays
from core.disks.extents import LONG, hearing
from core.disks.model import Disk, Link
from core.disks.outlook import outlook
from core.disks.overlay import Extent, flush, graph, named
from core.disks.vet import blockdev
from core.errors import Cancelled, Refused, SalvageError
from core.files.progress import Meter, Progress
from core.i18n import _, sentences
from core.runner import CommandFailed, Runner
from core.session import Session
from core.text import safe
from core.undo.account import Entry, HalfWritten
from core.undo.journal import NAME, Journal
from core.undo.pairs import known_kind
from core.undo.stack import Release, Stack
from core.undo.state import Known, StateFolder

Listener = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Committed:
    """A disk that holds what its overlay held. Sizes in bytes."""

    session: str
    disk: Path
    bytes: int
    """What the overlay held, in whole clusters."""
    backup: tuple[Path, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The outcome as `commit --json` prints it."""
        return {
            "session": self.session,
            "disk": safe(self.disk),
            "bytes": self.bytes,
            "backup": [safe(path) for path in self.backup],
            "seconds": round(self.seconds, 3),
            "verified": True,
        }


class Commit:
    """One session's overlay and its disk. A context manager: the session's journal is ours meanwhile."""

    def __init__(self, state: StateFolder, runner: Runner, known: Known, allow: Sequence[Path] = ()) -> None:
        """Raises `Refused` where the session has no overlay, or one that does not fit its disk any more."""
        self.runner = runner
        self.half: HalfWritten | None = known.account.half
        """A commit that was begun and not ended, by this program or one before it."""
        self._state = state
        self._allow = list(allow)
        self._session = known.account.session
        self._entry = conditions.overlay_of(known)
        self.overlay = Path(self._entry.target)
        self.disk = conditions.same_disk(self._entry, self._allow, runner, changed=bool(self.half))
        self._journal: Journal | None = None
        self._extents: list[Extent] | None = None

    def __enter__(self) -> "Commit":
        path = self._state.sessions / self._session / NAME
        self._journal = Journal.adopt(path)
        if self._journal is None:
            raise Refused(
                _("Session {name} is at work.").format(name=safe(self._session)),
                _("Nothing was changed."),
                _("End that program first, or let it commit by itself."),
            )
        return self

    def __exit__(self, *_error: object) -> None:
        if self._journal:
            self._journal.close()
            self._journal = None

    @property
    def name(self) -> str:
        """What the operator has to type before the disk is written."""
        return self.disk.path.name

    @property
    def extents(self) -> list[Extent]:
        """The stretches of the disk that the overlay holds; known when nothing stands on it any more."""
        if self._extents is None:
            self._extents = overlays.written(self.overlay, self.runner)
        return self._extents

    @property
    def standing(self) -> list[Entry]:
        """What stands on the overlay and must come down first, last first."""
        assert self._journal
        return [one for one in self._journal.account().standing if one.number > self._entry.number]

    # -- what must be so ----------------------------------------------------------------------------

    def require_sound(self) -> None:
        """Raise `Refused` where something that was written is not in the overlay."""
        conditions.nothing_lost(self.overlay, self.standing)

    def require_ready(self) -> tuple[str, ...]:
        """Raise `Refused` unless the overlay is whole and the disk nobody's; what else must be known.

        Nothing may stand on the overlay any more.
        """
        conditions.whole(self.overlay, self.runner)
        return conditions.alone(self.disk, self._session, self._state, self.runner)

    def require_room(self) -> None:
        """Raise `NoSpace` where the disk's file system has no room for what the disk may grow by."""
        conditions.room_to_grow(self.disk, overlays.length(self.extents))

    # -- the steps ----------------------------------------------------------------------------------

    def take_down(self) -> list[Release]:
        """Take down the mount and all else that stands on the overlay; the overlay stays.

        Raises `Refused` when something of it is held.
        """
        assert self._journal
        releases = Stack(self._journal, self.runner).release_to(self._entry.number)
        stuck = [release.note for release in releases if not release.released]
        if stuck:
            raise Refused(
                sentences(stuck),
                _("Nothing was written to the disk; the overlay is kept."),
                _("End what holds it, then run the same command again."),
            )
        return releases

    def changes(self) -> Changes:
        """What would change on the disk; see `core.comparing`.

        While the overlay is mounted, what the mount shows now.
        """
        live = mounted(self.standing) if self.standing else None
        if live is not None:
            for point in live.values():
                write_out(point)
            self._extents = overlays.written(self.overlay, self.runner, shared=True)
        return changes(self._state, self.runner, self.disk, self.overlay, self._allow, self.extents, live)

    def plan(self, dest: Path | None) -> None:
        """Everything that is run after the operator's word, for a runner that only writes it down."""
        assert self.runner.planning
        for entry in (*self.standing,):
            for command in _gone(entry):
                self.runner.run(command)
        place = dest or self.beside()
        backup = () if self.half else self.back_up(place, lambda _progress: None)
        several = len(self.disk.files) > 1
        if not self.half and not backup:
            backup = tuple(place / path.name if several else place for path in self.disk.files)
        self._commit(lambda _progress: None)
        self._verify(backup, lambda _progress: None)
        self._finish()

    def back_up(self, dest: Path | None, progress: Listener) -> tuple[Path, ...]:
        """Make a verified backup of the disk, beside it if nothing else is said; its files.

        Raises `Refused` where the disk cannot be read whole, and what `core.disks.backup` raises.
        """
        with Session(self._state, self.runner) as session:
            session.select(str(self.disk.path), self.disk.format, self._allow)
            done = session.backup(
                dest or self.beside(),
                lambda one: progress(replace(one, phase=_("Backing the disk up"))),
            )
        if done.unreadable:
            raise refused(
                _("The backup is not whole: parts of the disk cannot be read."),
                _("The disk may be failing: do not write to it. The backup is kept: {path}").format(
                    path=safe(done.paths[0])
                ),
            )
        return tuple(done.paths)

    def warnings(self, dest: Path) -> tuple[str, ...]:
        """What speaks against a backup at `dest`, such as that it lies on the disk's own medium."""
        seen = outlook(self.disk, dest)
        return (*((seen.refusal,) if seen.refusal else ()), *seen.warnings)

    def beside(self) -> Path:
        """Where the backup goes when nothing else is said; raises `Refused` for a block device."""
        if self.disk.is_block_device:
            raise refused(
                _("{path} is a block device: nothing can be kept beside it.").format(
                    path=safe(self.disk.path)
                ),
                _("Say where the backup is to go: --backup DEST"),
            )
        stamp = time.strftime("%Y%m%d-%H%M%S")
        return self.disk.path.with_name(f"{self.disk.path.name}.before-commit-{stamp}")

    def write(self, typed: str, backup: tuple[Path, ...], progress: Listener) -> Committed:
        """Write the overlay into the disk, prove that it is there, and let the overlay go.

        `typed` is what the operator typed as the disk's name. `Refused` unless it is that, and unless
        nobody has the disk open. When it is cut off, `status` tells so, and this goes on from the start.
        """
        assert self._journal
        self.require_typed(typed)
        conditions.alone(self.disk, self._session, self._state, self.runner)
        self.require_room()
        began = time.monotonic()
        if self.half:
            backup = tuple(Path(path) for path in self.half.backup)
        held = overlays.length(self.extents)
        self._journal.append("committing", n=self._entry.number, backup=[str(path) for path in backup])
        try:
            self._commit(progress)
            self._verify(backup, progress)
        except Cancelled as error:
            told = self._cut_off("")
            raise Cancelled(error.what, told.meaning, told.remedy) from error
        self._journal.append("committed", n=self._entry.number)
        self._finish()
        return Committed(self._session, self.disk.path, held, backup, time.monotonic() - began)

    def require_typed(self, typed: str) -> None:
        """Raise `Refused` unless that is the disk's name."""
        if typed != self.name:
            raise refused(
                _("That is not the name of the disk, which is {name}.").format(name=safe(self.name)),
                _("Run the same command again, or `undo` throws the overlay away."),
            )

    def abandon(self, typed: str) -> None:
        """Give up a commit that was cut off: the disk stays as it is, the overlay may go."""
        assert self._journal
        self.require_typed(typed)
        self._journal.append("abandoned", n=self._entry.number)

    # -- writing ------------------------------------------------------------------------------------

    def _meter(self, progress: Listener, phase: str, total: int) -> Meter:
        """Of one part of the work: what qemu-img tells is a percentage, and no bytes that were moved."""
        meter = Meter(progress, 1, total, phase=phase, rated=False)
        meter.begin(os.fsencode(self.name), total)
        return meter

    def _commit(self, progress: Listener) -> None:
        planning = self.runner.planning
        held = 0 if planning else overlays.length(self.extents)
        meter = self._meter(progress, _("Writing into the disk"), held)
        source = named(graph(self.overlay, blockdev(self.disk, "disk", writable=True)))
        command = Command(
            ("qemu-img", "commit", "-d", "-p", source),
            why=_("Write what the overlay holds into the disk's own file, and into no other of its chain."),
            effect=_("the disk is changed; the overlay stays as it is"),
            limits=LONG,
        )
        try:
            self.runner.run(command, hear=hearing(meter, held))
        except CommandFailed as failure:
            raise self._cut_off(failure.what) from failure
        meter.finish()
        sync = Command(
            ("sync", *map(str, self.disk.chain[0].files)),
            why=_("Have all of it on the medium."),
            effect=_("nothing of it is only in memory"),
            by_hand=True,
        )
        self.runner.perform(sync, self._flush, planned=None)

    def _flush(self) -> None:
        try:
            for path in self.disk.chain[0].files:
                flush(path)
        except OSError as error:
            raise self._cut_off(safe(os.strerror(error.errno or 0))) from error

    def _verify(self, backup: tuple[Path, ...], progress: Listener) -> None:
        """Compare the disk with the overlay over the backup, or over the disk where there is no backup."""
        meter = self._meter(progress, _("Comparing it with what was seen before"), self.disk.virtual_size)
        below = blockdev(_on_backup(self.disk, backup, planned=self.runner.planning), "backup")
        command = Command(
            (
                "qemu-img",
                "compare",
                "-p",
                named(graph(self.overlay, below)),
                named(blockdev(self.disk, "now")),
            ),
            why=_("Prove that the disk holds what was seen through the overlay, and is else what it was."),
            effect=_("nothing is changed; without this proof the overlay does not go"),
            limits=LONG,
        )
        try:
            self.runner.run(command, hear=hearing(meter, self.disk.virtual_size))
        except CommandFailed as failure:
            raise self._cut_off(_("The disk is not what was to be written to it.")) from failure
        meter.finish()

    def _cut_off(self, why: str) -> SalvageError:
        assert self._journal
        self.half = self._journal.account().half
        return SalvageError(
            _("The commit could not be ended. {why}").format(why=why),
            _("The overlay is kept."),
            self.half.sentence(self._session) if self.half else "",
        )

    def _finish(self) -> None:
        assert self._journal
        if self.runner.planning:
            for command in _gone(self._entry):
                self.runner.run(command)
            return
        stack = Stack(self._journal, self.runner)
        stack.release_to()
        if not stack.standing:
            self._state.forget(self._journal)


def _gone(entry: Entry) -> tuple[Command, ...]:
    kind = known_kind(entry)
    return kind.undo(entry.target, entry.identity) if kind else ()


def _on_backup(disk: Disk, backup: tuple[Path, ...], *, planned: bool) -> Disk:
    """The disk with the files of its backup in the place of its own; itself where those are not all there.

    The extents of a VMDK are found by its own descriptor, which names those beside it.
    """
    copies = dict(zip(disk.files, backup, strict=False))
    whole = len(copies) == len(disk.files) and (planned or all(path.exists() for path in backup))
    if not whole or any(part.kind == "extent" for link in disk.chain for part in link.parts):
        return disk

    def moved(link: Link) -> Link:
        parts = tuple(
            replace(part, path=copies[part.path], is_block_device=False) for part in link.parts if part.exists
        )
        return replace(link, path=copies[link.path], is_block_device=False, parts=parts)

    return replace(disk, chain=tuple(moved(link) for link in disk.chain))
