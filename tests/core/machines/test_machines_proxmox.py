"""Machines of Proxmox VE: what is configured now, and where its storages keep it."""

import os
from pathlib import Path

from core.machines import proxmox
from core.machines.places import Places

STORAGE = """\
dir: local
\tpath /var/lib/vz
\tcontent iso,vztmpl,backup

lvmthin: local-lvm
\tthinpool data
\tvgname pve

lvm: san
\tvgname vgsan

zfspool: tank
\tpool rpool/data
\tsparse

nfs: nas
\tserver 10.0.0.1
\texport /x
\tpath /mnt/pve/nas

cifs: win
\tserver 10.0.0.2

rbd: ceph
\tpool vms

pbs: backups
\tdatastore x
"""

CONF = """\
# a note: with a colon
boot: order=scsi0
name: web01
scsi0: local-lvm:vm-100-disk-0,iothread=1,size=32G
scsi1: nas:100/vm-100-disk-1.qcow2,size=8G,ro=1
scsi2: san:vm-100-disk-2,size=8G
scsi3: tank:base-9-disk-0/vm-100-disk-3,size=8G
scsi4: ceph:vm-100-disk-4,size=8G
scsi5: file=win:100/vm-100-disk-5.vmdk
scsi6: /dev/disk/by-id/ata-X
scsi7: gone:vm-100-disk-7
scsi8: backups:x
virtio0: local:9/base-9-disk-0.qcow2/100/vm-100-disk-8.qcow2
virtio1: local:100/../../../../etc/shadow
ide2: local:iso/debian.iso,media=cdrom,size=600M
ide3: none,media=cdrom
efidisk0: local-lvm:vm-100-disk-9,size=4M
scsihw: virtio-scsi-pci
unused0: local-lvm:vm-100-disk-10

[before]
name: old
scsi0: local-lvm:vm-100-state-before
"""


def put(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o640)


def cluster(root: Path) -> Places:
    put(root, "etc/pve/storage.cfg", STORAGE)
    put(root, "etc/pve/nodes/here/qemu-server/100.conf", CONF)
    put(root, "etc/pve/nodes/here/qemu-server/99.conf", "scsi0: local:99/a.raw\n")
    put(root, "etc/pve/nodes/there/qemu-server/200.conf", "name: far\nscsi0: local:200/a.raw\n")
    (root / "etc/pve/qemu-server").symlink_to("nodes/here/qemu-server")
    put(root, "run/qemu-server/100.pid", f"{os.getpid()}\n")
    return Places(root)


def test_disks_are_where_their_storage_has_them(tmp_path: Path) -> None:
    nameless, web, far = proxmox.machines(cluster(tmp_path))
    assert (web.name, web.id, web.running, web.node) == ("web01", "100", True, "")
    assert {one.target: (one.place, one.format) for one in web.disks if one.device == "disk"} == {
        "scsi0": ("/dev/pve/vm-100-disk-0", "raw"),
        "scsi1": ("/mnt/pve/nas/images/100/vm-100-disk-1.qcow2", "qcow2"),
        "scsi2": ("/dev/vgsan/vm-100-disk-2", "raw"),
        "scsi3": ("/dev/zvol/rpool/data/vm-100-disk-3", "raw"),
        "scsi4": ("rbd:vms/vm-100-disk-4", "raw"),
        "scsi5": ("/mnt/pve/win/images/100/vm-100-disk-5.vmdk", "vmdk"),
        "scsi6": ("/dev/disk/by-id/ata-X", "raw"),
        "scsi7": ("", None),
        "scsi8": ("", None),
        "virtio0": ("/var/lib/vz/images/100/vm-100-disk-8.qcow2", "qcow2"),
        "virtio1": ("", None),
        "unused0": ("/dev/pve/vm-100-disk-10", "raw"),
    }
    assert [one.place for one in web.disks if one.device == "cdrom"] == [
        "/var/lib/vz/template/iso/debian.iso",
        "",
    ]
    assert [one.target for one in web.disks if one.read_only] == ["scsi1", "ide2", "ide3"]
    assert [one.target for one in web.disks if one.problem] == ["scsi7", "scsi8", "virtio1"]
    assert (nameless.name, nameless.running) == ("99", False)
    assert (far.name, far.running, far.node) == ("far", None, "there")
    assert proxmox.folders(Places(tmp_path)) == [
        Path("/var/lib/vz/images"),
        Path("/mnt/pve/nas/images"),
        Path("/mnt/pve/win/images"),
    ]


def test_a_new_node_has_no_storage_file(tmp_path: Path) -> None:
    put(tmp_path, "etc/pve/qemu-server/100.conf", "scsi0: local:100/vm-100-disk-0.raw\n")
    (machine,) = proxmox.machines(Places(tmp_path))
    assert machine.disks[0].place == "/var/lib/vz/images/100/vm-100-disk-0.raw"


def test_nonsense_is_no_trouble(tmp_path: Path) -> None:
    put(tmp_path, "etc/pve/storage.cfg", "dir\n\tpath\n  \n: :\n\x00\xff\nlvm: x\n")
    put(tmp_path, "etc/pve/qemu-server/100.conf", "scsi0\nscsi1:\nscsi2: x:y\nname:\nide0: =,=\n\x00: y\n")
    put(tmp_path, "etc/pve/qemu-server/notes.conf", "scsi0: local:1/a.raw\n")
    (machine,) = proxmox.machines(Places(tmp_path))
    assert machine.name == "100"
    assert not any(one.path for one in machine.disks)
