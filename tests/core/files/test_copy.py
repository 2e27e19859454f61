"""A copy is the same tree, stays inside its target, and says what it could not bring."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import Refused, SalvageError, WrongUsage
from core.files.target import open_target
from core.files.tree import GuestTree
from tests import hostile_tree
from tests.compare_trees import differences
from tests.conftest import needs_root
from tests.core.files.copying import check_sums, run


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile") / "tree"
    hostile_tree.build(root)
    return root


@needs_root
@pytest.mark.hostile(36)
def test_a_hostile_tree_arrives_as_it_was(hostile: Path, tmp_path: Path) -> None:
    copied = run(hostile, tmp_path / "dest")
    assert (copied.unreadable, copied.lost_metadata, copied.skipped_same) == ([], [], 0)
    assert differences(hostile, tmp_path / "dest", [b"SHA256SUMS"]) == []
    assert check_sums(tmp_path / "dest") == []
    files = subprocess.run(
        ["find", ".", "-type", "f", "-printf", "."], cwd=hostile, capture_output=True, check=True
    )
    assert copied.files == len(files.stdout)
    assert len((tmp_path / "dest" / "SHA256SUMS").read_bytes().splitlines()) == copied.files
    assert (tmp_path / "dest").stat().st_mode & 0o7777 == 0o700


@needs_root
@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_a_hostile_tree_arrives_from_a_mount_as_guests_are_mounted(kind: str, tmp_path: Path) -> None:
    if shutil.which(f"mkfs.{kind}") is None:
        pytest.skip(f"mkfs.{kind} is not installed")
    image, mount = tmp_path / "image", tmp_path / "mount"
    mount.mkdir()
    with open(image, "wb") as sink:
        sink.truncate(400 << 20)
    subprocess.run([f"mkfs.{kind}", "-q", image], check=True)
    for options in ("loop", "loop,ro,nosuid,nodev,noexec,nosymfollow"):
        subprocess.run(["mount", "-t", kind, "-o", options, image, mount], check=True)
        try:
            if options == "loop":
                hostile_tree.build(mount / "tree", 600)
                continue
            copied = run(mount, tmp_path / "dest", b"/tree")
            assert (copied.unreadable, copied.lost_metadata) == ([], [])
            assert differences(mount / "tree", tmp_path / "dest" / "tree") == []
        finally:
            subprocess.run(["umount", mount], check=True)
    assert check_sums(tmp_path / "dest") == []


@needs_root
def test_the_same_command_again_changes_nothing(hostile: Path, tmp_path: Path) -> None:
    first = run(hostile, tmp_path / "dest")
    manifest = first.manifest.read_bytes()
    again = run(hostile, tmp_path / "dest")
    assert again.skipped_same == again.files == first.files
    assert (again.unreadable, again.bytes) == ([], first.bytes)
    assert differences(hostile, tmp_path / "dest", [b"SHA256SUMS"]) == []
    assert again.manifest.read_bytes() == manifest


@needs_root
def test_the_comparer_sees_what_is_changed(hostile: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    run(hostile, dest)
    links = dest / "links"
    (dest / "modes/file-4755").chmod(0o755)
    os.setxattr(dest / "attributes/file", "user.plain", b"other")
    os.utime(dest / "times/file-2", ns=(0, -1))
    (dest / "sparse/all-hole").write_bytes(bytes(5 << 20))
    (links / "two").unlink()
    (links / "two").write_bytes((links / "one").read_bytes())
    (links / "dot").unlink()
    (links / "dot").symlink_to("..")
    subprocess.run(["setfacl", "-m", "u:55:r", dest / "acls/file"], check=True)
    with open(dest / "sparse/zeros-on-disk", "r+b") as file:
        file.write(b"x")
    (dest / "specials/fifo").unlink()
    (dest / "markup/extra").touch()
    seen = "\n".join(differences(hostile, dest, [b"SHA256SUMS"]))
    for path in ("modes/file-4755", "attributes/file", "times/file-2", "sparse/all-hole", "links/two"):
        assert path in seen
    for path in ("links/dot", "acls/file", "sparse/zeros-on-disk", "specials/fifo", "markup/extra"):
        assert path in seen


def test_sources_land_under_their_own_names(tmp_path: Path) -> None:
    root = tmp_path / "guest"
    (root / "home" / "ann").mkdir(parents=True)
    (root / "home" / "ann" / "letter").write_text("dear")
    (root / "etc").mkdir()
    (root / "etc" / "hosts").write_text("hosts")
    (root / "link").symlink_to("home")
    run(root, tmp_path / "a", b"/home/ann", b"etc/hosts", b"/link")
    assert sorted(os.listdir(tmp_path / "a")) == ["SHA256SUMS", "ann", "hosts", "link"]
    assert os.readlink(tmp_path / "a" / "link") == "home"
    run(root, tmp_path / "b" / "made" / "too", b"/link/", b"home/../etc/")
    assert sorted(os.listdir(tmp_path / "b" / "made" / "too")) == ["SHA256SUMS", "ann", "hosts"]
    assert (tmp_path / "b" / "made" / "too" / "ann" / "letter").read_text() == "dear"


def test_two_sources_of_one_name_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / "guest" / folder / "x").mkdir(parents=True)
    with pytest.raises(WrongUsage, match="called x"):
        run(tmp_path / "guest", tmp_path / "dest", b"a/x", b"b/x")
    assert not (tmp_path / "dest").exists()


@pytest.mark.parametrize("source", [b"missing", b"file/", b"dir/missing"])
def test_a_source_that_is_not_there_stops_before_anything_is_written(tmp_path: Path, source: bytes) -> None:
    (tmp_path / "guest" / "dir").mkdir(parents=True)
    (tmp_path / "guest" / "file").write_text("x")
    with pytest.raises(SalvageError, match=source.decode().split("/")[-1] or "file"):
        run(tmp_path / "guest", tmp_path / "dest", b"dir", source)
    assert not (tmp_path / "dest").exists()


@pytest.mark.hostile(37)
def test_hard_links_hold_across_sources(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / "guest" / folder).mkdir(parents=True)
    (tmp_path / "guest/a/one").write_bytes(b"x" * 5000)
    os.link(tmp_path / "guest/a/one", tmp_path / "guest/b/two")
    copied = run(tmp_path / "guest", tmp_path / "dest", b"a", b"b")
    assert (tmp_path / "dest/a/one").samefile(tmp_path / "dest/b/two")
    assert (copied.files, copied.bytes) == (2, 5000)
    assert check_sums(tmp_path / "dest") == []


@pytest.mark.hostile(34)
def test_a_link_planted_in_the_target_is_never_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("untouched")
    root, dest = tmp_path / "guest", tmp_path / "dest"
    (root / "folder").mkdir(parents=True)
    (root / "folder" / "victim").write_text("from the guest")
    (root / "file").write_text("from the guest")
    (root / "new").write_text("from the guest")
    dest.mkdir()
    (dest / "folder").symlink_to(outside)
    (dest / "file").symlink_to(outside / "victim")
    (dest / "new").symlink_to(outside / "made")
    (dest / "SHA256SUMS").symlink_to(outside / "victim")
    copied = run(root, dest)
    assert (outside / "victim").read_text() == "untouched"
    assert os.listdir(outside) == ["victim"]
    assert {gap.path for gap in copied.unreadable} == {b"/folder", b"/file", b"/new"}
    assert copied.manifest.name == "SHA256SUMS.virt-salvage"


@pytest.mark.hostile(34)
def test_a_link_of_the_guest_does_not_carry_later_files_out(tmp_path: Path) -> None:
    """Copied first as a link, then a folder of the same name from another source."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "x").symlink_to(outside)
    (tmp_path / "two" / "x").mkdir(parents=True)
    (tmp_path / "two" / "x" / "file").write_text("data")
    run(tmp_path / "one", tmp_path / "dest")
    copied = run(tmp_path / "two", tmp_path / "dest")
    assert os.listdir(outside) == []
    assert [gap.path for gap in copied.unreadable] == [b"/x"]


