"""The daemon dies under the work: it stops with one sentence, all comes down, what is copied is whole."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core import host, mounts
from core.files.progress import Progress
from core.runner import SystemRunner
from core.session import Session
from core.undo.account import Entry
from core.undo.health import ExportEnded, is_gone
from core.undo.pairs import LoopKind
from core.undo.state import StateFolder
from tests.conftest import Guard, Program, needs_root

pytestmark = needs_root

FILES = 160
LENGTH = 384 << 10


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("dies") / "tree"
    for number in range(FILES):
        folder = made / f"d{number % 8}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{number}").write_bytes(os.urandom(LENGTH))
    return made


@pytest.fixture(scope="module")
def disk(tree: Path) -> Path:
    raw = tree.parent / "disk.raw"
    with open(raw, "wb") as file:
        file.truncate(96 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, raw], check=True)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, tree.parent / "disk.qcow2"], check=True)
    raw.unlink()
    return tree.parent / "disk.qcow2"


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    """A session's thread may enter a mount namespace of its own, which the tests must not be in."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


def _kill(session: Session) -> None:
    [pid] = [entry.identity["pid"] for entry in session.stack.standing if entry.what == "fuse-export"]
    os.kill(pid, signal.SIGKILL)


def _assert_down(state: Path, guard: Guard) -> None:
    assert guard.left_behind() == []
    assert not host.running("qemu-storage-daemon", str(state))
    assert os.listdir(state / "sessions") == []


def _assert_whole(tree: Path, dest: Path) -> int:
    """Whatever is there is whole; how many files there are."""
    there = [path for path in dest.rglob("*") if path.is_file() and path.name.startswith("f")]
    for path in there:
        assert path.read_bytes() == (tree / path.relative_to(dest)).read_bytes(), path
    return len(there)


@pytest.mark.hostile(57)
def test_a_copy_stops_and_the_same_copy_goes_on(
    disk: Path, tree: Path, tmp_path: Path, guard: Guard, thread: ThreadPoolExecutor, program: Program
) -> None:
    guard.watch(disk)
    state, dest = tmp_path / "state", tmp_path / "out"
    killed: list[float] = []

    def work() -> None:
        with Session(StateFolder(state), SystemRunner()) as session:
            session.select(str(disk))
            session.open("disk")

            def progress(now: Progress) -> None:
                if now.files_done > 5 and not killed:
                    _kill(session)
                    killed.append(time.monotonic())

            with pytest.raises(ExportEnded) as caught:
                session.copy([b"/"], dest, progress)
            assert time.monotonic() - killed[0] < 1
            assert "ended" in caught.value.what
            assert "whole and kept" in caught.value.meaning
            assert "goes on" in caught.value.remedy

    thread.submit(work).result()
    _assert_down(state, guard)
    assert 5 <= _assert_whole(tree, dest) < FILES
    assert not list(dest.rglob("*.part*"))
    again = program("copy", disk, "disk", "/", dest, "--json")
    assert again.status == 0, again
    assert json.loads(again.out)["unreadable"] == []
    assert _assert_whole(tree, dest) == FILES


Work = Callable[[Session], object]


def _cat(session: Session) -> str:
    with session.guest() as tree:
        blocks = tree.read(b"/d1/f9")
        digest = hashlib.sha256()
        for block in blocks:
            digest.update(block)
        return digest.hexdigest()


def _list(session: Session) -> object:
    with session.guest() as tree:
        return [tree.entries(f"/d{number}") for number in range(8)]


@pytest.mark.hostile(57)
@pytest.mark.parametrize("work", [_cat, _list, lambda session: session.estimate([b"/"])])
def test_other_work_stops_too(
    work: Work, disk: Path, tmp_path: Path, guard: Guard, thread: ThreadPoolExecutor
) -> None:
    guard.watch(disk)
    state = tmp_path / "state"

    def dies() -> None:
        with Session(StateFolder(state), SystemRunner()) as session:
            session.select(str(disk))
            session.open("disk")
            assert session.health() is None
            _kill(session)
            with pytest.raises(ExportEnded):
                work(session)

    thread.submit(dies).result()
    _assert_down(state, guard)


def test_work_that_reads_nothing_just_then_hears_it_too(
    disk: Path, tmp_path: Path, guard: Guard, thread: ThreadPoolExecutor
) -> None:
    """Such as one that only writes, or reads what the kernel still remembers."""

    def dies() -> None:
        with Session(StateFolder(tmp_path / "state"), SystemRunner()) as session:
            session.select(str(disk))
            session.open("disk")
            with pytest.raises(ExportEnded), session.guest():
                _kill(session)
                end = time.monotonic() + 1
                while time.monotonic() < end:
                    session.runner.cancel.check()
                pytest.fail("nobody said it within a second")

    thread.submit(dies).result()
    _assert_down(tmp_path / "state", guard)


