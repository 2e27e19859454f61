"""Arrays with parity made without md, by the description of their layouts.

Where a chunk lies and how the second parity is reckoned is told here a second time, in the words of the
kernel's drivers/md/raid5.c (raid5_compute_sector, raid6_idx_to_slot) and one bit after the other.
"""

import struct
import subprocess
from pathlib import Path

from core.volumes.md.superblock import checksum
from tests.core.volumes.layer_disks import MIB, SECTOR, file_system

CHUNK, DATA, LEGS = 64 << 10, MIB, 4
LAYOUTS = [(4, 0), *((5, one) for one in range(6)), *((6, one) for one in (0, 1, 2, 3, 8, 9, 10))]
"""Levels and layouts that are read."""
_HEAD = struct.Struct("<4I16s32sQiiQIIiIQiIIIQQQQII16sBBHIQQQII")


def places(level: int, layout: int, row: int, legs: int) -> tuple[int, int | None, list[int]]:
    """The legs of the first parity, the second one, and the data of a row."""
    back = legs - 1 - row % legs
    turn = row % legs
    if level == 4:
        return legs - 1, None, list(range(legs - 1))
    if level == 5:
        first = (back, turn, back, turn, 0, legs - 1)[layout]
        if layout in (2, 3):
            return first, None, [(first + 1 + one) % legs for one in range(legs - 1)]
        return first, None, [one for one in range(legs) if one != first]
    wide = legs - 2
    if layout == 9:
        back = legs - 1 - (row + 1) % legs
    first = {0: back, 1: turn, 2: back, 3: turn, 8: turn, 9: back, 10: back}[layout]
    if layout == 10:
        return first, (first - 1) % legs, [(first + 1 + one) % legs for one in range(wide)]
    second = (first + 1) % legs
    if layout in (2, 3):
        return first, second, [(first + 2 + one) % legs for one in range(wide)]
    return first, second, [one for one in range(legs) if one not in (first, second)]


def product(one: int, other: int) -> int:
    """In the field of RAID6, bit after bit."""
    total = 0
    for bit in range(8):
        if other >> bit & 1:
            total ^= one << bit
    for bit in range(14, 7, -1):
        if total >> bit & 1:
            total ^= 0x11D << (bit - 8)
    return total


_DOUBLE = bytes(product(one, 2) for one in range(256))


def mixed(*pieces: bytes) -> bytes:
    total = bytearray(pieces[0])
    for piece in pieces[1:]:
        whole = int.from_bytes(total, "big") ^ int.from_bytes(piece, "big")
        total[:] = whole.to_bytes(len(piece), "big")
    return bytes(total)


def syndrome(pieces: list[bytes]) -> bytes:
    """The second parity of the pieces in their order, by Horner's rule."""
    total = bytes(len(pieces[0]))
    for piece in reversed(pieces):
        total = mixed(total.translate(_DOUBLE), piece)
    return total


def legs_of(content: bytes, level: int, layout: int, legs: int = LEGS, chunk: int = CHUNK) -> list[bytes]:
    """What the members of an array with that content hold."""
    found: list[list[bytes]] = [[] for _leg in range(legs)]
    wide = legs - (2 if level == 6 else 1)
    for row in range(len(content) // (chunk * wide)):
        first, second, own = places(level, layout, row, legs)
        starts = range(row * wide * chunk, (row + 1) * wide * chunk, chunk)
        data = {leg: content[at : at + chunk] for leg, at in zip(own, starts, strict=True)}
        written = {first: mixed(*data.values()), **data}
        if second is not None:
            if layout >= 8:  # the layouts of DDF: all legs in their order, parities as zeros
                order = [data.get(leg, bytes(chunk)) for leg in range(legs)]
            else:
                behind = [(second + 1 + at) % legs for at in range(legs)]
                order = [data[leg] for leg in behind if leg in data]
            written[second] = syndrome(order)
        for leg, piece in written.items():
            found[leg].append(piece)
    return [b"".join(one) for one in found]


def _superblock(level: int, layout: int, role: int, used: int) -> bytes:
    roles = struct.pack(f"<{LEGS}H", *range(LEGS))
    made = _HEAD.pack(
        *(0xA92B4EFC, 1, 0, 0, b"u" * 16, b"host:five".ljust(32, b"\0"), 1, level, layout, used // SECTOR),
        *(CHUNK // SECTOR, LEGS, 0, 0, 0, 0, 0, 0, 0, DATA // SECTOR, used // SECTOR, 8, 0, role, 0),
        *(bytes([role]) * 16, 0, 0, 0, 0, 1, 9, (1 << 64) - 1, 0, LEGS),
    )
    made = made.ljust(256, b"\0") + roles
    return made[:216] + struct.pack("<I", checksum(made, 216)) + made[220:]


def array_disk(path: Path, level: int, lost: set[int], *, layout: int = 2, content: bytes = b"") -> Path:
    """A disk whose partitions are the members of an array, by itself with an ext4 on it.

    The `lost` ones are zeros.
    """
    content = content or file_system(path.parent / "content", 12 * MIB).read_bytes()
    legs = legs_of(content, level, layout)
    used = len(legs[0])
    size = DATA + used
    table = "".join(f"{(MIB + at * size) // SECTOR},{size // SECTOR},fd\n" for at in range(LEGS))
    with open(path, "wb") as file:
        file.truncate(2 * MIB + LEGS * size)
        for role, leg in enumerate(legs):
            if role not in lost:
                file.seek(MIB + role * size + 4096)
                file.write(_superblock(level, layout, role, used))
                file.seek(MIB + role * size + DATA)
                file.write(leg)
    argv = ["sfdisk", "-q", path]
    subprocess.run(argv, input=f"label: dos\n{table}", text=True, check=True)
    return path


def members_of(view: Path, size: int) -> list[bytes]:
    """What the members on such a disk hold now; `size` is that of the array's data on each."""
    found = []
    with open(view, "rb") as file:
        for role in range(LEGS):
            file.seek(MIB + role * (DATA + size) + DATA)
            found.append(file.read(size))
    return found
