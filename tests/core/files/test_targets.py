"""Copies into archives, into a stream, and to where rsync and rclone reach: read by other programs."""

import hashlib
import io
import os
import shutil
import stat
import subprocess
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from core.cancel import CancelToken
from core.errors import NoSpace, Refused, SalvageError, WrongUsage
from core.files.archive import ArchiveFile, Stream
from core.files.choices import Choices
from core.files.content import ReadAt, read_at
from core.files.destination import Destination, destination
from core.files.outcome import Copied
from core.files.packing import pack
from core.files.progress import Progress
from core.files.sending import send
from core.files.tarring import acl_text
from core.files.tree import GuestTree
from core.runner import SystemRunner
from tests import hostile_tree
from tests.compare_trees import differences
from tests.conftest import needs_root
from tests.core.files.copying import ALL, check_sums, quiet, run

MINE = [b"SHA256SUMS", b"salvage-metadata.jsonl"]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile") / "tree"
    hostile_tree.build(root, 900)
    return root


def packed(root: Path, path: Path, *sources: bytes, choices: Choices = ALL, read: ReadAt = read_at) -> Copied:
    place = destination(str(path))
    out = ArchiveFile(path, place.shape, packed=place.compressed, replace=choices.existing == "replace")
    with GuestTree(root) as tree:
        return pack(tree, sources or (b"/",), out, CancelToken(), quiet, read=read, choices=choices)


def unpacked(archive: Path, into: Path) -> Path:
    into.mkdir()
    words = ["tar", "--extract", "--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner", "-p"]
    done = subprocess.run([*words, "-f", archive, "-C", into], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return into


@needs_root
@pytest.mark.parametrize("ending", [".tar", ".tar.zst"])
def test_a_hostile_tree_comes_out_of_a_tar_as_it_was(hostile: Path, tmp_path: Path, ending: str) -> None:
    archive = tmp_path / f"rescued{ending}"
    copied = packed(hostile, archive)
    sockets = [lost.path for lost in copied.lost_metadata]
    assert sockets == [b"/specials/socket"] and copied.unreadable == []
    assert copied.verified.whole
    out = unpacked(archive, tmp_path / "out")
    found = [line for line in differences(hostile, out, MINE) if "specials/socket" not in line]
    # The format has one name for a value that is no text, and tar takes the other names for text too
    assert [line for line in found if "user.odd" not in line and "attributes/" not in line] == []
    assert check_sums(out) == []
    lines = (tmp_path / f"rescued{ending}.SHA256SUMS").read_bytes()
    assert lines == (out / "SHA256SUMS").read_bytes() and len(lines.splitlines()) == copied.files
    assert sorted(os.listdir(tmp_path)) == ["out", archive.name, f"{archive.name}.SHA256SUMS"]
    assert archive.stat().st_mode & 0o777 == 0o600


@needs_root
def test_attributes_and_lists_come_out_of_a_tar(tmp_path: Path) -> None:
    root = tmp_path / "guest"
    root.mkdir()
    (root / "file").write_text("x")
    for name, value in (("user.x", b"\xff\n\0binary"), ("trusted.y", b"z"), ("security.label", b"l\0")):
        os.setxattr(root / "file", name, value)
    subprocess.run(["setfacl", "-m", "u:1234:rw,g:99:r,m::rw", root / "file"], check=True)
    (root / "sub").mkdir()
    subprocess.run(["setfacl", "-d", "-m", "u:77:rx", root / "sub"], check=True)
    packed(root, tmp_path / "a.tar")
    assert differences(root, unpacked(tmp_path / "a.tar", tmp_path / "out"), MINE) == []


def test_holes_stay_holes_in_a_tar(tmp_path: Path) -> None:
    root = tmp_path / "guest"
    root.mkdir()
    hostile_tree._sparse(os.fsencode(root / "sparse"))
    with open(root / "huge", "wb") as file:
        file.truncate(300 << 20)
        os.pwrite(file.fileno(), b"in the midst", 100 << 20)
    packed(root, tmp_path / "a.tar")
    assert (tmp_path / "a.tar").stat().st_size < 6 << 20
    out = unpacked(tmp_path / "a.tar", tmp_path / "out")
    assert differences(root, out, MINE) == []


def test_a_zip_holds_what_it_can_and_tells_the_rest(tmp_path: Path) -> None:
    root = tmp_path / "guest"
    (root / "folder").mkdir(parents=True)
    (root / "folder" / "text").write_text("text " * 9999)
    os.utime(root / "folder" / "text", ns=(0, 1_600_000_000 * 10**9))
    (root / "folder" / "text").chmod(0o640)
    os.link(root / "folder" / "text", root / "zz-again")
    (root / "link").symlink_to("folder/text")
    os.mkfifo(root / "pipe")
    (root / "Ümlaut").write_bytes(b"")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe")).write_text("no name for a zip")
    said: list[str] = []
    copied = packed(root, tmp_path / "a.zip", choices=Choices(tell=said.append, verify="all"))
    assert "times to the nanosecond" in said[0]
    assert {b"/pipe", b"/\xff\xfe"} <= {lost.path for lost in copied.lost_metadata}
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.testzip() is None
        by_name = {info.filename: info for info in archive.infolist()}
        assert set(by_name) == {
            *("folder/", "folder/text", "zz-again", "link", "Ümlaut", "%FF%FE"),
            *("SHA256SUMS", "salvage-metadata.jsonl"),
        }
        assert archive.read("folder/text") == b"text " * 9999
        assert by_name["folder/text"].external_attr >> 16 == stat.S_IFREG | 0o640
        assert archive.read("link") == b"folder/text"
        assert stat.S_ISLNK(by_name["link"].external_attr >> 16)
        assert by_name["folder/text"].date_time == (2020, 9, 13, 12, 26, 40)
        for line in archive.read("SHA256SUMS").decode().splitlines():
            digest, name = line.split("  ", 1)
            assert hashlib.sha256(archive.read(name)).hexdigest() == digest


def test_what_lends_rights_is_left_out_of_an_archive_until_asked(tmp_path: Path) -> None:
    root = tmp_path / "guest"
    root.mkdir()
    (root / "suid").write_text("x")
    (root / "suid").chmod(0o4755)
    copied = packed(root, tmp_path / "a.tar", choices=Choices())
    assert [lost.path for lost in copied.lost_metadata] == [b"/suid"]
    packed(root, tmp_path / "b.tar")
    with tarfile.open(tmp_path / "a.tar") as one, tarfile.open(tmp_path / "b.tar") as other:
        assert (one.getmember("suid").mode, other.getmember("suid").mode) == (0o755, 0o4755)
        assert "salvage-metadata.jsonl" in one.getnames()


def test_an_archive_that_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "guest").mkdir()
    (tmp_path / "a.tar").write_text("of the operator")
    with pytest.raises(Refused, match="not replaced"):
        packed(tmp_path / "guest", tmp_path / "a.tar", choices=Choices())
    assert (tmp_path / "a.tar").read_text() == "of the operator"
    packed(tmp_path / "guest", tmp_path / "a.tar", choices=Choices(existing="replace"))
    assert tarfile.is_tarfile(tmp_path / "a.tar")


