"""What a BitLocker volume says of itself, and the plan; it is opened in tests/vm/test_bitlocker.py."""

import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core import host, tools
from core.disks.view import View
from core.errors import NeedsPassphrase, Refused, SalvageError
from core.runner import PlanRunner, SystemRunner
from core.secrets import Secret
from core.session import Session
from core.undo.state import StateFolder
from core.volumes.luks import windows
from core.volumes.luks.bitlocker import AREA, read_metadata
from core.volumes.model import Volume
from core.volumes.readable import Window
from tests.conftest import Guard
from tests.core.volumes.bitlocker_disk import (
    AREAS,
    GUID,
    KEY,
    MOVED,
    MOVED_SIZE,
    PASSPHRASE,
    SIZE,
    area,
    boot,
)
from tui.openable import hindrance


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


@pytest.fixture(scope="module")
def metadata() -> bytes:
    return area()


def _volume(*copies: bytes) -> bytearray:
    data = bytearray(SIZE)
    data[:512] = boot()
    for place, copy in zip(AREAS, copies, strict=True):
        data[place : place + len(copy)] = copy
    return data


def _read(data: bytearray) -> object:
    return read_metadata(Window(_Bytes(bytes(data)), 0, SIZE), SIZE)


def test_the_metadata_are_read(metadata: bytes) -> None:
    found = read_metadata(_Bytes(bytes(_volume(metadata, metadata, metadata))), SIZE)
    assert found is not None
    assert (found.guid, found.cipher, found.sector) == (str(GUID), "aes-xts-plain64", 512)
    assert (found.areas, found.moved, found.moved_size) == (AREAS, MOVED, MOVED_SIZE)
    assert found.problems == () and found.hindrance == ""


def test_the_parts_cover_the_volume_once(metadata: bytes) -> None:
    found = read_metadata(_Bytes(bytes(_volume(metadata, metadata, metadata))), SIZE)
    assert found is not None
    parts = found.parts(SIZE)
    assert parts[0] == (0, MOVED_SIZE, MOVED)
    assert [start for start, _length, _place in parts] == [
        0,
        *(sum(one[1] for one in parts[: at + 1]) for at in range(len(parts) - 1)),
    ]
    assert sum(length for _start, length, _place in parts) == SIZE
    zeros = [(start, length) for start, length, place in parts if place is None]
    assert zeros == [(AREAS[0], AREA), (MOVED, MOVED_SIZE), (AREAS[1], AREA), (AREAS[2], AREA)]


def test_a_damaged_first_copy_is_passed_over(metadata: bytes) -> None:
    found = read_metadata(_Bytes(bytes(_volume(b"gone", metadata, metadata))), SIZE)
    assert found is not None
    assert found.used == 1
    assert "1 of its three copies" in found.problems[0]


def test_copies_that_differ_are_all_known(metadata: bytes) -> None:
    hurt = metadata[:250] + b"damaged" + metadata[257:]
    found = read_metadata(_Bytes(bytes(_volume(hurt, metadata, metadata))), SIZE)
    assert found is not None
    assert (found.used, [one.used for one in found.others]) == (1, [0])
    assert "Each of them is tried." in found.problems
    same = read_metadata(_Bytes(bytes(_volume(metadata, metadata, metadata))), SIZE)
    assert same is not None and same.others == ()
    elsewhere = metadata[:-16] + b"\xff" * 16  # where the moved bytes lie
    found = read_metadata(_Bytes(bytes(_volume(elsewhere, metadata, metadata))), SIZE)
    assert found is not None and (found.used, found.moved) == (1, MOVED)


def test_a_copy_with_a_wrong_state_does_not_stand_for_the_whole_ones(metadata: bytes) -> None:
    found = read_metadata(_Bytes(bytes(_volume(area(state=5), metadata, metadata))), SIZE)
    assert found is not None
    assert (found.used, found.hindrance, found.others) == (1, "", ())
    assert found.problems == ("Its copies of the metadata are not the same: one is damaged.",)


def test_where_two_copies_agree_the_third_comes_after_them(metadata: bytes) -> None:
    """The key opens it with each: by the damaged one the first bytes would be read from a wrong place."""
    elsewhere = metadata.replace(
        struct.pack("<QQ", MOVED, MOVED_SIZE), struct.pack("<QQ", MOVED + (1 << 20), MOVED_SIZE)
    )
    for copies in ((elsewhere, metadata, metadata), (metadata, elsewhere, metadata)):
        found = read_metadata(_Bytes(bytes(_volume(*copies))), SIZE)
        assert found is not None
        assert (found.moved, [one.moved for one in found.others]) == (MOVED, [MOVED + (1 << 20)])


def test_without_any_whole_copy_it_says_so() -> None:
    found = read_metadata(_Bytes(bytes(_volume(b"", b"", b""))), SIZE)
    assert found is not None
    assert "all three copies" in found.hindrance


