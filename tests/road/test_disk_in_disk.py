"""A disk image that is a file in a volume of another disk: opened, told, and taken down in order."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.disks.vet import vet
from core.errors import PointsOutside, Refused
from core.files.preview import preview
from core.runner import SystemRunner
from tests.conftest import Guard, needs_root
from tests.hostile.asking import ask

pytestmark = needs_root

IMAGES = "var/lib/libvirt/images"


def _file_system(tree: Path, path: Path, size: str) -> Path:
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tree, path, size], check=True)
    return path


@pytest.fixture
def outer(tmp_path: Path) -> Path:
    """A disk whose file system holds the disks of a machine: one alone, and one that differs from it."""
    inner, tree = tmp_path / "inner", tmp_path / "outer-tree"
    images = tree / IMAGES
    for folder in (inner, images):
        folder.mkdir(parents=True)
    (inner / "letter").write_text("rescued\n")
    raw = _file_system(inner, tmp_path / "inner.raw", "8M")
    argv = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, images / "web.qcow2"]
    subprocess.run(argv, check=True)
    name = f"/{IMAGES}/web.qcow2"
    make = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", name, images / "over.qcow2"]
    subprocess.run([*make, "8M"], check=True)
    make = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", "/etc/hostname"]
    subprocess.run([*make, images / "bad.qcow2", "8M"], check=True)
    (images / "link.qcow2").symlink_to("/etc/hostname")
    raw = _file_system(tree, tmp_path / "outer.raw", "32M")
    outer = tmp_path / "outer.qcow2"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, outer], check=True)
    return outer


@pytest.fixture
def images(tmp_path: Path, outer: Path, guard: Guard) -> Iterator[Path]:
    """Where the inner disks are seen, the outer one being mounted by the program."""
    guard.watch(outer)
    told = ask(tmp_path / "state", "mount", outer, "disk", tmp_path / "m")
    assert told.status == 0, told
    try:
        yield tmp_path / "m" / IMAGES
    finally:
        assert ask(tmp_path / "state", "undo", "--all").status == 0
        guard.check()


def test_the_inner_disk_is_opened_by_its_path_and_taken_down_first(tmp_path: Path, images: Path) -> None:
    state = tmp_path / "state"
    inspected = ask(state, "inspect", images / "web.qcow2", "--json")
    assert inspected.status == 0, inspected
    assert json.loads(inspected.out)["volumes"][0]["content"] == "ext4"
    told = ask(state, "mount", images / "web.qcow2", "disk", tmp_path / "inside")
    assert told.status == 0, told
    assert (tmp_path / "inside/letter").read_text() == "rescued\n"
    undone = ask(state, "undo", "--all")
    assert undone.status == 0, undone
    assert undone.out.index(f"{tmp_path / 'inside'}: taken") < undone.out.index(f"{tmp_path / 'm'}: taken")


def test_the_outer_disk_is_not_taken_from_under_the_inner_one(tmp_path: Path, images: Path) -> None:
    state = tmp_path / "state"
    assert ask(state, "mount", images / "web.qcow2", "disk", tmp_path / "inside").status == 0
    sessions = json.loads(ask(state, "status", "--json").out)["sessions"]
    outer = next(one["id"] for one in sessions if one["disk"].endswith("outer.qcow2"))
    refused = ask(state, "undo", outer)
    assert refused.status == 1
    assert "qemu-storage-daemon" in refused.out + refused.err
    assert (tmp_path / "inside/letter").read_text() == "rescued\n"


def test_a_name_in_its_header_is_one_of_the_volume(tmp_path: Path, images: Path) -> None:
    told = ask(tmp_path / "state", "cat", images / "over.qcow2", "disk", "/letter")
    assert (told.status, told.out) == (0, "rescued\n"), told
    disk = vet(str(images / "over.qcow2"), None, (), SystemRunner())
    assert [link.path for link in disk.chain] == [images / "over.qcow2", images / "web.qcow2"]
    assert f"names /{IMAGES}/web.qcow2, which is {images / 'web.qcow2'} here" in " ".join(disk.problems)


def test_a_volume_that_is_mounted_deeper_in_the_machine(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.disks import nested

    monkeypatch.setattr(nested, "volume_around", lambda _path: images.parent.parent)
    name = f"/srv/data/{IMAGES.removeprefix('var/lib/')}/web.qcow2"
    assert nested.as_meant_there(images / "over.qcow2", name) == images / "web.qcow2"
    assert nested.as_meant_there(images / "over.qcow2", "/srv/none.qcow2") is None


def test_a_file_of_the_host_is_not_reached_through_it(images: Path) -> None:
    with pytest.raises(PointsOutside, match="/etc/hostname"):
        vet(str(images / "bad.qcow2"), None, (), SystemRunner())
    with pytest.raises(Refused, match="leads out of it, to /etc/hostname"):
        vet(str(images / "link.qcow2"), "raw", (), SystemRunner())


def test_looked_at_it_says_what_it_is_and_how_to_go_on(images: Path) -> None:
    fd = os.open(images / "web.qcow2", os.O_RDONLY)
    try:
        shown = preview(fd, os.fstat(fd).st_size, f"/{IMAGES}/web.qcow2".encode())
    finally:
        os.close(fd)
    assert shown.what == "disk image, qcow2, 8.0 MiB"
    assert f"virt-salvage FOLDER/{IMAGES}/web.qcow2" in "\n".join(shown.lines)
