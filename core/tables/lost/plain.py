"""Swap space, and the read-only file systems of images: squashfs, EROFS and ISO 9660.

Sources: linux/include/linux/swap.h (union swap_header), linux/fs/squashfs/squashfs_fs.h,
linux/fs/erofs/erofs_fs.h, ECMA-119 section 8.4.
"""

import struct
import uuid
from collections.abc import Iterator

from core.tables.lost.candidate import Candidate, Read
from core.tables.lost.medium import SECTOR

_PAGES = (4096, 8192, 16384, 65536)
_EROFS_FIRST = 1024
_ISO_FIRST = 32768
_ISO_BLOCK = 2048
_FOLDER = 0x4000


def recognise_swap(read: Read, place: int, size: int) -> Iterator[Candidate]:
    """The swap space whose first page ends with the sector at byte `place`."""
    for page in _PAGES:
        start = place + SECTOR - page
        head = read(start + 1024, SECTOR)
        if start < 0 or len(head) < SECTOR:
            continue
        version, last, bad = struct.unpack_from("<III", head)
        if version != 1 or not last or bad > last or (not bad and any(head[44:])):
            continue
        yield Candidate(
            "swap",
            start,
            (last + 1) * page,
            primary=True,
            live=True,
            checked=True,
            superblock=start,
            label=head[28:44].split(b"\0")[0].decode("utf-8", "surrogateescape") or None,
            uuid=str(uuid.UUID(bytes=head[12:28])),
            type="82",
        )
        return


def recognise_squashfs(read: Read, place: int, size: int) -> Iterator[Candidate]:
    """The squashfs of version 4 that begins at byte `place`."""
    data = read(place, 96)
    if len(data) < 96:
        return
    made, block = struct.unpack_from("<II", data, 8)
    compression, log = struct.unpack_from("<HH", data, 20)
    major, minor = struct.unpack_from("<HH", data, 28)
    used, _ids, _xattrs, inodes, folders = struct.unpack_from("<QQQQQ", data, 40)
    if (major, minor) != (4, 0) or not 12 <= log <= 20 or block != 1 << log or not 1 <= compression <= 6:
        return
    if not 96 <= inodes < folders < used < 1 << 50:
        return
    yield _image("squashfs", place, -(-used // 4096) * 4096, place, written=made)


def recognise_erofs(read: Read, place: int, size: int) -> Iterator[Candidate]:
    """The EROFS whose superblock lies at byte `place`."""
    data, start = read(place, 128), place - _EROFS_FIRST
    if len(data) < 128 or start < 0:
        return
    log, root, blocks = data[12], struct.unpack_from("<H", data, 14)[0], struct.unpack_from("<I", data, 36)[0]
    built, part = struct.unpack_from("<QI", data, 24)
    if not 9 <= log <= 16 or not blocks or part >= 10**9:
        return
    # the root's inode: its form has no bits above the fifth, and it is a folder
    meta = struct.unpack_from("<I", data, 40)[0]
    inode = read(start + (meta << log) + 32 * root, 8)
    form, mode = struct.unpack_from("<H2xH", inode) if len(inode) == 8 else (0xFFFF, 0)
    if form >= 0x20 or mode & 0xF000 != _FOLDER:
        return
    label = data[64:80].split(b"\0")[0].decode("utf-8", "surrogateescape") or None
    own = str(uuid.UUID(bytes=data[48:64]))
    yield _image("erofs", start, blocks << log, place, label=label, own=own, written=built)


def recognise_iso(read: Read, place: int, size: int) -> Iterator[Candidate]:
    """The ISO 9660 file system whose first volume descriptor lies at byte `place`."""
    data, start = read(place, _ISO_BLOCK), place - _ISO_FIRST
    if len(data) < _ISO_BLOCK or start < 0 or data[6] != 1:
        return
    # every number stands there in both byte orders
    blocks, swapped = struct.unpack_from("<I", data, 80)[0], struct.unpack_from(">I", data, 84)[0]
    block, block_swapped = struct.unpack_from("<H", data, 128)[0], struct.unpack_from(">H", data, 130)[0]
    if not blocks or (blocks, block) != (swapped, block_swapped) or block not in (512, 1024, 2048):
        return
    label = data[40:72].decode("ascii", "surrogateescape").rstrip(" \0") or None
    yield _image("iso9660", start, blocks * block, place, label=label)


def _image(
    content: str,
    start: int,
    size: int,
    place: int,
    label: str | None = None,
    own: str | None = None,
    written: int | None = None,
) -> Candidate:
    return Candidate(
        content,
        start,
        size,
        primary=True,
        live=True,
        checked=True,
        superblock=place,
        written=written or None,
        label=label,
        uuid=own,
    )
