"""A disk that is a logical volume: its name, and the way out by a snapshot while somebody writes."""

import os
from pathlib import Path

import pytest

from core.disks import logical
from core.disks.logical import by_snapshot, logical_volume
from core.disks.model import Holder
from core.disks.ways_out import ways_out


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A node as the device mapper makes it for vg-0/web-01; only its number counts."""
    place = tmp_path / "sys/253:7/dm"
    place.mkdir(parents=True)
    (place / "uuid").write_text("LVM-0123456789\n")
    (place / "name").write_text("vg--0-web--01\n")
    monkeypatch.setattr(logical, "_SYS", tmp_path / "sys")
    node, about = tmp_path / "dm-7", os.stat(tmp_path)
    node.touch()
    real = os.stat

    def stat(path: Path, **named: bool) -> os.stat_result:
        if path != node:
            return real(path, **named)
        return os.stat_result([*about[:10]], {"st_rdev": os.makedev(253, 7)})

    monkeypatch.setattr(logical.os, "stat", stat)
    return node


def test_the_name_is_as_lvm_knows_it(device: Path) -> None:
    assert logical_volume(device) == "vg-0/web-01"


def test_a_file_and_a_mapping_of_others_are_none(device: Path, tmp_path: Path) -> None:
    assert logical_volume(tmp_path) == ""
    assert logical_volume(tmp_path / "missing") == ""
    (tmp_path / "sys/253:7/dm/uuid").write_text("CRYPT-LUKS2-x")
    assert logical_volume(device) == ""


def test_what_lvm_puts_together_below_a_volume_is_none(device: Path, tmp_path: Path) -> None:
    (tmp_path / "sys/253:7/dm/uuid").write_text("LVM-0123456789-tpool")
    assert logical_volume(device) == ""


def test_the_way_by_a_snapshot_is_told_with_its_command() -> None:
    writer = Holder(4711, "qemu-system-x86_64", "web01", "write", "", "open")
    (way,) = (one for one in ways_out([writer], "vg/web01") if "snapshot of the logical" in one.title)
    assert way.commands == (by_snapshot("vg/web01"),)
    assert by_snapshot("vg/web01") == "virt-salvage backup --lvm-snapshot /dev/vg/web01 DEST"
    assert not any("logical" in one.title for one in ways_out([writer]))