@pytest.mark.hostile(36)
def test_other_content_is_not_replaced_but_listed(tmp_path: Path) -> None:
    root, dest = tmp_path / "guest", tmp_path / "dest"
    root.mkdir()
    dest.mkdir()
    for name in ("longer", "as-long", "folder", "fifo"):
        (root / name).write_text("guest")
    (dest / "longer").write_text("of the operator")
    (dest / "as-long").write_text("GUEST")
    (dest / "folder").mkdir()
    os.mkfifo(dest / "fifo")
    copied = run(root, dest)
    assert {gap.path for gap in copied.unreadable} == {b"/longer", b"/as-long", b"/folder", b"/fifo"}
    assert all("not replaced" in gap.error for gap in copied.unreadable)
    assert {gap.why for gap in copied.unreadable} == {"taken"} and copied.has_taken
    told = copied.unreadable[0].told()
    assert told.startswith("not copied: ") and "--existing" not in told
    assert ((dest / "longer").read_text(), (dest / "as-long").read_text()) == ("of the operator", "GUEST")
    assert copied.files == 0


@pytest.fixture
def abyss(tmp_path: Path) -> Iterator[Path]:
    """A folder that may get deeper than pytest can remove."""
    folder = tmp_path / "abyss"
    folder.mkdir()
    yield folder
    subprocess.run(["rm", "-rf", folder], check=True)


