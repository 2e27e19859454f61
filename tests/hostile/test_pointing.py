"""Rows 1 to 11: image files that point elsewhere, and those that only look like what they seem."""

import os
import socket
import struct
from pathlib import Path

import pytest

from core.disks import vhdx as vhdx_reader
from tests.conftest import Guard, needs_root
from tests.core.disks.disk_images import created, patched
from tests.hostile.asking import CANARY, Case, Maker, ask, check, places, seen
from tests.hostile.images import descriptor, extension, mbr, put, qcow2, vhd, vmdk_around

NO_FILE = "no file of this host"
ALLOW = "--allow"


@pytest.fixture
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """In a folder with a short name: sockets are made in the state folder, see unix(7)."""
    return places(tmp_path_factory.mktemp("h"))


def _rows(table: dict[int, dict[str, Maker]]) -> list[object]:
    return [
        pytest.param(maker, id=f"{row}-{name}", marks=pytest.mark.hostile(row))
        for row, cases in table.items()
        for name, maker in cases.items()
    ]


# -- row 1: a backing file of the host -----------------------------------------------------------


def _backing(name: str | bytes, *says: str, form: str = "raw", status: int = 3) -> Maker:
    def make(home: Path, away: Path) -> Case:
        raw = os.fsencode(name).replace(b"AWAY", os.fsencode(away)).replace(b"HOME", os.fsencode(home))
        told = [one.replace("AWAY", str(away)).replace("HOME", str(home)) for one in says]
        return Case(qcow2(home / "top.qcow2", raw, form=form), status, tuple(told))

    return make


def _linked(home: Path, away: Path) -> Case:
    (home / "base.raw").symlink_to(away / "secret")
    return Case(qcow2(home / "top.qcow2", "base.raw", form="raw"), 3, (f"{away}/secret", ALLOW))


def _linked_folder(home: Path, away: Path) -> Case:
    (home / "sub").symlink_to(away)
    return Case(qcow2(home / "top.qcow2", "sub/secret", form="raw"), 3, (f"{away}/secret", ALLOW))


def _device_beside(home: Path, away: Path) -> Case:
    os.mknod(home / "base.raw", 0o660 | 0o060000, os.makedev(7, 0))
    return Case(qcow2(home / "top.qcow2", "base.raw", form="raw"), 3, (f"the device {home}/base.raw",))


def _fifo(home: Path, away: Path) -> Case:
    os.mkfifo(home / "base.raw")
    return Case(qcow2(home / "top.qcow2", "base.raw", form="raw"), 3, ("no regular file",))


def _socket(home: Path, away: Path) -> Case:
    os.mknod(home / "base.raw", 0o600 | 0o140000)
    return Case(qcow2(home / "top.qcow2", "base.raw", form="raw"), 3, ("no regular file",))


def _folder(home: Path, away: Path) -> Case:
    (home / "base.raw").mkdir()
    return Case(qcow2(home / "top.qcow2", "base.raw", form="raw"), 3, ("no regular file",))


def _second_link(home: Path, away: Path) -> Case:
    qcow2(home / "base.qcow2", str(away / "secret"), form="raw")
    return Case(qcow2(home / "top.qcow2", "base.qcow2", form="qcow2"), 3, ("base.qcow2", f"{away}/secret"))


def _cycle(home: Path, away: Path) -> Case:
    qcow2(home / "b.qcow2", "a.qcow2", form="qcow2")
    return Case(qcow2(home / "a.qcow2", "b.qcow2", form="qcow2"), 3, ("comes back",))


def _cycle_by_hard_link(home: Path, away: Path) -> Case:
    image = qcow2(home / "a.qcow2", "b.qcow2", form="qcow2")
    os.link(image, home / "b.qcow2")
    return Case(image, 3, ("comes back",))


def _deep(home: Path, away: Path) -> Case:
    for number in range(1, 40):
        qcow2(home / f"{number}.qcow2", f"{number - 1}.qcow2", form="qcow2")
    return Case(qcow2(home / "0.qcow2").with_name("39.qcow2"), 3, ("deeper than 32",))


