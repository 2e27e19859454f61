"""A backup is the same bytes, whole or not there at all."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from core.cancel import CancelToken
from core.disks import outlook
from core.disks.backup import BackedUp, backup
from core.disks.medium import Buffer, Medium
from core.disks.model import Disk
from core.errors import NoSpace, Refused, SalvageError
from core.files.progress import Progress
from tests.core.disks.disk_images import SIZE, content, converted, created, opened


def _backup(disk: Disk, dest: Path, cancel: CancelToken | None = None) -> BackedUp:
    return backup(disk, dest, cancel or CancelToken(), lambda _progress: None)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    (tmp_path / "vm").mkdir()
    return opened(content(tmp_path / "vm" / "disk.raw"))


def test_one_file_lands_at_the_target_with_mode_times_and_holes(disk: Disk, tmp_path: Path) -> None:
    os.truncate(disk.path, 1 << 26)
    os.chmod(disk.path, 0o640)
    os.utime(disk.path, (1000000000, 1000000000))
    done = _backup(opened(disk.path), tmp_path / "copy.raw")
    copy = tmp_path / "copy.raw"
    assert done.paths == (copy,)
    assert done.whole
    assert _digest(copy) == _digest(disk.path)
    assert copy.stat().st_mode & 0o777 == 0o640
    assert copy.stat().st_mtime == 1000000000
    assert copy.stat().st_blocks * 512 < 2 * SIZE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.raw", "copy.raw.sha256", "vm"]
    subprocess.run(["sha256sum", "--check", "--strict", done.manifest.name], cwd=tmp_path, check=True)
    shown = done.to_json()
    assert (shown["files"], shown["bytes"], shown["unreadable"]) == (1, 1 << 26, [])


@pytest.mark.parametrize("behind", [4096, 8192, 1 << 20])
def test_a_sector_before_a_hole_is_copied(tmp_path: Path, behind: int) -> None:
    """As a partition table lies before its first partition: less than what is read back as a sample."""
    disk = tmp_path / "disk.raw"
    with open(disk, "wb") as file:
        file.write(os.urandom(512))
        file.truncate(3 << 20)
        file.seek(behind + (1 << 20))
        file.write(os.urandom(4096))
    assert _backup(opened(disk), tmp_path / "copy.raw").whole
    assert _digest(tmp_path / "copy.raw") == _digest(disk)


def test_it_lands_inside_a_folder_under_its_own_name(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    assert _backup(disk, tmp_path / "to").paths == (tmp_path / "to" / "disk.raw",)


def test_a_chain_is_copied_whole_and_opens_from_the_copy(tmp_path: Path) -> None:
    vm = tmp_path / "vm"
    vm.mkdir()
    converted(content(tmp_path / "raw"), vm / "base.qcow2", "qcow2")
    created(vm / "top.qcow2", "qcow2", "-F", "qcow2", "-b", "base.qcow2")
    done = _backup(opened(vm / "top.qcow2"), tmp_path / "to")
    assert [path.name for path in done.paths] == ["top.qcow2", "base.qcow2"]
    assert done.manifest == tmp_path / "to" / "SHA256SUMS"
    subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=tmp_path / "to", check=True)
    assert opened(tmp_path / "to" / "top.qcow2").chain[1].path == tmp_path / "to" / "base.qcow2"


def test_a_name_with_a_line_break_keeps_the_manifest_readable(disk: Disk, tmp_path: Path) -> None:
    done = _backup(disk, tmp_path / "a\nb\\c")
    subprocess.run(["sha256sum", "--check", "--strict", done.manifest], cwd=tmp_path, check=True)


def test_nothing_is_ever_replaced(disk: Disk, tmp_path: Path) -> None:
    target = tmp_path / "there"
    target.write_text("precious")
    with pytest.raises(Refused):
        _backup(disk, target)
    assert target.read_text() == "precious"
    with pytest.raises(Refused):
        _backup(disk, disk.path)
    (tmp_path / "other.sha256").write_text("precious")
    with pytest.raises(Refused):
        _backup(disk, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_file_that_appears_meanwhile_is_not_replaced(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "copy"
    done: list[Progress] = []

    def progress(step: Progress) -> None:
        done.append(step)

    def appear(*_any: Any) -> None:
        target.write_text("precious")

    monkeypatch.setattr("core.disks.backup._Copy.require_same", appear)
    with pytest.raises(Refused):
        backup(disk, target, CancelToken(), progress)
    assert target.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "vm"]


def test_no_room_is_said_before_the_first_byte(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlook, "free", lambda _path: 4096)
    monkeypatch.setattr("core.disks.backup.clone", lambda *_any: False)
    monkeypatch.setattr("core.disks.backup._Copy.fill", lambda *_any: pytest.fail("it began to copy"))
    with pytest.raises(NoSpace, match=r"4\.0 KiB are free"):
        _backup(disk, tmp_path / "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["vm"]


def test_a_disk_that_changes_meanwhile_is_no_backup(disk: Disk, tmp_path: Path) -> None:
    def touch(_progress: Progress) -> None:
        os.utime(disk.path, (1, 1))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.files.progress._INTERVAL", 0)
        with pytest.raises(SalvageError, match="changed while"):
            backup(disk, tmp_path / "copy", CancelToken(), touch)
    assert [path.name for path in tmp_path.iterdir()] == ["vm"]


@pytest.mark.parametrize("moment", ["at once", "later"])
def test_a_target_that_lies_is_found_out(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """A byte is lost on the way; or all is well at first and is overwritten by what comes later."""
    real_write, real_put = Medium._write, Medium.put

    def write(fd: int, data: memoryview, offset: int) -> None:
        real_write(fd, data[4096:], offset + 4096)

    def put(medium: Medium, piece: Buffer, offset: int, count: int) -> bool:
        was_good = real_put(medium, piece, offset, count)
        os.pwrite(medium.fd, b"!" * 4096, offset)
        os.fsync(medium.fd)
        return was_good

    if moment == "at once":
        monkeypatch.setattr(Medium, "_write", staticmethod(write))
    else:
        monkeypatch.setattr(Medium, "put", put)
    monkeypatch.setattr("core.disks.backup.clone", lambda *_any: False)
    with pytest.raises(SalvageError, match="not what was read"):
        _backup(disk, tmp_path / "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["vm"]


def test_the_progress_ends_at_all(disk: Disk, tmp_path: Path) -> None:
    steps: list[Progress] = []
    backup(disk, tmp_path / "copy", CancelToken(), steps.append)
    assert (steps[-1].files_done, steps[-1].bytes_done, steps[-1].bytes_total) == (1, SIZE, SIZE)


def test_a_file_system_without_direct_writes_does_too(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Path("/dev/shm")
    if not os.access(place, os.W_OK):
        pytest.skip("nowhere in memory to write to")
    monkeypatch.setattr("core.disks.medium.open_direct", lambda *_any: -1)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        copy = Path(folder) / "copy"
        _backup(disk, copy)
        assert _digest(copy) == _digest(disk.path)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system with shared blocks, which needs root")
@pytest.mark.skipif(shutil.which("mkfs.xfs") is None, reason="no mkfs.xfs here")
def test_shared_blocks_are_used_where_the_file_system_has_them(tmp_path: Path) -> None:
    image, place = tmp_path / "fs", tmp_path / "mnt"
    place.mkdir()
    with open(image, "wb") as file:
        file.truncate(400 << 20)
    subprocess.run(["mkfs.xfs", "-q", str(image)], check=True)
    if subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=False).returncode:
        pytest.skip("no loop device or no XFS here")
    try:
        source = content(place / "disk.raw")
        done = _backup(opened(source), place / "copy.raw")
        assert done.reflinked and "shares its blocks" in done.notes[0]
        assert _digest(place / "copy.raw") == _digest(source)
    finally:
        subprocess.run(["umount", str(place)], check=True)
