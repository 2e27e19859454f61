"""Whether a file system was left without being unmounted, so that its last changes are in its journal only.

Only a few fields at fixed places are read, and nothing is followed further than one step: what is said here
is a hint for a person, and a disk that lies about it harms nobody.
"""

import struct
from collections.abc import Callable, Mapping

from core.tables.sectors import Sectors

_BLOCK = 512
"""Bytes of a block of the log of XFS, whatever the sectors of the disk are."""
_RECORD = 0xFEEDBABE
_UNMOUNT = 0x20
_LONGEST_RECORD = (256 << 10) // _BLOCK + 8
"""Blocks of the longest record of the log of XFS, with its headers."""


def pending(sectors: Sectors, offset: int, content: str) -> bool:
    """Whether the journal of the file system `content` at byte `offset` holds what is still to be done.

    False too where the file system has no journal or where that cannot be told.
    """
    read = _READERS.get(content)
    return bool(read and read(sectors, offset))


def _ext(sectors: Sectors, offset: int) -> bool:
    """EXT4_FEATURE_INCOMPAT_RECOVER: linux/fs/ext4/ext4.h."""
    block = sectors.read(offset + 1024, 1024)
    return len(block) == 1024 and bool(struct.unpack_from("<I", block, 96)[0] & 4)


def _btrfs(sectors: Sectors, offset: int) -> bool:
    """The root of the log tree in struct btrfs_super_block: linux/uapi/linux/btrfs_tree.h."""
    block = sectors.read(offset + (64 << 10), 4096)
    return len(block) == 4096 and bool(struct.unpack_from("<Q", block, 0x60)[0])


def _f2fs(sectors: Sectors, offset: int) -> bool:
    """No unmount in the newer of both checkpoints, or a node that was saved after it.

    CP_UMOUNT_FLAG and the structures: linux/include/linux/f2fs_fs.h. What fsync(2) saved is found from the
    first block that the checkpoint calls free on: fs/f2fs/recovery.c, find_fsync_dnodes.
    """
    block = sectors.read(offset + 1024, 1024)
    if len(block) < 1024:
        return False
    log_size, log_segment = struct.unpack_from("<II", block, 16)
    start, main = struct.unpack_from("<I12xI", block, 76)
    if not 9 <= log_size <= 16 or log_segment > 16:
        return False
    places = (start, start + (1 << log_segment))
    packs = [sectors.read(offset + (place << log_size), 512) for place in places]
    whole = [pack for pack in packs if len(pack) == 512]
    newest = max(whole, key=_version, default=b"")
    if not newest:
        return False
    segment = struct.unpack_from("<I", newest, 36 + 4)[0]  # of the warm nodes, the second kind
    inside = struct.unpack_from("<H", newest, 68 + 2)[0]
    size = 1 << log_size
    next_node = sectors.read(offset + (main + (segment << log_segment) + inside) * size, size)
    saved = len(next_node) == size and struct.unpack_from("<I", next_node, size - 12)[0] == _version(newest)
    return saved or not struct.unpack_from("<I", newest, 132)[0] & 1


def _version(pack: bytes) -> int:
    """The number of a checkpoint, of which a node keeps these 32 bits and a checksum beside."""
    return int(struct.unpack_from("<I", pack)[0])


def _xfs(sectors: Sectors, offset: int) -> bool:
    """No record of an unmount at the head of the log: linux/fs/xfs/xfs_log_recover.c, xlog_find_tail."""
    block = sectors.read(offset, 512)
    if len(block) < 512 or not block.startswith(b"XFSB"):
        return False
    size = struct.unpack_from(">I", block, 4)[0]
    start = struct.unpack_from(">Q", block, 48)[0]
    group_size = struct.unpack_from(">I", block, 84)[0]
    length = struct.unpack_from(">I", block, 96)[0]
    group_bits = block[124]
    count = length * size // _BLOCK
    if not start or not count or group_bits > 32:
        return False  # the log lies on another device
    group, inside = start >> group_bits, start & ((1 << group_bits) - 1)
    at = offset + (group * group_size + inside) * size
    if at + count * _BLOCK > sectors.size:
        return False  # it lies behind the end of its place
    return not _Log(sectors, at, count).ends_with_unmount()


class _Log:
    """The log of XFS: a ring of `count` blocks, each with the number of its round at its beginning."""

    def __init__(self, sectors: Sectors, at: int, count: int) -> None:
        self._sectors = sectors
        self._at = at
        self._count = count

    def ends_with_unmount(self) -> bool:
        head = self._head()
        for back in range(1, min(_LONGEST_RECORD, self._count) + 1):
            at = (head - back) % self._count
            block = self._read(at)
            if struct.unpack_from(">I", block)[0] == _RECORD:
                return self._unmounts(at, block, back)
        return False

    def _unmounts(self, at: int, header: bytes, length: int) -> bool:
        """Whether the record at `at` says that the file system was unmounted, and nothing comes after it."""
        version, size = struct.unpack_from(">II", header, 8)
        operations = struct.unpack_from(">I", header, 40)[0]
        most = struct.unpack_from(">I", header, 320)[0] if version & 2 else 0
        headers = max(1, -(-most // (32 << 10)))
        if operations != 1 or headers + -(-size // _BLOCK) != length:
            return False
        return bool(self._read((at + headers) % self._count)[9] & _UNMOUNT)

    def _head(self) -> int:
        """The block that is written next: the first one of an earlier round, or one never written."""
        first, last = self._round(0), self._round(self._count - 1)
        if first == last:
            return 0
        low, high = 0, self._count - 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._round(middle) == first else (low, middle)
        return high

    def _round(self, at: int) -> int:
        block = self._read(at)
        number, second = struct.unpack_from(">II", block)
        return int(second if number == _RECORD else number)

    def _read(self, at: int) -> bytes:
        return self._sectors.read(self._at + at * _BLOCK, _BLOCK).ljust(_BLOCK, b"\0")


_READERS: Mapping[str, Callable[[Sectors, int], bool]] = {
    "ext3": _ext,
    "ext4": _ext,
    "btrfs": _btrfs,
    "f2fs": _f2fs,
    "xfs": _xfs,
}