def _strangers(home: Path, away: Path) -> Case:
    """Another user put a file where the disk's header looks for it."""
    home.chmod(0o1777)
    (home / "base.raw").write_bytes(bytes(1 << 20))
    os.chown(home / "base.raw", 12345, 12345)
    return Case(
        qcow2(home / "top.qcow2", "base.raw", form="raw"), 3, ("another user", f"--allow {home}/base.raw")
    )


def _hidden(home: Path, away: Path) -> Case:
    """A disk that was saved in somebody's home does not open their keys."""
    (home / ".ssh").mkdir()
    (home / ".ssh/id").write_text(CANARY * 100)
    return Case(qcow2(home / "top.qcow2", ".ssh/id", form="raw"), 3, (f"{home}/.ssh/id", ALLOW))


def _all_at_once(home: Path, away: Path) -> Case:
    image = qcow2(home / "top.qcow2", str(away / "secret"), form="raw", data=away / "more data")
    says = (f"{away}/secret", f"{away}/more data", f"--allow {away}/secret --allow '{away}/more data'")
    return Case(image, 3, says)


# -- rows 2 to 5 ---------------------------------------------------------------------------------


def _unstated(home: Path, away: Path) -> Case:
    """Without a format the content is looked at by us, and what it says is not followed out."""
    qcow2(home / "base", str(away / "secret"), form="raw")
    return Case(qcow2(home / "top.qcow2", "base"), 3, (f"{away}/secret",))


def _stated_wrongly(home: Path, away: Path) -> Case:
    (home / "base").write_bytes(mbr().ljust(1 << 20, b"\0"))
    qcow2(home / "base.raw", str(away / "secret"))
    return Case(qcow2(home / "top.qcow2", "base.raw", form="vmdk"), 3, ("more than one way", "--format raw"))


NETWORK = (
    "nbd://127.0.0.1:{port}/x",
    "nbd:127.0.0.1:{port}",
    "nbd+unix:///x?socket=/tmp/s",
    "http://127.0.0.1:{port}/x",
    "ssh://root@127.0.0.1:{port}/x",
    "iscsi://127.0.0.1:{port}/x/1",
    "fat:/etc",
    "fat:rw:/etc",
    "file:base.qcow2",
    "host_device:/dev/sda",
    "blkdebug::x.qcow2",
    "null-co://",
    'json:{{"driver":"file","filename":"/etc/passwd"}}',
    'json:{{"file":{{"driver":"nbd","host":"127.0.0.1","port":"{port}"}}}}',
)


def _data(name: str | bytes | None, *says: str, status: int = 3) -> Maker:
    def make(home: Path, away: Path) -> Case:
        named = os.fsencode(name or "").replace(b"AWAY", os.fsencode(away))
        told = tuple(one.replace("AWAY", str(away)) for one in says)
        return Case(qcow2(home / "top.qcow2", data=named), status, told)

    return make


def _data_twice(home: Path, away: Path) -> Case:
    """Of two names the last counts, for QEMU and for us."""
    image = qcow2(home / "top.qcow2", data=away / "secret", extensions=extension(0x44415441, b"harmless"))
    return Case(image, 3, (f"{away}/secret",))


def _extents(lines: str, *says: str, status: int = 3, kind: str = "monolithicFlat", more: str = "") -> Maker:
    def make(home: Path, away: Path) -> Case:
        text = lines.replace("AWAY", str(away))
        told = tuple(one.replace("AWAY", str(away)) for one in says)
        (home / "d-flat.vmdk").write_bytes(bytes(8192))
        parent = "12345678" if more else "ffffffff"
        more_text = more.replace("AWAY", str(away))
        image = descriptor(home / "d.vmdk", text, kind=kind, more=more_text, parent=parent)
        return Case(image, status, told)

    return make


def _extent_linked(home: Path, away: Path) -> Case:
    (home / "d-flat.vmdk").symlink_to(away / "secret")
    return Case(descriptor(home / "d.vmdk", 'RW 2 FLAT "d-flat.vmdk" 0'), 3, (f"{away}/secret", ALLOW))


