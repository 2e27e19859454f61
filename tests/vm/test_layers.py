"""LVM, LUKS and md over real partitions, in the test machine, which is the host then.

The disks are made by the programs that make them everywhere, and opened by this program alone.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import usermode
from .build import Image
from .machine import Machine, warm
from .opening import LEFT
from .qemu import Setup

pytestmark = pytest.mark.long(170)

CHECKOUT = Path(__file__).parents[2]
PROGRAM = "/checkout/tests/vm/salvage --state-dir /tmp/state"
PASSPHRASE = "open sesame"

START = """
set -e
modprobe -a dm-mod loop dm-crypt dm-raid dm-cache dm-cache-smq dm-writecache
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
def machine(image: Image) -> Iterator[Machine]:
    with Machine(image, Setup(CHECKOUT, udev=False, accelerator=usermode.preferred())) as booted:
        done(booted, START + LVM + LUKS + MD + MORE)
        booted.start_udev()
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
    arguments = "/tmp/state /tmp/tree/home/long" + (f" '{passphrase}'" if passphrase else "")
    before = machine.run(LEFT).output
    script = f"""
    cd /tmp; md5sum {names} >sums; {times} {names} >times
    cd /checkout; echo '{asked}' | {warm("tests.vm.opening")} {arguments} 2>/tmp/said || exit 1
    cd /tmp; md5sum --quiet -c sums; {times} {names} | cmp - times
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
lvcreate -qq -y -s -L 4M -n raidsnap many/raid5
for name in snap raidsnap; do mount /dev/many/$name /mnt; echo changed > /mnt/home/letter; umount /mnt; done
lvcreate -qq -y -L 16M -T many/pool; lvcreate -qq -y -V 32M -T many/pool -n thin; mke /dev/many/thin
lvcreate -qq -y -s -n thinsnap many/thin -kn -ay
mount /dev/many/thinsnap /mnt; echo changed > /mnt/home/letter; umount /mnt
$make -L 8M -n given many; mke /dev/many/given; lvchange -qq -an many/given
lvconvert -qq -y --type thin --thinpool many/pool --originname outside many/given
while lvs --noheadings -o copy_percent many | grep -q '[0-9]' &&
      lvs --noheadings -o copy_percent many | grep '[0-9]' | grep -qv 100.00; do sleep 1; done
for name in through back one late; do $make -L 8M -n $name many; mke /dev/many/$name; done
for name in through back; do
    lvcreate -qq -y --type cache-pool -L 8M -n quick$name many
    lvconvert -qq -y --type cache --cachepool many/quick$name --cachemode write$name many/$name
done
$make -L 16M -n quickone many
lvconvert -qq -y --type cache --cachevol many/quickone --cachemode writeback many/one
$make -L 8M -n quicklate many; lvchange -qq -an many/quicklate many/late
lvconvert -qq -y --type writecache --cachevol many/quicklate many/late
lvchange -qq -ay many/late many/given
for name in given through back one late; do
    mount /dev/many/$name /mnt; echo changed > /mnt/home/letter; sync; umount /mnt
done
vgchange -qq -an many
losetup --detach $loop
"""
VOLUMES = (
    *("plain", "striped", "grown", "mirror", "raid1", "raid5", "raid6", "raid10"),
    *("origin", "thin", "outside"),
)
CHANGED = ("snap", "thinsnap", "raidsnap", "given", "through")
LATE = {"back": "--replay", "one": "", "late": "--repair"}
"""Their cache has what they have not: a pool, a single volume, and one for writes only; how to check them."""


@pytest.fixture(scope="module")
def logical(machine: Machine) -> dict[str, dict[str, Any]]:
    names = [f"many/{name}" for name in (*VOLUMES, *CHANGED)]
    return opened(machine, {"lvm.img": names})["lvm.img"]


@pytest.mark.parametrize("name", VOLUMES)
def test_a_logical_volume_of_every_kind_is_read(logical: dict[str, dict[str, Any]], name: str) -> None:
    assert whole(logical[f"many/{name}"]), logical[f"many/{name}"]


@pytest.mark.parametrize("name", CHANGED)
def test_what_was_changed_in_a_snapshot_over_another_volume_or_through_a_cache_is_seen(
    logical: dict[str, dict[str, Any]], name: str
) -> None:
    assert logical[f"many/{name}"]["letter"] == "changed", logical[f"many/{name}"]
    assert logical[f"many/{name}"]["whole"]


@pytest.mark.parametrize("name", LATE)
def test_what_only_a_cache_has_is_read_over_an_overlay(machine: Machine, name: str) -> None:
    machine.run("cd /tmp; md5sum lvm.img >late.sum")
    told = cat(machine, "", f"many/{name}", disk="lvm.img")
    assert told.endswith("[3]") and "--replay" in told
    assert cat(machine, "--replay", f"many/{name}", disk="lvm.img") == "changed [0]"
    line = f"cd /tmp; PYTHONPATH=/checkout {PROGRAM} --format raw check lvm.img many/{name} {LATE[name]}"
    checked = machine.run(f"{line} 2>&1", 3000)
    assert checked.status == (0 if LATE[name] else 3), checked.output
    sound = ("It is not looked at as it lies.", "e2fsck found nothing wrong.", "not compared")
    for said in sound if LATE[name] else ("give --replay",):
        assert said in checked.output, checked.output
    left = machine.run("cd /tmp; md5sum --quiet -c late.sum; dmsetup ls; ls /tmp/state/sessions").output
    assert left == "No devices found\n"