@pytest.mark.hostile(37)
def test_a_tree_deeper_than_a_path_can_be(abyss: Path) -> None:
    tmp_path, root, depth = abyss, abyss / "guest", 3000
    root.mkdir()
    here = os.open(root, os.O_RDONLY)
    for _level in range(depth):
        os.mkdir("d", dir_fd=here)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    copied = run(root, tmp_path / "dest")
    assert copied.unreadable == []
    assert (copied.files, copied.directories) == (depth, depth)
    assert check_sums(tmp_path / "dest") == []
    # Files whose path no program can open are not in the manifest, and that is told.
    listed = len((tmp_path / "dest" / "SHA256SUMS").read_bytes().splitlines())
    assert listed + len(copied.lost_metadata) == depth and 1000 < listed < 2500
    with GuestTree(tmp_path / "dest") as tree, tree.resolve(b"d/" * (depth - 1) + b"f") as place:
        assert place.kind == "file"


@needs_root
@pytest.mark.hostile(37)
def test_a_directory_that_holds_itself_ends(tmp_path: Path) -> None:
    root = tmp_path / "guest"
    (root / "a" / "loop").mkdir(parents=True)
    (root / "a" / "file").write_text("once")
    subprocess.run(["mount", "--bind", root / "a", root / "a" / "loop"], check=True)
    try:
        copied = run(root, tmp_path / "dest")
    finally:
        subprocess.run(["umount", root / "a" / "loop"], check=True)
    assert [gap.path for gap in copied.unreadable] == [b"/a/loop"]
    assert "damaged" in copied.unreadable[0].error
    assert copied.files == 1


@needs_root
def test_a_directory_on_another_device_inside_the_tree_is_copied(tmp_path: Path) -> None:
    root = tmp_path / "guest"
    (root / "sub").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", root / "sub"], check=True)
    try:
        (root / "sub" / "file").write_text("in a subvolume")
        copied = run(root, tmp_path / "dest")
    finally:
        subprocess.run(["umount", root / "sub"], check=True)
    assert (tmp_path / "dest/sub/file").read_text() == "in a subvolume"
    assert copied.unreadable == []


