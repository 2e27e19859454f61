import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import SalvageError, WrongUsage
from core.files.tree import GuestTree


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "guest"
    (root / "etc" / "sub").mkdir(parents=True)
    (root / "etc" / "passwd").write_text("the guest's own")
    (root / "abs").symlink_to("/etc/passwd")
    (root / "out").symlink_to("../../../../../../etc/passwd")
    (root / "folder").symlink_to("etc/sub/..")
    (root / "root").symlink_to("/")
    (root / "self").symlink_to("self")
    (root / "dangling").symlink_to("nowhere")
    yield root
    # pytest cannot remove what is deeper than Python's recursion.
    subprocess.run(["rm", "-rf", root], check=True)


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("/", b"/"),
        ("", b"/"),
        ("..", b"/"),
        ("/../../etc/../../etc/passwd", b"/etc/passwd"),
        ("abs", b"/etc/passwd"),
        ("out", b"/etc/passwd"),
        ("folder/passwd", b"/etc/passwd"),
        ("root/root/abs", b"/etc/passwd"),
        ("folder/", b"/etc"),
        ("etc/.", b"/etc"),
    ],
)
@pytest.mark.hostile(34)
def test_links_lead_to_the_guest_s_own_files(guest: Path, path: str, leads_to: bytes) -> None:
    with GuestTree(guest) as tree, tree.resolve(path) as place:
        assert place.path == leads_to
        there = os.stat(guest / os.fsdecode(leads_to.lstrip(b"/")))
        assert (place.status.st_dev, place.status.st_ino) == (there.st_dev, there.st_ino)


def test_a_link_at_the_end_can_be_the_answer_itself(guest: Path) -> None:
    with GuestTree(guest) as tree, tree.resolve("folder", follow_last=False) as place:
        assert (place.kind, place.path) == ("symlink", b"/folder")


@pytest.mark.parametrize("path", ["no/such", "dangling", "etc/passwd/x", "self", "x" * 300, "etc/\n\x1b[2J"])
def test_what_is_not_there_is_named_and_safe(guest: Path, path: str) -> None:
    with GuestTree(guest) as tree, pytest.raises(SalvageError) as caught:
        tree.resolve(path)
    assert path[:5].split("\n")[0] in caught.value.what
    assert "\x1b" not in caught.value.paragraph() and "\n" not in caught.value.paragraph()


@pytest.mark.parametrize("path", ["zero\0byte", "lone\ud800surrogate", b"\0"])
def test_what_cannot_be_a_path_is_wrong_usage(guest: Path, path: str | bytes) -> None:
    with GuestTree(guest) as tree, pytest.raises(WrongUsage):
        tree.resolve(path)


@pytest.mark.hostile(34)
def test_forty_links_are_followed_and_not_one_more(guest: Path) -> None:
    (guest / "l0").symlink_to("etc/passwd")
    for number in range(1, 42):
        (guest / f"l{number}").symlink_to(f"l{number - 1}")
    with GuestTree(guest) as tree:
        assert b"".join(tree.read("l39")) == b"the guest's own"
        with pytest.raises(SalvageError, match="circle"):
            tree.resolve("l40")


@pytest.mark.hostile(34)
def test_reading_never_leaves_the_tree(guest: Path) -> None:
    with GuestTree(guest) as tree:
        for path in ("abs", "out", "root/etc/passwd"):
            assert b"".join(tree.read(path)) == b"the guest's own"


@pytest.mark.hostile(35)
def test_pipes_sockets_devices_and_folders_are_refused_at_once(guest: Path) -> None:
    os.mkfifo(guest / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(guest, os.O_PATH)
        listener.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
    paths = ["fifo", "socket", "etc"]
    if os.geteuid() == 0:
        os.mknod(guest / "null", 0o20666, os.makedev(1, 3))
        paths.append("null")
    with GuestTree(guest) as tree:
        for path in paths:
            with pytest.raises(SalvageError, match=path):
                tree.open_file(path)


def test_listing_tells_every_kind_and_raw_names(guest: Path) -> None:
    os.mkfifo(guest / "etc" / "fifo")
    (guest / "etc" / "a\nb").write_bytes(b"123")
    with open(os.fsencode(guest) + b"/etc/\xff", "wb"):
        pass
    os.utime(guest / "etc" / "a\nb", ns=(1, -5))
    with GuestTree(guest) as tree:
        entries = {entry.name: entry for entry in tree.entries("folder")}
    assert sorted(entries) == [b"a\nb", b"fifo", b"passwd", b"sub", b"\xff"]
    assert entries[b"fifo"].kind == "fifo" and entries[b"sub"].kind == "dir"
    assert (entries[b"a\nb"].size, entries[b"a\nb"].mtime_ns) == (3, -5)
    with GuestTree(guest) as tree:
        links = {entry.name: entry.target for entry in tree.entries("/") if entry.kind == "symlink"}
    assert links[b"abs"] == b"/etc/passwd" and links[b"self"] == b"self"


def test_a_file_is_its_own_listing(guest: Path) -> None:
    with GuestTree(guest) as tree:
        assert [entry.name for entry in tree.entries("abs")] == [b"passwd"]


@pytest.mark.hostile(37)
def test_a_path_deeper_than_the_system_takes_is_resolved(guest: Path) -> None:
    depth, here = 3000, os.open(guest, os.O_RDONLY)
    for _level in range(depth):
        os.mkdir("deep", dir_fd=here)
        below = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    with os.fdopen(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=here), "w") as sink:
        sink.write("reached")
    os.close(here)
    with GuestTree(guest) as tree:
        path = "deep/" * depth
        assert b"".join(tree.read(path + "bottom")) == b"reached"
        assert b"".join(tree.read(path + "../" * depth + "abs")) == b"the guest's own"


def test_no_descriptor_stays_open(guest: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with GuestTree(guest) as tree:
        tree.entries("/")
        b"".join(tree.read("abs"))
        with pytest.raises(SalvageError):
            tree.resolve("etc/sub/no")
    assert len(os.listdir("/proc/self/fd")) == before
