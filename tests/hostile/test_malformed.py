"""Rows 12 to 19: containers whose headers cannot be true, tools that die, and odd kinds of files."""

import os
import random
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import tools
from tests.conftest import Guard, needs_root
from tests.core.disks.disk_images import KINDS, SIZE, content, converted, created
from tests.hostile.asking import CANARY, WALL, Case, Maker, ask, check, places, seen
from tests.hostile.images import mbr, put, qcow2, vhd, vmdk_around

DAMAGED = "header of"
SAVE_FIRST = "Make a byte copy first"


@pytest.fixture
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """In a folder with a short name: sockets are made in the state folder, see unix(7)."""
    return places(tmp_path_factory.mktemp("h"))


# -- row 12: fields out of range -----------------------------------------------------------------

ALL = (1 << 64) - 1
HALF = (1 << 32) - 1


def _qcow2(at: int, form: str, value: int, *says: str, status: int = 1) -> Maker:
    def make(home: Path, away: Path) -> Case:
        image = put(qcow2(home / "a.qcow2"), at, form, value)
        return Case(image, status, (DAMAGED, SAVE_FIRST, *says) if status == 1 else says)

    return make


def _qcow2_extension(data: bytes, *says: str) -> Maker:
    return lambda home, away: Case(qcow2(home / "a.qcow2", extensions=data), 1, (DAMAGED, *says))


def _qemu(form: str, at: int, pack: str, value: int | bytes, *says: str, status: int = 1) -> Maker:
    def make(home: Path, away: Path) -> Case:
        image = put(created(home / f"a.{form}", form, size=16 << 20), at, pack, value)
        return Case(image, status, (DAMAGED, *says) if status == 1 else says, ("--format", form))

    return make


def _vhd(at: int, form: str, value: int | bytes, *says: str) -> Maker:
    return lambda home, away: Case(put(vhd(home / "a.vhd"), at, form, value), 1, (DAMAGED, *says))


def _vmdk(at: int, form: str, value: int, *says: str) -> Maker:
    def make(home: Path, away: Path) -> Case:
        image = vmdk_around(home / "a.vmdk", 'CID=1\ncreateType="monolithicSparse"\n', capacity=2048)
        return Case(put(image, at, form, value), 1, (DAMAGED, *says))

    return make


def _cloop(block: int, blocks: int, *says: str) -> Maker:
    def make(home: Path, away: Path) -> Case:
        head = b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop".ljust(128, b"\0")
        (home / "a.cloop").write_bytes(head + struct.pack(">II", block, blocks) + bytes(4096))
        return Case(home / "a.cloop", 1, (DAMAGED, *says))

    return make


def _bochs(at: int, form: str, value: int, *says: str) -> Maker:
    def make(home: Path, away: Path) -> Case:
        head = (
            b"Bochs Virtual HD Image".ljust(32, b"\0")
            + b"Redolog".ljust(16, b"\0")
            + b"Growing".ljust(16, b"\0")
        )
        head += struct.pack("<6IQ", 0x20000, 512, 16, 512, 1 << 20, 0, 16 << 20)
        image = home / "a.bochs"
        image.write_bytes(head.ljust(512, b"\0") + b"\xff" * 64 + bytes(448))
        return Case(put(image, at, form, value), 1, (DAMAGED, *says))

    return make


def _dmg(*fields: tuple[int, str, int], says: str) -> Maker:
    def make(home: Path, away: Path) -> Case:
        trailer = bytearray(512)
        struct.pack_into(">4sII", trailer, 0, b"koly", 4, 512)
        struct.pack_into(">QQ", trailer, 216, 512, 1024)
        struct.pack_into(">Q", trailer, 492, 2048)
        for at, form, value in fields:
            struct.pack_into(form, trailer, at, value)
        (home / "a.dmg").write_bytes(bytes(4096) + bytes(trailer))
        return Case(home / "a.dmg", 1, (DAMAGED, says))

    return make


