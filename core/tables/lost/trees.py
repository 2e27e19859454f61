"""XFS and btrfs: superblocks and the copies of them, and where the file system begins by each.

Sources: linux/fs/xfs/libxfs/xfs_format.h (struct xfs_dsb, xfs_agf), linux/include/uapi/linux/btrfs_tree.h
(struct btrfs_super_block).
"""

import hashlib
import struct
import uuid
from collections.abc import Iterator

from core.tables.lost.candidate import Candidate, Read
from core.tables.lost.crc import crc32c
from core.tables.lost.medium import SECTOR

_FOLDER = 0x4000
_BTRFS_PLACES = (64 << 10, 64 << 20, 256 << 30)


def recognise_xfs(read: Read, place: int, size: int) -> Iterator[Candidate]:
    """The XFS that a superblock at byte `place` belongs to; the header beside it tells its group."""
    data = read(place, 4096)
    if len(data) < 512:
        return
    block, blocks = struct.unpack_from(">IQ", data, 4)
    root = struct.unpack_from(">Q", data, 56)[0]
    group_blocks, groups = struct.unpack_from(">II", data, 84)
    version, sector, inode_size, inodes_per_block = struct.unpack_from(">HHHH", data, 100)
    logs = struct.unpack_from("5B", data, 120)
    sane = (
        block in (512 << shift for shift in range(8))
        and sector in (512, 1024, 2048, 4096)
        and inode_size in (256, 512, 1024, 2048)
        and logs[:3] == (block.bit_length() - 1, sector.bit_length() - 1, inode_size.bit_length() - 1)
        and inodes_per_block * inode_size == block
        and groups > 0
        and (groups - 1) * group_blocks < blocks <= groups * group_blocks
        and 1 << logs[4] >= group_blocks > 1 << logs[4] >> 1
    )
    if not sane or version & 0xF not in (4, 5):
        return
    fifth = version & 0xF == 5
    stored = struct.unpack_from("<I", data, 224)[0]
    checked = not fifth or crc32c(data[:224] + bytes(4) + data[228:sector]) == stored
    header = read(place + sector, 16)
    known = len(header) == 16 and header.startswith(b"XAGF")
    group = struct.unpack_from(">I", header, 8)[0] if known else 0
    start = place - group * group_blocks * block
    if start < 0 or start % SECTOR or group >= groups:
        return
    inode = _xfs_inode(root, logs[4], logs[3], group_blocks, block, inode_size)
    first = read(start + inode, 4) if root != (1 << 64) - 1 else b""
    live = first.startswith(b"IN") and struct.unpack(">H", first[2:4])[0] & 0xF000 == _FOLDER
    yield Candidate(
        "xfs",
        start,
        block * blocks,
        primary=group == 0,
        live=live and known,
        checked=checked,
        sealed=checked and fifth,
        superblock=place,
        label=data[108:120].split(b"\0")[0].decode("utf-8", "surrogateescape") or None,
        uuid=str(uuid.UUID(bytes=data[32:48])),
    )


def _xfs_inode(
    number: int, log_blocks: int, log_inodes: int, group_blocks: int, block: int, inode_size: int
) -> int:
    """Bytes from the start of the file system to an inode, by its number."""
    group = number >> (log_blocks + log_inodes)
    within = number >> log_inodes & ((1 << log_blocks) - 1)
    return int((group * group_blocks + within) * block + (number & ((1 << log_inodes) - 1)) * inode_size)


def recognise_btrfs(read: Read, place: int, size: int) -> Iterator[Candidate]:
    """The btrfs device that a superblock at byte `place` belongs to; it says where it lies itself."""
    data = read(place, 4096)
    if len(data) < 4096:
        return
    own, _flags, _magic, _generation = struct.unpack_from("<QQQQ", data, 48)
    total, used = struct.unpack_from("<QQ", data, 112)
    sector, node = struct.unpack_from("<II", data, 144)
    here = struct.unpack_from("<Q", data, 0xC9 + 8)[0]
    if own not in _BTRFS_PLACES or own > place or (place - own) % SECTOR:
        return
    sizes = {4096 << shift for shift in range(5)}
    if sector not in sizes or node not in sizes or used > total or not own < here <= total:
        return
    checked = _btrfs_sum(data)
    if checked is False:
        return
    root, chunks = struct.unpack_from("<QQ", data, 80)
    yield Candidate(
        "btrfs",
        place - own,
        here,
        primary=own == _BTRFS_PLACES[0],
        live=bool(root and chunks and own == _BTRFS_PLACES[0]),
        checked=bool(checked),
        sealed=bool(checked),
        superblock=place,
        label=data[0x12B : 0x12B + 256].split(b"\0")[0].decode("utf-8", "surrogateescape") or None,
        uuid=str(uuid.UUID(bytes=data[32:48])),
    )


def _btrfs_sum(data: bytes) -> bool | None:
    """Whether the checksum is right; None where it is of a kind that is not computed here (xxhash)."""
    kind, body = struct.unpack_from("<H", data, 0xC4)[0], data[32:]
    if kind == 0:
        return bool(crc32c(body) == struct.unpack_from("<I", data)[0])
    if kind == 2:
        return hashlib.sha256(body).digest() == data[:32]
    if kind == 3:
        return hashlib.blake2b(body, digest_size=32).digest() == data[:32]
    return None
