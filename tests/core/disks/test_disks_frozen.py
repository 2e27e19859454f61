"""The snapshot of a logical volume: what is planned, what is run and undone, and when it is given up.

LVM itself is asked in tests/vm/test_snapshots.py; here stand-ins answer for it.
"""

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import lvm
from core.cancel import CancelToken
from core.command import Command
from core.disks import frozen, logical
from core.disks.frozen import Frozen, Plan, planned, take
from core.disks.model import Disk
from core.errors import Cancelled, NeedsRoot, NoSpace, Refused, SalvageError, WrongUsage
from core.hoststate import HostState, Owners, Thing
from core.lvm import LogicalVolume, mapped, unmapped
from core.runner import PlanRunner, Result, SystemRunner
from core.undo.account import Entry
from core.undo.live import seen
from core.undo.snapshots import VolumeSnapshot
from core.undo.stack import Stack
from core.undo.standing import Standing
from tests.core.disks.disk_images import content, opened

GIB = 1 << 30
TAG = "virt-salvage-20261126-061454-ab12-1"
WEB = LogicalVolume("v-g", "Gr-0", "web-01", "Lv-1", GIB, "linear", "", (), 1 << 20, 2000)
THIN = replace(WEB, kind="thin", pool="pool")


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A disk that stands for the device of v-g/web-01."""
    monkeypatch.setattr(frozen, "logical_volume", lambda _path: "v-g/web-01")
    monkeypatch.setattr(frozen, "mapping", lambda _path: WEB.mapping)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("core.tools.require", lambda name: name)
    return opened(content(tmp_path / "a.raw"))


def lists(monkeypatch: pytest.MonkeyPatch, *found: LogicalVolume) -> None:
    monkeypatch.setattr(lvm, "volumes", lambda _runner, *_which: list(found))


def answers(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(frozen, "_status", lambda _name: list(words))


def test_names_of_mappings_and_back() -> None:
    assert mapped("v-g", "web-01") == "v--g-web--01"
    assert unmapped("v--g-web--01") == ("v-g", "web-01")
    assert unmapped("loop0p1") == ("", "")


def test_what_lvs_says_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    names = "vg_name vg_uuid vg_extent_size vg_free_count lv_name lv_uuid lv_size segtype pool_lv lv_tags"
    values = ("v-g", "Gr-0", "1048576", "2000", "web-01", "Lv-1", str(GIB), "linear", "", "")
    row = dict(zip(names.split(), values, strict=True))
    said: list[Any] = [{"report": [{"lv": [row]}]}, {"report": []}]
    runner = PlanRunner()
    monkeypatch.setattr(runner, "run", lambda _command: Result(0, json.dumps(said.pop(0)).encode()))
    assert lvm.volumes(runner, "v-g/web-01") == [WEB]
    assert WEB.mapping == "LVM-Gr0Lv1"
    with pytest.raises(SalvageError, match="cannot be understood"):
        lvm.volumes(runner)


def test_it_gets_room_for_the_whole_volume_where_the_group_has_that(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists(monkeypatch, WEB)
    plan = planned(disk, PlanRunner())
    assert GIB < plan.room < GIB * 1.02 and plan.is_safe
    assert "fails" not in plan.told()[0] and "crash-consistent" in plan.told()[1]


def test_with_less_it_leaves_a_tenth_to_others_and_says_that_it_may_fail(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists(monkeypatch, replace(WEB, free=100))
    plan = planned(disk, PlanRunner())
    assert plan.extents == 90 and not plan.is_safe
    assert "If more is written, the backup fails" in plan.told()[0]


def test_without_room_it_is_not_begun(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    lists(monkeypatch, replace(WEB, free=40))
    with pytest.raises(NoSpace, match=r"40\.0 MiB are free in its group"):
        planned(disk, PlanRunner())


def test_a_pool_that_is_nearly_full_gets_none(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    lists(monkeypatch, THIN)
    answers(monkeypatch, "1", "10/100", "91/100", "-", "rw")
    with pytest.raises(NoSpace, match="v-g/pool is nearly full"):
        planned(disk, PlanRunner())
    answers(monkeypatch, "Fail")
    with pytest.raises(NoSpace):
        planned(disk, PlanRunner())
    answers(monkeypatch, "1", "10/100", "75/100", "-", "rw")
    plan = planned(disk, PlanRunner())
    assert (plan.extents, plan.room, plan.is_safe) == (0, GIB // 4, False)
    assert "thin pool v-g/pool" in plan.told()[0]


def test_another_volume_by_the_same_name_is_refused(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    lists(monkeypatch, replace(WEB, group_uuid="Gr-9"))
    with pytest.raises(Refused, match="LVM knows another volume as v-g/web-01"):
        planned(disk, PlanRunner())


def test_what_cannot_have_one_is_told_so(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="stands on other files"):
        planned(replace(disk, chain=(*disk.chain, replace(disk.chain[0], path=Path("/b")))), PlanRunner())
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(NeedsRoot):
        planned(disk, PlanRunner())
    monkeypatch.setattr(frozen, "logical_volume", logical.logical_volume)
    with pytest.raises(WrongUsage, match="no logical volume"):
        planned(disk, PlanRunner())


@pytest.mark.parametrize(
    ("plan", "how"), [(Plan(WEB, 90), "--extents 90"), (Plan(THIN, 0, GIB), "--ignoreactivationskip")]
)
def test_the_plan_tells_the_command_and_its_way_back(disk: Disk, plan: Plan, how: str) -> None:
    runner = PlanRunner()
    made = take(Stack(None, runner), disk, plan, "S")
    [ran] = runner.transcript
    line = ran.command.shell()
    assert line.startswith("lvcreate --yes --snapshot --permission r --monitor n")
    assert how in line and line.endswith("--addtag virt-salvage-S-1 --name virt-salvage-S-1 v-g/web-01")
    [undo] = ran.command.undo
    assert undo.shell() == (
        """lvremove --yes --select 'lv_tags={"virt-salvage-S-1"}' --config activation/monitoring=0 v-g"""
    )
    assert ran.command.unbroken and undo.unbroken
    assert made.disk.files == (Path("/dev/v-g/virt-salvage-S-1"),)


def test_a_full_snapshot_is_given_up(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Frozen(Plan(WEB, 90), f"/dev/v-g/{TAG}", disk, 0.0)
    answers(monkeypatch, "16/40960", "16")
    made.require()
    assert made.watch() is None
    answers(monkeypatch, "Invalid")
    assert made.watch() is None, "it is not looked at all the time"
    with pytest.raises(SalvageError, match="More was written to v-g/web-01"):
        made.require()
    answers(monkeypatch)
    with pytest.raises(SalvageError, match="went away"):
        made.require()


def test_a_pool_that_fills_up_gives_the_snapshot_up(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Frozen(Plan(THIN, 0, GIB), f"/dev/v-g/{TAG}", disk, 0.0)
    answers(monkeypatch, "1", "10/100", "94/100", "-", "rw")
    made.require()
    answers(monkeypatch, "1", "96/100", "10/100", "-", "rw")
    with pytest.raises(SalvageError, match="nearly full") as caught:
        made.require()
    assert "can write on" in caught.value.meaning


OURS = replace(WEB, name=TAG, uuid="Lv-7", tags=(TAG,))


@pytest.mark.parametrize(
    ("found", "standing"),
    [
        ([OURS], Standing.OURS),
        ([], Standing.GONE),
        ([replace(OURS, tags=("other",))], Standing.FOREIGN),
        (None, Standing.OURS),
    ],
)
def test_ours_is_known_by_uuid_and_tag(
    monkeypatch: pytest.MonkeyPatch, found: list[LogicalVolume] | None, standing: Standing
) -> None:
    asked: list[tuple[str, ...]] = []

    def volumes(_runner: object, *which: str) -> list[LogicalVolume]:
        asked.append(which)
        if found is None:
            raise SalvageError("lvs failed")
        return found

    monkeypatch.setattr(lvm, "volumes", volumes)
    monkeypatch.setattr("core.host.running", lambda _program, _argument: [])
    facts = VolumeSnapshot.facts("v-g", TAG)
    entry = Entry(1, "lv", f"/dev/v-g/{TAG}", "held", "", 0.0, (), (), facts, {**facts, "uuid": "Lv-7"})
    assert VolumeSnapshot().standing(entry) is standing
    assert asked == [("--select", 'lv_uuid="Lv-7"')]
    [undo] = VolumeSnapshot().undo(entry.target, entry.identity)
    assert undo.argv[3] == f'lv_uuid="Lv-7" && lv_tags={{"{TAG}"}}'
    wanted = None if found == [] else entry.target
    assert VolumeSnapshot().find(replace(entry, identity={})) == wanted


def test_a_snapshot_that_lvm_still_makes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its session was killed meanwhile, and knows only that it wanted it."""
    busy = [[7], [7], []]
    monkeypatch.setattr("core.host.running", lambda _program, _argument: busy.pop(0))
    monkeypatch.setattr(lvm, "volumes", lambda _runner, *_which: [] if busy else [OURS])
    facts = VolumeSnapshot.facts("v-g", TAG)
    entry = Entry(1, "lv", f"/dev/v-g/{TAG}", "intended", "", 0.0, (), (), facts)
    assert VolumeSnapshot().find(entry) == entry.target
    assert not busy


