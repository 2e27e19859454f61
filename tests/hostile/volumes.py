"""File systems on disks, and what the program says of them."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.mounts import wait_until
from tests.conftest import Guard
from tests.core.tables.table_disks import mbr_disk, sparse
from tests.hostile.asking import ask

MIB = 1 << 20
START = 2048
OFFSET = START * 512
MAKERS = {
    "ext4": ("mke2fs", "-q", "-t", "ext4"),
    # a size that only tests want
    "xfs": ("mkfs.xfs", "-q", "-f", "--unsupported"),
    "btrfs": ("mkfs.btrfs", "-q", "-f", "--mixed"),
}
SIZES = {"ext4": 16 * MIB, "xfs": 32 * MIB, "btrfs": 32 * MIB}


def made(path: Path, kind: str, *options: str | Path) -> Path:
    """A file system that fills a file."""
    sparse(path, SIZES[kind])
    subprocess.run([*MAKERS[kind], *options, path], check=True, capture_output=True)
    return path


def in_partition(disk: Path, system: Path, size: int | None = None, room: int = 0) -> Path:
    """A raw disk whose first partition, of `size` bytes, begins with the file system."""
    whole = system.stat().st_size
    mbr_disk(disk, (OFFSET + whole + room) // 512, (0, 0x83, START, (size or whole) // 512))
    place = ("bs=1M", f"seek={OFFSET // MIB}", "conv=notrunc,sparse", "status=none")
    subprocess.run(["dd", f"if={system}", f"of={disk}", *place], check=True)
    return disk


def filled(path: Path, kind: str = "ext4", *options: str | Path) -> Path:
    """An ext4 with one file in it, or an empty file system of another kind."""
    tree = path.with_suffix(".tree")
    tree.mkdir()
    (tree / "letter").write_text("rescued\n")
    return made(path, kind, *(("-d", tree) if kind == "ext4" else ()), *options)


def inspected(disk: Path, state: Path, *options: str) -> Any:
    told = ask(state, "inspect", "--json", *options, disk)
    assert told.status == 0, told
    return json.loads(told.out)


def problems(document: Any, number: int = 0) -> str:
    return " ".join(document["volumes"][number]["problems"])


@contextmanager
def by_hand(image: Path, point: Path, options: str) -> Iterator[Path]:
    point.mkdir(exist_ok=True)
    attach: list[str | Path] = ["losetup", "--find", "--show", image]
    if "ro" in options.split(","):
        attach.insert(1, "--read-only")
    loop = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
    try:
        subprocess.run(["mount", "-o", options, loop, point], check=True)
        try:
            yield point
        finally:
            subprocess.run(["umount", point], check=True)
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)
        # a private mount namespace that was made meanwhile keeps it a moment longer
        wait_until(lambda: not Path("/sys/block", Path(loop).name, "loop").exists(), 20.0, lambda: False)


@contextmanager
def mounted(state: Path, disk: Path, volume: str, point: Path, *options: str) -> Iterator[str]:
    """A mount of the program's own; the line of mountinfo that the kernel has for it."""
    told = ask(state, "mount", *options, disk, volume, point)
    try:
        assert told.status == 0, told
        lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
        yield next(line for line in lines if f" {point} " in line)
    finally:
        undone = ask(state, "undo", "--all")
        assert undone.status == 0, undone


def refused(disk: Path, state: Path, content: str, guard: Guard) -> str:
    """What is said of a disk with a file system that is not mounted."""
    guard.watch(disk)
    assert inspected(disk, state, "--format", "raw")["volumes"][0]["content"] == content
    told = ask(state, "ls", "--explain", "--format", "raw", disk, "disk")
    assert told.status == 1, told
    assert f"The whole disk contains {content}, which cannot be mounted here." in told.err
    assert "losetup" not in told.err
    assert not any(line.startswith(("mount ", "ntfs-3g")) for line in told.err.splitlines())
    return told.err
