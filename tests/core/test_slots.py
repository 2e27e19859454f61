"""Network block devices as sysfs tells of them: which slot is free, who serves it, where partitions lie."""

import os
from pathlib import Path

import pytest

from core import slots
from core.command import Variable
from core.undo.connected import SlotKind
from core.undo.pairs import kind_of
from core.undo.standing import Standing


@pytest.fixture
def sys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two slots of an unloaded kernel's list: the first is served by this process, the second is free."""
    monkeypatch.setattr(slots, "_SYS_BLOCK", tmp_path)
    for name, size in (("nbd0", 2048), ("nbd1", 0), ("nbd10", 0), ("loop0", 0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "size").write_text(f"{size}\n")
    (tmp_path / "nbd0/pid").write_text(f"{os.getpid()}\n")
    return tmp_path


def test_a_slot_is_free_or_somebody_serves_it(sys: Path) -> None:
    assert slots.slots() == ["/dev/nbd0", "/dev/nbd1", "/dev/nbd10"]
    assert [slots.is_free(one) for one in slots.slots()] == [False, True, True]
    assert slots.server("/dev/nbd0") == os.getpid()
    assert slots.is_connected("/dev/nbd0", os.getpid())
    assert not slots.is_connected("/dev/nbd0", 1)
    (sys / "nbd1/size").write_text("8\n")  # taken down, but not let go yet
    assert not slots.is_free("/dev/nbd1")


def test_a_partition_counts_only_where_it_lies_at_the_same_bytes(
    sys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = sys / "nbd0/nbd0p5"
    place.mkdir()
    (place / "start").write_text("63\n")
    (place / "size").write_text("100\n")
    monkeypatch.setattr(Path, "is_block_device", lambda _path: True)
    assert slots.partition("/dev/nbd0", 5, 63 * 512, 100 * 512) == "/dev/nbd0p5"
    assert slots.partition("/dev/nbd0", 5, 63 * 512, 101 * 512) == ""
    assert slots.partition("/dev/nbd0", 5, 63 * 512 + 1, 100 * 512) == ""
    assert slots.partition("/dev/nbd0", 6, 63 * 512, 100 * 512) == ""
    assert slots.nodes("/dev/nbd0") == ("/dev/nbd0", "/dev/nbd0p5")


def test_only_the_process_that_was_started_for_it_is_taken_down(sys: Path) -> None:
    facts = SlotKind.facts("/dev/nbd0", "--pid-file=/x/nbd0.pid")
    kind = kind_of("nbd", facts)
    assert isinstance(kind, SlotKind)
    started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    ours = {"pid": os.getpid(), "started": started}
    [disconnect] = kind.undo("/dev/nbd0", ours)
    assert disconnect.argv == ("qemu-nbd", "--disconnect", "/dev/nbd0")
    # connected to another slot by somebody: only the process is ours
    (sys / "nbd0/pid").write_text("1\n")
    [kill] = kind.undo("/dev/nbd0", ours)
    assert kill.argv == ("kill", str(os.getpid()))
    # a process of the same number that started at another time
    assert kind.undo("/dev/nbd0", {"pid": os.getpid(), "started": started + 1}) == ()
    assert kind.identify("/dev/nbd0", facts) == {}
    [planned] = kind.undo("/dev/nbd0", {"pid": Variable.named("")})
    assert planned.argv == disconnect.argv


def test_what_the_kernel_has_given_to_another_server_is_gone(sys: Path) -> None:
    from core.undo.account import Entry

    facts = SlotKind.facts("/dev/nbd0", "--pid-file=/x/nbd0.pid")
    entry = Entry(1, "nbd", "/dev/nbd0", "held", "", 0.0, (), (), facts, {"pid": 1, "started": -1})
    assert SlotKind().standing(entry) is Standing.GONE
