"""What stands on a block device, from a sysfs as the kernel writes it: kinds that this host may not have."""

import os
from pathlib import Path

import pytest

from core.disks.devices import Devices
from core.disks.model import Holder
from core.disks.programs import Targets
from core.mounts import Mount

DISK = "8:16"


@pytest.fixture
def sys(tmp_path: Path) -> Path:
    """A disk with one partition."""
    node = _device(tmp_path, "sdb", DISK)
    _device(tmp_path, "sdb1", "8:17", node)
    (node / "sdb1/partition").write_text("1\n")
    return tmp_path


def _device(sys: Path, name: str, number: str, inside: Path | None = None) -> Path:
    node = (inside or sys / "devices") / name
    (node / "holders").mkdir(parents=True)
    (node / "dev").write_text(f"{number}\n")
    (node / "ro").write_text("0\n")
    for folder, link in (("dev/block", number), ("block", name)):
        (sys / folder).mkdir(parents=True, exist_ok=True)
        (sys / folder / link).symlink_to(node)
    return node


def _claim(sys: Path, below: str, name: str, number: str, **facts: str) -> Path:
    node = _device(sys, name, number)
    os.symlink(node, sys / "block" / below / "holders" / name)
    for key, value in facts.items():
        path = node / key.replace("_", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{value}\n")
    return node


def _targets(*numbers: str) -> Targets:
    parts = (number.split(":") for number in numbers)
    return Targets(
        frozenset(), frozenset(os.makedev(int(major), int(minor)) for major, minor in parts), frozenset()
    )


def _mount(number: str, point: str, options: str = "rw") -> Mount:
    return Mount(1, 0, number, "/", point, options, "ext4", "/dev/x")


def _holders(sys: Path, *table: Mount) -> list[Holder]:
    return list(Devices(table, sys).holders(_targets(DISK, "8:17")))


def test_nothing_on_a_disk(sys: Path) -> None:
    assert _holders(sys, _mount("9:9", "/elsewhere")) == []


@pytest.mark.parametrize(
    ("name", "facts", "shown", "ending"),
    [
        ("dm-0", {"dm_name": "vg-root", "dm_uuid": "LVM-abc"}, "vg-root", "lvchange --activate n"),
        ("dm-0", {"dm_name": "secret", "dm_uuid": "CRYPT-LUKS2-x"}, "secret", "cryptsetup close secret"),
        ("dm-0", {"dm_name": "mpatha", "dm_uuid": "mpath-x"}, "mpatha", "dmsetup remove mpatha"),
        ("md0", {"md_level": "raid1"}, "md0", "mdadm --stop /dev/md0"),
        ("bcache0", {}, "bcache0", ""),
    ],
)
def test_what_claims_a_partition_holds_the_disk(
    sys: Path, name: str, facts: dict[str, str], shown: str, ending: str
) -> None:
    _claim(sys, "sdb1", name, "252:0", **facts)
    [one] = _holders(sys)
    assert (one.pid, one.program, one.mode, one.through) == (None, shown, "write", f"/dev/{name}")
    assert one.undo[0].startswith(ending) if ending else one.undo == ()


def test_a_mapping_that_only_reads_is_a_reader(sys: Path) -> None:
    (_claim(sys, "sdb1", "dm-0", "252:0", dm_name="x") / "ro").write_text("1\n")
    assert [one.mode for one in _holders(sys)] == ["read"]


def test_all_that_is_above_is_taken_down_from_the_top(sys: Path) -> None:
    _claim(sys, "sdb1", "dm-0", "252:0", dm_name="secret", dm_uuid="CRYPT-x")
    _claim(sys, "dm-0", "dm-1", "252:1", dm_name="vg-root", dm_uuid="LVM-x")
    [one] = _holders(sys, _mount("252:1", "/srv/my files"))
    assert one.through == "/dev/dm-0, vg-root, /srv/my files"
    assert one.undo == (
        "umount '/srv/my files'",
        "lvchange --activate n /dev/mapper/vg-root",
        "cryptsetup close secret",
    )


@pytest.mark.parametrize(("options", "mode"), [("rw,noatime", "write"), ("ro", "read")])
def test_a_mounted_partition_holds_the_disk(sys: Path, options: str, mode: str) -> None:
    [one] = _holders(sys, _mount("8:17", "/mnt", options))
    assert (one.program, one.mode, one.through) == ("mount", mode, "/mnt")


def test_who_serves_a_network_block_device_is_not_its_user(sys: Path) -> None:
    (_device(sys, "nbd0", "43:0") / "pid").write_text("4711\n")
    devices = Devices([_mount("43:0", "/mnt")], sys)
    assert devices.served(_targets("43:0")) == {4711}
    assert devices.served(_targets(DISK)) == set()
    assert devices.through(4711) == "/dev/nbd0, /mnt"
    assert devices.through(1) == ""
