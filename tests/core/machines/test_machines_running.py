"""Running processes of QEMU are machines, whoever started them."""

import json
from pathlib import Path

import pytest

from core.machines import running
from core.machines.census import machines
from core.machines.places import Places
from tests.core.disks.disk_images import created
from tests.core.disks.holding import machine
from tests.core.disks.holding import running as started
from tests.core.machines.test_machines_libvirt import disk, put

NODE = {"node-name": "file0", "driver": "file", "filename": "/vm/a,b.qcow2"}


@pytest.mark.parametrize(
    ("words", "disks"),
    [
        (["-hda", "/vm/a.img"], [("hda", "/vm/a.img", None, "disk")]),
        (["-drive", "file=/vm/a,,b.img,format=raw"], [("ide0", "/vm/a,b.img", "raw", "disk")]),
        (
            ["-drive", "file=/a,if=none,id=d0,readonly=on", "-device", "virtio-blk-pci,drive=d0,id=disk0"],
            [("disk0", "/a", None, "disk")],
        ),
        (["-drive", "if=pflash,file=/fw.fd", "-drive", "if=ide,media=cdrom"], []),
        (["-drive", "driver=qcow2,file.driver=file,file.filename=/a"], [("ide0", "/a", "qcow2", "disk")]),
        (
            ["-cdrom", "/a.iso", "-fda", "/f.img"],
            [("cdrom", "/a.iso", None, "cdrom"), ("fda", "/f.img", None, "floppy")],
        ),
        (["-drive", "file=nbd://h:1/x,if=virtio"], [("virtio0", "nbd://h:1/x", None, "disk")]),
        (
            [
                *("-blockdev", json.dumps(NODE)),
                *(
                    "-blockdev",
                    '{"node-name":"base","driver":"qcow2","file":{"driver":"file","filename":"/b"}}',
                ),
                *("-blockdev", '{"node-name":"top","driver":"qcow2","file":"file0","backing":"base"}'),
                *("-device", '{"driver":"virtio-blk-pci","drive":"top","id":"virtio-disk0"}'),
                *("-blockdev", "driver=file,node-name=fw,filename=/fw.fd"),
            ],
            [("virtio-disk0", "/vm/a,b.qcow2", "qcow2", "disk")],
        ),
        (
            [
                "-blockdev",
                "driver=raw,node-name=cd,file.driver=host_cdrom,file.filename=/dev/sr0",
                "-device",
                "ide-cd,drive=cd",
            ],
            [("cd", "/dev/sr0", "raw", "cdrom")],
        ),
        (
            [
                "-blockdev",
                '{"node-name":"n","driver":"raw","file":{"driver":"nbd","server":{"type":"inet","host":"h","port":"10809"},"export":"x"}}',
            ],
            [("n", "nbd://h:10809/x", "raw", "disk")],
        ),
        (["-blockdev", "{broken", "-drive", "", "-device"], []),
        (
            ["-blockdev", '{"node-name":"n","driver":"raw","file":"n"}', "-device", "x,drive=n"],
            [("n", "", "raw", "disk")],
        ),
    ],
)
def test_a_command_line_tells_its_disks(
    words: list[str], disks: list[tuple[str, str, str | None, str]]
) -> None:
    told = running.machine(0, ["/usr/bin/qemu-system-x86_64", "-name", "guest=web", *words])
    assert told.name == "web"
    assert [(one.target, one.place, one.format, one.device) for one in told.disks] == disks


def test_a_real_machine_is_found_with_its_disks(tmp_path: Path) -> None:
    created(tmp_path / "a.qcow2", "qcow2")
    ready = tmp_path / "ready"
    with started(machine(Path("a.qcow2"), "qcow2", ready, "found-one"), ready, tmp_path) as pid:
        found = [one for one in machines(Places(tmp_path)) if one.pid == pid]
    (one,) = found
    assert (one.name, one.origin, one.running) == ("found-one", "qemu", True)
    assert [(disk.target, disk.path, disk.format) for disk in one.disks] == [
        ("virtio0", tmp_path / "a.qcow2", "qcow2")
    ]


def test_a_defined_machine_that_runs_is_one_machine(tmp_path: Path) -> None:
    image = created(tmp_path / "a.qcow2", "qcow2")
    put(tmp_path, "twice", disk("vda", f"<source file='{image}'/>"))
    ready = tmp_path / "ready"
    with started(machine(image, "qcow2", ready, "twice"), ready) as pid:
        found = [one for one in machines(Places(tmp_path)) if one.name == "twice"]
    (one,) = found
    assert (one.origin, one.running, one.pid) == ("libvirt", True, pid)
