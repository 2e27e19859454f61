"""The way by a network block device, in the test machine; somebody else's disk is on its first slot."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.lab import catalogue, labs
from core.runner import SystemRunner

from . import usermode
from .build import Image
from .machine import Machine, warm
from .qemu import Setup

pytestmark = pytest.mark.long(60)

CHECKOUT = Path(__file__).parents[2]
PROGRAM = "/checkout/tests/vm/salvage --state-dir /tmp/state"
LEFT = (
    "losetup --list --noheadings; grep -c fuse /proc/mounts; ls /tmp/state/sessions; ls /sys/block/nbd*/pid"
)
NOTHING = "0\n/sys/block/nbd0/pid\n"
"""But for the slot that is not ours."""

START = """
set -e
modprobe -a nbd loop dm-mod
cp /scratch/web01.qcow2 /tmp/; mkdir -p /tmp/state/sessions
qemu-img convert -f qcow2 -O raw /tmp/web01.qcow2 /tmp/web01.raw
truncate -s 8M /tmp/theirs
qemu-nbd --connect=/dev/nbd0 --format=raw /tmp/theirs
md5sum /tmp/web01.* > /tmp/sums
"""


@pytest.fixture(scope="module")
def machine(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    scratch = tmp_path_factory.mktemp("scratch")
    labs.start(catalogue.built_in()[0], scratch, SystemRunner(), seed=3).rename(scratch / "web01.qcow2")
    with Machine(image, Setup(CHECKOUT, scratch=scratch, accelerator=usermode.preferred())) as booted:
        told = booted.run(START, 600)
        assert told.status == 0, told.output
        yield booted
        assert booted.run("md5sum --check --quiet /tmp/sums").output == ""


def nothing_left(machine: Machine) -> None:
    """Only what is not ours is up, and it is what it was."""
    assert machine.run(LEFT).output.replace("ls: ", "") == NOTHING
    assert machine.run("pgrep -a qemu-nbd | cut -d ' ' -f 2-; cat /sys/block/nbd0/size").output.split() == [
        *("qemu-nbd", "--connect=/dev/nbd0", "--format=raw", "/tmp/theirs", "16384")
    ]


@pytest.mark.parametrize("disk", ["web01.qcow2", "web01.raw"])
def test_copies_and_goes(machine: Machine, disk: str) -> None:
    done = machine.run(
        f"rm -rf /tmp/out; {PROGRAM} --format {disk[6:]} copy /tmp/{disk} 5 /home /tmp/out --way nbd --json",
        120,
    )
    assert done.status == 0, done.output
    assert int(machine.run("find /tmp/out/home -type f | wc -l").output) > 20
    report = machine.run("cat /tmp/out/salvage-report.md").output
    assert "qemu-nbd --verbose --connect=/dev/nbd1 --read-only" in report
    assert "losetup --find" not in report
    assert machine.run("cd /tmp/out && sha256sum --check --quiet SHA256SUMS").status == 0
    nothing_left(machine)


def test_the_wizard_goes_by_kpartx_then_by_nbd_and_leaves_nothing(machine: Machine) -> None:
    """One wizard, since its start is what takes time here; the second way is taken while the first is up."""
    kpartx = ["kpartx", "/tmp/mapped", "dmsetup ls | cut -f 1"]
    nbd = ["nbd", "/tmp/attached", "ls /sys/block/nbd*/pid"]
    asked = shlex.join(["/tmp/state", "/tmp/web01.qcow2", "3", *kpartx, *nbd])
    walked = machine.run(f"{warm('tests.vm.walk')} {asked}", 600)
    assert walked.status == 0, walked.output
    told = json.loads(walked.output)
    assert told["status"] == 0
    mapped, attached = told["ways"]
    assert mapped["up"].split() == [f"loop0p{at}" for at in (1, 2, 3, 5, 6, 7, 8)]
    assert any("kpartx -d -v -s /dev/loop0" in screen for screen in mapped["screens"]), "in the undo stack"
    assert attached["up"].split() == ["/sys/block/nbd0/pid", "/sys/block/nbd1/pid"]
    assert any("qemu-nbd --disconnect /dev/nbd1" in screen for screen in attached["screens"]), "there too"
    for target in ("/tmp/mapped", "/tmp/attached"):
        summed = machine.run(f"cd {target} && sha256sum --check --quiet SHA256SUMS && ls")
        assert summed.output.split() == [
            *("SHA256SUMS", "home", *(f"salvage-report.{kind}" for kind in ("html", "json", "md"))),
        ]
    assert machine.run("dmsetup ls").output == "No devices found\n"
    nothing_left(machine)


def test_a_mount_stays_until_undo_and_is_not_taken_from_others(machine: Machine) -> None:
    done = machine.run(f"{PROGRAM} mount /tmp/web01.qcow2 6 /tmp/m --way nbd", 600)
    assert done.status == 0, done.output
    assert machine.run("findmnt --noheadings --output SOURCE /tmp/m").output == "/dev/nbd1p6\n"
    assert machine.run("cat /sys/block/nbd1/ro").output == "1\n"
    status = json.loads(machine.run(f"{PROGRAM} status --json").output)
    assert [entry["what"] for entry in status["sessions"][0]["entries"]] == [
        *("fuse-export", "file", "nbd", "mount")
    ]
    assert machine.run("mount -o ro,noload /dev/nbd1p5 /mnt").status == 0
    refused = machine.run(f"{PROGRAM} undo 2>&1", 600)
    assert refused.status != 0
    assert "/dev/nbd1 is still up." in refused.output and "/mnt" in refused.output
    held = next(line for line in refused.output.splitlines() if "is still up." in line)
    assert "qemu-nbd (pid" not in held, "our own daemon holds nothing up"
    assert machine.run("ls /mnt/home; umount /mnt").status == 0
    undone = machine.run(f"{PROGRAM} undo 2>&1", 600)
    assert undone.status == 0, undone.output
    assert "nbd slot" not in undone.output
    nothing_left(machine)


def test_writes_land_in_the_overlay(machine: Machine) -> None:
    done = machine.run(
        f"{PROGRAM} mount --writable /tmp/web01.qcow2 5 /tmp/m --way nbd && echo new > /tmp/m/new && sync",
        120,
    )
    assert done.status == 0, done.output
    assert machine.run("cat /tmp/m/new; cat /sys/block/nbd1/ro").output == "new\n0\n"
    assert machine.run(f"{PROGRAM} undo", 600).status == 0
    nothing_left(machine)


def test_killed_on_the_way_then_undone(machine: Machine) -> None:
    call = "mount --format raw /tmp/web01.raw 6 /tmp/m --way nbd"
    told = machine.run(f"{warm('tests.vm.killing')} 7 {call}", 1200)
    assert told.status == 0, told.output
    found = json.loads(told.output.splitlines()[-1])
    assert found["findings"] == []
    assert found["hits"] >= 2, found
    nothing_left(machine)


def test_a_slot_that_somebody_took_over_is_left_alone(machine: Machine) -> None:
    done = machine.run(f"{PROGRAM} mount /tmp/web01.qcow2 6 /tmp/m --way nbd", 600)
    assert done.status == 0, done.output
    taken = machine.run(
        "umount /tmp/m; qemu-nbd --disconnect /dev/nbd1;"
        " while test -e /sys/block/nbd1/pid; do sleep 0.1; done;"
        " cp /tmp/theirs /tmp/other; qemu-nbd --connect=/dev/nbd1 --format=raw /tmp/other"
    )
    assert taken.status == 0, taken.output
    undone = machine.run(f"{PROGRAM} undo 2>&1", 600)
    assert undone.status == 0, undone.output
    assert "/dev/nbd1: already gone" in undone.output
    assert machine.run("cat /sys/block/nbd1/size").output == "16384\n"
    assert machine.run("qemu-nbd --disconnect /dev/nbd1").status == 0
    machine.run("while test -e /sys/block/nbd1/pid; do sleep 0.1; done")
    nothing_left(machine)


def test_a_server_that_was_killed_leaves_nothing_behind(machine: Machine) -> None:
    done = machine.run(f"{PROGRAM} mount /tmp/web01.qcow2 6 /tmp/m --way nbd", 600)
    assert done.status == 0, done.output
    machine.run("kill -KILL $(cat /tmp/state/sessions/*/nbd1.pid)")
    undone = machine.run(f"{PROGRAM} undo 2>&1", 600)
    assert undone.status == 0, undone.output
    nothing_left(machine)


def test_several_at_once_take_a_slot_each(machine: Machine) -> None:
    line = f"{PROGRAM} ls /tmp/web01.qcow2 5 /home --way nbd >/tmp/said.$n 2>&1 || echo failed >>/tmp/said.$n"
    machine.run(f"for n in 1 2 3; do ({line}) & done; wait", 900)
    said = [machine.run(f"cat /tmp/said.{n}").output for n in (1, 2, 3)]
    assert "failed" not in "".join(said), said
    assert said[0] and said[0] == said[1] == said[2]
    nothing_left(machine)


def test_without_devices_for_partitions_a_loop_device_stands_on_the_slot(machine: Machine) -> None:
    free = "while test -e /sys/block/nbd0/pid; do sleep 0.1; done; until modprobe -r nbd; do sleep 0.1; done"
    again = "qemu-nbd --connect=/dev/nbd0 --format=raw /tmp/theirs"
    assert (
        machine.run(f"qemu-nbd --disconnect /dev/nbd0; {free} && modprobe nbd max_part=0 && {again}").status
        == 0
    )
    shown = machine.run(f"{PROGRAM} ls /tmp/web01.qcow2 5 /home --way nbd --explain 2>&1", 600)
    assert shown.status == 0, shown.output
    assert "made no device for the partition" in shown.output and "maya" in shown.output
    nothing_left(machine)
    assert machine.run(f"qemu-nbd --disconnect /dev/nbd0; {free}").status == 0
    refused = machine.run(f"{PROGRAM} ls /tmp/web01.qcow2 5 --way nbd 2>&1", 600)
    assert refused.status == 1
    assert "`modprobe nbd` loads it" in refused.output
    assert machine.run(f"modprobe nbd && {again}").status == 0