def test_an_archive_is_whole_or_not_there(tmp_path: Path) -> None:
    root = tmp_path / "guest"
    root.mkdir()
    for number in range(5):
        (root / f"f{number}").write_bytes(os.urandom(100_000))
    calls = 0

    def read(fd: int, into: memoryview, offset: int) -> int:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return read_at(fd, into, offset)

    with pytest.raises(KeyboardInterrupt):
        packed(root, tmp_path / "a.tar", read=read)
    assert os.listdir(tmp_path) == ["guest"]
    packed(root, tmp_path / "a.tar")
    assert tarfile.is_tarfile(tmp_path / "a.tar")


def test_an_archive_that_does_not_fit_is_refused_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "guest").mkdir()
    (tmp_path / "guest" / "big").write_bytes(bytes(3 << 20))
    monkeypatch.setattr("core.files.space.free", lambda _place: 1 << 20)
    with pytest.raises(NoSpace):
        packed(tmp_path / "guest", tmp_path / "a.tar")
    assert os.listdir(tmp_path) == ["guest"]


def test_a_stream_is_a_whole_tar_and_a_reader_that_leaves_is_told(tmp_path: Path) -> None:
    root = tmp_path / "guest"
    root.mkdir()
    (root / "data").write_bytes(os.urandom(3 << 20))
    got = io.BytesIO()
    reading, writing = os.pipe()

    def read() -> None:
        with open(reading, "rb") as file:
            got.write(file.read())

    thread = threading.Thread(target=read)
    thread.start()
    with GuestTree(root) as tree:
        copied = pack(tree, [b"/"], Stream(writing), CancelToken(), quiet)
    os.close(writing)
    thread.join()
    got.seek(0)
    with tarfile.open(fileobj=got) as archive:
        assert archive.getnames() == ["data", "SHA256SUMS"]
        member = archive.extractfile("data")
        assert member and member.read() == (root / "data").read_bytes()
    assert copied.files == 1
    reading, writing = os.pipe()
    os.close(reading)
    with GuestTree(root) as tree, pytest.raises(SalvageError, match="went away"):
        pack(tree, [b"/"], Stream(writing), CancelToken(), quiet)
    os.close(writing)


