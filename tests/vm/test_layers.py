"""LVM, LUKS and md over real partitions, in the test machine, which is the host then.

The disks are made by the programs that make them everywhere, and opened by this program alone.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import ToolMissing

from . import usermode
from .build import Image, ImageMissing, build
from .machine import Machine
from .opening import LEFT
from .qemu import Setup

pytestmark = pytest.mark.long(170)

CHECKOUT = Path(__file__).parents[2]
PROGRAM = "/checkout/tests/vm/salvage --state-dir /tmp/state"
PASSPHRASE = "open sesame"

START = """
set -e
modprobe -a dm-mod loop dm-crypt dm-raid
mkdir -p /tmp/tree/home; echo rescued > /tmp/tree/home/letter; seq 200000 > /tmp/tree/home/long
cat > /usr/local/bin/mke <<'END'
mke2fs -q -F -t ext4 -d /tmp/tree $1
END
cat > /usr/local/bin/disk <<'END'
# NAME SIZE PARTITION…: a disk on a loop device whose partitions the kernel knows
name=$1; size=$2; shift 2
truncate -s $size /tmp/$name
(echo label: gpt; for part; do echo ,$part; done) | sfdisk -q /tmp/$name
losetup --find --show --partscan /tmp/$name
udevadm settle
END
chmod +x /usr/local/bin/mke /usr/local/bin/disk
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
        done(booted, START)
        yield booted


def done(machine: Machine, script: str) -> str:
    """What a script says that must go well."""
    result = machine.run(f"set -e; cd /tmp\n{script}", 3000)
    assert result.status == 0, result.output
    return result.output


def opened(machine: Machine, disks: dict[str, list[str]], passphrase: str = "") -> dict[str, dict[str, Any]]:
    """What the volumes hold, by disk and id; the disks must not change, and nothing must be left."""
    names, times = " ".join(disks), "ls -l --time-style=full-iso"
    asked = json.dumps({f"/tmp/{disk}": ids for disk, ids in disks.items()})
    before = machine.run(LEFT).output
    script = f"""
    cd /tmp; sha256sum {names} >sums; {times} {names} >times
    cd /checkout; echo '{asked}' | python3 -m tests.vm.opening '{passphrase}' 2>/tmp/said || exit 1
    cd /tmp; sha256sum --quiet -c sums; {times} {names} | cmp - times
    """
    result = machine.run(script, 3000)
    assert result.status == 0, result.output + machine.run("cat /tmp/said").output
    told = json.loads(result.output)
    assert told["left"] == before
    return {disk.removeprefix("/tmp/"): found for disk, found in told["opened"].items()}


def whole(found: dict[str, Any]) -> bool:
    """Whether a volume was read as it was written."""
    return (found.get("letter"), found.get("whole")) == ("rescued", True)


LVM = """
loop=$(disk lvm.img 331M 64M 64M 64M 64M 64M)
pvcreate -qq ${loop}p1 ${loop}p2 ${loop}p3 ${loop}p4 ${loop}p5
vgcreate -qq -s 1M many ${loop}p1 ${loop}p2 ${loop}p3 ${loop}p4 ${loop}p5
make="lvcreate -qq -y -Zy -Wn"
$make -L 8M -n plain many ${loop}p1
$make -L 8M -i 2 -n striped many
$make -L 6M -n grown many ${loop}p1
lvextend -qq -L +4M many/grown ${loop}p2
$make --type mirror -m1 --mirrorlog core -L 8M -n mirror many
$make --type raid1 -m1 -L 8M -n raid1 many
$make --type raid5 -i2 -L 8M -n raid5 many
$make --type raid6 -i3 -L 9M -n raid6 many
$make --type raid10 -i2 -m1 -L 8M -n raid10 many
$make -L 8M -n origin many
for name in plain striped grown mirror raid1 raid5 raid6 raid10 origin; do mke /dev/many/$name; done
lvcreate -qq -y -s -L 4M -n snap many/origin
mount /dev/many/snap /mnt; echo changed > /mnt/home/letter; umount /mnt
lvcreate -qq -y -L 16M -T many/pool; lvcreate -qq -y -V 32M -T many/pool -n thin; mke /dev/many/thin
lvcreate -qq -y -s -n thinsnap many/thin -kn -ay
mount /dev/many/thinsnap /mnt; echo changed > /mnt/home/letter; umount /mnt
while lvs --noheadings -o copy_percent many | grep -q '[0-9]' &&
      lvs --noheadings -o copy_percent many | grep '[0-9]' | grep -qv 100.00; do sleep 1; done
vgchange -qq -an many
losetup --detach $loop
"""
VOLUMES = ("plain", "striped", "grown", "mirror", "raid1", "raid5", "raid6", "raid10", "origin", "thin")


