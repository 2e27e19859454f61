"""Machines of libvirt are read from its own files, whatever stands in them."""

import os
from pathlib import Path

from core.machines import libvirt
from core.machines.places import Places

POOLS = {
    "images": "<pool type='dir'><name>images</name><target><path>/srv/pool</path></target></pool>",
    "guests": "<pool type='logical'><name>guests</name><source><name>vg0</name></source>"
    "<target><path>/dev/vg0</path></target></pool>",
    "whole": "<pool type='disk'><name>whole</name><target><path>/dev</path></target></pool>",
    "tank": "<pool type='zfs'><name>tank</name><source><name>rpool/vm</name></source></pool>",
    "cluster": "<pool type='rbd'><name>cluster</name><source><name>libvirt-pool</name></source></pool>",
}


def put(root: Path, name: str, disks: str, folder: str = "etc/libvirt/qemu", wrapped: str = "") -> Path:
    """A definition, or with `wrapped` the status of a machine, with its `domstatus` element."""
    path = root / folder / f"{name}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    domain = f"<domain type='kvm'><name>{name}</name><devices>{disks}</devices></domain>"
    path.write_text(wrapped.format(domain) if wrapped else domain)
    path.chmod(0o600)
    return path


def disk(target: str, source: str, *, type: str = "file", format: str = "qcow2", device: str = "disk") -> str:
    driver = f"<driver name='qemu' type='{format}'/>" if format else ""
    return f"<disk type='{type}' device='{device}'>{driver}{source}<target dev='{target}'/></disk>"


def places(root: Path) -> Places:
    for name, text in POOLS.items():
        path = root / "etc/libvirt/storage" / f"{name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
    return Places(root)


def test_every_kind_of_disk_says_where_it_is(tmp_path: Path) -> None:
    host = "<host name='ceph1' port='6789'/>"
    put(
        tmp_path,
        "web",
        disk("vda", "<source file='/vm/a b.qcow2'/>")
        + disk("vdb", "<source dev='/dev/vg0/web'/>", type="block", format="raw")
        + disk("vdc", "<source pool='images' volume='c.img'/>", type="volume", format="")
        + disk("vdd", "<source pool='guests' volume='d'/>", type="volume", format="raw")
        + disk("vde", "<source pool='whole' volume='sdb1'/>", type="volume", format="raw")
        + disk("vdf", "<source pool='tank' volume='f'/>", type="volume", format="raw")
        + disk("vdg", "<source pool='cluster' volume='g'/>", type="volume", format="raw")
        + disk("vdh", "<source pool='gone' volume='h'/>", type="volume", format="raw")
        + disk("vdi", f"<source protocol='rbd' name='pool/i'>{host}</source>", type="network", format="raw")
        + disk(
            "vdj",
            "<source protocol='nbd' name='exp'><host name='2001:db8::1' port='10809'/></source>",
            type="network",
        )
        + disk(
            "vdk",
            "<source protocol='nbd' name='exp'><host transport='unix' socket='/run/n.sock'/></source>",
            type="network",
        )
        + disk("vdl", "<source dir='/srv/share'/>", type="dir", format="fat")
        + disk("sda", "<source file='/iso/a.iso'/>", format="raw", device="cdrom")
        + disk("sdb", "", format="raw", device="cdrom"),
    )
    (machine,) = libvirt.machines(places(tmp_path))
    assert (machine.name, machine.running) == ("web", False)
    assert {one.target: (one.place, one.format, one.device) for one in machine.disks} == {
        "vda": ("/vm/a b.qcow2", "qcow2", "disk"),
        "vdb": ("/dev/vg0/web", "raw", "disk"),
        "vdc": ("/srv/pool/c.img", None, "disk"),
        "vdd": ("/dev/vg0/d", "raw", "disk"),
        "vde": ("/dev/sdb1", "raw", "disk"),
        "vdf": ("/dev/zvol/rpool/vm/f", "raw", "disk"),
        "vdg": ("rbd:libvirt-pool/g", "raw", "disk"),
        "vdh": ("", "raw", "disk"),
        "vdi": ("rbd:pool/i", "raw", "disk"),
        "vdj": ("nbd://[2001:db8::1]:10809/exp", "qcow2", "disk"),
        "vdk": ("nbd+unix:///exp?socket=/run/n.sock", "qcow2", "disk"),
        "vdl": ("fat:/srv/share", None, "disk"),
        "sda": ("/iso/a.iso", "raw", "cdrom"),
        "sdb": ("", "raw", "cdrom"),
    }
    assert "gone" in next(one.problem for one in machine.disks if one.target == "vdh")
    assert libvirt.folders(places(tmp_path)) == [Path("/srv/pool")]


