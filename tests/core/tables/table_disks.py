"""Disks with partition tables for these tests, written by sfdisk or byte by byte."""

import struct
import subprocess
import uuid
import zlib
from collections.abc import Sequence
from pathlib import Path

LINUX_GUID = uuid.UUID("0FC63DAF-8483-4772-8E79-3D69D8477DE4")
DISK_GUID = uuid.UUID("11111111-2222-3333-4444-555555555555")

PRACTICE_SECTORS = 1000944
PRACTICE = """\
label: dos
label-id: 0x1234abcd
1 : start=63, size=6993, type=83
2 : start=7056, size=173376, type=83
3 : start=180432, size=820512, type=5
5 : start=180495, size=271089, type=83
6 : start=451647, size=271089, type=83
7 : start=722799, size=271089, type=83
8 : start=993951, size=6993, type=83
"""

MbrEntry = tuple[int, int, int, int]
"""Status, type, start, count."""


def sparse(path: Path, size: int) -> Path:
    with open(path, "xb") as disk:
        disk.truncate(size)
    return path


def scripted(path: Path, size: int, script: str) -> Path:
    """A disk of `size` bytes whose table sfdisk wrote from `script`."""
    sparse(path, size)
    subprocess.run(
        ["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", path],
        input=script.encode(),
        check=True,
        capture_output=True,
    )
    return path


def practice_disk(path: Path) -> Path:
    return scripted(path, PRACTICE_SECTORS * 512, PRACTICE)


def put(path: Path, offset: int, data: bytes) -> None:
    with open(path, "r+b") as disk:
        disk.seek(offset)
        disk.write(data)


def get(path: Path, offset: int, length: int) -> bytes:
    with open(path, "rb") as disk:
        disk.seek(offset)
        return disk.read(length)


def record(*entries: MbrEntry, identifier: int = 0) -> bytes:
    """The 512 bytes of an MBR or EBR."""
    packed = b"".join(struct.pack("<B3xB3xII", *entry) for entry in entries).ljust(64, b"\0")
    return bytes(440) + struct.pack("<I2x", identifier) + packed + b"\x55\xaa"


def mbr_disk(path: Path, sectors: int, *entries: MbrEntry) -> Path:
    sparse(path, sectors * 512)
    put(path, 0, record(*entries))
    return path


def gpt_entry(
    start: int, end: int, name: bytes = b"", kind: uuid.UUID = LINUX_GUID, attributes: int = 0
) -> bytes:
    own = uuid.uuid5(DISK_GUID, f"{start}-{end}")
    return struct.pack("<16s16sQQQ72s", kind.bytes_le, own.bytes_le, start, end, attributes, name)


def gpt_header(
    own: int, alternate: int, entries_at: int, array: bytes, last: int, count: int = 128, size: int = 128
) -> bytes:
    """A header with the right checksum whatever its fields say."""
    fields = (b"EFI PART", 0x10000, 92, 0, 0, own, alternate, 34, last, DISK_GUID.bytes_le)
    layout = "<8sIIII QQQQ 16s QIII".replace(" ", "")
    header = struct.pack(layout, *fields, entries_at, count, size, zlib.crc32(array))
    return header[:16] + struct.pack("<I", zlib.crc32(header)) + header[20:]


def gpt_disk(
    path: Path,
    sectors: int,
    entries: Sequence[bytes],
    sector_size: int = 512,
    count: int = 128,
    entry_size: int = 128,
) -> Path:
    """A disk with both copies of a GPT and a protective MBR."""
    sparse(path, sectors * sector_size)
    array = b"".join(entry.ljust(128, b"\0") for entry in entries).ljust(128 * 128, b"\0")
    length = -(-len(array) // sector_size)
    last = sectors - 1
    put(path, 0, record((0, 0xEE, 1, min(last, 0xFFFFFFFF))))
    usable = last - length - 1
    put(path, sector_size, gpt_header(1, last, 2, array, usable, count, entry_size))
    put(path, 2 * sector_size, array)
    put(path, last * sector_size, gpt_header(last, 1, last - length, array, usable, count, entry_size))
    put(path, (last - length) * sector_size, array)
    return path


def chain_disk(path: Path, count: int, each: int = 2048, sectors: int = 0) -> Path:
    """A disk with `count` logical partitions of `each` sectors, each a mebibyte behind its record."""
    step = each + 2048
    sectors = sectors or 2048 + count * step
    mbr_disk(path, sectors, (0, 0x05, 2048, sectors - 2048))
    for number in range(count):
        link = (0, 0x05, (number + 1) * step, step) if number + 1 < count else (0, 0, 0, 0)
        put(path, (2048 + number * step) * 512, record((0, 0x83, 2048, each), link))
    return path
