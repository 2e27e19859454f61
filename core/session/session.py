"""What is done with a disk and with its files once they are open."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from core.command import Command
from core.disks.marks import Change
from core.disks.model import Disk
from core.errors import SalvageError, WrongUsage
from core.files.choices import CAUTIOUS, Choices
from core.files.destination import Destination
from core.files.outcome import Copied
from core.files.progress import Progress
from core.files.tree import GuestTree
from core.i18n import _, sentences
from core.text import safe, size
from core.undo.health import ExportEnded
from core.volumes import subvolumes
from core.volumes.bad import bad_places
from core.volumes.model import journal_left
from core.volumes.state import Seen, State, how_seen
from core.volumes.subvolumes import Subvolume
from core.volumes.windows import hibernation

if TYPE_CHECKING:
    # What only some ways need is imported when it is: the first listing is to be there at once
    from core.disks.backup import BackedUp, Still
    from core.disks.checking import ImageCheck
    from core.disks.convert import Converted
    from core.disks.existing import Candidate, Verdict
    from core.disks.naming import Dest
    from core.disks.outlook import Outlook
    from core.files.estimate import Estimate
    from core.files.pouring import Poured, Write
from core.session.opening import Opening


class Session(Opening):
    """One disk on its way to recovered files, and everything put up for it."""

    @property
    def caution(self) -> str:
        """What must be known of the files of the open volume, as a sentence; empty when all is well."""
        if written := self._changes.get(Change.WRITTEN):
            again = _("What was copied may be half old and half new: copy it once more.")
            return sentences((written, again))
        if self._tree and self._tree.unchecked:
            return _(
                "This file system is damaged: it could only be mounted by passing over its damaged parts and"
                " its checksums. Files may be wrong or missing without a sign of it."
            )
        volume = self.volume
        if volume is None or volume.apart or self.others.disks:
            return ""
        missing = volume.offset + volume.size - self._chosen().virtual_size
        if missing <= 0:
            return ""
        return _(
            "The disk was cut short: {size} at the end of this volume are missing. Files that lay there"
            " are copied with zeros in place of what is missing."
        ).format(size=size(min(missing, volume.size)))

    @property
    def remark(self) -> str:
        """What else is worth knowing of the open volume, as a sentence; empty when there is nothing."""
        if other := self._changes.get(Change.REPLACED) or self._changes.get(Change.GONE):
            return sentences((other, _("What was copied is from the one that was attached.")))
        if self._tree is None or self.planning:
            return ""
        volume = self._tree.volume
        as_left = self._lies is State.LEFT and not self._writable
        asleep = hibernation(self._tree.root) if volume.content == "ntfs" else ""
        left = journal_left(volume.content) if volume.pending and as_left else self._cost
        return sentences((self._tree.remark, asleep, left))

    @property
    def files_seen(self) -> Seen:
        """How the files of the open volume are seen: as it lies on the disk, or otherwise."""
        pending = self._tree is not None and self._tree.volume.pending
        return how_seen(self._lies, pending=pending, writable=self._writable)

    def subvolumes(self) -> list[Subvolume]:
        """The subvolumes of the open volume, a btrfs."""
        with self.guest():
            assert self._tree
            return subvolumes.subvolumes(self._tree.root)

    def estimate(
        self, sources: Sequence[bytes], progress: "Callable[[Estimate], None] | None" = None
    ) -> "Estimate":
        """How much the sources are; see `core.files.estimate`."""
        from core.files.estimate import estimate

        with self.guest() as tree:
            return estimate(tree, sources, self.runner.cancel, progress)

    @contextmanager
    def guest(self) -> Iterator[GuestTree]:
        """The open tree, to walk and read in."""
        if self._tree is None:
            raise SalvageError(_("No volume is open."), remedy=_("Choose a volume first."))
        with self._watch.work(), GuestTree(self._tree.root) as tree:
            yield tree

    def pour(self, path: bytes, write: "Write", most: int = sys.maxsize) -> "Poured":
        """A file of the open volume as a stream; see `core.files.pouring`."""
        from core.files.pouring import pour

        with self.guest() as tree:
            return pour(tree, path, write, self._watch.read_at, self.runner.cancel, most)

    def require_room(
        self,
        sources: Sequence[bytes],
        place: Destination,
        expected: "Estimate",
        choices: Choices = CAUTIOUS,
    ) -> None:
        """Raise `NoSpace` where these sources of the open volume cannot fit at `place`.

        `SameName` and `AlreadyThere` are raised too.
        """
        from core.files import delivery

        with self.guest() as tree:
            delivery.room_for(tree, sources, place, expected, self.runner.cancel, choices)

    def copy(
        self,
        sources: Sequence[bytes],
        dest: Path | Destination,
        progress: Callable[[Progress], None],
        choices: Choices = CAUTIOUS,
        stream: int = 1,
    ) -> Copied:
        """Copy files and trees out of the open volume, with manifest and report.

        `dest` is a folder, or another `core.files.destination.Destination`; `stream` is the descriptor
        that a tar goes to where that is a stream.
        """
        from core.files import byhand, sending

        place = dest if isinstance(dest, Destination) else Destination("folder", dest)
        root = self._tree.root if self._tree else Path("/")
        nothing = Copied(0, 0, 0, 0, 0, 0.0, place.path, [], [], 0)
        if place.shape in ("rsync", "rclone"):
            if self.planning:
                for command in sending.planned(root, sources, place, choices):
                    self.runner.run(command)
                return nothing
            return self._copied(lambda tree: self._deliver(tree, sources, place, progress, choices, stream))
        if self.planning and place.shape == "folder":
            self.runner.run(byhand.target_folder(place))
        copied = self.runner.perform(
            byhand.by_hand(root, sources, place, choices),
            lambda: self._copied(lambda tree: self._deliver(tree, sources, place, progress, choices, stream)),
            nothing,
        )
        if not self.planning:
            self._report(place, copied)
        return copied

    def _deliver(
        self,
        tree: GuestTree,
        sources: Sequence[bytes],
        place: Destination,
        progress: Callable[[Progress], None],
        choices: Choices,
        stream: int,
    ) -> Copied:
        from core.files import delivery

        volume = self.volume
        bad = bad_places(self._chosen(), volume, choices.bad_map) if volume else ()
        chosen = (self._chosen().path, volume.id, volume.uuid, self._chosen().snapshot) if volume else ()
        how = replace(choices, bad=bad, origin="\0".join(map(str, chosen)).encode(errors="surrogateescape"))
        read = self._watch.read_at
        return delivery.deliver(
            tree, sources, place, self.runner, self.folder, progress, how, read=read, stream=stream
        )

    def _copied(self, work: Callable[[GuestTree], Copied]) -> Copied:
        try:
            with self.guest() as tree:
                copied = work(tree)
            self._changes = self._marks.changes()
            return copied
        except ExportEnded as error:
            raise ExportEnded(
                error.what,
                _("The disk is untouched; what was copied so far is whole and kept."),
                _("The same command goes on where it stopped."),
            ) from error

    def _report(self, place: Destination, copied: Copied) -> None:
        facts = {
            "disk": self._chosen().to_json(),
            "volume": self.volume.to_json() if self.volume else None,
            **({"subvolume": self.subvolume} if self.subvolume else {}),
            "state": self.files_seen.value,
            **({"caution": self.caution} if self.caution else {}),
            **({"remark": self.remark} if self.remark else {}),
        }
        if place.shape == "folder":
            self._records.report(place.path, facts, copied, self._up())
        elif place.shape != "stream":
            prefix = os.fsencode(place.path.name) + b"."
            self._records.report(place.path.parent, facts, copied, self._up(), prefix)

    def backup(
        self, dest: "Dest", progress: Callable[[Progress], None], *, frozen: bool = False
    ) -> "BackedUp":
        """A verified byte copy of the disk's own files, the whole chain.

        With `frozen`, of a snapshot of the logical volume that the disk is: see `core.disks.frozen`.
        """
        disk = self._chosen()
        if disk.snapshot:
            raise WrongUsage(
                _("A backup copies the disk's own files, with all its snapshots, and not one of them."),
                _("Nothing was written."),
                _("Leave --snapshot out, or write that snapshot out with `convert`."),
            )
        self._marks.require_same()
        if frozen:
            return self._backup_frozen(disk, dest, progress)
        with self._hold.during(disk):
            return self._backed_up(disk, dest, progress)

    def _backed_up(
        self, disk: Disk, dest: "Dest", progress: Callable[[Progress], None], still: "Still | None" = None
    ) -> "BackedUp":
        from core.disks.backup import BackedUp, backup
        from core.disks.naming import layout

        place = layout(disk, dest)
        if place.makes and not place.folder.is_dir():
            folder = Command(
                ("mkdir", str(place.folder)),
                why=_("Make the folder that the backup lies in."),
                effect=_("a new folder"),
                by_hand=True,
            )
            self.runner.perform(folder, lambda: None, None)  # it is made with the copy
        sources = [str(path) for path in disk.files]
        by_hand = Command(
            ("cp", "--sparse=always", *sources, str(dest)),
            why=_("Copy the disk's own files byte by byte, then read the copy back and compare."),
            effect=_("a verified backup in {path}").format(path=safe(dest)),
            by_hand=True,
        )
        nothing = BackedUp(0, 0, 0.0, Path(dest), (), (), (), False)
        work = partial(backup, disk, dest, self.runner.cancel, progress, still)
        return self.runner.perform(by_hand, work, nothing)

    def _backup_frozen(self, disk: Disk, dest: "Dest", progress: Callable[[Progress], None]) -> "BackedUp":
        """The same of a snapshot that is gone again at the end; the original may be written to meanwhile."""
        from core.disks import frozen, outlook
        from core.disks.backup import Still

        plan = frozen.planned(disk, self.runner)
        outlook.require(disk, dest)
        self._begin(str(disk.path))
        mark, token = self.stack.mark(), self.runner.cancel
        before, done = token.watch, None
        try:
            snapshot = frozen.take(self.stack, disk, plan, self.id)
            if self.planning:
                return self._backed_up(snapshot.disk, dest, progress)
            token.watch = snapshot.watch
            with self._hold.during(snapshot.disk):
                still = Still(disk.path, snapshot.require)
                done = self._backed_up(snapshot.disk, dest, progress, still)
            return replace(done, notes=(snapshot.told(), *done.notes))
        finally:
            token.watch = before
            try:
                self._release_to(mark)
            except SalvageError as error:
                if done:
                    error.meaning = _("The backup is made and verified: {path}.").format(
                        path=safe(done.paths[0])
                    )
                raise

    def check_images(self) -> "list[ImageCheck]":
        """What ``qemu-img check`` says of every image of the chain; nothing is written."""
        from core.disks.checking import check_images

        disk = self._chosen()
        with self._hold.during(disk):
            return check_images(disk, self.runner)

    def outlook(self, dest: "Dest", *, frozen: bool = False) -> "Outlook":
        """What a backup to `dest` would meet there; nothing is written."""
        if frozen:
            from core.disks.frozen import foreseen

            return foreseen(self._chosen(), dest, self.runner)
        from core.disks.outlook import outlook

        return outlook(self._chosen(), dest)

    def find_backups(self, given: Path | None = None) -> "list[Candidate]":
        """Files that may be backups of the disk, beside it or in `given`."""
        from core.disks.existing import find_backups

        return find_backups(self._chosen(), given)

    def examine_backup(
        self, path: Path, progress: Callable[[Progress], None], format: str | None = None
    ) -> "Verdict":
        """What a file that may be a backup is to the disk; see `core.disks.existing`."""
        from core.disks.existing import examine

        disk = self._chosen()
        with self._hold.during(disk):
            return examine(disk, path, self.runner, progress, self._identifiers, format)

    def _identifiers(self, disk: Disk) -> frozenset[str]:
        """The identifiers inside a disk, seen by a session of its own; none where nothing can be seen."""
        try:
            with Session(self._state, self.runner) as other:
                other.select(str(disk.path), disk.format)
                seen = other.inspect()
        except SalvageError:
            return frozenset()
        own = (seen.table.identifier, *(volume.uuid for volume in seen.volumes))
        return frozenset(one.lower() for one in own if one)

    def convert(self, dest: Path, to: str, progress: Callable[[Progress], None]) -> "Converted":
        """The disk in another image format, compared with it; see `core.disks.convert`."""
        from core.disks.convert import convert

        disk = self._chosen()
        disk.require_openable()
        if not disk.wants_front:
            with self._hold.during(disk):
                return convert(disk, dest, to, self.runner, progress)
        self._take_down_view()
        self._unlock(disk)
        lock = self._hold.take(disk)
        self._begin(str(disk.path))
        try:
            return convert(self._served(disk, lock), dest, to, self.runner, progress)
        finally:
            self._take_down_view()
