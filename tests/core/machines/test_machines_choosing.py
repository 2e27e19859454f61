"""A disk by the machine that has it."""

from pathlib import Path

import pytest

from core.errors import Ambiguous, SalvageError, WrongUsage
from core.machines.choosing import by_machine
from core.machines.places import Places
from tests.core.disks.disk_images import content, converted, created
from tests.core.machines.test_machines_libvirt import disk, places, put
from tests.core.machines.test_machines_proxmox import put as put_text


@pytest.fixture
def host(tmp_path: Path) -> Places:
    raw = content(tmp_path / "data.img")
    converted(raw, tmp_path / "sys.qcow2", "qcow2")
    one = f"<source file='{tmp_path}/sys.qcow2'/>"
    data = f"<source file='{raw}'/>"
    put(
        tmp_path,
        "one",
        disk("vda", one) + disk("sda", data, device="cdrom") + disk("sdb", "", device="cdrom"),
    )
    put(tmp_path, "two", disk("vda", one) + disk("vdb", data, format="raw"))
    put(tmp_path, "a:b", disk("vda", one))
    net = "<source protocol='{}' name='p/i'><host name='h'/></source>"
    put(
        tmp_path,
        "net",
        disk("vda", net.format("rbd"), type="network", format="raw")
        + disk("vdb", net.format("nbd"), type="network", format="raw")
        + disk("vdc", "<source file='/nowhere/x.img'/>")
        + disk("vdd", "<source pool='gone' volume='v'/>", type="volume")
        + disk("vde", "<source dir='/srv'/>", type="dir", format="fat"),
    )
    put(tmp_path, "none", "")
    put(tmp_path, "lie", disk("vda", one, format="raw"))
    put_text(tmp_path, "etc/pve/qemu-server/100.conf", f"name: shop\nscsi0: {tmp_path}/sys.qcow2\n")
    return places(tmp_path)


def test_one_disk_is_the_disk(host: Places) -> None:
    path = str(host.root / "sys.qcow2")
    assert by_machine("vm:one", None, host) == (path, "qcow2")
    assert by_machine("vm:two:vda", None, host) == (path, "qcow2")
    assert by_machine("vm:two:vdb", None, host) == (str(host.root / "data.img"), "raw")
    assert by_machine("vm:one:sda", None, host)[0] == str(host.root / "data.img")
    assert by_machine("vm:a:b", None, host)[0] == path
    assert by_machine("vm:a:b:vda", None, host)[0] == path
    assert by_machine("vm:shop", None, host) == (path, None)
    assert by_machine("vm:100:scsi0", None, host)[0] == path


def test_the_operators_word_on_the_format_counts(host: Places) -> None:
    assert by_machine("vm:one", "raw", host)[1] == "raw"
    assert by_machine("./vm:one", None, host) == ("./vm:one", None)


def test_several_disks_are_told_with_their_sizes(host: Places) -> None:
    with pytest.raises(WrongUsage) as told:
        by_machine("vm:two", None, host)
    assert "vda (8.0 MiB" in told.value.remedy
    assert "vdb (8.0 MiB" in told.value.remedy
    with pytest.raises(WrongUsage) as told:
        by_machine("vm:two:vdz", None, host)
    assert "no disk vdz" in told.value.what
    assert "vda (8.0 MiB" in told.value.remedy
    with pytest.raises(WrongUsage, match="no disk"):
        by_machine("vm:none", None, host)


def test_two_machines_of_one_name_are_told_apart_by_paths(host: Places) -> None:
    other = created(host.root / "other.qcow2", "qcow2")
    put_text(host.root, "etc/pve/qemu-server/101.conf", f"name: one\nscsi0: {other}\n")
    with pytest.raises(WrongUsage) as told:
        by_machine("vm:one", None, host)
    assert "2 machines" in told.value.what
    assert str(other) in told.value.remedy
    assert by_machine("vm:one:scsi0", None, host)[0] == str(other)


def test_an_unknown_name_is_answered_with_those_near(host: Places, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage) as told:
        by_machine("vm:shpo", None, host)
    assert told.value.remedy == "Is it one of these: shop?"
    with pytest.raises(WrongUsage) as told:
        by_machine("vm:Shop", None, host)
    assert "shop" in told.value.remedy
    with pytest.raises(WrongUsage) as told:
        by_machine("vm:\x1b[2Jzzzzz", None, host)
    assert "\x1b" not in told.value.paragraph()
    assert "net" in told.value.remedy


def test_a_disk_that_is_not_here_is_told_as_what_it_is(host: Places) -> None:
    for target, told in {
        "vda": "rbd:p/i",
        "vdc": "/nowhere/x.img",
        "vdd": "gone",
        "vde": "a folder",
    }.items():
        with pytest.raises(SalvageError) as error:
            by_machine(f"vm:net:{target}", None, host)
        assert told in error.value.paragraph()
    assert by_machine("vm:net:vdb", None, host)[0] == "nbd://h/p/i"


@pytest.mark.hostile(6)
def test_a_disk_that_is_stated_raw_and_begins_like_an_image_is_asked_about(host: Places) -> None:
    with pytest.raises(Ambiguous) as asked:
        by_machine("vm:lie", None, host)
    assert asked.value.formats == ("raw", "qcow2")
    assert by_machine("vm:lie", "raw", host) == (str(host.root / "sys.qcow2"), "raw")
