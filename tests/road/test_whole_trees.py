"""A tree of every kind of file comes back the same, out of every file system and every image format.

Compared by programs that have nothing to do with ours: see tests/compare_trees.py.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.compare_trees import differences
from tests.conftest import PATIENCE, Guard, Program, needs_root
from tests.hostile_tree import build
from tests.making import make_btrfs

pytestmark = [needs_root, pytest.mark.long(60)]

MIB = 1 << 20
FORMATS = ("raw", "qcow2", "vmdk", "vdi", "vpc", "vhdx", "parallels", "qcow", "qed")
PAIRS = [
    (system, form) for system in ("btrfs", "ext4", "xfs") for form in FORMATS[: 9 if system == "ext4" else 2]
]
"""Every file system and every format; what a format shows does not depend on what is in it."""
MAKERS = {
    "ext4": ("mkfs.ext4", "-q", "-F"),
    "xfs": ("mkfs.xfs", "-q", "-f"),
}
# XFS and btrfs want that much; a whole number of cylinders, which VHD rounds to, comes by the slack
SIZE = 512 * MIB
START = 2048
OFFSET = START * 512


@contextmanager
def mounted(disk: Path, point: Path, *options: str) -> Iterator[Path]:
    """The partition of the raw disk, mounted by hand."""
    point.mkdir(exist_ok=True)
    only = ["--read-only"] if "ro" in options else []
    attach = [
        "losetup",
        "--find",
        "--show",
        *only,
        "--offset",
        str(OFFSET),
        "--sizelimit",
        str(SIZE),
        str(disk),
    ]
    loop = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
    try:
        subprocess.run(["mount", "-o", ",".join(options or ("rw",)), loop, point], check=True)
        try:
            yield point
        finally:
            subprocess.run(["umount", point], check=True)
    finally:
        # who looks at the device meanwhile would put off what its last close writes
        subprocess.run(["blockdev", "--flushbufs", loop], check=True)
        subprocess.run(["losetup", "--detach", loop], check=True)
        # a mount namespace that another test made meanwhile keeps the mount, and so the device, until it ends
        end = time.monotonic() + PATIENCE
        while subprocess.run(["losetup", "--associated", disk], capture_output=True, check=True).stdout:
            assert time.monotonic() < end, f"{loop} is kept"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def disk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw disk with one partition that holds the tree."""
    folder = tmp_path_factory.mktemp("disks") / request.param
    folder.mkdir()
    path = folder / "disk.raw"
    with open(path, "wb") as file:
        file.truncate(OFFSET + SIZE + 2 * MIB)
    script = f"label: dos\nstart={START}, size={SIZE // 512}, type=83\n"
    subprocess.run(["sfdisk", "-q", path], input=script.encode(), check=True)
    system = folder / "fs"
    with open(system, "wb") as file:
        file.truncate(SIZE)
    if request.param == "btrfs":
        make_btrfs(system)
    else:
        subprocess.run([*MAKERS[request.param], system], check=True, stderr=subprocess.DEVNULL)
    subprocess.run(
        ["dd", f"if={system}", f"of={path}", "bs=1M", f"seek={OFFSET // MIB}", "conv=notrunc,sparse"],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    system.unlink()
    with mounted(path, folder / "m") as tree:
        build(tree / "tree")
    return path


@pytest.mark.parametrize(("disk", "format"), PAIRS, indirect=["disk"])
def test_the_tree_is_the_same(
    disk: Path, format: str, program: Program, guard: Guard, tmp_path: Path
) -> None:
    image = disk
    if format != "raw":
        image = tmp_path / f"disk.{format}"
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", format, disk, image], check=True)
    guard.watch(image)
    called = program("copy", image, "1", "/tree", tmp_path / "out", "--privileges", "--json")
    assert called.status == 0, called
    document = json.loads(called.out)
    assert document["unreadable"] == []
    assert document["lost_metadata"] == []
    kept = {"xfs": "norecovery,nouuid", "ext4": "noload", "btrfs": "rescue=nologreplay"}
    with mounted(disk, tmp_path / "m", "ro", kept[disk.parent.name]) as original:
        assert differences(original / "tree", tmp_path / "out/tree") == []
    checked = subprocess.run(
        ["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path / "out", check=False
    )
    assert checked.returncode == 0
