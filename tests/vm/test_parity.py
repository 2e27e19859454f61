"""RAID of LVM with parity, whole and degraded, in the test machine.

LVM makes it, and looks at what was written to it.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from core.errors import ToolMissing

from . import usermode
from .build import Image, ImageMissing, build
from .machine import Machine
from .qemu import Setup
from .test_layers import CHECKOUT, PROGRAM, START, done, opened, whole

pytestmark = pytest.mark.long(120)

FIVES = ("raid4", "raid5_ls", "raid5_la", "raid5_rs", "raid5_ra", "raid5_n")
SIXES = ("raid6_zr", "raid6_nr", "raid6_nc", "raid6_n_6")
RAIDS = """
raids() {  # NAME COUNT STRIPES KIND…: a group on a disk of its own, with a volume of each kind
    name=$1; count=$2; stripes=$3; shift 3
    loop=$(disk $name.img 220M $(yes 40M | head -n $count))
    vgcreate -qq -s 1M $name $(for n in $(seq $count); do echo ${loop}p$n; done)
    for kind; do
        lvcreate -qq -y -Zy -Wn --type $kind -i $stripes -L 6M -n $kind $name
        mke /dev/$name/$kind
    done
    lvcreate -qq -y -s -L 4M -n snap $name/$1 ${loop}p1
    mount /dev/$name/snap /mnt; echo changed > /mnt/home/letter; umount /mnt
    while lvs --noheadings -o copy_percent -S 'segtype=~raid' $name | grep '[0-9]' | grep -qv 100.00; do
        sleep 0.5
    done
    vgchange -qq -an $name; sync; losetup --detach $loop
}
lose() { dd if=/dev/zero of=$1 bs=1M seek=$2 count=1 conv=notrunc status=none; }
raids fives 3 2 FIVES
raids sixes 5 3 SIXES
cp --sparse=always fives.img less.img; lose less.img 41
cp --sparse=always sixes.img twice.img; lose twice.img 41; lose twice.img 121
"""
DISKS = {
    "fives.img": ["fives/raid5_ls", "fives/snap"],
    "less.img": [f"fives/{name}" for name in (*FIVES, "snap")],
    "sixes.img": ["sixes/raid6_zr"],
    "twice.img": [f"sixes/{name}" for name in (*SIXES, "snap")],
}
"""The second member is lost on one disk, the second and the fourth on another.

Of the whole ones, for which nothing is reckoned, a few are read.
"""


@pytest.fixture(scope="module")
def image() -> Image:
    try:
        return build()
    except (ToolMissing, ImageMissing) as error:
        pytest.skip(error.paragraph())


@pytest.fixture(scope="module")
def machine(image: Image) -> Iterator[Machine]:
    with Machine(image, Setup(CHECKOUT, accelerator=usermode.preferred())) as booted:
        done(booted, START + RAIDS.replace("FIVES", " ".join(FIVES)).replace("SIXES", " ".join(SIXES)))
        yield booted


@pytest.fixture(scope="module")
def raids(machine: Machine) -> dict[str, dict[str, Any]]:
    return opened(machine, DISKS)


@pytest.mark.parametrize(("disk", "name"), [(disk, name) for disk, names in DISKS.items() for name in names])
def test_it_is_read_with_and_without_its_lost_members(
    raids: dict[str, dict[str, Any]], disk: str, name: str
) -> None:
    found = raids[disk][name]
    if name.endswith("/snap"):
        assert (found.get("letter"), found.get("whole")) == ("changed", True), found
        assert "lv" in found["up"]
    else:
        assert whole(found), found
    assert {"nbd", "fuse-export"} < set(found["up"])


WRITTEN = """
export PYTHONPATH=/checkout
looked() {  # DISK GROUP VOLUME…: write to each, and let LVM look at it
    disk=$1; group=$2; shift 2
    for volume; do
        PROGRAM --format raw mount --writable $disk $group/$volume /tmp/point >said 2>&1
        seq 200000 > /tmp/point/home/new
        echo $disk | PROGRAM commit --backup /tmp/before $(ls /tmp/state/sessions) >>said 2>&1
        rm -r /tmp/before*
    done
    loop=$(losetup --find --show --partscan $disk); udevadm settle
    vgchange -qq -ay --activationmode degraded $group >>said 2>&1
    for volume; do
        e2fsck -fn /dev/$group/$volume >>said 2>&1
        mount -o ro /dev/$group/$volume /mnt; seq 200000 | cmp - /mnt/home/new; umount /mnt
        lvchange --syncaction check $group/$volume >>said 2>&1 || true
        while [ $(lvs --noheadings -o raid_sync_action $group/$volume 2>>said) = check ]; do sleep 0.2; done
        echo $disk $volume $(lvs --noheadings -o raid_mismatch_count $group/$volume 2>>said)
    done
    vgchange -qq -an $group >>said 2>&1; losetup --detach $loop
}
looked fives.img fives raid5_ls
looked sixes.img sixes raid6_zr
looked less.img fives raid5_n
looked twice.img sixes raid6_nc
"""


def test_lvm_finds_what_was_written_and_no_parity_that_does_not_fit(
    machine: Machine, raids: dict[str, dict[str, Any]]
) -> None:
    assert raids
    result = machine.run(f"set -e; cd /tmp\n{WRITTEN.replace('PROGRAM', PROGRAM)}", 3000)
    assert result.status == 0, result.output + machine.run("cat /tmp/said").output
    wanted = {
        "fives.img": ("raid5_ls",),
        "sixes.img": ("raid6_zr",),
        "less.img": ("raid5_n",),
        "twice.img": ("raid6_nc",),
    }
    said = [f"{disk} {name} 0" for disk, names in wanted.items() for name in names]
    assert result.output.splitlines() == said
