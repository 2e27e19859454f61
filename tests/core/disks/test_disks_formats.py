"""What every image format is recognised as, and that its bytes arrive as they are."""

import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.disks.vet import blockdev
from core.errors import SalvageError
from tests.core.disks.disk_images import KINDS, SIZE, content, converted, created, opened, patched
from tests.corpora import MISSING, TRUTH

# where we differ from qemu-img 7.2 on purpose, or say what it cannot
OURS: dict[str, tuple[str, int, str]] = {
    # a disk encrypted inside is raw: QEMU's luks driver would hide the header
    "dfvfs/luks1.raw": ("raw", 10485760, ""),
    "util-linux/ts/blkid/images-fs/luks1.img": ("raw", 4096, ""),
    # QEMU probes only the start of a file, and a VHD of fixed size has its footer at the end
    "dfvfs/fat-parent.vhd": ("vpc", 4194304, ""),
    # QEMU reads the parent's sectors as zeros, and wants to replay the log in the file itself
    "dfvfs/fat-differential.vhd": ("vpc", 4194304, ""),
    # it has no UDIF trailer, it is only called dmg
    "dfvfs/apm.dmg": ("raw", 4194304, ""),
    "discutils/Vhdx/Data/vhdx-log-replay.vhdx": ("vhdx", 1073741824, ""),
    "vmdk-rs/monolithicFlat.vmdk": ("vmdk", 10485760, "monolithicFlat-flat.vmdk, and that file is missing"),
    "vmdk-rs/twoGbMaxExtentFlat.vmdk": ("vmdk", 10485760, "f001.vmdk, and that file is missing"),
    "vmdk-rs/twoGbMaxExtentSparse-s001.vmdk": ("vmdk", 10485760, "descriptor is another file"),
    "vmdk-rs/vmfs_thick-000001.vmdk": ("vmdk", 2097152, "delta.vmdk, and that file is missing"),
}
DAMAGED = {"qemu-iotests/afl5.img"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("formats")
    source = content(folder / "content.raw")
    return {name: make(source, folder / f"made.{name}") for name, make in KINDS.items()}


def _exported(path: Path, folder: Path) -> bytes:
    """The disk's bytes as the daemon serves them with the description that we hand it."""
    view = folder / "view"
    view.touch()
    export = f"type=fuse,id=e,node-name=disk,mountpoint={view},writable=off"
    argv = [
        "qemu-storage-daemon",
        "--blockdev",
        json.dumps(blockdev(opened(path), "disk")),
        "--export",
        export,
    ]
    with subprocess.Popen(argv, stderr=subprocess.PIPE) as daemon:
        try:
            until = time.monotonic() + 10
            while not os.path.ismount(view) and daemon.poll() is None and time.monotonic() < until:
                os.sched_yield()
            assert daemon.poll() is None, daemon.communicate()[1].decode()
            return view.read_bytes()
        finally:
            daemon.terminate()
            daemon.wait()


@pytest.mark.parametrize("name", KINDS)
def test_a_made_image_is_recognised_and_reads_as_what_was_put_in(
    made: dict[str, Path], name: str, tmp_path: Path
) -> None:
    disk = opened(made[name])
    assert disk.format == name.split("-")[0]
    assert disk.virtual_size == SIZE
    assert disk.blocked == ""
    if not os.path.exists("/dev/fuse"):
        pytest.skip("no FUSE here")
    assert _exported(made[name], tmp_path) == (made[name].parent / "content.raw").read_bytes()


@pytest.mark.parametrize("name", KINDS)
def test_json_has_the_contracts_fields(made: dict[str, Path], name: str) -> None:
    shown = json.loads(json.dumps(opened(made[name]).to_json()))
    assert shown["path"] == str(made[name])
    assert shown["virtual_size"] == SIZE
    assert shown["sector_size"] == 512
    assert shown["chain"][0]["exists"] is True
    assert shown["chain"][0]["format"] == shown["format"]
    assert shown["snapshots"] == shown["held_by"] == []


@pytest.mark.skipif(not TRUTH, reason=MISSING)
@pytest.mark.parametrize("row", TRUTH, ids=lambda row: str(row["file"]))
def test_a_real_image_is_what_it_is(corpora: Path, row: dict[str, Any]) -> None:
    path = corpora / row["file"]
    if row["file"] in DAMAGED:
        with pytest.raises(SalvageError, match="damaged"):
            opened(path)
        return
    rounded = -(-row["size"] // 512) * 512
    format, size, blocked = OURS.get(row["file"], (row["qemu_img_format"], row["virtual_size"], ""))
    disk = opened(path)
    assert disk.format == format
    assert disk.virtual_size == (row["size"] if size == rounded != row["size"] else size)
    assert blocked in disk.blocked
    assert bool(blocked) == bool(disk.blocked)
    if disk.blocked:
        with pytest.raises(SalvageError):
            blockdev(disk, "disk")


def test_snapshots_are_listed(tmp_path: Path) -> None:
    image = converted(content(tmp_path / "raw"), tmp_path / "disk.qcow2", "qcow2")
    for name in ("before the update", "naïve [b]"):
        subprocess.run(["qemu-img", "snapshot", "-c", name, str(image)], check=True)
    snapshots = opened(image).snapshots
    assert [(one.id, one.name) for one in snapshots] == [("1", "before the update"), ("2", "naïve [b]")]
    assert abs(snapshots[0].date.timestamp() - time.time()) < 60


@pytest.mark.parametrize("name", ["qcow2", "vdi-static", "vmdk", "vpc", "vhdx", "parallels"])
def test_a_file_that_is_cut_short_is_said_to_be(made: dict[str, Path], name: str, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    cut.write_bytes(made[name].read_bytes())
    os.truncate(cut, cut.stat().st_size - 66000)
    assert any("cut short" in problem for problem in opened(cut).problems)
    assert not any("cut short" in problem for problem in opened(made[name]).problems)


def test_dirty_and_corrupt_bits_are_told(made: dict[str, Path], tmp_path: Path) -> None:
    image = tmp_path / "flags.qcow2"
    image.write_bytes(made["qcow2"].read_bytes())
    patched(image, 72, (3).to_bytes(8, "big"))
    told = " ".join(opened(image).problems)
    assert "not closed cleanly" in told
    assert "corrupt" in told


@contextmanager
def _little_work() -> Iterator[None]:
    """A second of processors and a minute of the clock: a busy host lengthens only the latter."""
    began = os.times()
    yield
    ended = os.times()
    assert sum(ended[:4]) - sum(began[:4]) < 1, "it works for too long"
    assert ended.elapsed - began.elapsed < 60, "it waits"


@pytest.mark.parametrize("name", KINDS)
def test_no_header_crashes_or_hangs(made: dict[str, Path], name: str, tmp_path: Path) -> None:
    """300 damaged copies of each: an answer or an error for a person, each within a second's work."""
    chance = random.Random(name)
    whole = made[name].read_bytes()
    target = tmp_path / "disk"
    target.write_bytes(whole)
    size = len(whole)
    for _round in range(300):
        changed = []
        for _change in range(chance.randint(1, 6)):
            at = chance.randrange(min(chance.choice([512, 4096, 70000, 300000, 3 << 20]), size))
            at = size - 1 - at if chance.random() < 0.2 else at
            length = chance.choice([1, 2, 4, 8])
            changed.append((at, length))
            patched(target, at, chance.choice([b"\xff" * length, bytes(length), chance.randbytes(length)]))
        os.truncate(target, chance.randrange(size) if chance.random() < 0.2 else size)
        with _little_work():
            try:
                blockdev(opened(target), "disk")
            except SalvageError as error:
                assert error.what
        if target.stat().st_size < size:
            target.write_bytes(whole)
        for at, length in changed:
            patched(target, at, whole[at : at + length])


def test_a_table_of_a_million_empty_blocks_costs_no_time(tmp_path: Path) -> None:
    image = created(tmp_path / "a.qcow2", "qcow2", "-o", "cluster_size=2M", size=1 << 40)
    patched(image, 48, (4 << 20).to_bytes(8, "big") + (4).to_bytes(4, "big"))
    os.truncate(image, 64 << 20)
    patched(image, 4 << 20, (32 << 20).to_bytes(8, "big") * (1 << 20))
    with _little_work():
        assert opened(image).virtual_size == 1 << 40


def test_a_block_table_of_two_gibibytes_costs_no_time(tmp_path: Path) -> None:
    image = created(tmp_path / "a.vhd", "vpc")
    patched(image, 512 + 28, (0x1FFFFFFF).to_bytes(4, "big"))
    os.truncate(image, 3 << 30)
    with _little_work():
        assert opened(image).format == "vpc"
