"""Real images that nobody here made, with their tables wiped: what was seen before is found again."""

import lzma
from pathlib import Path
from typing import Any

import pytest

from tests.core.tables.lost_disks import searched, wipe
from tests.corpora import CORPORA, MISSING, TRUTH

pytestmark = pytest.mark.skipif(not TRUTH, reason=MISSING)


def _truth(name: str) -> dict[str, Any]:
    return next(one for one in TRUTH if one["file"] == name)


def _unpacked(name: str, folder: Path) -> Path:
    image = folder / "image"
    with lzma.open(CORPORA / f"{name}.xz") as packed:
        image.write_bytes(packed.read())
    return image


@pytest.mark.parametrize(
    "name",
    [
        "dftt/from_brian/1-extend-part.d/ext-part-test-2.dd",
        "dfvfs/gpt.raw",
        "dfvfs/fat-parent.vhd",
        "u-root/securelaunch/testdata/gptdisk_label",
        "nbdkit-made/mbr-fat32-floppy.raw",
    ],
)
def test_the_partitions_that_parted_saw(name: str, tmp_path: Path) -> None:
    disk, truth = _unpacked(name, tmp_path), _truth(name)
    contents = {one["start"]: one.get("TYPE") for one in truth["inside"]}
    parts = []
    for line in truth["parted"]:
        start, end = (int(word.rstrip("s")) for word in line.split(":")[1:3])
        # sfdisk, by which the contents were told, leaves out a logical partition that parted sees
        seen_by_parted = "vfat" if ":fat" in line else None
        parts.append((contents.get(start, seen_by_parted), start, end))
    wanted = [part for part in parts if part[0]]
    wipe(disk, 0, 34 * 512 if "gpt" in name else 512)
    size = disk.stat().st_size
    if "gpt" in name:
        wipe(disk, size - 33 * 512, 33 * 512)
    seen = [(one.content, one.start // 512, one.end // 512 - 1) for one in searched(disk).chosen]
    assert [(one[0], one[1]) for one in seen] == [(one[0], one[1]) for one in wanted]
    for found, real in zip(seen, wanted, strict=True):
        # a FAT may end some sectors before its partition, which only the table tells
        assert real[2] - 64 <= found[2] <= real[2]


@pytest.mark.parametrize(
    "name", ["dfvfs/lvm.raw", "dfvfs/luks1.raw", "util-linux/ts/blkid/images-fs/xfs-v5.img"]
)
def test_what_fills_a_disk(name: str, tmp_path: Path) -> None:
    disk, truth = _unpacked(name, tmp_path), _truth(name)
    found = searched(disk)
    assert [(one.content, one.start) for one in found.chosen] == [(truth["blkid"]["TYPE"], 0)]
    assert found.chosen[0].uuid == truth["blkid"]["UUID"]


@pytest.mark.parametrize("name", ["e2fsprogs/f_badorphan/image", "e2fsprogs/f_journal/image"])
def test_superblocks_in_a_journal_are_copies(name: str, tmp_path: Path) -> None:
    found = searched(_unpacked(name, tmp_path))
    assert [(one.content, one.start) for one in found.chosen] == [("ext3", 0)]
    assert found.rejected and all(one.copy for one in found.rejected)
