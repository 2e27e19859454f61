"""Writes differencing VDI and VHDX images, which QEMU does not: by VirtualBox's and Microsoft's descriptions.

The sectors that differ are given; whole blocks of a VDI carry the rest of their parent's block.
"""

import struct
import uuid
from pathlib import Path

from tests.core.disks.small_guest import SIZE

SECTOR = 512
MIB = 1 << 20


def vdi_difference(path: Path, parent: Path, below: bytes, changed: dict[int, bytes], zero: int = -1) -> Path:
    """A VDI over another one whose content is `below`; the block `zero` is marked as zeros."""
    head = bytearray(parent.read_bytes()[:SECTOR])
    blocks = -(-SIZE // MIB)
    table, data = 1024, MIB
    own = sorted({at * SECTOR // MIB for at in changed})
    struct.pack_into("<I", head, 0x4C, 4)
    struct.pack_into("<II", head, 0x154, table, data)
    struct.pack_into("<QIIII", head, 0x170, SIZE, MIB, 0, blocks, len(own))
    head[0x1A8:0x1B8], head[0x1B8:0x1C8] = head[0x188:0x198], head[0x198:0x1A8]
    head[0x188:0x198], head[0x198:0x1A8] = uuid.uuid4().bytes, uuid.uuid4().bytes
    places = [0xFFFFFFFF] * blocks
    if zero >= 0:
        places[zero] = 0xFFFFFFFE
    stored = bytearray()
    for order, number in enumerate(reversed(own)):
        places[number] = order
        block = bytearray(below[number * MIB : (number + 1) * MIB].ljust(MIB, b"\0"))
        for at, sector in changed.items():
            if at * SECTOR // MIB == number:
                block[at * SECTOR - number * MIB : at * SECTOR - number * MIB + SECTOR] = sector
        stored += block
    image = bytes(head).ljust(table, b"\0") + struct.pack(f"<{blocks}I", *places)
    path.write_bytes(image.ljust(data, b"\0") + bytes(stored))
    return path


def _checked(block: bytes, length: int) -> bytes:
    """A structure with its CRC-32C at byte 4, reckoned bit by bit."""
    padded = block.ljust(length, b"\0")
    value = 0xFFFFFFFF
    for byte in padded[:4] + bytes(4) + padded[8:]:
        value ^= byte
        for _bit in range(8):
            value = value >> 1 ^ (0x82F63B78 & -(value & 1))
    return padded[:4] + struct.pack("<I", value ^ 0xFFFFFFFF) + padded[8:]


def data_write(path: Path) -> uuid.UUID:
    """What a difference to that VHDX calls it by: of the header with the higher number."""
    with open(path, "rb") as file:
        data = file.read(192 << 10)
    heads = [data[at : at + 4096] for at in (64 << 10, 128 << 10)]
    newest = max((head for head in heads if head[:4] == b"head"), key=lambda head: head[8:16][::-1])
    return uuid.UUID(bytes_le=newest[32:48])


def _locator(pairs: dict[str, str]) -> bytes:
    head = uuid.UUID("b04aefb7-d19e-4a81-b789-25b8e9445913").bytes_le + struct.pack("<HH", 0, len(pairs))
    at = len(head) + 12 * len(pairs)
    entries, texts = b"", b""
    for key, value in pairs.items():
        words = key.encode("utf-16-le"), value.encode("utf-16-le")
        entries += struct.pack("<IIHH", at, at + len(words[0]), len(words[0]), len(words[1]))
        texts += words[0] + words[1]
        at += len(words[0]) + len(words[1])
    return head + entries + texts


def vhdx_difference(
    path: Path,
    parent: Path,
    changed: dict[int, bytes],
    *,
    block: int = MIB,
    whole: dict[int, bytes] | None = None,
    zero: int = -1,
    paths: dict[str, str] | None = None,
    log: bool = False,
) -> Path:
    """A VHDX over another one; `whole` blocks are here in full, the block `zero` is marked as zeros."""
    ratio = (1 << 23) * SECTOR // block
    blocks = -(-SIZE // block)
    whole = whole or {}
    part = sorted({at * SECTOR // block for at in changed} - set(whole))
    bitmap_at, first = 5 * MIB, 6 * MIB
    entries = [0] * (blocks + (blocks - 1) // ratio + ratio + 2)
    data = bytearray()
    for number in [*reversed(part), *whole]:
        place = first + len(data)
        entries[number + number // ratio] = place | (6 if number in whole else 7)
        content = bytearray(b"\xee" * block)  # what is not here must not be shown
        if number in whole:
            content[:] = whole[number]
        for at, sector in changed.items():
            if at * SECTOR // block == number and number not in whole:
                content[at * SECTOR - number * block : at * SECTOR - number * block + SECTOR] = sector
        data += content
    if zero >= 0:
        entries[zero] = 2
    bitmap = bytearray(MIB)
    for at in changed:
        bitmap[at // 8] |= 1 << at % 8
    if part:
        entries[ratio] = bitmap_at | 6
    own = uuid.uuid4()
    heads = []
    for sequence in (1, 2):
        ids = uuid.uuid4().bytes_le + own.bytes_le + (uuid.uuid4().bytes_le if log else bytes(16))
        head = struct.pack("<4sIQ", b"head", 0, sequence) + ids
        heads.append(_checked(head + struct.pack("<HHIQ", 0, 1, MIB, MIB), 4096))
    log_id = heads[-1][48:64]
    named = {
        "parent_linkage": f"{{{data_write(parent)}}}",
        **({"relative_path": f".\\{parent.name}"} if paths is None else paths),
    }
    items = {
        "caa16737-fa36-4d43-b3b6-33f0aa44e76b": struct.pack("<II", block, 2),
        "2fa54224-cd1b-4876-b211-5dbed83bf4b8": struct.pack("<Q", SIZE),
        "8141bf1d-a96f-4709-ba47-f233a8faab5f": struct.pack("<I", SECTOR),
        "cda348c7-445d-4471-9cc9-e9885251c556": struct.pack("<I", SECTOR),
        "beca12ab-b2e6-4523-93ef-c309e000c746": uuid.uuid4().bytes_le,
        "a8d35f2d-b30b-454d-abf7-d3d84834ab0c": _locator(named),
    }
    table, stored = struct.pack("<8sHH20x", b"metadata", 0, len(items)), b""
    for name, item in items.items():
        place = (64 << 10) + len(stored)
        table += uuid.UUID(name).bytes_le + struct.pack("<IIII", place, len(item), 4, 0)
        stored += item
    regions = struct.pack("<4sIII", b"regi", 0, 2, 0)
    for name, place in (
        ("2dc27766-f623-4200-9d64-115e9bfd4a08", 3 * MIB),
        ("8b7ca206-4790-4b9a-b8fe-575f050f886e", 2 * MIB),
    ):
        regions += uuid.UUID(name).bytes_le + struct.pack("<QII", place, MIB, 1)
    image = bytearray(first)
    image[:8] = b"vhdxfile"
    image[64 << 10 : (64 << 10) + 4096], image[128 << 10 : (128 << 10) + 4096] = heads
    for place in (192 << 10, 256 << 10):
        image[place : place + (64 << 10)] = _checked(regions, 64 << 10)
    if log:
        image[MIB : MIB + 64] = struct.pack("<4s28x16s16x", b"loge", log_id)
    image[2 * MIB : 2 * MIB + len(table)] = table
    image[2 * MIB + (64 << 10) : 2 * MIB + (64 << 10) + len(stored)] = stored
    image[3 * MIB : 3 * MIB + 8 * len(entries)] = struct.pack(f"<{len(entries)}Q", *entries)
    image[bitmap_at : bitmap_at + MIB] = bitmap
    path.write_bytes(bytes(image) + bytes(data))
    return path
