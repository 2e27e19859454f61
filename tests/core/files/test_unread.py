"""What cannot be read is told in plain words, with the system's own beside them, wherever it is met."""

import errno
import json
import subprocess
from pathlib import Path

import pytest

from core.files.unread import hint, reason, why
from tests.conftest import Guard, Program, needs_root
from tests.hostile.volumes import filled


@pytest.mark.parametrize("code", [errno.EUCLEAN, errno.EBADMSG])
def test_a_damaged_file_system_is_called_that(code: int) -> None:
    """Both are the kernel's: a record that makes no sense, and one whose checksum is wrong."""
    assert "file system is damaged" in why(code)
    told = reason(OSError(code, ""))
    assert "file system is damaged" in told and "--repair" in told
    assert "--repair" in hint(code)


def test_an_error_of_reading_may_be_the_disk_or_the_file_system() -> None:
    assert "disk cannot be read" in why(errno.EIO) and "Input/output error" in why(errno.EIO)
    assert "--repair" not in reason(OSError(errno.EIO, ""))


def test_any_other_is_told_as_the_system_does() -> None:
    assert why(errno.EACCES) == "Permission denied"
    assert reason(OSError(errno.EACCES, "")) == "The system says: Permission denied."


@needs_root
def test_a_damaged_inode_is_told_by_every_verb(program: Program, tmp_path: Path, guard: Guard) -> None:
    disk = filled(tmp_path / "disk.raw")
    subprocess.run(
        ["debugfs", "-w", "-R", "set_inode_field /letter block[0] 0xdead", disk],
        check=True,
        capture_output=True,
    )
    guard.watch(disk)
    plain = "he file system is damaged"
    told = program("ls", "--format", "raw", disk, "disk")
    assert told.status == 4, told
    assert "not read: letter: t" + plain in told.err
    assert "1970" not in told.out, "what is not known is not told as nothing"
    told = program("ls", "--json", "--format", "raw", disk, "disk")
    entry = next(one for one in json.loads(told.out)["entries"] if one["name"] == "letter")
    assert plain in entry["error"] and told.status == 4
    told = program("cat", "--format", "raw", disk, "disk", "/letter")
    assert told.status == 1, told
    assert plain in told.err and "--repair" in told.err
    told = program("copy", "--json", "--format", "raw", disk, "disk", "/", tmp_path / "out")
    assert told.status == 4, told
    (gap,) = json.loads(told.out)["unreadable"]
    assert plain in gap["error"] and "Structure needs cleaning" in gap["error"] and "--repair" in gap["error"]
    assert plain in (tmp_path / "out/salvage-report.md").read_text()
