"""Copies that are cut off, that run out of room, and that meet bad blocks."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from core.cancel import CancelToken
from core.errors import Cancelled, NoSpace
from core.files.content import read_at
from core.files.copy import copy
from core.files.estimate import Estimate
from core.files.progress import Progress
from core.files.space import check_space
from core.files.tree import GuestTree
from tests import hostile_tree
from tests.compare_trees import differences
from tests.conftest import needs_root
from tests.core.files.copying import check_sums, quiet, run

ROOT = Path(__file__).parents[3]


class CutOff(Exception):
    pass


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile") / "tree"
    hostile_tree.build(root, 900)
    return root


def _parts(dest: Path) -> list[Path]:
    return list(dest.rglob(".virt-salvage-part-*"))


@needs_root
@pytest.mark.parametrize("seed", range(6))
def test_cut_off_anywhere_and_repeated_it_is_the_same_tree(hostile: Path, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    dest = tmp_path / "dest"
    for _time in range(2):
        calls = chance.randrange(1, 700)

        def cutting(fd: int, into: memoryview, offset: int) -> int:
            nonlocal calls
            calls -= 1
            if calls == 0:
                raise CutOff
            return read_at(fd, into, offset)

        with pytest.raises(CutOff):
            run(hostile, dest, read=cutting)
        assert _parts(dest) == []
    copied = run(hostile, dest)
    assert copied.unreadable == []
    assert differences(hostile, dest, [b"SHA256SUMS"]) == []
    assert check_sums(dest) == []


@needs_root
@pytest.mark.parametrize("seed", range(3))
def test_killed_anywhere_and_repeated_it_is_the_same_tree(hostile: Path, tmp_path: Path, seed: int) -> None:
    dest = tmp_path / "dest"
    calls = random.Random(seed).randrange(20, 600)
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from core.files.content import CHUNK, Content, Patience, read_at\n"
        "from tests.core.files.copying import run\n"
        "left = int(sys.argv[3])\n"
        "def read(fd, into, offset):\n"
        "    global left\n"
        "    left -= 1\n"
        "    if left == 0:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return read_at(fd, into, offset)\n"
        "run(Path(sys.argv[1]), Path(sys.argv[2]), read=read)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, hostile, dest, str(calls)], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert len(_parts(dest)) > 0
    assert run(hostile, dest).unreadable == []
    assert _parts(dest) == []
    assert differences(hostile, dest, [b"SHA256SUMS"]) == []


def test_cancelled_in_the_middle_of_a_file_nothing_half_stays(tmp_path: Path) -> None:
    root, dest = tmp_path / "guest", tmp_path / "dest"
    root.mkdir()
    (root / "big").write_bytes(os.urandom(4 << 20))
    cancel = CancelToken()

    def read(fd: int, into: memoryview, offset: int) -> int:
        if offset >= 2 << 20:
            cancel.cancel()
        return read_at(fd, into, offset)

    with pytest.raises(Cancelled):
        run(root, dest, cancel=cancel, read=read)
    assert os.listdir(dest) == []


def test_an_error_in_the_listener_leaves_nothing_half(tmp_path: Path) -> None:
    root, dest = tmp_path / "guest", tmp_path / "dest"
    root.mkdir()
    (root / "big").write_bytes(os.urandom(4 << 20))

    def listener(progress: Progress) -> None:
        raise CutOff

    def slow(fd: int, into: memoryview, offset: int) -> int:
        time.monotonic_ns()
        return read_at(fd, into[:4096], offset)

    with pytest.raises(CutOff):
        run(root, dest, progress=listener, read=slow)
    assert not (dest / "SHA256SUMS.virt-salvage").exists()
    assert _parts(dest) == []


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A target with 4 MiB of room."""
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", mount], check=True)
    yield mount
    subprocess.run(["umount", mount], check=True)


@pytest.mark.hostile(60)
@needs_root
@pytest.mark.hostile(37)
def test_what_does_not_fit_is_said_before_the_first_byte(small: Path, tmp_path: Path) -> None:
    (tmp_path / "guest").mkdir()
    (tmp_path / "guest" / "big").write_bytes(bytes(6 << 20))
    with pytest.raises(NoSpace) as caught:
        run(tmp_path / "guest", small / "dest")
    assert "6.0 MiB" in caught.value.what and "4.0 MiB" in caught.value.what
    assert os.listdir(small) == []


