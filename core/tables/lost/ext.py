"""ext2, ext3 and ext4: superblocks, the copies of them in later block groups, and which blocks are in use.

Source: linux/fs/ext4/ext4.h, struct ext4_super_block and ext4_group_desc; Documentation/filesystems/ext4.
"""

import struct
import uuid
from collections.abc import Iterator

from core.tables.lost.candidate import Candidate, Read
from core.tables.lost.crc import raw_crc32c
from core.tables.lost.medium import SECTOR

LENGTH = 1024
FIRST = 1024
"""Bytes before the first superblock."""
_JOURNAL = 0x4
_META_GROUPS, _WIDE = 0x10, 0x80
_THREE = (0x2 | 0x4 | _META_GROUPS, 0x1 | 0x2 | 0x4)
"""Features that ext3 knows too, as libblkid tells the three apart; incompatible ones, and for writing."""
_BIG_ALLOC, _SUMS, _GROUP_SUMS = 0x200, 0x400, 0x10
_JOURNAL_DEVICE = 0x8
_UNUSED_BITMAP = 0x2
_FOLDER = 0x4000


class _Super:
    """The fields of one superblock that places are computed from."""

    def __init__(self, data: bytes) -> None:
        self.inodes, low = struct.unpack_from("<II", data, 0)
        self.first_block, log_size = struct.unpack_from("<II", data, 20)
        self.per_group, _clusters, self.inodes_per_group, mounted, self.written = struct.unpack_from(
            "<IIIII", data, 32
        )
        self.revision = struct.unpack_from("<I", data, 76)[0]
        self.inode_size, self.group = struct.unpack_from("<HH", data, 88)
        self.compatible, self.incompatible, self.read_only = struct.unpack_from("<III", data, 92)
        self.uuid, self.label = data[104:120], data[120:136].split(b"\0")[0]
        high = struct.unpack_from("<I", data, 0x150)[0]
        self.blocks = low | (high << 32 if self.incompatible & _WIDE else 0)
        self.block = 1024 << log_size if log_size <= 6 else 0
        wide = struct.unpack_from("<H", data, 254)[0]
        self.descriptor = wide if self.incompatible & _WIDE and wide in (64, 128, 256) else 32
        if self.revision == 0:
            self.inode_size = 128
        self.written = max(self.written, mounted)
        self.has_sum = bool(self.read_only & _SUMS)
        self.sum_right = self.has_sum and raw_crc32c(data[:1020]) == struct.unpack_from("<I", data, 1020)[0]

    @property
    def sane(self) -> bool:
        """Whether the numbers fit together as mke2fs makes them."""
        if not self.block or self.revision > 1 or self.first_block > 1 or not self.per_group:
            return False
        if not self.read_only & _BIG_ALLOC and self.per_group > 8 * self.block:
            return False
        groups = -(-(self.blocks - self.first_block) // self.per_group)
        return (
            self.first_block < self.blocks
            and self.group < groups
            and self.inodes_per_group > 0
            and self.inodes == groups * self.inodes_per_group
            and self.inode_size in (128, 256, 512, 1024, 2048, 4096)
        )

    @property
    def content(self) -> str:
        if self.incompatible & _JOURNAL_DEVICE:
            return "jbd"
        if self.incompatible & ~_THREE[0] or self.read_only & ~_THREE[1]:
            return "ext4"
        return "ext3" if self.compatible & _JOURNAL else "ext2"


def recognise(read: Read, place: int, size: int) -> Iterator[Candidate]:
    """The file system that the superblock at byte `place` belongs to; `size` of the disk in bytes."""
    data = read(place, LENGTH)
    if len(data) < LENGTH:
        return
    said = _Super(data)
    if not said.sane or said.content == "jbd":
        return
    if said.group:
        start = place - (said.first_block + said.group * said.per_group) * said.block
    else:
        start = place - FIRST
    if start < 0 or start % SECTOR:
        return
    yield Candidate(
        said.content,
        start,
        said.blocks * said.block,
        primary=said.group == 0,
        live=_has_root(read, said, start, _descriptors(said, start, place)),
        checked=said.sum_right or not said.has_sum,
        sealed=said.sum_right,
        superblock=place,
        written=said.written or None,
        label=said.label.decode("utf-8", "surrogateescape") or None,
        uuid=str(uuid.UUID(bytes=said.uuid)),
    )


def _descriptors(said: _Super, start: int, place: int) -> int:
    """Where the group descriptors beside the superblock at `place` begin."""
    return place + said.block if said.group else start + (said.first_block + 1) * said.block


def _has_root(read: Read, said: _Super, start: int, descriptors: int) -> bool:
    """Whether inode 2 is a folder, found by way of the descriptor of the first group."""
    if said.incompatible & _META_GROUPS and said.group:
        return False
    data = read(descriptors, said.descriptor)
    if len(data) < said.descriptor:
        return False
    table = _block_number(data, 8, 40)
    if not said.first_block < table < said.blocks:
        return False
    inode = read(start + table * said.block + said.inode_size, 128)
    if len(inode) < 128:
        return False
    mode, links = struct.unpack_from("<H", inode)[0], struct.unpack_from("<H", inode, 26)[0]
    return bool(mode & 0xF000 == _FOLDER and links >= 2)


def _block_number(descriptor: bytes, low: int, high: int) -> int:
    number = struct.unpack_from("<I", descriptor, low)[0]
    if len(descriptor) >= 64:
        number |= struct.unpack_from("<I", descriptor, high)[0] << 32
    return int(number)


def in_use(read: Read, candidate: Candidate, place: int) -> bool | None:
    """Whether the file system counts byte `place` of the disk as in use; None where that cannot be told."""
    data = read(candidate.superblock, LENGTH)
    if len(data) < LENGTH:
        return None
    said = _Super(data)
    if not said.sane or said.incompatible & _META_GROUPS or said.read_only & _BIG_ALLOC:
        return None
    block = (place - candidate.start) // said.block
    group, bit = divmod(block - said.first_block, said.per_group)
    if not said.first_block <= block < said.blocks:
        return None
    at = _descriptors(said, candidate.start, candidate.superblock) + group * said.descriptor
    descriptor = read(at, said.descriptor)
    if len(descriptor) < said.descriptor:
        return None
    if said.read_only & (_GROUP_SUMS | _SUMS) and descriptor[18] & _UNUSED_BITMAP:
        return False
    bitmap = _block_number(descriptor, 0, 32)
    if not said.first_block < bitmap < said.blocks:
        return None
    bits = read(candidate.start + bitmap * said.block, said.block)
    if len(bits) < said.block or not any(bits):
        return None  # wiped, for what is in use at all is marked in it
    return bool(bits[bit // 8] >> bit % 8 & 1)
