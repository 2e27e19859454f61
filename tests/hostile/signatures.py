"""The signatures of file systems and other layers, each with no more behind it than libblkid asks for."""

import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

from tests.core.tables.table_disks import put


def vxfs(disk: Path) -> None:
    put(disk, 1024, struct.pack("<II", 0xA501FCF5, 4))


def minix(disk: Path) -> None:
    subprocess.run(["mkfs.minix", disk], check=True, capture_output=True)


def jfs(disk: Path) -> None:
    put(disk, 32768, struct.pack("<4sIQIHH", b"JFS1", 1, 1000, 4096, 12, 3) + struct.pack("<IHH", 512, 9, 0))


def reiserfs(disk: Path) -> None:
    block = bytearray(204)
    struct.pack_into("<IIII", block, 0, 4096, 1000, 200, 100)
    struct.pack_into("<H", block, 44, 4096)
    block[52:62] = b"ReIsEr2Fs\0"
    put(disk, 65536, bytes(block))


def apfs(disk: Path) -> None:
    head = struct.pack("<QQQHHHH", 0, 1, 1, 1, 0x8000, 0, 0) + b"NXSB" + struct.pack("<I", 4096)
    put(disk, 0, head.ljust(4096, b"\0"))


def hfsplus(disk: Path) -> None:
    header = bytearray(512)
    header[0:4] = b"H+\0\4"
    struct.pack_into(">III", header, 40, 4096, 4096, 1000)
    put(disk, 1024, bytes(header))


def ufs(disk: Path) -> None:
    put(disk, 8192 + 0x55C, (0x00011954).to_bytes(4, "little"))


def swap(disk: Path) -> None:
    subprocess.run(["mkswap", disk], check=True, capture_output=True)


def lvm(disk: Path) -> None:
    """The label of a physical volume: lib/label/label.h of LVM2, with its own start of the CRC."""
    header = b"A" * 32 + struct.pack("<Q", 16 << 20)
    summed = struct.pack("<I", 32) + b"LVM2 001" + header.ljust(480, b"\0")
    crc = zlib.crc32(summed, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
    put(disk, 512, b"LABELONE" + struct.pack("<QI", 1, crc) + summed)


def md(disk: Path) -> None:
    head = struct.pack("<IIII", 0xA92B4EFC, 1, 0, 0) + bytes(range(16)) + b"host:0".ljust(32, b"\0")
    body = bytearray(256)
    body[: len(head)] = head
    struct.pack_into("<QII", body, 64, 0, 1, 0)
    struct.pack_into("<QQ", body, 128, 2048, 20000)
    struct.pack_into("<Q", body, 144, 8)
    words = struct.unpack("<64I", bytes(body))
    total = sum(words)
    struct.pack_into("<I", body, 216, ((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF)
    put(disk, 4096, bytes(body))


def luks1(disk: Path) -> None:
    put(disk, 0, b"LUKS\xba\xbe\x00\x01" + b"aes".ljust(32, b"\0") + b"xts-plain64".ljust(32, b"\0"))
    put(disk, 168, b"3fdcb214-0f39-466d-a81a-a1fb114fe7cd")


def luks2(disk: Path) -> None:
    size = struct.pack(">QQ", 16384, 1)
    body = b"label".ljust(48, b"\0") + b"sha256".ljust(32, b"\0") + bytes(64)
    put(disk, 0, b"LUKS\xba\xbe\x00\x02" + size + body + b"3fdcb214-0f39-466d-a81a-a1fb114fe7cd")


def damaged_luks(disk: Path) -> None:
    """Sizes and counts that a reader which believed them would never be done with."""
    luks1(disk)
    put(disk, 104, b"\xff" * 64)
    put(disk, 208, b"\xff" * 384)


def bitlocker(disk: Path) -> None:
    boot = bytearray(512)
    boot[0:11] = b"\xeb\x58\x90-FVE-FS-"
    struct.pack_into("<HB", boot, 11, 512, 8)
    boot[160:176] = bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")
    struct.pack_into("<QQQ", boot, 176, 65536, 131072, 196608)
    boot[510:512] = b"\x55\xaa"
    put(disk, 0, bytes(boot))
    put(disk, 65536, b"-FVE-FS-" + struct.pack("<HH", 64, 2))


UNMOUNTED: dict[str, Callable[[Path], None]] = {
    "vxfs": vxfs,
    "minix": minix,
    "jfs": jfs,
    "reiserfs": reiserfs,
    "swap": swap,
}
MACS_AND_BSDS: dict[str, Callable[[Path], None]] = {"apfs": apfs, "hfsplus": hfsplus, "ufs": ufs}
