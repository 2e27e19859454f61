"""Arrays with parity, put together by a daemon of this program: read, written to, and with members lost."""

import errno
import itertools
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from core.disks.serving import WritableDisk
from core.disks.view import View
from core.runner import SystemRunner
from core.session import Session
from core.undo.state import StateFolder
from core.volumes.galois import inverse, power, times
from core.volumes.md.model import Array
from core.volumes.md.superblock import Member
from core.volumes.parity.contents import WritableContents
from core.volumes.parity.daemon import Reckoned, WritableReckoned, description, from_description
from core.volumes.state import State
from tests.conftest import Guard, needs_root
from tests.core.volumes.array_disks import LAYOUTS, LEGS, array_disk, legs_of, members_of, product
from tests.core.volumes.layer_disks import LETTER, MIB, SECTOR
from tests.hostile.test_filesystems import dirty

CHUNK = 1024
"""Bytes of a chunk where no file system is wanted."""
ROWS = 12
NOISE = 0xEE
"""What is where a lost member would lie: it must neither be read nor be written to."""


def test_the_field_is_that_of_the_kernel() -> None:
    assert [power(one) for one in (0, 1, 7, 8, 254, 255)] == [1, 2, 128, 0x1D, 0x8E, 1]
    every = bytes(range(256))
    for factor in range(1, 256):
        assert times(every, factor) == bytes(product(one, factor) for one in every)
        assert product(factor, inverse(factor)) == 1


def _member(number: int, size: int, level: int, layout: int, legs: int) -> Member:
    return Member(number * size, size, "1.2", "", "", level, layout, CHUNK, legs, number, 1, 0, size, size)


def _array(level: int, layout: int, legs: int, lost: tuple[int, ...]) -> Array:
    room = ROWS * CHUNK
    members = [None if at in lost else _member(at, room, level, layout, legs) for at in range(legs)]
    size = (legs - (2 if level == 6 else 1)) * room
    return Array("", "", level, layout, CHUNK, tuple(members), size)


def _described(array: Array, path: Path, *, writable: bool) -> Reckoned:
    told = description(array.raid, View(path, path.stat().st_size, writable, on=()))
    return from_description(json.loads(json.dumps(told)))


def _lay(path: Path, content: bytes, array: Array) -> None:
    legs = legs_of(content, array.level, array.layout or 0, len(array.members), CHUNK)
    for at in range(len(legs)):
        if array.members[at] is None:
            legs[at] = bytes([NOISE]) * len(legs[at])
    path.write_bytes(b"".join(legs))


def _losses(level: int, legs: int) -> list[tuple[int, ...]]:
    most = 2 if level == 6 else 1
    return [lost for count in range(most + 1) for lost in itertools.combinations(range(legs), count)]


@pytest.mark.parametrize(("level", "layout"), LAYOUTS)
@pytest.mark.parametrize("legs", [4, 5])
def test_what_is_written_is_read_and_every_parity_stays_right(
    tmp_path: Path, level: int, layout: int, legs: int
) -> None:
    chance = random.Random(100 * level + 10 * layout + legs)
    for lost in _losses(level, legs):
        array, path = _array(level, layout, legs, lost), tmp_path / "members"
        model = bytearray(chance.randbytes(array.size))
        _lay(path, bytes(model), array)
        disk = _described(array, path, writable=True)
        assert isinstance(disk, WritableReckoned)
        assert disk.read(0, array.size) == model, lost
        for _time in range(25):
            start = chance.randrange(array.size)
            length = min(array.size - start, chance.choice((1, 512, 700, CHUNK, 3000, 5 * CHUNK)))
            new = chance.randbytes(length)
            disk.write(start, new)
            model[start : start + length] = new
            begin = chance.randrange(array.size)
            end = min(array.size, begin + chance.randrange(4 * CHUNK))
            assert disk.read(begin, end) == model[begin:end], lost
        disk.flush()
        found = path.read_bytes()
        _lay(path, bytes(model), array)
        assert found == path.read_bytes(), lost


