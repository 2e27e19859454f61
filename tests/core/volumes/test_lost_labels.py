"""Physical volumes of LVM whose label was overwritten."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.volumes.lvm import label
from core.volumes.lvm.label import AREA as MAGIC
from core.volumes.lvm.label import Texts
from core.volumes.lvm.text import Section, parse
from core.volumes.lvm.unlabelled import read_unlabelled
from tests.conftest import Guard, Program, needs_root
from tests.core.volumes.layer_disks import (
    AREA_SIZE,
    DATA,
    LETTER,
    MIB,
    SECTOR,
    Run,
    area,
    lvm_disk,
    metadata,
)

VOLUMES = {"root": [Run(0, 2, 10)], "home": [Run(0, 14, 4), Run(1, 1, 3), Run(0, 20, 3)]}
SECOND = MIB + DATA + 25 * MIB
"""Where the second of two physical volumes, of 24 and 8 extents, begins."""


def _overwrite(disk: Path, *places: tuple[int, int]) -> None:
    with open(disk, "r+b") as file:
        for at, size in places:
            file.seek(at)
            file.write(os.urandom(size))


@needs_root
def test_volumes_are_read_by_the_metadata_behind_an_overwritten_label(
    tmp_path: Path, guard: Guard, program: Program
) -> None:
    disk = lvm_disk(tmp_path / "disk.raw", VOLUMES, [24, 8])
    _overwrite(disk, (MIB, 2048), (SECOND, 2048))
    guard.watch(disk)
    seen = json.loads(program("--json", "--format", "raw", "inspect", disk).out)["volumes"]
    assert [(one["id"], one["content"]) for one in seen] == [
        ("1", "LVM2_member"),
        ("2", "LVM2_member"),
        ("vg/root", "ext4"),
        ("vg/home", "ext4"),
    ]
    told = [one["id"] for one in seen if any("Its LVM label is lost" in told for told in one["problems"])]
    assert told == ["1", "2"]
    assert program("--format", "raw", "cat", disk, "vg/home", "/home/letter").out == LETTER


@needs_root
def test_the_area_at_the_end_serves_where_the_first_mebibyte_is_lost(
    tmp_path: Path, guard: Guard, program: Program
) -> None:
    disk = lvm_disk(tmp_path / "disk.raw", {"root": VOLUMES["root"]}, [24])
    size = DATA + 25 * MIB
    place = size - AREA_SIZE
    with open(disk, "r+b") as file:
        file.seek(MIB + place)
        file.write(area(metadata({"root": VOLUMES["root"]}, [24]), place=place))
    _overwrite(disk, (MIB, MIB))
    guard.watch(disk)
    assert program("--format", "raw", "cat", disk, "vg/root", "/home/letter").out == LETTER


def test_which_of_two_alike_it_is_is_not_guessed(tmp_path: Path, program: Program) -> None:
    disk = lvm_disk(tmp_path / "disk.raw", {"root": VOLUMES["root"]}, [12, 12])
    _overwrite(disk, (MIB, 2048), (MIB + DATA + 13 * MIB, 2048))
    told = program("--format", "raw", "inspect", disk).out
    assert "which of the physical volumes it is cannot be told" in told and "vg/root" not in told


def test_an_area_that_was_copied_from_elsewhere_is_none_of_it(tmp_path: Path, program: Program) -> None:
    disk = lvm_disk(tmp_path / "disk.raw", {"root": VOLUMES["root"]}, [24])
    with open(disk, "r+b") as file:
        file.seek(MIB + 4096)
        file.write(area(metadata({"root": VOLUMES["root"]}, [24]), place=8192))
    _overwrite(disk, (MIB, 2048))
    told = program("--format", "raw", "inspect", disk)
    assert told.status == 0 and "vg/root" not in told.out and "label is lost" not in told.out


@dataclass
class Counted:
    """Bytes in memory, and how many of them were asked for."""

    data: bytes
    read_bytes: int = 0

    def read(self, offset: int, length: int) -> bytes:
        self.read_bytes += length
        return self.data[offset : offset + length]


def test_of_thousands_of_areas_at_the_end_few_are_read() -> None:
    size = 8 * MIB
    data = bytearray(size)
    for place in range(size - 2 * MIB, size, SECTOR):
        head = bytes(4) + MAGIC + (1).to_bytes(4, "little") + place.to_bytes(8, "little")
        data[place : place + len(head)] = head
    source = Counted(bytes(data))
    assert read_unlabelled(source, 0, size, Texts(), search=True) is None
    assert source.read_bytes <= 8 * MIB


def test_a_copy_whose_label_was_wiped_is_not_taken_for_a_member_that_is_missing(
    tmp_path: Path, program: Program
) -> None:
    """The first of two members of one length, and a copy of it that went on: the second is elsewhere."""
    disk = lvm_disk(tmp_path / "disk.raw", {"root": [Run(0, 2, 10)], "home": [Run(1, 2, 10)]}, [12, 12])
    size = DATA + 13 * MIB
    with open(disk, "r+b") as file:
        file.seek(MIB)
        first = file.read(size)
        file.seek(MIB + size)
        file.write(bytes(2048) + first[2048:-MIB] + os.urandom(MIB))
    told = program("--format", "raw", "inspect", disk).out
    assert "which of the physical volumes it is cannot be told" in told
    assert "1 of the 2 physical volumes of the group vg is not on this disk" in told
    assert program("--format", "raw", "cat", disk, "vg/home", "/home/letter").status == 1


def test_what_left_its_group_is_no_part_of_it(tmp_path: Path, program: Program) -> None:
    """The second member was taken out, and its label wiped; its old metadata still name both."""
    disk = lvm_disk(tmp_path / "disk.raw", {"root": [Run(0, 2, 10)]}, [24, 8])
    newer = metadata({"root": [Run(0, 2, 10)]}, [24], number=2)
    with open(disk, "r+b") as file:
        file.seek(MIB + 4096)
        file.write(area(newer))
    _overwrite(disk, (SECOND, 2048))
    told = program("--format", "raw", "inspect", disk).out
    assert "2: It holds metadata of the LVM group vg, but is none of the physical volumes" in told
    assert "not on this disk" not in told


def test_a_ring_full_of_beginnings_is_not_looked_at_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = 0

    def counted(data: bytes) -> Section:
        nonlocal parsed
        parsed += len(data)
        return parse(data)

    monkeypatch.setattr(label, "parse", counted)
    head = bytearray(area(b""))
    head[44:68] = bytes(24)
    beginnings = b'a {\nid = "x"\n}\n' * 4000
    for ring in (beginnings + b"\0", beginnings):
        data = bytes(4096) + bytes(head[:SECTOR]) + ring.ljust(256 << 10, b" ")
        known = Texts(1 << 18)
        assert read_unlabelled(Counted(data), 0, len(data), known, search=True) is None
    assert parsed <= 1 << 19
