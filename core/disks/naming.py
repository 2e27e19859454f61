"""Where the copies of a backup go, and how they get their names: never in the place of another file."""

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.disks.header import Source
from core.disks.model import Disk
from core.disks.unfinished import exists, no_right, part_of
from core.errors import SalvageError
from core.i18n import _
from core.text import safe

Dest = Path | str
"""Where a backup shall go; text that ends in a slash means a folder, also one that is not there yet."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of a backup lies."""

    folder: Path
    places: tuple[Path, ...]
    """One for each file of the disk, in its order."""
    manifest: Path
    makes: bool = False
    """The folder is made where it is missing: it is clear that one is meant."""

    @property
    def main(self) -> Path:
        """What names the backup as a whole: the one copy, or the list of several."""
        return self.places[0] if len(self.places) == 1 else self.manifest

    def mapfile(self, place: Path) -> Path:
        """The list of what could not be read, in the form of ddrescue."""
        return place.with_name(place.name + ".mapfile")


def dest_of(text: str) -> Dest:
    """What was typed as an absolute place; the slash at its end stays, where a `Path` would forget it."""
    whole = os.path.abspath(os.path.expanduser(text))
    return whole.rstrip("/") + "/" if text.endswith("/") else Path(whole)


def layout(disk: Disk, dest: Dest) -> Layout:
    """The places for `dest`: one file lands at it, or in it where it is a folder; several land in it."""
    means_folder = isinstance(dest, str) and dest.endswith("/")
    dest = Path(os.path.abspath(os.path.expanduser(dest)))
    if len(disk.files) > 1:
        return Layout(dest, tuple(dest / name for name in _names(disk.files)), dest / "SHA256SUMS", True)
    # a logical volume's node is dm-0 once its links are resolved; its given name says more
    name = Path(disk.given).name if disk.is_block_device else disk.path.name
    place = dest / name if means_folder or dest.is_dir() else dest
    return Layout(place.parent, (place,), place.with_name(place.name + ".sha256"), means_folder)


def _names(files: tuple[Path, ...]) -> list[str]:
    """Each file's own name; a number before it where two from different folders are called alike."""
    names: list[str] = []
    for number, path in enumerate(files):
        names.append(path.name if path.name not in names else f"{number}-{path.name}")
    return names


def require_folder(place: Layout) -> None:
    """Raise `SalvageError` where the folder is missing and is not made: a slip of the fingers, most often."""
    missing = place.folder.parent if place.makes else place.folder
    if not (place.folder.is_dir() or missing.is_dir()):
        raise SalvageError(
            _("There is no folder {path}.").format(path=safe(missing)),
            _("Nothing was copied."),
            _("Make it, or choose another target."),
        )


def make_folder(place: Layout) -> bool:
    """Make the folder of the copies if it is missing, and say whether it was made now.

    Raises `SalvageError` where it cannot be made, or where nobody said that a folder is meant.
    """
    if place.folder.is_dir():
        return False
    require_folder(place)
    try:
        place.folder.mkdir()
    except PermissionError as error:
        raise no_right(place.folder) from error
    except OSError as error:
        raise SalvageError(
            _("Cannot make the folder {path}: {reason}.").format(
                path=safe(place.folder), reason=error.strerror
            ),
            _("Nothing was copied."),
            _("Choose another target."),
        ) from error
    return True


def give_name(temporary: Path, path: Path) -> None:
    """Give a file its final name; raises `Refused` where something has it already."""
    try:
        os.link(temporary, path)
    except FileExistsError as error:
        raise exists(path) from error
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        if os.path.lexists(path):
            raise exists(path) from error
        os.rename(temporary, path)  # a file system without hard links
    else:
        os.unlink(temporary)


def put_beside(path: Path, content: bytes, *, again: bool) -> None:
    """Write a small file, whole or not at all; with `again` the same one may be there already."""
    temporary = part_of(path)
    if again and _content(path, len(content)) == content:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(temporary, flags, 0o644)
    try:
        try:
            os.write(fd, content)
            os.fsync(fd)
        finally:
            os.close(fd)
        give_name(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _content(path: Path, most: int) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return os.read(fd, most + 1)
    finally:
        os.close(fd)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the medium."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def manifest(copies: Iterator[tuple[str, Path]]) -> bytes:
    """Digests and names as sha256sum(1) writes and checks them."""
    return b"".join(_line(digest, path.name) for digest, path in copies)


def _line(digest: str, name: str) -> bytes:
    """A name with a line break or backslash is escaped and marked."""
    raw = os.fsencode(name)
    escaped = raw.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    mark = b"\\" if escaped != raw else b""
    return mark + digest.encode() + b"  " + escaped + b"\n"


def keep_metadata(source: Source, fd: int) -> list[str]:
    """Give the copy owner, mode and times of the original; what the target could not keep."""
    if source.is_block_device:
        return []
    status = os.fstat(source.fd)
    lost = []
    try:
        os.fchown(fd, status.st_uid, status.st_gid)
    except OSError:
        lost.append(_("The owner could not be kept."))
    try:
        os.fchmod(fd, status.st_mode & 0o777)
        os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))
    except OSError:
        lost.append(_("Mode or times could not be kept."))
    return lost
