"""Before the first byte of a backup: whether it fits, whether the target can keep it, where it lies.

Nothing here writes. Room is counted as the target's file system counts it for this user, its quota
included (statvfs(3), f_bavail); how much room a thin pool has below cannot be seen from here.
"""

import os
import resource
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core import loops, mounts
from core.disks.header import Source
from core.disks.logical import by_snapshot, logical_volume
from core.disks.model import Disk
from core.disks.naming import Dest, Layout, layout, require_folder
from core.disks.unfinished import exists, part_of
from core.errors import NoSpace, Refused, SalvageError
from core.files.space import free
from core.i18n import _, sentences
from core.text import safe, size

SPARE = 1 << 20
"""Bytes of room that are wanted beyond the copy itself, for the lists and the file system."""
_SYS = Path("/sys/dev/block")
_LARGEST = {"vfat": (4 << 30) - 1, "msdos": (4 << 30) - 1, "fuse.fusefat": (4 << 30) - 1}
"""Bytes of the largest file, by the kernel's name of the file system: fs/fat/inode.c, fat_statfs."""
_SHARING = frozenset({"btrfs", "xfs", "bcachefs", "ocfs2"})
"""File systems that can share blocks, if they were made so: ioctl_ficlonerange(2)."""
_WITHOUT_HOLES = frozenset({"vfat", "msdos", "exfat", "hfsplus", "hfs", "fuse.fusefat"})


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a backup would meet at its target. Sizes in bytes."""

    places: tuple[Path, ...]
    """Where each file of the disk would land."""
    needed: int
    """What the disk's files really take, not what the machine sees; less what is there already."""
    free: int
    resumes: int
    """What an earlier run left there for this one to go on with; it is looked at before it is trusted."""
    shares: bool
    """The file system may share the blocks: the copy is then made in an instant and takes no room."""
    same_medium: bool
    """The target is on the medium that the disk lies on."""
    refusal: str
    """Why it cannot be done, as a sentence; empty if it can."""
    warnings: tuple[str, ...]

    def sentence(self) -> str:
        """What is needed and what is there, for a person."""
        told = _("The backup takes {needed} at {path}; {free} are free there.").format(
            needed=size(self.needed), path=safe(self.places[0].parent), free=size(self.free)
        )
        return sentences((told, *self.warnings))

    def to_json(self) -> dict[str, object]:
        return {
            "paths": [safe(path) for path in self.places],
            "needed": self.needed,
            "free": self.free,
            "resumes": self.resumes,
            "shares": self.shares,
            "same_medium": self.same_medium,
            "refusal": self.refusal,
            "warnings": list(self.warnings),
        }


def outlook(disk: Disk, dest: Dest, *, frozen: bool = False) -> Outlook:
    """What a backup of the disk to `dest` would meet; raises `SalvageError` where nothing can be asked.

    With `frozen`, it is made from a snapshot of the logical volume that the disk is, see
    `core.disks.frozen`.
    """
    place = layout(disk, dest)
    folder = _existing(place.folder)
    kind = _system(folder)
    needed, sizes = 0, []
    for path in disk.files:
        with Source(path) as source:
            needed += source.size if kind in _WITHOUT_HOLES else source.allocated
            sizes.append(source.size)
    there = sum(_allocated(part_of(path)) for path in place.places)
    needed = max(0, needed - there)
    room = free(folder)
    shares = kind in _SHARING and all(_device_of(path) == _device_of(folder) for path in disk.files)
    same = bool(_media(folder) & {medium for path in disk.files for medium in _media(path)})
    refusal = ""
    try:
        _require(disk, folder, place, 0 if shares else needed, () if shares else sizes)
    except (NoSpace, Refused) as error:
        refusal = error.paragraph()
    try:
        require_folder(place)
    except SalvageError as error:
        refusal = error.paragraph()
    warnings = []
    if not (refusal or place.folder.is_dir()):
        told = _("The folder {path} does not exist yet and will be made.")
        warnings.append(told.format(path=safe(place.folder)))
    if frozen:
        there = 0  # it is of another moment: the copy begins anew
    if there:
        warnings.append(_("An unfinished copy is there; the backup goes on with it if it is of this disk."))
    warnings += lacking(disk)
    if same:
        warnings.append(
            _(
                "It is on the same medium as the disk: if that medium fails, both are lost."
                " Another medium is safer."
            )
        )
    if shares:
        warnings.append(_("The copy can share the disk's blocks there, in an instant and without room."))
    if _thin(folder):
        warnings.append(
            _("The target lies on a thin pool; `lvs` tells how much room that has, which may be less.")
        )
    if not frozen and (name := logical_volume(disk.path)):
        warnings.append(
            _(
                "While something uses this logical volume, back up a snapshot of it ({command})."
                " None is made by itself, for that changes the volume group."
            ).format(command=by_snapshot(name))
        )
    return Outlook(place.places, needed, room, there, shares, same, refusal, tuple(warnings))


def lacking(disk: Disk) -> list[str]:
    """What of the disk is not on this host, and so in no backup of it, as sentences."""
    told = _("{path} is missing: what lies only in it is not in the backup, as it is not in the disk.")
    return [told.format(path=safe(link.path)) for link in disk.chain if not link.exists]


