"""Images that the tests of this folder make for themselves."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from core.disks.model import Disk
from core.disks.vet import vet
from core.runner import SystemRunner

SIZE = 8 << 20
"""Bytes of the disk inside every image made here; no geometry of any format rounds it."""


def opened(path: Path | str, format: str | None = None, allow: tuple[Path, ...] = ()) -> Disk:
    return vet(str(path), format, allow, SystemRunner())


def content(path: Path) -> Path:
    """A raw disk with something at its start, in its middle and at its end."""
    data = bytearray(SIZE)
    for at in (0, SIZE // 2, SIZE - 4096):
        data[at : at + 4096] = bytes((at // 4096 + number) % 251 + 1 for number in range(4096))
    path.write_bytes(data)
    return path


def converted(source: Path, path: Path, format: str, *options: str) -> Path:
    words = [word for option in options for word in ("-o", option)]
    subprocess.run(
        ["qemu-img", "convert", "-f", "raw", "-O", format, *words, str(source), str(path)], check=True
    )
    return path


def created(path: Path, format: str, *words: str, size: int | None = SIZE) -> Path:
    sizes = [str(size)] if size else []
    subprocess.run(["qemu-img", "create", "-q", "-f", format, *words, str(path), *sizes], check=True)
    return path


def patched(path: Path, offset: int, data: bytes) -> Path:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)
    return path


KINDS: dict[str, Callable[[Path, Path], Path]] = {
    "qcow2": lambda s, p: converted(s, p, "qcow2"),
    "qcow2-v2": lambda s, p: converted(s, p, "qcow2", "compat=0.10"),
    "qcow2-extended-l2": lambda s, p: converted(s, p, "qcow2", "extended_l2=on"),
    "qcow2-zstd": lambda s, p: converted(s, p, "qcow2", "compression_type=zstd"),
    "qcow": lambda s, p: converted(s, p, "qcow"),
    "qed": lambda s, p: converted(s, p, "qed"),
    "vdi": lambda s, p: converted(s, p, "vdi"),
    "vdi-static": lambda s, p: converted(s, p, "vdi", "static=on"),
    "vmdk": lambda s, p: converted(s, p, "vmdk"),
    "vmdk-flat": lambda s, p: converted(s, p, "vmdk", "subformat=monolithicFlat"),
    "vmdk-split": lambda s, p: converted(s, p, "vmdk", "subformat=twoGbMaxExtentSparse"),
    "vmdk-split-flat": lambda s, p: converted(s, p, "vmdk", "subformat=twoGbMaxExtentFlat"),
    "vmdk-stream": lambda s, p: converted(s, p, "vmdk", "subformat=streamOptimized"),
    "vpc": lambda s, p: converted(s, p, "vpc", "force_size=on"),
    "vpc-fixed": lambda s, p: converted(s, p, "vpc", "force_size=on,subformat=fixed"),
    "vhdx": lambda s, p: converted(s, p, "vhdx"),
    "vhdx-fixed": lambda s, p: converted(s, p, "vhdx", "subformat=fixed"),
    "parallels": lambda s, p: converted(s, p, "parallels"),
}
