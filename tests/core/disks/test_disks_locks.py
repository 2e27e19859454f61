"""The lock of a reader: held while a session reads, by whatever outlives it, and gone with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.disks import locks
from core.disks.holders import holders
from core.disks.locks import READER, WRITERS, ReadLock
from core.disks.model import Holder
from core.runner import PlanRunner, SystemRunner
from core.session import Session
from core.undo.sightings import Sessions
from core.undo.state import StateFolder
from tests.conftest import Guard, Program
from tests.core.disks.disk_images import content, converted, created, opened
from tests.core.disks.holding import running, server, starts

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="attaches and mounts, which needs root")

NO = 'Failed to get "write" lock'


def _file_system(path: Path) -> Path:
    with open(path, "wb") as file:
        file.truncate(4 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", str(path)], check=True)
    return path


def _session(state: Path, *, private: bool = True) -> Session:
    return Session(StateFolder(state), SystemRunner(), private=private)


def test_a_reader_of_qemu_and_ours_hold_the_same_bytes(tmp_path: Path) -> None:
    image = converted(content(tmp_path / "content"), tmp_path / "a.qcow2", "qcow2")
    up = tmp_path / "up"
    with running(server(image, "qcow2", up, "--read-only"), up):
        theirs = locks.locked(image)
    lock = ReadLock.take([image])
    assert locks.locked(image) == theirs == frozenset(READER)
    assert lock.writers() == []
    lock.close()
    assert locks.locked(image) == frozenset()


def test_readers_share_and_a_writer_is_seen(tmp_path: Path) -> None:
    image, up = content(tmp_path / "a.raw"), tmp_path / "up"
    with running(server(image, "raw", up), up):
        one, other = ReadLock.take([image]), ReadLock.take([image])
        assert one.writers() == other.writers() == [image]
        one.close()
        other.close()


def test_nothing_of_a_file_changes_by_locking_it(tmp_path: Path) -> None:
    image = content(tmp_path / "a.raw")
    os.utime(image, ns=(1, 2))
    before = image.stat()
    ReadLock.take([image]).close()
    assert locks.written(image) is False
    after = image.stat()
    assert (before.st_atime_ns, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_atime_ns,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )


def test_the_count_of_writers_sees_every_way_to_write(tmp_path: Path) -> None:
    image = content(tmp_path / "a.raw")
    assert locks.written(image) is False
    with open(image, "rb"):
        assert locks.written(image) is False
    with open(image, "r+b"):
        assert locks.written(image) is True
    assert locks.written(Path("/dev/null")) is None


@needs_root
@pytest.mark.hostile(58)
@pytest.mark.parametrize("way", ["raw", "raw overlay", "qcow2 chain", "vmdk-flat"])
def test_a_machine_that_is_started_while_we_read_does_not_get_the_disk(
    tmp_path: Path, guard: Guard, way: str
) -> None:
    raw = _file_system(tmp_path / "a.raw")
    top, format, files = raw, "raw", [(raw, "raw")]
    if way == "qcow2 chain":
        base = converted(raw, tmp_path / "base.qcow2", "qcow2")
        top = created(tmp_path / "top.qcow2", "qcow2", "-F", "qcow2", "-b", "base.qcow2", size=None)
        format, files = "qcow2", [(top, "qcow2"), (base, "qcow2")]
    elif way == "vmdk-flat":
        top = converted(raw, tmp_path / "a.vmdk", "vmdk", "subformat=monolithicFlat")
        format, files = "vmdk", [(tmp_path / "a-flat.vmdk", "raw")]
    guard.watch(*(path for path, _format in files))
    with _session(tmp_path / "state") as session:
        session.select(str(top), format)
        session.protect(overlay="overlay" in way)
        session.open("disk")
        for path, kind in files:
            assert NO in starts(path, kind, tmp_path / "up")
        # Our own lock and programs are no strangers
        seen = holders(opened(top, format), Sessions(session._state.known()))
        assert [one.mode for one in seen] in (["read"], []), seen
    guard.check()
    for path, kind in files:
        assert locks.locked(path) == frozenset()
        guard.originals.pop(path)
        assert starts(path, kind, tmp_path / "up") == ""


@needs_root
@pytest.mark.hostile(58)
@pytest.mark.parametrize("way", ["raw", "raw --writable", "qcow2"])
def test_a_mount_that_outlives_the_program_keeps_the_lock_until_it_is_undone(
    tmp_path: Path, guard: Guard, program: Program, state_dir: Path, way: str
) -> None:
    format, *options = way.split()
    image = converted(_file_system(tmp_path / "fs"), tmp_path / f"a.{format}", format)
    guard.watch(image)
    point = tmp_path / "mnt"
    assert program("mount", "--format", format, image, "disk", point, *options).status == 0
    assert locks.locked(image) == frozenset(READER)
    assert NO in starts(image, format, tmp_path / "up")
    [session] = StateFolder(state_dir).known()
    [holder] = holders(opened(image, format), Sessions([session]))
    assert (holder.mode, holder.session, holder.is_alive) == ("read", session.account.session, True)
    if format == "raw" and not options:
        told = program("inspect", "--format", format, image)
        assert told.status == 0
        assert f"session {session.account.session} of virt-salvage, reading" in told.out
    assert program("undo", "--all").status == 0
    assert locks.locked(image) == frozenset()


@needs_root
def test_a_session_that_was_killed_leaves_no_lock_or_one_that_is_told(tmp_path: Path) -> None:
    """The mount of a private session goes with it, the loop device with the mount, and the lock with that."""
    image, state = _file_system(tmp_path / "a.raw"), tmp_path / "state"
    argv = [sys.executable, "-m", "tests.faults.standing", str(state), str(image), "raw"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "up\n"
        assert locks.locked(image) == frozenset(READER)
        known = Sessions(StateFolder(state).known())
        assert {one.session for one in holders(opened(image), known)} == {
            StateFolder(state).known()[0].account.session
        }
        process.kill()
        process.wait()
    found = holders(opened(image), Sessions(StateFolder(state).known()))
    assert all(one.mode == "read" and one.session and not one.is_alive for one in found)
    for known_one in StateFolder(state).known():
        StateFolder(state).undo(known_one, SystemRunner())
    assert locks.locked(image) == frozenset()


def test_a_plan_locks_nothing(tmp_path: Path) -> None:
    image = content(tmp_path / "a.raw")
    with Session(StateFolder(tmp_path / "state"), PlanRunner()) as session:
        session.select(str(image), "raw")
        session.view()
        assert locks.locked(image) == frozenset()


def test_a_backup_holds_the_lock_while_it_reads(tmp_path: Path) -> None:
    image = content(tmp_path / "a.raw")
    seen: list[object] = []
    with _session(tmp_path / "state") as session:
        session.select(str(image), "raw")
        session.backup(tmp_path / "copy", lambda _progress: seen.append(locks.locked(image)))
    assert frozenset(READER) in seen
    assert locks.locked(image) == frozenset()


def test_only_what_a_session_put_up_is_named_as_its_own(tmp_path: Path) -> None:
    stranger = Holder(os.getpid(), "python3", None, "write")
    assert Sessions([]).named(stranger) == stranger


def test_the_bytes_of_writers_are_not_those_of_a_reader() -> None:
    assert not WRITERS & set(READER)
