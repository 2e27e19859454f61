"""A mirror of md for a practice disk, written without md: the superblocks of its two halves.

Source: the kernel's include/uapi/linux/raid/md_p.h (struct mdp_superblock_1) and drivers/md/md.c
(calc_sb_1_csum). The superblock of version 1.2 lies 4 KiB behind the start of a member.
"""

import random
import struct
from collections.abc import Mapping

from core.lab.lab import MirrorPlan, Place

DATA = 2048
"""Sectors from the start of a half to its data."""
_SUPER = 8
"""Sectors from the start of a half to its superblock."""
_MAGIC = 0xA92B4EFC
_NEVER = (1 << 64) - 1
_FAULTY = 0xFFFE
_MOST = 128
"""Roles that a superblock has room for, as mdadm makes it."""


def inside(plan: MirrorPlan, partitions: Mapping[int, Place]) -> Place:
    """Where the data of the first half lie: those that count."""
    halves = [partitions[number] for number in plan.partitions]
    count = min(half.sectors for half in halves) - DATA
    start = halves[0].start + DATA
    return Place(plan.number, start, start + count - 1, "md")


def sectors(
    plan: MirrorPlan, partitions: Mapping[int, Place], chance: random.Random, when: int
) -> dict[int, bytes]:
    """The superblocks of both halves, by their number on the disk; the second one says less events."""
    array = chance.randbytes(16)
    events = chance.randrange(4000, 90000)
    count = min(partitions[number].sectors for number in plan.partitions) - DATA
    found = {}
    for role, number in enumerate(plan.partitions):
        half, stale = partitions[number], role == 1
        roles = (0, 1) if stale else (0, _FAULTY)
        found[half.start + _SUPER] = _superblock(
            plan,
            half,
            array,
            chance.randbytes(16),
            role,
            events - (3000 if stale else 0),
            when - (40 * 86_400 if stale else 0),
            count,
            roles,
        )
    return found


def _superblock(
    plan: MirrorPlan,
    half: Place,
    array: bytes,
    device: bytes,
    role: int,
    events: int,
    when: int,
    count: int,
    roles: tuple[int, int],
) -> bytes:
    def packed(sum: int) -> bytes:
        head = struct.pack("<4I16s32s", _MAGIC, 1, 0, 0, array, f"web:{plan.name}".encode())
        head += struct.pack("<QiiQII", when - 10**7, 1, 0, count, 0, 2).ljust(128 - 64, b"\0")
        head += struct.pack("<QQQQ", DATA, half.sectors - DATA, _SUPER, 0)
        head += struct.pack("<II16s8x", role, 0, device)
        head += struct.pack("<QQQII", when, events, _NEVER, sum, _MOST).ljust(256 - 192, b"\0")
        return head + struct.pack(f"<{_MOST}H", *roles, *[_FAULTY + 1] * (_MOST - 2))

    words = struct.unpack(f"<{(256 + 2 * _MOST) // 4}I", packed(0))
    whole = sum(words)
    return packed(((whole & 0xFFFFFFFF) + (whole >> 32)) & 0xFFFFFFFF)
