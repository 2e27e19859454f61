"""What a copy keeps, what it leaves out until asked, and what the sidecar gives back later."""

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.cancel import CancelToken
from core.files.abilities import Abilities, abilities, probe
from core.files.applying import apply
from core.files.choices import Choices
from core.files.inodeflags import InodeFlags, flags_of
from core.files.naming import Names
from tests import hostile_tree
from tests.compare_trees import differences
from tests.conftest import needs_root
from tests.core.files.copying import check_sums, run

MINE = [b"SHA256SUMS", b"salvage-metadata.jsonl"]


@contextmanager
def made(folder: Path, kind: str, *options: str, size: int = 64 << 20) -> Iterator[Path]:
    """A new file system of that kind, mounted."""
    program = {"exfat": "mkfs.exfat"}.get(kind, f"mkfs.{kind}")
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    image, mount = folder / f"{kind}.image", folder / f"{kind}.mount"
    mount.mkdir()
    with open(image, "wb") as sink:
        sink.truncate(size)
    quiet = [] if kind == "exfat" else ["-q"]
    subprocess.run([program, *quiet, *options, image], check=True, capture_output=True)
    if kind != "exfat":
        subprocess.run(["mount", "-t", kind, "-o", "loop", image, mount], check=True)
        yield from _until_unmounted(mount)
        return
    loop = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, check=True, text=True)
    device = loop.stdout.strip()
    try:
        subprocess.run(["mount.exfat-fuse", device, mount], check=True, capture_output=True)
        yield from _until_unmounted(mount)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def _until_unmounted(mount: Path) -> Iterator[Path]:
    try:
        yield mount
    finally:
        subprocess.run(["umount", mount], check=True)


@needs_root
def test_what_lends_rights_is_left_out_until_asked_and_listed(tmp_path: Path) -> None:
    root = tmp_path / "guest"
    root.mkdir()
    for make in (hostile_tree._modes, hostile_tree._attributes):
        make(os.fsencode(root) + b"/" + make.__name__.encode())
    copied = run(root, tmp_path / "dest", choices=Choices())
    assert {lost.path for lost in copied.lost_metadata} == {
        *(b"/_modes/file-" + mode for mode in (b"4755", b"2755", b"6711", b"4000", b"7777")),
        b"/_attributes/capable",
    }
    assert copied.unreadable == []
    for path in (tmp_path / "dest").rglob("*"):
        if path.is_file():
            assert not path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)
            assert "security.capability" not in os.listxattr(path)
    applied = apply(tmp_path / "dest", tmp_path / "dest", CancelToken(), privileges=True)
    assert (applied.done, applied.left) == (6, [])
    assert differences(root, tmp_path / "dest", MINE) == []


@needs_root
def test_devices_are_made_when_asked(tmp_path: Path) -> None:
    (tmp_path / "guest").mkdir()
    hostile_tree.devices(tmp_path / "guest")
    wanted = Choices(devices=True)
    copied = run(tmp_path / "guest", tmp_path / "dest", choices=wanted)
    assert (copied.lost_metadata, copied.others) == ([], 2)
    null = (tmp_path / "dest/null").stat()
    assert stat.S_ISCHR(null.st_mode) and null.st_rdev == os.makedev(1, 3)
    assert run(tmp_path / "guest", tmp_path / "dest", choices=wanted).unreadable == []


@needs_root
def test_devices_left_out_are_made_later_by_the_sidecar(tmp_path: Path) -> None:
    (tmp_path / "guest").mkdir()
    hostile_tree.devices(tmp_path / "guest")
    run(tmp_path / "guest", tmp_path / "dest", choices=Choices())
    refused = apply(tmp_path / "dest", tmp_path / "dest", CancelToken())
    assert refused.done == 0 and not (tmp_path / "dest/null").exists()
    assert apply(tmp_path / "dest", tmp_path / "dest", CancelToken(), devices=True).left == []
    assert differences(tmp_path / "guest", tmp_path / "dest", MINE) == []