@pytest.mark.parametrize("ours_is_up", [True, False])
def test_what_lvm_has_below_is_ours_while_our_snapshot_is_there(tmp_path: Path, ours_is_up: bool) -> None:
    """Once ours is gone, it serves somebody else's snapshot of the same volume."""
    facts = VolumeSnapshot.facts("v-g", TAG, "web-01")
    owners = Owners(tmp_path)
    owners.add("S", [Entry(1, "lv", f"/dev/v-g/{TAG}", "held", "", 0.0, (), (), facts)])
    own, cow, below, volume = (
        Thing("mapping", ("dm-1", name), name, (name,))
        for name in (mapped("v-g", TAG), mapped("v-g", TAG) + "-cow", "v--g-web--01-real", "v--g-web--01")
    )
    after = HostState((own, cow, below, volume) if ours_is_up else (below, volume), 0)
    assert owners.owner(own, after) == owners.owner(cow, after) == "S"
    assert owners.owner(below, after) == ("S" if ours_is_up else "")
    assert owners.owner(below, HostState((), 0)) == "S"
    assert owners.owner(volume, after) == ""


def test_without_a_journal_it_is_seen_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session whose folder is there, but whose journal tells nothing of it; what LVM keeps below is not."""
    (tmp_path / TAG.removeprefix("virt-salvage-").removesuffix("-1")).mkdir()
    known = {
        mapped("v-g", TAG): "LVM-Gr0Lv7",
        mapped("v-g", f"{TAG}-cow"): "LVM-Gr0Lv7-cow",
        mapped("v-g", "virt-salvage-mine-1"): "LVM-Gr0Lv8",
    }
    monkeypatch.setattr("core.undo.mappings.mappings", lambda: known)
    [one] = seen(tmp_path)
    assert (one.what, one.target) == ("lv", f"/dev/v-g/{TAG}")
    assert [undo.argv[0] for undo in one.undo] == ["lvremove"]


def test_lvm_is_never_ended_in_the_midst(tmp_path: Path) -> None:
    """Neither a cancel nor our own death, with nobody left to read what it says, ends it."""
    cancel, done = CancelToken(), tmp_path / "done"
    script = f"sleep 0.4; echo said; echo said; touch {done}"
    command = Command(("sh", "-c", script), "w", "e", unbroken=True, limits=None)
    runner = SystemRunner(cancel)
    threading.Timer(0.1, cancel.cancel).start()
    assert runner.run(command).status == 0 and done.exists()
    with pytest.raises(Cancelled):
        runner.run(command)
