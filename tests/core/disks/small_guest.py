"""A small machine's disk: an MBR with one partition, and one letter on its ext4."""

import subprocess
from pathlib import Path

SIZE = 12 << 20
"""Bytes of the disk."""
START = 2048
"""The partition's first sector."""


def guest(folder: Path, text: str = "secret\n", name: str = "guest.raw", uuid: str = "clear") -> Path:
    """The raw disk, made by mke2fs and sfdisk."""
    tree, volume, disk = folder / f"{name}.tree", folder / f"{name}.ext4", folder / name
    tree.mkdir(exist_ok=True)
    (tree / "letter").write_text(text)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-U", uuid, "-d", tree, volume, "10M"], check=True)
    disk.touch()
    with open(disk, "r+b") as file:
        file.truncate(SIZE)
    told = f"label: dos\nstart={START},size={10 << 11},type=83\n"
    subprocess.run(["sfdisk", "-q", disk], input=told.encode(), check=True)
    with open(disk, "r+b") as file:
        file.seek(START * 512)
        file.write(volume.read_bytes())
    return disk


def image(folder: Path, name: str, format: str, *words: str, text: str = "secret\n") -> Path:
    """The same in another format, by qemu-img."""
    raw = guest(folder, text, name=f"{name}.raw")
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", format, *words, raw, folder / name], check=True)
    return folder / name