@pytest.fixture(scope="module")
def logical(machine: Machine) -> dict[str, dict[str, Any]]:
    done(machine, LVM)
    names = [f"many/{name}" for name in (*VOLUMES, "snap", "thinsnap")]
    return opened(machine, {"lvm.img": names})["lvm.img"]


@pytest.mark.parametrize("name", VOLUMES)
def test_a_logical_volume_of_every_kind_is_read(logical: dict[str, dict[str, Any]], name: str) -> None:
    assert whole(logical[f"many/{name}"]), logical[f"many/{name}"]


@pytest.mark.parametrize("name", ["snap", "thinsnap"])
def test_a_snapshot_shows_what_was_changed_in_it(logical: dict[str, dict[str, Any]], name: str) -> None:
    assert logical[f"many/{name}"]["letter"] == "changed", logical[f"many/{name}"]
    assert logical[f"many/{name}"]["whole"]


def test_only_what_has_to_be_put_together_uses_the_device_mapper(logical: dict[str, dict[str, Any]]) -> None:
    assert logical["many/plain"]["up"] == logical["many/mirror"]["up"] == ["file", "loop", "mount"]
    assert "lv" in logical["many/raid10"]["up"]
    for name in ("raid5", "raid6"):
        assert {"nbd", "fuse-export"} < set(logical[f"many/{name}"]["up"])
        assert "lv" not in logical[f"many/{name}"]["up"]


LUKS = f"""
loop=$(disk luks.img 170M 40M 40M 40M 40M)
make() {{ printf '{PASSPHRASE}' | cryptsetup luksFormat --batch-mode --key-file - "$@"; }}
open() {{ printf '{PASSPHRASE}' | cryptsetup open --key-file - $1 one; }}
fast="--pbkdf pbkdf2 --pbkdf-force-iterations 1000"
make --type luks2 $fast --sector-size 4096 ${{loop}}p1
open ${{loop}}p1; mke /dev/mapper/one; cryptsetup close one
make --type luks1 --pbkdf-force-iterations 1000 ${{loop}}p2
open ${{loop}}p2; mke /dev/mapper/one; cryptsetup close one
make --type luks2 --pbkdf argon2id --pbkdf-memory 4096 --pbkdf-force-iterations 4 ${{loop}}p3
open ${{loop}}p3; vgcreate -qq -s 1M inner /dev/mapper/one; lvcreate -qq -y -L 10M -n root inner
mke /dev/inner/root; vgchange -qq -an inner; cryptsetup close one
vgcreate -qq -s 1M outer ${{loop}}p4; lvcreate -qq -y -L 30M -n safe outer; make $fast /dev/outer/safe
open /dev/outer/safe; mke /dev/mapper/one; cryptsetup close one; vgchange -qq -an outer
losetup --detach $loop
"""
ENCRYPTED = ("1/luks", "2/luks", "inner/root", "outer/safe/luks")


@pytest.fixture(scope="module")
def encrypted(machine: Machine) -> dict[str, dict[str, Any]]:
    done(machine, LUKS)
    return opened(machine, {"luks.img": list(ENCRYPTED)}, PASSPHRASE)["luks.img"]


@pytest.mark.parametrize("name", ENCRYPTED)
def test_an_encrypted_volume_is_read(encrypted: dict[str, dict[str, Any]], name: str) -> None:
    assert whole(encrypted[name]), encrypted[name]
    assert "luks" in encrypted[name]["up"]


