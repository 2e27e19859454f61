"""The subvolumes and snapshots of a mounted btrfs, asked of the kernel itself.

Structures: linux/uapi/linux/btrfs.h and btrfs_tree.h; both calls want root.
"""

import fcntl
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import SalvageError, WrongUsage
from core.files.entry import iso_time, named
from core.i18n import _
from core.volumes.model import Volume

TOP = 5
"""The id of the subvolume that holds all others."""
_SEARCH, _LOOKUP = 0xD0009411, 0xD0009412
"""BTRFS_IOC_TREE_SEARCH and BTRFS_IOC_INO_LOOKUP."""
_KEY = struct.Struct("<7QIIII4Q")
_FOUND = struct.Struct("<QQQII")
_ROOT_TREE = 1
_DIR_ITEM, _ROOT_ITEM, _ROOT_BACKREF = 84, 132, 144
_ROOT_TREE_DIR = 6
_LAST = (1 << 64) - 1
_AT_ONCE = 4096
_MOST = 100_000
"""Items that are looked at; a disk may claim any number of them."""
_READ_ONLY = 1


@dataclass(frozen=True, slots=True)
class Subvolume:
    """One subvolume. `path` is seen from the top; `created` in seconds since 1970, 0 where unknown."""

    id: int
    path: bytes
    read_only: bool = False
    snapshot: bool = False
    created: int = 0
    default: bool = False
    """Whether a mount that names none shows this one."""

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            **named("path", self.path),
            "read_only": self.read_only,
            "snapshot": self.snapshot,
            "created": iso_time(self.created * 1_000_000_000) if self.created else None,
            "default": self.default,
        }


@dataclass(frozen=True, slots=True)
class _Place:
    parent: int
    folder: int
    name: bytes


def mountable(path: str) -> bool:
    """Whether a mount option can hold the path of a subvolume, and does not take it for a number."""
    return not (path.isascii() and path.isdigit()) and not any(char in path for char in ',"\0')


def mount_option(volume: Volume, given: str) -> str:
    """The option that mounts the subvolume `given` by its path or its id; see btrfs(5).

    Raises WrongUsage for what is no btrfs, and for a path that no mount option can hold.
    """
    if volume.content != "btrfs":
        raise WrongUsage(
            _("{volume} is no btrfs: it has no subvolumes.").format(
                volume=volume.title[:1].upper() + volume.title[1:]
            )
        )
    if given.isascii() and given.isdigit():
        return f"subvolid={given}"
    if not mountable(given):
        raise WrongUsage(
            _("A subvolume with such a name is opened by its ID."),
            remedy=_("`virt-salvage subvolumes` shows it."),
        )
    return f"subvol=/{given.lstrip('/')}"


def subvolumes(root: Path) -> list[Subvolume]:
    """Every subvolume of the btrfs mounted at `root`, the top first, in the order of their paths.

    Raises SalvageError where the kernel does not tell.
    """
    try:
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return _listed(fd)
        finally:
            os.close(fd)
    except (OSError, struct.error) as error:
        raise SalvageError(
            _("The subvolumes of this btrfs could not be listed: {reason}.").format(
                reason=os.strerror(error.errno or 0) if isinstance(error, OSError) else error
            ),
            _("The disk was only read."),
        ) from error


def _listed(fd: int) -> list[Subvolume]:
    items: dict[int, bytes] = {}
    places: dict[int, _Place] = {}
    default = TOP
    for object, kind, offset, data in _items(fd):
        if kind == _ROOT_ITEM and (object >= 256 or object == TOP):
            items[object] = data
        elif kind == _ROOT_BACKREF:
            folder, _sequence, length = struct.unpack_from("<QQH", data)
            places[object] = _Place(offset, folder, data[18 : 18 + length])
        elif object == _ROOT_TREE_DIR and kind == _DIR_ITEM and data[30:37] == b"default":
            default = struct.unpack_from("<Q", data)[0]
    found = [Subvolume(TOP, b"/", default=default == TOP)]
    for id, data in items.items():
        path = _path(fd, id, places)
        if id != TOP and path is not None:
            found.append(_of(id, path, data, default))
    return sorted(found, key=lambda one: one.path)


def _of(id: int, path: bytes, data: bytes, default: int) -> Subvolume:
    """A subvolume by its struct btrfs_root_item; that of old file systems is shorter."""
    flags = struct.unpack_from("<Q", data, 208)[0]
    whole = len(data) >= 351
    return Subvolume(
        id,
        path,
        bool(flags & _READ_ONLY),
        whole and any(data[263:279]),
        struct.unpack_from("<q", data, 339)[0] if whole else 0,
        id == default,
    )


def _path(fd: int, id: int, places: dict[int, _Place]) -> bytes | None:
    """The path from the top; None where a deleted subvolume has none any more."""
    parts: list[bytes] = []
    for _step in range(len(places) + 1):
        if id == TOP:
            return b"/" + b"/".join(reversed(parts))
        place = places.get(id)
        if place is None:
            return None
        parts.append(_folder(fd, place) + place.name)
        id = place.parent
    return None


def _folder(fd: int, place: _Place) -> bytes:
    """The folder of its parent in which a subvolume lies, with a slash at its end; empty for the root."""
    argument = bytearray(struct.pack("<QQ", place.parent, place.folder).ljust(4096, b"\0"))
    fcntl.ioctl(fd, _LOOKUP, argument)
    return bytes(argument[16:]).split(b"\0", 1)[0]


def _items(fd: int) -> Iterator[tuple[int, int, int, bytes]]:
    """The items of the tree of roots: object, kind, offset and data of each."""
    object, kind, offset = 0, 0, 0
    for _turn in range(_MOST):
        key = _KEY.pack(
            _ROOT_TREE, object, _LAST, offset, _LAST, 0, _LAST, kind, 255, _AT_ONCE, 0, 0, 0, 0, 0
        )
        argument = bytearray(key.ljust(4096, b"\0"))
        fcntl.ioctl(fd, _SEARCH, argument)
        count = struct.unpack_from("<I", argument, 64)[0]
        at = _KEY.size
        for _item in range(count):
            _transaction, object, offset, kind, length = _FOUND.unpack_from(argument, at)
            at += _FOUND.size
            yield object, kind, offset, bytes(argument[at : at + length])
            at += length
        if not count:
            return
        # the next key after the last one
        offset += 1
        if offset > _LAST:
            offset, kind = 0, kind + 1
        if kind > 255:
            kind, object = 0, object + 1
