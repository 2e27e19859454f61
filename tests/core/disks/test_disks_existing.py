"""A backup that exists: found by its name, believed only by its content."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from core.errors import PointsOutside, Refused
from core.runner import SystemRunner
from core.session import Session
from core.undo.state import StateFolder
from tests.core.disks.disk_images import converted, created, patched

SIZE = 6 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    (tmp_path / "vm").mkdir()
    return _made(tmp_path / "vm/web01.raw")


def _made(path: Path) -> Path:
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", path, f"{SIZE >> 10}k"], check=True)
    return path


def _verdict(tmp_path: Path, disk: Path, backup: Path, format: str = "raw") -> tuple[str, str, int | None]:
    with Session(StateFolder(tmp_path / "state"), SystemRunner()) as session:
        session.select(str(disk), format)
        found = session.examine_backup(backup, lambda _progress: None)
    return found.kind, found.sentence, found.differing


def test_what_is_named_like_a_backup_is_found_newest_first(disk: Path, tmp_path: Path) -> None:
    names = ["web01.raw.bak", "web01.raw~", "web01.raw.20240131", "web01-2024-01-31.raw", "web01.backup.raw"]
    others = [
        "web01.raw.sha256",
        "web02.raw.bak",
        "web01.raw.txt",
        ".web01.raw.virt-salvage-part",
        "web011.raw",
    ]
    for number, name in enumerate([*names, *others]):
        (disk.parent / name).write_bytes(b"x")
        os.utime(disk.parent / name, (1000 + number, 1000 + number))
    with Session(StateFolder(tmp_path / "state"), SystemRunner()) as session:
        session.select(str(disk), "raw")
        assert [one.path.name for one in session.find_backups()] == names[::-1]
        other = tmp_path / "elsewhere"
        other.mkdir()
        shutil.copy(disk, other / disk.name)
        assert [one.path for one in session.find_backups(other)] == [other / disk.name]
        assert [one.path for one in session.find_backups(other / disk.name)] == [other / disk.name]


def test_one_of_ours_is_found_with_its_checksums_and_is_the_same(disk: Path, tmp_path: Path) -> None:
    with Session(StateFolder(tmp_path / "state"), SystemRunner()) as session:
        session.select(str(disk), "raw")
        session.backup(disk.with_name("web01.raw.bak"), lambda _progress: None)
        found = session.find_backups()
    assert [(one.path.name, one.verified) for one in found] == [("web01.raw.bak", True)]
    assert _verdict(tmp_path, disk, found[0].path)[0] == "same"


def test_an_earlier_state_says_how_much_and_how_old(disk: Path, tmp_path: Path) -> None:
    backup = Path(shutil.copy(disk, tmp_path / "old"))
    os.utime(backup, (os.stat(disk).st_mtime - 7200,) * 2)
    patched(disk, 4 << 20, b"written since")
    os.utime(disk, (os.stat(backup).st_mtime + 7200,) * 2)
    kind, sentence, differing = _verdict(tmp_path, disk, backup)
    assert (kind, differing) == ("state", 64 << 10)
    assert "64.0 KiB differ" in sentence and "2 h before" in sentence and "when it was copied" in sentence


def test_another_disk_is_known_as_such(disk: Path, tmp_path: Path) -> None:
    kind, sentence, _differing = _verdict(tmp_path, disk, _made(tmp_path / "other"))
    assert kind == "other" and "another disk" in sentence


def test_a_backup_that_is_cut_short_is_no_backup(disk: Path, tmp_path: Path) -> None:
    backup = Path(shutil.copy(disk, tmp_path / "short"))
    os.truncate(backup, SIZE - (1 << 20))
    kind, sentence, _differing = _verdict(tmp_path, disk, backup)
    assert kind == "damaged" and "1.0 MiB are missing" in sentence


def test_a_copy_of_a_qcow2_that_is_cut_short_is_no_other_state(disk: Path, tmp_path: Path) -> None:
    """Whatever its time says: a copy is newer than what it is of."""
    disk = converted(disk, tmp_path / "web01.qcow2", "qcow2")
    backup = Path(shutil.copy(disk, tmp_path / "short.qcow2"))
    os.truncate(backup, disk.stat().st_size - (128 << 10))
    kind, sentence, _differing = _verdict(tmp_path, disk, backup, "qcow2")
    assert kind == "damaged" and "as far as it goes" in sentence and "128.0 KiB are missing" in sentence


def test_a_header_that_cannot_be_true_is_damage(disk: Path, tmp_path: Path) -> None:
    backup = patched(converted(disk, tmp_path / "b.qcow2", "qcow2"), 20, b"\xff" * 20)
    assert _verdict(tmp_path, disk, backup)[0] == "damaged"


def test_another_format_is_compared_by_what_the_machine_sees(disk: Path, tmp_path: Path) -> None:
    backup = converted(disk, tmp_path / "b.qcow2", "qcow2", "compression_type=zstd")
    assert _verdict(tmp_path, disk, backup)[0] == "same"
    patched(disk, 4 << 20, b"written since")
    assert _verdict(tmp_path, disk, backup)[:1] == ("state",)


def test_a_backup_may_not_lead_elsewhere(disk: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    backup = created(tmp_path / "b/b.qcow2", "qcow2", "-F", "raw", "-b", str(disk), size=None)
    with pytest.raises((PointsOutside, Refused)):
        _verdict(tmp_path, disk, backup)