@needs_root
def test_immutable_and_append_are_listed_and_given_when_asked(tmp_path: Path) -> None:
    root = tmp_path / "guest"
    (root / "folder").mkdir(parents=True)
    flagged = {"i": root / "fixed", "a": root / "log", "+i": root / "folder"}
    for path in (root / "fixed", root / "log", root / "folder/inside"):
        path.write_text("x")
    for letter, path in flagged.items():
        subprocess.run(["chattr", "+" + letter.strip("+"), path], check=True)
    try:
        told = run(root, tmp_path / "plain", choices=Choices()).lost_metadata
        assert {lost.path for lost in told} == {b"/fixed", b"/log", b"/folder"}
        copied = run(root, tmp_path / "dest")
        assert copied.lost_metadata == []
        for _again in range(2):
            found = {}
            for name in ("fixed", "log", "folder"):
                fd = os.open(tmp_path / "dest" / name, os.O_RDONLY)
                found[name] = flags_of(fd).names
                os.close(fd)
            assert found == {"fixed": ("immutable",), "log": ("append",), "folder": ("immutable",)}
            again = run(root, tmp_path / "dest")
            assert (again.lost_metadata, again.unreadable) == ([], [])
    finally:
        subprocess.run(["chattr", "-R", "-i", "-a", root, tmp_path / "dest"], check=True)


@needs_root
def test_a_project_is_listed_and_given_where_the_target_knows_projects(tmp_path: Path) -> None:
    with made(tmp_path, "xfs", size=400 << 20) as mount:
        (mount / "guest").mkdir()
        (mount / "guest/file").write_text("x")
        subprocess.run(["xfs_io", "-c", "chproj 7", mount / "guest/file"], check=True)
        told = run(mount / "guest", tmp_path / "dest", choices=Choices()).lost_metadata
        assert [lost.path for lost in told] == [b"/file"] and "7" in told[0].what
        assert run(mount / "guest", mount / "dest").lost_metadata == []
        fd = os.open(mount / "dest/file", os.O_RDONLY)
        try:
            assert flags_of(fd) == InodeFlags((), 7)
        finally:
            os.close(fd)


@needs_root
@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_shared_blocks_stay_shared_where_the_target_can(tmp_path: Path, kind: str) -> None:
    with made(tmp_path, kind, size=512 << 20) as mount:
        root = mount / "guest"
        root.mkdir()
        (root / "one").write_bytes(os.urandom(30 << 20))
        clone = ["cp", "--reflink=always", root / "one", root / "two"]
        if subprocess.run(clone, capture_output=True).returncode:
            pytest.skip("this kernel shares no blocks here")
        subprocess.run(["sync", "-f", mount], check=True)
        before = os.statvfs(mount).f_bavail
        run(root, mount / "dest")
        subprocess.run(["sync", "-f", mount], check=True)
        taken = (before - os.statvfs(mount).f_bavail) * os.statvfs(mount).f_frsize
        assert 28 << 20 < taken < 45 << 20
        assert differences(root, mount / "dest", MINE) == []
        assert check_sums(mount / "dest") == []


def test_this_folder_keeps_everything(tmp_path: Path) -> None:
    before = tmp_path.stat().st_mtime_ns
    able = abilities(tmp_path / "not" / "there")
    if os.geteuid() == 0:
        assert able.missing() == [] and able.any_name and able.sentence(tmp_path) == ""
    assert os.listdir(tmp_path) == []
    assert tmp_path.stat().st_mtime_ns >= before


