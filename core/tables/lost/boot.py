"""NTFS, FAT and exFAT: boot sectors, and the copy that each keeps of its own.

Sources: Microsoft's FAT specification (fatgen103) and exFAT specification; linux/fs/ntfs3/ntfs.h.
"""

import struct
from collections.abc import Iterator

from core.tables.lost.candidate import Candidate, Read
from core.tables.lost.medium import SECTOR

_EXFAT_COPY = 12
"""Sectors from the boot region of an exFAT to its copy."""


def recognise(read: Read, place: int, size: int) -> Iterator[Candidate]:
    """The file systems that the boot sector at byte `place` may belong to, as the original or as the copy."""
    data = read(place, SECTOR)
    if len(data) < SECTOR:
        return
    if data[3:11] == b"NTFS    ":
        yield from _ntfs(read, place, data)
    elif data[3:11] == b"EXFAT   ":
        yield from _exfat(read, place, data)
    elif data[0] in (0xEB, 0xE9, 0):  # some tools leave the jump out
        yield from _fat(read, place, data)


def _ntfs(read: Read, place: int, data: bytes) -> Iterator[Candidate]:
    sector, cluster = struct.unpack_from("<HB", data, 11)
    total, table, mirror = struct.unpack_from("<QQQ", data, 40)
    # larger clusters are written as the negative power of two
    cluster = cluster if cluster <= 128 else 1 << (256 - cluster)
    if sector not in (512, 1024, 2048, 4096) or cluster.bit_count() != 1 or data[14:21] != bytes(7):
        return
    if not total or not 0 < table * cluster < total or total >= 1 << 51:
        return
    for start in (place, place - total * sector):
        if start < 0 or start % SECTOR:
            continue
        # the first record, or the mirror of it
        live = any(read(start + at * cluster * sector, 4) == b"FILE" for at in (table, mirror))
        if not live and start != place:
            continue
        yield Candidate(
            "ntfs",
            start,
            (total + 1) * sector,
            primary=start == place,
            live=live,
            # the copy at the end lies where its first record cannot be, so that alone tells the two apart
            checked=live,
            superblock=place,
            uuid=f"{int.from_bytes(data[72:80], 'little'):016X}",
            type="7",
        )


def _exfat(read: Read, place: int, data: bytes) -> Iterator[Candidate]:
    length = struct.unpack_from("<Q", data, 72)[0]
    fat, _fat_length, heap, clusters, root = struct.unpack_from("<IIIII", data, 80)
    shift, cluster_shift, fats = struct.unpack_from("<BBB", data, 108)
    if not 9 <= shift <= 12 or cluster_shift > 25 - shift or fats not in (1, 2) or data[11:64] != bytes(53):
        return
    if not 24 <= fat < heap < length < 1 << 55 or root < 2 or heap + (clusters << cluster_shift) > length:
        return
    sector = 1 << shift
    checked = _exfat_sum(read(place, 12 * sector), sector)
    if not checked:
        return
    for start in (place, place - _EXFAT_COPY * sector):
        if start < 0 or read(start + fat * sector, 8)[1:8] != b"\xff" * 7:
            continue
        yield Candidate(
            "exfat",
            start,
            length * sector,
            primary=start == place,
            live=True,
            checked=True,
            superblock=place,
            uuid=_serial(data[100:104]),
            type="7",
        )


def _exfat_sum(region: bytes, sector: int) -> bool:
    """Whether the checksum over the eleven first sectors stands in the twelfth; specification, 3.4."""
    if len(region) < 12 * sector:
        return False
    value = 0
    for place, byte in enumerate(region[: 11 * sector]):
        if place not in (106, 107, 112):
            value = (value >> 1 | (value & 1) << 31) + byte & 0xFFFFFFFF
    return value.to_bytes(4, "little") == region[11 * sector : 11 * sector + 4]


def _fat(read: Read, place: int, data: bytes) -> Iterator[Candidate]:
    sector, cluster, reserved, copies, root_entries, small = struct.unpack_from("<HBHBHH", data, 11)
    media, fat_small = struct.unpack_from("<BH", data, 21)
    large, fat_large = struct.unpack_from("<II", data, 32)
    total, fat = small or large, fat_small or fat_large
    if sector not in (512, 1024, 2048, 4096) or cluster.bit_count() != 1 or copies not in (1, 2):
        return
    if not reserved or not fat or not (media == 0xF0 or media >= 0xF8):
        return
    root = -(-root_entries * 32 // sector)
    head = reserved + copies * fat + root
    clusters = (total - head) // cluster if total > head else 0
    if not clusters:
        return
    # what has no small field is FAT32, however few its clusters are
    bits = 32 if not fat_small else 12 if clusters < 4085 else 16
    if (clusters >= 65525 and bits < 32) or (bits == 32) == bool(root_entries):
        return
    if fat * sector * 8 < (clusters + 2) * bits:
        return
    mark = bytes([media]) + b"\xff" * (1 if bits == 12 else 2)
    backup = struct.unpack_from("<H", data, 50)[0] if bits == 32 else 0
    for start in (place, place - backup * sector) if 0 < backup < reserved else (place,):
        if start < 0 or not read(start + reserved * sector, 3).startswith(mark):
            continue
        serial = data[67:71] if bits == 32 else data[39:43]
        at = reserved + copies * fat
        if bits == 32:
            at += (struct.unpack_from("<I", data, 44)[0] - 2) * cluster
        yield Candidate(
            "vfat",
            start,
            total * sector,
            primary=start == place,
            live=True,
            checked=True,
            superblock=place,
            label=_fat_label(data[71:82] if bits == 32 else data[43:54]),
            uuid=_serial(serial),
            type={12: "1", 16: "e", 32: "c"}[bits],
            boots=_has_efi(read(start + at * sector, 16 << 10)),
        )


def _has_efi(root: bytes) -> bool:
    """Whether a root folder begins with a folder EFI among its first entries."""
    return any(
        root[place : place + 11] == b"EFI        " and root[place + 11] & 0x10
        for place in range(0, len(root) - 31, 32)
    )


def _fat_label(field: bytes) -> str | None:
    text = field.decode("ascii", "surrogateescape").rstrip()
    return None if text == "NO NAME" else text or None


def _serial(data: bytes) -> str:
    number = f"{int.from_bytes(data, 'little'):08X}"
    return f"{number[:4]}-{number[4:]}"
