"""VDI and VHDX images that hold only what differs from their parent: every byte is compared."""

import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from core.disks.header import Source
from core.disks.stretches import Layered
from core.disks.vdi import VdiReader
from core.disks.vhdx import VhdxReader
from tests.conftest import Guard, Program, needs_root
from tests.core.disks.differing import MIB, vdi_difference, vhdx_difference
from tests.core.disks.disk_images import opened
from tests.core.disks.small_guest import SIZE, START, guest

SECTOR = 512


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[int, bytes]]:
    """A disk, the same later, and the sectors in which they differ, one at the very end among them."""
    folder = tmp_path_factory.mktemp("differing")
    same = "11111111-2222-3333-4444-555555555555"
    old = guest(folder, "old\n", name="old.raw", uuid=same)
    new = guest(folder, "new\n", name="new.raw", uuid=same)
    with open(new, "r+b") as file:
        file.seek(-SECTOR, os.SEEK_END)
        file.write(b"z" * SECTOR)
    before, after = old.read_bytes(), new.read_bytes()
    starts = range(0, SIZE, SECTOR)
    changed = {
        at // SECTOR: after[at : at + SECTOR]
        for at in starts
        if after[at : at + SECTOR] != before[at : at + SECTOR]
    }
    return old, new, changed


def _parent(folder: Path, raw: Path, format: str, name: str = "") -> Path:
    made = folder / (name or f"base.{format}")
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", format, raw, made], check=True)
    return made


def _converts(program: Program, image: Path, into: Path) -> None:
    """The whole of an image, as `convert` writes it, is `into`."""
    whole = image.with_name("whole.raw")
    assert program("convert", image, whole, "--to", "raw").status == 0
    assert whole.read_bytes() == into.read_bytes()


def _letter_and_chain(program: Program, image: Path) -> tuple[list[str], list[str]]:
    """The names of the chain and the problems told, once a file was read out of the image."""
    assert program("cat", image, "1", "/letter").out == "new\n"
    shown = json.loads(program("inspect", "--json", image).out)["disk"]
    return [Path(link["path"]).name for link in shown["chain"]], shown["problems"]


@needs_root
def test_a_differencing_vdi_over_its_parent(
    disks: tuple[Path, Path, dict[int, bytes]], tmp_path: Path, program: Program, guard: Guard
) -> None:
    old, new, changed = disks
    parent = _parent(tmp_path, old, "vdi")
    _parent(tmp_path, old, "vdi", "another.vdi")
    image = vdi_difference(tmp_path / "web.vdi", parent, old.read_bytes(), changed)
    guard.watch(parent, image)
    chain, problems = _letter_and_chain(program, image)
    assert chain == ["web.vdi", "base.vdi"]
    assert not any("written to after" in problem for problem in problems)
    _converts(program, image, new)


@needs_root
def test_a_differencing_vhdx_over_its_parent(
    disks: tuple[Path, Path, dict[int, bytes]], tmp_path: Path, program: Program, guard: Guard
) -> None:
    old, new, changed = disks
    parent = _parent(tmp_path, old, "vhdx")
    image = vhdx_difference(tmp_path / "web.avhdx", parent, changed)
    guard.watch(parent, image)
    assert _letter_and_chain(program, image)[0] == ["web.avhdx", "base.vhdx"]
    _converts(program, image, new)


