"""Formats that QEMU does not read: cow, and VHDs that hold only what differs from their parent."""

import json
import os
import shutil
import struct
import subprocess
import uuid
from collections.abc import Iterable
from pathlib import Path

import pytest

from core.disks.cow import CowReader
from core.disks.header import Damaged, Source
from core.disks.stretches import Layered
from core.disks.vhd import DifferenceReader
from core.errors import Exit
from tests.conftest import Guard, Program, needs_root
from tests.core.disks.disk_images import opened
from tests.core.disks.small_guest import SIZE, START, guest

SECTOR = 512


LAYOUTS = {"qemu64": (1040, 1056), "qemu32": (1036, 1048), "uml64": (4112, 4128), "uml32": (4108, 4120)}
"""Where the size stands in a header of version 2, and how long it is, by who wrote it."""


def _cow(path: Path, backing: Path, changed: dict[int, bytes], *, layout: str = "qemu64") -> Path:
    """A cow image of version 2 as that program lays it out."""
    size = backing.stat().st_size
    size_at, length = LAYOUTS[layout]
    header = bytearray(length)
    struct.pack_into(">4sI1024s", header, 0, b"OOOM", 2, os.fsencode(backing.name))
    struct.pack_into(">QI", header, size_at, size, SECTOR)
    bitmap = bytearray(-(-size // SECTOR // 8))
    for number in changed:
        bitmap[number // 8] |= 1 << number % 8
    data = -(-(len(header) + len(bitmap)) // SECTOR) * SECTOR
    with open(path, "wb") as file:
        file.write(bytes(header) + bytes(bitmap))
        for number, content in changed.items():
            file.seek(data + number * SECTOR)
            file.write(content)
    return path


def _difference(path: Path, parent: Path, changed: dict[int, bytes], *, relative: str = "") -> Path:
    """A differencing VHD over another one, as Microsoft's specification lays it out."""
    block, size = 2 << 20, SIZE
    with open(parent, "rb") as file:
        file.seek(-SECTOR, os.SEEK_END)
        footer = bytearray(file.read())
    above = footer[68:84]
    struct.pack_into(">Q", footer, 16, SECTOR)
    struct.pack_into(">QQ", footer, 40, size, size)
    struct.pack_into(">I", footer, 60, 4)
    footer[68:84] = uuid.uuid4().bytes
    struct.pack_into(">I", footer, 64, 0)
    struct.pack_into(">I", footer, 64, ~sum(footer) & 0xFFFFFFFF)
    entries = -(-size // block)
    table = 4096
    header = bytearray(1024)
    struct.pack_into(">8sQQIII", header, 0, b"cxsparse", 2**64 - 1, table, 0x10000, entries, block)
    header[40:56] = above
    name = f"C:\\vm\\{parent.name}".encode("utf-16-be")
    header[64 : 64 + len(name)] = name
    if relative:
        text = relative.encode("utf-16-le")
        struct.pack_into(">4sIIIQ", header, 576, b"W2ru", SECTOR, len(text), 0, 2048)
    places = [0xFFFFFFFF] * entries
    data = bytearray(8192)
    data[:SECTOR] = footer
    data[SECTOR : SECTOR + 1024] = header
    if relative:
        data[2048 : 2048 + len(text)] = text
    for number in sorted({at * SECTOR // block for at in changed}):
        places[number] = len(data) // SECTOR
        bitmap, content = bytearray(SECTOR), bytearray(block)
        for at, sector in changed.items():
            if at * SECTOR // block == number:
                inside = at - number * block // SECTOR
                bitmap[inside // 8] |= 128 >> inside % 8
                content[inside * SECTOR : (inside + 1) * SECTOR] = sector
        data += bitmap + content
    struct.pack_into(f">{entries}I", data, table, *places)
    path.write_bytes(bytes(data) + bytes(footer))
    return path


def _differing(old: Path, new: Path) -> dict[int, bytes]:
    """The sectors of a disk that another lacks."""
    before, after = old.read_bytes(), new.read_bytes()
    starts = range(0, len(after), SECTOR)
    return {
        at // SECTOR: after[at : at + SECTOR]
        for at in starts
        if after[at : at + SECTOR] != before[at : at + SECTOR]
    }


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A disk, and the same later: another letter, and a sector at its very end."""
    folder = tmp_path_factory.mktemp("own")
    same = "11111111-2222-3333-4444-555555555555"
    old = guest(folder, "old\n", name="old.raw", uuid=same)
    new = guest(folder, "new\n", name="new.raw", uuid=same)
    with open(new, "r+b") as file:
        file.write(old.read_bytes()[:SECTOR])
        file.seek(-SECTOR, os.SEEK_END)
        file.write(b"z" * SECTOR)
    return old, new


def _whole(program: Program, image: Path, dest: Path) -> bytes:
    """The disk in an image, byte for byte."""
    converted = program("convert", image, dest, "--to", "raw")
    assert converted.status == 0, converted.err
    return dest.read_bytes()


@needs_root
def test_a_cow_image_over_its_backing_file(
    disks: tuple[Path, Path], tmp_path: Path, program: Program, guard: Guard
) -> None:
    base, new = Path(shutil.copy(disks[0], tmp_path)), disks[1]
    image = _cow(tmp_path / "web.cow", base, _differing(base, new))
    guard.watch(image, base)
    assert program("cat", image, "1", "/letter").out == "new\n"
    assert _whole(program, image, tmp_path / "whole.raw") == new.read_bytes()
    shown = json.loads(program("inspect", "--json", image).out)["disk"]
    assert [link["format"] for link in shown["chain"]] == ["cow", "raw"]


@needs_root
def test_a_cow_image_over_an_image_and_below_one(
    disks: tuple[Path, Path], tmp_path: Path, program: Program, guard: Guard
) -> None:
    old, new = disks
    base, top = tmp_path / "base.qcow2", tmp_path / "top.qcow2"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", old, base], check=True)
    image = _cow(tmp_path / "web.cow", Path(shutil.copy(old, tmp_path / "as-large")), _differing(old, new))
    with open(image, "r+b") as file:
        file.seek(8)
        file.write(b"base.qcow2".ljust(1024, b"\0"))
    made = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "qed", "-b", image.name, top, str(SIZE)]
    subprocess.run(made, check=True, cwd=tmp_path)
    top.write_bytes(top.read_bytes().replace(b"qed", b"cow"))  # the name that QEMU 2.1 wrote
    guard.watch(base, image, top)
    assert _whole(program, top, tmp_path / "whole.raw") == new.read_bytes()


@needs_root
def test_a_differencing_vhd_over_its_parent(
    disks: tuple[Path, Path], tmp_path: Path, program: Program, guard: Guard
) -> None:
    old, new = disks
    for kind in ("dynamic", "fixed"):
        parent = tmp_path / f"{kind}.vhd"
        options = f"subformat={kind},force_size=on"
        subprocess.run(
            ["qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", options, old, parent], check=True
        )
        image = _difference(tmp_path / f"web-{kind}.vhd", parent, _differing(old, new))
        guard.watch(parent, image)
        assert program("cat", image, "1", "/letter").out == "new\n"
        assert _whole(program, image, tmp_path / f"{kind}.raw") == new.read_bytes()


@needs_root
def test_a_difference_over_a_difference_in_another_folder(
    disks: tuple[Path, Path], tmp_path: Path, program: Program, guard: Guard
) -> None:
    old, new = disks
    (tmp_path / "bases").mkdir()
    parent = tmp_path / "bases" / "first.vhd"
    made = ["qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "force_size=on", old, parent]
    subprocess.run(made, check=True)
    changed = _differing(old, new)
    half = dict(list(changed.items())[: len(changed) // 2])
    middle = _difference(tmp_path / "middle.vhd", parent, half, relative=".\\bases\\first.vhd")
    rest = {at: data for at, data in changed.items() if at not in half}
    top = _difference(tmp_path / "top.vhd", middle, rest, relative=".\\middle.vhd")
    guard.watch(parent, middle, top)
    assert _whole(program, top, tmp_path / "whole.raw") == new.read_bytes()


def test_a_parent_of_another_identity_is_not_taken(disks: tuple[Path, Path], tmp_path: Path) -> None:
    parent, other = tmp_path / "parent.vhd", tmp_path / "other.vhd"
    for path in (parent, other):
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "vpc", "-o", "force_size=on", path, str(SIZE)], check=True
        )
    image = _difference(tmp_path / "web.vhd", parent, {START: b"x" * SECTOR})
    assert not opened(image).blocked
    parent.unlink()
    assert "missing" in opened(image).blocked
    other.rename(parent)
    assert "another identity" in opened(image).blocked


@needs_root
def test_a_missing_parent_is_a_refusal(tmp_path: Path, program: Program, guard: Guard) -> None:
    parent = tmp_path / "parent.vhd"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "vpc", "-o", "force_size=on", parent, str(SIZE)], check=True
    )
    image = _difference(tmp_path / "web.vhd", parent, {START: b"x" * SECTOR})
    parent.unlink()
    guard.watch(image)
    refused = program("inspect", image)
    assert refused.status == Exit.REFUSED
    assert "--candidates" in refused.err


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_sector_comes_from_where_it_lies(layout: str, disks: tuple[Path, Path], tmp_path: Path) -> None:
    old, new = disks
    image = _cow(tmp_path / "a.cow", old, _differing(old, new), layout=layout)
    wanted = new.read_bytes()
    with Source(image) as source, Source(old) as below:
        disk = Layered([(source, CowReader(source))], below, SIZE)
        for start, end in ((0, SIZE), (SIZE - 700, SIZE), (START * SECTOR + 100, START * SECTOR + 5000)):
            assert disk.read(start, end) == wanted[start:end]


def test_without_what_is_below_it_reads_as_zeros(disks: tuple[Path, Path], tmp_path: Path) -> None:
    parent = tmp_path / "parent.vhd"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "vpc", "-o", "force_size=on", parent, str(SIZE)], check=True
    )
    image = _difference(tmp_path / "web.vhd", parent, {5: b"x" * SECTOR})
    with Source(image) as source:
        disk = Layered([(source, DifferenceReader(source))], None)
        assert disk.read(4 * SECTOR, 7 * SECTOR) == bytes(SECTOR) + b"x" * SECTOR + bytes(SECTOR)


@pytest.mark.parametrize(
    ("offset", "data"), [(4, b"\0\0\0\x01"), (1040, b"\xff" * 8), (1048, b"\0\0\x10\0"), (1040, b"\0\0\x7f")]
)
def test_a_damaged_cow_header_is_a_sentence(
    offset: int, data: bytes, disks: tuple[Path, Path], tmp_path: Path
) -> None:
    image = _cow(tmp_path / "a.cow", disks[0], {})
    with open(image, "r+b") as file:
        file.seek(offset)
        file.write(data)
    with pytest.raises(Damaged):
        opened(image)


@pytest.mark.skipif(not shutil.which("uml_moo"), reason="uml_moo is not here; its package starts a daemon")
@pytest.mark.parametrize("version", [2, 3])
def test_as_user_mode_linux_reads_it(version: int, disks: tuple[Path, Path], tmp_path: Path) -> None:
    old, new = disks
    base = Path(shutil.copy2(old, tmp_path))
    changed: Iterable[tuple[int, bytes]] = _differing(old, new).items()
    image = tmp_path / "a.cow"
    if version == 2:
        _cow(image, base, dict(changed), layout="uml32")
        with open(image, "r+b") as file:
            file.seek(8)
            file.write(os.fsencode(base))
            file.seek(4104)
            file.write(struct.pack(">I", int(base.stat().st_mtime)))
    else:
        subprocess.run(["uml_mkcow", image, base], check=True)
        bitmap, data = 8192, -(-(8192 + SIZE // SECTOR // 8) // 4096) * 4096
        with open(image, "r+b") as file:
            for number, content in changed:
                file.seek(bitmap + number // 8)
                byte = file.read(1)[0] | 1 << number % 8
                file.seek(bitmap + number // 8)
                file.write(bytes([byte]))
                file.seek(data + number * SECTOR)
                file.write(content)
    subprocess.run(["uml_moo", image, tmp_path / "merged"], check=True)
    with Source(image) as source, Source(base) as below:
        disk = Layered([(source, CowReader(source))], below, SIZE)
        assert disk.read(0, SIZE) == (tmp_path / "merged").read_bytes() == new.read_bytes()