def test_a_reader_that_dies_is_told(tmp_path: Path, guard: Guard, thread: ThreadPoolExecutor) -> None:
    if not shutil.which("mkntfs") or not shutil.which("ntfs-3g") or host.kernel_reads("ntfs3"):
        pytest.skip("no file system here that a daemon serves")
    raw = tmp_path / "ntfs.raw"
    with open(raw, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkntfs", "-q", "-F", "-f", raw], check=True, capture_output=True)
    guard.watch(raw)
    state = tmp_path / "state"

    def dies() -> None:
        with Session(StateFolder(state), SystemRunner()) as session:
            session.select(str(raw), "raw")
            session.open("disk")
            [pid] = [entry.identity["pid"] for entry in session.stack.standing if "pid" in entry.identity]
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(ExportEnded, match="file system ended"), session.guest() as tree:
                tree.entries(b"/")

    thread.submit(dies).result()
    assert guard.left_behind() == []


@pytest.mark.hostile(57)
def test_the_command_line_says_one_sentence(
    disk: Path, tree: Path, tmp_path: Path, state_dir: Path, guard: Guard
) -> None:
    guard.watch(disk)
    dest = tmp_path / "out"
    argv = ["--state-dir", str(state_dir), "copy", str(disk), "disk", "/", str(dest)]
    with subprocess.Popen(
        [sys.executable, "-m", "tui.main", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        while not (
            dest.is_dir() and any(name[0] == "f" for _at, _in, names in os.walk(dest) for name in names)
        ):
            assert running.poll() is None
        for pid in host.running("qemu-storage-daemon", str(state_dir)):
            os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        out, err = running.communicate(timeout=20)
    assert time.monotonic() - killed < 5
    assert running.returncode == 1, err
    assert out == ""
    told = [line for line in err.splitlines() if not line.startswith("Host as found: ")]
    assert len(told) == 1, err
    assert "The daemon that shows the disk's raw bytes ended" in told[0]
    _assert_down(state_dir, guard)
    assert _assert_whole(tree, dest) > 0


@pytest.mark.hostile(57)
@pytest.mark.parametrize(
    "make",
    [["mke2fs", "-q", "-F", "-t", "ext4"], ["mkfs.xfs", "-q"], ["mkfs.btrfs", "-q"]],
    ids=lambda m: m[0],
)
def test_a_writable_mount_over_a_dead_export_comes_down(
    make: list[str], tmp_path: Path, program: Program, guard: Guard, state_dir: Path
) -> None:
    if not shutil.which(make[0]):
        pytest.skip(f"{make[0]} is not installed")
    raw, disk, point = tmp_path / "d.raw", tmp_path / "d.qcow2", tmp_path / "m"
    with open(raw, "wb") as file:
        file.truncate(320 << 20)
    subprocess.run([*make, raw], check=True, capture_output=True)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, disk], check=True)
    guard.watch(disk)
    assert program("mount", "--writable", disk, "disk", point).status == 0
    [pid] = host.running("qemu-storage-daemon", str(state_dir))
    (point / "dirty").write_bytes(os.urandom(8 << 20))
    os.kill(pid, signal.SIGKILL)
    [session] = json.loads(program("status", "--json").out)["sessions"]
    remarks = {entry["what"]: entry.get("remark", "") for entry in session["entries"]}
    assert "its daemon" in remarks["fuse-export"]
    assert "the daemon under it" in remarks["loop"]
    assert "the daemon under it" in remarks["mount"]
    assert not remarks["overlay"]
    assert f"pid {pid}" in program("status").out
    began = time.monotonic()
    undone = program("undo", "--all")
    assert time.monotonic() - began < 10
    assert undone.status == 0, undone
    assert not mounts.at(point)
    _assert_down(state_dir, guard)


def test_what_went_is_told_in_json_too(disk: Path, tmp_path: Path, program: Program, guard: Guard) -> None:
    """As after a reboot: the journal calls it held, and nothing of it stands."""
    guard.watch(disk)
    point = tmp_path / "m"
    assert program("mount", disk, "disk", point).status == 0
    subprocess.run(["umount", point], check=True)
    [session] = json.loads(program("status", "--json").out)["sessions"]
    gone = {entry["what"]: entry.get("gone", False) for entry in session["entries"]}
    remarks = {entry["what"]: entry.get("remark", "") for entry in session["entries"]}
    assert gone["mount"] and remarks["mount"] == "went with its program or the boot"
    assert not gone["fuse-export"] and not remarks["fuse-export"]
    assert program("undo", "--all").status == 0


def test_what_bears_a_number_that_somebody_else_has_now_is_gone(tmp_path: Path, guard: Guard) -> None:
    """The kernel gives numbers of loop devices again at once."""
    ours, theirs = tmp_path / "ours.raw", tmp_path / "theirs.raw"
    for path in (ours, theirs):
        path.write_bytes(bytes(1 << 20))
    facts = LoopKind.facts(ours, 0, 1 << 20)
    losetup = ["losetup", "--find", "--show", "--sizelimit", str(1 << 20), str(ours)]
    loop = subprocess.run(losetup, check=True, capture_output=True, text=True).stdout.strip()
    kind = LoopKind()
    entry = Entry(1, "loop", loop, "held", "", 0.0, (), (), facts, kind.identify(loop, facts))
    assert not is_gone(entry)
    subprocess.run(["losetup", "--detach", loop], check=True)
    taken = subprocess.run(["losetup", loop, str(theirs)], check=False)  # or another test was faster
    try:
        assert is_gone(entry)
    finally:
        if taken.returncode == 0:
            subprocess.run(["losetup", "--detach", loop], check=True)
