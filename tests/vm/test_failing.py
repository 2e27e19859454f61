"""Disks that fail while they are read, and a host without memory, in the test machine."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import usermode
from .build import Image
from .machine import Machine
from .qemu import Setup

pytestmark = pytest.mark.long(40)

CHECKOUT = Path(__file__).parents[2]
PROGRAM = "/checkout/tests/vm/salvage --state-dir /tmp/state"
COPY = f"{PROGRAM} copy /dev/mapper/failing disk / /tmp/out --json"
SECTORS = 98304
MAKE = f"""
set -e
mkdir -p /tmp/src/var
for number in $(seq 1 60); do head -c 20000 /dev/urandom >/tmp/src/var/$number; done
head -c 16000000 /dev/urandom >/tmp/src/zbig
truncate --size {SECTORS * 512} /tmp/disk.raw
mke2fs -q -F -t ext4 -b 4096 -d /tmp/src /tmp/disk.raw
sha256sum /tmp/disk.raw >/tmp/original
modprobe loop
modprobe -a dm-dust dm-flakey
loop=$(losetup --find --show --read-only /tmp/disk.raw)
dmsetup create failing --readonly --table "0 {SECTORS} linear $loop 0"
"""
AS_FOUND = """
dmsetup ls
losetup --list --noheadings --output BACK-FILE
ls /tmp/state/sessions
sha256sum --check --quiet /tmp/original
"""
SAME = "diff --recursive /tmp/src /tmp/out | grep -v -e SHA256SUMS -e lost+found -e salvage-report"


@pytest.fixture(scope="module")
def booted(image: Image) -> Iterator[Machine]:
    if not usermode.preferred():
        pytest.skip("the kernel of User-Mode Linux is not here, and Debian's has no dm-dust")
    with Machine(image, Setup(CHECKOUT, udev=False, accelerator=usermode.preferred())) as machine:
        made = machine.run(MAKE)
        assert made.status == 0, made.output
        yield machine


@pytest.fixture
def machine(booted: Machine) -> Iterator[Machine]:
    """The machine with a whole disk; everything as it was found at the end."""
    booted.run("rm -rf /tmp/out; echo 3 >/proc/sys/vm/drop_caches")
    yield booted
    _table(booted, "linear /dev/loop0 0")
    found = booted.run(AS_FOUND).output
    assert found == "failing\t(254:0)\n/tmp/disk.raw\n"


def _table(machine: Machine, target: str, when: str = "true") -> None:
    """Let the disk be something else as soon as a test succeeds, in the midst of whatever reads it."""
    line = f"""
    for time in $(seq 3000); do if {when}; then break; fi; sleep 0.02; done
    dmsetup suspend --noflush failing
    dmsetup load failing --readonly --table "0 {SECTORS} {target}" && dmsetup resume failing
    """
    assert machine.run(line).status == 0


def _begin(machine: Machine, line: str) -> None:
    """Run a command beside what comes; `/tmp/status` has its exit status at the end."""
    beside = f"setsid sh -c '{line} >/tmp/json 2>/tmp/said; echo $? >/tmp/status'"
    machine.run(f"rm -f /tmp/status; ({beside} &) </dev/null >/dev/null 2>&1")


def _copied(machine: Machine, status: int, line: str = COPY) -> dict[str, list[dict[str, Any]]]:
    done = machine.run(f"{line} 2>/tmp/said")
    assert done.status == status, done.output + machine.run("cat /tmp/said").output
    parsed: dict[str, list[dict[str, Any]]] = json.loads(done.output)
    return parsed


def test_one_bad_block_costs_one_block_and_comes_later(machine: Machine) -> None:
    _table(machine, "dust /dev/loop0 0 4096")
    found = "debugfs -R 'blocks /var/7' /tmp/disk.raw 2>/dev/null | cut -d ' ' -f 3"
    bad = f"dmsetup message failing 0 addbadblock $({found}) && dmsetup message failing 0 enable"
    assert machine.run(bad).status == 0
    [gap] = _copied(machine, 4)["unreadable"]
    assert gap["path"] == "/var/7"
    assert gap["error"].startswith(
        "4\u202f096 of 20\u202f000 bytes could not be read, the first at byte 8\u202f192"
    )
    differing = machine.run("cmp --verbose /tmp/src/var/7 /tmp/out/var/7 | wc -l; " + SAME)
    count, *others = differing.output.splitlines()
    assert 4000 < int(count) <= 4096
    assert others == ["Binary files /tmp/src/var/7 and /tmp/out/var/7 differ"]
    machine.run("dmsetup message failing 0 disable; echo 3 >/proc/sys/vm/drop_caches")
    assert _copied(machine, 0)["unreadable"] == []
    assert machine.run(SAME).output == ""


def test_a_backup_of_a_disk_with_a_bad_block(machine: Machine) -> None:
    _table(machine, "dust /dev/loop0 0 4096")
    assert (
        machine.run("dmsetup message failing 0 addbadblock 3000; dmsetup message failing 0 enable").status
        == 0
    )
    [gap] = _copied(machine, 4, f"{PROGRAM} backup /dev/mapper/failing /tmp/backup.raw --json")["unreadable"]
    assert (gap["offset"], gap["length"], gap["error"]) == (3000 * 4096, 4096, "Input/output error")
    different = machine.run(
        "cmp --verbose /tmp/disk.raw /tmp/backup.raw | awk '{print int(($1 - 1) / 4096)}' | uniq"
    )
    assert set(different.output.split()) <= {"3000"}
    machine.run("rm /tmp/backup.raw")


def test_a_disk_that_goes_away_in_the_midst_and_comes_back(machine: Machine) -> None:
    _begin(machine, COPY)
    _table(machine, "error", when="[ -e /tmp/out/var/20 ]")
    _until(machine, "[ -s /tmp/status ]")
    ended = machine.run("cat /tmp/status /tmp/said")
    assert ended.output.startswith("4\n"), ended.output
    assert "Traceback" not in ended.output
    _table(machine, "linear /dev/loop0 0")
    machine.run("echo 3 >/proc/sys/vm/drop_caches")
    assert _copied(machine, 0)["unreadable"] == []
    assert machine.run(SAME).output == ""


def test_a_disk_that_fails_for_a_second_now_and_then(machine: Machine) -> None:
    """What could not be read comes with one of the next tries, and what is there already stays."""
    _table(machine, "flakey /dev/loop0 0 3 1")
    for _turn in range(15):
        done = machine.run(f"{COPY} 2>/tmp/said; status=$?; cat /tmp/said; exit $status")
        assert done.status in (0, 1, 4) and "Traceback" not in done.output, done.output
        if done.status == 0:
            break
        machine.run("echo 3 >/proc/sys/vm/drop_caches; sleep 0.7")
    assert done.status == 0, done.output
    assert machine.run(SAME).output == ""


def test_little_memory_is_enough(machine: Machine) -> None:
    _limit(machine, "48M")
    copied = _copied(machine, 0, _within_limit(COPY))
    assert copied["unreadable"] == []
    assert machine.run(SAME).output == ""


def test_the_kernel_ends_it_for_lack_of_memory(machine: Machine) -> None:
    """What is up then comes down by the next command, and the copy goes on where it stopped."""
    _limit(machine, "max")
    _begin(machine, _within_limit(COPY))
    _until(machine, "[ -e /tmp/out/var/5 ]")
    _limit(machine, "1M")
    _until(machine, "[ -s /tmp/status ]")
    assert machine.run("cat /tmp/status").output == "137\n"
    assert machine.run("grep -c . /proc/self/mountinfo; ls /tmp/state/sessions").output.splitlines()[1:]
    undone = machine.run(f"{PROGRAM} undo --all")
    assert undone.status == 0, undone.output
    assert _copied(machine, 0)["unreadable"] == []
    assert machine.run(SAME).output == ""


def _within_limit(line: str) -> str:
    """The same command, in a process of its own within the limit."""
    own = line.replace("/checkout/tests/vm/salvage", "exec python3 -m tui.main")
    return f'sh -c "echo \\$\\$ >/sys/fs/cgroup/low/cgroup.procs; cd /checkout; {own}"'


def _limit(machine: Machine, most: str) -> None:
    folder = "/sys/fs/cgroup/low"
    enable = "echo +memory >/sys/fs/cgroup/cgroup.subtree_control"
    line = f"{enable}; mkdir -p {folder}; echo {most} >{folder}/memory.max"
    assert machine.run(line).status == 0


def _until(machine: Machine, test: str) -> None:
    end = time.monotonic() + 60
    while machine.run(test).status != 0:
        assert time.monotonic() < end, machine.run("cat /tmp/json /tmp/said").output
        time.sleep(0.02)