@pytest.mark.hostile(60)
@needs_root
@pytest.mark.hostile(37)
def test_a_target_that_fills_up_stops_the_copy_and_it_goes_on_later(small: Path, tmp_path: Path) -> None:
    root, dest = tmp_path / "guest", small / "dest"
    root.mkdir()
    for number in range(30):
        (root / f"f{number:02d}").write_bytes(os.urandom(100_000))
    ballast = small / "ballast"
    reads = 0

    def read(fd: int, into: memoryview, offset: int) -> int:
        nonlocal reads
        reads += 1
        if reads == 10:
            ballast.write_bytes(bytes(2_800_000))
        return read_at(fd, into, offset)

    with pytest.raises(NoSpace) as caught:
        run(root, dest, read=read)
    assert "copy again" in caught.value.remedy and "files with" in caught.value.meaning
    assert _parts(dest) == []
    there = {path.name for path in dest.iterdir()}
    assert 5 < len(there) < 30
    assert all((dest / name).read_bytes() == (root / name).read_bytes() for name in there)
    ballast.unlink()
    copied = run(root, dest)
    assert (copied.files, copied.skipped_same, copied.unreadable) == (30, len(there), [])
    assert check_sums(dest) == []


def test_room_is_asked_where_the_target_will_be(tmp_path: Path) -> None:
    check_space(1, tmp_path / "not" / "made" / "yet")
    with pytest.raises(NoSpace, match="EiB"):
        check_space(1 << 62, tmp_path / "not" / "made" / "yet")


class BadBlocks:
    """A medium on which some byte ranges of some files cannot be read."""

    def __init__(self, *bad: tuple[int, int]) -> None:
        self.bad = bad

    def __call__(self, fd: int, into: memoryview, offset: int) -> int:
        end = min(offset + len(into), os.fstat(fd).st_size)
        if os.readlink(f"/proc/self/fd/{fd}").endswith("/bad") and any(
            offset < stop and start < end for start, stop in self.bad
        ):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read_at(fd, into, offset)


def test_bad_blocks_become_zeros_and_the_rest_is_there(tmp_path: Path) -> None:
    root, dest = tmp_path / "guest", tmp_path / "dest"
    root.mkdir()
    data = bytearray(random.Random(1).randbytes(3 * (1 << 20) + 777))
    (root / "bad").write_bytes(data)
    (root / "good").write_bytes(b"good")
    last = len(data) - 1
    copied = run(root, dest, read=BadBlocks((5000, 5001), ((1 << 20) - 1, (1 << 20) + 1), (last, last + 1)))
    lost = ((4096, 8192), ((1 << 20) - 4096, (1 << 20) + 4096), (last - last % 4096, last + 1))
    for start, stop in lost:
        data[start:stop] = bytes(stop - start)
    assert (dest / "bad").read_bytes() == data
    assert (dest / "good").read_bytes() == b"good"
    assert [gap.path for gap in copied.unreadable] == [b"/bad"]
    missing = sum(stop - start for start, stop in lost)
    assert f"{missing:,}".replace(",", "\u202f") in copied.unreadable[0].error
    assert os.strerror(errno.EIO) in copied.unreadable[0].error
    assert check_sums(dest) == []


class BadPieces(BadBlocks):
    """The same under a kernel whose cache reads pieces of 64 KiB, and all of a piece or nothing of it.

    A piece that was there stays one until the kernel is told to forget it, and then to read by pages.
    """

    SIZE = 1 << 16

    def __init__(self, *bad: tuple[int, int]) -> None:
        super().__init__(*bad)
        self.kept: set[int] = set()
        self.by_pages = False

    def advised(self, _fd: int, start: int, length: int, advice: int) -> None:
        if advice == os.POSIX_FADV_DONTNEED:
            end = start + length
            self.kept = {one for one in self.kept if one < start or one + self.SIZE > end}
        elif advice in (os.POSIX_FADV_RANDOM, os.POSIX_FADV_SEQUENTIAL):
            self.by_pages = advice == os.POSIX_FADV_RANDOM

    def __call__(self, fd: int, into: memoryview, offset: int) -> int:
        first = offset - offset % self.SIZE
        pieces = range(first, offset + len(into), self.SIZE)
        if not self.by_pages:
            self.kept.update(pieces)
        held = [one for one in pieces if one in self.kept]
        if held:
            super().__call__(fd, memoryview(bytearray(held[-1] + self.SIZE - held[0])), held[0])
        return super().__call__(fd, into, offset)


def test_a_bad_block_costs_one_block_where_the_kernel_reads_larger_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, dest = tmp_path / "guest", tmp_path / "dest"
    root.mkdir()
    data = bytearray(os.urandom(3 << 20))
    (root / "bad").write_bytes(data)
    medium = BadPieces((100_000, 100_001), (2_500_000, 2_500_001))
    monkeypatch.setattr(os, "posix_fadvise", medium.advised)
    [gap] = run(root, dest, read=medium).unreadable
    assert gap.error.startswith("8\u202f192 of ")
    for start in (100_000, 2_500_000):
        start -= start % 4096
        data[start : start + 4096] = bytes(4096)
    assert (dest / "bad").read_bytes() == data


