"""The way by a network block device, as far as it goes without its module; see tests/vm/test_nbd.py."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from core import slots
from core.errors import SalvageError
from core.runner import PlanRunner, SystemRunner
from core.session import Session
from core.tables.model import PartitionTable
from core.undo.state import StateFolder
from core.volumes import nbd
from core.volumes.model import Inspection, Volume
from tests.conftest import Guard, needs_root


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the module were there, with its first slot in use."""
    monkeypatch.setattr(slots, "slots", lambda: ["/dev/nbd0", "/dev/nbd1"])
    monkeypatch.setattr(slots, "is_free", lambda slot: slot != "/dev/nbd0")
    monkeypatch.setattr(slots, "most_partitions", lambda: 15)


def _table(count: int = 1, *problems: str) -> PartitionTable:
    part: Any = object()
    return PartitionTable("msdos", None, "primary", 512, 100, (part,) * count, (), problems)


def test_without_the_module_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "slots", list)
    assert "modprobe nbd" in (nbd.problem(_table()) or "")


@pytest.mark.hostile(40)
def test_no_member_that_the_host_would_assemble_is_shown(module: None) -> None:
    volumes = [Volume("2", "partition", 0, 1, "LVM2_member", None, None)]
    assert nbd.problem(_table()) is None
    assert "partition 2 too, which contains LVM2_member" in (nbd.problem(_table(), volumes) or "")
    assert "damaged or unusual" in (nbd.problem(_table(nbd.MOST + 1)) or "")
    assert "damaged or unusual" in (nbd.problem(_table(1, "a loop in the chain")) or "")


def _planned(tmp_path: Path, disk: Path) -> list[str]:
    with Session(StateFolder(tmp_path / "state"), SystemRunner()) as looking:
        looking.select(str(disk), "raw")
        known = looking.inspect()
    runner = PlanRunner()
    with Session(StateFolder(tmp_path / "state"), runner) as session:
        session.select(str(disk), "raw")
        session.know(known)
        session.open("1", way="nbd")
    return [ran.command.shell() for ran in runner.transcript]


@needs_root
def test_the_plan_names_a_free_slot_and_its_way_back(tmp_path: Path, module: None, guard: Guard) -> None:
    disk, inner = tmp_path / "disk.raw", tmp_path / "fs"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", inner, "8M"], check=True)
    disk.write_bytes(bytes(1 << 20) + inner.read_bytes())
    subprocess.run(["sfdisk", "-q", disk], input="2048,,83\n", text=True, check=True)
    guard.watch(disk)
    lines = _planned(tmp_path, disk)
    [connect] = [line for line in lines if "--connect" in line]
    assert "--connect=/dev/nbd1 --read-only --format=raw" in connect and connect.endswith(f"{disk} &")
    assert any("test -b /dev/nbd1p1" in line for line in lines)
    assert any(line.startswith("mount ") and "/dev/nbd1p1 " in line for line in lines)


def test_what_is_put_together_has_no_place_on_it(module: None) -> None:
    volume = Volume("vg/root", "lv", 0, 1, "ext4", None, None, under="5")
    with pytest.raises(SalvageError, match="put together first"):
        nbd.require(Inspection(_table(), (volume,)), volume)