MD = """
modprobe -a raid0 raid1 raid456 raid10 linear || true
echo 'DEVICE /dev/null' > /etc/mdadm/mdadm.conf
mount --bind /dev/null /lib/udev/rules.d/64-md-raid-assembly.rules; udevadm control --reload
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
    sync; until mdadm --stop --quiet /dev/md20; do sleep 0.2; done  # udev may still look at it
    losetup --detach $loop
}
make zero 0 3 --chunk=64
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
until mdadm --stop --quiet /dev/md7; do sleep 0.2; done; losetup --detach $loop
umount /lib/udev/rules.d/64-md-raid-assembly.rules; udevadm control --reload
"""
TWICE = tuple(f"twice{layout}" for layout in ("", "left", "right", "zero", "new", "more"))
"""RAID6 in md's layouts, of which two members are lost."""
ARRAYS = {
    **{f"{name}.img": f"md:{name}" for name in ("zero", "one", "four", "five", "six", "ten", "odd", "far")},
    **{f"{name}.img": f"md:{name}" for name in ("offset", "line", "less", "fewer", *TWICE)},
    "old.img": "md:7",
    "lvmd.img": "onmd/root",
}


@pytest.fixture(scope="module")
def arrays(machine: Machine) -> dict[str, dict[str, Any]]:
    done(machine, MD)
    found = opened(machine, {disk: [name] for disk, name in ARRAYS.items()})
    assert machine.run("grep ^md /proc/mdstat").output == ""
    return found


@pytest.mark.parametrize("disk", ARRAYS)
def test_an_array_of_every_level_is_read(arrays: dict[str, dict[str, Any]], disk: str) -> None:
    assert whole(arrays[disk][ARRAYS[disk]]), arrays[disk]


@pytest.mark.parametrize("name", ["four", "five", "six", "less", "fewer", "twice"])
def test_an_array_with_parity_is_not_put_together_by_the_kernel(
    arrays: dict[str, dict[str, Any]], name: str
) -> None:
    up = arrays[f"{name}.img"][f"md:{name}"]["up"]
    assert "nbd" in up and "md" not in up, up


WRITTEN = """
echo 'DEVICE /dev/null' > /etc/mdadm/mdadm.conf
mount --bind /dev/null /lib/udev/rules.d/64-md-raid-assembly.rules; udevadm control --reload
export PYTHONPATH=/checkout
for name in NAMES; do
    PROGRAM --format raw mount --writable $name.img md:$name /tmp/point >said 2>&1
    seq 300000 > /tmp/point/home/new
    echo $name.img | PROGRAM commit --backup /tmp/before $(ls /tmp/state/sessions) >>said 2>&1
    rm -r /tmp/before*
    loop=$(losetup --find --show --partscan $name.img); udevadm settle
    parts=$(for n in 1 2 3 4 5; do mdadm --examine ${loop}p$n >&2 && echo ${loop}p$n; done 2>>said || true)
    mdadm --assemble /dev/md21 --run --quiet $parts >>said 2>&1 || true
    e2fsck -fn /dev/md21 >>said 2>&1
    mount -o ro /dev/md21 /mnt; seq 300000 | cmp - /mnt/home/new; umount /mnt
    echo check > /sys/block/md21/md/sync_action; mdadm --wait /dev/md21 || true
    echo $name $(cat /sys/block/md21/md/mismatch_cnt)
    mdadm --stop --quiet /dev/md21; losetup --detach $loop
done
umount /lib/udev/rules.d/64-md-raid-assembly.rules; udevadm control --reload
"""


def test_md_itself_finds_what_was_written_and_no_parity_that_does_not_fit(
    machine: Machine, arrays: dict[str, dict[str, Any]]
) -> None:
    assert arrays
    names = ["four", "five", "six", "sixmore", "less", "fewer", "twice"]
    script = WRITTEN.replace("NAMES", " ".join(names)).replace("PROGRAM", PROGRAM)
    result = machine.run(f"set -e; cd /tmp\n{script}", 3000)
    assert result.status == 0, result.output + machine.run("cat /tmp/said").output
    assert result.output.splitlines() == [f"{name} 0" for name in names]


