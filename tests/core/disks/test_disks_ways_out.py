"""What is said of each kind of holder, and what can be done about that very one."""

from pathlib import Path

import pytest

from core.disks.model import Disk, Holder, Machine
from core.disks.ways_out import InUse, refuse_if_written, sentence, ways_out
from core.errors import Exit, Refused
from tests.core.disks.disk_images import content, opened


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return opened(content(tmp_path / "a.raw"))


def _held(evidence: str = "open", **values: object) -> Holder:
    known = {"pid": 7, "program": "qemu-nbd", "vm": None, "mode": "write", "evidence": evidence, **values}
    return Holder(**known)  # type: ignore[arg-type]


_WEB = Machine("web01", "libvirt", "web01", target="vda")
_PAUSED = Machine("web01", "libvirt", "web01", paused=True)
_QM = Machine("web01", "proxmox", "101")


@pytest.mark.parametrize(
    ("holder", "said", "first"),
    [
        (_held(), "qemu-nbd (pid 7) is writing to this disk", "End qemu-nbd (pid 7)"),
        (_held(vm="web01"), "web01 (qemu-nbd, pid 7) is writing", "Shut the machine down"),
        (_held(vm="web01", machine=_WEB), "web01 (qemu-nbd, pid 7) is writing", "(virsh shutdown web01)"),
        (_held(vm="web01", machine=_PAUSED), "is paused, but has", "(virsh resume web01; virsh shutdown"),
        (_held(vm="web01", machine=_QM), "web01 (qemu-nbd, pid 7) is writing", "(qm shutdown 101)"),
        (_held("arguments"), "names this disk in its arguments", "End qemu-nbd (pid 7)"),
        (_held("arguments", vm="web01"), "web01 (qemu-nbd, pid 7) names", "Shut the machine down"),
        (_held("hypervisor", vm="web01", machine=_WEB), "as its manager says", "(virsh shutdown web01)"),
        (_held("lock", pid=None, through="/a"), "has locked /a to write", "Stop the container"),
        (_held("count", pid=None, through="/a"), "has /a open to write", "Stop the container"),
        (
            _held(
                "device", pid=None, program="/dev/loop3", undo=("umount /m", "losetup --detach /dev/loop3")
            ),
            "/dev/loop3 holds this disk for writing",
            "(umount /m; losetup --detach /dev/loop3)",
        ),
        (
            _held("device", pid=None, program="swap", through="/dev/sdb1", undo=("swapoff /dev/sdb1",)),
            "swap (/dev/sdb1) holds this disk",
            "(swapoff /dev/sdb1)",
        ),
        (
            _held("device", pid=None, program="/dev/loop3", session="S", is_alive=False),
            "Session S of virt-salvage holds this disk",
            "That session died; take down what it left behind. (virt-salvage undo S)",
        ),
        (_held(session="S"), "Session S of virt-salvage", "End that session. Wait for it"),
    ],
)
def test_each_holder_has_its_own_sentence_and_way(disk: Disk, holder: Holder, said: str, first: str) -> None:
    with pytest.raises(InUse) as caught:
        refuse_if_written(disk, [holder])
    assert isinstance(caught.value, Refused) and caught.value.status == Exit.REFUSED
    assert said in caught.value.what
    assert first in caught.value.remedy
    assert caught.value.ways[0].sentence() == caught.value.remedy
    assert caught.value.ways[-1].title == "Look at a backup instead"


def test_every_writer_has_its_way_and_none_is_said_twice(disk: Disk) -> None:
    writers = [_held(pid=1), _held(pid=1), _held(pid=2, vm="web01", machine=_WEB), _held(pid=3, mode="read")]
    ways = ways_out(writers)
    assert [way.title for way in ways] == [
        "End qemu-nbd (pid 1)",
        "Shut the machine down",
        "Copy while a snapshot takes the writes",
        "Look at a backup instead",
    ]
    assert all(set(way.to_json()) == {"title", "text", "commands"} for way in ways)


def test_a_machine_that_nobody_manages_can_still_be_left_running() -> None:
    assert "Let its manager make a backup" in [way.title for way in ways_out([_held(vm="web01")])]


def test_readers_are_not_refused(disk: Disk) -> None:
    refuse_if_written(disk, [_held(mode="read", session="S"), _held(mode="read")])


def test_names_in_sentences_and_commands_are_safe(disk: Disk) -> None:
    machine = Machine("a", "libvirt", "a;\x1b]0;x\x07 $(id)")
    holder = _held(vm="\x1b[2Jweb", machine=machine, program="\u202eq")
    assert sentence(holder, disk).isprintable()
    [way] = [way for way in ways_out([holder]) if way.title == "Shut the machine down"]
    assert way.commands[0].isprintable() and "'" in way.commands[0]
