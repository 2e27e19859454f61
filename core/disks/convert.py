"""A disk written out in another image format, by ``qemu-img convert`` and proved by ``qemu-img compare``.

A conversion keeps what the virtual machine saw, not the file: no internal snapshots, nothing of what a
damaged header hides. It is no backup. What the disk's files lack is read as zeros by QEMU, with
exit status 0 (qemu-img(1) does not say so), so that is looked for and told here.
"""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import mounts
from core.command import Command
from core.disks.extents import LONG, Extents, Lack, extents, hearing, unreadable
from core.disks.formats import by_name, read_header
from core.disks.header import Source
from core.disks.model import SECTOR, Disk
from core.disks.overlay import flush, named
from core.disks.snapshots import described
from core.disks.vet import blockdev
from core.errors import NeedsRoot, NoSpace, Refused, SalvageError, WrongUsage
from core.files.kernel import rename_new
from core.files.progress import Listener, Meter
from core.files.space import free
from core.i18n import _, enumerated
from core.runner import CommandFailed, Runner
from core.text import safe, size

WRITTEN = {
    "raw": ".raw",
    "qcow2": ".qcow2",
    "vmdk": ".vmdk",
    "vdi": ".vdi",
    "vpc": ".vhd",
    "vhdx": ".vhdx",
    "qed": ".qed",
    "parallels": ".hdd",
}
"""The formats that QEMU writes, with the suffix that each usually has."""
_OPTIONS = {"vpc": ("-o", "force_size=on")}
"""A VHD is rounded up to a geometry of cylinders otherwise."""
_FAT = frozenset({"vfat", "msdos"})
_FAT_LARGEST = (1 << 32) - 1
_SPARE = 1 << 20
_UNITS = {"raw": 4096, "vdi": 1 << 20, "parallels": 1 << 20}
"""Bytes that a format takes at a time, where that is not about 64 KiB."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A new image. Sizes in bytes."""

    path: Path
    format: str
    virtual_size: int
    """What a machine sees."""
    allocated: int
    """What the new file takes."""
    seconds: float
    lacks: tuple[Lack, ...]
    notes: tuple[str, ...]
    """What else must be known, a sentence each."""

    def to_json(self) -> dict[str, object]:
        """The outcome as `convert --json` prints it."""
        return {
            "path": safe(self.path),
            "format": self.format,
            "virtual_size": self.virtual_size,
            "allocated": self.allocated,
            "seconds": round(self.seconds, 3),
            "verified": True,
            "missing": [{"path": safe(lack.path), "bytes": lack.bytes} for lack in self.lacks],
            "notes": list(self.notes),
        }


def target_format(name: str) -> str:
    """QEMU's name of a format to write; raises `WrongUsage` for one that it only reads or does not know."""
    format = by_name(name)
    if format not in WRITTEN:
        raise WrongUsage(
            _("QEMU reads {name}, but does not write it.").format(name=safe(name)),
            remedy=_("It writes: {names}.").format(names=enumerated(WRITTEN)),
        )
    return format


