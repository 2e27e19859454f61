"""Every kind of volume is found at its place and with its size, also by the copies of its superblock."""

import hashlib
import os
import struct
from pathlib import Path

import pytest

from tests.core.tables.lost_disks import (
    MAKERS,
    MIB,
    blank,
    has,
    md,
    place,
    probed,
    put,
    run,
    searched,
    seen,
    wipe,
)

START = 3 * MIB
SIZES = {"xfs": 300, "btrfs": 128, "fat12": 8, "fat32": 40, "ext4": 160}
needs = {
    name: pytest.mark.skipif(not has(words[0]), reason=f"{words[0]} is missing")
    for name, words in MAKERS.items()
}


def _each(*names: str) -> list[object]:
    return [pytest.param(name, marks=needs[name]) for name in names or MAKERS]


@pytest.mark.parametrize("maker", _each())
def test_its_place_size_and_name(maker: str, tmp_path: Path) -> None:
    size = SIZES.get(maker, 48) * MIB
    disk = blank(tmp_path / "disk.raw", size + 8 * MIB)
    known = put(disk, START, size, maker)
    found = searched(disk)
    assert seen(found) == [(known.content, START, size)]
    assert found.chosen[0].uuid == known.uuid
    if known.label:
        assert found.chosen[0].label == known.label
    assert found.rejected == ()


@pytest.mark.parametrize("maker", _each("ext4", "ext4-1k", "ext2-1k", "xfs", "btrfs", "ntfs"))
def test_by_copies_when_its_first_mebibyte_is_gone(maker: str, tmp_path: Path) -> None:
    size = SIZES.get(maker, 48) * MIB
    disk = blank(tmp_path / "disk.raw", size + 8 * MIB)
    known = put(disk, START, size, maker)
    wipe(disk, START, MIB)
    found = searched(disk)
    assert seen(found) == [(known.content, START, size)]
    assert not found.chosen[0].primary


@pytest.mark.parametrize("maker", _each("fat32", "exfat"))
def test_by_the_copy_of_its_boot_sector(maker: str, tmp_path: Path) -> None:
    disk = blank(tmp_path / "disk.raw", 60 * MIB)
    known = put(disk, START, 40 * MIB, maker)
    wipe(disk, START, 512)
    found = searched(disk)
    assert seen(found) == [(known.content, START, 40 * MIB)]
    assert not found.chosen[0].primary


def test_at_track_63_as_the_old_tools_laid_it(tmp_path: Path) -> None:
    disk = blank(tmp_path / "disk.raw", 64 * MIB)
    known = put(disk, 63 * 512, 32 * MIB, "ext2-1k")
    assert seen(searched(disk)) == [(known.content, 63 * 512, 32 * MIB)]


@pytest.mark.skipif(not has("cryptsetup"), reason="cryptsetup is missing")
@pytest.mark.parametrize(("version", "lost"), [("luks1", False), ("luks2", False), ("luks2", True)])
def test_luks_and_the_second_header_of_its_second_version(version: str, lost: bool, tmp_path: Path) -> None:
    alone = blank(tmp_path / "luks", 32 * MIB)
    cost = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--batch-mode")
    run("cryptsetup", "luksFormat", "--type", version, *cost, alone, "-", given=b"word")
    known = probed(alone)
    disk = blank(tmp_path / "disk.raw", 48 * MIB)
    place(disk, START, alone)
    put(disk, START + 32 * MIB, 8 * MIB, "ext2-1k")
    if lost:
        wipe(disk, START, 4096)
    first, second = searched(disk).chosen
    assert (first.content, first.start, first.uuid) == ("crypto_LUKS", START, known.uuid)
    assert (first.open_ended, first.primary) == (True, not lost)
    assert second.start == START + 32 * MIB


