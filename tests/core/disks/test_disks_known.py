"""The table of what can be opened: every row is shown, stands in the README, and has an image that opens."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from core.disks.formats import NAMES
from core.disks.known import KNOWN, as_markdown
from core.errors import Exit
from tests.conftest import Guard, Program, needs_root
from tests.core.disks.disk_images import KINDS
from tests.core.disks.small_guest import SIZE, guest, image

TOP = Path(__file__).parents[3]

ELSEWHERE = {
    "qcow2 with LUKS": "test_disks_encrypted",
    "qcow2 with AES": "test_disks_encrypted",
    "cow": "test_disks_own_readers",
    "vpc, differencing": "test_disks_own_readers",
    "vdi, differencing": "test_disks_differing",
    "vhdx, differencing": "test_disks_differing",
    "bochs": "test_disks_known",
    "cloop": "test_disks_known",
    "dmg": "test_corpora",
    "luks": "test_disks_known",
    "block device": "test_disks_known",
    "nbd://, nbds://, nbd+unix://": "test_disks_let_in",
    "ssh://": "test_disks_ssh",
    "https://": "test_disks_addresses",
    "fat:": "test_disks_addresses",
    ".xz": "test_disks_packed",
    ".gz, .bz2, .zst": "test_disks_packed",
    ".ova, .tar": "test_disks_packed",
}
"""Rows whose images are made in that module; all others are written here by qemu-img."""


def test_every_row_has_its_test() -> None:
    written = {kind.split("-")[0] for kind in KINDS} | {"raw"}
    assert {one.name for one in KNOWN} == written | set(ELSEWHERE)
    modules = {path.stem for path in (TOP / "tests").rglob("test_*.py")}
    assert set(ELSEWHERE.values()) <= modules
    assert set(NAMES) <= {one.name.split(",")[0] for one in KNOWN}


def test_the_readme_shows_the_table() -> None:
    assert as_markdown() in (TOP / "README.md").read_text()


def test_it_is_shown_without_a_disk(program: Program) -> None:
    shown = program("inspect", "--formats")
    assert shown.status == 0
    assert all(one.name in shown.out for one in KNOWN)
    told = json.loads(program("inspect", "--formats", "--json").out)["formats"]
    assert [one["name"] for one in told] == [one.name for one in KNOWN]
    assert program("inspect").status == Exit.USAGE


@needs_root
@pytest.mark.parametrize("format", sorted({kind.split("-")[0] for kind in KINDS}))
def test_a_disk_in_every_format_that_qemu_writes(
    format: str, tmp_path: Path, program: Program, guard: Guard
) -> None:
    words = ("-o", "force_size=on") if format == "vpc" else ()
    made = image(tmp_path, f"web.{format}", format, *words)
    guard.watch(made)
    read = program("cat", made, "1", "/letter")
    assert (read.status, read.out) == (0, "secret\n"), read.err


def _bochs(raw: bytes) -> bytes:
    """A growing image of version 2 as Bochs lays it out: iodev/hdimage/hdimage.h, redolog_header_t."""
    extent, header = 1 << 20, 512
    count = -(-len(raw) // extent)
    head = bytearray(header)
    head[:32], head[32:48], head[48:64] = (
        b"Bochs Virtual HD Image".ljust(32, b"\0"),
        b"Redolog".ljust(16, b"\0"),
        b"Growing".ljust(16, b"\0"),
    )
    bitmap = 512
    numbers = (0x00020000, header, count, bitmap, extent, 0)
    for at, number in enumerate(numbers):
        head[64 + 4 * at : 68 + 4 * at] = number.to_bytes(4, "little")
    head[88:96] = len(raw).to_bytes(8, "little")
    catalog = b"".join(number.to_bytes(4, "little") for number in range(count))
    data = bytearray(bytes(head) + catalog)
    for at in range(0, len(raw), extent):
        data += b"\xff" * (extent // 512 // 8) + bytes(bitmap - extent // 512 // 8)
        data += raw[at : at + extent].ljust(extent, b"\0")
    return bytes(data)


def _cloop(raw: bytes) -> bytes:
    """A compressed loop of version 2: a table of offsets, then a zlib stream for each block."""
    import zlib

    block = 64 << 10
    pieces = [zlib.compress(raw[at : at + block]) for at in range(0, len(raw), block)]
    offset = 136 + 8 * (len(pieces) + 1)
    table = []
    for piece in pieces:
        table.append(offset)
        offset += len(piece)
    head = b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n".ljust(
        128, b"\0"
    )
    numbers = block.to_bytes(4, "big") + len(pieces).to_bytes(4, "big")
    return head + numbers + b"".join(at.to_bytes(8, "big") for at in [*table, offset]) + b"".join(pieces)


@needs_root
@pytest.mark.parametrize(("name", "pack"), [("web.bochs", _bochs), ("web.cloop", _cloop)])
def test_formats_that_nothing_here_writes(
    name: str, pack: Callable[[bytes], bytes], tmp_path: Path, program: Program, guard: Guard
) -> None:
    made = tmp_path / name
    made.write_bytes(pack(guest(tmp_path).read_bytes()))
    guard.watch(made)
    read = program("cat", made, "1", "/letter")
    assert (read.status, read.out) == (0, "secret\n"), read.err


@needs_root
def test_a_whole_disk_in_luks_opens_by_the_operators_word(
    tmp_path: Path, program: Program, guard: Guard
) -> None:
    raw, made, key = guest(tmp_path), tmp_path / "web.luks", tmp_path / "key"
    key.write_text("a word")
    secret = ["--object", f"secret,id=s,file={key}"]
    options = ["-o", "key-secret=s,iter-time=10"]
    create = ["qemu-img", "create", "-q", *secret, "-f", "luks", *options, made, str(SIZE)]
    for turn in range(10):  # on a busy host QEMU cannot always measure how many rounds it wants
        if subprocess.run(create, check=turn == 9, capture_output=True).returncode == 0:
            break
    target = f"driver=luks,key-secret=s,file.filename={made}"
    convert = ["qemu-img", "convert", "-n", *secret, "--image-opts", f"driver=raw,file.filename={raw}"]
    subprocess.run([*convert, "--target-image-opts", target], check=True)
    guard.watch(made)
    read = program("cat", "--format", "luks", "--passphrase-file", key, made, "1", "/letter")
    assert (read.status, read.out) == (0, "secret\n"), read.err
    key.write_text("another")
    wrong = program("cat", "--format", "luks", "--passphrase-file", key, made, "1", "/letter")
    assert (wrong.status, "not the passphrase" in wrong.err) == (Exit.REFUSED, True)
    assert json.loads(program("inspect", "--json", made).out)["disk"]["format"] == "raw"


@needs_root
def test_a_block_device_opens(tmp_path: Path, program: Program, guard: Guard) -> None:
    for made in (guest(tmp_path), image(tmp_path, "web.qcow2", "qcow2")):
        guard.watch(made)
        attach = ["losetup", "--find", "--show", "--read-only", made]
        device = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
        try:
            words = ("--format", "qcow2") if made.suffix == ".qcow2" else ()
            read = program("cat", *words, device, "1", "/letter")
            assert (read.status, read.out) == (0, "secret\n"), read.err
        finally:
            subprocess.run(["losetup", "--detach", device], check=True)