@needs_root
def test_what_exfat_cannot_keep_is_told_first_and_given_back_later(tmp_path: Path) -> None:
    root = tmp_path / "guest"
    root.mkdir()
    for name in ("Readme", "readme", "a:b", "a?b", "plain"):
        (root / name).write_text("content of " + name)
    (root / "Folder").mkdir()
    (root / "folder").mkdir()
    (root / "folder" / "q*").write_text("inside")
    (root / "Folder" / "one").write_text("one")
    os.chmod(root / "plain", 0o640)
    os.chown(root / "plain", 1000, 1001)
    os.utime(root / "plain", ns=(1, 1_234_567_890_123_456_789))
    os.setxattr(root / "plain", "user.x", b"y")
    os.symlink("plain", root / "link")
    os.mkfifo(root / "pipe")
    os.link(root / "plain", root / "plain-again")
    said: list[str] = []
    with made(tmp_path, "exfat") as mount:
        copied = run(root, mount / "dest", choices=Choices(tell=said.append, verify="all"))
        assert copied.unreadable == []
        assert check_sums(mount / "dest") == []
        assert copied.verified.whole and copied.verified.files == copied.files == 8
        names = {name.lower() for name in os.listdir(mount / "dest")}
        assert {"a%3ab", "a%3fb", "readme~2", "folder~2"} <= names
        assert "link" not in names and "pipe" not in names
        again = run(root, mount / "dest", choices=Choices())
        assert (again.unreadable, again.skipped_same) == ([], 8)
        shutil.copytree(mount / "dest", tmp_path / "later")
    assert len(said) == 1 and "symbolic links" in said[0] and "owners" in said[0]
    applied = apply(tmp_path / "later", tmp_path / "later", CancelToken())
    assert applied.left == []
    assert differences(root, tmp_path / "later", MINE) == []


def test_a_sidecar_that_lies_changes_nothing_outside(tmp_path: Path) -> None:
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "victim").write_text("x")
    before = (outside / "victim").stat()
    (folder / "link").symlink_to(outside)
    line = {"kind": "file", "mode": "0777", "uid": 0, "gid": 0, "atime_ns": 0, "mtime_ns": 0, "lost": []}
    lines: list[object] = [
        {"virt-salvage": "metadata", "version": 1},
        {**line, "path": "../outside/victim"},
        {**line, "path": "/etc/passwd"},
        {**line, "path": "link/victim"},
        {**line, "path": "link", "name": "../outside/new", "kind": "symlink", "target": "x"},
        {**line, "path": "x", "kind": "symlink", "target": 7},
        {"path": "y"},
        [],
        {**line, "path": "z", "uid": 1 << 80},
        {**line, "path": "", "kind": "dir"},
    ]
    (folder / "salvage-metadata.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\nnonsense\n")
    (folder / "z").write_text("z")
    applied = apply(folder, folder, CancelToken())
    assert applied.done == 0 and len(applied.left) >= 8
    after = (outside / "victim").stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert os.listdir(outside) == ["victim"]


def test_names_that_clash_get_the_same_names_again() -> None:
    able = Abilities(tells_case_apart=False, refused=b"\x01:", any_bytes=False, dots_and_spaces=False)
    for _again in range(2):
        names = Names(able)
        given = [b"File", b"file", b"FILE", b"a:b", b"tail.", b"\xff", b"tab\t"]
        given += ["\u00e9".encode(), "e\u0301".encode()]
        assert [names.fit(name) for name in given] == [
            b"File",
            b"file~2",
            b"FILE~3",
            b"a%3Ab",
            b"tail%2E",
            b"%FF",
            b"tab%09",
            "\u00e9".encode(),
            "e\u0301~2".encode(),
        ]
        names.down()
        assert names.fit(b"file") == b"file"
        names.up()
        assert names.fit(b"fILE") == b"fILE~4"


@needs_root
def test_the_owners_are_told_by_the_guest_s_names(tmp_path: Path) -> None:
    root = tmp_path / "guest"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbroken\n")
    (root / "etc/group").write_text("root:x:0:\nstaff:x:1000:ann\n")
    (root / "letter").write_text("x")
    os.chown(root / "letter", 1000, 1000)
    found = run(root, tmp_path / "dest", b"/letter").owners
    assert (found.users, found.groups) == (((1000, b"ann"),), ((1000, b"staff"),))


def test_probing_leaves_nothing(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        probe(fd)
    finally:
        os.close(fd)
    assert os.listdir(tmp_path) == []