def test_only_what_has_to_be_put_together_uses_the_device_mapper(logical: dict[str, dict[str, Any]]) -> None:
    assert logical["many/plain"]["up"] == logical["many/mirror"]["up"] == ["file", "loop", "mount"]
    assert "lv" in logical["many/raid10"]["up"]
    assert {"nbd", "fuse-export", "lv"} < set(logical["many/raidsnap"]["up"])
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
    return opened(machine, {"luks.img": list(ENCRYPTED)}, PASSPHRASE)["luks.img"]


@pytest.mark.parametrize("name", ENCRYPTED)
def test_an_encrypted_volume_is_read(encrypted: dict[str, dict[str, Any]], name: str) -> None:
    assert whole(encrypted[name]), encrypted[name]
    assert "luks" in encrypted[name]["up"]


MD = """
modprobe -a raid0 raid10
echo 'DEVICE /dev/null' > /etc/mdadm/mdadm.conf
make() {  # NAME LEVEL COUNT: an array over the first partitions of a disk of its own
    loop=$(disk $1.img 70M 12M 12M 12M 12M)
    mdadm --create /dev/md20 --run --quiet --homehost=host --name=$1 --level=$2 --chunk=64 \
        --raid-devices=$3 $(for n in $(seq $3); do echo ${loop}p$n; done)
    mke /dev/md20; mdadm --wait /dev/md20 || true
    if [ $1 = less ]; then mdadm --quiet /dev/md20 --fail ${loop}p2; fi
    mdadm --stop --quiet /dev/md20; losetup --detach $loop
}
make zero 0 3
make ten 10 4
make less 5 4
"""


@pytest.fixture(scope="module")
def arrays(machine: Machine) -> dict[str, dict[str, Any]]:
    found = opened(machine, {f"{name}.img": [f"md:{name}"] for name in ("zero", "ten", "less")})
    assert machine.run("grep ^md /proc/mdstat").output == ""
    return found


@pytest.mark.parametrize(("name", "by"), [("zero", "md"), ("ten", "md"), ("less", "nbd")])
def test_an_array_is_put_together_where_there_is_a_device_mapper(
    arrays: dict[str, dict[str, Any]], name: str, by: str
) -> None:
    """Every level and layout is read in `test_arrays`."""
    found = arrays[f"{name}.img"][f"md:{name}"]
    assert whole(found), found
    assert by in found["up"]


MORE = f"""
loop=$(disk more.img 180M 40M 40M 40M 40M)
fast="--batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000"
printf 'key\\nwith newlines\\n' > key; printf '{PASSPHRASE}' > pass; printf 'wrong' > wrong
cryptsetup luksFormat $fast --type luks2 --key-file key ${{loop}}p1
cryptsetup open --key-file key ${{loop}}p1 one; mke /dev/mapper/one; cryptsetup close one
cryptsetup luksFormat $fast --type luks2 --header apart.hdr --key-file pass ${{loop}}p2
cryptsetup open --header apart.hdr --key-file pass ${{loop}}p2 one; mke /dev/mapper/one; cryptsetup close one
cryptsetup luksFormat $fast --type luks2 --key-file pass ${{loop}}p3
cryptsetup open --key-file pass ${{loop}}p3 one; mke /dev/mapper/one; cryptsetup close one
modprobe -a dm_integrity authenc
cryptsetup luksFormat $fast --type luks2 --integrity hmac-sha256 --key-file pass ${{loop}}p4
cryptsetup open --key-file pass ${{loop}}p4 one; mke /dev/mapper/one; cryptsetup close one
dd if=/dev/urandom of=${{loop}}p3 bs=512 seek=1 count=2 conv=notrunc status=none; sync
losetup --detach $loop
"""


def cat(
    machine: Machine, options: str, volume: str, file: str = "/home/letter", disk: str = "more.img"
) -> str:
    """What the program says of a file, and its exit status."""
    line = f"cd /tmp; PYTHONPATH=/checkout {PROGRAM} --format raw cat {options} {disk} {volume} {file} 2>&1"
    result = machine.run(line, 3000)
    return f"{result.output.strip()} [{result.status}]"


def test_a_key_file_counts_to_its_last_newline(machine: Machine) -> None:
    assert cat(machine, "--key-file key", "1/luks") == "rescued [0]"


def test_a_detached_header(machine: Machine) -> None:
    assert cat(machine, "--header apart.hdr --passphrase-file pass", "2/luks") == "rescued [0]"


def test_a_damaged_first_header(machine: Machine) -> None:
    assert cat(machine, "--passphrase-file pass", "3/luks") == "rescued [0]"


def test_data_with_checksums(machine: Machine) -> None:
    assert cat(machine, "--passphrase-file pass", "4/luks") == "rescued [0]"
    assert cat(machine, "--passphrase-file pass --replay", "4/luks") == "rescued [0]"


def test_a_wrong_passphrase_leaves_nothing(machine: Machine) -> None:
    said = cat(machine, "--passphrase-file wrong", "3/luks")
    assert said.endswith("[3]") and "The passphrase does not open partition 3" in said
    assert machine.run("dmsetup ls; losetup --list --noheadings").output == "No devices found\n"


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
    told = machine.run(f"{warm('tests.vm.killing')} 20 --format raw ls /tmp/guest.img many/root", 3000)
    assert told.status == 0, told.output
    found = json.loads(told.output.splitlines()[-1])
    assert found["findings"] == [] and found["hits"] >= 2, found
    left = machine.run("dmsetup ls; losetup --list --noheadings; ls /tmp/state/sessions").output
    assert left == "No devices found\n"
