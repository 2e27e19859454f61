"""RAID of LVM with parity, whole and degraded, made by LVM in the test machine and opened on this host.

What is written to it goes back to the machine, where LVM itself looks at it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import needs_root

from . import here, usermode
from .build import Image
from .machine import Machine
from .qemu import Setup
from .test_layers import CHECKOUT, START, whole

pytestmark = [needs_root, pytest.mark.long(60)]

FIVES = ("raid4", "raid5_ls", "raid5_la", "raid5_rs", "raid5_ra", "raid5_n")
SIXES = (
    *("raid6_zr", "raid6_nr", "raid6_nc", "raid6_n_6"),
    *("raid6_ls_6", "raid6_la_6", "raid6_rs_6", "raid6_ra_6"),
)
RAIDS = """
raids() {  # NAME COUNT STRIPES KIND…: a group on a disk of its own, with a volume of each kind
    name=$1; count=$2; stripes=$3; shift 3
    loop=$(disk $name.img 220M $(yes 40M | head -n $count))
    vgcreate -qq -s 1M $name $(for n in $(seq $count); do echo ${loop}p$n; done)
    for kind; do
        lvcreate -qq -y -Zy -Wn --type $kind -i $stripes -L 6M -n $kind $name
        mke /dev/$name/$kind
    done
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
    "fives.img": [f"fives/{name}" for name in FIVES],
    "less.img": [f"fives/{name}" for name in FIVES],
    "sixes.img": [f"sixes/{name}" for name in SIXES],
    "twice.img": [f"sixes/{name}" for name in SIXES],
}
"""The second member is lost on one disk, the second and the fourth on another."""
WRITTEN = (
    ("fives.img", "fives/raid5_ls"),
    ("sixes.img", "sixes/raid6_zr"),
    ("less.img", "fives/raid5_n"),
    ("twice.img", "sixes/raid6_nc"),
    ("twice.img", "sixes/raid6_ls_6"),
)
LOOK = """
looked() {  # DISK VOLUME
    cp --sparse=always /scratch/$1 .; loop=$(losetup --find --show --partscan $1)
    vgchange -qq -ay --activationmode degraded ${2%/*} >>said 2>&1
    e2fsck -fn /dev/$2 >>said 2>&1
    mount -o ro /dev/$2 /mnt; cmp /tmp/tree/home/long /mnt/home/new; umount /mnt
    lvchange --syncaction check $2 >>said 2>&1 || true
    while [ $(lvs --noheadings -o raid_sync_action $2 2>>said) = check ]; do sleep 0.2; done
    echo $1 $2 $(lvs --noheadings -o raid_mismatch_count $2 2>>said)
    vgchange -qq -an ${2%/*} >>said 2>&1; losetup --detach $loop
}
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parity")


@pytest.fixture(scope="module")
def machine(image: Image) -> Iterator[Machine]:
    script = START + RAIDS.replace("FIVES", " ".join(FIVES)).replace("SIXES", " ".join(SIXES))
    with Machine(image, Setup(CHECKOUT, udev=False, accelerator=usermode.preferred())) as booted:
        here.hand_over(booted, script, list(DISKS))
        yield booted


@pytest.fixture(scope="module")
def raids(machine: Machine, base: Path) -> dict[str, dict[str, Any]]:
    return here.opened(machine, DISKS, base)


@pytest.mark.parametrize(("disk", "name"), [(disk, name) for disk, names in DISKS.items() for name in names])
def test_it_is_read_with_and_without_its_lost_members(
    raids: dict[str, dict[str, Any]], disk: str, name: str
) -> None:
    found = raids[disk][name]
    assert whole(found), found
    assert {"nbd", "fuse-export"} < set(found["up"])


def test_lvm_finds_what_was_written_and_no_parity_that_does_not_fit(
    machine: Machine, raids: dict[str, dict[str, Any]], base: Path
) -> None:
    assert raids
    for disk, volume in WRITTEN:
        here.write(machine, disk, volume, base)
    looks = "\n".join(f"looked {disk} {volume}" for disk, volume in WRITTEN)
    result = machine.run(f"set -e; cd /tmp\n{LOOK}\n{looks}", 3000)
    assert result.status == 0, result.output + machine.run("cat /tmp/said").output
    assert result.output.splitlines() == [f"{disk} {volume} 0" for disk, volume in WRITTEN]