def convert(disk: Disk, dest: Path, to: str, runner: Runner, progress: Listener) -> Converted:
    """Write the disk as a new image of the format `to` at `dest`, or in it where that is a folder.

    The new image gets its name when all of it is on the medium and compared; the progress counts every
    byte twice. Raises `Refused` where something is there already, `NoSpace` before the first byte where it
    does not fit, `Cancelled` (nothing is left), `SalvageError` when the disk cannot be read to its end.
    """
    began = time.monotonic()
    format = target_format(to)
    source = blockdev(disk, "source")
    place = _place(disk, dest, format)
    known = extents(disk, runner, _UNITS.get(format, 1 << 16))
    needed = disk.virtual_size if known.data is None else known.data
    _require_room(disk, place, format, needed + needed // 1024 + _SPARE)
    meter = Meter(progress, 1, 2 * disk.virtual_size, rated=False)
    with _part(place, runner) as made:
        meter.begin(os.fsencode(place.name), 2 * disk.virtual_size)
        _write(disk, source, made, format, runner, meter)
        _prove(disk, source, made, format, runner, meter)
        notes = () if runner.planning else _sizes(disk, made, format)
        _keep_owner(disk, made, runner)
        _name(made, place, runner)
        meter.end()
    if runner.planning:
        return Converted(place, format, disk.virtual_size, 0, 0.0, known.lacks, ())
    meter.finish()
    status = place.stat()
    return Converted(
        place,
        format,
        disk.virtual_size,
        status.st_blocks * 512,
        time.monotonic() - began,
        known.lacks,
        (*notes, *_notes(disk, place, known)),
    )


def _notes(disk: Disk, place: Path, known: Extents) -> tuple[str, ...]:
    """What must be known of every conversion."""
    notes = [_("A conversion keeps what the machine saw, not the image file as it is: it is no backup.")]
    if known.data is None:
        notes.append(
            _("Whether the disk's files are cut short was not looked at: they have too many pieces.")
        )
    if disk.snapshot:
        notes.append(
            _("It holds the disk as it was at the snapshot {name}.").format(name=described(disk.snapshot))
        )
    elif disk.snapshots:
        count = len(disk.snapshots)
        told = _(
            "The disk's internal snapshots ({count}) are not in the new image: it holds the present state."
        )
        notes.append(told.format(count=count))
    if not disk.is_block_device and place.stat().st_dev == disk.path.stat().st_dev:
        notes.append(_("It lies on the same medium as the disk: what destroys one may destroy both."))
    return tuple(notes)


# -- where it goes --------------------------------------------------------------------------------------


def _place(disk: Disk, dest: Path, format: str) -> Path:
    """The path of the new image; raises `Refused` where something is there already."""
    dest = Path(os.path.abspath(dest.expanduser()))
    if dest.is_dir():
        dest /= Path(disk.given).stem + WRITTEN[format]
    if os.path.lexists(dest):
        raise _exists(dest)
    if not dest.parent.is_dir():
        raise SalvageError(
            _("There is no folder {path}.").format(path=safe(dest.parent)),
            _("Nothing was written."),
            _("Make it, or choose another target."),
        )
    return dest


def _exists(path: Path) -> Refused:
    return Refused(
        _("{path} exists already.").format(path=safe(path)),
        _("A conversion never replaces a file."),
        _("Choose another name or folder."),
    )


def _require_room(disk: Disk, place: Path, format: str, needed: int) -> None:
    """Raise `NoSpace` where the new image does not fit, or is larger than a file can be there."""
    room = free(place.parent)
    if needed > room:
        raise NoSpace(
            _("The new image needs {needed}, but only {free} are free in {folder}.").format(
                needed=size(needed), free=size(room), folder=safe(place.parent)
            ),
            _("Nothing was written; the disk is untouched."),
            _("Choose a target with more room."),
        )
    length = disk.virtual_size if format == "raw" else needed
    over = [one for one in mounts.mounts() if place.is_relative_to(one.point)]
    if over and max(over, key=lambda one: len(one.point)).type in _FAT and length > _FAT_LARGEST:
        raise NoSpace(
            _(
                "The target is a FAT file system, which holds no file above 4 GiB; this one needs {size}."
            ).format(size=size(length)),
            _("Nothing was written; the disk is untouched."),
            _("Choose a target with another file system, such as ext4 or XFS."),
        )


@contextlib.contextmanager
def _part(place: Path, runner: Runner) -> Iterator[Path]:
    """A folder of our own beside the target, where the image has its final name while it is made.

    Some formats write their own name into themselves, so a file of another name would not do. The folder
    is locked while its maker lives: one that nobody has locked is a leaving, and goes.
    """
    folder = place.with_name(f".{place.name}.virt-salvage-part")
    make = Command(
        ("mkdir", "--mode=0700", str(folder)),
        why=_("Make a place where the new image is kept until it is whole."),
        effect=_("a folder that goes again in the end"),
    )
    lock = runner.perform(make, lambda: _make_part(folder), planned=-1)
    try:
        yield folder / place.name
    finally:
        if lock >= 0:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _make_part(folder: Path) -> int:
    try:
        for again in (False, True):
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700)
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                raise Refused(
                    _("Another conversion to {path} is going on.").format(path=safe(folder)),
                    _("Nothing was written."),
                    _("Wait for it to end, or choose another name."),
                ) from None
            if again or not os.listdir(lock):
                return lock
            shutil.rmtree(folder)  # what a conversion left that was killed
            os.close(lock)
    except PermissionError as error:
        raise NeedsRoot(
            _("No permission to write to {path}.").format(path=safe(folder.parent)),
            _("Nothing was written."),
            _("Choose a folder of your own, or run the same command with sudo."),
        ) from error
    except OSError as error:
        raise SalvageError(
            _("Cannot write to {path}: {reason}.").format(
                path=safe(folder.parent), reason=safe(os.strerror(error.errno or 0))
            ),
            _("Nothing was written."),
            _("Choose another target."),
        ) from error
    raise AssertionError


