"""A table that a search put together, written where it may be: to an overlay or a copy, never to the disk.

It is written by sfdisk into a new overlay of a session of its own, read back, and compared with what was
found. Then the overlay itself is kept at the place that the operator named, or all of what a machine would
see through it is written out as an image of its own.
"""

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core import conditions
from core.command import Command
from core.disks.convert import WRITTEN, convert, target_format
from core.disks.vet import vet
from core.errors import Cancelled, Refused, SalvageError
from core.files.kernel import rename_new
from core.files.progress import Progress
from core.i18n import _
from core.runner import CommandFailed
from core.session import Session
from core.tables.judge import read_table
from core.tables.lost.script import write_command
from core.tables.model import Json, PartitionTable
from core.text import safe
from core.volumes.searched import Searched

OVERLAY = "qcow2"
_SECTOR = 512


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A new image that has the table; with `over`, it is an overlay and needs that disk below it."""

    path: Path
    format: str
    over: Path | None
    seconds: float

    def sentence(self) -> str:
        if self.over is None:
            told = _("{path} is a copy of the disk as {format}, with the table that was found.")
        else:
            told = _(
                "{path} is an overlay ({format}) with the table that was found. It takes every write and"
                " needs {disk} below it: leave that where it is, and as it is."
            )
        return told.format(path=safe(self.path), format=self.format, disk=safe(self.over or ""))

    def to_json(self) -> Json:
        return {
            "path": safe(self.path),
            "format": self.format,
            "backing": safe(self.over) if self.over else None,
            "seconds": round(self.seconds, 3),
        }


def rebuild(session: Session, dest: Path, to: str | None, progress: Callable[[Progress], None]) -> Rebuilt:
    """Write the table that `session` found by a search to the new image `dest`.

    Without a format `to` that is an overlay over the disk, with one a whole copy of the disk. Raises
    `Refused` where something is at `dest` already or the disk is in use, and `SalvageError` where nothing
    was found that makes a table, or sfdisk does not write it as it was found.
    """
    began = time.monotonic()
    table = _found(session)
    place = _place(session, dest, to)
    with session.beside() as other:
        disk = other.disk
        assert disk
        if disk.apart:
            raise SalvageError(
                _("A snapshot or an encrypted disk cannot lie under an overlay that is kept."),
                _("Nothing was written."),
                _("Write it out with `virt-salvage convert`, and search the new image."),
            )
        other.protect(overlay=True)
        try:
            _write(other, table)
            if to is None:
                _keep(other, place)
            else:
                _copy(other, place, to, progress)
        except Cancelled as error:
            raise Cancelled(
                _("Stopped as asked."), _("Nothing was left at the target; the disk is untouched.")
            ) from error
    return Rebuilt(place, to or OVERLAY, None if to else disk.path, time.monotonic() - began)


def _found(session: Session) -> PartitionTable:
    inspection = session.inspect()
    if not isinstance(inspection, Searched) or not inspection.sfdisk:
        raise SalvageError(
            _("There is no table to write: the search found nothing that one could be made of."),
            _("Nothing was written."),
        )
    if inspection.table.sector_size != _SECTOR:
        raise SalvageError(
            _("The table counts in sectors of {size} bytes, and sfdisk writes none such to a file.").format(
                size=inspection.table.sector_size
            ),
            _("Nothing was written. What was found can be opened all the same."),
        )
    return inspection.table


def _place(session: Session, dest: Path, to: str | None) -> Path:
    """The path of the new image; raises `Refused` where something is there already."""
    dest = Path(os.path.abspath(dest.expanduser()))
    disk = session.disk
    if dest.is_dir() and disk:
        dest /= f"{disk.path.stem}-table{WRITTEN[target_format(to or OVERLAY)]}"
    if os.path.lexists(dest):
        raise Refused(
            _("{path} exists already.").format(path=safe(dest)),
            _("Nothing was written: a table is only written to a new image."),
            _("Choose another name or folder."),
        )
    if not dest.parent.is_dir():
        raise SalvageError(
            _("There is no folder {path}.").format(path=safe(dest.parent)),
            _("Nothing was written."),
            _("Make it, or choose another target."),
        )
    return dest


def _write(other: Session, table: PartitionTable) -> None:
    """Write the table into the overlay of `other`, and look that it stands there as it was found."""
    view = other.view()
    try:
        other.runner.run(write_command(table, view.path))
    except CommandFailed as failure:
        raise SalvageError(
            failure.what,
            _("The table was not written; the disk is untouched."),
            _("`inspect --scan --as-sfdisk` prints it, to be changed and written by hand."),
        ) from failure
    if not other.planning and _written(other) != _places(table):
        raise SalvageError(
            _("What sfdisk wrote is not the table that was found."),
            _("It is thrown away; the disk is untouched."),
            _("`inspect --scan --as-sfdisk` prints it, to be changed and written by hand."),
        )


def _written(other: Session) -> set[tuple[int, str, int, int]]:
    """The places of the table that stands in the overlay."""
    view = other.view()
    return _places(read_table(view.path, view.size, other.folder, other.runner))


def _places(table: PartitionTable) -> set[tuple[int, str, int, int]]:
    return {(part.number, part.kind, part.start, part.end) for part in table.partitions}


def _keep(other: Session, place: Path) -> None:
    """Copy the overlay to its place; it is small, for it holds the table and nothing else."""
    overlay = other.folder / "overlay.qcow2" if other.planning else other.overlay()
    if not other.planning:
        conditions.whole(overlay, other.runner)
    command = Command(
        ("cp", "--no-clobber", str(overlay), str(place)),
        _("Keep the overlay, which names the disk as what lies below it."),
        effect=_("a new image with the table; it stays"),
        by_hand=True,
    )
    other.runner.perform(command, lambda: _copied(overlay, place), planned=None)


def _copied(overlay: Path, place: Path) -> None:
    part = place.with_name(f".{place.name}.part")
    try:
        folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with open(part, "xb") as file:
                file.write(overlay.read_bytes())
                file.flush()
                os.fsync(file.fileno())
            rename_new(folder, os.fsencode(part.name), os.fsencode(place.name))
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
        raise SalvageError(
            _("Cannot write {path}: {reason}.").format(
                path=safe(place), reason=os.strerror(error.errno or 0)
            ),
            _("The disk is untouched."),
            _("Choose another target."),
        ) from error


def _copy(other: Session, place: Path, to: str, progress: Callable[[Progress], None]) -> None:
    """Write out all that a machine would see through the overlay."""
    disk = other.disk
    assert disk
    command = Command(
        ("qemu-img", "convert", "-O", to, str(other.folder / "overlay.qcow2"), str(place)),
        _("Write out what a machine sees through the overlay: the disk, with the table."),
        effect=_("a new image that needs no other; it stays"),
        by_hand=True,
    )

    def work() -> None:
        overlay = other.overlay()
        conditions.whole(overlay, other.runner)
        through = vet(str(overlay), OVERLAY, [disk.path, *disk.files], other.runner)
        convert(through, place, to, other.runner, progress)

    other.runner.perform(command, work, planned=None)
