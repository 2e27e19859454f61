"""The test machine itself: what later tests rely on."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core import __version__

from . import kept
from .build import Image
from .machine import Machine, MachineFailed, warm
from .qemu import Setup

pytestmark = pytest.mark.long(60)

CHECKOUT = Path(__file__).parents[2]
MIB = 1 << 20

MAP_AND_BACK = """
set -eu
cd /tmp
truncate --size 64M disk.img
printf 'label: dos\\nstart=2048, size=65536, type=c\\ntype=83\\n' | sfdisk --quiet disk.img
loop=$(losetup --find --show disk.img)
name=${loop##*/}
kpartx -a -v -s "$loop"
mkfs.vfat "/dev/mapper/${name}p1" >/dev/null
mount -t vfat "/dev/mapper/${name}p1" /mnt
echo rescued >/mnt/file
umount /mnt
kpartx -d -v "$loop"
losetup --detach "$loop"
mount -t vfat -o ro,loop,offset=1048576,sizelimit=33554432 disk.img /mnt
cat /mnt/file
umount /mnt
echo left: $(ls /dev/mapper) $(losetup --list --noheadings --output NAME,BACK-FILE)
"""

NBD_AND_BACK = """
set -eu
modprobe nbd max_part=8
qemu-img create -q -f qcow2 /tmp/disk.qcow2 64M
qemu-nbd --connect /dev/nbd0 --format qcow2 /tmp/disk.qcow2
printf 'label: gpt\\nsize=16M\\ntype=L\\n' | sfdisk --quiet --wipe never /dev/nbd0
udevadm settle
lsblk --noheadings --list --output NAME,SIZE /dev/nbd0
qemu-nbd --disconnect /dev/nbd0
"""


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disk") / "with, comma.img"
    path.write_bytes(bytes(MIB))
    return path


@pytest.fixture(scope="module")
def machine(image: Image, disk: Path) -> Iterator[Machine]:
    with Machine(image, Setup(CHECKOUT, disks={"extra": disk})) as booted:
        yield booted


def test_command_runs_as_root_and_tells_how_it_ended(machine: Machine) -> None:
    result = machine.run("id -un; echo on standard error >&2; exit 7")
    assert result.status == 7
    assert result.output == "root\non standard error\n"


def test_arguments_arrive_as_they_are(machine: Machine) -> None:
    assert machine.run(["printf", "%s\n", "a b", "$HOME", "'"]).output == "a b\n$HOME\n'\n"


def test_command_that_takes_too_long_is_ended_and_the_next_one_runs(machine: Machine) -> None:
    assert machine.run("sleep 60", timeout=0.5).status == 124
    assert machine.run("true").status == 0


def test_kernel_brings_what_the_host_lacks(machine: Machine) -> None:
    modules = "dm_mod dm_flakey dm_snapshot dm_thin_pool nbd vfat exfat xfs btrfs raid456 f2fs udf hfsplus"
    result = machine.run(f"uname -sr && modprobe --all {modules}")
    assert result.status == 0, result.output
    assert result.output.startswith("Linux 6.1.")


def test_core_and_pytest_run_in_it(machine: Machine) -> None:
    result = machine.run("python3 -c 'import core.runner as r, parted, psutil, pytest; print(r.__file__)'")
    assert result.status == 0, result.output
    assert result.output == "/checkout/core/runner.py\n"


def test_checkout_cannot_be_changed_and_scratch_can(machine: Machine) -> None:
    assert machine.run("touch /checkout/core/new").status != 0
    assert not (CHECKOUT / "core/new").exists()
    (machine.scratch / "in").write_text("from the host\n")
    assert machine.run("cat /scratch/in; echo from the guest >/scratch/out").output == "from the host\n"
    assert (machine.scratch / "out").read_text() == "from the guest\n"


def test_given_disk_is_found_by_its_name_and_keeps_what_is_written(machine: Machine, disk: Path) -> None:
    result = machine.run("blockdev --getsize64 /disks/extra && echo kept | dd of=/disks/extra conv=fsync")
    assert result.status == 0, result.output
    assert result.output.startswith(f"{MIB}\n")
    assert disk.read_bytes().startswith(b"kept\n")


def test_temporary_folder_knows_direct_io_and_is_large(machine: Machine) -> None:
    result = machine.run(
        "dd if=/dev/zero of=/tmp/direct bs=4k count=1 oflag=direct && df --output=avail /tmp"
    )
    assert result.status == 0, result.output
    assert int(result.output.split()[-1]) * 1024 > 8 << 30


def test_kpartx_maps_a_partition_and_takes_it_back(machine: Machine) -> None:
    result = machine.run(MAP_AND_BACK)
    assert result.status == 0, result.output
    assert "0 65536 linear 7:0 2048" in result.output
    assert "\nrescued\n" in result.output
    assert result.output.endswith("left: control\n")


def test_nbd_shows_the_partitions_of_a_qcow2(machine: Machine) -> None:
    result = machine.run(NBD_AND_BACK)
    assert result.status == 0, result.output
    assert [line.split() for line in result.output.splitlines()[:3]] == [
        ["nbd0", "64M"],
        ["nbd0p1", "16M"],
        ["nbd0p2", "46M"],
    ]


def test_pulled_plug_is_told(machine: Machine) -> None:
    """The last thing that is done with this machine."""
    with pytest.raises(MachineFailed, match="has ended"):
        machine.run("echo c >/proc/sysrq-trigger; sleep 60")
    assert "Kernel panic" in machine.console()


def test_machine_that_does_not_start_says_why_and_leaves_nothing(
    image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Image(tmp_path / "image")
    broken.folder.mkdir()
    for path in (broken.kernel, broken.early, broken.root, broken.temporary):
        path.write_bytes(b"")
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with (
        pytest.raises(MachineFailed) as failed,
        Machine(broken, Setup(CHECKOUT, accelerator="tcg")),
    ):
        pass
    assert "vmlinux" in failed.value.paragraph()
    assert list(folder.iterdir()) == []


def test_machine_that_goes_on_from_a_saved_one_is_as_one_that_booted(image: Image) -> None:
    setup = Setup(CHECKOUT, udev=False, accelerator="tcg")
    assert kept.serves(setup)
    for _again in range(2):
        with Machine(image, setup) as machine:
            told = machine.run(
                "date +%s; cat /checkout/tests/vm/init.sh | md5sum; ls -A /tmp; echo >/tmp/mine"
            )
            seconds, digest, *found = told.output.split()
            assert abs(int(seconds) - time.time()) < 10
            assert digest == hashlib.md5((CHECKOUT / "tests/vm/init.sh").read_bytes()).hexdigest()
            assert found[1:] == ["lost+found"]
            (machine.scratch / "in").write_text("from the host\n")
            assert machine.run("cat /scratch/in").output == "from the host\n"
            assert machine.run(f"{warm('tui.main')} --version").output == f"virt-salvage {__version__}\n"


def test_a_saved_machine_serves_what_is_made_of_the_same(image: Image, tmp_path: Path) -> None:
    setup = Setup(tmp_path, accelerator="tcg")
    assert not kept.serves(replace(setup, disks={"extra": tmp_path / "disk"}))
    assert not kept.serves(replace(setup, memory=512))
    (tmp_path / "core").mkdir()
    module = tmp_path / "core" / "one.py"
    module.write_text("old = 1\n")
    before = kept.place(image, tmp_path)
    assert kept.place(image, tmp_path) == before
    module.write_text("newer = 1\n")
    assert kept.place(image, tmp_path) != before