OUT_OF_RANGE: dict[str, Maker] = {
    "version": _qcow2(4, ">I", 77, "version 77"),
    "header length": _qcow2(100, ">I", HALF, "header length of 4294967295"),
    "header too short": _qcow2(100, ">I", 72, "header length of 72"),
    "cluster bits 63": _qcow2(20, ">I", 63, "2^63"),
    "cluster bits 0": _qcow2(20, ">I", 0, "2^0"),
    "virtual size of 16 EiB": _qcow2(24, ">Q", ALL, "virtual size"),
    "virtual size of 8 EiB": _qcow2(24, ">Q", 1 << 63, "virtual size"),
    "8 EiB less a sector": _qcow2(24, ">Q", (1 << 63) - 512, "L1 table is too small"),
    "L1 of 2^32-1": _qcow2(36, ">I", HALF, "L1 table of 4294967295"),
    "L1 of none": _qcow2(36, ">I", 0, "L1 table is too small"),
    "L1 elsewhere": _qcow2(40, ">Q", 1 << 62, "L1 table lies beyond", "EiB are missing"),
    "L1 askew": _qcow2(40, ">Q", 3, "L1 table lies where it cannot"),
    "counts elsewhere": _qcow2(48, ">Q", 1 << 62, "reference count table lies beyond"),
    "counts of 2^32-1": _qcow2(56, ">I", HALF, "4294967295 clusters"),
    "counts of none": _qcow2(56, ">I", 0, "0 clusters"),
    "counts of 2^77 bits": _qcow2(96, ">I", 77, "2^77"),
    "snapshots 2^32-1": _qcow2(60, ">I", HALF, "4294967295 internal snapshots"),
    "snapshots elsewhere": _qcow2(60, ">I", 65536, "snapshot"),
    "encryption 3": _qcow2(32, ">I", 3, "encryption method 3"),
    "encrypted": _qcow2(32, ">I", 1, "is encrypted", status=3),
    "unknown features": _qcow2(72, ">Q", 1 << 63, "0x8000000000000000", status=3),
    "backing elsewhere": lambda home, away: Case(
        put(qcow2(home / "a.qcow2"), 8, ">QI", ALL, 9), 1, ("9 bytes",)
    ),
    "backing of 2^32-1": lambda home, away: Case(
        put(qcow2(home / "a.qcow2"), 8, ">QI", 1024, HALF), 1, ("4294967295 bytes",)
    ),
    "extension of 2^32-1": _qcow2_extension(struct.pack(">II", 0x1234, HALF), "extension leaves"),
    "extension over its end": _qcow2_extension(struct.pack(">II", 0x1234, 65500), "extension leaves"),
    "qcow clusters": _qemu("qcow", 32, ">B", 63, "2^63"),
    "qcow size": _qemu("qcow", 24, ">Q", ALL, "virtual size"),
    "qcow backing": lambda home, away: Case(
        put(created(home / "a.qcow", "qcow"), 8, ">QI", 1 << 40, 9), 1, (DAMAGED, "lies beyond", "TiB")
    ),
    "qed clusters": _qemu("qed", 4, "<I", HALF, "clusters of"),
    "qed table": _qemu("qed", 8, "<I", 17, "tables of 17"),
    "qed header": _qemu("qed", 12, "<I", HALF, "header length"),
    "qed size": _qemu("qed", 48, "<Q", ALL, "virtual size"),
    "qed L1": _qemu("qed", 40, "<Q", 1 << 62, "L1 table lies beyond"),
    "qed features": _qemu("qed", 16, "<Q", 1 << 60, "features", status=3),
    "vdi blocks": _qemu("vdi", 0x180, "<I", HALF, "virtual size"),
    "vdi more blocks": _qemu("vdi", 0x180, "<I", 0x3FFFFFFF, "block table lies beyond", "GiB are missing"),
    "vdi no blocks": _qemu("vdi", 0x180, "<I", 0, "virtual size"),
    "vdi size": _qemu("vdi", 0x170, "<Q", ALL, "virtual size"),
    "vdi block": _qemu("vdi", 0x178, "<I", 0, "blocks of 0 bytes"),
    "vdi table": _qemu("vdi", 0x154, "<I", HALF - 511, "block table lies beyond"),
    "vdi parent": _qemu("vdi", 0x1A8, "16s", b"p" * 16, "holds only what differs", status=3),
    "parallels clusters": _qemu("parallels", 28, "<I", 0, "clusters of 0"),
    "parallels large clusters": _qemu("parallels", 28, "<I", HALF, "clusters of"),
    "parallels table": _qemu("parallels", 32, "<I", HALF, "4294967295 entries"),
    "parallels less": _qemu("parallels", 32, "<I", 0x1FFFFFFF, "block table lies beyond", "2.0 GiB"),
    "parallels size": _qemu("parallels", 36, "<Q", ALL, "virtual size"),
    "vhdx headers": _qemu(
        "vhdx", 64 << 10, f"{128 << 10}s", b"head".ljust(128 << 10, b"x"), "neither of its two headers"
    ),
    "vhdx regions": _qemu("vhdx", 192 << 10, f"{128 << 10}s", b"regi" * (32 << 10), "region tables"),
    "vhd table": _vhd(512 + 28, ">I", HALF, "block table"),
    "vhd small table": _vhd(512 + 28, ">I", 0, "block table"),
    "vhd block": _vhd(512 + 32, ">I", 3, "blocks of 3"),
    "vhd huge block": _vhd(512 + 32, ">I", HALF, "blocks of"),
    "vhd size": _vhd(48, ">Q", ALL, "block table"),
    "vhd header": _vhd(16, ">Q", 1 << 62, "dynamic header lies beyond"),
    "vhd kind": _vhd(60, ">I", 77, "disk type 77"),
    "vmdk capacity": _vmdk(12, "<Q", ALL, "virtual size"),
    "vmdk grain": _vmdk(20, "<Q", ALL, "grains of"),
    "vmdk no grain": _vmdk(20, "<Q", 0, "grains of 0"),
    "vmdk entries": _vmdk(44, "<I", HALF, "grain tables of"),
    "vmdk no entries": _vmdk(44, "<I", 0, "grain tables of 0"),
    "vmdk directory": _vmdk(12, "<Q", (1 << 54) - 1, "grain directory"),
    "vmdk version": _vmdk(4, "<I", 77, "version 77"),
    "cloop blocks": _cloop(65536, HALF, "4294967295 entries"),
    "cloop table": _cloop(65536, 1 << 20, "block table lies beyond", "8.0 MiB"),
    "cloop block": _cloop(0, 1, "blocks of 0"),
    "cloop large block": _cloop(HALF & ~511, 1, "blocks of"),
    "bochs catalogue": _bochs(72, "<I", HALF, "4294967295 entries"),
    "bochs no catalogue": _bochs(72, "<I", 0, "catalogue of 0"),
    "bochs extent": _bochs(80, "<I", 3, "extents of 3"),
    "bochs size": _bochs(88, "<Q", ALL, "catalogue"),
    "bochs header": _bochs(68, "<I", HALF, "catalogue of"),
    "dmg plist": _dmg((224, ">Q", 1 << 62), says="a part lies beyond"),
    "dmg plist elsewhere": _dmg((216, ">Q", ALL), says="a part lies beyond"),
    "dmg sectors": _dmg((492, ">Q", ALL), says="virtual size"),
    "dmg nothing": _dmg((224, ">Q", 0), says="list of blocks is missing"),
}


