"""A missing backing file: what may be it is found, and proved by what is on the disk over it."""

import json
import subprocess
from pathlib import Path

import pytest

from core.disks.candidates import candidates
from core.errors import Exit
from tests.conftest import Guard, Program, needs_root
from tests.core.disks.disk_images import created, opened
from tests.core.disks.small_guest import SIZE, guest


def _over(base: Path, top: Path, changed: Path) -> Path:
    """An overlay over `base` that makes it the disk `changed`."""
    made = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base.name, top]
    subprocess.run(made, check=True)
    with open(changed, "rb") as new, open(base.with_suffix(".raw"), "rb") as old:
        for at in range(0, SIZE, 4096):
            data, was = new.read(4096), old.read(4096)
            if data != was:
                piece = base.parent / "piece"
                piece.write_bytes(data)
                write = f"write -s {piece} {at} 4096"
                subprocess.run(["qemu-io", "-f", "qcow2", "-c", write, top], check=True, capture_output=True)
    return top


def _image(raw: Path) -> Path:
    image = raw.with_suffix(".qcow2")
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, image], check=True)
    return image


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An overlay whose base has another name now, beside a base of another machine of the same kind."""
    folder = tmp_path_factory.mktemp("chain")
    base = _image(guest(folder, "first\n", name="base.raw", uuid="random"))
    top = _over(base, folder / "web.qcow2", _grown(folder, base.with_suffix(".raw")))
    _image(guest(folder, "stranger\n" * 900, name="stranger.raw", uuid="random"))
    base.rename(folder / "moved.qcow2")
    for raw in folder.glob("*.raw"):
        raw.unlink()
    return top


def _grown(folder: Path, old: Path) -> Path:
    """The disk `old` after its machine wrote a second file, by debugfs."""
    path = folder / "grown.raw"
    path.write_bytes(old.read_bytes())
    volume = folder / "grown.ext4"
    volume.write_bytes(old.read_bytes()[2048 * 512 : 2048 * 512 + (10 << 20)])
    script = folder / "script"
    script.write_text(f"mkdir dir\ncd dir\nwrite {script} here\n")
    subprocess.run(["debugfs", "-w", "-f", script, volume], check=True, capture_output=True)
    subprocess.run(["e2fsck", "-fy", volume], capture_output=True)
    with open(path, "r+b") as file:
        file.seek(2048 * 512)
        file.write(volume.read_bytes())
    return path


@needs_root
def test_the_right_one_is_proved_and_a_wrong_one_is_not(broken: Path, program: Program, guard: Guard) -> None:
    guard.watch(*broken.parent.glob("*.qcow2"))
    told = program("inspect", "--candidates", "--json", broken)
    assert told.status == 0, told.err
    found = {Path(one["path"]).name: one["fit"] for one in json.loads(told.out)["candidates"]}
    assert found["moved.qcow2"] == "proved"
    assert found["stranger.qcow2"] == "wrong"
    named = program("inspect", "--candidates", broken)
    assert f"--backing {broken.parent}/moved.qcow2" in named.out
    read = program("cat", "--backing", broken.parent / "moved.qcow2", broken, "1", "/dir/here")
    assert (read.status, "mkdir dir" in read.out) == (0, True), read.err


@needs_root
def test_what_lacks_nothing_and_what_is_nowhere(tmp_path: Path, program: Program) -> None:
    alone = created(tmp_path / "alone.qcow2", "qcow2")
    assert "No image is missing" in program("inspect", "--candidates", alone).out
    top = tmp_path / "top.qcow2"
    created(top, "qcow2", "-u", "-F", "vdi", "-b", "gone.vdi")
    none = program("inspect", "--candidates", top)
    assert none.status == Exit.FAILED
    assert "--look-in" in none.err


def test_a_parent_is_known_by_its_identity(tmp_path: Path) -> None:
    base = created(tmp_path / "base.vmdk", "vmdk")
    top = tmp_path / "top.vmdk"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", "-F", "vmdk", "-b", base.name, top], check=True)
    created(tmp_path / "other.vmdk", "vmdk")
    base.rename(tmp_path / "moved.vmdk")
    disk = opened(top)
    assert "missing" in disk.blocked
    found = candidates(disk)
    assert [(one.path.name, one.is_identified) for one in found] == [("moved.vmdk", True)]
    (tmp_path / "other.vmdk").rename(base)
    assert "another identity" in opened(top).blocked


def test_another_folder_is_looked_into(tmp_path: Path) -> None:
    top = created(tmp_path / "top.qcow2", "qcow2", "-u", "-F", "qcow2", "-b", "base.qcow2")
    (tmp_path / "far" / "deep").mkdir(parents=True)
    away = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    away.mkdir()
    created(away / "base.qcow2", "qcow2")
    assert candidates(opened(top)) == []
    found = candidates(opened(top), [away])
    assert [one.path for one in found] == [away / "base.qcow2"]
    assert "name" in found[0].clues[0]
