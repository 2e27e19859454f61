"""What is damaged: small disks and images made with the real programs, kept without their zeros."""

import contextlib
import os
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.core.disks import differing, disk_images
from tests.core.tables import lost_disks, table_disks
from tests.hostile import images

_PAGE = 4096
_MOST = 1 << 20
"""Bytes of one seed that are kept."""
MIB = 1 << 20


@dataclass(frozen=True)
class Seed:
    """A file of `size` bytes that holds `pieces`, by their places, and zeros elsewhere."""

    name: str
    suffix: str
    size: int
    pieces: tuple[tuple[int, bytes], ...]

    @classmethod
    def of(cls, name: str, path: Path) -> "Seed":
        kept = tuple(_pieces(path))
        return cls(name, path.suffix, path.stat().st_size, kept)

    def write(self, path: Path) -> None:
        with open(path, "wb") as file:
            file.truncate(self.size)
            for place, data in self.pieces:
                file.seek(place)
                file.write(data[: max(0, self.size - place)])


def _pieces(path: Path) -> Iterator[tuple[int, bytes]]:
    """Runs of pages that are not all zeros."""
    start, run, total = 0, bytearray(), 0
    with open(path, "rb") as file:
        for place in _data_pages(file.fileno()):
            file.seek(place)
            page = file.read(_PAGE)
            if not page.strip(b"\0"):
                continue
            if run and start + len(run) != place:
                yield start, bytes(run)
                run.clear()
            if not run:
                start = place
            run += page
            total += len(page)
            if total >= _MOST:
                break
    if run:
        yield start, bytes(run)


