"""Two signatures, twins, members of groups, and what is longer than its place: rows 38 to 41c.

What only another kernel shows is in tests/vm/test_hostile.py.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import Refused
from core.tables.model import PartitionTable
from core.volumes import kpartx, twins
from core.volumes.model import Volume
from tests.conftest import Guard, needs_root
from tests.core.tables.table_disks import get, put, sparse
from tests.hostile.asking import ask
from tests.hostile.signatures import lvm, md
from tests.hostile.volumes import (
    MAKERS,
    MIB,
    OFFSET,
    SIZES,
    by_hand,
    filled,
    in_partition,
    inspected,
    made,
    mounted,
    problems,
)

pytestmark = needs_root


@pytest.mark.hostile(38)
def test_of_two_signatures_the_operator_chooses(tmp_path: Path, guard: Guard) -> None:
    """A btrfs that was made over an ext4, or the other way round: nobody can know."""
    system = filled(tmp_path / "fs")
    disk, state = in_partition(tmp_path / "disk.raw", system), tmp_path / "state"
    put(disk, OFFSET + (64 << 10) + 64, b"_BHRfS_M")
    guard.watch(disk)
    document = inspected(disk, state)
    volume = document["volumes"][0]
    assert (volume["content"], volume["candidates"]) == (None, ["ext4", "btrfs"])
    assert "several file systems: ext4, btrfs" in problems(document)
    told = ask(state, "ls", disk, "1")
    assert told.status == 3, told
    assert "signatures of several file systems: ext4, btrfs" in told.err
    assert "`--fs ext4`" in told.err
    shown = ask(state, "cat", "--fs", "ext4", disk, "1", "/letter")
    assert (shown.status, shown.out) == (0, "rescued\n"), shown
    other = ask(state, "ls", "--fs", "btrfs", disk, "1")
    assert other.status == 1, other
    assert "could not be mounted as btrfs" in other.err
    wrong = ask(state, "ls", "--fs", "xfs", disk, "1")
    assert wrong.status == 2, wrong
    assert "no signature of xfs, but of ext4, btrfs" in wrong.err
    planned = ask(state, "ls", "--fs", "ext4", "--dry-run", disk, "1")
    assert planned.status == 0, planned
    assert "-t ext4" in planned.out


@pytest.mark.hostile(38)
def test_a_file_system_that_nobody_recognises_can_be_named(tmp_path: Path, guard: Guard) -> None:
    disk = sparse(tmp_path / "disk.raw", 16 * MIB)
    guard.watch(disk)
    told = ask(tmp_path / "state", "ls", "--format", "raw", "--fs", "ext4", disk, "disk")
    assert told.status == 1, told
    assert "could not be mounted as ext4" in told.err


@pytest.mark.hostile(39)
@pytest.mark.parametrize("writable", [False, True])
def test_two_clones_of_an_xfs_are_open_at_a_time(writable: bool, tmp_path: Path, guard: Guard) -> None:
    one, two, state = made(tmp_path / "one.raw", "xfs"), tmp_path / "two.raw", tmp_path / "state"
    shutil.copyfile(one, two)
    with by_hand(two, tmp_path / "by-hand", "rw") as point:
        (point / "only-in-two").write_text("x")
    guard.watch(one, two)
    more = ["--writable"] if writable else []
    with mounted(state, one, "disk", tmp_path / "m", "--format", "raw", *more):
        told = ask(state, "ls", "--format", "raw", two, "disk")
        assert told.status == 0, told
        assert "only-in-two" in told.out
        assert list((tmp_path / "m").iterdir()) == []


@pytest.mark.hostile(39)
def test_the_twin_of_a_mounted_btrfs_shows_its_own_files_or_nothing(tmp_path: Path, guard: Guard) -> None:
    one, two, state = made(tmp_path / "one.raw", "btrfs"), tmp_path / "two.raw", tmp_path / "state"
    shutil.copyfile(one, two)
    with by_hand(two, tmp_path / "by-hand", "rw") as point:
        (point / "only-in-two").write_text("x")
    guard.watch(one, two)
    with mounted(state, one, "disk", tmp_path / "m", "--format", "raw"):
        told = ask(state, "ls", "--format", "raw", two, "disk")
        if Path("/sys/fs/btrfs/features/temp_fsid").exists():
            assert told.status == 0, told
            assert "only-in-two" in told.out
        else:
            assert told.status == 3, told
            assert "A btrfs with the same UUID is mounted on this host already" in told.err


@pytest.mark.hostile(39)
def test_a_kernel_that_cannot_tell_btrfs_twins_apart(
    tmp_path: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As before Linux 6.7; seen for real in tests/vm."""
    disk = made(tmp_path / "disk.raw", "btrfs")
    guard.watch(disk)
    uuid = inspected(disk, tmp_path / "state", "--format", "raw")["volumes"][0]["uuid"]
    (tmp_path / "sys" / uuid / "devices" / "sda2").mkdir(parents=True)
    monkeypatch.setattr(twins, "BTRFS", tmp_path / "sys")
    told = ask(tmp_path / "state", "ls", "--format", "raw", disk, "disk")
    assert told.status == 3, told
    assert "mounted on this host already, from sda2" in told.err


