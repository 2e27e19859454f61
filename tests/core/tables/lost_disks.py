"""Disks with partitions that are made with the real tools and whose tables are then wiped."""

import json
import os
import shutil
import struct
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from core.cancel import CancelToken
from core.tables.lost.search import Found, search

MIB = 1 << 20


def run(*words: str | Path, given: bytes | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        check=True,
        capture_output=True,
        input=given,
        env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"},
    )
    return done.stdout.decode()


def has(program: str) -> bool:
    return shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is not None


MAKERS: dict[str, tuple[str, ...]] = {
    "ext4": ("mkfs.ext4", "-q", "-F", "-b", "4096", "-L", "data"),
    "ext4-1k": ("mkfs.ext4", "-q", "-F", "-b", "1024"),
    "ext3": ("mkfs.ext3", "-q", "-F"),
    "ext2-1k": ("mkfs.ext2", "-q", "-F", "-b", "1024"),
    "xfs": ("mkfs.xfs", "-q", "-f", "-L", "store"),
    "btrfs": ("mkfs.btrfs", "-q", "-f"),
    "fat12": ("mkfs.vfat", "-F", "12"),
    "fat16": ("mkfs.vfat", "-F", "16", "-n", "STICK"),
    "fat32": ("mkfs.vfat", "-F", "32"),
    "exfat": ("mkfs.exfat",),
    "ntfs": ("mkntfs", "-F", "-Q", "-q"),
    "swap": ("mkswap",),
}


@dataclass(frozen=True)
class Known:
    """What a volume is, by libblkid, while it lay in a file of its own."""

    content: str
    uuid: str | None
    label: str | None


def probed(path: Path) -> Known:
    facts = dict(line.split("=", 1) for line in run("blkid", "-p", "-o", "export", path).split("\n") if line)
    return Known(facts["TYPE"], facts.get("UUID"), facts.get("LABEL"))


def put(disk: Path, start: int, size: int, maker: str, tree: Path | None = None) -> Known:
    """A volume of `size` bytes at byte `start` of the disk, with the files of `tree` (ext only)."""
    alone = disk.with_suffix(".part")
    alone.unlink(missing_ok=True)
    with open(alone, "wb") as file:
        file.truncate(size)
    run(*MAKERS[maker], *(("-d", tree) if tree else ()), alone)
    known = probed(alone)
    place(disk, start, alone)
    alone.unlink()
    return known


def place(disk: Path, start: int, source: Path) -> None:
    """Lay a file's data, not its holes, at byte `start` of the disk."""
    with open(source, "rb") as file, open(disk, "r+b") as out:
        end, at = os.fstat(file.fileno()).st_size, 0
        while at < end:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                return
            stop = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            file.seek(at)
            out.seek(start + at)
            out.write(file.read(stop - at))
            at = stop


def blank(path: Path, size: int) -> Path:
    with open(path, "wb") as file:
        file.truncate(size)
    return path


def wipe(disk: Path, start: int, length: int) -> None:
    with open(disk, "r+b") as file:
        file.seek(start)
        file.write(bytes(length))


def with_table(disk: Path, script: str) -> list[dict[str, int]]:
    """Write a table by an sfdisk script; its partitions as sfdisk reads them back."""
    run("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", disk, given=script.encode())
    table = json.loads(run("sfdisk", "--json", disk))["partitiontable"]
    return [
        {
            "number": int(part["node"].removeprefix(str(disk)).lstrip("p")),
            "start": part["start"],
            "sectors": part["size"],
        }
        for part in table["partitions"]
    ]


def md(minor: int, sectors: int) -> tuple[int, bytes]:
    """Place in sectors and bytes of a version 1 superblock; linux/include/uapi/linux/raid/md_p.h."""
    at = {0: (sectors - 16) & ~7, 1: 0, 2: 8}[minor]
    data_offset, data_size = (0, at) if minor == 0 else (2048, sectors - 2048)
    block = bytearray(512)
    struct.pack_into("<III", block, 0, 0xA92B4EFC, 1, 0)
    block[16:32] = uuid.UUID(int=0x1234567890ABCDEF).bytes
    block[32:39] = b"store:0"
    struct.pack_into("<QIIQIi", block, 64, 1_700_000_000, 1, 0, data_size, 0, 2)
    struct.pack_into("<QQQ", block, 128, data_offset, data_size, at)
    struct.pack_into("<Q", block, 192, 1_700_000_001)
    struct.pack_into("<II", block, 216, 0, 128)
    total = sum(struct.unpack("<128I", block))
    struct.pack_into("<I", block, 216, (total & 0xFFFFFFFF) + (total >> 32) & 0xFFFFFFFF)
    return at, bytes(block)


def searched(disk: Path) -> Found:
    return search(disk, CancelToken())


def seen(found: Found) -> list[tuple[str, int, int]]:
    """Content, first byte and length of what was chosen."""
    return [(one.content, one.start, one.size) for one in found.chosen]


def with_an_image_inside(folder: Path, *options: str | Path) -> Path:
    """A disk with an ext4 that holds an image of an ext2 in one piece; `options` are mkfs.ext2's."""
    inner, point = blank(folder / "vm.img", 16 * MIB), folder / "point"
    run("mkfs.ext2", "-q", "-F", "-b", "1024", *options, inner)
    disk = blank(folder / "disk.raw", 96 * MIB)
    put(disk, MIB, 80 * MIB, "ext4")
    point.mkdir()
    run("mount", "-o", f"loop,offset={MIB},sizelimit={80 * MIB}", disk, point)
    try:
        run("cp", "--sparse=never", inner, point)  # without holes it lies in one piece
    finally:
        run("umount", point)
    return disk
