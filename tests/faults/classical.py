"""The ways that need the device mapper, nbd or md, for the test machine, which is the host then.

The disks are made by the programs that make them everywhere.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from core.hoststate import HostState, differences
from tests.conftest import Guard
from tests.core.volumes.layer_disks import Run, lvm_disk
from tests.faults.pipelines import SECRET, Pipeline, Place

VOLUME = "/dev/faults/web"
"""A volume of the host itself."""

_MAKE = f"""
set -e
modprobe -a dm-mod loop dm-crypt dm-integrity authenc dm-raid dm-snapshot dm-cache dm-cache-smq raid456 nbd
cat > /etc/mdadm/mdadm.conf <<'END'
DEVICE /dev/null
END
rules=/lib/udev/rules.d/64-md-raid-assembly.rules
mount --bind /dev/null $rules; udevadm control --reload
disk() {{ # NAME SIZE PARTITION…: a disk on a loop device whose partitions the kernel knows
    name=$1; size=$2; shift 2
    truncate -s $size $name
    (echo label: gpt; for part; do echo ,$part; done) | sfdisk -q $name
    losetup --find --show --partscan $name
    udevadm settle
}}
fill() {{ mke2fs -q -F -t ext4 -d tree $1; }}
mkdir -p tree/home; printf '{SECRET}' > tree/home/letter.txt; seq 300000 > tree/home/long.bin

loop=$(disk parted.raw 24M 8M 8M); fill ${{loop}}p2; sync; losetup --detach $loop

loop=$(disk array.raw 40M 10M 10M 10M)
mdadm --create /dev/md20 --run --quiet --homehost=host --name=five --level=5 --chunk=64 \\
    --raid-devices=3 ${{loop}}p1 ${{loop}}p2 ${{loop}}p3
fill /dev/md20; mdadm --wait /dev/md20 || true
mdadm --quiet /dev/md20 --fail ${{loop}}p2
sync; mdadm --stop --quiet /dev/md20; losetup --detach $loop

loop=$(disk nested.raw 44M 40M)
printf '{SECRET}' > passphrase; printf '{SECRET.rstrip()}' > key
cryptsetup luksFormat --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file key ${{loop}}p1
cryptsetup open --key-file key ${{loop}}p1 one
vgcreate -qq -s 1M inner /dev/mapper/one; lvcreate -qq -y -Wn -L 8M -n pad inner
lvcreate -qq -y -Wn -L 8M -n root inner; lvremove -qq -y inner/pad; lvextend -qq -L 12M inner/root
fill /dev/inner/root; vgchange -qq -an inner; cryptsetup close one; sync; losetup --detach $loop

loop=$(disk raids.raw 40M 12M 12M 12M)
vgcreate -qq -s 1M vg ${{loop}}p1 ${{loop}}p2 ${{loop}}p3
lvcreate -qq -y -Wn --type raid5 -i 2 -L 8M -n five vg; fill /dev/vg/five
lvcreate -qq -y -s -L 4M -n snap vg/five ${{loop}}p1
while lvs --noheadings -o copy_percent vg/five | grep -qv 100.00; do sleep 0.5; done
vgchange -qq -an vg; sync; losetup --detach $loop
dd if=/dev/zero of=raids.raw bs=1M seek=13 count=1 conv=notrunc status=none

loop=$(disk cached.raw 44M 40M)
vgcreate -qq -s 1M quick ${{loop}}p1; lvcreate -qq -y -Wn -L 12M -n web quick
lvcreate -qq -y -Wn -L 16M -n fast quick
lvconvert -qq -y --type cache --cachevol quick/fast --cachemode writeback quick/web
fill /dev/quick/web; vgchange -qq -an quick; sync; losetup --detach $loop

truncate -s 24M checked.raw
cryptsetup luksFormat --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file key \\
    --integrity hmac-sha256 checked.raw
cryptsetup open --key-file key checked.raw one; fill /dev/mapper/one; cryptsetup close one; sync

truncate -s 40M host.pv; vgcreate -qq -s 1M faults $(losetup --find --show host.pv)
lvcreate -qq -y -Wn -Zn -L 8M -n web faults; fill {VOLUME}; sync
umount $rules; udevadm control --reload; udevadm settle
"""
_AWAY = """
vgchange -qq -an faults
losetup --detach "$(losetup --noheadings --output NAME --associated host.pv)"
"""


@dataclass(frozen=True, slots=True)
class ClassicalPlace(Place):
    """Where one sweeper works that has the host for itself."""

    def make_disks(self) -> None:
        """Disks with a table, groups, an array, a RAID of LVM, a cache, and a group in what is encrypted."""
        lvm_disk(self.disk("raw", "vg/pieces"), {"pieces": [Run(0, 5, 3), Run(0, 9, 1)]}, [10])
        self._run(_MAKE)
        self.convert_disks()

    def guarded(self) -> Guard:
        return LoneGuard(self.base)

    def clear(self) -> None:
        self._run(_AWAY)

    @property
    def soon(self) -> float:
        return 5.0  # under emulation

    def _run(self, script: str) -> None:
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.base,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode(errors="replace")


class LoneGuard(Guard):
    """Where nobody else works on the host, everything that differs is a leftover."""

    def left_behind(self) -> list[str]:
        return [str(one) for one in differences(self.before, HostState.now())]

    def take_down(self) -> None:
        """By force what came; no error when it does not go."""
        came = [one.thing for one in differences(self.before, HostState.now()) if one.sign == "+"]
        for kind, argv in _BY_FORCE.items():
            for thing in came:
                if thing.kind == kind:
                    name = thing.key[1 if kind == "mapping" else 0]
                    subprocess.run(
                        [*argv, str(name) if kind == "mapping" else Path("/dev") / str(name)], check=False
                    )


_BY_FORCE = {
    "mapping": ("dmsetup", "remove", "--force", "--retry"),
    "array": ("mdadm", "--stop"),
    "nbd": ("qemu-nbd", "--disconnect"),
    "loop": ("losetup", "--detach"),
}

PIPELINES = (
    Pipeline("raw", "read-only", "list", "2", "kpartx"),
    Pipeline("qcow2", "overlay", "mount", "2", "kpartx"),
    Pipeline("raw", "read-only", "copy", "2", "nbd"),
    Pipeline("qcow2", "overlay", "mount", "2", "nbd"),
    Pipeline("raw", "read-only", "mount", "vg/pieces"),
    Pipeline("qcow2", "overlay", "copy", "vg/pieces"),
    Pipeline("raw", "read-only", "copy", "md:five"),
    Pipeline("qcow2", "overlay", "mount", "md:five"),
    Pipeline("qcow2", "read-only", "mount", "inner/root"),
    Pipeline("qcow2", "read-only", "copy", "disk/luks"),
    Pipeline("raw", "overlay", "mount", "disk/luks"),
    Pipeline("qcow2", "read-only", "list", "vg/snap"),
    Pipeline("qcow2", "overlay", "mount", "quick/web"),
    Pipeline("raw", "read-only", "snapshot", VOLUME),
)
"""The ways by kpartx and nbd; by the device mapper a volume in pieces, a group in an encrypted partition, and
what has a checksum to each sector, with dm-integrity's journal over an overlay; a degraded array by a daemon
of this program, and by both a snapshot of a degraded RAID of LVM; a volume whose cache has what it has not; a
snapshot of a volume of the host."""