@needs_root
@pytest.mark.hostile(35)
def test_devices_are_not_made_but_told(tmp_path: Path) -> None:
    (tmp_path / "guest").mkdir()
    names = hostile_tree.devices(tmp_path / "guest")
    copied = run(tmp_path / "guest", tmp_path / "dest")
    assert sorted(os.listdir(tmp_path / "dest")) == ["SHA256SUMS", "salvage-metadata.jsonl"]
    assert sorted(lost.path for lost in copied.lost_metadata) == sorted(b"/" + name for name in names)
    assert any("1:3" in lost.what for lost in copied.lost_metadata)


@needs_root
def test_what_a_file_system_cannot_keep_is_told(tmp_path: Path) -> None:
    """An inode of 128 bytes on ext2 ends in 2038, and a block of 1 KiB does not hold a big attribute."""
    root, mount = tmp_path / "guest", tmp_path / "mount"
    root.mkdir()
    mount.mkdir()
    (root / "old").write_text("x")
    os.utime(root / "old", ns=(0, 5_000_000_000 * 10**9))
    os.setxattr(tmp_path / "guest" / "old", "user.big", b"v" * 3000)
    image = tmp_path / "image"
    with open(image, "wb") as sink:
        sink.truncate(8 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext2", "-I", "128", "-b", "1024", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, mount], check=True)
    try:
        copied = run(root, mount / "dest")
        assert (mount / "dest" / "old").read_text() == "x"
    finally:
        subprocess.run(["umount", mount], check=True)
    told = " ".join(lost.what for lost in copied.lost_metadata)
    assert "2128-06-11" in told and "user.big" in told
    assert {lost.path for lost in copied.lost_metadata} == {b"/old"}


@pytest.mark.parametrize(("names", "lost"), [(["$LXUID", "$LXGID", "$LXMOD"], 0), (["$LXUID"], 1)])
def test_where_ntfs3_keeps_owner_and_mode_nothing_is_lost(
    names: list[str], lost: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells them as owner and mode only where it has all of them."""
    (tmp_path / "guest").mkdir()
    (tmp_path / "guest" / "file").write_text("x")
    listed = os.listxattr
    monkeypatch.setattr(os, "listxattr", lambda *of, **how: [*listed(*of, **how), *names])
    copied = run(tmp_path / "guest", tmp_path / "dest")
    assert len(copied.lost_metadata) == lost


def test_a_default_acl_above_the_target_does_not_leak_into_the_copy(tmp_path: Path) -> None:
    root, above = tmp_path / "guest", tmp_path / "above"
    (root / "folder").mkdir(parents=True)
    (root / "folder" / "file").write_text("x")
    above.mkdir()
    subprocess.run(["setfacl", "-d", "-m", "u:4242:rwx", above], check=True)
    run(root, above / "dest")
    for path in ("folder", "folder/file"):
        assert [n for n in os.listxattr(above / "dest" / path) if n.startswith("system.")] == []


def test_two_copies_into_one_target_at_a_time_are_refused(tmp_path: Path) -> None:
    (tmp_path / "guest").mkdir()
    held = open_target(tmp_path / "dest")
    try:
        with pytest.raises(Refused, match="going on"):
            run(tmp_path / "guest", tmp_path / "dest")
    finally:
        os.close(held)


@pytest.mark.parametrize("what", ["a file", "a link to nothing", "below a file"])
def test_a_target_that_is_no_folder_is_a_clear_error(tmp_path: Path, what: str) -> None:
    (tmp_path / "guest").mkdir()
    dest = tmp_path / "dest"
    if what == "a link to nothing":
        dest.symlink_to(tmp_path / "nothing")
    else:
        dest.write_text("x")
    with pytest.raises(SalvageError, match="dest"):
        run(tmp_path / "guest", dest / "x" if what == "below a file" else dest)


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    (tmp_path / "guest" / "a" / "b").mkdir(parents=True)
    (tmp_path / "guest" / "a" / "f").write_text("x")
    before = len(os.listdir("/proc/self/fd"))
    run(tmp_path / "guest", tmp_path / "dest")
    assert len(os.listdir("/proc/self/fd")) == before
