"""What libvirt and Proxmox say of their machines, and what cannot be made of what they say."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.disks import hypervisors
from core.disks.holders import survey
from core.disks.hypervisors import Roots
from core.disks.model import Holder
from core.disks.ways_out import InUse, refuse_if_written
from tests.core.disks.disk_images import content, opened
from tests.core.disks.holding import running, script

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only files of root are believed")

STATUS = """<!-- WARNING: THIS IS AN AUTO-GENERATED FILE. -->
<domstatus state='{state}' reason='booted' pid='{pid}'>
  <domain type='kvm' id='1'>
    <name>{name}</name>
    <devices>
      <disk type='file' device='disk'>
        <driver name='qemu' type='qcow2'/>
        <source file='{source}' index='1'/>
        <backingStore type='file' index='3'>
          <format type='qcow2'/>
          <source file='{below}'/>
          <backingStore/>
        </backingStore>
        {more}
        <target dev='vdb' bus='virtio'/>
      </disk>
      <disk type='file' device='cdrom'><source file='{cdrom}'/><target dev='sda'/></disk>
    </devices>
  </domain>
</domstatus>
"""


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    folders = [tmp_path / name for name in ("run", "etc", "save", "pve", "pve-etc")]
    for folder in folders:
        folder.mkdir()
    return Roots(*folders)


@pytest.fixture
def sleeper() -> Iterator[int]:
    """A process that has nothing open: whether it has the disk is only told by its manager."""
    with running(script("import signal; signal.pause()")) as pid:
        yield pid


def _status(roots: Roots, pid: int, **values: str) -> None:
    told = {"state": "running", "name": "web01", "source": "/n", "below": "/n", "cdrom": "/n", "more": ""}
    (roots.running / "web01.xml").write_text(STATUS.format(pid=pid, **{**told, **values}))


def _holders(image: Path, roots: Roots) -> tuple[Holder, ...]:
    return survey(opened(image), None, roots).holders


def test_a_running_machine_of_libvirt_holds_its_disk(tmp_path: Path, roots: Roots, sleeper: int) -> None:
    image = content(tmp_path / "a.raw")
    _status(roots, sleeper, source=str(image))
    [one] = _holders(image, roots)
    assert (one.pid, one.vm, one.mode, one.evidence) == (sleeper, "web01", "write", "hypervisor")
    with pytest.raises(InUse, match=r"web01 .* has this disk, as its manager says") as caught:
        refuse_if_written(opened(image), [one])
    assert "virsh shutdown web01" in caught.value.remedy
    commands = [command for way in caught.value.ways for command in way.commands]
    assert "virsh snapshot-create-as web01 salvage --disk-only --atomic --no-metadata" in commands
    assert "virsh blockcommit web01 vdb --active --pivot" in commands


def test_a_paused_machine_holds_its_disk_too(tmp_path: Path, roots: Roots) -> None:
    image, ready = content(tmp_path / "a.raw"), tmp_path / "up"
    text = "import sys, signal; f = open(sys.argv[1], 'r+b'); open(sys.argv[2], 'w'); signal.pause()"
    with running(script(text, image, ready), ready) as pid:
        _status(roots, pid, source=str(image), state="paused")
        [one] = _holders(image, roots)
        assert (one.pid, one.vm, one.evidence) == (pid, "web01", "open")
        with pytest.raises(
            InUse, match=rf"web01 \(.*pid {pid}\) is paused, but has this disk open"
        ) as caught:
            refuse_if_written(opened(image), [one])
        assert caught.value.ways[0].commands == ("virsh resume web01", "virsh shutdown web01")


@pytest.mark.parametrize(
    ("place", "mode"),
    [("below", "read"), ("cdrom", "read"), ("readonly", "read"), ("mirror", "write")],
)
def test_what_a_machine_only_reads_is_told_apart(
    tmp_path: Path, roots: Roots, sleeper: int, place: str, mode: str
) -> None:
    image = content(tmp_path / "a.raw")
    values = {
        "below": {"below": str(image)},
        "cdrom": {"cdrom": str(image)},
        "readonly": {"source": str(image), "more": "<readonly/>"},
        "mirror": {"more": f"<mirror type='file' job='copy'><source file='{image}'/></mirror>"},
    }[place]
    _status(roots, sleeper, **values)
    assert [one.mode for one in _holders(image, roots)] == [mode]


def test_what_libvirt_left_of_a_machine_that_ended_says_nothing(tmp_path: Path, roots: Roots) -> None:
    image = content(tmp_path / "a.raw")
    with running(script("import signal; signal.pause()")) as pid:
        _status(roots, pid, source=str(image))
    assert _holders(image, roots) == ()


def test_a_link_in_the_machines_own_path_is_followed(tmp_path: Path, roots: Roots, sleeper: int) -> None:
    image = content(tmp_path / "a.raw")
    (tmp_path / "link").symlink_to(image)
    _status(roots, sleeper, source=str(tmp_path / "link"))
    assert [one.vm for one in _holders(image, roots)] == ["web01"]


def test_a_machine_of_proxmox_is_named_with_its_own_commands(tmp_path: Path, roots: Roots) -> None:
    image, ready = content(tmp_path / "a.raw"), tmp_path / "up"
    text = "import sys, signal; f = open(sys.argv[1], 'r+b'); open(sys.argv[2], 'w'); signal.pause()"
    (roots.proxmox_defined / "101.conf").write_text("cores: 2\nname: web01\n\n[before]\nname: old\n")
    with running(script(text, image, ready), ready) as pid:
        (roots.proxmox / "101.pid").write_text(f"{pid}\n")
        (roots.proxmox / "x.pid").write_text("1\n")
        [one] = _holders(image, roots)
        assert (one.pid, one.vm, one.to_json()["manager"]) == (pid, "web01", "proxmox")
        with pytest.raises(InUse) as caught:
            refuse_if_written(opened(image), [one])
        assert "qm shutdown 101" in caught.value.remedy
        assert any(way.commands == ("vzdump 101 --mode snapshot",) for way in caught.value.ways)


def test_a_machine_whose_memory_is_saved_is_a_note(tmp_path: Path, roots: Roots) -> None:
    image = content(tmp_path / "a.raw")
    definition = (
        f"<domain><name>web01</name><devices><disk><source file='{image}'/></disk></devices></domain>"
    )
    (roots.defined / "web01.xml").write_text(definition)
    assert not [told for told in survey(opened(image), None, roots).problems if "web01" in told]
    (roots.saved / "web01.save").touch()
    told = survey(opened(image), None, roots).problems
    assert [one for one in told if one.startswith("web01 is off with its memory saved")]


def _bomb() -> str:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    return f'<!DOCTYPE d [<!ENTITY a0 "x">{entities}]><domain><name>&a11;</name></domain>'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<domstatus",
        "<domstatus pid='x'/>",
        "<domain><name></name></domain>",
        "<a>" * 10_000 + "</a>" * 10_000,
        "\0" * 64,
        "\x1b]0;x\x07",
        _bomb(),
        '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><domain><name>&a;</name></domain>',
    ],
)
def test_what_is_no_state_of_a_machine_is_passed_over(tmp_path: Path, roots: Roots, text: str) -> None:
    (roots.running / "bad.xml").write_text(text)
    assert survey(opened(content(tmp_path / "a.raw")), None, roots).holders == ()
    assert hypervisors.running(roots) == []


@pytest.mark.parametrize("how", ["owner", "mode", "link", "large", "fifo"])
def test_only_what_root_alone_can_have_written_is_believed(
    tmp_path: Path, roots: Roots, sleeper: int, how: str
) -> None:
    image = content(tmp_path / "a.raw")
    _status(roots, sleeper, source=str(image))
    at = roots.running / "web01.xml"
    if how == "owner":
        os.chown(at, 65534, 65534)
    elif how == "mode":
        at.chmod(0o666)
    elif how == "link":
        at.rename(tmp_path / "elsewhere.xml")
        at.symlink_to(tmp_path / "elsewhere.xml")
    elif how == "large":
        os.truncate(at, 8 << 20)
    else:
        at.unlink()
        os.mkfifo(at)
    assert _holders(image, roots) == ()


def test_a_name_that_is_hostile_is_safe_in_sentence_and_command(
    tmp_path: Path, roots: Roots, sleeper: int
) -> None:
    image = content(tmp_path / "a.raw")
    _status(roots, sleeper, source=str(image), name="a; rm -rf ~ &#x202e;[bold]")
    with pytest.raises(InUse) as caught:
        refuse_if_written(opened(image), _holders(image, roots))
    assert "\u202e" not in caught.value.paragraph()
    assert caught.value.ways[0].commands[0].startswith("virsh shutdown '") or "$'" in caught.value.remedy