@pytest.mark.skipif(os.geteuid() != 0 or not has("pvcreate"), reason="lvm2 and root are needed")
def test_lvm_with_the_name_of_its_group(tmp_path: Path) -> None:
    alone = blank(tmp_path / "pv", 24 * MIB)
    loop = run("losetup", "--find", "--show", alone).strip()
    settings = (
        f'devices{{use_devicesfile=0 filter=["a|^{loop}$|","r|.*|"]}} activation{{udev_sync=0 udev_rules=0}}'
    )
    try:
        run("pvcreate", "--quiet", "--config", settings, loop)
        run("vgcreate", "--quiet", "--config", settings, "salvage-test", loop)
    finally:
        run("losetup", "--detach", loop)
    known = probed(alone)
    disk = blank(tmp_path / "disk.raw", 32 * MIB)
    place(disk, START, alone)
    found = searched(disk)
    assert seen(found) == [("LVM2_member", START, 24 * MIB)]
    assert (found.chosen[0].label, found.chosen[0].uuid) == ("salvage-test", known.uuid)


@pytest.mark.parametrize("minor", [0, 1, 2])
def test_a_member_of_a_raid_and_not_the_file_system_in_it(minor: int, tmp_path: Path) -> None:
    size = 24 * MIB
    alone = blank(tmp_path / "md", size)
    at, block = md(minor, size // 512)
    if minor == 0:
        put(alone, 0, 16 * MIB, "ext2-1k")
    with open(alone, "r+b") as file:
        file.seek(at * 512)
        file.write(block)
    assert probed(alone).content == "linux_raid_member"
    disk = blank(tmp_path / "disk.raw", 40 * MIB)
    place(disk, START, alone)
    found = searched(disk)
    assert [(one.content, one.start) for one in found.chosen] == [("linux_raid_member", START)]
    assert size - 8192 <= found.chosen[0].size <= size
    assert found.chosen[0].label == "store:0"
    assert [one.candidate.content for one in found.rejected] == (["ext2"] if minor == 0 else [])


def test_a_member_of_an_old_raid_with_its_superblock_at_the_end(tmp_path: Path) -> None:
    size = 24 * MIB
    at = (size & ~0xFFFF) - 0x10000
    words = [0] * 1024
    words[:6] = [0xA92B4EFC, 0, 90, 0, 0, 0x11111111]
    words[6:12] = [1_700_000_000, 1, at >> 10, 2, 2, 0]
    words[32] = 1_700_000_001
    words[38] = sum(words) & 0xFFFFFFFF
    alone = blank(tmp_path / "md", size)
    with open(alone, "r+b") as file:
        file.seek(at)
        file.write(struct.pack("<1024I", *words))
    assert probed(alone).content == "linux_raid_member"
    disk = blank(tmp_path / "disk.raw", 40 * MIB)
    place(disk, START, alone)
    assert seen(searched(disk)) == [("linux_raid_member", START, size)]


@pytest.mark.parametrize(
    ("maker", "content"),
    [
        (("mksquashfs", "TREE", "IMAGE", "-quiet", "-no-progress"), "squashfs"),
        (("mkfs.erofs", "IMAGE", "TREE"), "erofs"),
        (("xorriso", "-as", "mkisofs", "-quiet", "-o", "IMAGE", "TREE"), "iso9660"),
    ],
)
def test_the_file_systems_of_images(maker: tuple[str, ...], content: str, tmp_path: Path) -> None:
    if not has(maker[0]):
        pytest.skip(f"{maker[0]} is missing")
    tree, image = tmp_path / "tree", tmp_path / "image"
    tree.mkdir()
    (tree / "file").write_bytes(hashlib.sha256(b"seed").digest() * 20000)
    run(*[{"TREE": str(tree), "IMAGE": str(image)}.get(word, word) for word in maker])
    disk = blank(tmp_path / "disk.raw", 16 * MIB)
    place(disk, START, image)
    found = searched(disk)
    assert [(one.content, one.start) for one in found.chosen] == [(content, START)]
    assert found.chosen[0].size <= -(-image.stat().st_size // 4096) * 4096

    # the same at a place where no partition begins is the content of some file
    disk = blank(tmp_path / "other.raw", 16 * MIB)
    place(disk, START + 5 * 4096, image)
    found = searched(disk)
    assert found.chosen == ()
    assert [one.candidate.content for one in found.rejected] == [content]
