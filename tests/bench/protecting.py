"""What protecting a disk costs: the backup with its comparison, and the look at the header.

`cmp` right after `cp` compares two memories of the page cache; ours reads the copy back from the medium.
So `cp` is measured both ways: as it is, and with the copy flushed and read from the medium.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from core.disks.vet import vet
from core.runner import SystemRunner
from tests.bench.timing import MIB, Row, cold, compared, each, ours, run

_TIMES = 20


def scattered(path: Path, size: int, data: int, piece: int) -> Path:
    """A file of `size` MiB with `data` MiB of random bytes in pieces of `piece` MiB, holes between them."""
    count = data // piece
    with open(path, "wb") as file:
        file.truncate(size * MIB)
        for number in range(count):
            file.seek(number * (size // count) * MIB)
            file.write(os.urandom(piece * MIB))
    return path


def measure(folder: Path, rounds: int) -> Iterator[Row]:
    for size, data, piece in ((2048, 1536, 8), (20480, 1024, 2)):
        disk = scattered(folder / "disk.raw", size, data, piece)
        yield from _backups(folder, disk, f"{size // 1024} GiB, {data / 1024:.1f} of it data", rounds)
        disk.unlink()
    yield _sharing(folder, rounds)
    yield _vetting(folder)


def _backups(folder: Path, disk: Path, told: str, rounds: int) -> Iterator[Row]:
    copy, state = folder / "copy.raw", folder / "state"

    def tidy() -> None:
        run("rm", "-f", copy, f"{copy}.sha256")

    def backup() -> None:
        ours(state, "--format", "raw", "backup", disk, copy)

    def copied() -> None:
        run("cp", "--sparse=always", disk, copy)

    def compared_in_memory() -> None:
        copied()
        run("cmp", disk, copy)

    def compared_from_medium() -> None:
        copied()
        cold()
        run("cmp", disk, copy)

    def converted() -> None:
        run("qemu-img", "convert", "-f", "raw", "-O", "raw", disk, copy)
        run("qemu-img", "compare", "-f", "raw", "-F", "raw", disk, copy)

    for name, other in (
        ("cp --sparse=always + cmp", compared_in_memory),
        ("the same, read from the medium", compared_from_medium),
        ("qemu-img convert + compare", converted),
        ("cp alone", copied),
    ):
        yield compared(f"backup of {told} / {name}", backup, other, rounds, tidy)


def _sharing(folder: Path, rounds: int) -> Row:
    """On a file system that shares blocks; ours reads everything once, for the checksum."""
    image, place = folder / "xfs", folder / "shared"
    with open(image, "wb") as file:
        file.truncate(3000 * MIB)
    place.mkdir()
    run("mkfs.xfs", "-q", image)
    run("mount", "-o", "loop", image, place)
    try:
        disk, copy = scattered(place / "disk.raw", 1024, 1024, 8), place / "copy.raw"
        return compared(
            "backup of 1 GiB by shared blocks (XFS) / cp --reflink + cmp",
            lambda: ours(folder / "state", "--format", "raw", "backup", disk, copy),
            lambda: each(("cp", "--reflink=always", disk, copy), ("cmp", disk, copy)),
            rounds,
            lambda: run("rm", "-f", copy, f"{copy}.sha256"),
        )
    finally:
        subprocess.run(["umount", place], check=True)
        shutil.rmtree(place)


def _vetting(folder: Path) -> Row:
    """The look at a header and all that it names, in our process; qemu-img is a process each time."""
    image = folder / "vet.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", image, "100G")
    began = time.monotonic()
    for _time in range(_TIMES):
        vet(str(image), None, (), SystemRunner())
    between = time.monotonic()
    for _time in range(_TIMES):
        run("qemu-img", "info", image)
    ended = time.monotonic()
    return Row(f"vetting a qcow2, {_TIMES} times / qemu-img info", between - began, ended - between)