@pytest.mark.parametrize(("level", "layout"), LAYOUTS)
def test_what_cannot_be_read_is_reckoned_as_what_is_lost(tmp_path: Path, level: int, layout: int) -> None:
    """As md does with a bad sector of a member; the members of the array are all there."""
    array = _array(level, layout, LEGS, ())
    content = random.Random(level).randbytes(array.size)
    _lay(tmp_path / "members", content, array)
    for bad in _losses(level, LEGS):
        disk = WritableContents(array.raid, _Failing(tmp_path / "members", set(bad)))
        assert disk.read(0, array.size) == content, bad
    bad = tuple(range(LEGS))[: 3 if level == 6 else 2]
    contents = WritableContents(array.raid, _Failing(tmp_path / "members", set(bad)))
    with pytest.raises(OSError, match="Input/output"):
        Reckoned(array.raid, contents, 0).read(0, array.size)


class _Failing:
    """A file that fails to read the legs `bad`, and to write after some writes."""

    def __init__(self, path: Path, bad: set[int], writes: int = 1 << 30) -> None:
        self.bytes, self.bad, self.writes = bytearray(path.read_bytes()), bad, writes

    def read(self, offset: int, length: int) -> bytes:
        if offset // (ROWS * CHUNK) in self.bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return bytes(self.bytes[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        self.writes -= 1
        if self.writes == -1:
            self.bytes[offset : offset + len(data) // 2] = data[: len(data) // 2]
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.bytes[offset : offset + len(data)] = data


@pytest.mark.parametrize(("level", "lost"), [(5, ()), (5, (1,)), (6, (0, 2)), (6, ())])
def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, level: int, lost: tuple[int, ...]) -> None:
    array = _array(level, 2, LEGS, lost)
    content = random.Random(level).randbytes(array.size)
    _lay(tmp_path / "members", content, array)
    for chunk, writes in itertools.product(range(8), range(3)):
        file = _Failing(tmp_path / "members", set(), writes)
        before = bytes(file.bytes)
        contents = WritableContents(array.raid, file)
        try:
            contents.write(chunk * CHUNK, b"new" * 100)
        except OSError as error:
            assert error.errno == errno.ENOSPC
            assert file.bytes == before
        else:
            assert contents.read(chunk * CHUNK, 300) == b"new" * 100


def test_a_read_only_array_has_no_way_to_write(tmp_path: Path) -> None:
    array = _array(5, 2, 3, ())
    _lay(tmp_path / "members", bytes(array.size), array)
    os.chmod(tmp_path / "members", 0o400)
    disk = _described(array, tmp_path / "members", writable=False)
    assert not isinstance(disk, WritableDisk)
    assert isinstance(_described(array, tmp_path / "members", writable=True), WritableDisk) or os.geteuid()


def test_what_cannot_be_reckoned_is_an_error_and_no_zeros(tmp_path: Path) -> None:
    path = tmp_path / "members"
    path.write_bytes(bytes(CHUNK))
    there, beyond = _member(0, CHUNK, 5, 2, 3), _member(1, CHUNK, 5, 2, 3)
    array = Array("", "", 5, 2, CHUNK, (there, None, beyond), 2 * CHUNK)
    disk = _described(array, path, writable=False)
    assert disk.read(0, SECTOR) == bytes(SECTOR)
    with pytest.raises(OSError, match="Input/output"):
        disk.read(CHUNK, CHUNK + SECTOR)


# -- as a whole -----------------------------------------------------------------------------------


def _used(level: int, content: int = 12 * MIB) -> int:
    return content // (LEGS - (2 if level == 6 else 1))


@needs_root
@pytest.mark.parametrize(
    ("level", "layout", "lost"),
    [(6, 2, {0}), (6, 2, {1, 3}), (6, 10, {3, 0}), (5, 2, {2}), (5, 2, set()), (4, 0, {1})],
)
def test_an_array_is_read(tmp_path: Path, guard: Guard, level: int, layout: int, lost: set[int]) -> None:
    disk = array_disk(tmp_path / "disk.raw", level, lost, layout=layout)
    guard.watch(disk)
    with Session(StateFolder(tmp_path / "state"), SystemRunner()) as session:
        session.select(str(disk), "raw")
        [array] = [one for one in session.inspect().volumes if one.kind == "md"]
        assert (array.id, array.content, array.elsewhere) == ("md:five", "ext4", bool(lost))
        tree = session.open("md:five")
        assert (tree.root / "home/letter").read_text() == LETTER
        assert (tree.root / "home/long").read_bytes() == bytes(range(256)) * 9000
        assert {"nbd", "fuse-export", "loop", "mount"} <= {one.what for one in session.stack.standing}