@pytest.mark.hostile(12)
@pytest.mark.parametrize("maker", OUT_OF_RANGE.values(), ids=OUT_OF_RANGE)
def test_a_field_out_of_range_is_a_sentence(maker: Maker, folders: tuple[Path, Path, Path]) -> None:
    home, away, state = folders
    check(maker(home, away), home, away, state)


@needs_root
@pytest.mark.hostile(12)
def test_a_damaged_container_can_still_be_saved(folders: tuple[Path, Path, Path], guard: Guard) -> None:
    """The way out that the sentence names works: a byte copy, and a look at the bytes."""
    home, away, state = folders
    image = put(qcow2(home / "a.qcow2"), 20, ">I", 63)
    guard.watch(image)
    check(Case(image, 0, ("read as raw, as asked",), ("--format", "raw")), home, away, state)
    to = away.parent / "to.qcow2"
    assert ask(state, "backup", "--format", "raw", image, to).status == 0
    assert to.read_bytes() == image.read_bytes()


@needs_root
@pytest.mark.hostile(12)
@pytest.mark.parametrize("bits", [1 << 2, 1 << 63])
def test_version_2_has_no_feature_bits(bits: int, folders: tuple[Path, Path, Path], guard: Guard) -> None:
    """What would be feature bits in version 3 are data in version 2: nothing is read into them."""
    home, away, state = folders
    image = put(qcow2(home / "a.qcow2"), 72, ">Q", bits)
    check(Case(image, 3), home, away, state)
    put(image, 4, ">I", 2)
    guard.watch(image)
    check(Case(image, 0, ("Format       qcow2",)), home, away, state)