def _extent_below(home: Path, away: Path) -> Case:
    (home / "sub").mkdir()
    (home / "sub/e.vmdk").write_bytes(bytes(4096))
    return Case(descriptor(home / "d.vmdk", 'RW 2 FLAT "sub/e.vmdk" 0'), 3, (f"{home}/sub/e.vmdk", ALLOW))


def _extent_fifo(home: Path, away: Path) -> Case:
    os.mkfifo(home / "e.vmdk")
    return Case(descriptor(home / "d.vmdk", 'RW 2 FLAT "e.vmdk" 0'), 3, ("no regular file",))


def _embedded(home: Path, away: Path) -> Case:
    text = f'CID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 2 FLAT "{away}/secret" 0\n'
    return Case(vmdk_around(home / "d.vmdk", text), 3, (f"{away}/secret", ALLOW))


def _embedded_past_its_length(home: Path, away: Path) -> Case:
    """QEMU reads a descriptor up to the first zero byte, not as far as the header says."""
    (home / "e.vmdk").write_bytes(bytes(8192))
    start = 'CID=1\ncreateType="monolithicFlat"\nRW 2 FLAT "e.vmdk" 0\n'.ljust(600, "#") + "\n"
    image = vmdk_around(home / "d.vmdk", f'{start}RW 2 FLAT "{away}/secret" 0\n', stated=1)
    return Case(image, 3, (f"{away}/secret", ALLOW))


def _embedded_beside_a_footer(home: Path, away: Path) -> Case:
    """A footer that says something harmless comes too late: QEMU has followed the descriptor by then."""
    text = f'CID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 2 FLAT "{away}/secret" 0\n'
    image = put(vmdk_around(home / "d.vmdk", text), 56, "<Q", (1 << 64) - 1)
    body = image.read_bytes()
    flags = 3 | 1 << 16 | 1 << 17
    footer = struct.pack("<4sIIQQQQIQQQ", b"KDMV", 3, flags, 2048, 128, 1, 1, 512, 0, 2, 128)
    marker = struct.pack("<QII", 1, 0, 3)
    parts = (body + bytes(-len(body) % 512), marker.ljust(512, b"\0"), footer.ljust(512, b"\0"), bytes(512))
    image.write_bytes(b"".join(parts))
    return Case(image, 3, (f"{away}/secret", ALLOW))


def _extent_of_an_extent(home: Path, away: Path) -> Case:
    text = f'CID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 2 FLAT "{away}/secret" 0\n'
    vmdk_around(home / "e.vmdk", text)
    image = descriptor(home / "d.vmdk", 'RW 2 SPARSE "e.vmdk"', kind="twoGbMaxExtentSparse")
    return Case(image, 1, ("further extents",))


MANY = "\n".join(f'RW 1 FLAT "e{number}.vmdk" 0' for number in range(1001))

# -- rows 6 to 8 ---------------------------------------------------------------------------------


def _raw_named(suffix: str) -> Maker:
    def make(home: Path, away: Path) -> Case:
        image = qcow2(home / f"disk{suffix}", str(away / "secret"), form="raw")
        return Case(image, 3, ("more than one way", "--format raw", "--format qcow2"))

    return make


def _raw_vmdk(home: Path, away: Path) -> Case:
    image = descriptor(home / "disk.raw", f'RW 2 FLAT "{away}/secret" 0')
    with open(image, "ab") as file:
        file.truncate(64 << 10)
    return Case(image, 3, ("more than one way", "--format raw", "--format vmdk"))


def _two_formats(home: Path, away: Path) -> Case:
    """The marks of qcow2 and VDI in one sector: each program would take another."""
    image = put(qcow2(home / "disk"), 64, "4s", b"\x7f\x10\xda\xbe")
    return Case(image, 3, ("more than one way", "qcow2, vdi"))


def _table_and_image(home: Path, away: Path) -> Case:
    image = put(qcow2(home / "disk"), 446, "66s", mbr()[446:])
    return Case(image, 3, ("partition table in the same place", "--format raw"))