@pytest.mark.hostile(39)
def test_a_btrfs_that_the_kernel_put_together_with_other_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsid = "7ceeb44b-ecaa-4c11-b86b-004351561548"
    for device in ("loop7", "sda2"):
        (tmp_path / fsid / "devices" / device).mkdir(parents=True)
    monkeypatch.setattr(twins, "BTRFS", tmp_path)
    volume = Volume("1", "partition", 0, 1, "btrfs", None, fsid, members=2)
    with pytest.raises(Refused, match="other devices of this host"):
        twins.refuse_other_btrfs(volume, "/dev/loop7")
    (tmp_path / fsid / "devices" / "sda2").rmdir()
    twins.refuse_other_btrfs(volume, "/dev/loop7")
    with pytest.raises(Refused, match="other devices of this host"):
        twins.refuse_other_btrfs(volume, "/dev/loop8")


def _pair(folder: Path, *options: str) -> list[Path]:
    """Both disks of a btrfs on two."""
    disks = [sparse(folder / f"disk{number}.raw", 128 * MIB) for number in (1, 2)]
    loops = []
    try:
        for disk in disks:
            attach: list[str | Path] = ["losetup", "--find", "--show", disk]
            loops.append(subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip())
        subprocess.run(["mkfs.btrfs", "-q", "-f", *options, *loops], check=True, capture_output=True)
        (folder / "by-hand").mkdir()
        mount: list[str | Path] = [
            "mount",
            "-t",
            "btrfs",
            "-o",
            f"device={loops[1]}",
            loops[0],
            folder / "by-hand",
        ]
        subprocess.run(mount, check=True)
        (folder / "by-hand" / "letter").write_text("rescued\n")
        subprocess.run(["umount", folder / "by-hand"], check=True)
    finally:
        for loop in loops:
            subprocess.run(["losetup", "--detach", loop], check=True)
    return disks


@pytest.mark.hostile(39)
@pytest.mark.parametrize("profile", ["raid1", "raid0"])
def test_one_disk_of_a_btrfs_on_two(profile: str, tmp_path: Path, guard: Guard) -> None:
    disk, _other = _pair(tmp_path, "-m", profile, "-d", profile)
    guard.watch(disk)
    document = inspected(disk, tmp_path / "state", "--format", "raw")
    assert "one of 2 devices of a btrfs" in problems(document)
    told = ask(tmp_path / "state", "cat", "--format", "raw", disk, "disk", "/letter")
    if profile == "raid1":
        assert (told.status, told.out) == (0, "rescued\n"), told
    else:
        assert told.status == 1, told
        assert "could not be mounted as btrfs" in told.err


@pytest.mark.hostile(40)
@pytest.mark.parametrize(("content", "make"), [("LVM2_member", lvm), ("linux_raid_member", md)])
def test_a_member_of_a_group_or_an_array_is_told_and_left_alone(
    content: str, make: Callable[[Path], None], tmp_path: Path, guard: Guard
) -> None:
    part = sparse(tmp_path / "part", 16 * MIB)
    make(part)
    disk = in_partition(tmp_path / "disk.raw", part)
    guard.watch(disk)
    document = inspected(disk, tmp_path / "state")
    assert document["volumes"][0]["content"] == content
    told = ask(tmp_path / "state", "ls", "--explain", disk, "1")
    assert told.status == 1, told
    assert content in told.err
    assert not any(word in told.err for word in ("losetup", "vgchange", "mdadm", "pvscan"))


@pytest.mark.hostile(40)
def test_kpartx_maps_no_member_that_the_host_would_assemble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.host.has_device_mapper", lambda: True)
    monkeypatch.setattr("core.tools.find", lambda name: f"/sbin/{name}")
    volumes = [
        Volume("1", "partition", 0, 1, "ext4", None, None),
        Volume("2", "partition", 0, 1, "LVM2_member", None, None),
    ]
    part: Any = object()
    table = PartitionTable("msdos", None, "primary", 512, 100, (part,), (), ())
    assert kpartx.problem(table, volumes[:1]) is None
    hindrance = kpartx.problem(table, volumes)
    assert hindrance is not None
    assert "partition 2 too, which contains LVM2_member" in hindrance