# -- writing and proving --------------------------------------------------------------------------------


def _write(disk: Disk, source: dict[str, Any], made: Path, format: str, runner: Runner, meter: Meter) -> None:
    options = _OPTIONS.get(format, ())
    command = Command(
        ("qemu-img", "convert", "-p", "-t", "writeback", "-O", format, *options, named(source), str(made)),
        why=_(
            "Write what the machine saw of the disk as a new image; every link is opened by its own format."
        ),
        effect=_("a new image, which has no name of its own yet"),
        limits=LONG,
    )
    try:
        runner.run(command, hear=hearing(meter, disk.virtual_size))
    except CommandFailed as failure:
        raise unreadable(disk, failure) from failure
    sync = Command(
        ("sync", str(made)),
        why=_("Have all of it on the medium; qemu-img alone does not wait for that."),
        effect=_("nothing of it is only in memory"),
        by_hand=True,
    )
    runner.perform(sync, lambda: _flushed(made), planned=None)


def _flushed(path: Path) -> None:
    try:
        flush(path)
    except OSError as error:
        raise SalvageError(
            _("The new image could not be brought to its medium: {reason}.").format(
                reason=safe(os.strerror(error.errno or 0))
            ),
            _("It is removed; the disk is untouched."),
            _("Choose a target on another medium."),
        ) from error


def _prove(disk: Disk, source: dict[str, Any], made: Path, format: str, runner: Runner, meter: Meter) -> None:
    """Compare the new image with the disk as a machine sees them; raises SalvageError where they differ."""
    image: dict[str, Any] = {
        "driver": format,
        "read-only": True,
        "file": {"driver": "file", "filename": str(made)},
    }
    if format == "vpc":
        image["force_size_calc"] = "current_size"
    command = Command(
        ("qemu-img", "compare", "-p", named(source), named(image)),
        why=_("Prove that the new image holds the same bytes as the disk."),
        effect=_("nothing is changed; without this proof the new image gets no name"),
        good=frozenset({0, 1}),
        limits=LONG,
    )
    try:
        differs = runner.run(command, hear=hearing(meter, disk.virtual_size)).status == 1
    except CommandFailed as failure:
        raise unreadable(disk, failure) from failure
    if differs:
        raise SalvageError(
            _("The new image is not the same as the disk."),
            _(
                "The target or the memory of this host is faulty, or the disk changed meanwhile."
                " The new image is removed; the disk is untouched."
            ),
            _("Find out who writes to the disk, or choose a target on another medium."),
        )


def _sizes(disk: Disk, made: Path, format: str) -> tuple[str, ...]:
    """What to say of the new image's size; raises SalvageError where it is too small."""
    with Source(made) as source:
        have = read_header(source, format).virtual_size
    wanted = -(-disk.virtual_size // SECTOR) * SECTOR
    if have < wanted:
        raise SalvageError(
            _("The new image has only {have} of {wanted}: this format cannot hold the disk.").format(
                have=size(have), wanted=size(wanted)
            ),
            _("It is removed; the disk is untouched."),
            _("Choose another format."),
        )
    if have == disk.virtual_size:
        return ()
    note = _(
        "The new image is {more} larger than the disk, for this format counts in larger units: zeros follow."
    )
    return (note.format(more=size(have - disk.virtual_size)),)


def _keep_owner(disk: Disk, made: Path, runner: Runner) -> None:
    """Give the new image owner and mode of the disk's own file, so that its machine may open it."""
    if disk.is_block_device or runner.planning:
        return
    status = disk.path.stat()
    os.chmod(made, status.st_mode & 0o777)
    with contextlib.suppress(PermissionError):  # an ordinary user's new image is that user's
        os.chown(made, status.st_uid, status.st_gid)


def _name(made: Path, place: Path, runner: Runner) -> None:
    """Give the finished image its name; it never replaces a file."""
    command = Command(
        ("mv", "--no-clobber", "--no-target-directory", str(made), str(place)),
        why=_("Only now give the new image its name."),
        effect=_("the new image is {path}").format(path=safe(place)),
        by_hand=True,
    )
    runner.perform(command, lambda: _settle(made, place), planned=None)


def _settle(made: Path, place: Path) -> None:
    source = os.open(made.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            rename_new(source, os.fsencode(made.name), os.fsencode(place.name), into=folder)
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError as error:
        raise _exists(place) from error
    finally:
        os.close(source)
