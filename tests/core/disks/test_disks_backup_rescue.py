"""A dying medium: what can be read is kept, what cannot is named."""

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.cancel import CancelToken
from core.disks import backup as backing
from core.disks import unfinished
from core.disks.areas import BAD, SKIPPED, UNTRIMMED, Area, Areas, mapfile
from core.disks.backup import backup
from core.errors import Cancelled
from core.files.progress import Progress
from tests.core.disks.disk_images import opened

SIZE = 24 << 20
SECTOR = 512
needs_fuse = pytest.mark.skipif(
    shutil.which("qemu-storage-daemon") is None or not os.access("/dev/fuse", os.W_OK),
    reason="no qemu-storage-daemon or no FUSE here",
)
Dying = Callable[[list[int]], Path]


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    path = tmp_path / "vm.raw"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture
def dying(tmp_path: Path, healthy: Path) -> Iterator[Dying]:
    """The disk as one file on which the given sectors cannot be read: qemu's blkdebug driver does that."""
    place = tmp_path / "dying.raw"
    running: list[subprocess.Popen[bytes]] = []

    def make(sectors: list[int]) -> Path:
        place.touch()
        faults = [{"event": "none", "iotype": "read", "errno": 5, "sector": one} for one in sectors]
        node = {
            "driver": "blkdebug",
            "node-name": "bad",
            "image": {"driver": "file", "filename": str(healthy), "read-only": True},
            "read-only": True,
            "inject-error": faults,
        }
        export = f"type=fuse,id=view,node-name=bad,mountpoint={place},writable=off"
        running.append(
            subprocess.Popen(["qemu-storage-daemon", "--blockdev", json.dumps(node), "--export", export])
        )
        end = time.monotonic() + 10
        while place.stat().st_size != SIZE:
            assert time.monotonic() < end and running[0].poll() is None
            time.sleep(0.02)
        return place

    yield make
    for process in running:
        process.terminate()
        process.wait()


def _with_zeros(data: bytes, sectors: list[int]) -> bytes:
    whole = bytearray(data)
    for sector in sectors:
        whole[sector * SECTOR : (sector + 1) * SECTOR] = bytes(SECTOR)
    return bytes(whole)


@pytest.fixture(autouse=True)
def _timeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """The export says of its file that it changes all the time; a real medium says nothing."""
    real = unfinished.Unfinished._source

    def source(self: unfinished.Unfinished) -> dict[str, object]:
        return {**real(self), "mtime_ns": 0}

    monkeypatch.setattr(backing, "_state", lambda _source: ())
    monkeypatch.setattr(unfinished.Unfinished, "_source", source)


@needs_fuse
def test_every_sector_that_can_be_read_is_and_the_others_are_named(
    dying: Dying, healthy: Path, tmp_path: Path
) -> None:
    bad = [0, 1, 777, 20000, 20001, 30000, SIZE // SECTOR - 1]
    source, copy = dying(bad), tmp_path / "copy"
    done = backup(opened(source, "raw"), copy, CancelToken(), lambda _progress: None)
    assert copy.read_bytes() == _with_zeros(healthy.read_bytes(), bad)
    found = [sector for gap in done.unreadable for sector in range(gap.offset, gap.offset + gap.length, 512)]
    assert [offset // SECTOR for offset in found] == bad
    assert not done.whole
    assert done.unreadable[0].error == "Input/output error"
    assert done.manifest.read_text().split()[0] == hashlib.sha256(copy.read_bytes()).hexdigest()
    assert "ddrescue" in " ".join(done.notes)
    told = (tmp_path / "copy.mapfile").read_text()
    assert "0x00000000  0x00000400  -" in told
    areas = [line.split() for line in told.splitlines() if line.startswith("0x")][1:]
    assert sum(int(length, 16) for _at, length, _status in areas) == SIZE
    assert sorted(path.name for path in tmp_path.glob("copy*")) == ["copy", "copy.mapfile", "copy.sha256"]


@needs_fuse
def test_a_rescue_that_was_cut_off_goes_on(
    dying: Dying, healthy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backing, "LEAST", 1)
    monkeypatch.setattr("core.files.progress._INTERVAL", 0)
    bad = [777, 20000]
    source, copy, cancel = dying(bad), tmp_path / "copy", CancelToken()
    seen: list[Progress] = []

    def stop(progress: Progress) -> None:
        seen.append(progress)
        if progress.bytes_done == SIZE and len([one for one in seen if one.bytes_done == SIZE]) > 100:
            cancel.cancel()

    with pytest.raises(Cancelled) as caught:
        backup(opened(source, "raw"), copy, cancel, stop)
    assert str(unfinished.map_of(copy)) in caught.value.remedy
    with open(unfinished.part_of(copy), "r+b") as part:  # one of the pieces that were rescued rots
        lines = [json.loads(line) for line in unfinished.map_of(copy).read_text().splitlines()]
        patches = [patch for line in lines for patch in line.get("patches", ())]
        part.seek(patches[0][0])
        part.write(b"rotten")
    done = backup(opened(source, "raw"), copy, CancelToken(), lambda _progress: None)
    assert done.resumed == SIZE
    assert copy.read_bytes() == _with_zeros(healthy.read_bytes(), bad)


def test_areas_are_joined_cut_and_told_as_ddrescue_reads_them() -> None:
    areas = Areas()
    areas.mark(1 << 16, 1 << 17, UNTRIMMED)
    areas.mark(1 << 17, 1 << 18, SKIPPED)
    areas.read(1 << 17, 1 << 18)
    areas.mark(0x10000, 0x10200, BAD)
    areas.mark(0x10200, 0x10400, BAD)
    areas.read(0x10400, 0x20000)
    assert list(areas) == [Area(0x10000, 0x10400, BAD)]
    assert mapfile(areas, 0x40000).splitlines()[-3:] == [
        "0x00000000  0x00010000  +",
        "0x00010000  0x00000400  -",
        "0x00010400  0x0002FC00  +",
    ]
