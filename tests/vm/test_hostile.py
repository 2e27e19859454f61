"""File systems that hurt a host, in the test machine: rows 31, 36, 39 and 40."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import usermode
from .build import Image
from .machine import Machine, MachineFailed, Result
from .qemu import Setup

pytestmark = pytest.mark.long(120)

CHECKOUT = Path(__file__).parents[2]
PROGRAM = "/checkout/tests/vm/salvage --state-dir /tmp/state"
LEFT = "dmsetup ls; losetup --list --noheadings; grep -c fuse /proc/mounts; cat /proc/mdstat | grep ^md"
NOTHING = "No devices found\n0\n"


@pytest.fixture(scope="module")
def machine(image: Image) -> Iterator[Machine]:
    with Machine(image, Setup(CHECKOUT, udev=True, accelerator=usermode.preferred())) as booted:
        assert booted.run("mkdir -p /tmp/a /tmp/b; modprobe -a dm-mod loop raid1 btrfs vfat").status == 0
        yield booted


def done(machine: Machine, line: str) -> Result:
    """A preparation that must go well."""
    result = machine.run(f"set -e; cd /tmp; {line}")
    assert result.status == 0, result.output
    return result


DAMAGED = """
mkdir tree $(seq -f tree/d%g 100); echo rescued > tree/letter
truncate -s 16M panic.img; mke2fs -q -t ext4 -O ^metadata_csum -d tree panic.img
tune2fs -e panic -E mount_opts=errors=panic panic.img
at=$(dumpe2fs panic.img 2>/dev/null | sed -n 's/.*Inode table at \\([0-9]*\\)-.*/\\1/p' | head -1)
size=$(dumpe2fs -h panic.img 2>/dev/null | sed -n 's/^Block size: *//p')
dd if=/dev/urandom of=panic.img bs=$size seek=$((at + 10)) count=20 conv=notrunc status=none
sha256sum panic.img > panic.sum
"""


@pytest.mark.hostile(31)
def test_a_volume_that_wants_a_panic_does_not_stop_the_host(machine: Machine) -> None:
    done(machine, DAMAGED)
    copied = machine.run(
        f"{PROGRAM} copy --json --format raw /tmp/panic.img disk / /tmp/out 2>/dev/null", 120
    )
    assert copied.status == 4, copied.output
    assert json.loads(copied.output)["unreadable"]
    assert machine.run("cat /tmp/out/letter; cd /tmp; sha256sum --check --quiet panic.sum").status == 0
    assert "EXT4-fs error" in machine.run("dmesg").output
    assert machine.run(LEFT).output == NOTHING


@pytest.mark.hostile(39)
def test_a_kernel_that_knows_a_btrfs_by_its_uuid_only(machine: Machine) -> None:
    done(
        machine,
        "truncate -s 120M one.img; mkfs.btrfs -q one.img; cp one.img two.img;"
        "mount -o loop two.img b; touch b/only-in-two; umount b",
    )
    mounted = machine.run(f"{PROGRAM} mount --format raw /tmp/one.img disk /tmp/a", 120)
    assert mounted.status == 0, mounted.output
    told = machine.run(f"{PROGRAM} ls --format raw /tmp/two.img disk", 120)
    assert told.status == 3, told.output
    assert "btrfs with the same UUID is mounted on this host already" in told.output
    assert machine.run(f"{PROGRAM} undo --all", 120).status == 0
    assert machine.run(LEFT).output == NOTHING


@pytest.mark.hostile(40)
def test_the_host_assembles_nothing_of_what_lies_on_the_disk(machine: Machine) -> None:
    """Its udev has the rules of mdadm and LVM."""
    done(
        machine,
        "truncate -s 80M disk.img; printf 'label: dos\\n2048,32768,83\\n36864,65536,fd\\n104448,,8e\\n'"
        " | sfdisk -q disk.img; truncate -s 16M fs.img; mkdir -p t; echo rescued > t/letter;"
        "mke2fs -q -t ext4 -d t fs.img; dd if=fs.img of=disk.img bs=1M seek=1 conv=notrunc status=none;"
        "L=$(losetup -f --show -o $((36864*512)) --sizelimit 33554432 disk.img);"
        "mdadm --create /dev/md9 --level=1 --raid-devices=2 --metadata=1.2 --run $L missing;"
        "mdadm --stop /dev/md9; losetup -d $L; udevadm settle; mdadm --stop --scan || true; udevadm settle",
    )
    shown = machine.run(f"{PROGRAM} cat /tmp/disk.img 1 /letter; udevadm settle; grep ^md /proc/mdstat", 120)
    assert shown.output == "rescued\n"
    told = machine.run(f"{PROGRAM} ls /tmp/disk.img 1 --way kpartx", 120)
    assert told.status == 1, told.output
    assert "partition 2 too, which contains linux_raid_member" in told.output
    assert machine.run(LEFT).output == NOTHING


@pytest.mark.hostile(36)
def test_names_that_a_fat_does_not_tell_apart_are_not_written_over(machine: Machine) -> None:
    done(
        machine,
        "mkdir names; for n in Readme README readme 'a:b' 'dot.' CON; do echo \"$n\" > \"names/$n\"; done;"
        "truncate -s 16M names.img; mke2fs -q -t ext4 -d names names.img;"
        "truncate -s 40M target.img; mkfs.vfat -F 32 target.img >/dev/null; mkdir -p target;"
        "mount -o loop,shortname=mixed target.img target",
    )
    copied = machine.run(
        f"{PROGRAM} copy --json --format raw /tmp/names.img disk / /tmp/target/out 2>&1", 120
    )
    assert copied.status == 4, copied.output
    document = json.loads(copied.output[copied.output.index("{") :].rsplit("}", 1)[0] + "}")
    assert document["files"] + len(document["unreadable"]) >= 6
    kept = machine.run("cd /tmp/target/out && ls && cat [Rr]*").output
    assert {"README", "Readme", "readme"} <= set(kept.splitlines()[-3:])  # each with its own content
    done(machine, "umount target")


@pytest.mark.hostile(31)
def test_by_hand_that_volume_stops_the_host(image: Image) -> None:
    """What the test above is worth."""
    by_hand = "mkdir -p m; mount -o loop,ro,noload panic.img m; ls -lR m >/dev/null"
    with Machine(image, Setup(CHECKOUT, udev=False)) as machine:
        assert machine.run("modprobe loop").status == 0
        done(machine, DAMAGED)
        with pytest.raises(MachineFailed, match="has ended"):
            machine.run(f"cd /tmp; {by_hand}", 20)
        assert "Kernel panic" in machine.console()
