"""What the command lines of QEMU's programs tell of disks."""

import pytest

from core.disks.arguments import Naming, disks, is_qemu, machine


def _told(*words: str) -> list[tuple[str, str]]:
    return [(one.path, one.mode) for one in disks(words)]


@pytest.mark.parametrize(
    ("words", "path", "mode"),
    [
        (["-drive", "file=/a,,b.raw,format=raw,if=virtio"], "/a,b.raw", "write"),
        (["-drive", "file=/a.raw,readonly=on"], "/a.raw", "read"),
        (["-drive", "file=/a.iso,media=cdrom"], "/a.iso", "read"),
        (["-drive", "driver=qcow2,file.driver=file,file.filename=/a.qcow2"], "/a.qcow2", "write"),
        (["-drive", 'file=json:{"driver":"file"}'], "", ""),
        (["-blockdev", "driver=file,filename=/a.raw,node-name=x"], "/a.raw", "write"),
        (["-blockdev", "driver=host_device,filename=/dev/vg/a,read-only=on"], "/dev/vg/a", "read"),
        (["-blockdev", '{"driver":"file","filename":"/a.raw","read-only":true}'], "/a.raw", "read"),
        (["-blockdev", '{"driver":"qcow2","file":{"driver":"file","filename":"/a.q"}}'], "/a.q", "write"),
        (["-blockdev", '{"driver":"qcow2","file":{}}', "-hdb", "b.raw"], "b.raw", "write"),
        (["-cdrom", "/a.iso"], "/a.iso", "read"),
        (["-blockdev", "{" * 5000], "", ""),
        (["a.raw"], "a.raw", "write"),
    ],
)
def test_options_of_a_machine(words: list[str], path: str, mode: str) -> None:
    found = [one for one in _told("/usr/bin/qemu-system-x86_64", "-S", *words) if one[0] == path]
    assert found[:1] == ([(path, mode)] if path else [])


def test_what_lies_below_is_read() -> None:
    node = '{"driver":"qcow2","file":{"filename":"/top"},"backing":{"driver":"raw","file":{"filename":"/b"}}}'
    assert _told("qemu-storage-daemon", f"--blockdev={node}") == [("/top", "write"), ("/b", "read")]


@pytest.mark.parametrize(
    ("words", "path", "mode"),
    [
        ("qemu-nbd -t -f raw /a.raw", "/a.raw", "write"),
        ("qemu-nbd -r -t -f raw /a.raw", "/a.raw", "read"),
        ("qemu-nbd --read-only /a.raw", "/a.raw", "read"),
        ("qemu-nbd --snapshot -c /dev/nbd0 /a.raw", "/a.raw", "read"),
        ("qemu-nbd --image-opts driver=raw,file.filename=/a.raw", "/a.raw", "write"),
        ("qemu-img convert -O qcow2 /a.raw /b.qcow2", "/a.raw", "read"),
        ("qemu-img convert -O qcow2 /a.raw /b.qcow2", "/b.qcow2", "write"),
        ("qemu-img info /a.raw", "/a.raw", "read"),
        ("qemu-img check -r all /a.qcow2", "/a.qcow2", "write"),
        ("qemu-img commit /a.qcow2", "/a.qcow2", "write"),
        ("qemu-img resize /a.raw 1G", "/a.raw", "write"),
    ],
)
def test_words_of_the_other_programs(words: str, path: str, mode: str) -> None:
    assert Naming(path, mode) in disks(words.split())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["/usr/bin/kvm", "qemu-kvm", "qemu-system-aarch64", "/opt/qemu-nbd"])
def test_programs_of_qemu_are_known_by_their_names(name: str) -> None:
    assert is_qemu([name])
    assert not is_qemu([f"{name}-not"]) or name == "qemu-system-aarch64"
    assert not is_qemu([])


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["qemu", "-name", "guest=web01,debug-threads=on"], "web01"),
        (["qemu", "-name", "a,,b"], "a,b"),
        (["qemu", "-id", "101", "-name", "web01,debug-threads=on"], "web01"),
        (["/usr/lib/VBoxHeadless", "--comment", "my machine", "--startvm", "x"], "my machine"),
        (["git", "commit", "--comment", "x"], None),
        (["qemu"], None),
    ],
)
def test_a_machine_is_named_by_its_command_line(words: list[str], name: str | None) -> None:
    assert machine(words) == name
