"""What this program does with the device mapper, FAT in the kernel and a reboot, in the test machine."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.lab import catalogue, labs
from core.runner import SystemRunner

from . import usermode
from .build import Image
from .machine import Machine, warm
from .qemu import Setup

pytestmark = pytest.mark.long(120)

CHECKOUT = Path(__file__).parents[2]
PROGRAM = "/checkout/tests/vm/salvage --state-dir /tmp/state"
LEFT = "dmsetup ls; losetup --list --noheadings; grep -c fuse /proc/mounts; ls /tmp/state/sessions"
NOTHING = "No devices found\n0\n"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scratch")
    labs.start(catalogue.built_in()[0], folder, SystemRunner(), seed=3).rename(folder / "web01.qcow2")
    return folder


@pytest.fixture(scope="module")
def machine(image: Image, scratch: Path) -> Iterator[Machine]:
    with Machine(image, Setup(CHECKOUT, scratch=scratch, accelerator=usermode.preferred())) as booted:
        assert booted.run("modprobe dm-mod; modprobe loop; cp /scratch/web01.qcow2 /tmp/").status == 0
        yield booted


def _home(machine: Machine, at: str) -> int:
    return int(machine.run(f"find {at} -type f | wc -l").output)


def test_kpartx_maps_copies_and_goes(machine: Machine) -> None:
    done = machine.run(f"{PROGRAM} copy /tmp/web01.qcow2 5 /home /tmp/out --way kpartx --json", 120)
    assert done.status == 0, done.output
    assert _home(machine, "/tmp/out/home") > 20
    assert "kpartx -a" in machine.run("cat /tmp/out/salvage-report.md").output
    assert machine.run("cd /tmp/out && sha256sum --check --quiet SHA256SUMS").status == 0
    assert machine.run(LEFT).output == NOTHING


def test_a_mount_by_kpartx_stays_until_undo(machine: Machine) -> None:
    done = machine.run(f"{PROGRAM} mount /tmp/web01.qcow2 6 /tmp/m --way kpartx", 120)
    assert done.status == 0, done.output
    assert machine.run("findmnt --noheadings --output SOURCE /tmp/m").output.startswith("/dev/mapper/loop")
    status = json.loads(machine.run(f"{PROGRAM} status --json").output)
    assert [entry["what"] for entry in status["sessions"][0]["entries"]] == [
        "fuse-export",
        "file",
        "loop",
        "dm",
        "mount",
    ]
    undone = machine.run(f"{PROGRAM} undo", 120)
    assert undone.status == 0, undone.output
    assert machine.run(LEFT).output == NOTHING


def test_killed_on_the_way_by_kpartx_then_undone(machine: Machine) -> None:
    told = machine.run(f"{warm('tests.vm.killing')} 20 ls /tmp/web01.qcow2 5 --way kpartx", timeout=600)
    assert told.status == 0, told.output
    found = json.loads(told.output.splitlines()[-1])
    assert found["findings"] == [] and found["hits"] >= 2, found
    assert machine.run(LEFT).output == NOTHING


def test_a_mapping_of_the_same_name_stays(machine: Machine) -> None:
    assert machine.run("losetup --find").output == "/dev/loop0\n"
    assert machine.run("dmsetup create loop0p5 --table '0 8 zero'").status == 0
    refused = machine.run(f"{PROGRAM} ls /tmp/web01.qcow2 5 --way kpartx", 120)
    assert refused.status == 3, refused.output
    assert "loop0p5" in refused.output
    assert machine.run("dmsetup table loop0p5").output.startswith("0 8 zero")
    assert machine.run("dmsetup remove loop0p5").status == 0
    assert machine.run(LEFT).output == NOTHING


def test_fat_by_the_kernel(machine: Machine) -> None:
    made = machine.run(
        "set -e; cd /tmp; truncate --size 40M fat.img; mkfs.vfat -F 32 fat.img >/dev/null;"
        "mount -o loop fat.img /mnt; echo rescued > /mnt/letter.txt; umount /mnt; sync"
    )
    assert made.status == 0, made.output
    shown = machine.run(f"{PROGRAM} cat --format raw /tmp/fat.img disk /letter.txt", 120)
    assert (shown.status, shown.output) == (0, "rescued\n")
    assert machine.run(LEFT).output == NOTHING


DYING = """
set -eu
cd /tmp
head --bytes 8M /dev/urandom >medium
loop=$(losetup --find --show medium)
printf '0 2048 linear %s 0\\n2048 3 error\\n2051 14333 linear %s 2051\\n' $loop $loop | dmsetup create dying
"""
GONE = "dmsetup remove dying; losetup --detach-all; rm -f medium healthy saved*"


def test_a_block_device_with_unreadable_sectors_is_saved_but_for_those(machine: Machine) -> None:
    assert machine.run(DYING).status == 0
    done = machine.run(f"{PROGRAM} --format raw backup /dev/mapper/dying /tmp/saved 2>&1", 120)
    assert done.status == 4, done.output
    assert "not read: /dev/dm-0: 1536 bytes at 1048576: Input/output error" in done.output
    assert "ddrescue" in done.output
    zeroed = "dd if=/dev/zero of=medium bs=512 seek=2048 count=3 conv=notrunc status=none; cmp medium saved"
    assert machine.run(f"cd /tmp; sha256sum --check --quiet saved.sha256; {zeroed}").output == ""
    assert "0x00100000  0x00000600  -" in machine.run("cat /tmp/saved.mapfile").output
    assert machine.run(f"cd /tmp; {GONE}").status == 0
    assert machine.run(LEFT).output == NOTHING


def test_fat_is_known_for_what_it_cannot_keep(machine: Machine) -> None:
    made = machine.run(
        "cd /tmp; truncate --size 64M fat; mkfs.vfat fat >/dev/null; mkdir f; mount -o loop fat f;"
        " truncate --size 5G large; truncate --size 8M small; head --bytes 1M /dev/urandom >>small"
    )
    assert made.status == 0, made.output
    refused = machine.run(f"{PROGRAM} --format raw backup /tmp/large /tmp/f/ 2>&1", 120)
    assert refused.status == 1, refused.output
    assert "5.0 GiB" in refused.output and "Nothing was copied" in refused.output
    assert machine.run("ls -A /tmp/f").output == ""
    done = machine.run(
        f"{PROGRAM} --format raw backup /tmp/small /tmp/f/ && cmp /tmp/small /tmp/f/small", 120
    )
    assert done.status == 0, done.output
    assert machine.run("ls -A /tmp/f").output.split() == ["small", "small.sha256"]
    assert machine.run("cd /tmp; umount f; rm -r f fat large small").status == 0


@pytest.mark.hostile(53)
def test_after_a_reboot_only_files_are_left_and_go(machine: Machine) -> None:
    done = machine.run(f"{PROGRAM} mount --writable /tmp/web01.qcow2 5 /tmp/m", timeout=120)
    assert done.status == 0, done.output
    # a journal that survives the boot, as it does in /var/lib on a real host
    moved = machine.run("cp -a /tmp/state /scratch/state; cp /tmp/web01.qcow2 /scratch/again.qcow2; sync")
    assert moved.status == 0, moved.output
    assert machine.run(f"{PROGRAM} undo --all", timeout=120).status == 0


@pytest.mark.hostile(53)
def test_the_next_boot_undoes_what_the_last_one_left(image: Image, scratch: Path, machine: Machine) -> None:
    machine.power_off()
    with Machine(image, Setup(CHECKOUT, scratch=scratch, accelerator=usermode.preferred())) as booted:
        booted.run("mkdir -p /tmp/m; cp -a /scratch/state /tmp/state")
        status = json.loads(booted.run(f"{PROGRAM} status --json").output)
        assert len(status["sessions"][0]["entries"]) == 6
        undone = booted.run(f"{PROGRAM} undo --all", timeout=120)
        assert undone.status == 0, undone.output
        assert "already gone" in undone.output
        assert booted.run("find /tmp/state -type f").output == ""