@pytest.mark.hostile(12)
@pytest.mark.parametrize("kind", ["qcow2", "qcow", "qed", "vdi", "vmdk", "vpc", "vhdx", "parallels"])
def test_garbage_in_a_header_is_a_sentence(kind: str, folders: tuple[Path, Path, Path]) -> None:
    """Bytes thrown over the header, a few and many: whatever comes of it, it is an ordinary outcome."""
    home, away, state = folders
    image = created(home / f"a.{kind}", kind, size=16 << 20)
    whole = image.read_bytes()[: 1 << 20]
    dice = random.Random(kind)
    for count in (1, 4, 16, 64):
        data = bytearray(whole)
        for _number in range(count):
            data[dice.randrange(8, min(1024, len(data)))] = dice.choice(
                (0, 1, 127, 128, 255, dice.randrange(256))
            )
        image.write_bytes(data)
        before = seen(home)
        told = ask(state, "backup", image, away / f"copy-{count}")
        assert told.status in (0, 1, 3), told
        assert seen(home) == before


# -- rows 13 and 14: tools that die, hang or never stop --------------------------------------------

DYING = {
    "crash": ("kill -SEGV $$", "qemu-storage-daemon could not start"),
    "abort": ("echo 'Assertion \033[31m failed' >&2; kill -ABRT $$", r"Assertion \x1b[31m failed"),
    "silent": ("exit 3", "it said nothing"),
}


