"""File systems that would hurt the host or write to the disk: rows 30 to 33.

A real panic is in tests/vm/test_hostile.py.
"""

import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.volumes.filesystems import FILE_SYSTEMS
from tests.conftest import Guard, needs_root
from tests.core.tables.table_disks import put, sparse
from tests.hostile.asking import ask
from tests.hostile.signatures import UNMOUNTED
from tests.hostile.volumes import (
    MAKERS,
    MIB,
    by_hand,
    filled,
    inspected,
    made,
    mounted,
    problems,
    refused,
)

pytestmark = needs_root


@pytest.mark.hostile(30)
@pytest.mark.parametrize("content", sorted(UNMOUNTED))
def test_what_is_not_on_the_list_is_not_even_attached(content: str, tmp_path: Path, guard: Guard) -> None:
    """The benign vxfs image of util-linux's tests stops Debian's kernel 6.1."""
    disk = sparse(tmp_path / "disk.raw", 16 * MIB)
    UNMOUNTED[content](disk)
    said = refused(disk, tmp_path / "state", content, guard)
    assert ("could take this host down" in said) == (content != "swap")
    forced = ask(tmp_path / "state", "ls", "--format", "raw", "--fs", content, disk, "disk")
    assert forced.status == 2, forced
    assert f"{content} is no file system that is mounted here" in forced.err


@pytest.mark.hostile(30)
def test_the_list_of_what_is_mounted() -> None:
    assert set(FILE_SYSTEMS) == {
        *("ext2", "ext3", "ext4", "xfs", "btrfs"),
        *("vfat", "exfat", "ntfs"),
        *("iso9660", "udf", "squashfs", "erofs", "f2fs"),
    }


@pytest.mark.hostile(30)
@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_the_type_is_always_named(kind: str, tmp_path: Path, guard: Guard) -> None:
    disk = filled(tmp_path / "disk.raw", kind)
    guard.watch(disk)
    told = ask(tmp_path / "state", "ls", "--explain", "--format", "raw", disk, "disk")
    assert told.status == 0, told
    lines = [line for line in told.err.splitlines() if line.startswith("mount ")]
    assert len(lines) == 1
    assert lines[0].startswith(f"mount --internal-only -t {kind} -o ro,nosuid,nodev,noexec,")


@pytest.mark.hostile(31)
@pytest.mark.parametrize("option", ["-e panic", "-E mount_opts=errors=panic"])
def test_a_superblock_that_wants_a_panic_is_told_and_overruled(
    option: str, tmp_path: Path, guard: Guard
) -> None:
    disk, state = filled(tmp_path / "disk.raw"), tmp_path / "state"
    subprocess.run(["tune2fs", *option.split(), disk], check=True, capture_output=True)
    guard.watch(disk)
    said = problems(inspected(disk, state, "--format", "raw"))
    assert "errors=panic" in said
    with mounted(state, disk, "disk", tmp_path / "m", "--format", "raw") as line:
        options = line.split(" - ")[1].split()[2].split(",")
        assert "errors=panic" not in options
        assert (tmp_path / "m/letter").read_text() == "rescued\n"
    with mounted(state, disk, "disk", tmp_path / "m", "--format", "raw", "--writable") as line:
        options = line.split(" - ")[1].split()[2].split(",")
        assert "errors=panic" not in options
        (tmp_path / "m/new").write_text("in the overlay")


@pytest.mark.hostile(31)
def test_mount_options_in_a_superblock_are_no_way_in(tmp_path: Path, guard: Guard) -> None:
    disk = filled(tmp_path / "disk.raw")
    put(disk, 1024 + 0x200, b"errors=panic,\x1b]0;x\x07".ljust(64, b"x"))
    guard.watch(disk)
    document = inspected(disk, tmp_path / "state", "--format", "raw")
    assert "mount options of its own: errors=panic,\\x1b" in problems(document)
    told = ask(tmp_path / "state", "ls", "--format", "raw", disk, "disk")
    assert told.status in (0, 1), told


def dirty(kind: str, folder: Path) -> Path:
    """A file system with changes that are in its journal only, as a crash leaves it.

    Another program of a busy host may bring them to their places in the midst, by sync(2).
    """
    for _again in range(5):
        image = _dirty(kind, folder)
        if _replayed(image, folder):
            return image
    raise AssertionError("no journal stays dirty on this host")


def _dirty(kind: str, folder: Path) -> Path:
    source, image = made(folder / "source", kind), folder / "dirty"
    with by_hand(source, folder / "by-hand", "rw") as point:
        for number in range(20):
            with open(point / f"file{number}", "wb") as file:
                file.write(b"x" * 5000)
                os.fsync(file.fileno())
        if kind == "xfs":
            subprocess.run(["xfs_io", "-x", "-c", "shutdown -f", point], check=True)
        shutil.copyfile(source, image)
    source.unlink()
    return image


