"""A small disk with a few files, raw and as qcow2."""

import subprocess
from pathlib import Path

FILES = {f"f{number}": bytes([number]) * 150_000 for number in range(8)}


def small_disks(folder: Path) -> Path:
    """Makes ``disk.raw``, one ext4 of 16 MiB with `FILES`, and ``disk.qcow2`` of it; the folder."""
    tree = folder / "tree"
    tree.mkdir()
    for name, data in FILES.items():
        (tree / name).write_bytes(data)
    raw = folder / "disk.raw"
    with open(raw, "xb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tree, raw], check=True)
    convert = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, folder / "disk.qcow2"]
    subprocess.run(convert, check=True)
    return folder