@needs_root
def test_a_difference_over_a_difference(
    disks: tuple[Path, Path, dict[int, bytes]], tmp_path: Path, program: Program, guard: Guard
) -> None:
    old, new, changed = disks
    half = dict(list(changed.items())[: len(changed) // 2])
    rest = {at: data for at, data in changed.items() if at not in half}
    first = _parent(tmp_path, old, "vhdx")
    middle = vhdx_difference(tmp_path / "middle.avhdx", first, half, block=2 * MIB)
    top = vhdx_difference(tmp_path / "top.avhdx", middle, rest)
    guard.watch(first, middle, top)
    _converts(program, top, new)


def test_every_kind_of_block_is_read_from_its_place(
    disks: tuple[Path, Path, dict[int, bytes]], tmp_path: Path
) -> None:
    old, _new, changed = disks
    below = old.read_bytes()
    wanted = bytearray(below)
    for at, sector in changed.items():
        wanted[at * SECTOR : (at + 1) * SECTOR] = sector
    wanted[7 * MIB : 8 * MIB] = bytes(MIB)
    parent = _parent(tmp_path, old, "vhdx")
    few = {at: data for at, data in changed.items() if at * SECTOR // MIB != 7}
    with open(old, "rb") as file:
        file.seek(4 * MIB)
        four = file.read(MIB)
    full = {4: b"q" * 700 + four[700:]} if not any(at * SECTOR // MIB == 4 for at in few) else {}
    image = vhdx_difference(tmp_path / "web.avhdx", parent, few, zero=7, whole=full)
    if full:
        wanted[4 * MIB : 5 * MIB] = full[4]
    places = (
        (0, SIZE),
        (SIZE - 700, SIZE),
        (START * SECTOR + 100, START * SECTOR + 5000),
        (7 * MIB - 3, 8 * MIB + 9),
    )
    with Source(image) as source, Source(old) as under:
        disk = Layered([(source, VhdxReader(source))], under, SIZE)
        assert all(disk.read(start, end) == wanted[start:end] for start, end in places)
    base = _parent(tmp_path, old, "vdi")
    other = vdi_difference(tmp_path / "web.vdi", base, below, few, zero=7)
    wanted[4 * MIB : 5 * MIB] = below[4 * MIB : 5 * MIB]
    for at, sector in few.items():
        wanted[at * SECTOR : (at + 1) * SECTOR] = sector
    with Source(other) as source, Source(old) as under:
        disk = Layered([(source, VdiReader(source))], under, SIZE)
        assert all(disk.read(start, end) == wanted[start:end] for start, end in places)


def test_a_parent_that_is_missing_another_or_written_to_is_told(
    disks: tuple[Path, Path, dict[int, bytes]], tmp_path: Path
) -> None:
    old, _new, changed = disks
    parent = _parent(tmp_path, old, "vhdx")
    image = vhdx_difference(tmp_path / "web.avhdx", parent, changed)
    assert not opened(image).blocked
    shutil.move(parent, tmp_path / "kept")
    assert "base.vhdx, and that file is missing" in opened(image).blocked
    _parent(tmp_path, old, "vhdx")
    assert "another identity" in opened(image).blocked
    by_drive = {"absolute_win32_path": "\\\\?\\d:\\vm\\base.vhdx"}
    other = vhdx_difference(tmp_path / "other.avhdx", parent, changed, paths=by_drive)
    assert not opened(other).blocked
    logged = vhdx_difference(tmp_path / "logged.avhdx", parent, changed, log=True)
    assert "nothing here can replay it" in opened(logged).blocked
    assert "Mount-VHD" in opened(logged).way_out

    base = _parent(tmp_path, old, "vdi")
    difference = vdi_difference(tmp_path / "web.vdi", base, old.read_bytes(), changed)
    assert not opened(difference).blocked
    data = bytearray(base.read_bytes())
    data[0x198:0x1A8] = bytes(range(16))
    base.write_bytes(data)
    assert any("written to after" in problem for problem in opened(difference).problems)
    base.unlink()
    assert "that file is missing" in opened(difference).blocked
    (tmp_path / "Snapshots").mkdir()
    data[0x198:0x1A8] = struct.unpack_from("16s", difference.read_bytes(), 0x1B8)[0]
    base.write_bytes(data)
    moved = Path(shutil.move(difference, tmp_path / "Snapshots"))
    assert not opened(moved, allow=(base,)).blocked


@needs_root
def test_a_parent_with_another_name_is_found_and_proved(
    disks: tuple[Path, Path, dict[int, bytes]], tmp_path: Path, program: Program, guard: Guard
) -> None:
    old, _new, changed = disks
    parent = _parent(tmp_path, old, "vdi")
    image = vdi_difference(tmp_path / "web.vdi", parent, old.read_bytes(), changed)
    (tmp_path / "moved").mkdir()
    moved = parent.rename(tmp_path / "moved/elsewhere.vdi")
    guard.watch(image, moved)
    found = json.loads(program("inspect", "--candidates", "--json", image).out)
    (one,) = [one for one in found["candidates"] if one["path"] == str(moved)]
    assert one["fit"] == "proved", one
    assert program("cat", "--backing", moved, image, "1", "/letter").out == "new\n"
