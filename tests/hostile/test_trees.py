"""Copying trees that a hostile guest laid out, by the command line: rows 34 to 37.

More of the same rows, without a disk: tests/core/files/test_copy.py, test_copy_faults.py and test_tree.py.
"""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.compare_trees import differences
from tests.conftest import Guard, Program, needs_root
from tests.core.files.copying import check_sums, run
from tests.core.tables.table_disks import get, put, sparse
from tests.hostile.asking import CANARY, ask
from tests.hostile.volumes import MIB, by_hand

pytestmark = needs_root


def disk_of(folder: Path, fill: Callable[[Path], object], size: int = 32 * MIB, *options: str) -> Path:
    """A raw disk that is one ext4, filled while it is mounted."""
    disk = sparse(folder / "disk.raw", size)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", *options, disk], check=True)
    with by_hand(disk, folder / "by-hand", "rw") as point:
        (point / "lost+found").rmdir()
        fill(point)
    return disk


def copied(disk: Path, state: Path, dest: Path, *sources: str, status: int = 0) -> Any:
    told = ask(state, "copy", "--json", "--format", "raw", disk, "disk", *(sources or ("/",)), dest)
    assert told.status == status, told
    return json.loads(told.out)


# -- row 34 -------------------------------------------------------------------------------------


def _links(root: Path, secret: Path) -> None:
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text("the guest's own\n")
    targets: dict[str, str | Path] = {
        "absolute": secret,
        "up": f"{'../' * 40}{secret}",
        "folder": secret.parent,
        "proc": "/proc/self/root",
        "fd": "/proc/self/fd/0",
        "passwd": "/etc/passwd",
        "circle": "circle",
    }
    for name, target in targets.items():
        (root / name).symlink_to(target)


@pytest.mark.hostile(34)
def test_no_link_leads_to_a_file_of_the_host(tmp_path: Path, guard: Guard) -> None:
    secret, state = tmp_path / "host" / "secret", tmp_path / "state"
    secret.parent.mkdir()
    secret.write_text(CANARY)
    disk = disk_of(tmp_path, lambda root: _links(root, secret))
    guard.watch(disk)
    for path in ("/absolute", "/up", "/folder/secret", "/proc/etc/passwd", "/fd", "/circle", f"/..{secret}"):
        told = ask(state, "cat", "--format", "raw", disk, "disk", path)
        assert (told.status, told.out) == (1, ""), told
    own = ask(state, "cat", "--format", "raw", disk, "disk", "/passwd")
    assert (own.status, own.out) == (0, "the guest's own\n"), own
    for source in ("/folder/", "/proc/"):
        told = ask(state, "copy", "--format", "raw", disk, "disk", source, tmp_path / "none")
        assert told.status == 1, told
        assert not (tmp_path / "none").exists()
    document = copied(disk, state, tmp_path / "out")
    assert (document["files"], document["unreadable"]) == (1, [])
    assert os.readlink(tmp_path / "out/absolute") == str(secret)
    files = [one for one in (tmp_path / "out").rglob("*") if one.is_file() and not one.is_symlink()]
    assert not any(CANARY in one.read_text() for one in files)


@pytest.mark.hostile(34)
def test_a_link_in_the_target_is_not_followed_either(tmp_path: Path, guard: Guard) -> None:
    disk = disk_of(tmp_path, lambda root: _links(root, Path("/nowhere")))
    guard.watch(disk)
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/etc").symlink_to(outside)
    document = copied(disk, tmp_path / "state", tmp_path / "out", status=4)
    assert [one["path"] for one in document["unreadable"]] == ["/etc"]
    assert list(outside.iterdir()) == []


# -- row 35 -------------------------------------------------------------------------------------


