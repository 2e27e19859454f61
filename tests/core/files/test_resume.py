"""A copy that goes on where it was cut off reads what is missing, and trusts nothing else than it may."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.cancel import CancelToken
from core.errors import Cancelled
from core.files import resume
from core.files.content import read_at
from core.files.progress import Progress
from core.files.target import JOURNAL
from tests import hostile_tree
from tests.compare_trees import differences
from tests.conftest import needs_root
from tests.core.files.copying import ALL, check_sums, run

ROOT = Path(__file__).parents[3]
MINE = [b"SHA256SUMS", b"salvage-metadata.jsonl"]
FILES, SIZE = 60, 5000
_KILLED = """
import os, signal, sys
from pathlib import Path
from core.files import copy, resume
from core.files.content import read_at
from tests.core.files.copying import run
resume.EVERY = float(sys.argv[3])
copy.WORTH = 1 << 40  # every file is read by this process
left = int(sys.argv[4])
def read(fd, into, offset):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return read_at(fd, into, offset)
run(Path(sys.argv[1]), Path(sys.argv[2]), read=read)
"""


class Counting:
    """Reads, and counts how much."""

    def __init__(self) -> None:
        self.bytes = 0

    def __call__(self, fd: int, into: memoryview, offset: int) -> int:
        count = read_at(fd, into, offset)
        self.bytes += count
        return count


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("a", "b", "b/c"):
        (tmp_path / "guest" / folder).mkdir(parents=True)
        for number in range(FILES // 3):
            (tmp_path / "guest" / folder / f"{number:03}").write_bytes(os.urandom(SIZE))
    return tmp_path / "guest"


def killed(root: Path, dest: Path, every: float, reads: int) -> None:
    command = [sys.executable, "-c", _KILLED, root, dest, str(every), str(reads)]
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_what_was_finished_is_not_read_again(root: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    killed(root, dest, 0, 40)
    read = Counting()
    copied = run(root, dest, read=read)
    assert copied.whole and copied.files == FILES and copied.skipped_same == 39
    assert read.bytes == (FILES - 39) * SIZE
    assert copied.verified.whole and copied.verified.files == FILES, "reading back is another thing"
    assert differences(root, dest, MINE) == [] and check_sums(dest) == []
    assert not (dest / os.fsdecode(JOURNAL)).exists()


def test_cut_off_again_and_again_each_file_is_read_once(root: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    for _time in range(3):
        killed(root, dest, 0, 11)
    read = Counting()
    copied = run(root, dest, read=read)
    assert copied.whole and read.bytes == (FILES - 30) * SIZE


def test_what_may_not_be_on_the_medium_is_read_again(root: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    killed(root, dest, 1000, 40)
    read = Counting()
    copied = run(root, dest, read=read)
    assert copied.whole and copied.skipped_same == 39 and read.bytes == FILES * SIZE


def changed_copy(root: Path, dest: Path) -> None:
    path = dest / "a/005"
    then = path.stat()
    path.write_bytes(os.urandom(SIZE))
    os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))


def changed_source(root: Path, dest: Path) -> None:
    path = root / "a/005"
    then = path.stat()
    path.write_bytes(os.urandom(SIZE))
    os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))


def other_file(root: Path, dest: Path) -> None:
    (dest / "a/005").rename(dest / "aside")
    (dest / "a/005").write_bytes((root / "a/006").read_bytes())
    then = (dest / "aside").stat()
    os.utime(dest / "a/005", ns=(then.st_atime_ns, then.st_mtime_ns))
    (dest / "aside").unlink()


def gone(root: Path, dest: Path) -> None:
    (dest / "a/005").unlink()


@pytest.mark.parametrize("change", [changed_copy, changed_source, other_file, gone])
def test_what_was_changed_since_is_not_trusted(
    root: Path, tmp_path: Path, change: Callable[[Path, Path], None]
) -> None:
    """Size and time of change are as they were: what tells is the inode, and its own time of change."""
    dest = tmp_path / "dest"
    killed(root, dest, 0, FILES)
    change(root, dest)
    run(root, dest, choices=replace(ALL, existing="replace"))
    assert differences(root, dest, MINE) == []
    assert check_sums(dest) == []


@needs_root
@pytest.mark.parametrize("other", [{"origin": b"another disk"}, {"privileges": False}])
def test_the_journal_of_another_copy_does_not_count(
    root: Path, tmp_path: Path, other: dict[str, object]
) -> None:
    dest = tmp_path / "dest"
    killed(root, dest, 0, 40)
    read = Counting()
    copied = run(root, dest, read=read, choices=replace(ALL, **other))  # type: ignore[arg-type]
    assert copied.whole and read.bytes == FILES * SIZE


@pytest.mark.parametrize("torn", [b"", b"begin", b"\0" * 5000, b"safe\n" * 9, b"1 2 3\nsafe\n", b"\xff" * 99])
def test_a_journal_that_is_none_harms_nothing(root: Path, tmp_path: Path, torn: bytes) -> None:
    dest = tmp_path / "dest"
    dest.mkdir()
    (dest / os.fsdecode(JOURNAL)).write_bytes(torn)
    assert run(root, dest).whole
    assert differences(root, dest, MINE) == []


def test_a_journal_that_leads_elsewhere_is_left_alone(root: Path, tmp_path: Path) -> None:
    dest, elsewhere = tmp_path / "dest", tmp_path / "elsewhere"
    dest.mkdir()
    elsewhere.write_text("mine")
    (dest / os.fsdecode(JOURNAL)).symlink_to(elsewhere)
    assert run(root, dest).whole
    assert elsewhere.read_text() == "mine"


def test_stopped_by_the_person_it_goes_on_and_takes_nothing_for_torn(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what was cut off without an end may have left halves; a file of the operator is never one."""
    monkeypatch.setattr(resume, "EVERY", 0)
    dest, cancel = tmp_path / "dest", CancelToken()
    counted = Counting()

    def read(fd: int, into: memoryview, offset: int) -> int:
        if counted.bytes > 20 * SIZE:
            cancel.cancel()
        return counted(fd, into, offset)

    def hear(_progress: Progress) -> None:
        return

    with pytest.raises(Cancelled):
        run(root, dest, cancel=cancel, progress=hear, read=read)
    mine = next(path for path in sorted(dest.rglob("0*")) if path.is_file())
    then = mine.stat()
    mine.write_bytes(b"of the operator")
    os.utime(mine, ns=(then.st_atime_ns, then.st_mtime_ns))
    again = Counting()
    copied = run(root, dest, read=again)
    assert [gap.path for gap in copied.unreadable] == [b"/" + os.fsencode(mine.relative_to(dest))]
    assert again.bytes < 45 * SIZE and mine.read_bytes() == b"of the operator"


@needs_root
def test_a_hostile_tree_gone_on_with_is_the_same(tmp_path: Path) -> None:
    root, dest = tmp_path / "guest", tmp_path / "dest"
    hostile_tree.build(root, 1500)
    for reads in (200, 400, 300):
        killed(root, dest, 0.01, reads)
    copied = run(root, dest)
    assert (copied.unreadable, copied.lost_metadata) == ([], [])
    assert differences(root, dest, MINE) == [] and check_sums(dest) == []
