"""The whole road on the command line, in the real process, on the practice disk."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from core.host import running
from core.lab import catalogue, labs
from core.runner import SystemRunner
from tests.conftest import Guard, Program, needs_root

PARTITIONS = [
    (1, "primary", 63, 7055),
    (2, "primary", 7056, 180431),
    (3, "extended", 180432, 1000943),
    (5, "logical", 180495, 451583),
    (6, "logical", 451647, 722735),
    (7, "logical", 722799, 993887),
    (8, "logical", 993951, 1000943),
]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    return labs.start(catalogue.built_in()[0], folder, SystemRunner(), seed=1)


def test_inspect_gives_the_table(disk: Path, program: Program, guard: Guard) -> None:
    guard.watch(disk)
    called = program("inspect", disk, "--json")
    assert called.status == 0, called
    document = json.loads(called.out)
    table = document["table"]
    assert document["disk"]["format"] == "qcow2"
    assert document["disk"]["virtual_size"] == 1000944 * 512
    assert table["label"] == "msdos"
    assert [(p["number"], p["kind"], p["start"], p["end"]) for p in table["partitions"]] == PARTITIONS
    assert {p["type"] for p in table["partitions"]} == {"83", "5"}
    five = next(p for p in table["partitions"] if p["number"] == 5)
    assert (five["offset"], five["size"], five["sectors"]) == (92413440, 138797568, 271089)
    assert table["problems"] == []
    content = {volume["id"]: volume["content"] for volume in document["volumes"]}
    assert set(content) == {"1", "2", "5", "6", "7", "8"}
    assert content["5"] == "ext4"


def test_inspect_for_people_shows_the_offset(disk: Path, program: Program) -> None:
    called = program("inspect", disk)
    assert called.status == 0
    assert "92413440" in called.out


@needs_root
def test_home_comes_back(disk: Path, program: Program, guard: Guard, tmp_path: Path) -> None:
    guard.watch(disk)
    called = program("copy", disk, "5", "/home", tmp_path / "out", "--json")
    assert called.status == 0, called
    document = json.loads(called.out)
    assert document["files"] > 5
    assert document["unreadable"] == []
    assert (tmp_path / "out/home").is_dir()
    checked = subprocess.run(
        ["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path / "out", check=False
    )
    assert checked.returncode == 0
    report = json.loads((tmp_path / "out/salvage-report.json").read_text())
    assert any("losetup" in str(command) for command in report["commands"])
    assert "92413440" in (tmp_path / "out/salvage-report.md").read_text()
    verdict = labs.check(catalogue.built_in()[0], disk.parent.parent, tmp_path / "out")
    assert verdict.solved, verdict.findings


@needs_root
def test_ls_and_cat(disk: Path, program: Program, guard: Guard) -> None:
    guard.watch(disk)
    listed = program("ls", disk, "5", "/", "--json")
    assert listed.status == 0, listed
    names = {entry["name"]: entry["kind"] for entry in json.loads(listed.out)["entries"]}
    assert names["home"] == "dir"
    people = program("ls", disk, "7", "/etc", "--json")
    assert "passwd" in {entry["name"] for entry in json.loads(people.out)["entries"]}, people
    shown = program("cat", disk, "7", "/etc/passwd")
    assert shown.status == 0
    assert "root:" in shown.out
    missing = program("cat", disk, "7", "/etc/nothing")
    assert missing.status == 1
    assert "/etc/nothing" in missing.err


@needs_root
def test_a_mount_stays_until_undo(
    disk: Path, program: Program, guard: Guard, tmp_path: Path, state_dir: Path
) -> None:
    guard.watch(disk)
    point = tmp_path / "m"
    called = program("mount", disk, "5", point)
    assert called.status == 0, called
    assert (point / "home").is_dir()
    with pytest.raises(OSError, match="Read-only"):
        (point / "new").write_text("x")
    status = json.loads(program("status", "--json").out)
    [session] = status["sessions"]
    assert [entry["what"] for entry in session["entries"]] == ["fuse-export", "file", "loop", "mount"]
    assert session["alive"] is False
    down = program("undo", session["id"])
    assert down.status == 0, down
    assert not point.exists()
    assert not running("qemu-storage-daemon", str(state_dir))
    assert json.loads(program("status", "--json").out) == {"sessions": []}


@needs_root
def test_a_writable_mount_writes_into_an_overlay(
    disk: Path, program: Program, guard: Guard, tmp_path: Path
) -> None:
    guard.watch(disk)
    point = tmp_path / "m"
    called = program("mount", disk, "5", point, "--writable")
    assert called.status == 0, called
    (point / "new").write_text("x" * 1000)
    assert program("undo", "--all").status == 0
    assert not point.exists()


@needs_root
def test_two_sessions_on_one_disk(disk: Path, program: Program, guard: Guard, tmp_path: Path) -> None:
    guard.watch(disk)
    assert program("mount", disk, "5", tmp_path / "a").status == 0
    assert program("mount", disk, "6", tmp_path / "b").status == 0
    newest = json.loads(program("status", "--json").out)["sessions"][-1]["id"]
    assert program("undo").status == 2
    assert program("undo", newest).status == 0
    assert (tmp_path / "a/home").is_dir()
    assert not (tmp_path / "b").exists()
    assert program("undo", "--all").status == 0


def test_a_dry_run_prints_what_a_run_would_do(
    disk: Path, program: Program, guard: Guard, tmp_path: Path
) -> None:
    guard.watch(disk)
    called = program("copy", disk, "5", "/home", tmp_path / "out", "--dry-run")
    assert called.status == 0, called
    lines = called.out.splitlines()
    text = called.out
    assert any(
        line.startswith("LOOP=$(losetup") and "--offset 92413440 --sizelimit 138797568" in line
        for line in lines
    )
    assert "qemu-storage-daemon" in text
    assert "ro,nosuid,nodev,noexec" in text
    assert text.index("umount") < text.index("losetup --detach", text.index("umount"))
    assert not (tmp_path / "out").exists()
    subprocess.run(["sh", "-n"], input=text.encode(), check=True)
    mount = program("mount", disk, "5", tmp_path / "m", "--dry-run", "--explain")
    assert "# " in mount.out
    assert not (tmp_path / "m").exists()
    assert program("status", "--json").out.split() == ["{", '"sessions":', "[]", "}"]


@needs_root
def test_explain_tells_each_command(disk: Path, program: Program, tmp_path: Path) -> None:
    called = program("ls", disk, "5", "--explain")
    assert called.status == 0
    assert "180495" in called.err
    assert "undone by: losetup --detach" in called.err


@needs_root
@pytest.mark.parametrize(
    ("volume", "said"), [("9", "no volume 9"), ("1", "Nothing that can be mounted"), ("3", "no volume 3")]
)
def test_a_volume_that_cannot_be_opened(
    disk: Path, program: Program, guard: Guard, volume: str, said: str
) -> None:
    called = program("ls", disk, volume)
    assert called.status in (1, 2)
    assert said in called.err


def _as_nobody(*arguments: str | Path, state: Path) -> subprocess.CompletedProcess[str]:
    import sys

    return subprocess.run(
        [sys.executable, "-m", "tui.main", "--state-dir", str(state), *map(str, arguments)],
        capture_output=True,
        text=True,
        user=65534,
        group=65534,
        extra_groups=[],
        env={**os.environ, "HOME": "/nonexistent"},
        check=False,
        timeout=60,
    )


def test_bad_disks_get_a_sentence(program: Program, guard: Guard, tmp_path: Path) -> None:
    empty = tmp_path / "empty.img"
    empty.touch()
    tiny = tmp_path / "note.txt"
    tiny.write_text("no disk\n")
    for given in (empty, tiny, tmp_path, tmp_path / "missing.qcow2", "/dev/null"):
        called = program("inspect", given)
        assert called.status == 1, (given, called)
        assert called.err.count("\n") == 1, called.err
        assert called.out == ""


@needs_root
def test_nothing_is_attached_while_somebody_writes(
    disk: Path, program: Program, guard: Guard, tmp_path: Path
) -> None:
    copy = tmp_path / "busy.qcow2"
    copy.write_bytes(disk.read_bytes())
    guard.watch(disk)
    writer = subprocess.Popen(
        ["qemu-nbd", "--format", "qcow2", "--socket", str(tmp_path / "sock"), "--persistent", str(copy)]
    )
    try:
        while not (tmp_path / "sock").exists():
            assert writer.poll() is None
        called = program("ls", copy, "5")
        assert called.status == 3, called
        assert "qemu-nbd" in called.err
        assert str(writer.pid) in called.err
        assert guard.left_behind() == []
    finally:
        writer.terminate()
        writer.wait()


@needs_root
def test_a_disk_that_was_cut_short_gives_what_is_left(
    disk: Path, program: Program, guard: Guard, tmp_path: Path
) -> None:
    raw = tmp_path / "cut.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", disk, raw], check=True)
    os.truncate(raw, 200_000_000)
    guard.watch(raw)
    called = program("copy", "--format", "raw", raw, "5", "/home", tmp_path / "out")
    assert called.status == 4, called
    assert "cut short" in called.err
    assert (tmp_path / "out/home").is_dir()
    assert "cut short" in (tmp_path / "out/salvage-report.md").read_text()


@pytest.mark.hostile(60)
@needs_root
def test_no_room_at_the_target(disk: Path, program: Program, guard: Guard, tmp_path: Path) -> None:
    guard.watch(disk)
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "none", small], check=True)
    try:
        copied = program("copy", disk, "5", "/home", small / "out")
        assert copied.status == 1, copied
        assert "free" in copied.err
        backed = program("backup", disk, small / "backup")
        assert (backed.status, list(small.iterdir())) == (1, []), backed
    finally:
        subprocess.run(["umount", small], check=True)