@needs_root
@pytest.mark.parametrize(("level", "lost"), [(5, set()), (5, {0}), (5, {2}), (6, {1}), (6, {0, 3}), (4, {3})])
def test_files_are_written_to_an_array_over_an_overlay(
    tmp_path: Path, guard: Guard, level: int, lost: set[int]
) -> None:
    disk = array_disk(tmp_path / "disk.raw", level, lost, layout=0 if level == 4 else 2)
    guard.watch(disk)
    wanted = random.Random(level).randbytes(2 * MIB)
    with Session(StateFolder(tmp_path / "state"), SystemRunner()) as session:
        session.select(str(disk), "raw")
        session.protect(overlay=True)
        tree = session.open("md:five")
        assert tree.writable
        (tree.root / "home/new").write_bytes(wanted)
        (tree.root / "home/letter").write_text("changed\n")
        session.close_tree()
        _assert_whole(session.view().path, level, lost)
        tree = session.open("md:five")
        assert (tree.root / "home/new").read_bytes() == wanted
        assert (tree.root / "home/letter").read_text() == "changed\n"


@needs_root
@pytest.mark.parametrize(("level", "lost"), [(5, {0}), (5, set()), (6, {1, 2})])
def test_a_journal_is_carried_out_in_an_overlay(
    tmp_path: Path, guard: Guard, level: int, lost: set[int]
) -> None:
    content = dirty("ext4", tmp_path).read_bytes()
    wide = (LEGS - (2 if level == 6 else 1)) * (64 << 10)
    content += bytes(-len(content) % wide)
    disk = array_disk(tmp_path / "disk.raw", level, lost, content=content)
    guard.watch(disk)
    with Session(StateFolder(tmp_path / "state"), SystemRunner()) as session:
        session.select(str(disk), "raw")
        tree = session.open("md:five", state=State.REPLAYED)
        assert {f"file{number}" for number in range(20)} <= {one.name for one in tree.root.iterdir()}
        session.close_tree()
        assert _assert_whole(session.view().path, level, lost, len(content)) != content


def _assert_whole(view: Path, level: int, lost: set[int], size: int = 12 * MIB) -> bytes:
    """Reckon what the array holds from the members alone: whatever is left out, it is the same.

    Returns its content. The file system in it is sound.
    """
    layout = 0 if level == 4 else 2
    used = _used(level, size)
    members = members_of(view, used)
    kept = [at for at in range(LEGS) if at not in lost]
    most = 2 if level == 6 else 1
    contents = set()
    with open(view, "rb") as file:
        for more in itertools.combinations(kept, most - len(lost)):
            places = [
                None if at in {*lost, *more} else _member_at(at, used, level, layout) for at in range(LEGS)
            ]
            array = Array("", "", level, layout, 64 << 10, tuple(places), size)
            disk = _described(array, Path(file.name), writable=False)
            contents.add(disk.read(0, size))
    [content] = contents
    own = legs_of(content, level, layout)
    assert [members[at] for at in kept] == [own[at] for at in kept]
    plain = view.parent / "checked"
    plain.write_bytes(content)
    checked = subprocess.run(["e2fsck", "-fn", plain], capture_output=True, text=True, check=False)
    plain.unlink()
    assert checked.returncode == 0, checked.stdout
    return content


def _member_at(number: int, used: int, level: int, layout: int) -> Member:
    place = MIB + number * (MIB + used) + MIB
    return Member(place, used, "1.2", "", "", level, layout, 64 << 10, LEGS, number, 1, 0, used, used)


@needs_root
def test_what_was_written_to_an_array_is_committed(tmp_path: Path, guard: Guard) -> None:
    disk, state = array_disk(tmp_path / "disk.raw", 5, {1}), StateFolder(tmp_path / "state")
    session = Session(state, SystemRunner(), private=False)
    session._tied = False
    session.select(str(disk), "raw")
    session.protect(overlay=True)
    session.open("md:five", tmp_path / "m")
    (tmp_path / "m/home/letter").write_text("committed\n")
    session.keep()
    session.close()
    argv = ["-m", "tui.main", "--state-dir", state.path, "commit", session.id]
    done = subprocess.run([sys.executable, *argv], input=b"disk.raw\n", capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    _assert_whole(disk, 5, {1})
    with Session(StateFolder(tmp_path / "looking"), SystemRunner()) as after:
        after.select(str(disk), "raw")
        assert (after.open("md:five").root / "home/letter").read_text() == "committed\n"
