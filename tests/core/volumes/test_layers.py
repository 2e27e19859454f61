"""Logical and encrypted volumes on a host without the device mapper, by the real program."""

import json
import os
import re
import subprocess
from pathlib import Path

from core.runner import SystemRunner
from core.session import Session
from core.undo.state import StateFolder
from core.volumes.lvm.label import checksum
from core.volumes.model import Pieces
from tests.conftest import Guard, Program, needs_root
from tests.core.volumes.layer_disks import (
    AREA,
    DATA,
    LETTER,
    MIB,
    SECTOR,
    Run,
    area,
    luks_disk,
    lvm_disk,
    metadata,
    two_disks,
)

PASSPHRASE = "correct horse battery staple"
WHOLE = [Run(0, 2, 10)]
PIECES = [Run(0, 14, 4), Run(1, 1, 3), Run(0, 20, 3)]


def _lvm(tmp_path: Path) -> Path:
    return lvm_disk(tmp_path / "disk.raw", {"root": WHOLE, "home": PIECES}, [24, 8])


def test_inspect_tells_logical_volumes(tmp_path: Path, guard: Guard, program: Program) -> None:
    disk = _lvm(tmp_path)
    guard.watch(disk)
    seen = json.loads(program("--json", "--format", "raw", "inspect", disk).out)["volumes"]
    assert [(one["id"], one["kind"], one["content"]) for one in seen] == [
        ("1", "partition", "LVM2_member"),
        ("2", "partition", "LVM2_member"),
        ("vg/root", "lv", "ext4"),
        ("vg/home", "lv", "ext4"),
    ]
    assert [one["size"] for one in seen[2:]] == [10 * MIB, 10 * MIB]
    assert seen[2]["inside"] == "1"


def test_a_volume_is_told_where_it_lies(tmp_path: Path, program: Program) -> None:
    disk = lvm_disk(tmp_path / "disk.raw", {"late": [Run(1, 1, 4)], "both": PIECES}, [24, 8])
    seen = json.loads(program("--json", "--format", "raw", "inspect", disk).out)["volumes"]
    assert [(one["inside"], one["across"]) for one in seen[2:]] == [("2", ["2"]), ("1", ["1", "2"])]
    told = program("--format", "raw", "inspect", disk).out
    assert re.search(r"^vg/late .* in 2 ", told, re.M) and re.search(r"^vg/both .* in 1, 2 ", told, re.M), (
        told
    )


def test_a_header_that_is_not_there_is_said_so_and_no_other_passphrase_is_asked_for(
    tmp_path: Path, program: Program
) -> None:
    disk, key = luks_disk(tmp_path / "disk.raw", PASSPHRASE), tmp_path / "key"
    key.write_text("of another one")
    with open(disk, "r+b") as file:
        file.seek(5 * MIB, os.SEEK_END)
        file.truncate()
    subprocess.run(["sfdisk", "-q", "--append", disk], input=b"size=4MiB,type=83\n", check=True)
    told = program("--format", "raw", "ls", "--passphrase-file", key, disk, "2/luks")
    assert told.status == 1 and "partition 2" in told.err and "--header" in told.err, told.err


@needs_root
def test_a_volume_in_one_piece_is_opened_by_offset(tmp_path: Path, guard: Guard, program: Program) -> None:
    disk = _lvm(tmp_path)
    guard.watch(disk)
    shown = program("--format", "raw", "cat", disk, "vg/root", "/home/letter")
    assert (shown.status, shown.out) == (0, LETTER), shown.err
    plan = program("--format", "raw", "--dry-run", "ls", disk, "vg/root").out
    assert f"--offset {MIB + DATA + 2 * MIB} --sizelimit {10 * MIB}" in plan


@needs_root
def test_a_volume_in_pieces_is_put_together(tmp_path: Path, guard: Guard, program: Program) -> None:
    disk = _lvm(tmp_path)
    guard.watch(disk)
    copied = program("--format", "raw", "copy", disk, "vg/home", "/home", tmp_path / "out")
    assert copied.status == 0, copied.err
    assert (tmp_path / "out/home/letter").read_text() == LETTER
    assert (tmp_path / "out/home/long").read_bytes() == bytes(range(256)) * 9000


def test_a_volume_that_is_missing_is_told(tmp_path: Path, program: Program) -> None:
    told = program("--format", "raw", "ls", _lvm(tmp_path), "vg/none")
    assert told.status == 2
    assert "vg/root, vg/home" in told.err


