"""Everything that can be opened, machines first, with who holds it."""

import os
from pathlib import Path

from core.disks.finding import Found
from core.machines.inventory import Group, inventory
from core.machines.places import Places
from tests.core.disks.disk_images import created
from tests.core.disks.holding import machine, running
from tests.core.machines.test_machines_libvirt import disk, put


def looked(folder: Path) -> tuple[dict[str, Group], dict[str, Found]]:
    groups, rest = {}, {}
    for one in inventory([folder / "vm"], None, Places(folder)):
        if isinstance(one, Group):
            groups[one.machine.name] = one
        elif one.kind == "image":
            rest[one.path.name] = one
    return groups, rest


def test_a_disk_of_a_machine_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "vm").mkdir()
    image = created(tmp_path / "vm/a.qcow2", "qcow2")
    created(tmp_path / "vm/b.qcow2", "qcow2")
    (tmp_path / "link.qcow2").symlink_to(image)
    put(
        tmp_path,
        "web",
        disk("vda", f"<source file='{tmp_path}/link.qcow2'/>")
        + disk("vdb", "<source file='/nowhere/b.img'/>")
        + disk("sda", "", device="cdrom"),
    )
    groups, rest = looked(tmp_path)
    assert list(rest) == ["b.qcow2"]
    first, gone = groups["web"].members
    assert first.found
    assert (first.found.format, first.found.vm) == ("qcow2", "web")
    assert gone.found is None
    assert gone.to_json()["exists"] is False
    assert gone.to_json()["path"] == "/nowhere/b.img"


def test_pools_are_looked_into(tmp_path: Path) -> None:
    created(tmp_path / "p.qcow2", "qcow2")
    pool = tmp_path / "etc/libvirt/storage/p.xml"
    pool.parent.mkdir(parents=True)
    (tmp_path / "vm").mkdir()
    pool.write_text(f"<pool type='dir'><name>p</name><target><path>{tmp_path}</path></target></pool>")
    assert "p.qcow2" in looked(tmp_path)[1]


def test_who_holds_each_is_seen_in_one_look(tmp_path: Path) -> None:
    folder = tmp_path / "vm"
    folder.mkdir()
    free, read = created(folder / "free.qcow2", "qcow2"), created(folder / "read.qcow2", "qcow2")
    written = created(folder / "written.qcow2", "qcow2")
    ready = tmp_path / "ready"
    with running(["sleep", "60"]), running(machine(written, "qcow2", ready, "busy"), ready), open(read):
        groups, rest = looked(tmp_path)
        (member,) = groups["busy"].members
        while not (member.found and member.found.held_by):  # its number is written before it opens its disks
            groups, rest = looked(tmp_path)
            (member,) = groups["busy"].members
    (holder,) = member.found.held_by
    assert (holder.vm, holder.mode, holder.program) == ("busy", "write", "qemu-system-x86_64")
    assert rest["free.qcow2"].held_by == ()
    assert rest["read.qcow2"].held_by == ()  # this program itself is nobody
    assert free.exists()
    assert os.getpid() != holder.pid
