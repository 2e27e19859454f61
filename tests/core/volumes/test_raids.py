"""RAIDs of LVM with parity, put together by a daemon of this program: no device mapper is wanted."""

import itertools
import json
import random
import subprocess
from pathlib import Path

import pytest

from core.disks.view import View
from core.runner import SystemRunner
from core.session import Session
from core.tables.sectors import Sectors
from core.undo.state import StateFolder
from core.volumes.lvm.groups import read_groups
from core.volumes.lvm.runs import NotPlain, Places
from core.volumes.parity.daemon import WritableReckoned, description, from_description
from core.volumes.parity.model import Raid
from tests.conftest import Guard, Program, needs_root
from tests.core.volumes.array_disks import CHUNK, LEGS, legs_of
from tests.core.volumes.layer_disks import LETTER, MIB
from tests.core.volumes.raid_disks import LAYOUTS, legs_on, raid_disk


def _losses(kind: str) -> list[tuple[int, ...]]:
    most = 2 if LAYOUTS[kind][0] == 6 else 1
    return [lost for count in range(most + 1) for lost in itertools.combinations(range(LEGS), count)]


def _raid(disk: Path) -> Raid:
    """The RAID that this program finds on such a disk."""
    size = disk.stat().st_size
    with Sectors(disk, size) as source:
        told = json.loads(subprocess.run(["sfdisk", "-J", disk], capture_output=True, check=True).stdout)
        parts = [(one["start"] * 512, one["size"] * 512) for one in told["partitiontable"]["partitions"]]
        [group], _labels = read_groups(source, parts)
        raid = Places(group, source).reckoned(group.logical["five"])
    assert raid
    return raid


@pytest.mark.parametrize("kind", LAYOUTS)
def test_every_kind_is_read_and_written_whatever_is_lost(tmp_path: Path, kind: str) -> None:
    chance = random.Random(kind)
    model = bytearray(chance.randbytes(6 * MIB))
    for lost in _losses(kind):
        disk = raid_disk(tmp_path / "disk", kind, lost, content=bytes(model))
        view = View(disk, disk.stat().st_size, writable=True, on=())
        served = from_description(json.loads(json.dumps(description(_raid(disk), view, margin=MIB))))
        assert isinstance(served, WritableReckoned)
        margin = bytes(MIB)
        assert served.size == len(model) + 2 * MIB
        assert served.read(0, served.size) == margin + model + margin, lost
        wanted = bytearray(model)
        for start in (0, 5 * CHUNK - 700, len(model) - 900, chance.randrange(len(model) - 900)):
            new = chance.randbytes(900)
            served.write(MIB + start, new)
            wanted[start : start + 900] = new
            assert (
                served.read(MIB + start - 5, MIB + start + 905)
                == (margin + wanted + margin)[MIB + start - 5 : MIB + start + 905]
            )
        with pytest.raises(OSError, match="No space"):
            served.write(MIB - 512, bytes(1024))
        with pytest.raises(OSError, match="No space"):
            served.write(MIB + len(model) - 512, bytes(1024))
        own = legs_of(bytes(wanted), *LAYOUTS[kind])
        found = legs_on(disk, kind, len(model))
        assert all(found[at] == own[at] for at in range(LEGS) if at not in lost), lost
        assert all(found[at] == bytes(len(own[at])) for at in lost)


def test_with_too_many_legs_lost_it_is_told(tmp_path: Path, program: Program) -> None:
    for kind, lost in (("raid5", (0, 2)), ("raid6", (0, 1, 3))):
        disk = raid_disk(tmp_path / "disk", kind, lost, content=bytes(6 * MIB))
        with pytest.raises(NotPlain, match=f"Only {LEGS - len(lost)} of the {LEGS} parts"):
            _raid(disk)
        told = program("--format", "raw", "inspect", disk).out
        assert f"Only {LEGS - len(lost)} of the {LEGS} parts" in told and "device mapper" not in told


def test_a_leg_that_is_out_of_date_is_not_read(tmp_path: Path, program: Program) -> None:
    disk = raid_disk(tmp_path / "disk", "raid5", stale=(1,))
    assert [leg is None for leg in _raid(disk).legs] == [False, True, False, False]
    seen = json.loads(program("--json", "--format", "raw", "inspect", disk).out)["volumes"][-1]
    assert (seen["id"], seen["content"]) == ("vg/five", "ext4")
    assert "3 of the 4 parts" in " ".join(seen["problems"])


def test_superblocks_that_lie_in_the_raid_itself_lead_round_in_no_circle(tmp_path: Path) -> None:
    disk = raid_disk(tmp_path / "disk", "raid5", content=bytes(6 * MIB), circle=True)
    assert None not in _raid(disk).legs


@needs_root
@pytest.mark.parametrize(
    ("kind", "lost"), [("raid5", ()), ("raid5", (1,)), ("raid6", (0, 2)), ("raid4", (0,)), ("raid6_nc", (3,))]
)
def test_files_are_read_and_written_over_an_overlay(
    tmp_path: Path, guard: Guard, kind: str, lost: tuple[int, ...]
) -> None:
    disk = raid_disk(tmp_path / "disk.raw", kind, lost)
    guard.watch(disk)
    new = random.Random(kind).randbytes(2 * MIB)
    with Session(StateFolder(tmp_path / "state"), SystemRunner()) as session:
        session.select(str(disk), "raw")
        [volume] = [one for one in session.inspect().volumes if one.kind == "lv"]
        assert (volume.id, volume.content, volume.elsewhere) == ("vg/five", "ext4", bool(lost))
        tree = session.open("vg/five")
        assert (tree.root / "home/letter").read_text() == LETTER
        assert (tree.root / "home/long").read_bytes() == bytes(range(256)) * 9000
        up = [one.what for one in session.stack.standing]
        assert {"nbd", "fuse-export", "loop", "mount"} <= set(up) and "lv" not in up
        session.close_tree()
        session.protect(overlay=True)
        tree = session.open("vg/five")
        (tree.root / "home/new").write_bytes(new)
        session.close_tree()
        view = session.view().path
        served = from_description(description(_raid(disk), View(view, 0, writable=False, on=())))
        content = served.read(0, served.size)
        found, own = legs_on(view, kind), legs_of(content, *LAYOUTS[kind])
        assert all(found[at] == own[at] for at in range(LEGS) if at not in lost)
        plain = tmp_path / "plain"
        plain.write_bytes(content)
        assert subprocess.run(["e2fsck", "-fn", plain], capture_output=True, check=False).returncode == 0
        assert (session.open("vg/five").root / "home/new").read_bytes() == new