def test_a_lost_member_is_told_and_the_rest_is_read(tmp_path: Path, program: Program) -> None:
    disk = _lvm(tmp_path)
    with open(disk, "r+b") as file:
        file.seek(MIB + DATA + 25 * MIB)
        file.write(bytes(MIB))
    told = program("--format", "raw", "inspect", disk)
    assert "1 of the 2 physical volumes of the group vg is not on this disk: /dev/vdc" in told.out
    missing = program("--format", "raw", "ls", disk, "vg/home")
    assert missing.status == 1 or os.geteuid()
    if not os.geteuid():
        assert "A physical volume that it lies on is not on this disk" in missing.err, missing.err
        assert "DISK,DISK2" in missing.err and "encrypted" not in missing.err
    assert "vg/root" in told.out


@needs_root
def test_damaged_metadata_are_looked_for_in_their_ring(
    tmp_path: Path, guard: Guard, program: Program
) -> None:
    disk = lvm_disk(tmp_path / "disk.raw", {"root": WHOLE}, [24])
    text = metadata({"root": WHOLE}, [24], number=7)
    damaged = bytearray(area(text, at=8192, before=metadata({"root": WHOLE}, [24], number=6)))
    damaged[8192 + 40 : 8192 + 60] = b"\xff" * 20
    with open(disk, "r+b") as file:
        file.seek(MIB + 4096)
        file.write(damaged)
    guard.watch(disk)
    told = program("--format", "raw", "inspect", disk).out
    assert "the metadata in it are damaged; another copy is used" in told and "change 6" in told
    assert program("--format", "raw", "cat", disk, "vg/root", "/home/letter").out == LETTER


def test_vdo_is_told_and_data_with_checksums_beside_them_are_read(
    tmp_path: Path, guard: Guard, program: Program
) -> None:
    volumes = {"root": [Run(0, 2, 10)], "home": [Run(0, 14, 4)], "inner": [Run(0, 14, 4)]}
    disk = lvm_disk(tmp_path / "disk.raw", volumes, [24])
    plain = b'type = "striped"\nstripe_count = 1\nstripes = ["pv0", %d]'
    text = metadata(volumes, [24])
    text = text.replace(plain % 2, b'type = "vdo"\nvdo_pool = "pool"\nvdo_offset = 0')
    text = text.replace(plain % 14, b'type = "integrity"\norigin = "inner"', 1)
    with open(disk, "r+b") as file:
        file.seek(MIB + AREA)
        file.write(area(text))
    guard.watch(disk)
    told = program("--format", "raw", "inspect", disk)
    assert "vg/root: VDO deduplicated" in told.out and "vg/home: Its checksums" in told.out
    refused = program("--format", "raw", "cat", disk, "vg/root", "/home/letter")
    assert refused.status in (1, 3) and "VDO" in refused.err
    with Session(StateFolder(tmp_path / "looking"), SystemRunner()) as session:
        session.select(str(disk), "raw")
        root, home = (session.inspect().volume(name) for name in ("vg/root", "vg/home"))
        assert isinstance(root.layer, Pieces) and "VDO deduplicated" in root.layer.hindrance
        assert "Give a copy of the disk" in root.layer.hindrance
        assert not isinstance(home.layer, Pieces) or not home.layer.hindrance
    if not os.geteuid():
        assert program("--format", "raw", "cat", disk, "vg/home", "/home/letter").out == LETTER


def test_the_checksum_is_that_of_lvm() -> None:
    # a header as lvm2 2.03.16 wrote it: "LABELONE" over one physical volume of 64 MiB
    assert checksum(b"") == 0xF597A6CF


def _luks(tmp_path: Path) -> tuple[Path, Path]:
    key = tmp_path / "passphrase"
    disk = luks_disk(tmp_path / "disk.raw", PASSPHRASE)
    key.write_text(PASSPHRASE + "\n")
    return disk, key


@needs_root
def test_an_encrypted_volume_is_read_with_its_passphrase(
    tmp_path: Path, guard: Guard, program: Program
) -> None:
    disk, key = _luks(tmp_path)
    guard.watch(disk)
    seen = json.loads(program("--json", "--format", "raw", "inspect", disk).out)["volumes"]
    assert [(one["id"], one["kind"], one.get("locked")) for one in seen] == [
        ("1", "partition", None),
        ("1/luks", "luks", True),
    ]
    shown = program("--format", "raw", "cat", "--passphrase-file", key, disk, "1/luks", "/home/letter")
    assert (shown.status, shown.out) == (0, LETTER), shown.err


