"""Arrays of md of every level and layout, made by mdadm in the test machine and opened on this host.

What is written to those with parity goes back to the machine, where md itself looks at it.
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

pytestmark = [needs_root, pytest.mark.long(80)]

MD = """
modprobe -a raid0 raid1 raid456 raid10 linear || true
echo 'DEVICE /dev/null' > /etc/mdadm/mdadm.conf
make() {  # NAME LEVEL COUNT OPTION…: an array over the first partitions of a disk of its own
    name=$1; level=$2; count=$3; shift 3
    loop=$(disk $name.img 70M 12M 12M 12M 12M 12M)
    parts=$(for n in $(seq $count); do echo ${loop}p$n; done)
    mdadm --create /dev/md20 --run --quiet --homehost=host --name=$name --level=$level \\
        --raid-devices=$count "$@" $parts
    if [ $name = lvmd ]; then
        vgcreate -qq -s 1M onmd /dev/md20; lvcreate -qq -y -L 10M -n root onmd
        mke /dev/onmd/root; vgchange -qq -an onmd
    else
        mke /dev/md20
    fi
    mdadm --wait /dev/md20 || true
    case $name in less|fewer|twice*) mdadm --quiet /dev/md20 --fail ${loop}p2;; esac
    case $name in twice*) mdadm --quiet /dev/md20 --fail ${loop}p4;; esac
    sync; mdadm --stop --quiet /dev/md20
    losetup --detach $loop
}
make zero 0 3 --chunk=512
make one 1 2 --metadata=1.0
make four 4 3 --chunk=64
make five 5 4 --chunk=64
make six 6 4 --chunk=64
make sixmore 6 5 --chunk=64 --layout=ddf-N-continue
make ten 10 4 --chunk=64
make odd 10 3 --chunk=64
make far 10 3 --layout=f2 --chunk=64
make offset 10 3 --layout=o2 --chunk=64
make line linear 3
make less 5 4 --chunk=64
make fewer 6 4 --chunk=64
make twice 6 5 --chunk=64
make twiceleft 6 5 --chunk=64 --layout=left-asymmetric
make twiceright 6 5 --chunk=64 --layout=right-symmetric
make twicezero 6 5 --chunk=64 --layout=ddf-zero-restart
make twicenew 6 5 --chunk=64 --layout=ddf-N-restart
make twicemore 6 5 --chunk=64 --layout=ddf-N-continue
make lvmd 5 3 --chunk=64
loop=$(disk old.img 70M 12M 12M 12M)
mdadm --create /dev/md7 --run --quiet --metadata=0.90 --level=5 --chunk=64 --raid-devices=3 \\
    ${loop}p1 ${loop}p2 ${loop}p3
mke /dev/md7; mdadm --wait /dev/md7 || true
mdadm --stop --quiet /dev/md7; losetup --detach $loop
"""
TWICE = tuple(f"twice{layout}" for layout in ("", "left", "right", "zero", "new", "more"))
"""RAID6 in md's layouts, of which two members are lost."""
ARRAYS = {
    **{f"{name}.img": f"md:{name}" for name in ("zero", "one", "four", "five", "six", "ten", "odd", "far")},
    **{f"{name}.img": f"md:{name}" for name in ("offset", "line", "less", "fewer", *TWICE)},
    "old.img": "md:7",
    "lvmd.img": "onmd/root",
}


WRITTEN = ("four", "five", "six", "sixmore", "less", "fewer", "twice")
LOOK = """
for name in NAMES; do
    cp --sparse=always /scratch/$name.img .; loop=$(losetup --find --show --partscan $name.img)
    parts=$(for n in 1 2 3 4 5; do mdadm --examine ${loop}p$n >&2 && echo ${loop}p$n; done 2>>said || true)
    mdadm --assemble /dev/md21 --run --quiet $parts >>said 2>&1 || true
    e2fsck -fn /dev/md21 >>said 2>&1
    mount -o ro /dev/md21 /mnt; cmp /tmp/tree/home/long /mnt/home/new; umount /mnt
    echo check > /sys/block/md21/md/sync_action; mdadm --wait /dev/md21 || true
    echo $name $(cat /sys/block/md21/md/mismatch_cnt)
    mdadm --stop --quiet /dev/md21; losetup --detach $loop
done
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("arrays")


@pytest.fixture(scope="module")
def machine(image: Image) -> Iterator[Machine]:
    with Machine(image, Setup(CHECKOUT, udev=False, accelerator=usermode.preferred())) as booted:
        here.hand_over(booted, START + MD, [*ARRAYS, "sixmore.img"])
        yield booted


@pytest.fixture(scope="module")
def arrays(machine: Machine, base: Path) -> dict[str, dict[str, Any]]:
    return here.opened(machine, {disk: [name] for disk, name in ARRAYS.items()}, base)


@pytest.mark.parametrize("disk", ARRAYS)
def test_an_array_of_every_level_is_read(arrays: dict[str, dict[str, Any]], disk: str) -> None:
    assert whole(arrays[disk][ARRAYS[disk]]), arrays[disk]


@pytest.mark.parametrize("name", ["four", "five", "six", "less", "fewer", "twice"])
def test_what_has_parity_is_put_together_by_the_programs_own_daemon(
    arrays: dict[str, dict[str, Any]], name: str
) -> None:
    assert {"nbd", "fuse-export"} < set(arrays[f"{name}.img"][f"md:{name}"]["up"])


def test_a_degraded_array_says_so(arrays: dict[str, dict[str, Any]]) -> None:
    assert "1 of its 4 members is missing" in " ".join(arrays["less.img"]["md:less"]["problems"])


def test_md_itself_finds_what_was_written_and_no_parity_that_does_not_fit(
    machine: Machine, arrays: dict[str, dict[str, Any]], base: Path
) -> None:
    assert arrays
    for name in WRITTEN:
        here.write(machine, f"{name}.img", f"md:{name}", base)
    result = machine.run(f"set -e; cd /tmp\n{LOOK.replace('NAMES', ' '.join(WRITTEN))}", 3000)
    assert result.status == 0, result.output + machine.run("cat /tmp/said").output
    assert result.output.splitlines() == [f"{name} 0" for name in WRITTEN]