def _specials(root: Path) -> None:
    os.mkfifo(root / "fifo")
    os.mknod(root / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    os.mknod(root / "disk", stat.S_IFBLK | 0o666, os.makedev(7, 0))
    os.mknod(root / "socket", stat.S_IFSOCK | 0o666)
    (root / "suid").write_text("#!/bin/sh\n")
    (root / "suid").chmod(0o4755)
    (root / "letter").write_text("rescued\n")


@pytest.mark.hostile(35)
def test_pipes_and_devices_neither_block_nor_are_made(tmp_path: Path, guard: Guard) -> None:
    disk, state, out = disk_of(tmp_path, _specials), tmp_path / "state", tmp_path / "out"
    guard.watch(disk)
    for name in ("fifo", "zero", "disk", "socket"):
        told = ask(state, "cat", "--format", "raw", disk, "disk", f"/{name}")
        assert (told.status, told.out) == (1, ""), told
        assert name in told.err
    document = copied(disk, state, out, status=4)
    assert {one["path"] for one in document["lost_metadata"]} == {"/zero", "/disk", "/suid"}
    assert not (out / "suid").stat().st_mode & stat.S_ISUID
    assert (out / "letter").read_text() == "rescued\n"
    kinds = {one.name: stat.S_IFMT(one.lstat().st_mode) for one in out.iterdir()}
    assert stat.S_IFCHR not in kinds.values()
    assert stat.S_IFBLK not in kinds.values()
    assert stat.S_IMODE(out.stat().st_mode) == 0o700  # what is set-user-ID in there is out of reach


# -- row 36 -------------------------------------------------------------------------------------

NAMES = (
    b"\x1b]0;PWNED\x07",
    b"\x1b[2J",
    b"new\nline",
    b"\xff\xfe\xc3",
    "right\u202egnp.exe".encode(),
    b"-rf",
    b"--help",
    b"n" * 255,
    b"CON",
    b"dot.",
    b"a:b",
    b"Readme",
    b"README",
    "caf\u00e9".encode(),
    "cafe\u0301".encode(),
)


def _named(root: Path) -> None:
    for name in NAMES:
        with open(os.fsencode(root) + b"/" + name, "wb") as file:
            file.write(b"content of " + name)


@pytest.mark.hostile(36)
def test_every_name_arrives_and_none_reaches_the_terminal(tmp_path: Path, guard: Guard) -> None:
    disk, state, out = disk_of(tmp_path, _named), tmp_path / "state", tmp_path / "out"
    guard.watch(disk)
    document = copied(disk, state, out)
    assert (document["files"], document["unreadable"]) == (len(NAMES), [])
    assert {name for name in os.listdir(os.fsencode(out)) if name in NAMES} == set(NAMES)
    for name in NAMES:
        assert Path(os.fsdecode(os.fsencode(out) + b"/" + name)).read_bytes() == b"content of " + name
    assert check_sums(out) == []
    listed = ask(state, "ls", "--format", "raw", disk, "disk")
    assert len(listed.out.splitlines()) == len(NAMES)


@pytest.mark.hostile(36)
def test_names_that_differ_in_case_only_do_not_overwrite_each_other(tmp_path: Path) -> None:
    """Onto a target that takes them for one, as FAT does (that one is in tests/vm)."""
    target = sparse(tmp_path / "target.raw", 32 * MIB)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", "casefold", target], check=True)
    tried = subprocess.run(["mount", "-o", "loop", target, _made(tmp_path / "m")], check=False)
    if tried.returncode:
        pytest.skip("this kernel has no folders that ignore case")
    try:
        (tmp_path / "m/out").mkdir()
        subprocess.run(["chattr", "+F", tmp_path / "m/out"], check=True)
        guest = _made(tmp_path / "guest")
        for name in ("Readme", "README", "caf\u00e9", "cafe\u0301"):
            (guest / name).write_text(f"content of {name}")
        told = run(guest, tmp_path / "m/out")
        assert told.files == 2
        assert len(told.unreadable) == 2
        for one in (tmp_path / "m/out").iterdir():
            assert one.name.startswith(("SHA", "salvage")) or one.read_text() == f"content of {one.name}"
    finally:
        subprocess.run(["umount", tmp_path / "m"], check=True)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


# -- row 37 -------------------------------------------------------------------------------------


def _deep(root: Path) -> None:
    here = os.open(root, os.O_RDONLY)
    for _level in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    with os.fdopen(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=here), "w") as file:
        file.write("reached\n")
    os.close(here)


@pytest.mark.hostile(37)
def test_a_path_longer_than_the_system_takes(tmp_path: Path, guard: Guard) -> None:
    disk, state, out = disk_of(tmp_path, _deep), tmp_path / "state", tmp_path / "out"
    guard.watch(disk)
    path = "/" + ("d" * 200 + "/") * 30 + "bottom"
    assert ask(state, "cat", "--format", "raw", disk, "disk", path).out == "reached\n"
    try:
        document = copied(disk, state, out, status=4)
        assert (document["files"], document["unreadable"]) == (1, [])
        assert "path" in document["lost_metadata"][0]["what"]
    finally:
        subprocess.run(["rm", "-rf", out], check=True)


@pytest.mark.hostile(37)
def test_a_sparse_file_larger_than_the_disk_it_is_on(tmp_path: Path, guard: Guard) -> None:
    """Only its data is read and written; but its SHA-256 takes the zeros too, so a tebibyte takes long."""

    def fill(root: Path) -> None:
        with open(root / "huge", "wb") as file:
            file.truncate(1 << 28)
            os.pwrite(file.fileno(), b"in the middle", 1 << 27)

    disk = disk_of(tmp_path, fill)
    guard.watch(disk)
    document = copied(disk, tmp_path / "state", tmp_path / "out")
    assert (document["files"], document["bytes"]) == (1, 1 << 28)
    assert (tmp_path / "out/huge").stat().st_blocks < 1000
    assert check_sums(tmp_path / "out") == []


