"""`status` and `undo` with a state folder that is damaged, read-only, lost or another version's."""

import json
import os
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import host, loops, mounts
from core.undo import journal as journals
from tests.conftest import Called, Guard, Program, needs_root

pytestmark = needs_root


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk that is one ext4 file system, raw and as qcow2."""
    made = tmp_path_factory.mktemp("state")
    with open(made / "disk.raw", "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", made / "disk.raw"], check=True)
    convert = ["qemu-img", "convert", "-O", "qcow2", str(made / "disk.raw"), str(made / "disk.qcow2")]
    subprocess.run(convert, check=True)
    return made


@pytest.fixture
def disk(folder: Path, guard: Guard) -> Path:
    guard.watch(folder / "disk.raw", folder / "disk.qcow2")
    return folder / "disk.qcow2"


def _mounted(program: Program, disk: Path, point: Path, *more: str) -> str:
    called = program("mount", disk, "disk", point, "--json", *more)
    assert called.status == 0, called
    return str(json.loads(called.out)["session"])


def _journal(state: Path, session: str) -> Path:
    return state / "sessions" / session / journals.NAME


def _line(**record: object) -> bytes:
    data = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
    return json.dumps({**record, "crc": zlib.crc32(data)}, sort_keys=True).encode() + b"\n"


def _by_hand(called: Called) -> None:
    """Type the commands that were printed."""
    lines = [line.strip() for line in called.out.splitlines() if line.startswith("  ")]
    commands = [line for line in lines if line.split()[0] in ("umount", "losetup", "kill", "kpartx")]
    assert commands
    for line in commands:
        subprocess.run(["sh", "-ec", line], check=True)


def _assert_down(guard: Guard, state: Path) -> None:
    def left() -> list[object]:
        return [*guard.left_behind(), *host.running("qemu-storage-daemon", str(state))]

    mounts.wait_until(lambda: not left(), 10, lambda: False)
    assert left() == []


@pytest.mark.parametrize("writable", [False, True])
def test_what_lost_its_journal_is_seen_and_comes_down_by_hand(
    writable: bool, disk: Path, tmp_path: Path, program: Program, state_dir: Path, guard: Guard
) -> None:
    point = tmp_path / "m"
    session = _mounted(program, disk, point, *(["--writable"] if writable else []))
    _journal(state_dir, session).unlink()
    told = program("status")
    assert told.status == 0
    assert f"Session {session} has no journal." in told.out
    seen = json.loads(program("status", "--json").out)["unaccounted"]
    assert [one["what"] for one in seen] == ["mount", "loop", "fuse-export"]
    assert {one["session"] for one in seen} == {session}
    for call in (("undo", "--all"), ("undo", session), ("undo",)):
        undone = program(*call)
        assert undone.status == 1, undone
        assert (point / "lost+found").is_dir(), "what no journal tells of is not taken down by itself"
    assert program("undo", "--all", "--dry-run").out.splitlines()[0] == f"umount {point}"
    _by_hand(undone)
    _assert_down(guard, state_dir)


def test_over_a_dead_export_it_comes_down_by_hand_too(
    disk: Path, tmp_path: Path, program: Program, state_dir: Path, guard: Guard
) -> None:
    session = _mounted(program, disk, tmp_path / "m")
    _journal(state_dir, session).write_bytes(b"rubbish\n")
    for pid in host.running("qemu-storage-daemon", str(state_dir)):
        os.kill(pid, 9)
    _by_hand(program("status"))
    _assert_down(guard, state_dir)
    assert program("undo", "--all").status == 0
    assert os.listdir(state_dir / "sessions") == []


def test_a_damaged_journal_is_not_forgotten_while_something_is_up(
    program: Program, state_dir: Path, guard: Guard
) -> None:
    folder = state_dir / "sessions" / "20260101-000000-abcd"
    folder.mkdir(parents=True)
    (folder / "view.raw").write_bytes(bytes(1 << 20))
    (folder / journals.NAME).write_bytes(b"rubbish\n")
    subprocess.run(["losetup", "--find", folder / "view.raw"], check=True)
    undone = program("undo", "--all")
    assert undone.status == 1
    assert (folder / "view.raw").exists()
    _by_hand(undone)
    assert program("undo", "--all").status == 0
    assert not folder.exists()


def test_a_journal_that_is_no_file(
    disk: Path, tmp_path: Path, program: Program, state_dir: Path, guard: Guard
) -> None:
    session = _mounted(program, disk, tmp_path / "m")
    path = _journal(state_dir, session)
    path.unlink()
    path.mkdir()
    told = program("status")
    assert told.status == 0
    assert "cannot be read: Is a directory" in told.out
    _by_hand(program("undo", "--all"))
    _assert_down(guard, state_dir)


def _damages(state: Path, session: str) -> Iterator[bytes]:
    """The journal with one line after the other damaged."""
    lines = _journal(state, session).read_bytes().splitlines(keepends=True)
    for at, line in enumerate(lines):
        broken = line[:10] + b"\x00\xff" + line[12:]
        yield b"".join([*lines[:at], broken, *lines[at + 1 :]])


@pytest.mark.hostile(50)
def test_one_damaged_line_anywhere_keeps_nothing_up(
    disk: Path, tmp_path: Path, program: Program, state_dir: Path, guard: Guard
) -> None:
    count = 99
    at = 0
    while at < count:
        session = _mounted(program, disk, tmp_path / "m", "--writable")
        damaged = list(_damages(state_dir, session))
        count = len(damaged)
        _journal(state_dir, session).write_bytes(damaged[at])
        assert program("status").status == 0
        undone = program("undo", "--all")
        assert undone.status == 0, (at, undone)
        _assert_down(guard, state_dir)
        assert os.listdir(state_dir / "sessions") == [], at
        at += 1
    assert count > 8


def test_what_another_version_wrote(
    disk: Path, tmp_path: Path, program: Program, state_dir: Path, guard: Guard
) -> None:
    session = _mounted(program, disk, tmp_path / "m")
    with open(_journal(state_dir, session), "ab") as file:
        file.write(_line(v=7, event="breathing", time=1.0, n="one"))
        file.write(_line(v=7, event="intent", time=1.0, n=90))
        file.write(_line(v=7, event="done", time=1.0, n=91, target="/dev/nbd3", undo=["nbd-undo /dev/nbd3"]))
        intent = {"on": [], "why": "w", "do": "d", "time": 1.0, "facts": {}}
        file.write(
            _line(
                v=7, event="intent", n=92, what="hologram", target="/dev/h", undo=["unbeam /dev/h"], **intent
            )
        )
        file.write(_line(v=7, event="intent", n=93, what="loop", target="/dev/loop0", undo=[], **intent))
    told = program("status")
    assert told.status == 0, told
    assert "hologram" in told.out
    json.loads(program("status", "--json").out)
    undone = program("undo", session)
    assert undone.status == 1, "what is not known is left alone, and said"
    assert "By hand: unbeam /dev/h" in undone.err
    assert not mounts.at(tmp_path / "m")
    _assert_down(guard, state_dir)


@pytest.mark.hostile(51)
def test_a_read_only_state_folder(
    folder: Path, tmp_path: Path, program: Program, state_dir: Path, guard: Guard
) -> None:
    """Undo takes down all the same, and says that it could not write it down."""
    state_dir.mkdir()
    subprocess.run(["mount", "--bind", state_dir, state_dir], check=True)
    try:
        session = _mounted(program, folder / "disk.raw", tmp_path / "m", "--format", "raw")
        subprocess.run(["mount", "-o", "remount,bind,ro", state_dir], check=True)
        assert program("status").status == 0
        undone = program("undo", session)
        assert undone.status == 1, undone
        assert "Read-only file system" in undone.err
        assert not mounts.at(tmp_path / "m")
        assert not [one for one in loops.loops() if one.backing == str(folder / "disk.raw")]
        refused = program("ls", folder / "disk.raw", "disk", "--format", "raw")
        assert refused.status == 1
        assert "state folder" in refused.err
        subprocess.run(["mount", "-o", "remount,bind,rw", state_dir], check=True)
        assert program("undo", session).status == 0
        assert os.listdir(state_dir / "sessions") == []
    finally:
        subprocess.run(["umount", state_dir], check=True)
