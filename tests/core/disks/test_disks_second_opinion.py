"""A second opinion on images: oslo.utils' format_inspector, as Nova, Cinder and Glance use it.

Each disagreement is listed here with its explanation; one that is not, and one that is gone, fails.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from oslo_utils.imageutils import format_inspector

from core.errors import SalvageError
from tests.core.disks.disk_images import KINDS, content, created, opened, patched
from tests.corpora import MISSING, TRUTH

SAME_FORMAT = {"vhd": "vpc", "iso": "raw", "gpt": "raw", "luks": "raw"}
"""What oslo calls by another name: VHD is vpc for QEMU; a table or LUKS at the start makes no container."""

BOOT_SECTOR = "oslo takes the boot sector of a file system for a partition table, and a damaged one"
FIELDS = "oslo looks for references only, not whether the other fields of a header can be true"
IN_TRAILER = "oslo does not look at the end of the file, where a VHD of fixed size has its footer"
NOT_KNOWN = "oslo does not know the format and takes it for raw"
NEWER = "oslo takes extended L2 entries (QEMU 5.2) for an unknown feature"
SPLIT = "oslo takes every VMDK of several files for unsafe; here the files were looked at, one by one"

UNLIKE = {
    "dfvfs/fat-parent.vhd": IN_TRAILER,
    "dftt/from_brian/7-undel-ntfs.d/7-ntfs-undel.dd": BOOT_SECTOR,
    "qemu-iotests/afl5.img": FIELDS,
    "qemu-iotests/empty.bochs": NOT_KNOWN,
    "qemu-iotests/parallels-v1": NOT_KNOWN,
    "qemu-iotests/simple-dmg.dmg": NOT_KNOWN,
    "qemu-iotests/simple-pattern.cloop": NOT_KNOWN,
    "util-linux/ts/blkid/images-fs/befs.img": BOOT_SECTOR,
    "util-linux/ts/blkid/images-fs/exfat.img": BOOT_SECTOR,
    "util-linux/ts/blkid/images-fs/ntfs.img": BOOT_SECTOR,
    "util-linux/ts/blkid/images-fs/small-fat32.img": BOOT_SECTOR,
    "vmdk-rs/twoGbMaxExtentSparse.vmdk": SPLIT,
}
UNLIKE_MADE = {
    "parallels": NOT_KNOWN,
    "qcow": NOT_KNOWN,
    "qcow2-extended-l2": NEWER,
    "qed": NOT_KNOWN,
    "vmdk-flat": SPLIT,
    "vmdk-split": SPLIT,
    "vmdk-split-flat": SPLIT,
    "vpc-fixed": IN_TRAILER,
}

Opinion = tuple[str, bool]
"""The format, and whether it may be opened; an image that cannot be read is of no format."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def _ours(path: Path) -> Opinion:
    try:
        disk = opened(path)
    except SalvageError:
        return "", False
    return disk.format, not disk.blocked


def _theirs(path: Path) -> Opinion:
    try:
        found = format_inspector.detect_file_format(str(path))
        found.safety_check()
    except (format_inspector.ImageFormatError, format_inspector.SafetyCheckFailed):
        return "", False
    return SAME_FORMAT.get(str(found), str(found)), True


def _differ(path: Path) -> bool:
    """Whether one would open what the other would not, or both would, as something else."""
    ours, theirs = _ours(path), _theirs(path)
    return ours[1] != theirs[1] or (ours[1] and ours[0] != theirs[0])


@pytest.mark.skipif(not TRUTH, reason=MISSING)
def test_real_images(corpora: Path) -> None:
    names = [row["file"] for row in TRUTH]
    assert len(names) > 100
    assert {name for name in names if _differ(corpora / name)} == set(UNLIKE)


def test_images_that_qemu_makes(tmp_path: Path) -> None:
    source = content(tmp_path / "source")
    different = set()
    for kind, make in KINDS.items():
        (tmp_path / kind).mkdir()
        if _differ(make(source, tmp_path / kind / f"a.{kind.split('-')[0]}")):
            different.add(kind)
    assert different == set(UNLIKE_MADE)


@pytest.mark.parametrize(
    "words",
    [("-F", "raw", "-b", "/etc/passwd"), ("-F", "raw", "-b", "nbd://127.0.0.1:9/x")],
    ids=["backing file", "network"],
)
def test_both_refuse_what_points_elsewhere(words: tuple[str, ...], tmp_path: Path) -> None:
    image = created(tmp_path / "a.qcow2", "qcow2", "-u", *words)
    assert (_ours(image)[1], _theirs(image)[1]) == (False, False)


def test_both_refuse_a_data_file_and_unknown_features(tmp_path: Path) -> None:
    image = created(tmp_path / "a.qcow2", "qcow2")
    for bits in (1 << 2, 1 << 63):
        patched(image, 72, bits.to_bytes(8, "big"))
        assert (_ours(image)[1], _theirs(image)[1]) == (False, False)


def test_only_ours_refuses_fields_that_cannot_be_true(tmp_path: Path) -> None:
    """Why one opinion is not enough."""
    for at, value in ((20, b"\0\0\0\x3f"), (24, b"\xff" * 8), (36, b"\xff" * 4), (56, b"\xff" * 4)):
        image = patched(created(tmp_path / "a.qcow2", "qcow2"), at, value)
        assert (_ours(image)[1], _theirs(image)[1]) == (False, True), at
        image.unlink()