def require(disk: Disk, dest: Dest) -> None:
    """Raise what a backup to `dest` would end with, before anything on the host is changed for it."""
    place = layout(disk, dest)
    require_folder(place)
    folder, sizes = _existing(place.folder), []
    for path in disk.files:
        with Source(path) as source:
            sizes.append(source.allocated)
    needed = sum(sizes) - sum(_allocated(part_of(path)) for path in place.places)
    _require(disk, folder, place, max(0, needed), sizes)


def _require(disk: Disk, folder: Path, place: Layout, needed: int, sizes: Sequence[int]) -> None:
    require_outside(disk, folder)
    for path in (*place.places, place.manifest):
        if os.path.lexists(path):
            raise exists(path)
    require_room(folder, needed, sizes)


def require_room(folder: Path, needed: int, sizes: Sequence[int]) -> None:
    """Raise `NoSpace` when the bytes in use do not fit, or a file is too large for the target."""
    room = free(folder)
    if needed and needed + SPARE > room:
        raise NoSpace(
            _("The backup needs {needed}, but only {free} are free in {folder}.").format(
                needed=size(needed), free=size(room), folder=safe(folder)
            ),
            _("Nothing was copied; the disk is untouched."),
            _("Choose a target with more room."),
        )
    kind = _system(folder)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    largest = min(_LARGEST.get(kind, 1 << 63), 1 << 63 if limit == resource.RLIM_INFINITY else limit)
    if max(sizes, default=0) > largest:
        raise NoSpace(
            _("A file of {size} cannot be kept in {folder}: {largest} is the most there.").format(
                size=size(max(sizes)), folder=safe(folder), largest=size(largest)
            ),
            _("Nothing was copied; the disk is untouched."),
            _(
                "Choose a target with another file system, such as ext4 or XFS, or raise the limit"
                " (ulimit -f)."
            ),
        )


def require_outside(disk: Disk, folder: Path) -> None:
    """Raise `Refused` where the target is a volume of the disk itself: writing there changes the disk."""
    own = {identity for path in disk.files if (identity := _identity(path))}
    for device in _below(_device_of(_existing(folder))):
        name = os.path.basename(os.path.realpath(_SYS / device))
        behind = loops.backing_identity(f"/dev/{name}") if name.startswith("loop") else None
        if device in own or (behind and f"{behind}" in own):
            raise Refused(
                _("{path} is inside the disk that is to be backed up.").format(path=safe(folder)),
                _("Writing there would change the disk. Nothing was written."),
                _("Choose a target on another medium."),
            )


def _identity(path: Path) -> str:
    """What stands below a mount of this very file or device."""
    try:
        status = os.stat(path)
    except OSError:
        return ""
    if status.st_rdev:
        return _number(status.st_rdev)
    return f"{(status.st_dev, status.st_ino)}"


def _number(device: int) -> str:
    return f"{os.major(device)}:{os.minor(device)}"


def _existing(folder: Path) -> Path:
    while not os.path.isdir(folder) and folder != folder.parent:
        folder = folder.parent
    return folder


def _mount(path: Path) -> mounts.Mount | None:
    real = os.path.realpath(path)
    over = [one for one in mounts.mounts() if Path(real).is_relative_to(one.point)]
    return max(over, key=lambda one: (len(one.point), one.id), default=None)


def _system(folder: Path) -> str:
    mount = _mount(folder)
    return mount.type if mount else ""


def _device_of(path: Path) -> str:
    """The block device, as ``8:1``, that a file lies on or that it is; of btrfs, one of its devices."""
    try:
        status = os.stat(path)
    except OSError:
        return ""
    if status.st_rdev:
        return _number(status.st_rdev)
    if os.major(status.st_dev) == 0 and (mount := _mount(path)) and mount.source.startswith("/dev/"):
        with_source = _identity(Path(mount.source))
        return with_source if ":" in with_source else _number(status.st_dev)
    return _number(status.st_dev)


def _below(device: str) -> Iterator[str]:
    """A block device and all that it stands on: partitions, mappings, arrays, and files behind loops."""
    waiting, seen = [device], set()
    while waiting:
        one = waiting.pop()
        if not one or one in seen:
            continue
        seen.add(one)
        yield one
        folder = Path(os.path.realpath(_SYS / one))
        if (folder / "partition").exists():
            waiting.append(_read(folder.parent / "dev"))
        waiting += [_read(slave / "dev") for slave in (folder / "slaves").glob("*")]
        if (folder / "loop").is_dir() and (behind := loops.backing_identity(f"/dev/{folder.name}")):
            waiting.append(_number(behind[0]))


def _media(path: Path) -> set[str]:
    """The lowest devices that a file stands on; its own device where the kernel tells nothing of it."""
    return {one for one in _below(_device_of(path)) if not _stands(one)}


def _stands(device: str) -> bool:
    """Whether a device stands on another."""
    folder = Path(os.path.realpath(_SYS / device))
    loop = (folder / "loop").is_dir()
    return loop or (folder / "partition").exists() or any((folder / "slaves").glob("*"))


def _thin(folder: Path) -> bool:
    return any(_uuid(device).endswith("-tpool") for device in _below(_device_of(folder)))


def _uuid(device: str) -> str:
    """What the device mapper calls a device: of a logical volume it begins with ``LVM-``."""
    return _read(Path(os.path.realpath(_SYS / device)) / "dm/uuid") if device else ""


def _allocated(path: Path) -> int:
    try:
        return os.stat(path, follow_symlinks=False).st_blocks * 512
    except OSError:
        return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape").strip()
    except OSError:
        return ""
