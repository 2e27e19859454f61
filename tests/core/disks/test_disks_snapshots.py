"""An internal snapshot is the disk that one works on: its files, an overlay over it, a conversion of it."""

import json
import subprocess
from pathlib import Path

import pytest

from core.command import Command
from core.runner import SystemRunner
from core.session import Session
from core.undo.state import StateFolder
from tests.conftest import Guard, Program, needs_root
from tests.core.disks.disk_images import opened

pytestmark = needs_root

SIZE = "8M"


def _filled(folder: Path, text: str, *words: str) -> Path:
    """A raw disk with one ext4 that has one file."""
    tree, raw = folder / "tree", folder / "content.raw"
    tree.mkdir(exist_ok=True)
    (tree / "letter").write_text(text)
    raw.unlink(missing_ok=True)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, raw, SIZE, *words], check=True)
    return raw


def _put(raw: Path, image: Path) -> None:
    """Write a disk into an image that is there; QEMU's own program does it."""
    subprocess.run(["qemu-img", "convert", "-n", "-O", "qcow2", raw, image], check=True)


def _image(folder: Path, chained: bool) -> Path:
    """A disk with two snapshots; where it is chained, the first is all in the backing file."""
    image, raw = folder / "disk.qcow2", _filled(folder, "first\n")
    if chained:
        subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, folder / "base.qcow2"], check=True)
        words = ["-F", "qcow2", "-b", "base.qcow2"]
    else:
        words = [SIZE]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, *words], check=True)
    if not chained:
        _put(raw, image)
    for name, text in (("before, the=update", "second\n"), ("naïve [b]", "present\n")):
        subprocess.run(["qemu-img", "snapshot", "-c", name, image], check=True)
        _put(_filled(folder, text), image)
    return image


@pytest.mark.parametrize("chained", [False, True], ids=["alone", "over a backing file"])
def test_each_state_is_read(chained: bool, tmp_path: Path, program: Program, guard: Guard) -> None:
    image = _image(tmp_path, chained)
    guard.watch(image)
    for option, text in (
        ((), "present\n"),
        (("--snapshot", "1"), "first\n"),
        (("--snapshot", "before, the=update"), "first\n"),
        (("--snapshot", "naïve [b]"), "second\n"),
    ):
        done = program("cat", *option, image, "disk", "/letter")
        assert (done.status, done.out) == (0, text), done.err
    assert program("status").out.startswith("Nothing")


def test_copy_and_mount_take_it_too_and_an_overlay_lies_over_it(
    tmp_path: Path, program: Program, guard: Guard
) -> None:
    image, point, out = _image(tmp_path, False), tmp_path / "m", tmp_path / "out"
    guard.watch(image)
    assert program("copy", "--snapshot", "1", image, "disk", "/letter", out).status == 0
    assert (out / "letter").read_text() == "first\n"
    assert program("mount", "--writable", "--snapshot", "2", image, "disk", point).status == 0
    try:
        assert (point / "letter").read_text() == "second\n"
        (point / "letter").write_text("changed\n")
        session = json.loads(program("status", "--json").out)["sessions"][0]
        assert [one["what"] for one in session["entries"]][:3] == ["nbd", "overlay", "fuse-export"]
        refused = program("commit", session["id"], "--yes")
        assert refused.status == 3
        assert "internal snapshot" in refused.err
    finally:
        undone = program("undo", "--all")
        assert undone.status == 0, undone.out + undone.err


def test_a_conversion_is_of_the_snapshot_and_a_backup_of_all(
    tmp_path: Path, program: Program, guard: Guard
) -> None:
    image, dest = _image(tmp_path, False), tmp_path / "old.raw"
    guard.watch(image)
    done = program("convert", "--snapshot", "1", image, dest, "--to", "raw")
    assert done.status == 0, done.err
    assert "snapshot 1 before" in done.err
    same: list[str | Path] = [
        "qemu-img",
        "convert",
        "-l",
        "snapshot.id=1",
        "-O",
        "raw",
        image,
        tmp_path / "truth.raw",
    ]
    subprocess.run(same, check=True)
    assert dest.read_bytes() == (tmp_path / "truth.raw").read_bytes()
    refused = program("backup", "--snapshot", "1", image, tmp_path / "backup")
    assert refused.status == 2
    assert "convert" in refused.err


def test_a_name_that_is_none_is_answered_with_those_that_are(tmp_path: Path, program: Program) -> None:
    image = _image(tmp_path, False)
    told = program("inspect", "--snapshot", "nonesuch", image)
    assert told.status == 2
    assert "1 before, the=update" in told.err
    assert "2 naïve" in told.err
    subprocess.run(["qemu-img", "snapshot", "-c", "naïve [b]", image], check=True)
    assert "2 snapshots" in program("inspect", "--snapshot", "naïve [b]", image).err
    assert "no internal snapshots" in program("inspect", "--snapshot", "1", tmp_path / "content.raw").err


def test_a_disk_that_was_enlarged_later_is_told(tmp_path: Path) -> None:
    image = _image(tmp_path, False)
    subprocess.run(["qemu-img", "resize", "-q", image, "12M"], check=True)
    disk = opened(image)
    assert [one.disk_size for one in disk.snapshots] == [8 << 20, 8 << 20]
    with Session(StateFolder(tmp_path / "s"), SystemRunner()) as session:
        told = session.select(str(image), snapshot="1").problems
        assert any("had 8.0 MiB" in one for one in told)
        assert session.view().size == 12 << 20


def test_saved_memory_is_shown(tmp_path: Path, program: Program) -> None:
    """A snapshot with the state of a machine, made by QEMU's own monitor command."""
    image = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, SIZE], check=True)
    machine = ["qemu-system-x86_64", "-machine", "none", "-nodefaults", "-display", "none"]
    drive = ["-blockdev", f"driver=qcow2,node-name=d,file.driver=file,file.filename={image}"]
    said = "savevm asleep\nquit\n"
    try:
        argv = [*machine, "-monitor", "stdio", *drive]
        subprocess.run(argv, input=said, text=True, check=True, capture_output=True, timeout=30)
    except (FileNotFoundError, subprocess.SubprocessError):
        pytest.skip("qemu-system-x86_64 is not installed or saves nothing here")
    shown = json.loads(program("inspect", "--json", image).out)["disk"]["snapshots"]
    assert shown[0]["vm_size"] > 0
    assert "of memory" in program("inspect", image).out


def test_the_plan_is_what_is_run(tmp_path: Path, program: Program, state_dir: Path) -> None:
    image = _image(tmp_path, False)
    plan = program("cat", "--snapshot", "1", "--dry-run", image, "disk", "/letter").out
    assert "--load-snapshot=snapshot.id=1" in plan
    assert 'kill "$SERVER"' in plan
    runner = SystemRunner()
    with Session(StateFolder(state_dir), runner) as session:
        session.select(str(image), snapshot="1")
        session.view()
    ran: list[Command] = [one.command for one in runner.transcript]
    served = next(one for one in ran if "qemu-nbd" in one.argv)
    assert "--load-snapshot=snapshot.id=1" in served.shell()
    assert served.reads_images  # so it has no network
