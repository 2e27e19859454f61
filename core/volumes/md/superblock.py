"""The superblock of one member of an array.

Sources: the kernel's include/uapi/linux/raid/md_p.h (struct mdp_superblock_1, mdp_super_t), and
drivers/md/md.c (super_1_load, super_90_load, calc_sb_1_csum, calc_dev_sboffset).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from core.volumes.readable import Readable

CONTENT = "linux_raid_member"
SECTOR = 512
NEVER = (1 << 64) - 1
"""What stands for "done" where a superblock says how far something got."""
_MAGIC = 0xA92B4EFC
_HEAD, _MOST_ROLES = 256, 1920
_RECOVERS, _RESHAPES, _REPLACES, _JOURNAL, _LAYOUT = 2, 4, 16, 512, 4096
_NEW = struct.Struct("<4I16s32sQiiQIIiIQiIIIQQQQII16sBBHIQQQII")
_RESERVED = 64 << 10


@dataclass(frozen=True, slots=True)
class Member:
    """What a superblock says. `offset` and `size` are bytes in what it was read from; sizes in bytes."""

    offset: int
    size: int
    version: str
    uuid: str
    """That of the array."""
    name: str
    level: int
    layout: int | None
    """None where it is not written down (RAID0 in several zones, before Linux 5.4)."""
    chunk: int
    disks: int
    role: int | None
    """Its place in the array; None for a spare, a failed one or a journal."""
    events: int
    data: int
    """Where its data begin, from its own start."""
    room: int
    """Bytes of data that it has."""
    used: int
    """Bytes of each member that the array uses; 0 where each has its own size."""
    complete: bool = True
    """Whether it holds all its data: it is not being rebuilt, and does not stand in for another."""
    clean: bool = True
    """Whether the array was in sync when this was written."""
    reshaping: bool = False
    journal: bool = False
    """Whether newer data may lie on a journal device."""


def read_member(source: Readable, offset: int, size: int) -> Member | None:
    """The member in the `size` bytes from `offset`; None where there is no superblock that makes sense."""
    for at, version in _places(size):
        if at >= 0 and (found := _newer(source, offset, size, at, version)):
            return found
    at = (size & ~(_RESERVED - 1)) - _RESERVED
    return _old(source, offset, size, at) if at >= 0 else None


def _places(size: int) -> Iterator[tuple[int, str]]:
    yield 0, "1.1"
    yield 4096, "1.2"
    yield (size - 8192) & ~4095, "1.0"


def _newer(source: Readable, offset: int, size: int, at: int, version: str) -> Member | None:
    raw = source.read(offset + at, 4096)
    if len(raw) < 4096:
        return None
    word = _NEW.unpack_from(raw)
    magic, major, features, _pad, array, name, _ctime, level, layout, used, chunk, disks = word[:12]
    data, room, place, recovered, number = word[19:24]
    events, resynced, told, roles = word[31:35]
    if (magic, major) != (_MAGIC, 1) or place * SECTOR != at or roles > _MOST_ROLES:
        return None
    if checksum(raw[: _HEAD + 2 * roles], 216) != told:
        return None
    role = struct.unpack_from("<H", raw, _HEAD + 2 * number)[0] if number < roles else 0xFFFF
    at_work = bool(features & _RECOVERS) and recovered != NEVER
    member = Member(
        offset,
        size,
        version,
        str(UUID(bytes=array)),
        name.split(b"\0", 1)[0].decode("utf-8", "surrogateescape"),
        level,
        None if level == 0 and not features & _LAYOUT else layout,
        chunk * SECTOR,
        disks,
        role if role < disks else None,
        events,
        data * SECTOR,
        room * SECTOR,
        used * SECTOR,
        not at_work and not features & _REPLACES,
        resynced == NEVER,
        bool(features & _RESHAPES),
        bool(features & _JOURNAL),
    )
    return member if _sensible(member) else None


def _old(source: Readable, offset: int, size: int, at: int) -> Member | None:
    raw = source.read(offset + at, 4096)
    if len(raw) < 4096:
        return None
    words = struct.unpack("<1024I", raw)
    if (words[0], words[1]) != (_MAGIC, 0) or checksum(raw, 38 * 4) != words[38]:
        return None
    uuid = UUID(bytes=struct.pack("<4I", words[5], *words[13:16]))
    level = struct.unpack("<i", struct.pack("<I", words[7]))[0]
    role, state = words[995], words[996]
    active = state & 0b0111 == 0b0110  # not faulty, active, in sync
    chunk = words[65]
    room = at & ~(chunk - 1) if chunk and not chunk & (chunk - 1) else at
    member = Member(
        offset,
        size,
        "0.90",
        str(uuid),
        str(words[11]),
        level,
        None if level == 0 else struct.unpack("<i", struct.pack("<I", words[64]))[0],
        chunk,
        words[10],
        role if active and role < words[10] else None,
        words[40] << 32 | words[39],
        0,
        room,
        words[8] << 10 if level > 0 else 0,
        True,
        bool(words[33] & 1),
        words[2] > 90,
    )
    return member if _sensible(member) else None


def checksum(raw: bytes, at: int) -> int:
    """The sum over a superblock whose own sum lies at byte `at`."""
    plain = raw[:at] + bytes(4) + raw[at + 4 :]
    words = len(plain) // 4
    total: int = sum(struct.unpack_from(f"<{words}I", plain))
    if len(plain) % 4:
        total += struct.unpack_from("<H", plain, words * 4)[0]
    return (total & 0xFFFFFFFF) + (total >> 32) & 0xFFFFFFFF


def _sensible(member: Member) -> bool:
    lengths = 0 <= member.used <= member.room and 0 < member.room <= 1 << 62 and member.data < 1 << 62
    # RAID1 and linear arrays need no chunk
    whole = member.chunk % SECTOR == 0 and 0 <= member.chunk <= 1 << 30
    striped = member.level in (0, 4, 5, 6, 10)
    return 0 < member.disks <= 384 and lengths and whole and bool(member.chunk or not striped)
