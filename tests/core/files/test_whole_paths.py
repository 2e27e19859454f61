"""Two sources of one name, and copies that keep the guest's whole paths."""

import os
import subprocess
import tarfile
from contextlib import ExitStack
from pathlib import Path
from zipfile import ZipFile

import pytest

from core.cancel import CancelToken
from core.errors import AlreadyThere, SameName
from core.files.archive import ArchiveFile
from core.files.byhand import by_hand
from core.files.choices import Choices
from core.files.delivery import deliver, room_for
from core.files.destination import Destination, destination
from core.files.estimate import estimate
from core.files.outcome import Copied
from core.files.packing import pack
from core.files.sources import already_there, roads_of
from core.files.tree import GuestTree
from core.runner import SystemRunner
from tests.core.files.copying import ALL, check_sums, quiet, run

WHOLE = Choices(paths=True, privileges=True, verify="all")
BOTH = (b"/b/data", b"/a/data", b"/a/deep/er/file")
"""What is kept of them: not the files beside."""
THERE = ["a/data/one", "a/deep/er/file", "b/data/two"]


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    root = tmp_path / "guest"
    for path in (*THERE, "a/beside", "c/data"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    (root / "a").chmod(0o711)
    os.utime(root / "a", ns=(1_000, 5_000_000_000))
    return root


def files_in(folder: Path) -> list[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if not path.name.startswith(("SHA256SUMS", "salvage-")))


def test_two_of_one_name_are_refused_and_their_whole_paths_are_not(guest: Path, tmp_path: Path) -> None:
    with pytest.raises(SameName, match="Two sources are called data"):
        run(guest, tmp_path / "out", *BOTH)
    copied = run(guest, tmp_path / "out", *BOTH, choices=WHOLE)
    assert copied.whole and (copied.files, copied.directories) == (3, 6)
    assert files_in(tmp_path / "out") == THERE
    assert check_sums(tmp_path / "out") == []
    above = (tmp_path / "out/a").stat()
    assert (above.st_mode & 0o7777, above.st_mtime_ns) == (0o711, 5_000_000_000)


def test_what_lies_in_another_source_comes_once_and_all_of_it_at_the_top(guest: Path, tmp_path: Path) -> None:
    copied = run(guest, tmp_path / "out", b"/a", b"/a/data", b"/a/data/", b"/c/data", choices=WHOLE)
    assert copied.files == 4
    assert files_in(tmp_path / "out") == ["a/beside", "a/data/one", "a/deep/er/file", "c/data"]
    assert run(guest, tmp_path / "all", b"/", b"/a", choices=WHOLE).files == 5
    assert "a/beside" in files_in(tmp_path / "all")


def test_the_next_run_goes_on_and_counts_what_is_there(guest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(guest, out, b"/a/data", choices=WHOLE)
    with GuestTree(guest) as tree, ExitStack() as stack:
        roads = roads_of(tree, BOTH, stack, whole=True)
        assert already_there(out, roads, CancelToken()) > 0
    again = run(guest, out, *BOTH, choices=WHOLE)
    assert (again.files, again.skipped_same) == (3, 1)
    assert run(guest, out, *BOTH, choices=WHOLE).skipped_same == 3
    assert check_sums(out) == []


def test_a_file_in_the_place_of_a_folder_above_is_told_once(guest: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a").write_text("mine")
    copied = run(guest, tmp_path / "out", *BOTH, choices=WHOLE)
    assert [gap.path for gap in copied.unreadable] == [b"/a"]
    assert (tmp_path / "out/a").read_text() == "mine" and (tmp_path / "out/b/data/two").exists()


def packed(guest: Path, path: Path) -> Copied:
    place = destination(str(path))
    out = ArchiveFile(path, place.shape, packed=place.compressed, replace=False)
    with GuestTree(guest) as tree:
        return pack(tree, BOTH, out, CancelToken(), quiet, choices=WHOLE)


def test_archives_keep_them_too(guest: Path, tmp_path: Path) -> None:
    packed(guest, tmp_path / "x.tar")
    with tarfile.open(tmp_path / "x.tar") as tar:
        names = tar.getnames()
        assert tar.getmember("a").mode == 0o711
    assert [one for one in names if one in THERE] == THERE and len(names) == len(set(names))
    packed(guest, tmp_path / "x.zip")
    with ZipFile(tmp_path / "x.zip") as archive:
        assert [one for one in archive.namelist() if one in THERE] == THERE
    lines = (tmp_path / "x.zip.SHA256SUMS").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == THERE


@pytest.mark.parametrize("shape", ["rsync", "rclone"])
def test_other_machines_get_them_too(
    shape: str, guest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rclone.conf").write_text("[near]\ntype = local\n")
    monkeypatch.setenv("RCLONE_CONFIG", str(tmp_path / "rclone.conf"))
    out, own = tmp_path / "far", tmp_path / "own"
    own.mkdir()
    place = Destination("rsync", remote=f"{out}/") if shape == "rsync" else destination(f"rclone:near:{out}")
    with GuestTree(guest) as tree:
        copied = deliver(tree, BOTH, place, SystemRunner(), own, quiet, WHOLE, read=os.pread, stream=1)
    assert copied.whole and copied.files == 3
    assert files_in(out) == THERE and check_sums(out) == []
    if shape == "rsync":
        assert (out / "a").stat().st_mode & 0o7777 == 0o711


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("name", ["folder", "x.tar", "x.zip"])
def test_what_one_would_type_brings_the_same_names(
    name: str, whole: bool, guest: Path, tmp_path: Path
) -> None:
    sources = BOTH if whole else (b"/a/data", b"/a/deep/er", b"/b/")
    place = destination(str(tmp_path / name))
    if name == "folder":
        (tmp_path / name).mkdir()
    line = by_hand(guest, sources, place, Choices(paths=whole)).shell()
    subprocess.run(["bash", "-ec", line], check=True, capture_output=True)
    if name == "folder":
        found = files_in(tmp_path / name)
    elif name == "x.tar":
        with tarfile.open(tmp_path / name) as tar:
            found = sorted(one.name.removeprefix("./") for one in tar if one.isfile())
    else:
        with ZipFile(tmp_path / name) as archive:
            found = sorted(one for one in archive.namelist() if not one.endswith("/"))
    assert found == (THERE if whole else ["data/one", "data/two", "er/file"])


def test_what_is_known_to_end_the_copy_is_told_before_it_begins(guest: Path, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_text("mine")
    with GuestTree(guest) as tree:
        expected = estimate(tree, BOTH, CancelToken())
        for place in (destination(str(tmp_path / "y.zip")), destination("rsync:host:/srv")):
            with pytest.raises(SameName):
                room_for(tree, BOTH, place, expected, CancelToken(), ALL)
        with pytest.raises(AlreadyThere):
            room_for(tree, BOTH, destination(str(tmp_path / "x.tar")), expected, CancelToken(), WHOLE)