def _data_pages(fd: int) -> Iterator[int]:
    size, at = os.fstat(fd).st_size, 0
    while at < size:
        try:
            first = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            return
        at = os.lseek(fd, first, os.SEEK_HOLE)
        yield from range(first // _PAGE * _PAGE, at, _PAGE)


Maker = Callable[[Path], object]


def _made(folder: Path, makers: dict[str, Maker], suffix: str = ".img") -> list[Seed]:
    """The seeds that the programs at hand can make."""
    found = []
    for name, make in makers.items():
        path = folder / f"{name}{suffix if '.' not in name else ''}"
        with contextlib.suppress(subprocess.CalledProcessError, FileNotFoundError):
            make(path)
            found.append(Seed.of(name, path))
    return found


def headers(folder: Path) -> list[Seed]:
    """Image files of every format that can be made here."""
    raw = disk_images.content(folder / "content.raw")
    found = []
    for kind, make in disk_images.KINDS.items():
        path = folder / f"{kind}.{kind.partition('-')[0]}"
        with contextlib.suppress(subprocess.CalledProcessError):
            make(raw, path)
            found.append(Seed.of(kind, path))
    base = str(raw)
    more: dict[str, Maker] = {
        "backed.qcow2": lambda path: images.qcow2(path, base, form="raw"),
        "data.qcow2": lambda path: images.qcow2(path, data="content.raw"),
        "snapshots.qcow2": _with_snapshots,
        "luks.qcow2": _encrypted,
        "flat.vmdk": lambda path: images.descriptor(path, 'RW 16384 FLAT "content.raw" 0'),
        "around.vmdk": lambda path: images.vmdk_around(path, 'createType="monolithicSparse"', capacity=2048),
        "differencing.vhd": lambda path: images.vhd(path, kind=4, parent="parent.vhd"),
        "bochs.bochs": _bochs,
        "cloop.cloop": _cloop,
        "trailer.dmg": _dmg,
    }
    content, changed = raw.read_bytes(), {9: b"9" * 512, 5000: b"5" * 512}
    vdi, vhdx = folder / "vdi.vdi", folder / "vhdx.vhdx"
    more |= {
        "differencing.vdi": lambda path: differing.vdi_difference(path, vdi, content, changed, zero=3),
        "differencing.vhdx": lambda path: differing.vhdx_difference(path, vhdx, changed, zero=3),
    }
    return [*found, *_made(folder, more)]


def _with_snapshots(path: Path) -> None:
    disk_images.created(path, "qcow2")
    for name in ("one", "two"):
        subprocess.run(["qemu-img", "snapshot", "-c", name, path], check=True, capture_output=True)


def _encrypted(path: Path) -> None:
    """A qcow2 that says that LUKS is in it, with the place of its header: docs/interop/qcow2.txt of QEMU."""
    place = images.extension(0x0537BE77, struct.pack(">QQ", 4 * images.CLUSTER, images.CLUSTER))
    images.put(images.qcow2(path, extensions=place), 32, ">I", 2)


def _bochs(path: Path) -> None:
    head = (
        b"Bochs Virtual HD Image".ljust(32, b"\0") + b"Redolog".ljust(16, b"\0") + b"Growing".ljust(16, b"\0")
    )
    head += struct.pack("<6IQ", 0x20000, 512, 16, 512, 1 << 20, 0, 16 << 20)
    path.write_bytes(head.ljust(512, b"\0") + b"\xff" * 64 + bytes(448))


def _cloop(path: Path) -> None:
    head = b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop".ljust(128, b"\0")
    path.write_bytes(head + (65536).to_bytes(4, "big") + (4).to_bytes(4, "big") + bytes(8192))


def _dmg(path: Path) -> None:
    trailer = bytearray(512)
    trailer[:12] = b"koly" + (4).to_bytes(4, "big") + (512).to_bytes(4, "big")
    struct.pack_into(">QQ", trailer, 216, 512, 1024)
    struct.pack_into(">Q", trailer, 492, 16)
    path.write_bytes(bytes(8192) + bytes(trailer))


def tables(folder: Path) -> list[Seed]:
    """Disks with partition tables of every kind that can be made here."""
    entries = [
        table_disks.gpt_entry(64 + 8 * n, 70 + 8 * n, f"part {n}".encode("utf-16-le")) for n in range(20)
    ]
    makers: dict[str, Maker] = {
        "mbr": lambda path: table_disks.practice_disk(path),
        "mbr-60": lambda path: table_disks.chain_disk(path, 60),
        "gpt": lambda path: table_disks.gpt_disk(path, 16384, entries),
        "gpt-4096": lambda path: table_disks.gpt_disk(path, 4096, entries, sector_size=4096),
        "gpt-256": lambda path: table_disks.gpt_disk(path, 16384, entries, count=64, entry_size=256),
        "hybrid": lambda path: _hybrid(path, entries),
        "protective": lambda path: table_disks.mbr_disk(path, 16384, (0, 0xEE, 1, 16383)),
    }
    for label in ("mac", "bsd", "sun", "dvh", "amiga", "pc98", "atari"):
        makers[label] = lambda path, label=label: _by_parted(path, label)  # type: ignore[misc]
    for name in ("ext4", "fat16", "ntfs", "swap", "exfat"):
        makers[f"floppy-{name}"] = lambda path, name=name: _volume(path, name)  # type: ignore[misc]
    return _made(folder, makers)


def _hybrid(path: Path, entries: list[bytes]) -> None:
    table_disks.gpt_disk(path, 16384, entries)
    table_disks.put(path, 0, table_disks.record((0, 0xEE, 1, 63), (0x80, 0x83, 64, 7), (0, 0x0C, 72, 7)))


def _by_parted(path: Path, label: str) -> None:
    table_disks.sparse(path, 16 * MIB)
    words = ["mklabel", label, "mkpart", *(["primary"] if label in ("pc98", "dvh") else []), "ext2"]
    if label in ("mac", "amiga", "pc98"):
        words = ["mklabel", label, "mkpart", "primary", "ext2"]
    argv = ["parted", "--script", "--align", "none", path, *words, "4MiB", "8MiB"]
    subprocess.run(argv, check=False, capture_output=True)


def _volume(path: Path, maker: str) -> None:
    lost_disks.blank(path, 16 * MIB)
    subprocess.run([*lost_disks.MAKERS[maker], path], check=True, capture_output=True)


def lost(folder: Path) -> list[Seed]:
    """Disks without a table, with file systems and what lies below them."""
    makers: dict[str, Maker] = {
        name: lambda path, name=name: _alone(path, name)  # type: ignore[misc]
        for name in lost_disks.MAKERS
    }
    makers["several"] = _several
    makers |= {f"md-{minor}": lambda path, minor=minor: _raid(path, minor) for minor in range(3)}  # type: ignore[misc]
    makers["lvm"] = _lvm
    makers["luks2"] = lambda path: _luks(path, "luks2")
    makers["luks1"] = lambda path: _luks(path, "luks1")
    return _made(folder, makers)


_LARGE = {"xfs": 320 * MIB, "btrfs": 128 * MIB, "fat32": 64 * MIB, "fat12": 2 * MIB}


def _alone(path: Path, maker: str) -> None:
    size = _LARGE.get(maker, 16 * MIB)
    lost_disks.blank(path, size + 2 * MIB)
    lost_disks.put(path, MIB, size, maker)


def _several(path: Path) -> None:
    lost_disks.blank(path, 64 * MIB)
    for number, maker in enumerate(("ext4-1k", "swap", "fat16", "ntfs", "ext2-1k")):
        lost_disks.put(path, (1 + 12 * number) * MIB, 10 * MIB, maker)


def _raid(path: Path, minor: int) -> None:
    at, block = lost_disks.md(minor, 24 * MIB // 512)
    lost_disks.blank(path, 26 * MIB)
    table_disks.put(path, MIB + at * 512, block)


def _lvm(path: Path) -> None:
    """A physical volume with one metadata area: lvm2, lib/format_text/layout.h."""
    text = b"salvage {\ncreation_time = 1700000000\n}\n"
    header = struct.pack("<32sQ", b"a" * 32, 24 * MIB) + struct.pack("<4Q", MIB, 0, 0, 0)
    header += struct.pack("<4Q", 4096, MIB - 4096, 0, 0)
    head = struct.pack("<8sQII8s", b"LABELONE", 1, 0, 32, b"LVM2 001") + header
    head = head.ljust(512, b"\0")
    total = zlib.crc32(head[20:], 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
    area = struct.pack("<I16sIQQQQII", 0, b" LVM2 x[5A%r0N*>", 1, 4096, MIB - 4096, 512, len(text), 0, 0)
    lost_disks.blank(path, 26 * MIB)
    for place, data in ((512, head[:16] + struct.pack("<I", total) + head[20:]), (4096, area), (4608, text)):
        table_disks.put(path, MIB + place, data)


def _luks(path: Path, kind: str) -> None:
    lost_disks.blank(path, 20 * MIB)
    fast = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--batch-mode", "--key-file", "-"]
    argv = ["cryptsetup", "luksFormat", "--type", kind, *fast, path]
    subprocess.run(argv, check=True, capture_output=True, input=b"word")
