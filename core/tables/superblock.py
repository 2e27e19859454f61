"""What the superblock of a recognised file system says: its length, and what it would do to a host.

Only a few fields at fixed places are read, each checked before it counts: a superblock is untrusted.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.i18n import _
from core.tables.sectors import Sectors
from core.text import safe

_PANIC = 3
"""EXT4_ERRORS_PANIC of linux/fs/ext4/ext4.h."""
_MFT_VOLUME = 3
"""The number of $Volume in the master file table; the first records are never scattered."""
_LARGEST_RECORD = 64 << 10


@dataclass(frozen=True, slots=True)
class Superblock:
    """`length` is in bytes, None where the superblock does not say it in a way that makes sense.

    `members` is the number of devices that the file system is spread over.
    """

    length: int | None = None
    members: int = 1
    problems: tuple[str, ...] = ()


def superblock(sectors: Sectors, offset: int, content: str) -> Superblock:
    """What the file system of the kind `content` at byte `offset` says of itself."""
    read = _READERS.get(content)
    return read(sectors, offset) if read else Superblock()


def _ext(sectors: Sectors, offset: int) -> Superblock:
    """ext2/3/4: linux/fs/ext4/ext4.h, struct ext4_super_block."""
    block = sectors.read(offset + 1024, 1024)
    if len(block) < 1024 or block[56:58] != b"\x53\xef":
        return Superblock()
    low, log_size, incompatible = (struct.unpack_from("<I", block, place)[0] for place in (4, 24, 96))
    high = struct.unpack_from("<I", block, 336)[0] if incompatible & 0x80 else 0
    length = ((high << 32 | low) << 10 << log_size) if log_size <= 6 else None
    problems = []
    if struct.unpack_from("<H", block, 60)[0] == _PANIC:
        problems.append(
            _(
                "Its superblock wants the whole machine to panic at the first error (errors=panic);"
                " it is mounted with errors=continue, so that it cannot."
            )
        )
    options = block[0x200:0x240].split(b"\0", 1)[0]
    if options:
        problems.append(
            _("Its superblock brings mount options of its own: {options}. Ours come after them.").format(
                options=safe(options)
            )
        )
    return Superblock(length, problems=tuple(problems))


def _xfs(sectors: Sectors, offset: int) -> Superblock:
    """XFS: linux/fs/xfs/libxfs/xfs_format.h, struct xfs_dsb."""
    block = sectors.read(offset, 512)
    if len(block) < 512 or not block.startswith(b"XFSB"):
        return Superblock()
    block_size, blocks = struct.unpack_from(">IQ", block, 4)
    return Superblock(block_size * blocks)


def _btrfs(sectors: Sectors, offset: int) -> Superblock:
    """btrfs: linux/uapi/linux/btrfs_tree.h, struct btrfs_super_block; the length is this device's."""
    block = sectors.read(offset + (64 << 10), 4096)
    if len(block) < 4096 or block[0x40:0x48] != b"_BHRfS_M":
        return Superblock()
    length = struct.unpack_from("<Q", block, 0xC9 + 8)[0]
    members = struct.unpack_from("<Q", block, 0x88)[0]
    if members <= 1:
        return Superblock(length)
    told = _(
        "It is one of {count} devices of a btrfs; the others are not on this disk,"
        " and what lies on them only cannot be read."
    )
    return Superblock(length, members, (told.format(count=members),))


def _ntfs(sectors: Sectors, offset: int) -> Superblock:
    """NTFS: linux/fs/ntfs3/ntfs.h, struct NTFS_BOOT; dirty is a flag in a record of the file table."""
    boot = sectors.read(offset, 512)
    if len(boot) < 512 or boot[3:11] != b"NTFS    ":
        return Superblock()
    sector, cluster = struct.unpack_from("<HB", boot, 11)
    count, table = struct.unpack_from("<QQ", boot, 40)
    bytes_per_cluster = sector * cluster if cluster <= 0x80 else sector << (256 - cluster)
    shift = struct.unpack_from("<b", boot, 64)[0]
    record = bytes_per_cluster * shift if shift > 0 else 1 << -shift
    length = count * sector
    if not 512 <= record <= _LARGEST_RECORD:
        return Superblock(length)
    at = offset + table * bytes_per_cluster + _MFT_VOLUME * record
    if not _dirty(sectors.read(at, record)):
        return Superblock(length)
    told = _("Windows did not shut it down cleanly: the last changes may be missing. It is read as it is.")
    return Superblock(length, problems=(told,))


def _dirty(record: bytes) -> bool:
    """Whether a record of $Volume says that the volume is dirty ($VOLUME_INFORMATION, flag 0x0001)."""
    if len(record) < 512 or not record.startswith(b"FILE"):
        return False
    at = struct.unpack_from("<H", record, 20)[0]
    while at + 24 <= len(record):
        kind, length = struct.unpack_from("<II", record, at)
        if kind == 0x70:
            value = at + struct.unpack_from("<H", record, at + 20)[0]
            return value + 12 <= len(record) and bool(struct.unpack_from("<H", record, value + 10)[0] & 1)
        if kind > 0x70 or length < 24:
            return False
        at += length
    return False


_READERS: Mapping[str, Callable[[Sectors, int], Superblock]] = {
    "ext2": _ext,
    "ext3": _ext,
    "ext4": _ext,
    "xfs": _xfs,
    "btrfs": _btrfs,
    "ntfs": _ntfs,
}
