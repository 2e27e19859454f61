"""A btrfs whose tree of checksums is damaged; its files and folders are whole."""

import re
import subprocess
from pathlib import Path

from tests.making import make_btrfs


def damaged_btrfs(disk: Path, tree: Path) -> Path:
    """A raw disk with the files of `tree`, of which the first leaf of the tree of checksums is spoilt."""
    with disk.open("wb") as file:
        file.truncate(128 << 20)
    make_btrfs("-m", "single", "-d", "single", "--rootdir", tree, disk)
    leaf = _number(r"(?m)^leaf (\d+) ", "btrfs", "inspect-internal", "dump-tree", "-t", "csum", str(disk))
    place = _number(r"physical (\d+)", "btrfs-map-logical", "-l", str(leaf), str(disk))
    with disk.open("r+b") as file:
        file.seek(place + 200)
        file.write(b"X" * 16)
    return disk


def _number(pattern: str, *argv: str) -> int:
    said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    found = re.search(pattern, said)
    assert found, said
    return int(found[1])