def _guest_in_fixed_vhd(home: Path, away: Path) -> Case:
    """A guest wrote the header of an image to the start of its disk, which is a VHD of fixed size."""
    image = qcow2(home / "disk.img", str(away / "secret"), form="raw")
    length = image.stat().st_size
    footer = bytearray(512)
    struct.pack_into(">8sIIQ", footer, 0, b"conectix", 2, 0x10000, (1 << 64) - 1)
    struct.pack_into(">QQHBBI", footer, 40, length, length, 8, 4, 17, 2)
    image.write_bytes(image.read_bytes() + bytes(footer))
    return Case(image, 3, ("qcow2, vpc", "--format raw"))


REFUSED: dict[int, dict[str, Maker]] = {
    1: {
        "absolute": _backing("AWAY/secret", "AWAY/secret", "--allow AWAY/secret", "Nothing was opened"),
        "relative": _backing("../away/secret", "AWAY/secret", ALLOW),
        "dotted": _backing("./../away/./secret", "AWAY/secret", ALLOW),
        "slashes": _backing("//AWAY//secret", "AWAY/secret", ALLOW),
        "trailing slash": _backing("../away/secret/", "AWAY/secret", ALLOW),
        "through /proc": _backing("/proc/self/rootAWAY/secret", "AWAY/secret", ALLOW),
        "passwords": _backing("/etc/shadow", "/etc/shadow", ALLOW),
        "descriptor": _backing("/proc/self/fd/0", ALLOW),
        "standard input": _backing("/dev/stdin", ALLOW),
        "endless device": _backing("/dev/zero", "/dev/zero", ALLOW),
        "block device": _backing("/dev/loop0", "/dev/loop0", ALLOW),
        "line break and escape": _backing(b"../away/a\nb\x1b[31m", r"a\nb\x1b[31m", ALLOW),
        "no UTF-8": _backing(b"../away/\xff\xfe", r"\xff\xfe", ALLOW),
        "reversed": _backing("../away/\u202egpj.exe", r"\u202e", ALLOW),
        "percent is no escape": _backing(
            "x%2f..%2f..%2faway%2fsecret", "HOME/x%2f..%2f..%2faway%2fsecret", "missing"
        ),
        "tilde is a name": _backing("~root/x", "HOME/~root/x", "missing"),
        "zero byte": _backing(b"x\0/../../away/secret", NO_FILE),
        "longest": _backing("../away/" + "x/" * 507, "AWAY/x/x"),
        "longest component": _backing("x" * 1023, "cannot be"),
        "missing": _backing("gone.qcow2", "HOME/gone.qcow2", "missing", form="qcow2"),
        "below a file": _backing("top.qcow2/x", "top.qcow2/x", "missing"),
        "itself": _backing("top.qcow2", "comes back", form="qcow2"),
        "link": _linked,
        "link to a folder": _linked_folder,
        "fifo": _fifo,
        "socket": _socket,
        "folder": _folder,
        "second link": _second_link,
        "cycle": _cycle,
        "cycle by hard link": _cycle_by_hard_link,
        "too deep": _deep,
        "hidden": _hidden,
        "all at once": _all_at_once,
        "too long": _backing("x" * 1024, "1024 bytes", status=1),
    },
    2: {"no format": _unstated, "wrong format": _stated_wrongly},
    3: {
        **{f"backing {name}": _backing(name.format(port=9), NO_FILE) for name in NETWORK},
        "data json": _data('json:{"driver":"file","filename":"AWAY/secret"}', NO_FILE),
        "data nbd": _data("nbd://127.0.0.1:9", NO_FILE),
        "extent": _extents('RW 2 FLAT "nbd://127.0.0.1:9/x" 0', NO_FILE),
        "parent": _extents('RW 8 FLAT "d-flat.vmdk" 0', NO_FILE, more='parentFileNameHint="nbd://x/y"'),
    },
    4: {
        "outside": _data("AWAY/secret", "AWAY/secret", ALLOW),
        "relative": _data("../away/secret", "AWAY/secret", ALLOW),
        "unnamed": _data(None, "does not say in which"),
        "missing": _data("gone.data", "gone.data", "missing"),
        "itself": _data("top.qcow2", "twice"),
        "twice": _data_twice,
    },
    5: {
        "absolute": _extents('RW 2 FLAT "AWAY/secret" 0', "AWAY/secret", ALLOW),
        "relative": _extents('RW 2 FLAT "../away/secret" 0', "AWAY/secret", ALLOW),
        "second": _extents('RW 8 FLAT "d-flat.vmdk" 0\nRW 2 VMFS "AWAY/secret"', "AWAY/secret", ALLOW),
        "over lines": _extents('RW 8 FLAT "d-flat.vmdk" 0\nRW\n2\nFLAT\n"AWAY/secret"\n0', "AWAY/secret"),
        "plus sign": _extents('RW 8 FLAT "d-flat.vmdk" 0\nRW +2 FLAT "AWAY/secret"0', "AWAY/secret"),
        "form feed": _extents('RW 8 FLAT "d-flat.vmdk" 0\n\f\vRW\f2 FLAT "AWAY/secret" 0', "AWAY/secret"),
        "device": _extents('RW 2 FLAT "/dev/sda" 0', "/dev/sda", ALLOW, kind="fullDevice"),
        "linked": _extent_linked,
        "below": _extent_below,
        "fifo": _extent_fifo,
        "escape": _extents('RW 2 FLAT "../a\x1b[2J" 0', r"a\x1b[2J", ALLOW),
        "too short": _extents('RW 100 FLAT "d-flat.vmdk" 0', "should have 50.0 KiB, but has 8.0 KiB"),
        "beyond": _extents('RW 2 FLAT "d-flat.vmdk" 99999', "d-flat.vmdk should have 48.8 MiB"),
        "far beyond": _extents('RW 2 FLAT "d-flat.vmdk" 9223372036854775807', "d-flat.vmdk should have"),
        "missing": _extents('RW 2 FLAT "gone.vmdk" 0', "gone.vmdk", "missing"),
        "parent": _extents(
            'RW 8 FLAT "d-flat.vmdk" 0', "AWAY/secret", ALLOW, more='parentFileNameHint="AWAY/secret"'
        ),
        "embedded": _embedded,
        "embedded past its length": _embedded_past_its_length,
        "embedded beside a footer": _embedded_beside_a_footer,
        "extent of an extent": _extent_of_an_extent,
        "unknown kind": _extents('RW 8 FLAT "d-flat.vmdk" 0', "kind \\x1b[1mx", kind="\x1b[1mx"),
        "many": _extents(MANY, "more than 1000 extents", status=1),
        "twenty thousand": _extents('RW 1 FLAT "e.vmdk" 0\n' * 20000, "a descriptor of", status=1),
        "long name": _extents(f'RW 2 SPARSE "{"x/" * 300}"', "longer than 511", status=1),
        "no extent": _extents('RDONLY 2 FLAT "AWAY/secret" 0', "names no extent", status=1),
        "sizes add up": _extents('RW 9999999999999999999 FLAT "d-flat.vmdk" 0\n' * 2, "names no", status=1),
        "before its file": _extents('RW 2 FLAT "d-flat.vmdk" -1', "before its file", status=1),
    },
    6: {
        "raw": _raw_named(".raw"),
        "dd": _raw_named(".dd"),
        "img": _raw_named(".img"),
        "RAW": _raw_named(".RAW"),
        "vmdk": _raw_vmdk,
    },
    8: {"two formats": _two_formats, "table": _table_and_image, "fixed VHD": _guest_in_fixed_vhd},
}