@pytest.mark.parametrize("broken", ["readlink", "stat", "listdir"])
def test_a_bad_inode_or_folder_is_listed_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    root = tmp_path / "guest"
    (root / "bad").mkdir(parents=True)
    (root / "bad" / "inside").write_text("x")
    (root / "z").symlink_to("x")
    (root / "good").write_text("x")
    names = {"readlink": ("readlink", b"z"), "stat": ("stat", b"z"), "listdir": ("open", b"bad")}
    call, name = names[broken]
    real, look = getattr(os, call), os.readlink

    def failing(path: object, *rest: object, **named: object) -> object:
        at = named.get("dir_fd")
        if path == name and at is not None and look(f"/proc/self/fd/{at}") == str(root):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path, *rest, **named)

    expected = Estimate(2, 2, 1, 0, 2, 2)
    dest = tmp_path / "dest"
    with GuestTree(root) as tree, monkeypatch.context() as patched:
        patched.setattr(os, call, failing)
        copied = copy(tree, [b"/"], dest, CancelToken(), quiet, expected)
    assert [gap.path for gap in copied.unreadable] == [b"/" + name]
    assert os.strerror(errno.EIO) in copied.unreadable[0].error
    assert (dest / "good").read_text() == "x"
    assert (dest / "bad").is_dir()


def test_bad_blocks_again_are_listed_again_and_the_copy_is_kept(tmp_path: Path) -> None:
    root, dest = tmp_path / "guest", tmp_path / "dest"
    root.mkdir()
    (root / "bad").write_bytes(os.urandom(50000))
    first = run(root, dest, read=BadBlocks((5000, 5001)))
    again = run(root, dest, read=BadBlocks((5000, 5001)))
    assert again.unreadable == first.unreadable != []
    assert again.skipped_same == 1


def test_what_can_be_read_later_takes_the_place_of_zeros(tmp_path: Path) -> None:
    root, dest = tmp_path / "guest", tmp_path / "dest"
    root.mkdir()
    (root / "bad").write_bytes(os.urandom(50000))
    told = [
        run(root, dest, read=BadBlocks(*bad)).unreadable
        for bad in ([(5000, 5001), (40000, 45000)], [(5000, 5001)], [])
    ]
    assert [sentence.error[:6] for gaps in told for sentence in gaps] == ["12\u202f288", "4\u202f096 "]
    assert (dest / "bad").read_bytes() == (root / "bad").read_bytes()
    assert (dest / "bad").stat().st_mtime_ns == (root / "bad").stat().st_mtime_ns


@pytest.mark.parametrize("changed", ["a byte", "the time"])
def test_a_copy_with_zeros_that_was_changed_since_is_not_replaced(tmp_path: Path, changed: str) -> None:
    root, dest = tmp_path / "guest", tmp_path / "dest"
    root.mkdir()
    (root / "bad").write_bytes(os.urandom(50000))
    run(root, dest, read=BadBlocks((5000, 5001)))
    copied, status = dest / "bad", (dest / "bad").stat()
    if changed == "a byte":
        with open(copied, "r+b") as file:
            file.write(b"new")
        os.utime(copied, ns=(status.st_atime_ns, status.st_mtime_ns))
    else:
        os.utime(copied, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    before = copied.read_bytes()
    assert [gap.path for gap in run(root, dest).unreadable] == [b"/bad"]
    assert copied.read_bytes() == before


def test_a_file_without_one_readable_byte_is_not_made_of_zeros(tmp_path: Path) -> None:
    root, dest = tmp_path / "guest", tmp_path / "dest"
    root.mkdir()
    (root / "bad").write_bytes(b"x" * 50000)
    copied = run(root, dest, read=BadBlocks((0, 50000)))
    assert not (dest / "bad").exists()
    assert [gap.path for gap in copied.unreadable] == [b"/bad"]
    assert copied.files == 0


def test_a_file_shorter_than_its_inode_says_is_told(tmp_path: Path) -> None:
    root, dest = tmp_path / "guest", tmp_path / "dest"
    root.mkdir()
    (root / "short").write_bytes(b"x" * 50000)

    def read(fd: int, into: memoryview, offset: int) -> int:
        return read_at(fd, into[: max(0, 20000 - offset)], offset) if offset < 20000 else 0

    copied = run(root, dest, read=read)
    assert (dest / "short").read_bytes() == b"x" * 20000 + bytes(30000)
    assert "ends before" in copied.unreadable[0].error


def test_progress_counts_up_to_all_of_it_and_not_more(tmp_path: Path) -> None:
    root = tmp_path / "guest"
    root.mkdir()
    for number in range(40):
        (root / f"\x1b[31m{number}").write_bytes(bytes(200_000))
    seen: list[Progress] = []
    moments: list[float] = []

    def listener(progress: Progress) -> None:
        seen.append(progress)
        moments.append(time.monotonic())

    run(root, tmp_path / "dest", progress=listener)
    assert seen[-1].files_done == seen[-1].files_total == 40
    assert seen[-1].bytes_done == seen[-1].bytes_total == 8_000_000
    assert all(one.bytes_done <= two.bytes_done for one, two in pairwise(seen))
    assert all("\x1b" not in progress.current for progress in seen)
    assert len(seen) <= (moments[-1] - moments[0]) * 10 + 2
