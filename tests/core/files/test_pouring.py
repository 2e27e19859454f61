"""A file as a stream: every byte that can be read, zeros for the others, and which those are."""

import errno
import os
import random
import subprocess
from pathlib import Path

import pytest

from core.cancel import CancelToken
from core.errors import Cancelled, SalvageError
from core.files.content import CHUNK, ReadAt, read_at
from core.files.pouring import Poured, pour
from core.files.tree import GuestTree
from core.host import kernel_reads
from tests.conftest import Guard, needs_root
from tests.core.files.test_copy_faults import BadBlocks
from tests.starter import Starter


def poured(root: Path, name: bytes, read: ReadAt = read_at) -> tuple[bytes, Poured]:
    got = bytearray()
    with GuestTree(root) as tree:
        done = pour(tree, name, got.extend, read, CancelToken())
    return bytes(got), done


@pytest.mark.parametrize("size", [0, 1, 4096, CHUNK, 3 * CHUNK + 777])
def test_a_whole_file_is_the_file(size: int, tmp_path: Path) -> None:
    data = random.Random(size).randbytes(size)
    (tmp_path / "file").write_bytes(data)
    assert poured(tmp_path, b"/file") == (data, Poured(size, []))


def test_holes_at_both_ends_are_zeros(tmp_path: Path) -> None:
    with open(tmp_path / "file", "wb") as file:
        file.truncate(5 * CHUNK)
        file.seek(2 * CHUNK + 5)
        file.write(b"here")
    with open(tmp_path / "empty", "wb") as file:
        file.truncate(2 * CHUNK + 1)
    assert poured(tmp_path, b"/file")[0] == (tmp_path / "file").read_bytes()
    assert poured(tmp_path, b"/empty")[0] == bytes(2 * CHUNK + 1)


def test_what_is_lost_is_zeros_and_told(tmp_path: Path) -> None:
    data = bytearray(random.Random(1).randbytes(3 * CHUNK + 777))
    (tmp_path / "bad").write_bytes(data)
    last = len(data) - 1
    got, done = poured(tmp_path, b"/bad", BadBlocks((0, 1), (CHUNK - 1, CHUNK + 1), (last, last + 1)))
    for start, stop in ((0, 4096), (CHUNK - 4096, CHUNK + 4096), (last - last % 4096, last + 1)):
        data[start:stop] = bytes(stop - start)
    assert got == data
    first, *_more = done.ranges()
    assert len(done.gaps) == 3
    assert "bytes 0 to 4\u202f095" in first and os.strerror(errno.EIO) in first


def test_no_more_is_read_than_is_asked_for(tmp_path: Path) -> None:
    data = random.Random(2).randbytes(3 * CHUNK)
    (tmp_path / "file").write_bytes(data)
    with open(tmp_path / "empty", "wb") as file:
        file.truncate(1 << 40)
    for name, beginning in ((b"/file", data[:CHUNK]), (b"/empty", bytes(CHUNK))):
        got = bytearray()
        with GuestTree(tmp_path) as tree:
            pour(tree, name, got.extend, read_at, CancelToken(), 1000)
        assert got == beginning


def test_of_a_file_without_a_readable_byte_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"x" * 9000)
    got = bytearray()
    with GuestTree(tmp_path) as tree, pytest.raises(SalvageError, match="Not one byte of /bad") as caught:
        pour(tree, b"/bad", got.extend, BadBlocks((0, 9000)), CancelToken())
    assert not got
    assert "Nothing was written" in caught.value.meaning


def test_it_can_be_stopped(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 3 * CHUNK)
    token, got = CancelToken(), bytearray()

    def write(piece: memoryview) -> None:
        got.extend(piece)
        token.cancel()

    with GuestTree(tmp_path) as tree, pytest.raises(Cancelled):
        pour(tree, b"/file", write, read_at, token)
    assert len(got) == CHUNK


@needs_root
@pytest.mark.skipif(not kernel_reads("btrfs"), reason="the kernel of this host has no driver for btrfs")
def test_cat_goes_on_behind_a_lost_place(
    starter: Starter, state_dir: Path, tmp_path: Path, guard: Guard
) -> None:
    """Of a btrfs a block whose checksum is wrong cannot be read."""
    data = bytearray(random.Random(2).randbytes(400_000))
    disk = tmp_path / "disk.raw"
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/long").write_bytes(data)
    with open(disk, "wb") as file:
        file.truncate(128 << 20)
    make: list[str | Path] = ["mkfs.btrfs", "-q", "-m", "single", "-d", "single"]
    subprocess.run([*make, "--rootdir", tmp_path / "tree", disk], check=True, capture_output=True)
    with open(disk, "r+b") as file:
        file.seek(disk.read_bytes().index(data[204_800:208_896]))
        file.write(b"X" * 16)
    guard.watch(disk)
    words = ("--state-dir", state_dir, "cat", "--format", "raw", disk, "disk", "/long")
    ended = starter.call([str(word) for word in words], timeout=120)
    data[204_800:208_896] = bytes(4096)
    assert ended.out == data
    told = os.fsdecode(ended.err)
    assert ended.status == 4, told
    assert "zeros stand in their place" in told
    assert "bytes 204\u202f800 to 208\u202f895: " in told