@pytest.mark.parametrize("maker", _rows(REFUSED))
def test_it_is_a_sentence_and_nothing_is_opened(maker: Maker, folders: tuple[Path, Path, Path]) -> None:
    home, away, state = folders
    check(maker(home, away), home, away, state)


@needs_root
@pytest.mark.hostile(1)
@pytest.mark.parametrize("maker", [_device_beside, _strangers])
def test_what_root_can_put_there(maker: Maker, folders: tuple[Path, Path, Path]) -> None:
    home, away, state = folders
    check(maker(home, away), home, away, state)


@pytest.mark.hostile(1)
@pytest.mark.parametrize(
    "verb", ["inspect --json", "ls", "cat", "copy", "mount", "backup", "mount --dry-run"]
)
def test_no_verb_opens_it(verb: str, folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    home, away, state = folders
    image = qcow2(home / "top.qcow2", str(away / "secret"), form="raw")
    name, *options = verb.split()
    to = tmp_path / "to"
    words = {"ls": ["disk"], "cat": ["disk", "/x"], "copy": ["disk", "/", to], "backup": [to]}
    words["mount"] = ["disk", to]
    check(
        Case(image, 3, (f"{away}/secret", ALLOW), tuple(options), name, tuple(words.get(name, ()))),
        home,
        away,
        state,
    )
    assert not to.exists()


@pytest.mark.hostile(3)
@pytest.mark.parametrize("name", [name for name in NETWORK if "port" in name])
def test_nobody_is_called(name: str, folders: tuple[Path, Path, Path]) -> None:
    home, away, state = folders
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        named = name.format(port=server.getsockname()[1])
        image = qcow2(home / "top.qcow2", named, form="raw")
        allowed = ("--allow", named, "--allow", "/", "--allow", away / "secret")
        check(Case(image, 3, (NO_FILE,), allowed), home, away, state)
        with pytest.raises(BlockingIOError):
            server.accept()


# -- the operator's word -------------------------------------------------------------------------


def _zeros(path: Path) -> Path:
    path.write_bytes(bytes(1 << 20))
    return path


@needs_root
@pytest.mark.hostile(1)
def test_allow_lets_that_very_path_through(folders: tuple[Path, Path, Path], guard: Guard) -> None:
    home, away, state = folders
    base, link = _zeros(away / "base.raw"), home / "link"
    _zeros(away / "base.raw2")
    link.symlink_to(base)
    image = qcow2(home / "top.qcow2", "../away/base.raw", form="raw")
    guard.watch(image, base)
    for given in (base, link, Path(f"{away}/../away/./base.raw")):
        told = check(Case(image, 0, (f"{base} (raw,",), ("--allow", given)), home, away, state)
        assert "└─" in told.out
    for given in (away, away / "base.raw2", away / "base", Path("/"), home, away / "*"):
        check(Case(image, 3, (f"--allow {base}",), ("--allow", given)), home, away, state)


@needs_root
@pytest.mark.hostile(1)
def test_allow_may_be_given_for_each_path(folders: tuple[Path, Path, Path], guard: Guard) -> None:
    home, away, state = folders
    base = _zeros(away / "base.raw")
    middle = qcow2(away / "middle.qcow2", "base.raw", form="raw")
    image = qcow2(home / "top.qcow2", str(middle), form="qcow2")
    check(Case(image, 3, (f"--allow {middle}",), ("--allow", base)), home, away, state)
    check(Case(image, 3, (f"--allow {base}",), ("--allow", middle)), home, away, state)
    both = ("--allow", base, "--allow", middle)
    check(Case(image, 0, (f"{middle} (qcow2, ", f"{base} (raw, "), both), home, away, state)


@pytest.mark.hostile(1)
def test_a_word_that_leads_nowhere_is_wrong_usage(folders: tuple[Path, Path, Path]) -> None:
    home, away, state = folders
    (home / "loop").symlink_to("loop")
    image = qcow2(home / "top.qcow2")
    check(Case(image, 2, ("leads nowhere",), ("--allow", home / "loop")), home, away, state)


@pytest.mark.hostile(1)
def test_an_allowed_path_must_still_be_a_disk(folders: tuple[Path, Path, Path]) -> None:
    home, away, state = folders
    for name in ("/dev/zero", "/proc/self", str(away)):
        image = qcow2(home / "top.qcow2", name, form="raw")
        resolved = os.path.realpath(name)
        allowed = ("--allow", name)
        if name != "/proc/self":
            check(Case(image, 3, (resolved, "no regular file"), allowed), home, away, state)
        else:
            check(Case(image, 3, (), allowed), home, away, state)


# -- what is opened, and what is said of it ------------------------------------------------------


def _out_and_back(home: Path, away: Path) -> Case:
    """What counts is where a chain of links ends."""
    _zeros(home / "base.raw")
    (away / "back").symlink_to(home / "base.raw")
    (home / "out").symlink_to(away / "back")
    return Case(qcow2(home / "top.qcow2", "out", form="raw"), 0, (f"{home}/base.raw (raw, ",))


def _another_owner(home: Path, away: Path) -> Case:
    """libvirt leaves a backing file with its own user; in a folder that only root writes that is fine."""
    os.chown(_zeros(home / "base.raw"), 12345, 12345)
    return Case(qcow2(home / "top.qcow2", "base.raw", form="raw"), 0, (f"{home}/base.raw (raw, ",))


def _raw_below(home: Path, away: Path) -> Case:
    """A raw backing file stays raw, whatever its guest wrote to it."""
    evil = qcow2(home / "base.raw", str(away / "secret"), form="raw")
    return Case(qcow2(home / "top.qcow2", evil.name, form="raw"), 0, (f"{home}/base.raw (raw, ",))


def _data_beside(home: Path, away: Path) -> Case:
    _zeros(home / "top.data")
    return Case(qcow2(home / "top.qcow2", data="top.data"), 0, (f"Data in      {home}/top.data",))


def _extents_beside(home: Path, away: Path) -> Case:
    _zeros(home / "d-flat.vmdk")
    image = descriptor(home / "d.vmdk", 'RW 2048 FLAT "d-flat.vmdk" 0')
    return Case(image, 0, ("vmdk", f"Data in      {home}/d-flat.vmdk", "1.0 MiB"))


def _parent_denied(home: Path, away: Path) -> Case:
    _zeros(home / "d-flat.vmdk")
    image = descriptor(
        home / "d.vmdk", 'RW 2048 FLAT "d-flat.vmdk" 0', more=f'parentFileNameHint="{away}/secret"'
    )
    return Case(image, 0, (f"names the parent {away}/secret, but says that it has none",))


def _as_asked(home: Path, away: Path) -> Case:
    image = qcow2(home / "disk.raw", str(away / "secret"), form="raw")
    return Case(image, 0, ("read as raw, as asked", "qcow2"), ("--format", "raw"))


def _luks(version: int) -> Maker:
    def make(home: Path, away: Path) -> Case:
        image = _zeros(home / "disk.luks")
        return Case(put(image, 0, ">6sH", b"LUKS\xba\xbe", version), 0, ("Format       raw",))

    return make


def _boot_medium(home: Path, away: Path) -> Case:
    image = _zeros(home / "boot.iso")
    put(image, 0, "512s", mbr(64, 1024))
    put(image, 32768, "6s", b"\x01CD001")
    return Case(image, 0, ("boot medium", "Format       raw"))


def _marked(bit: int, words: str) -> Maker:
    return lambda home, away: Case(qcow2(home / "a.qcow2", incompatible=bit), 0, (words,))


def _snapshots(home: Path, away: Path) -> Case:
    image = qcow2(home / "a.qcow2")
    at = 4 << 16
    entry = struct.pack(">QIHHIIQII", 3 << 16, 1, 1, 10, 1700000000, 0, 0, 0, 0) + b"1" + b"be\x1b[2Jfore"
    with open(image, "ab") as file:
        file.write(entry.ljust(1 << 16, b"\0"))
    put(image, 2 << 16, ">5H", 1, 1, 1, 1, 1)
    put(image, 60, ">IQ", 1, at)
    return Case(image, 0, (r"Snapshot     1  be\x1b[2Jfore  2023-11-14",))


OPENED: dict[int, dict[str, Maker]] = {
    1: {"out and back": _out_and_back, "another owner": _another_owner},
    2: {"raw below": _raw_below},
    4: {"beside": _data_beside},
    5: {"beside": _extents_beside, "a parent that it denies": _parent_denied},
    6: {"as asked": _as_asked},
    7: {"LUKS1": _luks(1), "LUKS2": _luks(2)},
    8: {"boot medium": _boot_medium},
    11: {
        "dirty": _marked(1, "not closed cleanly"),
        "corrupt": _marked(2, "marked the image as corrupt"),
        "snapshots": _snapshots,
    },
}


@needs_root
@pytest.mark.parametrize("maker", _rows(OPENED))
def test_it_is_opened_as_what_it_is(maker: Maker, folders: tuple[Path, Path, Path], guard: Guard) -> None:
    home, away, state = folders
    check(maker(home, away), home, away, state)


@pytest.mark.hostile(7)
def test_luks_is_an_image_format_by_the_operators_word_only(folders: tuple[Path, Path, Path]) -> None:
    home, away, state = folders
    case = _luks(1)(home, away)
    check(Case(case.disk, 1, ("image header", "damaged"), ("--format", "luks")), home, away, state)


@needs_root
@pytest.mark.hostile(2)
def test_every_link_is_handed_on_with_its_format(folders: tuple[Path, Path, Path]) -> None:
    home, away, state = folders
    _zeros(home / "base.raw")
    image = qcow2(home / "top.qcow2", "base.raw")
    told = check(Case(image, 0, (), ("--dry-run",)), home, away, state)
    assert (
        f'"backing": {{"driver": "raw", "read-only": true, "file": {{"driver": "file", "filename": "{home}'
        in (told.out)
    )


# -- rows 9 and 10 -------------------------------------------------------------------------------


def _difference(home: Path, away: Path) -> Case:
    image = vhd(home / "d.vhd", kind=4, parent="C:\\VMs\\par\x1b[2Jent.vhd")
    return Case(image, 3, (r"par\x1b[2Jent.vhd, and that file is missing", "--candidates"))


def _difference_in_vhdx(home: Path, away: Path) -> Case:
    image = created(home / "d.vhdx", "vhdx")
    key, value = "absolute_win32_path".encode("utf-16-le"), "D:\\base\n.vhdx".encode("utf-16-le")
    locator = (
        struct.pack("<16sHHIIHH", bytes(16), 0, 1, 32, 32 + len(key), len(key), len(value)) + key + value
    )
    metadata = _metadata_at(image)
    put(image, metadata + (64 << 10), "<II", 32 << 20, 2)
    (count,) = struct.unpack("<H", _read(image, metadata + 10, 2))
    ident = vhdx_reader._PARENT_LOCATOR.bytes_le
    put(image, metadata + 32 + 32 * count, "<16sII", ident, (64 << 10) + 4096, len(locator))
    put(image, metadata + 10, "<H", count + 1)
    put(image, metadata + (64 << 10) + 4096, f"{len(locator)}s", locator)
    return Case(image, 3, ("holds only what differs from", r"base\n.vhdx", "that file is missing"))


def _metadata_at(image: Path) -> int:
    table = _read(image, 192 << 10, 64 << 10)
    ident = vhdx_reader._METADATA.bytes_le
    return int(struct.unpack_from("<Q", table, table.index(ident) + 16)[0])


def _read(path: Path, at: int, count: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(at)
        return file.read(count)


def _dirty_log(home: Path, away: Path) -> Case:
    image = created(home / "d.vhdx", "vhdx")
    for place in (64 << 10, 128 << 10):
        head = bytearray(_read(image, place, 4096))
        head[48:64] = b"L" * 16
        head[4:8] = bytes(4)
        struct.pack_into("<I", head, 4, vhdx_reader.crc32c(bytes(head)))
        patched(image, place, bytes(head))
    (log,) = struct.unpack("<Q", _read(image, (64 << 10) + 72, 8))
    put(image, log, "<4sI24x16s", b"loge", 0, b"L" * 16)
    return Case(image, 0, ("log of this VHDX holds changes", "throw-away overlay"))


NEEDING: dict[int, dict[str, Maker]] = {
    9: {"VHD": _difference, "VHDX": _difference_in_vhdx},
    10: {"VHDX": _dirty_log},
}


@pytest.mark.parametrize("maker", _rows(NEEDING))
def test_it_is_told_what_is_missing_and_a_backup_is_made_all_the_same(
    maker: Maker, folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    home, away, state = folders
    case = maker(home, away)
    check(case, home, away, state)
    before = seen(home)
    assert ask(state, "backup", case.disk, tmp_path / "to").status == 0
    assert seen(home) == before
    to = tmp_path / "to"
    copied = to / Path(case.disk).name if to.is_dir() else to
    assert copied.read_bytes() == Path(case.disk).read_bytes()