def sent(root: Path, word: str, folder: Path, *sources: bytes, choices: Choices = ALL) -> Copied:
    folder.mkdir(exist_ok=True)
    with GuestTree(root) as tree:
        return send(tree, sources or (b"/",), destination(word), SystemRunner(), folder, quiet, choices)


@needs_root
def test_rsync_brings_a_hostile_tree_as_it_is(hostile: Path, tmp_path: Path) -> None:
    copied = sent(hostile, f"rsync:{tmp_path}/dest/", tmp_path / "own")
    assert copied.unreadable == [] and copied.verified.whole
    assert differences(hostile, tmp_path / "dest", MINE) == []
    assert check_sums(tmp_path / "dest") == []
    (tmp_path / "dest/sparse/head").write_bytes(b"flipped" + bytes((3 << 20) - 7))
    os.utime(tmp_path / "dest/sparse/head", ns=(0, os.stat(hostile / "sparse/head").st_mtime_ns))
    with pytest.raises(SalvageError, match="not what was sent"):
        sent(hostile, f"rsync:{tmp_path}/dest/", tmp_path / "own")


@needs_root
def test_rsync_gives_no_rights_unasked_and_takes_sources_by_name(tmp_path: Path) -> None:
    root = tmp_path / "guest"
    (root / "home/ann").mkdir(parents=True)
    (root / "home/ann/suid").write_text("x")
    (root / "home/ann/suid").chmod(0o4755)
    (root / "-odd").write_text("odd")
    sent(root, f"rsync:{tmp_path}/dest", tmp_path / "own", b"/home/ann", b"/-odd", choices=Choices())
    assert (tmp_path / "dest/ann/suid").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "dest/-odd").read_text() == "odd"
    assert check_sums(tmp_path / "dest") == []


@pytest.mark.skipif(shutil.which("rclone") is None, reason="rclone is not installed")
def test_rclone_brings_content_and_checks_it(tmp_path: Path) -> None:
    root = tmp_path / "guest"
    (root / "home/ann").mkdir(parents=True)
    (root / "home/ann/letter").write_text("dear")
    (root / "file").write_text("file")
    copied = sent(root, f"rclone:{tmp_path}/dest", tmp_path / "own", b"/home", b"/file")
    assert copied.verified.whole and copied.files == 2
    assert (tmp_path / "dest/home/ann/letter").read_text() == "dear"
    assert check_sums(tmp_path / "dest") == []


def test_what_a_destination_means(tmp_path: Path) -> None:
    (tmp_path / "folder.tar").mkdir()
    assert destination("-").shape == "stream"
    assert destination(f"{tmp_path}/folder.tar").shape == "folder"
    assert destination(f"{tmp_path}/new.tar") == Destination("tar", tmp_path / "new.tar")
    assert destination(f"{tmp_path}/new.tar.zst").compressed
    assert destination(f"{tmp_path}/new.zip").shape == "zip"
    places = ("root@backup:x", "[fe80::1]:/x", "rsync://backup/module", "backup::module", "/srv/nfs/x")
    for place in places:
        assert destination(f"rsync:{place}").remote == place
    for place in ("remote:", "remote:x/y", ":local:/x"):
        assert destination(f"rclone:{place}").remote == place
    here = ("rsync:root@backup", "rsync:srv/x:y", "rclone:remote")
    """Without a host both programs take it for a path of this one, below the root folder."""
    for wrong in ("rsync:", "rsync:-e sh", "rclone:", *here):
        with pytest.raises(WrongUsage):
            destination(wrong)


def test_an_acl_is_written_as_text() -> None:
    value = bytes.fromhex("02000000" + "01000600ffffffff" + "02000600d2040000" + "04000400ffffffff")
    assert acl_text(value) == "user::rw-,user:1234:rw-,group::r--"
    assert acl_text(b"nonsense") == ""


@pytest.mark.parametrize("name", ["out", "out.tar"])
def test_links_and_pipes_are_no_files(name: str, tmp_path: Path) -> None:
    root = tmp_path / "guest"
    root.mkdir()
    for number in range(3):
        (root / f"file{number}").write_text("x")
        (root / f"link{number}").symlink_to(f"file{number}")
    os.mkfifo(root / "pipe")
    (root / "again").hardlink_to(root / "file0")
    seen: list[Progress] = []
    if name == "out":
        copied = run(root, tmp_path / name, progress=seen.append)
    else:
        with GuestTree(root) as tree:
            archive = ArchiveFile(tmp_path / name, "tar", packed=False, replace=False)
            copied = pack(tree, [b"/"], archive, CancelToken(), seen.append)
    assert (seen[-1].files_done, seen[-1].files_total) == (copied.files, 4) == (4, 4)
