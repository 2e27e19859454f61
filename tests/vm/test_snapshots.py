"""Backups of the host's logical volumes by a snapshot, in the test machine, which is the host then."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import usermode
from .build import Image
from .machine import Machine
from .qemu import Setup

pytestmark = pytest.mark.long(60)

CHECKOUT = Path(__file__).parents[2]

START = """
set -e
modprobe -a dm-mod loop dm-snapshot dm-thin-pool
group() {  # NAME SIZE: each on a file of its own, so that none takes another's room
    truncate -s $2 /tmp/$1.pv
    vgcreate -qq -s 1M $1 $(losetup --find --show /tmp/$1.pv)
}
group v-g 220M; group tight 88M; group little 65M
lvcreate -qq -y -Wn -Zn -L 64M -n web-01 v-g
lvcreate -qq -y -Wn -Zn -L 64M -n web tight
lvcreate -qq -y -Wn -Zn -L 63M -n web little
lvcreate -qq -y -L 70M -T v-g/pool; lvcreate -qq -y -V 48M -T v-g/pool -n thin
for one in v-g/web-01 v-g/thin tight/web; do
    seq 99999999 | dd of=/dev/$one bs=1M count=45 iflag=fullblock oflag=direct status=none
done
cat > /usr/local/bin/salvage <<'END'
#!/bin/sh
exec /checkout/tests/vm/salvage --state-dir /tmp/state "$@"
END
cat > /usr/local/bin/found <<'END'
#!/bin/sh
# All that LVM and the device mapper have, but for the count of LVM's changes and what is in use
vgs --noheadings -o vg_name,vg_uuid,vg_size,vg_free,lv_count,snap_count,vg_tags
lvs --noheadings -a -o vg_name,lv_name,lv_uuid,lv_size,lv_layout,lv_role,origin,lv_tags,lv_permissions
dmsetup ls | sort; dmsetup table | sort; ls -l /dev/mapper /dev/v-g | awk '{print $NF}'
pgrep -x dmeventd | wc -l; ls /tmp/state/sessions 2>/dev/null
END
cat > /usr/local/bin/writer <<'END'
#!/usr/bin/python3
# DEVICE [bulk]: writes a count to its first block and then to its last; with `bulk` everything between
import mmap, os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
size, block, count = os.lseek(fd, 0, os.SEEK_END), mmap.mmap(-1, 1 << 20), 0
print("ready", flush=True)
while True:
    count += 1
    block[:8] = count.to_bytes(8, "big")
    os.pwrite(fd, memoryview(block)[:4096], 0)
    os.pwrite(fd, memoryview(block)[:4096], size - 4096)
    if sys.argv[2:]:
        os.pwrite(fd, block, (1 << 20) + count * (1 << 20) % (size - (2 << 20)))
    else:
        time.sleep(0.005)
END
chmod +x /usr/local/bin/salvage /usr/local/bin/found /usr/local/bin/writer
mkdir -p /tmp/state/sessions
"""


@pytest.fixture(scope="module")
def booted(image: Image) -> Iterator[tuple[Machine, str]]:
    """The machine, and all that it has before the first test."""
    with Machine(image, Setup(CHECKOUT, accelerator=usermode.preferred())) as machine:
        done(machine, START)
        yield machine, machine.run("found").output


@pytest.fixture
def machine(booted: tuple[Machine, str]) -> Iterator[Machine]:
    """The machine, whose volumes, mappings, daemons and sessions must end as they were found."""
    machine, before = booted
    machine.run("mkdir -p /tmp/out")
    yield machine
    assert machine.run("rm -rf /tmp/out; found").output == before


def done(machine: Machine, script: str, status: int = 0) -> str:
    """What a script says that must end with that status."""
    result = machine.run(script, 300)
    assert result.status == status, result.output
    return result.output


WRITTEN = """
writer /dev/{volume} {how} > /tmp/ready & writer=$!
until grep -q ready /tmp/ready; do sleep 0.1; done
salvage backup {options} /dev/{volume} /tmp/out/ 2>&1; status=$?
kill $writer; wait $writer 2>/dev/null; rm /tmp/ready
exit $status
"""
ENDS = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
size = os.lseek(fd, 0, os.SEEK_END)
first, last = (int.from_bytes(os.pread(fd, 8, at), "big") for at in (0, size - 4096))
print(first - last, first > 0)
"""


@pytest.mark.parametrize("volume", ["v-g/web-01", "v-g/thin"])
def test_a_volume_is_copied_as_it_is_at_one_moment_while_it_is_written(machine: Machine, volume: str) -> None:
    said = done(machine, WRITTEN.format(volume=volume, how="", options="--lvm-snapshot"))
    assert "there is a snapshot of " + volume in said and "crash-consistent" in said
    assert "Host as found" in said
    name = volume.partition("/")[2]
    # the count goes to the first block first: whoever reads both at one moment finds it ahead by one at most
    assert done(machine, f"python3 -c '{ENDS}' /tmp/out/{name}").split() in (["0", "True"], ["1", "True"])
    done(machine, f"cd /tmp/out && sha256sum --quiet -c {name}.sha256 && ls -A | wc -l | grep -qx 2")


