"""What is said before the first byte of a backup."""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.cancel import CancelToken
from core.disks.backup import backup
from core.disks.outlook import outlook, require_outside
from core.errors import NoSpace, Refused
from tests.conftest import needs_root
from tests.core.disks.disk_images import SIZE, content, opened

LARGE = 1 << 40


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    path = content(tmp_path / "disk.raw")
    os.truncate(path, LARGE)
    return path


def test_only_what_is_in_use_has_to_fit(sparse: Path, tmp_path: Path) -> None:
    seen = outlook(opened(sparse), tmp_path / "copy")
    assert SIZE // 2 <= seen.needed <= 2 * SIZE
    assert not seen.refusal
    assert seen.places == (tmp_path / "copy",)
    assert list(tmp_path.iterdir()) == [sparse]


def test_the_same_medium_is_a_warning_and_no_refusal(sparse: Path, tmp_path: Path) -> None:
    seen = outlook(opened(sparse), tmp_path / "copy")
    assert seen.same_medium
    assert "same medium" in seen.sentence()
    if os.access("/dev/shm", os.W_OK):
        assert not outlook(opened(sparse), Path("/dev/shm/copy")).same_medium


def test_what_is_missing_of_the_disk_is_missing_in_its_backup(tmp_path: Path) -> None:
    base, disk = content(tmp_path / "base.raw"), tmp_path / "disk.qcow2"
    make = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", disk]
    subprocess.run(make, check=True)
    base.unlink()
    told = f"{base} is missing: what lies only in it is not in the backup"
    assert told in outlook(opened(disk), tmp_path / "copy").sentence()
    made = backup(opened(disk), tmp_path / "copy", CancelToken(), lambda _progress: None)
    assert told in made.notes[0]


def test_what_an_earlier_run_left_need_not_fit_again(sparse: Path, tmp_path: Path) -> None:
    (tmp_path / ".copy.virt-salvage-part").write_bytes(bytes(range(256)) * 4096)
    seen = outlook(opened(sparse), tmp_path / "copy")
    assert seen.resumes == 1 << 20
    assert "unfinished copy" in seen.sentence()


def test_a_file_that_is_too_large_for_the_target_is_refused_before(sparse: Path, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, limits[1]))
    try:
        assert "1.0 TiB cannot be kept" in outlook(opened(sparse), tmp_path / "copy").refusal
        with pytest.raises(NoSpace, match=r"1\.0 GiB is the most"):
            backup(opened(sparse), tmp_path / "copy", CancelToken(), lambda _progress: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == [sparse]


def test_fat_keeps_no_holes_and_no_large_file(
    sparse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.disks.outlook._system", lambda _folder: "vfat")
    seen = outlook(opened(sparse), tmp_path / "copy")
    assert seen.needed == LARGE
    assert seen.refusal
    os.truncate(sparse, 1 << 32)
    assert "cannot be kept" in outlook(opened(sparse), tmp_path / "copy").refusal
    os.truncate(sparse, (1 << 32) - 512)
    assert "cannot be kept" not in outlook(opened(sparse), tmp_path / "copy").refusal


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A disk, and a folder inside its own file system."""
    disk, point = tmp_path / "own.raw", tmp_path / "m"
    point.mkdir()
    with open(disk, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", disk], check=True)
    if subprocess.run(["mount", "-o", "loop,ro", disk, point], check=False).returncode:
        pytest.skip("no loop device here")
    yield disk, point
    subprocess.run(["umount", point], check=True)


@needs_root
@pytest.mark.skipif(shutil.which("mke2fs") is None, reason="no mke2fs here")
def test_a_target_inside_the_disk_itself_is_refused(mounted: tuple[Path, Path], sparse: Path) -> None:
    disk, point = mounted
    assert "inside the disk" in outlook(opened(disk), point / "copy").refusal
    with pytest.raises(Refused, match="inside the disk"):
        backup(opened(disk), point / "copy", CancelToken(), lambda _progress: None)
    require_outside(opened(sparse), point)
    assert outlook(opened(sparse), point / "copy").same_medium  # the loop's file lies on it too