def _replayed(image: Path, folder: Path) -> bool:
    """Whether a plain read-only mount changes the file system: then its journal was dirty."""
    twin = folder / "twin"
    shutil.copyfile(image, twin)
    before = hashlib.sha256(twin.read_bytes()).digest()
    attach: list[str | Path] = ["losetup", "--find", "--show", twin]
    loop = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
    try:
        # mount(8) would make a read-only loop by itself, and then the kernel refuses. Apart from others:
        # their private namespaces would have a copy of the mount where unmounts do not propagate.
        apart = ["unshare", "--mount", "sh", "-c", 'mount -o ro "$1" "$2" && umount "$2"', "sh"]
        subprocess.run([*apart, loop, folder / "by-hand"], check=True)
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)
    changed = hashlib.sha256(twin.read_bytes()).digest() != before
    twin.unlink()
    return changed


@pytest.fixture(scope="module", params=sorted(MAKERS))
def crashed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("dirty")
    return request.param, dirty(request.param, folder)


@pytest.mark.hostile(32)
@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_a_dirty_journal_is_not_replayed(
    crashed: tuple[str, Path], format: str, tmp_path: Path, guard: Guard
) -> None:
    _kind, image = crashed
    disk = tmp_path / f"disk.{format}"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", format, image, disk], check=True)
    guard.watch(disk)
    calls: tuple[tuple[str | Path, ...], ...] = (
        ("copy", "/", tmp_path / "out"),
        ("mount", "--writable", tmp_path / "w"),
    )
    for verb, *more in calls:
        told = ask(tmp_path / "state", verb, "--format", format, disk, "disk", *more)
        assert told.status == 0, told
    assert (tmp_path / "w/file19").stat().st_size == 5000  # replayed in the overlay
    told = ask(tmp_path / "state", "undo", "--all")
    assert told.status == 0, told


@pytest.mark.hostile(32)
def test_the_loop_itself_takes_no_write(tmp_path: Path, guard: Guard) -> None:
    """Not even from root, and not by a mount that somebody else makes of it (row 41: a desktop, for one)."""
    disk = filled(tmp_path / "disk.raw")
    guard.watch(disk)
    with mounted(tmp_path / "state", disk, "disk", tmp_path / "m", "--format", "raw") as line:
        loop = line.split(" - ")[1].split()[1]
        assert Path("/sys/block", os.path.basename(loop), "ro").read_text() == "1\n"
        device = os.open(loop, os.O_RDWR)
        with pytest.raises(PermissionError):
            os.pwrite(device, bytes(4096), 0)
        os.close(device)
        more = ["mount", "-o", "remount,rw", str(tmp_path / "m")]
        assert subprocess.run(more, capture_output=True, check=False).returncode != 0


@pytest.mark.hostile(33)
@pytest.mark.parametrize("way", ["kernel", "daemon", "writable"])
def test_setuid_devices_and_programs_are_dead_in_every_mount(way: str, tmp_path: Path, guard: Guard) -> None:
    disk, options = tmp_path / "disk.raw", ["--format", "raw"]
    if way == "daemon":
        sparse(disk, 16 * MIB)
        subprocess.run(["mkfs.vfat", disk], check=True, capture_output=True)
    else:
        filled(disk)
    guard.watch(disk)
    if way == "writable":
        options.append("--writable")
    with mounted(tmp_path / "state", disk, "disk", tmp_path / "m", *options) as line:
        flags = line.split()[5].split(",")
        assert {"nosuid", "nodev", "noexec"} <= set(flags)
        assert ("ro" in flags) == (way != "writable")
    told = ask(tmp_path / "state", "ls", "--explain", "--format", "raw", disk, "disk")
    mounts = [line for line in told.err.splitlines() if re.search(r"\b(mount|fusefat) .*/dev/loop", line)]
    assert mounts
    assert all("ro,nosuid,nodev,noexec" in line for line in mounts)
    if way == "kernel":
        assert ",nosymfollow," in mounts[0]


@pytest.mark.hostile(33)
def test_a_mount_of_our_own_lies_in_a_folder_for_root_only(tmp_path: Path) -> None:
    disk = filled(tmp_path / "disk.raw")
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from core.runner import SystemRunner\n"
        "from core.session import Session\n"
        "from core.undo.state import StateFolder\n"
        "with Session(StateFolder(Path(sys.argv[1])), SystemRunner()) as session:\n"
        "    session.select(sys.argv[2], 'raw')\n"
        "    tree = session.open('disk')\n"
        "    print(oct(tree.root.parent.stat().st_mode))\n"
        "    print(next(x for x in open('/proc/self/mountinfo') if f' {tree.root} ' in x))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "state", disk], capture_output=True, text=True, check=True
    )
    mode, line = done.stdout.splitlines()[:2]
    assert stat.S_IMODE(int(mode, 8)) == 0o700
    assert {"ro", "nosuid", "nodev", "noexec", "nosymfollow"} <= set(line.split()[5].split(","))
