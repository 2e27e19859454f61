"""The disk that copies are measured on: ext4 without a partition table, a folder for each kind of tree."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.timing import MIB, mounted, output, run

PARTS = ("small", "big", "system", "sparse")


def make_disk(folder: Path, files: int, big: int, system: Path, system_mib: int) -> tuple[Path, Path]:
    """A raw disk in `folder` and a qcow2 of the same; what a run before left there is taken."""
    raw, qcow2 = folder / "disk.raw", folder / "disk.qcow2"
    if not qcow2.exists():
        raw.unlink(missing_ok=True)
        with open(raw, "wb") as file:
            file.truncate((big + system_mib + 2048 + files // 20) * MIB)
        run("mkfs.ext4", "-q", "-F", "-N", str(files + 200_000), raw)
        with mounted(raw, folder / "m", "rw") as tree:
            _make_small(tree / "small", files)
            _make_big(tree / "big", big)
            _make_sparse(tree / "sparse", big)
            _make_system(tree / "system", system, system_mib)
            _look_like_a_system(tree)
        made = folder / "made.qcow2"
        run("qemu-img", "convert", "-O", "qcow2", raw, made)
        made.rename(qcow2)
    return raw, qcow2


def make_target(folder: Path, mib: int) -> None:
    """Room for copies: a file with all its blocks, so that writing to it allocates nothing below."""
    room = folder / "target.raw"
    if not room.exists():
        run("dd", "if=/dev/zero", f"of={room}", "bs=1M", f"count={mib}", "conv=fsync", "status=none")


@contextmanager
def new_target(folder: Path) -> Iterator[Path]:
    """An empty ext4 to copy to, the same each time.

    For minutes after files were removed ext4 steps over the inodes of each of them at every new file
    (recently_deleted in fs/ext4/ialloc.c): a second copy where a first was removed measures that.
    """
    room, point = folder / "target.raw", folder / "target"
    run("mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=1", room)
    loop = output("losetup", "--find", "--show", "--direct-io=on", room)
    try:
        point.mkdir(exist_ok=True)
        run("mount", "-t", "ext4", "-o", "noinit_itable", loop, point)
        try:
            yield point
        finally:
            run("umount", point)
    finally:
        run("losetup", "--detach", loop)


def _make_small(at: Path, files: int) -> None:
    for number in range(files):
        place = at / f"{number // 500:04}"
        if number % 500 == 0:
            place.mkdir(parents=True)
        (place / f"{number:06}").write_bytes(os.urandom(200 + number % 7 * 900))


def _make_big(at: Path, mib: int) -> None:
    at.mkdir()
    for number in range(3):
        with open(at / f"data{number}", "wb") as file:
            for _block in range(mib // 3):
                file.write(os.urandom(MIB))


def _make_sparse(at: Path, mib: int) -> None:
    at.mkdir()
    with open(at / "disk", "wb") as file:
        file.truncate(mib * 4 * MIB)
        for number in range(16):
            os.pwrite(file.fileno(), os.urandom(MIB), number * mib // 4 * MIB)


def _make_system(at: Path, system: Path, mib: int) -> None:
    """Evenly chosen files of a real system, with their links and attributes, of `mib` MiB together."""
    whole = sum(_size(path) for path in _below(system))
    share = min(1.0, mib * MIB / max(whole, 1))
    with tempfile.NamedTemporaryFile() as names:
        for number, path in enumerate(_below(system)):
            if int(number * share) != int((number + 1) * share):
                names.write(os.fsencode(path.relative_to(system)) + b"\0")
        names.flush()
        at.mkdir()
        run("rsync", "-aHAX", "--from0", f"--files-from={names.name}", f"{system}/", at)


def _below(folder: Path) -> Iterator[Path]:
    for above, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield Path(above, name)


def _size(path: Path) -> int:
    return path.lstat().st_size


def _look_like_a_system(tree: Path) -> None:
    """What tools that look for an operating system before they copy take for one."""
    for name in ("etc", "bin", "lib"):
        (tree / name).mkdir()
    (tree / "etc/debian_version").write_text("12.0\n")
    (tree / "etc/fstab").write_text("/dev/sda / ext4 defaults 0 1\n")
    (tree / "etc/hostname").write_text("measured\n")
