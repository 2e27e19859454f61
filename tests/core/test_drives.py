"""Drives without a medium; with one they are read in the test machine, see tests/vm/test_filesystems.py."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import drives
from core.disks.header import open_to_read
from core.drives import NoMedium
from core.tables import sectors
from tests.conftest import Program, needs_root

pytestmark = needs_root


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Path]:
    """A block device in the place of one."""
    (tmp_path / "medium").write_bytes(bytes(1 << 20))
    attach = ["losetup", "--find", "--show", "--read-only", tmp_path / "medium"]
    device = Path(subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip())
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def test_a_cd_drive_that_says_that_it_is_empty_is_not_opened(
    drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_now = len(os.listdir("/proc/self/fd"))
    for status in (1, 2):
        monkeypatch.setattr(drives, "_status", lambda fd, status=status: status)
        for opened in (open_to_read, sectors.opened):
            with pytest.raises(NoMedium, match=f"no medium in the drive {drive}"):
                opened(drive)
    assert len(os.listdir("/proc/self/fd")) == open_now


@pytest.mark.parametrize(
    ("number", "floppy", "told"),
    [
        (errno.ENOMEDIUM, False, "There is no medium in the drive"),
        (errno.ENXIO, True, "There is no medium in the drive"),
        (errno.ENXIO, False, "No such device or address"),
    ],
)
def test_what_the_kernel_says_of_an_empty_drive(
    number: int, floppy: bool, told: str, drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = os.open

    def empty(path: str | Path, flags: int, *words: int) -> int:
        if not flags & os.O_NONBLOCK and str(path).startswith("/proc/self/fd/"):
            raise OSError(number, os.strerror(number))
        return plain(path, flags, *words)

    if floppy:
        monkeypatch.setattr(drives, "_FLOPPY", os.major(drive.stat().st_rdev))
    monkeypatch.setattr("os.open", empty)
    for opened in (open_to_read, sectors.opened):
        with pytest.raises(drives.SalvageError, match=told):
            opened(drive)


def test_a_device_with_a_medium_is_opened_as_everybody_does(drive: Path, program: Program) -> None:
    for opened in (open_to_read, sectors.opened):
        fd = opened(drive)
        assert os.pread(fd, 512, 0) == bytes(512)
        assert os.get_blocking(fd)
        assert not os.get_inheritable(fd)
        os.close(fd)
    assert program("inspect", drive).status == 0