def test_what_lies_below_is_no_disk_of_its_own(tmp_path: Path) -> None:
    chain = (
        "<source file='/vm/top.qcow2'/><backingStore type='file'><format type='qcow2'/>"
        "<source file='/vm/mid.qcow2'/><backingStore type='file'><source file='/vm/base.img'/>"
        "<backingStore/></backingStore></backingStore>"
        "<mirror type='file'><source file='/vm/new.qcow2'/></mirror>"
    )
    put(tmp_path, "web", disk("vda", chain))
    (machine,) = libvirt.machines(places(tmp_path))
    (only,) = machine.disks
    assert str(only.path) == "/vm/top.qcow2"
    assert only.below == ("/vm/mid.qcow2", "/vm/base.img")
    assert only.beside == ("/vm/new.qcow2",)


def test_a_part_of_a_file_is_not_taken_for_the_file(tmp_path: Path) -> None:
    sliced = (
        "<source file='/vm/all.img'><slices><slice type='storage' offset='1' size='2'/></slices></source>"
    )
    put(tmp_path, "web", disk("vda", sliced, format="raw"))
    (machine,) = libvirt.machines(places(tmp_path))
    assert machine.disks[0].path is None
    assert "/vm/all.img" in machine.disks[0].problem


def test_a_machine_that_runs_has_what_it_has_now(tmp_path: Path) -> None:
    put(tmp_path, "web", disk("vda", "<source file='/vm/old.qcow2'/>"))
    put(tmp_path, "off", disk("vda", "<source file='/vm/off.qcow2'/>"))
    running = "run/libvirt/qemu"
    alive = f"<domstatus state='paused' pid='{os.getpid()}'>{{}}</domstatus>"
    put(tmp_path, "web", disk("vda", "<source file='/vm/snap.qcow2'/>"), running, alive)
    put(
        tmp_path,
        "off",
        disk("vda", "<source file='/vm/off.qcow2'/>"),
        running,
        alive.replace("' pid='", "' pid='99"),
    )
    off, web = libvirt.machines(places(tmp_path))
    assert (web.running, web.paused, str(web.disks[0].path)) == (True, True, "/vm/snap.qcow2")
    assert not off.running


def test_hostile_definitions_are_passed_over(tmp_path: Path) -> None:
    good = put(tmp_path, "good", disk("vda", "<source file='/vm/a'/>"))
    folder = good.parent
    bomb = "<!DOCTYPE d [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]>"
    texts = {
        "bomb": f"{bomb}<domain><name>&b;</name></domain>",
        "outside": "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><domain><name>&x;</name></domain>",
        "deep": "<domain><name>deep</name>" + "<a>" * 5000 + "</a>" * 5000 + "</domain>",
        "many": "<domain><name>many</name>" + "<a/>" * 200_000 + "</domain>",
        "huge": "<domain><name>huge</name>" + " " * (10 << 20) + "</domain>",
        "cut": "<domain><name>cut</name><devices><disk",
        "other": "<network><name>other</name></network>",
        "nameless": "<domain><name> </name></domain>",
        "empty": "",
        "digits": "<domstatus pid='²'><domain><name>digits</name></domain></domstatus>",
    }
    for name, text in texts.items():
        (folder / f"{name}.xml").write_text(text)
    (folder / "theirs.xml").write_text("<domain><name>theirs</name></domain>")
    (folder / "theirs.xml").chmod(0o666)
    (folder / "link.xml").symlink_to(good)
    os.mkfifo(folder / "fifo.xml")
    (folder / "folder.xml").mkdir()
    assert [one.name for one in libvirt.machines(places(tmp_path))] == ["digits", "good"]