@pytest.fixture
def tool(tmp_path: Path) -> Iterator[Path]:
    """A folder for tools of our own, first on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    yield folder
    tools.find.__globals__["_located"].cache_clear()


def _tool(folder: Path, name: str, script: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@needs_root
@pytest.mark.hostile(13)
@pytest.mark.parametrize("name", DYING)
def test_a_tool_that_dies_is_an_ordinary_outcome(
    name: str, folders: tuple[Path, Path, Path], tool: Path, guard: Guard
) -> None:
    home, away, state = folders
    script, words = DYING[name]
    image = qcow2(home / "a.qcow2")
    guard.watch(image)
    told = ask(state, "inspect", image, path=_tool(tool, "qemu-storage-daemon", script))
    assert told.status == 1, told
    assert words in told.err, told
    assert "nothing was left behind" in told.err
    assert not list(state.glob("sessions/*"))
    assert check(Case(image, 0), home, away, state).status == 0


@needs_root
@pytest.mark.hostile(13)
def test_a_reader_of_contents_that_crashes_loses_nothing_else(
    folders: tuple[Path, Path, Path], tool: Path, guard: Guard
) -> None:
    home, _away, state = folders
    image = qcow2(home / "a.qcow2")
    guard.watch(image)
    told = ask(state, "inspect", image, path=_tool(tool, "blkid", "kill -SEGV $$"))
    assert told.status in (0, 1), told
    assert "blkid" in told.text, told
    assert not list(state.glob("sessions/*"))


@needs_root
@pytest.mark.hostile(14)
def test_a_tool_has_no_secrets_no_input_no_network_and_no_core(
    folders: tuple[Path, Path, Path], tool: Path, guard: Guard
) -> None:
    home, _away, state = folders
    seen_by_it = tool / "seen"
    script = (
        f"exec >{seen_by_it}; pwd; readlink /proc/self/fd/0; ulimit -c; env; cat /proc/self/limits;"
        " readlink /proc/self/ns/net; exit 1"
    )
    path = _tool(tool, "qemu-storage-daemon", script)
    os.environ["A_SECRET"] = CANARY
    try:
        told = ask(state, "inspect", qcow2(home / "a.qcow2"), path=path)
    finally:
        del os.environ["A_SECRET"]
    assert told.status == 1
    there, given, core, *rest = seen_by_it.read_text().splitlines()
    assert (there, given, core) == ("/", "/dev/null", "0")
    assert CANARY not in "".join(rest)
    assert any("Max data size" in line and "2147483648" in line for line in rest)
    assert rest[-1] != os.readlink("/proc/self/ns/net")


# -- rows 15 and 16: more than there is room for, and tables that cannot be trusted -------------------


@pytest.fixture
def small_place(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "hostile-row-15", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


@needs_root
@pytest.mark.hostile(15)
def test_what_does_not_fit_is_told_before_a_byte_is_written(
    folders: tuple[Path, Path, Path], small_place: Path, guard: Guard
) -> None:
    home, _away, state = folders
    image = home / "a.raw"
    image.write_bytes(os.urandom(2 << 20))
    guard.watch(image)
    told = ask(state, "backup", image, small_place / "to")
    assert told.status == 1, told
    assert "MiB" in told.err, told
    assert list(small_place.rglob("*")) == []


@needs_root
@pytest.mark.hostile(15)
def test_a_huge_virtual_size_costs_only_what_is_stored(
    folders: tuple[Path, Path, Path], guard: Guard
) -> None:
    """A pebibyte of nothing: the backup is of the container, which is small."""
    home, away, state = folders
    image = created(home / "a.qcow2", "qcow2", "-o", "cluster_size=2M", size=1 << 50)
    guard.watch(image)
    told = ask(state, "backup", image, away.parent / "to.qcow2")
    assert told.status == 0, told
    assert (away.parent / "to.qcow2").stat().st_blocks * 512 < 32 << 20


@needs_root
@pytest.mark.hostile(15)
def test_files_that_do_not_fit_are_told_before_a_byte_is_written(
    folders: tuple[Path, Path, Path], small_place: Path, guard: Guard
) -> None:
    home, away, state = folders
    (away / "tree").mkdir()
    (away / "tree/large").write_bytes(os.urandom(3 << 20))
    image = home / "a.raw"
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", away / "tree", image], check=True)
    guard.watch(image)
    told = ask(state, "copy", image, "disk", "/large", small_place / "to")
    assert told.status in (1, 4), told
    assert "MiB" in told.err, told
    assert sum(path.stat().st_size for path in small_place.rglob("large*")) == 0


@needs_root
@pytest.mark.hostile(16)
def test_tables_full_of_garbage_are_saved_byte_by_byte(
    folders: tuple[Path, Path, Path], guard: Guard
) -> None:
    home, away, state = folders
    dice = random.Random(16)
    image = converted(content(away / "raw"), home / "a.qcow2", "qcow2")
    (l1,) = struct.unpack(">Q", image.read_bytes()[40:48])
    (l2,) = struct.unpack(">Q", image.read_bytes()[l1 : l1 + 8])
    put(image, l2 & ~(1 << 63), "4096s", dice.randbytes(4096))
    guard.watch(image)
    to = away.parent / "to.qcow2"
    assert ask(state, "backup", image, to).status == 0
    assert to.read_bytes() == image.read_bytes()
    told = ask(state, "inspect", image)
    assert told.status in (0, 1), told


# -- row 17: cut short ---------------------------------------------------------------------------

CUT = sorted(set(KINDS) - {"vmdk-flat", "vmdk-split", "vmdk-split-flat"})


@needs_root
@pytest.mark.hostile(17)
@pytest.mark.parametrize("kind", CUT)
def test_how_much_is_missing_is_said(kind: str, folders: tuple[Path, Path, Path], guard: Guard) -> None:
    home, away, state = folders
    image = KINDS[kind](content(away / "raw"), home / f"a.{kind.split('-')[0]}")
    length = image.stat().st_size
    # the last half of a small streamed VMDK is padding that nobody misses
    lost = length // 2 if kind == "vmdk-stream" else min(length // 3, 1 << 20)
    os.truncate(image, length - lost // 512 * 512)
    guard.watch(image)
    before = seen(home)
    told = ask(state, "inspect", image)
    assert told.status in (0, 1, 3), told
    assert seen(home) == before
    if kind != "vpc-fixed":  # its footer was what made it one: what is left is a raw disk under another name
        assert "cut short" in told.text, told
        assert "missing" in told.text, told
    else:
        assert "The name says" in told.text, told


@needs_root
@pytest.mark.hostile(17)
def test_a_raw_disk_that_ends_before_its_partition_says_so(
    folders: tuple[Path, Path, Path], guard: Guard
) -> None:
    home, away, state = folders
    image = home / "a.raw"
    image.write_bytes(mbr(2048, 20480).ljust(2 << 20, b"\0"))
    guard.watch(image)
    told = check(Case(image, 0), home, away, state)
    assert "beyond" in told.text or "missing" in told.text or "cut short" in told.text, told


# -- row 18: wrong names -------------------------------------------------------------------------


@needs_root
@pytest.mark.hostile(18)
@pytest.mark.parametrize("suffix", ["vmdk", "qcow2", "vhd", "vdi"])
def test_the_content_counts_and_not_the_name(
    suffix: str, folders: tuple[Path, Path, Path], guard: Guard
) -> None:
    home, away, state = folders
    image = content(home / f"disk.{suffix}")
    guard.watch(image)
    check(Case(image, 0, ("Format       raw", "The name says")), home, away, state)


@needs_root
@pytest.mark.hostile(18)
def test_a_vhd_of_fixed_size_is_as_long_as_its_footer_says(
    folders: tuple[Path, Path, Path], guard: Guard
) -> None:
    home, away, state = folders
    image = KINDS["vpc-fixed"](content(away / "raw"), home / "disk")
    guard.watch(image)
    check(Case(image, 0, ("Format       vpc", f"({SIZE:,} B)".replace(",", "\u202f"))), home, away, state)


# -- row 19: no regular file, and odd names ---------------------------------------------------------


def _empty(home: Path, away: Path) -> Case:
    (home / "a").touch()
    return Case(home / "a", 1, ("is empty",))


def _tiny(home: Path, away: Path) -> Case:
    (home / "a").write_bytes(b"x" * 511)
    return Case(home / "a", 1, ("only 511 bytes",))


def _fifo(home: Path, away: Path) -> Case:
    os.mkfifo(home / "a")
    return Case(home / "a", 1, ("is a FIFO",))


def _socket(home: Path, away: Path) -> Case:
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(home)
        server.bind("a")
    return Case(home / "a", 1, ("is a socket",))


def _dangling(home: Path, away: Path) -> Case:
    (home / "a").symlink_to("gone")
    return Case(home / "a", 1, ("There is no",))


def _to_itself(home: Path, away: Path) -> Case:
    (home / "a").symlink_to("a")
    return Case(home / "a", 1, ("leads nowhere",))


def _to_fifo(home: Path, away: Path) -> Case:
    os.mkfifo(home / "b")
    (home / "a").symlink_to("b")
    return Case(home / "a", 1, ("is a FIFO",))


ODD: dict[str, Maker] = {
    "empty": _empty,
    "tiny": _tiny,
    "fifo": _fifo,
    "socket": _socket,
    "dangling": _dangling,
    "to itself": _to_itself,
    "to a fifo": _to_fifo,
    "folder": lambda home, away: Case(home, 1, ("is a folder",)),
    "null": lambda home, away: Case("/dev/null", 1, ("character device",)),
    "zero": lambda home, away: Case("/dev/zero", 1, ("character device",)),
    "memory": lambda home, away: Case("/proc/self/mem", 1),
    "proc": lambda home, away: Case("/proc/version", 1),
    "below a file": lambda home, away: Case("/etc/hostname/x", 1, ("leads nowhere",)),
    "nothing": lambda home, away: Case("", 2, ("wants a disk",)),
    "long": lambda home, away: Case("x" * 5000, 1, ("leads nowhere",)),
    "nbd": lambda home, away: Case(
        "nbd://127.0.0.1:9/x", 1, ("refuses the connection", "Nothing was opened.")
    ),
    "json": lambda home, away: Case('json:{"driver":"null-co"}', 1, ("Addresses are: nbd://",)),
    "escape": lambda home, away: Case("\x1b]0;x\x07\n", 1, (r"\x1b]0;x\x07\n",)),
    "no UTF-8": lambda home, away: Case(os.fsdecode(b"\xff\xfe"), 1, (r"\xff\xfe",)),
}


@pytest.mark.hostile(19)
@pytest.mark.parametrize("maker", ODD.values(), ids=ODD)
def test_what_is_no_disk_is_a_sentence(
    maker: Maker, folders: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, away, state = folders
    monkeypatch.chdir(away)
    check(maker(home, away), home, away, state)


NAMES = ("-x", "--json", "json:{}", "nbd:x", "a\nb", "\x1b]0;x\x07", "a,b", "a b", "file:x")
NO_TEXT = os.fsdecode(b"\xff")


@needs_root
@pytest.mark.hostile(19)
@pytest.mark.parametrize("name", [*NAMES, f"./{NAMES[2]}", f"./{NAMES[0]}"])
def test_an_odd_name_is_only_a_name(
    name: str, folders: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch, guard: Guard
) -> None:
    home, away, state = folders
    image = qcow2(home / name, size=SIZE)
    guard.watch(image)
    monkeypatch.chdir(home)
    check(Case(name, 0, ("8.0 MiB", "Format       qcow2")), home, away, state)
    image.write_bytes(bytes(SIZE))
    guard.watch(image)
    check(Case(name, 0, ("8.0 MiB", "Format       raw")), home, away, state)


@needs_root
@pytest.mark.hostile(19)
def test_a_name_that_is_no_text_cannot_be_told_to_qemu(
    folders: tuple[Path, Path, Path], guard: Guard
) -> None:
    home, away, state = folders
    check(Case(qcow2(home / NO_TEXT), 1, ("no UTF-8", "another name", r"\xff")), home, away, state)
    check(Case(content(home / (NO_TEXT * 2)), 0, (r"\xff\xff",)), home, away, state)


@pytest.mark.hostile(19)
def test_a_name_that_looks_like_an_option_wants_to_be_told_apart(
    folders: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, _away, state = folders
    content(home / "-x")
    monkeypatch.chdir(home)
    assert ask(state, "inspect", "-x").status == 2


@needs_root
@pytest.mark.hostile(19)
def test_the_last_bytes_that_are_no_sector_are_told(folders: tuple[Path, Path, Path], guard: Guard) -> None:
    home, away, state = folders
    image = content(home / "a.raw")
    os.truncate(image, SIZE - 100)
    guard.watch(image)
    check(Case(image, 0, ("last 412 bytes are no sector",)), home, away, state)


@needs_root
@pytest.mark.hostile(19)
def test_a_file_that_grows_is_read_as_long_as_it_was_or_refused(
    folders: tuple[Path, Path, Path], guard: Guard
) -> None:
    home, _away, state = folders
    image = content(home / "a.raw")
    stop = threading.Event()

    def grow() -> None:
        length = SIZE
        while not stop.wait(0.001):
            length += 4096
            os.truncate(image, length)  # by its name: nobody holds it

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        told = ask(state, "inspect", image)
    finally:
        stop.set()
        writer.join(WALL)
    assert "Format       raw" in told.out, told
    # it is another file by the time that it would be attached, unless it did not grow just then
    assert told.status == 0 or (told.status == 3 and "Choose the disk again" in told.err), told


@needs_root
@pytest.mark.hostile(19)
def test_exbibytes_of_holes_are_no_trouble(
    folders: tuple[Path, Path, Path], small_place: Path, guard: Guard
) -> None:
    _home, away, state = folders
    image = small_place / "a.raw"
    image.touch()
    os.truncate(image, (1 << 63) - 512)
    check(Case(image, 0, ("8.0 EiB", "On the host  0 B")), small_place, away, state)
    told = ask(state, "backup", image, away / "to")
    assert told.status == 1, told
    assert "file as large as this" in told.err, told
    assert not (away / "to").exists()


@needs_root
@pytest.mark.hostile(19)
def test_a_disk_on_a_read_only_medium_is_read(tmp_path: Path, guard: Guard) -> None:
    home, away, state = places(tmp_path)
    image = qcow2(home / "a.qcow2")
    guard.watch(image)
    subprocess.run(["mount", "--bind", "-o", "ro", home, home], check=True)
    try:
        check(Case(image, 0, ("qcow2",)), home, away, state)
    finally:
        subprocess.run(["umount", home], check=True)