@pytest.mark.hostile(37)
def test_a_sparse_file_of_a_tebibyte_can_be_broken_off(tmp_path: Path, guard: Guard) -> None:
    def fill(root: Path) -> None:
        with open(root / "huge", "wb") as file:
            file.truncate(1 << 40)

    disk = disk_of(tmp_path, fill)
    guard.watch(disk)
    program = [sys.executable, "-m", "tui.main", "--state-dir", str(tmp_path / "state")]
    arguments = ["copy", "--format", "raw", str(disk), "disk", "/", str(tmp_path / "out")]
    with subprocess.Popen([*program, *arguments], stderr=subprocess.PIPE) as copying:
        while not (tmp_path / "out").exists() and copying.poll() is None:
            pass
        copying.send_signal(signal.SIGINT)
        _out, told = copying.communicate(timeout=30)
    assert copying.returncode == 130, told
    assert not any(one.stat().st_size for one in tmp_path.glob("out/huge*"))


@pytest.mark.hostile(37)
def test_very_many_entries_in_one_folder(tmp_path: Path, guard: Guard, program: Program) -> None:
    """Links of one file: names without inodes. The room for them is bounded, as `ask` would see to."""

    def fill(root: Path) -> None:
        (root / "file").write_text("x")
        for number in range(5_000):
            if number % 4000 == 0:
                first = root / f"first{number}"
                first.write_text("x")
            os.link(first, root / f"entry-with-a-rather-long-name-{number}")

    disk = disk_of(tmp_path, fill, 64 * MIB)
    guard.watch(disk)
    told = program("copy", "--json", "--format", "raw", disk, "disk", "/", tmp_path / "out")
    assert told.status == 0, told.err
    document = json.loads(told.out)
    assert (document["files"], document["unreadable"]) == (5_003, [])
    assert (tmp_path / "out/entry-with-a-rather-long-name-1").stat().st_nlink == 4001


@pytest.mark.hostile(37)
def test_a_folder_that_a_damaged_disk_puts_into_itself(tmp_path: Path, guard: Guard) -> None:
    def fill(root: Path) -> None:
        (root / "a" / "b").mkdir(parents=True)
        (root / "a" / "letter").write_text("rescued\n")

    disk = disk_of(tmp_path, fill, 32 * MIB, "-O", "^metadata_csum,^dir_index", "-b", "1024")
    stats = subprocess.run(["debugfs", "-R", "stat /a", disk], capture_output=True, text=True, check=True)
    own = int(stats.stdout.split("Inode:")[1].split()[0])
    block = subprocess.run(["debugfs", "-R", "blocks /a", disk], capture_output=True, text=True, check=True)
    at = int(block.stdout.split()[0]) * 1024
    data = get(disk, at, 1024)
    entry = data.index(b"b", 24) - 8  # linux/fs/ext4/ext4.h, struct ext4_dir_entry_2
    put(disk, at + entry, own.to_bytes(4, "little"))
    guard.watch(disk)
    document = copied(disk, tmp_path / "state", tmp_path / "out", status=4)
    assert document["files"] == 1
    assert (tmp_path / "out/a/letter").read_text() == "rescued\n"
    assert [one["path"] for one in document["unreadable"]] == ["/a/b"]


@pytest.mark.hostile(37)
def test_a_target_that_is_too_small_is_told_and_the_copy_goes_on_elsewhere(
    tmp_path: Path, guard: Guard
) -> None:
    def fill(root: Path) -> None:
        for number in range(8):
            (root / f"file{number}").write_bytes(os.urandom(MIB))

    disk, state, small = disk_of(tmp_path, fill), tmp_path / "state", _made(tmp_path / "small")
    guard.watch(disk)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4M", "none", small], check=True)
    try:
        told = ask(state, "copy", "--format", "raw", disk, "disk", "/", small / "out")
        assert told.status == 1, told
        assert "free" in told.err
        subprocess.run(["mount", "-o", "remount,size=20M", small], check=True)
        document = copied(disk, state, small / "out")
        assert document["files"] == 8
        reports = [b"SHA256SUMS", b"salvage-report.json", b"salvage-report.md", b"salvage-report.html"]
        with by_hand(disk, tmp_path / "by-hand", "ro,noload") as original:
            assert differences(original, small / "out", reports) == []
    finally:
        subprocess.run(["umount", small], check=True)
