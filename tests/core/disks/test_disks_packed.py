"""Images that are packed or lie in an archive, made by the packers' own programs."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from core.disks.header import Source
from core.disks.packed import inner_name, packing, xz_blocks
from core.errors import Exit
from tests.conftest import Guard, Program, needs_root
from tests.core.disks.small_guest import SIZE, guest, image

PACKERS = {
    ".gz": ("gzip", "-k"),
    ".bz2": ("bzip2", "-k"),
    ".zst": ("zstd", "-qk"),
    ".xz": ("xz", "-k", "--block-size=1MiB"),
}


def _packed(path: Path, suffix: str) -> Path:
    subprocess.run([*PACKERS[suffix], path], check=True)
    return path.with_name(path.name + suffix)


def _tar(archive: Path, *members: Path, options: tuple[str, ...] = ()) -> Path:
    names = [member.name for member in members]
    subprocess.run(["tar", "-c", *options, "-f", archive, "-C", members[0].parent, *names], check=True)
    return archive


@needs_root
@pytest.mark.parametrize(
    ("suffix", "format"), [*((suffix, "qcow2") for suffix in PACKERS), (".gz", "raw"), (".xz", "raw")]
)
def test_a_packed_image_opens(
    suffix: str, format: str, tmp_path: Path, program: Program, guard: Guard, state_dir: Path
) -> None:
    made = image(tmp_path, f"web.{format}", format)
    packed = _packed(made, suffix)
    made.unlink()
    guard.watch(packed)
    read = program("cat", packed, "1", "/letter")
    assert (read.status, read.out) == (0, "secret\n"), read.err
    shown = json.loads(program("inspect", "--json", packed).out)["disk"]
    assert (shown["format"], shown["virtual_size"]) == (format, SIZE)
    assert str(packed) in shown["path"]
    assert list((state_dir / "sessions").iterdir()) == []


@needs_root
def test_what_can_be_read_in_place_is_not_unpacked(tmp_path: Path, program: Program, guard: Guard) -> None:
    made = guest(tmp_path)
    guard.watch(packed := _packed(made, ".xz"))
    planned = program("copy", "--dry-run", packed, "1", "/letter", tmp_path / "out")
    assert planned.status == 0, planned.err
    assert "--filter=xz" in planned.out
    assert "xz --decompress" not in planned.out
    subprocess.run(["gzip", "-k", made], check=True)
    assert " gzip " in program("copy", "--dry-run", f"{made}.gz", "1", "/letter", tmp_path / "out").out


@needs_root
def test_an_appliance_opens_at_its_disk(tmp_path: Path, program: Program, guard: Guard) -> None:
    disk = image(tmp_path, "web-disk1.vmdk", "vmdk", "-o", "subformat=streamOptimized")
    (tmp_path / "web.ovf").write_text("<Envelope/>")
    archive = _tar(tmp_path / "web.ova", tmp_path / "web.ovf", disk, options=("--format=ustar",))
    disk.unlink()
    guard.watch(archive)
    copied = program("copy", archive, "1", "/letter", tmp_path / "out")
    assert copied.status == 0, copied.err
    assert (tmp_path / "out" / "letter").read_text() == "secret\n"
    shown = json.loads(program("inspect", "--json", archive).out)["disk"]
    assert shown["format"] == "vmdk"
    assert "web-disk1.vmdk in " in shown["path"]


def two_in_one(folder: Path) -> Path:
    """An archive of two disks: a.qcow2, and b.qcow2 with another letter."""
    one, two = image(folder, "a.qcow2", "qcow2"), image(folder, "b.qcow2", "qcow2", text="other\n")
    return _tar(folder / "both.tar", one, two)


@needs_root
def test_of_several_disks_one_is_to_be_named(tmp_path: Path, program: Program, guard: Guard) -> None:
    archive, one = two_in_one(tmp_path), tmp_path / "a.qcow2"
    guard.watch(archive)
    asked = program("cat", archive, "1", "/letter")
    assert asked.status == Exit.USAGE
    assert "--member" in asked.err and "b.qcow2" in asked.err
    assert program("cat", "--member", "b.qcow2", archive, "1", "/letter").out == "other\n"
    assert program("cat", "--member", "c.qcow2", archive, "1", "/letter").status == Exit.USAGE
    assert program("cat", "--member", "c.qcow2", one, "1", "/letter").status == Exit.USAGE


@needs_root
def test_layer_upon_layer(tmp_path: Path, program: Program, guard: Guard) -> None:
    disk = _packed(image(tmp_path, "web.qcow2", "qcow2"), ".gz")
    packed = _packed(_tar(tmp_path / "web.tar", disk), ".zst")
    guard.watch(packed)
    assert program("cat", packed, "1", "/letter").out == "secret\n"
    nested = packed
    for suffix in (".gz", ".xz", ".bz2"):
        nested = _packed(nested, suffix)
    refused = program("cat", nested, "1", "/letter")
    assert refused.status == Exit.REFUSED
    assert "times over" in refused.err


@needs_root
def test_a_packed_file_that_ends_too_early_is_read_as_far_as_it_goes(
    tmp_path: Path, program: Program, guard: Guard
) -> None:
    whole = _packed(guest(tmp_path), ".gz")
    cut = tmp_path / "cut.raw.gz"
    cut.write_bytes(whole.read_bytes()[:-2000])
    guard.watch(cut)
    shown = program("inspect", cut)
    assert shown.status == 0, shown.err
    assert "could be unpacked" in shown.out
    (tmp_path / "noise.gz").write_bytes(whole.read_bytes()[:30])
    assert program("inspect", tmp_path / "noise.gz").status == Exit.FAILED


@needs_root
def test_names_in_its_header_count_from_where_it_lies(tmp_path: Path, program: Program, guard: Guard) -> None:
    image(tmp_path, "base.qcow2", "qcow2")
    top = tmp_path / "top.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "base.qcow2", top], check=True
    )
    packed = _packed(top, ".xz")
    top.unlink()
    guard.watch(packed, tmp_path / "base.qcow2")
    assert program("cat", packed, "1", "/letter").out == "secret\n"


@needs_root
def test_a_header_from_inside_reaches_no_file_of_the_host(
    tmp_path: Path, program: Program, guard: Guard
) -> None:
    top = tmp_path / "top.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", "/etc/shadow", top, "1M"],
        check=True,
    )
    refused = program("inspect", _packed(top, ".gz"))
    assert refused.status == Exit.REFUSED
    assert "--allow" in refused.err


@needs_root
def test_where_there_is_no_room_nothing_stays(tmp_path: Path, program: Program, state_dir: Path) -> None:
    state_dir.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", state_dir], check=True)
    try:
        packed = _packed(guest(tmp_path), ".gz")
        refused = program("inspect", packed)
        assert refused.status == Exit.FAILED
        assert "too little room" in refused.err
        assert list((state_dir / "sessions").iterdir()) == []
    finally:
        subprocess.run(["umount", state_dir], check=True)


def test_a_disk_that_begins_like_a_packed_file_is_a_disk(tmp_path: Path) -> None:
    disk = guest(tmp_path)
    with open(disk, "r+b") as file:
        file.write(b"\x1f\x8b\x08")
    with Source(disk) as source:
        assert packing(source) is None
    shutil.copy(disk, tmp_path / "guest.gz")
    with Source(tmp_path / "guest.gz") as source:
        assert packing(source) == "gz"


def test_the_blocks_of_an_xz_file_are_as_xz_tells_them(tmp_path: Path) -> None:
    disk = guest(tmp_path)
    packed = _packed(disk, ".xz")
    twice = tmp_path / "twice.xz"
    twice.write_bytes(packed.read_bytes() + bytes(8) + packed.read_bytes())
    for path in (packed, twice):
        told = subprocess.run(["xz", "--robot", "--list", path], capture_output=True, text=True, check=True)
        total = next(int(line.split("\t")[4]) for line in told.stdout.splitlines() if line[:4] == "file")
        with Source(path) as source:
            blocks = xz_blocks(source)
        assert blocks and (blocks.total, blocks.largest) == (total, 1 << 20)
    with Source(disk) as source:
        assert xz_blocks(source) is None


def test_what_is_inside_is_called_like_the_file() -> None:
    names = {"a.qcow2.xz": "a.qcow2", "a.tgz": "a.tar", "a.raw": "a.raw", "a.tar.gz": "a.tar"}
    assert {name: inner_name(name) for name in names} == names