@pytest.mark.hostile(41)
def test_a_mount_that_somebody_else_makes_of_our_loop_is_named_at_undo(tmp_path: Path, guard: Guard) -> None:
    disk, state, point = filled(tmp_path / "disk.raw"), tmp_path / "state", tmp_path / "m"
    guard.watch(disk)
    assert ask(state, "mount", "--format", "raw", disk, "disk", point).status == 0
    line = next(
        x
        for x in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
        if f" {point} " in x
    )
    loop = line.split(" - ")[1].split()[1]
    desktop = tmp_path / "media"
    desktop.mkdir()
    subprocess.run(["mount", "-t", "ext4", "-o", "ro,noload", loop, desktop], check=True)
    try:
        told = ask(state, "undo", "--all")
        assert told.status == 1, told
        assert loop in told.text
    finally:
        subprocess.run(["umount", desktop], check=True)
    assert ask(state, "undo", "--all").status == 0


@pytest.mark.hostile("41b")
@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_a_file_system_longer_than_its_partition_opens_to_the_end(
    kind: str, tmp_path: Path, guard: Guard
) -> None:
    system = made(tmp_path / "fs", kind)
    with by_hand(system, tmp_path / "by-hand", "rw") as point:
        (point / "letter").write_text("rescued\n")
    disk = in_partition(tmp_path / "disk.raw", system, size=SIZES[kind] // 3 // MIB * MIB)
    state = tmp_path / "state"
    guard.watch(disk)
    document = inspected(disk, state)
    assert document["volumes"][0]["wanted_size"] == SIZES[kind]
    assert "long, but there is room for" in problems(document)
    assert "`--to-end` opens it" in problems(document)
    told = ask(state, "ls", disk, "1")
    assert told.status == 3, told
    assert "`--to-end` opens it beyond that, read-only" in told.err
    shown = ask(state, "cat", "--to-end", disk, "1", "/letter")
    assert (shown.status, shown.out, shown.err) == (0, "rescued\n", ""), shown
    writing = ask(state, "mount", "--writable", "--to-end", disk, "1", tmp_path / "m")
    assert writing.status == 3, writing
    assert "for reading only" in writing.err


@pytest.mark.hostile("41b")
def test_what_is_not_longer_needs_no_end(tmp_path: Path, guard: Guard) -> None:
    disk = in_partition(tmp_path / "disk.raw", filled(tmp_path / "fs"))
    guard.watch(disk)
    told = ask(tmp_path / "state", "ls", "--to-end", disk, "1")
    assert told.status == 2, told
    assert "not longer than its place" in told.err


@pytest.mark.hostile("41b")
def test_a_file_system_on_a_whole_disk_that_was_cut_short(tmp_path: Path, guard: Guard) -> None:
    disk = filled(tmp_path / "disk.raw")
    os.truncate(disk, 12 * MIB)
    guard.watch(disk)
    told = ask(tmp_path / "state", "ls", "--format", "raw", disk, "disk")
    assert told.status == 3, told
    assert "16.0 MiB long, but it has only 12.0 MiB" in told.err
    shown = ask(tmp_path / "state", "cat", "--to-end", "--format", "raw", disk, "disk", "/letter")
    assert (shown.status, shown.out) == (0, "rescued\n"), shown
    assert "cut short: 4.0 MiB" in shown.err


@pytest.mark.hostile("41b")
def test_a_superblock_that_claims_the_largest_length(tmp_path: Path, guard: Guard) -> None:
    disk = filled(tmp_path / "disk.raw")
    features = int.from_bytes(get(disk, 1024 + 96, 4), "little") | 0x80
    put(disk, 1024 + 96, features.to_bytes(4, "little"))
    put(disk, 1024 + 4, b"\xff" * 4)
    put(disk, 1024 + 336, b"\xff" * 4)
    guard.watch(disk)
    told = ask(tmp_path / "state", "ls", "--to-end", "--format", "raw", disk, "disk")
    assert told.status == 1, told
    assert told.err.count("\n") <= 3


@pytest.mark.hostile("41c")
def test_subvolumes_are_inside(tmp_path: Path, guard: Guard) -> None:
    disk = made(tmp_path / "disk.raw", "btrfs")
    with by_hand(disk, tmp_path / "by-hand", "rw") as point:
        for name in ("@", "@/home", "other"):
            subprocess.run(["btrfs", "-q", "subvolume", "create", point / name], check=True)
            (point / name / "letter").write_text(f"in {name}\n")
        assert (point / "@").stat().st_dev != point.stat().st_dev
    guard.watch(disk)
    listed = ask(tmp_path / "state", "ls", "--format", "raw", disk, "disk", "/@/home")
    assert listed.status == 0, listed
    assert "letter" in listed.out
    copied = ask(tmp_path / "state", "copy", "--json", "--format", "raw", disk, "disk", "/", tmp_path / "out")
    assert copied.status == 0, copied
    document = json.loads(copied.out)
    assert (document["files"], document["unreadable"]) == (3, [])
    assert (tmp_path / "out/@/home/letter").read_text() == "in @/home\n"