def test_without_being_asked_it_is_refused(machine: Machine) -> None:
    said = done(machine, WRITTEN.format(volume="v-g/web-01", how="", options="--explain"), 3)
    assert "is writing to this disk" in said
    assert "virt-salvage backup --lvm-snapshot /dev/v-g/web-01 DEST" in said


@pytest.mark.parametrize("volume", ["v-g/web-01", "v-g/thin"])
def test_the_original_stays_as_it_was(machine: Machine, volume: str) -> None:
    name = volume.partition("/")[2]
    said = done(
        machine,
        f"""
        md5sum < /dev/{volume} > /tmp/before
        salvage --json backup --lvm-snapshot /dev/{volume} /tmp/out/ 2>/dev/null || exit 1
        md5sum < /dev/{volume} | cmp - /tmp/before && cmp /dev/{volume} /tmp/out/{name}
        """,
    )
    told = json.loads(said)
    assert (told["files"], told["unreadable"], told["paths"]) == (1, [], [f"/tmp/out/{name}"])


def test_a_snapshot_that_overflows_ends_the_backup(machine: Machine) -> None:
    said = done(machine, WRITTEN.format(volume="tight/web", how="bulk", options="--lvm-snapshot"), 1)
    assert "If more is written, the backup fails" in said
    assert "More was written to tight/web than its snapshot had room for" in said
    assert done(machine, "ls -A /tmp/out") == ""


def test_without_room_in_the_group_nothing_is_begun(machine: Machine) -> None:
    said = done(machine, "salvage backup --lvm-snapshot /dev/little/web /tmp/out/ 2>&1", 1)
    assert "A snapshot of little/web needs" in said and "Nothing was changed" in said


BEGUN = """
WORKER=/tmp/worker salvage backup --lvm-snapshot /dev/{volume} /tmp/out/ >/tmp/said 2>&1 & backup=$!
until ls -A /tmp/out | grep -q part$; do kill -0 $backup || break; sleep 0.02; done
worker=$(cat /tmp/worker)
"""
KILLED = (
    "lvcreate -qq -y -s -L 8M -n virt-salvage-mine v-g/web-01 || exit 9"
    + BEGUN
    + """
kill -9 $worker; wait $backup 2>/dev/null
lvs --noheadings -o lv_name,lv_tags v-g; echo --
salvage --json status; echo --
salvage undo --all 2>&1; status=$?
lvs --noheadings -o lv_name,lv_tags v-g
lvremove -qq -y v-g/virt-salvage-mine
exit $status
"""
)


@pytest.mark.parametrize("volume", ["v-g/web-01"])
def test_killed_in_the_midst_undo_removes_ours_and_no_other(machine: Machine, volume: str) -> None:
    up, status, after = done(machine, KILLED.format(volume=volume)).split("--\n")
    [session] = json.loads(status)["sessions"]
    [entry] = session["entries"]
    assert (entry["what"], entry["state"], session["alive"]) == ("lv", "held", False)
    tag = f"virt-salvage-{session['id']}-1"
    assert entry["target"] == f"/dev/v-g/{tag}" and up.count(tag) == 2
    assert "lv_uuid" in entry["undo"] and tag in entry["undo"]
    assert f"{entry['target']}: taken down." in after
    assert "Others meanwhile" not in after
    assert tag not in after.split("taken down.")[1] and "virt-salvage-mine" in after


def test_what_somebody_took_over_is_left_alone(machine: Machine) -> None:
    said = done(
        machine,
        BEGUN.format(volume="v-g/web-01")
        + """
        kill -9 $worker; wait $backup 2>/dev/null
        name=$(lvs --noheadings -o lv_name v-g | grep -o 'virt-salvage-2.*[0-9]')
        lvchange -qq --deltag $name v-g/$name
        salvage undo --all 2>&1
        lvs --noheadings -o lv_name v-g | grep virt-salvage; lvremove -qq -y v-g/$name
        """,
    )
    assert "was left alone" in said and said.strip().splitlines()[-1].strip().startswith("virt-salvage-2")


def test_stopped_by_a_signal_it_is_gone_at_once(machine: Machine) -> None:
    said = done(
        machine,
        BEGUN.format(volume="v-g/web-01")
        + "kill -INT $worker; wait $backup; status=$?; cat /tmp/said; exit $status",
        130,
    )
    assert "another run would copy another moment" in said
    assert done(machine, "ls -A /tmp/out") == ""


@pytest.mark.parametrize("volume", ["v-g/web-01", "v-g/thin"])
def test_by_hand_it_is_the_same(machine: Machine, volume: str) -> None:
    name = volume.partition("/")[2]
    plan = f"salvage backup --lvm-snapshot /dev/{volume} /tmp/out/{name} --dry-run --as-script 2>/dev/null"
    script = done(
        machine,
        f"""
        {plan} > /tmp/script || exit 1
        cat /tmp/script; bash /tmp/script >/tmp/said 2>&1 || {{ cat /tmp/said; exit 1; }}
        cmp /dev/{volume} /tmp/out/{name}
        """,
    )
    assert "lvcreate --yes --snapshot --permission r" in script and "later lvremove --yes --select" in script
