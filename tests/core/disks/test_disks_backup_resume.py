"""A backup that was cut off goes on, trusts nothing that is not whole, and leaves no rubbish at its end."""

import errno
import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.cancel import CancelToken
from core.disks import backup as backing
from core.disks import bytecopy, medium, naming, stream, unfinished
from core.disks.backup import BackedUp, Still, backup
from core.disks.bytecopy import Unreachable
from core.disks.unfinished import map_of, part_of
from core.errors import Cancelled, Refused, SalvageError
from core.files.progress import Meter, Progress
from tests.core.disks.disk_images import content, converted, created, opened

BIG = 40 << 20


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is worth keeping and written down at once; and no file system shares blocks."""
    monkeypatch.setattr(unfinished, "LEAST", 1)
    monkeypatch.setattr(backing, "LEAST", 1)
    monkeypatch.setattr(bytecopy, "SAVE_AFTER", 0.0)
    monkeypatch.setattr(stream, "_DEPTH", 1)
    monkeypatch.setattr(stream, "_LONGEST", 1)
    monkeypatch.setattr(backing, "clone", lambda *_any: False)
    monkeypatch.setattr("core.files.progress._INTERVAL", 0)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "vm").mkdir()
    path = tmp_path / "vm/disk.raw"
    with open(path, "wb") as file:
        file.write(os.urandom(BIG // 2))
        file.truncate(BIG - 12345)
        file.seek(-5000, os.SEEK_END)
        file.write(os.urandom(5000))
    return path


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _backup(path: Path, dest: Path) -> BackedUp:
    return backup(opened(path), dest, CancelToken(), lambda _progress: None)


def _cut_off(path: Path, dest: Path, at: int) -> Cancelled:
    """Stop a backup when `at` bytes are done; the error."""
    cancel = CancelToken()

    def stop(progress: Progress) -> None:
        if progress.bytes_done >= at:
            cancel.cancel()

    with pytest.raises(Cancelled) as caught:
        backup(opened(path), dest, cancel, stop)
    return caught.value


def _is_whole(path: Path, dest: Path) -> None:
    assert _digest(dest) == _digest(path)
    names = sorted(one.name for one in dest.parent.iterdir() if one.is_file())
    assert names == [dest.name, f"{dest.name}.sha256"]
    subprocess.run(["sha256sum", "--check", "--strict", f"{dest.name}.sha256"], cwd=dest.parent, check=True)


def test_a_cancelled_backup_says_what_is_kept_and_goes_on(raw: Path, tmp_path: Path) -> None:
    dest = tmp_path / "copy"
    error = _cut_off(raw, dest, 16 << 20)
    assert not dest.exists()
    assert "16.0 MiB" in error.meaning
    assert f"rm {part_of(dest)} {map_of(dest)}" in error.remedy
    done = _backup(raw, dest)
    assert done.resumed >= 16 << 20
    assert any("was not copied again" in note for note in done.notes)
    _is_whole(raw, dest)


def test_what_is_not_worth_keeping_is_removed(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backing, "LEAST", 1 << 30)
    _cut_off(raw, tmp_path / "copy", 8 << 20)
    assert [path.name for path in tmp_path.iterdir()] == ["vm"]


def test_only_what_is_missing_is_read_from_the_disk(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _cut_off(raw, tmp_path / "copy", 16 << 20)
    seen: list[int] = []
    real = bytecopy.ByteCopy._read

    def read(self: Any, into: Any, offset: int, count: int) -> None:
        seen.append(offset)
        real(self, into, offset, count)

    monkeypatch.setattr(bytecopy.ByteCopy, "_read", read)
    _backup(raw, tmp_path / "copy")
    assert min(seen) >= 16 << 20


@pytest.mark.parametrize("damage", ["copy", "map", "cut", "gone"])
def test_nothing_is_trusted_that_is_not_whole(raw: Path, tmp_path: Path, damage: str) -> None:
    dest = tmp_path / "copy"
    _cut_off(raw, dest, 16 << 20)
    part, said = part_of(dest), map_of(dest)
    match damage:
        case "copy":
            with open(part, "r+b") as file:
                file.seek(9 << 20)
                file.write(b"rotten")
        case "map":
            said.write_bytes(said.read_bytes()[:-7] + b"garbage\n{]")
        case "cut":
            os.truncate(part, 10 << 20)
        case "gone":
            part.unlink()
    done = _backup(raw, dest)
    assert done.resumed <= (8 << 20 if damage in ("copy", "cut", "gone") else 16 << 20)
    _is_whole(raw, dest)


def test_a_disk_that_changed_since_begins_anew_and_says_so(raw: Path, tmp_path: Path) -> None:
    dest = tmp_path / "copy"
    _cut_off(raw, dest, 16 << 20)
    with open(raw, "r+b") as file:
        file.write(b"changed")
    done = _backup(raw, dest)
    assert done.resumed == 0
    assert any("began anew" in note for note in done.notes)
    _is_whole(raw, dest)


def test_killed_before_anything_was_sure_it_begins_anew_and_says_so(raw: Path, tmp_path: Path) -> None:
    dest = tmp_path / "copy"
    _cut_off(raw, dest, 16 << 20)
    said = map_of(dest)
    said.write_bytes(said.read_bytes().splitlines(keepends=True)[0])
    done = _backup(raw, dest)
    assert done.resumed == 0
    assert any("first seconds" in note for note in done.notes)
    _is_whole(raw, dest)


def test_what_a_part_lost_all_of_is_said(raw: Path, tmp_path: Path) -> None:
    dest = tmp_path / "copy"
    _cut_off(raw, dest, 16 << 20)
    with open(part_of(dest), "r+b") as file:
        file.write(b"rotten")
    done = _backup(raw, dest)
    assert done.resumed == 0
    assert any("not what it was any more" in note for note in done.notes)
    _is_whole(raw, dest)


def test_of_a_snapshot_nothing_is_kept_and_what_is_unsound_gets_no_name(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    dest, cancel = tmp_path / "out/copy", CancelToken()

    def full() -> None:
        raise SalvageError("full")

    with pytest.raises(SalvageError, match="full"):
        backup(opened(raw), dest, cancel, lambda _progress: None, Still(raw, full))
    assert list(dest.parent.iterdir()) == []

    def stop(progress: Progress) -> None:
        if progress.bytes_done >= 16 << 20:
            cancel.cancel()

    with pytest.raises(Cancelled) as caught:
        backup(opened(raw), dest, cancel, stop, Still(raw, lambda: None))
    assert "another moment" in caught.value.meaning
    assert list(dest.parent.iterdir()) == []


def test_two_at_once_do_not_meet(raw: Path, tmp_path: Path) -> None:
    dest = tmp_path / "copy"
    met: list[str] = []

    def second(_progress: Progress) -> None:
        if not met:
            with pytest.raises(Refused, match="Another backup") as caught:
                _backup(raw, dest)
            met.append(str(caught.value))

    backup(opened(raw), dest, CancelToken(), second)
    assert met
    _is_whole(raw, dest)


def test_a_disk_that_goes_away_leaves_what_was_copied(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dest = tmp_path / "copy"
    real = bytecopy.ByteCopy._read_some

    def gone(self: Any, into: Any, start: int, end: int, at: int) -> int:
        if at >= 16 << 20:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return real(self, into, start, end, at)

    with monkeypatch.context() as patch:
        patch.setattr(bytecopy.ByteCopy, "_read_some", gone)
        with pytest.raises(Unreachable, match="No such device") as caught:
            _backup(raw, dest)
    assert "kept" in caught.value.meaning
    assert _backup(raw, dest).resumed
    _is_whole(raw, dest)


def test_a_full_target_is_given_back(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = medium.Medium._write

    def full(fd: int, data: memoryview, offset: int) -> None:
        if offset >= 16 << 20 and data:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(fd, data, offset)

    monkeypatch.setattr(medium.Medium, "_write", staticmethod(full))
    with pytest.raises(Exception, match="target is full"):
        _backup(raw, tmp_path / "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["vm"]


def test_a_long_name_has_room_for_its_map(raw: Path, tmp_path: Path) -> None:
    dest = tmp_path / ("n" * 240)
    _cut_off(raw, dest, 16 << 20)
    assert _backup(raw, dest).resumed
    _is_whole(raw, dest)


# -- killed ---------------------------------------------------------------------------------------

_STEPS = ("open", "link", "unlink", "write", "fsync", "fdatasync", "ftruncate", "utime")


def _killed(work: Callable[[], object], at: int) -> bool:
    """Run `work` in a process of its own and kill it before its step number `at`; whether it came there."""
    pid = os.fork()
    if pid == 0:
        left = iter(range(at, -1, -1))

        def counted(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*given: Any, **named: Any) -> Any:
                if next(left, 0) == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*given, **named)

            return call

        try:
            with pytest.MonkeyPatch.context() as patch:
                for module in (unfinished, naming, backing, bytecopy):
                    patch.setattr(module, "os", _Os({name: counted(getattr(os, name)) for name in _STEPS}))
                patch.setattr(Meter, "add", counted(Meter.add))
                work()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0


class _Os:
    def __init__(self, names: dict[str, Any]) -> None:
        self.__dict__.update(names)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


def test_killed_at_every_step_the_next_run_ends_it(tmp_path: Path) -> None:
    """A chain of two files, so that some copies have their names and others have not."""
    vm = tmp_path / "vm"
    vm.mkdir()
    converted(content(tmp_path / "raw"), vm / "base.qcow2", "qcow2")
    created(vm / "top.qcow2", "qcow2", "-F", "qcow2", "-b", "base.qcow2")
    disk = opened(vm / "top.qcow2")
    sums = "".join(f"{_digest(vm / name)}  {name}\n" for name in ("top.qcow2", "base.qcow2"))
    for at in range(400):
        dest = tmp_path / "to"
        work = lambda: backup(disk, dest, CancelToken(), lambda _progress: None)  # noqa: B023, E731
        hit = _killed(work, at)
        if not hit:
            break
        if not (dest / "SHA256SUMS").exists() or any(dest.glob(".*")):
            backup(disk, dest, CancelToken(), lambda _progress: None)
        assert sorted(path.name for path in dest.iterdir()) == ["SHA256SUMS", "base.qcow2", "top.qcow2"], at
        for name in ("base.qcow2", "top.qcow2"):
            assert (dest / name).read_bytes() == (vm / name).read_bytes(), (at, name)
        assert (dest / "SHA256SUMS").read_text() == sums, at
        shutil.rmtree(dest)
    assert at > 30
