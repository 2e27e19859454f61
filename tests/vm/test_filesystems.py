"""Every row of the table of file systems, mounted by a kernel that has it, copied from, checked, repaired.

And the drives that some of them come in: CD and floppy, with a medium and without.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.volumes.checkers import CHECKERS
from core.volumes.filesystems import FILE_SYSTEMS

from . import usermode
from .build import Image
from .machine import Machine, Result
from .qemu import Setup

pytestmark = pytest.mark.long(100)

CHECKOUT = Path(__file__).parents[2]
PROGRAM = "/checkout/tests/vm/salvage --state-dir /tmp/state"
LEFT = "losetup --list --noheadings; grep -c fuse /proc/mounts; ls /tmp/state/sessions"
NOTHING = "0\n"
TREE = """
mkdir -p tree/folder 'tree/照片 二'; echo rescued >tree/letter; head -c 300000 /dev/urandom >tree/folder/photo
echo one >'tree/照片 二/甲'; echo two >'tree/照片 二/乙'
"""
WRITTEN = {
    "ext2": "truncate -s 32M disk; mke2fs -q -t ext2 disk",
    "ext3": "truncate -s 32M disk; mke2fs -q -t ext3 disk",
    "ext4": "truncate -s 32M disk; mke2fs -q -t ext4 disk",
    "xfs": "truncate -s 320M disk; mkfs.xfs -q disk",
    "btrfs": "truncate -s 128M disk; mkfs.btrfs -q disk >/dev/null",
    "f2fs": "truncate -s 64M disk; mkfs.f2fs -q disk",
    "vfat": "truncate -s 40M disk; mkfs.vfat -F 32 disk >/dev/null",
    "exfat": "truncate -s 40M disk; mkfs.exfat disk >/dev/null",
    "ntfs": "truncate -s 40M disk; mkntfs -q -F disk >/dev/null 2>&1",
    "udf": "truncate -s 40M disk; mkudffs -b 512 disk >/dev/null",
}
"""File systems that are made empty and written to, and how each is made."""
PACKED = {
    "iso9660": "xorriso -as mkisofs -quiet -R -o disk tree 2>/dev/null",
    "squashfs": "mksquashfs tree disk -quiet -no-progress >/dev/null",
    "erofs": "mkfs.erofs disk tree >/dev/null 2>&1",
}
"""Those that are made of a tree."""
MOUNTS = {"ntfs": "LC_ALL=C.UTF-8 ntfs-3g disk m", "vfat": "mount -t vfat -o loop,utf8=1 disk m"}
"""How one is mounted by hand for writing, where it is not ``mount -o loop``."""


@contextmanager
def booted(image: Image, setup: Setup, more: str = "") -> Iterator[Machine]:
    with Machine(image, setup) as one:
        modules = "loop fuse xfs btrfs vfat udf isofs squashfs erofs f2fs nls_utf8 nls_ascii nls_cp437"
        assert one.run(f"modprobe -a {modules} {more}; cd /tmp\n{TREE}").status == 0
        yield one


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """A CD with a letter; None where this host has nothing to make one."""
    folder = tmp_path_factory.mktemp("disc")
    (folder / "tree").mkdir()
    (folder / "tree/letter").write_text("burnt\n")
    make = ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", folder / "disc.iso", folder / "tree"]
    if not shutil.which("xorriso"):
        return None
    subprocess.run(make, check=True, capture_output=True)
    return folder / "disc.iso"


@pytest.fixture(scope="module")
def quick(image: Image) -> Iterator[Machine]:
    with booted(image, Setup(CHECKOUT, udev=False, accelerator=usermode.preferred())) as one:
        yield one


@pytest.fixture(scope="module")
def emulated(image: Image, disc: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """For what the kernel of the quick one does not know, and for drives."""
    floppy = tmp_path_factory.mktemp("floppy") / "floppy.img"
    floppy.write_bytes(bytes(1440 << 10))
    setup = Setup(CHECKOUT, udev=False, discs=(disc, None), floppies=(floppy, None))
    with booted(image, setup, "exfat") as one:
        yield one


@pytest.fixture
def machine(request: pytest.FixtureRequest) -> Machine:
    content = request.node.callspec.params.get("content") if hasattr(request.node, "callspec") else ""
    machine: Machine = request.getfixturevalue("emulated" if content == "exfat" else "quick")
    return machine


def done(machine: Machine, line: str) -> Result:
    """A preparation that must go well."""
    result = machine.run(f"set -e; cd /tmp; {line}", 120)
    assert result.status == 0, result.output
    return result


def made(machine: Machine, content: str) -> None:
    """A file system of that kind with the tree in it, at /tmp/disk."""
    if content in PACKED:
        done(machine, f"rm -f disk; {PACKED[content]}; md5sum disk >sum")
        return
    mount = MOUNTS.get(content, f"mount -t {content} -o loop disk m")
    fill = f"mkdir -p m; {mount}; cp -r tree/. m/; umount m; sync"
    done(machine, f"rm -f disk; {WRITTEN[content]}; {fill}; losetup -l -n; md5sum disk >sum")


def test_every_row_is_tried() -> None:
    assert set(WRITTEN) | set(PACKED) == set(FILE_SYSTEMS)


@pytest.mark.parametrize("content", sorted(FILE_SYSTEMS))
def test_files_come_out_of_it_and_it_stays_as_it_is(content: str, machine: Machine) -> None:
    made(machine, content)
    told = machine.run(f"{PROGRAM} copy --explain --format raw /tmp/disk disk / /tmp/out 2>&1", 120)
    assert told.status in (0, 4), told.output
    kind = "ntfs-3g -o no_detach" if content == "ntfs" else f"-t {FILE_SYSTEMS[content].type} -o ro,"
    assert kind in told.output
    assert "was not unmounted" not in told.output
    same = "diff -r tree out -x 'salvage-*' -x SHA256SUMS -x lost+found; md5sum -c --quiet sum; rm -r out"
    assert machine.run(f"cd /tmp; {same}; {LEFT}").output == NOTHING


def test_names_that_only_a_cd_for_windows_has_come_out(quick: Machine) -> None:
    """The kernel of this machine reads them, as those on FAT, in Latin-1 unless told."""
    done(quick, "rm -f disk; xorriso -rockridge off -joliet on -outdev disk -map tree / -commit 2>/dev/null")
    told = quick.run(f"{PROGRAM} copy --format raw /tmp/disk disk / /tmp/out 2>&1", 120)
    assert told.status == 0, told.output
    same = "diff -r tree out -x 'salvage-*' -x SHA256SUMS; rm -r out"
    assert quick.run(f"cd /tmp; {same}; {LEFT}").output == NOTHING


@pytest.mark.parametrize("content", sorted(CHECKERS))
def test_it_is_checked_and_found_sound(content: str, machine: Machine) -> None:
    made(machine, content)
    told = machine.run(f"{PROGRAM} check --json --format raw /tmp/disk disk 2>/dev/null", 120)
    assert told.status == 0, told.output
    assert json.loads(told.output)["verdict"] == "sound"
    assert machine.run(f"cd /tmp; md5sum -c --quiet sum; {LEFT}").output == NOTHING


def test_what_f2fs_was_told_to_keep_is_carried_on_in_an_overlay(machine: Machine) -> None:
    """As after a crash: the image is what had reached the medium while it was mounted and written to."""
    made(machine, "f2fs")
    write = "echo saved >m/after; sync m/after; cp --sparse=always disk dirty"
    done(machine, f"mount -t f2fs -o loop disk m; {write}; umount m; mv dirty disk; md5sum disk >sum")
    told = machine.run(f"{PROGRAM} check --json --replay --format raw /tmp/disk disk 2>/dev/null", 120)
    assert told.status == 0, told.output
    document = json.loads(told.output)
    assert document["verdict"] == "pending"
    assert [one["path"].lstrip("/") for one in document["differences"]["first"]] == ["after"]
    shown = machine.run(f"{PROGRAM} cat --replay --format raw /tmp/disk disk /after", 120)
    assert shown.output == "saved\n"
    assert machine.run(f"cd /tmp; md5sum -c --quiet sum; {LEFT}").output == NOTHING


def test_a_damaged_fat_is_repaired_in_an_overlay(machine: Machine) -> None:
    made(machine, "vfat")
    # the second copy of the table begins after the reserved sectors and the first
    shell = "r=$(od -An -tu2 -j14 -N2 disk); f=$(od -An -tu4 -j36 -N4 disk); at=$(((r + f) * 512 + 8))"
    done(machine, f"{shell}; printf x | dd of=disk bs=1 seek=$at conv=notrunc status=none; md5sum disk >sum")
    told = machine.run(f"{PROGRAM} check --json --repair --format raw /tmp/disk disk 2>/dev/null", 120)
    assert told.status == 0, told.output
    document = json.loads(told.output)
    assert (document["verdict"], document["after"]["verdict"]) == ("damaged", "sound")
    assert document["differences"]["compared"]
    assert machine.run(f"cd /tmp; md5sum -c --quiet sum; {LEFT}").output == NOTHING


def test_what_no_program_mounts_says_how_it_is_repaired(quick: Machine) -> None:
    made(quick, "ntfs")
    # the copy of the first records, of which the boot sector says the cluster
    zeroed = "dd if=/dev/zero of=disk bs=4096 count=1 seek=$((at)) conv=notrunc status=none"
    done(quick, f"at=$(od -An -tu8 -j56 -N8 disk); {zeroed}; md5sum disk >sum")
    told = quick.run(f"{PROGRAM} ls --format raw /tmp/disk disk 2>&1", 120)
    assert told.status == 1, told.output
    assert "ntfs-3g could not start" in told.output and "with --repair" in told.output
    checked = quick.run(f"{PROGRAM} check --repair --format raw /tmp/disk disk 2>&1", 120)
    assert "What the repair threw away is not known then" in checked.output
    repaired = quick.run(f"{PROGRAM} cat --repair --format raw /tmp/disk disk /letter 2>/dev/null", 120)
    assert (repaired.status, repaired.output) == (0, "rescued\n")
    assert quick.run(f"cd /tmp; md5sum -c --quiet sum; {LEFT}").output == NOTHING


CDS = "modprobe -a ahci sr_mod; until test -b /dev/sr1; do sleep 0.1; done; udevadm settle"
FLOPPIES = "modprobe floppy; until test -b /dev/fd1; do sleep 0.1; done; udevadm settle"
FORMATTED = "mkfs.vfat /dev/fd0 >/dev/null; mkdir -p m; mount /dev/fd0 m; cp tree/letter m; umount m"


def test_a_cd_is_read_in_its_drive(emulated: Machine, disc: Path | None) -> None:
    if disc is None:
        pytest.skip("xorriso, which makes the CD, is not installed")
    done(emulated, CDS)
    told = emulated.run(f"{PROGRAM} inspect --json /dev/sr0", 600)
    assert told.status == 0, told.output
    (volume,) = json.loads(told.output)["volumes"]
    assert (volume["id"], volume["content"], volume["problems"]) == ("disk", "iso9660", [])
    copied = emulated.run(f"{PROGRAM} copy /dev/sr0 disk / /tmp/out", 600)
    assert copied.status == 0, copied.output
    assert emulated.run(f"cat /tmp/out/letter; rm -r /tmp/out; {LEFT}").output == f"burnt\n{NOTHING}"


def test_a_floppy_is_read_in_its_drive(emulated: Machine) -> None:
    # as after a start of the host: nobody asked yet what lies in the drive
    done(emulated, f"{FLOPPIES}; {FORMATTED}; modprobe -r floppy; {FLOPPIES}")
    copied = emulated.run(f"{PROGRAM} copy /dev/fd0 disk /letter /tmp/out", 600)
    assert copied.status == 0, copied.output
    assert emulated.run(f"cat /tmp/out/letter; rm -r /tmp/out; {LEFT}").output == f"rescued\n{NOTHING}"


@pytest.mark.parametrize(
    ("prepare", "drive"), [(CDS, "/dev/sr1"), (FLOPPIES, "/dev/fd1")], ids=["CD", "floppy"]
)
def test_an_empty_drive_is_a_sentence(prepare: str, drive: str, emulated: Machine) -> None:
    done(emulated, prepare)
    told = emulated.run(f"{PROGRAM} inspect {drive} 2>&1", 600)
    assert (told.status, emulated.run(LEFT).output) == (1, NOTHING)
    assert f"There is no medium in the drive {drive}." in told.output
    assert "failing" not in told.output