@pytest.mark.hostile(40)
def test_what_makes_no_sense_is_no_bitlocker(metadata: bytes) -> None:
    assert _read(bytearray(512)) is None
    for at, value in ((176, b"\xff" * 8), (176, b"\1"), (11, b"\0\0")):
        data = _volume(metadata, metadata, metadata)
        data[at : at + len(value)] = value
        assert _read(data) is None
    for length in range(0, len(metadata), 7):  # cut short anywhere, or with lengths that lie
        cut = metadata[:length] + b"\xff" * (len(metadata) - length)
        _read(_volume(cut, cut, cut))


def test_one_that_is_half_encrypted_says_so() -> None:
    half = area(state=2)
    found = read_metadata(_Bytes(bytes(_volume(half, half, half))), SIZE)
    assert found is not None
    assert "only Windows knows" in found.hindrance


@pytest.fixture
def disk(tmp_path: Path, metadata: bytes, guard: Guard) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(_volume(metadata, metadata, metadata))
    guard.watch(path)
    return path


def test_it_is_listed_locked_and_wants_its_passphrase(tmp_path: Path, disk: Path) -> None:
    with Session(StateFolder(tmp_path / "state"), SystemRunner()) as session:
        session.select(str(disk), "raw")
        [outer, inner] = session.inspect().volumes
        assert (outer.id, outer.content) == ("disk", "BitLocker")
        assert (inner.id, inner.kind, inner.locked, inner.size) == ("disk/bitlocker", "luks", True, SIZE)
        assert "recovery key of 48 digits" in inner.problems[0]
        with pytest.raises(NeedsPassphrase):
            session.find("disk/bitlocker")
        with pytest.raises(SalvageError, match="BitLocker"):
            session.open("disk")


def test_it_is_listed_too_where_only_a_later_copy_tells_what_it_is(
    tmp_path: Path, metadata: bytes, guard: Guard
) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(_volume(b"gone", b"gone", metadata))
    guard.watch(disk)
    with Session(StateFolder(tmp_path / "state"), SystemRunner()) as session:
        session.select(str(disk), "raw")
        [outer, inner] = session.inspect().volumes
        assert (outer.content, inner.id, inner.locked) == (None, "disk/bitlocker", True)
        assert "2 of its three copies" in " ".join(inner.problems)


def test_one_without_metadata_is_listed_and_no_key_is_asked_for(tmp_path: Path, guard: Guard) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(_volume(b"", b"", b""))
    guard.watch(disk)
    with Session(StateFolder(tmp_path / "state"), SystemRunner()) as session:
        session.select(str(disk), "raw")
        [_outer, inner] = session.inspect().volumes
        assert len(inner.problems) == 1 and "all three copies" in inner.problems[0]
        assert "all three copies" in hindrance(inner, session.inspect())
        with pytest.raises(Refused, match="all three copies") as raised:
            session.find("disk/bitlocker")
        assert not isinstance(raised.value, NeedsPassphrase)


def test_the_plan_tells_how_it_is_opened(tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "has_device_mapper", lambda: True)
    monkeypatch.setattr(tools, "find", lambda name: f"/sbin/{name}")
    with Session(StateFolder(tmp_path / "state"), SystemRunner()) as looking:
        looking.select(str(disk), "raw")
        known = looking.inspect()
    runner = PlanRunner()
    with Session(StateFolder(tmp_path / "state"), runner) as session:
        session.select(str(disk), "raw")
        session.know(known)
        session.open("disk/bitlocker", content="ntfs")
    lines = [ran.command.shell() for ran in runner.transcript]
    assert any(line.startswith("cryptsetup bitlkDump") and str(disk) not in line for line in lines)
    assert any(line.startswith("dmsetup create --readonly") for line in lines)


@pytest.mark.parametrize("damaged", [0, 1, 2])
def test_cryptsetup_tells_the_key_from_whichever_copy_is_whole(
    tmp_path: Path, metadata: bytes, damaged: int
) -> None:
    if not tools.find("cryptsetup"):
        pytest.skip("cryptsetup is not here")
    path = tmp_path / "disk.raw"
    path.write_bytes(_volume(*([b"gone"] * damaged), *([metadata] * (3 - damaged))))
    found = read_metadata(_Bytes(path.read_bytes()), SIZE)
    assert found is not None
    stack: Any = SimpleNamespace(runner=SystemRunner())
    view, outer = View(path, SIZE, False, ()), Volume("disk", "disk", 0, SIZE, "BitLocker", None, None)
    tell = lambda word: windows._key(stack, view, outer, found, Secret.typed(word), tmp_path)  # noqa: E731
    assert tell(PASSPHRASE) == KEY
    assert all(KEY not in (ran.result.out if ran.result else b"") for ran in stack.runner.transcript)
    with pytest.raises(NeedsPassphrase, match="does not open the whole disk"):
        tell("Open sesame 2")
    assert [one.name for one in tmp_path.iterdir()] == ["disk.raw"]
