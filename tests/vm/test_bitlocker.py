"""A BitLocker volume that was made without Windows, opened; cryptsetup itself is the judge of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.volumes.bitlocker_disk import (
    AREAS,
    KEY,
    MOVED,
    MOVED_SIZE,
    PASSPHRASE,
    RECOVERY,
    SIZE,
    area,
    boot,
)

from . import usermode
from .build import Image
from .machine import Machine, warm
from .qemu import Setup

pytestmark = pytest.mark.long(60)

CHECKOUT = Path(__file__).parents[2]
PROGRAM = "/checkout/tests/vm/salvage --state-dir /tmp/state --format raw"
LEFT = "dmsetup ls; losetup --list --noheadings; ls /tmp/state/sessions"
NOTHING = "No devices found\n"

_KIB = 1024
_BAD = [
    block
    for at, length in (*((one, 64 * _KIB) for one in AREAS), (MOVED, MOVED_SIZE))
    for block in range(at // _KIB, (at + length) // _KIB)
]
"""The blocks that the file system leaves to BitLocker, as Windows does by files of its own."""

MAKE = f"""
set -e
modprobe -a dm-mod loop dm-crypt
mkdir -p /tmp/tree/home /tmp/state/sessions; cd /tmp
echo rescued > tree/home/letter; seq 200000 > tree/home/long
printf '{PASSPHRASE}' > pass; printf 'Open sesame 2' > wrong; printf '{RECOVERY}' > recovery
mke2fs -q -t ext4 -b 1024 -l /scratch/bad -d tree fs.img {SIZE // _KIB}
truncate -s 16M disk.img; echo '2048,{SIZE // 512},7' | sfdisk -q disk.img
loop=$(losetup --find --show --offset 1M --sizelimit {SIZE} disk.img)
echo 0 {SIZE // 512} crypt aes-xts-plain64 {KEY.hex()} 0 $loop 0 | dmsetup create whole
dd if=fs.img of=/dev/mapper/whole bs=1M status=none
dd if=fs.img of=/dev/mapper/whole bs={MOVED_SIZE} count=1 seek={MOVED // MOVED_SIZE} status=none
sync; dmsetup remove --retry whole
dd if=/dev/zero of=$loop bs={MOVED_SIZE} count=1 status=none
dd if=/scratch/boot of=$loop status=none
for at in {" ".join(str(one >> 10) for one in AREAS)}; do
    dd if=/dev/zero of=$loop bs=64K count=1 seek=$((at / 64)) status=none
    dd if=/scratch/area of=$loop bs=1K seek=$at status=none
done
sync; losetup --detach $loop
cp disk.img damaged.img; dd if=/dev/urandom of=damaged.img bs=64K seek=48 count=1 conv=notrunc status=none
cp disk.img within.img
printf damaged | dd of=within.img bs=1 seek=$(((3 << 20) + 250)) conv=notrunc status=none
cp damaged.img lost.img
for at in 96 160; do dd if=/dev/urandom of=lost.img bs=64K seek=$at count=1 conv=notrunc status=none; done
md5sum *.img > sums
"""


@pytest.fixture(scope="module")
def machine(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    scratch = tmp_path_factory.mktemp("scratch")
    (scratch / "boot").write_bytes(boot())
    (scratch / "area").write_bytes(area())
    (scratch / "bad").write_text("".join(f"{block}\n" for block in _BAD))
    with Machine(
        image, Setup(CHECKOUT, scratch=scratch, udev=False, accelerator=usermode.preferred())
    ) as booted:
        made = booted.run(MAKE, 900)
        assert made.status == 0, made.output
        yield booted
        assert booted.run("cd /tmp; md5sum --check --quiet sums").output == ""


def asked(machine: Machine, line: str) -> str:
    """What the program says, and its exit status."""
    result = machine.run(f"{PROGRAM} {line} 2>&1", 900)
    return f"{result.output.strip()} [{result.status}]"


def test_cryptsetup_takes_the_volume_for_one(machine: Machine) -> None:
    shown = machine.run(
        f"set -e; cd /tmp; loop=$(losetup --find --show --read-only --offset 1M --sizelimit {SIZE} disk.img);"
        " cryptsetup open --type bitlk --readonly --key-file pass $loop other;"
        " mount -o ro,noload /dev/mapper/other /mnt; cat /mnt/home/letter; cmp /mnt/home/long tree/home/long;"
        " umount /mnt; cryptsetup close other; losetup --detach $loop",
        300,
    )
    assert (shown.status, shown.output) == (0, "rescued\n")


def test_it_is_opened_and_read_whole(machine: Machine) -> None:
    told = asked(machine, "cat --passphrase-file /tmp/pass /tmp/disk.img 1/bitlocker /home/letter")
    assert told == "rescued [0]"
    copied = machine.run(
        f"{PROGRAM} copy --passphrase-file /tmp/pass /tmp/disk.img 1/bitlocker /home /tmp/out &&"
        " cmp /tmp/out/home/long /tmp/tree/home/long",
        300,
    )
    assert copied.status == 0, copied.output
    assert machine.run(LEFT).output == NOTHING
    key = machine.run(f"grep -r -l {KEY.hex()} /tmp/out /tmp/state; true")
    assert key.output == ""


def test_a_damaged_first_copy_of_the_metadata(machine: Machine) -> None:
    told = asked(machine, "cat --passphrase-file /tmp/pass /tmp/damaged.img 1/bitlocker /home/letter")
    assert told == "rescued [0]"


def test_a_copy_that_is_damaged_within_gives_way_to_the_next(machine: Machine) -> None:
    told = asked(machine, "cat --passphrase-file /tmp/recovery /tmp/within.img 1/bitlocker /home/letter")
    assert told == "rescued [0]"
    told = asked(machine, "ls --passphrase-file /tmp/wrong /tmp/within.img 1/bitlocker")
    assert told.endswith("[3]") and "The passphrase does not open partition 1" in told
    assert machine.run(LEFT).output == NOTHING


def test_without_any_copy_no_key_is_asked_for(machine: Machine) -> None:
    told = asked(machine, "ls /tmp/lost.img 1/bitlocker")
    assert told.endswith("[3]") and "all three copies of its metadata are damaged" in told
    assert machine.run(LEFT).output == NOTHING


def test_killed_on_the_way_then_undone(machine: Machine) -> None:
    call = "ls --format raw --passphrase-file /tmp/pass /tmp/disk.img 1/bitlocker"
    told = machine.run(f"{warm('tests.vm.killing')} 12 {call}", 1200)
    assert told.status == 0, told.output
    found = json.loads(told.output.splitlines()[-1])
    assert found["findings"] == [] and found["hits"] >= 1, found
