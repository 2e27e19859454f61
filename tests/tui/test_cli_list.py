"""`list` and ``vm:NAME`` on the command line, in the real process."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Called, Program
from tests.core.disks.disk_images import content, converted
from tests.core.disks.holding import machine, running
from tests.core.machines.test_machines_libvirt import disk, put


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with two machines of their own, and images that belong to none."""
    home = tmp_path / "home"
    raw = content(tmp_path / "data.img")
    sys = converted(raw, tmp_path / "sys.qcow2", "qcow2")
    (tmp_path / "other").mkdir()
    converted(raw, tmp_path / "other/left.vdi", "vdi")
    folder = ".config/libvirt/qemu"
    put(home, "web", disk("vda", f"<source file='{sys}'/>") + disk("sda", "", device="cdrom"), folder)
    two = disk("vda", f"<source file='{sys}'/>") + disk("vdb", f"<source file='{raw}'/>", format="raw")
    put(home, "two", two, folder)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path / "other")
    return home


def listed(called: Called) -> tuple[dict[str, list[str]], dict[str, dict[str, object]]]:
    assert called.status == 0, called.err
    document = json.loads(called.out)
    machines = {one["name"]: [disk["target"] for disk in one["disks"]] for one in document["machines"]}
    return machines, {Path(one["path"]).name: one for one in document["disks"]}


def test_machines_come_first_and_then_the_rest(home: Path, program: Program) -> None:
    machines, disks = listed(program("list", "--json"))
    assert machines["web"] == ["vda"]
    assert machines["two"] == ["vda", "vdb"]
    assert (disks["left.vdi"]["vm"], disks["left.vdi"]["format"]) == (None, "vdi")
    assert disks["left.vdi"]["virtual_size"] == 8 << 20
    assert disks["data.img"]["vm"] == "two"
    lines = program("list").out.splitlines()
    at = lines.index("web (libvirt, off)")
    assert lines[at + 1].split()[:2] == ["vda", "qcow2"]
    assert any(line.endswith("left.vdi") for line in lines[lines.index("Other disks") :])


def test_given_folders_are_looked_into(home: Path, program: Program, tmp_path: Path) -> None:
    assert "data.img" in program("list", tmp_path).out
    called = program("list", tmp_path / "nowhere")
    assert called.status == 1
    assert "nowhere is no folder" in called.err


def test_who_holds_a_disk_is_told(home: Path, program: Program, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    with running(machine(tmp_path / "other/left.vdi", "vdi", ready, "busy"), ready):
        called = program("list", "--json")
        while "busy" in called.out and not listed(called)[1]["left.vdi"]["held_by"]:
            called = program("list", "--json")  # its number is written before it opens its disks
    held_by: Any = listed(called)[1]["left.vdi"]["held_by"]
    assert [(holder["vm"], holder["mode"]) for holder in held_by] == [("busy", "write")]
    assert listed(called)[0]["busy"] == ["virtio0"]


def test_a_machine_names_its_disk_on_the_command_line(home: Path, program: Program, tmp_path: Path) -> None:
    called = program("inspect", "vm:web", "--json")
    assert called.status == 0, called.err
    inspected = json.loads(called.out)["disk"]
    assert (inspected["path"], inspected["format"]) == (str(tmp_path / "sys.qcow2"), "qcow2")
    assert json.loads(program("inspect", "vm:two:vdb", "--json").out)["disk"]["format"] == "raw"


def test_several_disks_or_no_such_machine_is_wrong_usage(home: Path, program: Program) -> None:
    called = program("inspect", "vm:two")
    assert called.status == 2
    assert "vda (8.0 MiB" in called.err
    assert "vdb (8.0 MiB" in called.err
    called = program("inspect", "vm:wbe")
    assert called.status == 2
    assert "Is it one of these: web?" in called.err


@pytest.mark.hostile(6)
def test_a_disk_stated_raw_that_is_none_is_refused(home: Path, program: Program, tmp_path: Path) -> None:
    wrong = disk("vda", f"<source file='{tmp_path}/sys.qcow2'/>", format="raw")
    put(home, "wrong", wrong, ".config/libvirt/qemu")
    called = program("inspect", "vm:wrong")
    assert called.status == 3
    assert "the definition of the machine wrong says that it is raw" in called.err
    assert "--format raw" in called.err
    assert program("ls", "vm:wrong", "disk", "--format", "raw", "--dry-run").status != 3