def test_a_degraded_array_says_so(arrays: dict[str, dict[str, Any]]) -> None:
    assert "1 of its 4 members are missing" in " ".join(arrays["less.img"]["md:less"]["problems"])


MORE = f"""
loop=$(disk more.img 130M 40M 40M 40M)
fast="--batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000"
printf 'key\\nwith newlines\\n' > key; printf '{PASSPHRASE}' > pass; printf 'wrong' > wrong
cryptsetup luksFormat $fast --type luks2 --key-file key ${{loop}}p1
cryptsetup open --key-file key ${{loop}}p1 one; mke /dev/mapper/one; cryptsetup close one
cryptsetup luksFormat $fast --type luks2 --header apart.hdr --key-file pass ${{loop}}p2
cryptsetup open --header apart.hdr --key-file pass ${{loop}}p2 one; mke /dev/mapper/one; cryptsetup close one
cryptsetup luksFormat $fast --type luks2 --key-file pass ${{loop}}p3
cryptsetup open --key-file pass ${{loop}}p3 one; mke /dev/mapper/one; cryptsetup close one
dd if=/dev/urandom of=${{loop}}p3 bs=512 seek=1 count=2 conv=notrunc status=none; sync
losetup --detach $loop
"""


@pytest.fixture(scope="module")
def more(machine: Machine) -> Machine:
    done(machine, MORE)
    return machine


def cat(machine: Machine, options: str, volume: str, file: str = "/home/letter") -> str:
    """What the program says of a file, and its exit status."""
    line = f"cd /tmp; PYTHONPATH=/checkout {PROGRAM} --format raw cat {options} more.img {volume} {file} 2>&1"
    result = machine.run(line, 3000)
    return f"{result.output.strip()} [{result.status}]"


def test_a_key_file_counts_to_its_last_newline(more: Machine) -> None:
    assert cat(more, "--key-file key", "1/luks") == "rescued [0]"


def test_a_detached_header(more: Machine) -> None:
    assert cat(more, "--header apart.hdr --passphrase-file pass", "2/luks") == "rescued [0]"


def test_a_damaged_first_header(more: Machine) -> None:
    assert cat(more, "--passphrase-file pass", "3/luks") == "rescued [0]"


def test_a_wrong_passphrase_leaves_nothing(more: Machine) -> None:
    said = cat(more, "--passphrase-file wrong", "3/luks")
    assert said.endswith("[3]") and "The passphrase does not open partition 3" in said
    assert more.run("dmsetup ls; losetup --list --noheadings").output == "No devices found\n"


TWIN = """
loop=$(disk guest.img 70M 30M 30M)
vgcreate -qq -s 1M many ${loop}p1 ${loop}p2
lvcreate -qq -y -L 10M -i 2 -n root many; mke /dev/many/root; vgchange -qq -an many; losetup --detach $loop
cp guest.img host.img
own=$(losetup --find --show --partscan host.img); udevadm settle
vgchange -qq -ay many; udevadm settle
dmsetup table many-root | tee own.table; lvs --noheadings -o vg_name,lv_name,lv_active many
"""


def test_a_group_of_the_same_name_and_uuids_on_the_host_is_left_alone(machine: Machine) -> None:
    done(machine, TWIN)
    try:
        found = opened(machine, {"guest.img": ["many/root"]})
        assert whole(found["guest.img"]["many/root"]), found
        same = "dmsetup table many-root | cmp - own.table; lvs --noheadings -o lv_active,vg_name many"
        assert done(machine, same).split() == ["active", "many"]
        assert done(machine, "dmsetup ls").split()[0] == "many-root"
    finally:
        machine.run("vgchange -qq -an many; losetup --detach-all")


def test_killed_with_mappings_up_then_undone(machine: Machine) -> None:
    told = machine.run("python3 -m tests.vm.killing 10 --format raw ls /tmp/guest.img many/root", 3000)
    assert told.status == 0, told.output
    found = json.loads(told.output.splitlines()[-1])
    assert found["findings"] == [] and found["hits"] >= 4, found
    left = machine.run("dmsetup ls; losetup --list --noheadings; ls /tmp/state/sessions").output
    assert left == "No devices found\n"