@needs_root
def test_a_wrong_passphrase_is_a_sentence(tmp_path: Path, guard: Guard, program: Program) -> None:
    disk, key = _luks(tmp_path)
    guard.watch(disk)
    key.write_text("something else")
    told = program("--format", "raw", "ls", "--passphrase-file", key, disk, "1/luks")
    assert told.status == 3
    assert "The passphrase does not open partition 1" in told.err
    without = program("--format", "raw", "ls", disk, "1/luks")
    assert without.status == 3 and "was not given" in without.err


@needs_root
def test_the_passphrase_stands_nowhere(
    tmp_path: Path, guard: Guard, program: Program, state_dir: Path
) -> None:
    disk, key = _luks(tmp_path)
    guard.watch(disk)
    point = tmp_path / "m"
    given = ("--format", "raw", "--explain", "mount", "--passphrase-file", key)
    mounted = program(*given, disk, "1/luks", point)
    assert mounted.status == 0, mounted.err
    try:
        said = mounted.out + mounted.err
        written = b"".join(path.read_bytes() for path in state_dir.rglob("*.j*") if path.is_file())
        running = b""
        for process in Path("/proc").glob("[0-9]*"):
            for name in ("cmdline", "environ"):
                try:
                    running += (process / name).read_bytes()
                except OSError:
                    continue
        assert b"luks" in written
        for place in (said.encode(), written, running):
            assert PASSPHRASE.encode() not in place
            assert PASSPHRASE.encode().hex().encode() not in place
    finally:
        assert program("undo", "--all").status == 0


@needs_root
def test_a_passphrase_opens_what_it_fits_and_the_rest_stays_locked(
    tmp_path: Path, guard: Guard, program: Program
) -> None:
    """A disk with two encrypted partitions of different passphrases."""
    (tmp_path / "a").mkdir()
    first, second = luks_disk(tmp_path / "a/a.raw", "one"), luks_disk(tmp_path / "b.raw", "two")
    disk, key = tmp_path / "disk.raw", tmp_path / "key"
    runs = [path.read_bytes()[MIB:-MIB] for path in (first, second)]
    disk.write_bytes(bytes(MIB) + b"".join(runs) + bytes(MIB))
    starts = (MIB, MIB + len(runs[0]))
    lines = [f"{start // SECTOR},{len(run) // SECTOR},83" for start, run in zip(starts, runs, strict=True)]
    table = "\n".join(["label: dos", *lines, ""])
    subprocess.run(["sfdisk", "-q", disk], input=table.encode(), check=True)
    key.write_text("two\n")
    guard.watch(disk)
    told = program("--format", "raw", "--json", "inspect", "--passphrase-file", key, disk)
    seen = {one["id"]: one for one in json.loads(told.out)["volumes"]}
    assert seen["1/luks"]["locked"] and "locked" not in seen["2/luks"], seen
    assert seen["2/luks"]["content"] == "ext4"
    assert "does not open partition 1" in told.err
    unlikely = program("--format", "raw", "inspect", "--passphrase-file", tmp_path / "none", disk)
    assert unlikely.status == 0 and "cannot be read" in unlikely.err, "the table is shown all the same"
    missing = program("--format", "raw", "ls", "--passphrase-file", key, disk, "vg/root")
    assert missing.status == 3 and "does not open partition 1" in missing.err, "all were tried"


@needs_root
def test_a_group_over_two_disks_is_whole_when_both_are_given(
    tmp_path: Path, guard: Guard, program: Program
) -> None:
    first, second = two_disks(tmp_path)
    guard.watch(first, second)
    alone = program("inspect", first)
    assert "DISK,DISK2" in alone.out, alone.err
    both = f"{first},{second}"
    seen = json.loads(program("--json", "inspect", both).out)["volumes"]
    assert [one["id"] for one in seen] == ["1", "2:1", "vg/root", "vg/home"]
    assert all(not one["problems"] for one in seen)
    assert [one.get("across") for one in seen[2:]] == [["1"], ["1", "2:1"]]
    told = program("inspect", both).out
    assert re.search(r"^2:1 +partition .*LVM2_member", told, re.M), told
    for volume in ("vg/root", "vg/home"):
        shown = program("cat", both, volume, "/home/letter")
        assert (shown.status, shown.out) == (0, LETTER), shown.err
    refused = program("mount", "--writable", both, "vg/root", tmp_path / "m")
    assert refused.status == 3 and "for reading only" in refused.err
