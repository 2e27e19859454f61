"""Small files are brought by a second process: the same tree, the same words, and nothing stays behind."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core import child
from core.cancel import CancelToken
from core.errors import Cancelled, NoSpace
from core.files import handing
from core.files.choices import Choices
from core.files.handing import Given, Handing
from core.files.inodeflags import InodeFlags, set_flags
from core.files.progress import Progress
from core.files.resume import Identity
from core.files.small import Small
from tests import hostile_tree
from tests.compare_trees import differences
from tests.conftest import needs_root
from tests.core.files.copying import check_sums, run
from tests.core.files.test_complete import made
from tests.core.files.test_resume import Counting

ROOT = Path(__file__).parents[3]
MINE = [b"SHA256SUMS", b"salvage-metadata.jsonl"]
FOLDERS, FILES = 40, 12
pytestmark = needs_root
_KILLED = """
import os, signal, sys
from pathlib import Path
from core.files import copy, resume
from core.files.handing import Handing
from tests.core.files.copying import run
from tests.core.files.test_small import ready
copy.WORTH = 1
resume.EVERY = float(sys.argv[3])
left = int(sys.argv[4])
give, start = Handing.give, Handing.start
def started(self, *how):
    ready(start)(self, *how)
    print(self._process.pid, flush=True)
def counting(self, *what):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    give(self, *what)
Handing.start, Handing.give = started, counting
run(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def ready(start: Callable[..., None]) -> Callable[..., None]:
    """`Handing.start`, over only when the process is there, so that each run hands on the same files."""

    def started(self: Handing, *how: bool) -> None:
        start(self, *how)
        until = time.monotonic() + 60
        while not self.is_ready and time.monotonic() < until:
            time.sleep(0.005)
        assert self.is_ready

    return started


@pytest.fixture
def brought(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Each copy has a second process from its beginning; what that has brought, in the order it was told."""
    paths: list[bytes] = []
    real = Small._brought

    def noted(self: Small, given: Given, digest: str, copy: Identity) -> None:
        paths.append(given.path)
        real(self, given, digest, copy)

    monkeypatch.setattr("core.files.copy.WORTH", 1)
    monkeypatch.setattr(Handing, "start", ready(Handing.start))
    monkeypatch.setattr(Small, "_brought", noted)
    return paths


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    root = tmp_path / "guest"
    for number in range(FOLDERS):
        folder = root / f"{number % 5}" / f"{number:02}"
        folder.mkdir(parents=True)
        for count in range(FILES):
            file = folder / f"f{count}"
            file.write_bytes(random.randbytes(count * 700))
            os.utime(file, ns=(10**18 + count, 10**18 + number))
        os.utime(folder, ns=(10**18, 10**18 + number))
    return root


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile") / "tree"
    hostile_tree.build(root, 900)
    return root


def at_give(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[Handing], None]) -> None:
    """Do something when the file of that number is handed on."""
    left = number
    give = Handing.give

    def counting(self: Handing, fd: int, given: Given, folder: int) -> None:
        nonlocal left
        left -= 1
        if not left:
            act(self)
        give(self, fd, given, folder)

    monkeypatch.setattr(Handing, "give", counting)


def killed(root: Path, dest: Path, every: float, files: int) -> None:
    """A copy that is killed at that file; its second process ends too."""
    command = [sys.executable, "-c", _KILLED, root, dest, str(every), str(files)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert done.returncode == -signal.SIGKILL
    until = time.monotonic() + 30
    while os.path.exists(f"/proc/{int(done.stdout)}"):
        assert time.monotonic() < until
        time.sleep(0.01)


def children() -> set[str]:
    own = Path("/proc/self/task")
    return {pid for task in own.iterdir() for pid in (task / "children").read_text().split()}


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.hostile(37)
def test_a_hostile_tree_is_the_same(hostile: Path, tmp_path: Path, brought: list[bytes]) -> None:
    dest = tmp_path / "dest"
    before = (open_files(), children())
    copied = run(hostile, dest)
    assert (open_files(), children()) == before
    assert len(brought) > 200
    assert copied.unreadable == []
    assert differences(hostile, dest, MINE[:1]) == []
    assert check_sums(dest) == []
    assert copied.files == len((dest / "SHA256SUMS").read_bytes().splitlines())


def test_files_and_the_times_of_their_folders_are_the_same_and_listed_in_the_order_of_the_walk(
    guest: Path, tmp_path: Path, brought: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    (guest / "0" / "00" / "big").write_bytes(random.randbytes(3 << 20))
    os.link(guest / "0" / "00" / "f3", guest / "1" / "again")
    seen: list[Progress] = []
    run(guest, tmp_path / "dest", progress=seen.append)
    assert len(brought) > FOLDERS * FILES // 2
    assert differences(guest, tmp_path / "dest", MINE) == []
    listed = [line[66:] for line in (tmp_path / "dest" / "SHA256SUMS").read_bytes().splitlines()]
    assert seen[-1].files_done == seen[-1].files_total == len(listed)
    assert seen[-1].bytes_done == seen[-1].bytes_total
    monkeypatch.setattr("core.files.copy.WORTH", 1 << 40)
    run(guest, tmp_path / "alone")
    assert listed == [line[66:] for line in (tmp_path / "alone" / "SHA256SUMS").read_bytes().splitlines()]


def test_what_is_to_be_told_of_is_told_as_without_it(
    guest: Path, tmp_path: Path, brought: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handing, "_MOST", FOLDERS * FILES)  # so that none is brought here for lack of room
    folder = guest / "2" / "02"
    (folder / "f1").chmod(0o4755)
    with open(folder / "f2", "rb") as file:
        if not set_flags(file.fileno(), InodeFlags(("append",))):
            pytest.skip("the file system has no such flag")
    (folder / "holes").touch()
    os.truncate(folder / "holes", 100_000)
    os.utime(folder, ns=(10**18, 10**18))
    try:
        choices = Choices(verify="all")
        with_it = run(guest, tmp_path / "dest", choices=choices)
        monkeypatch.setattr("core.files.copy.WORTH", 1 << 40)
        alone = run(guest, tmp_path / "alone", choices=choices)
    finally:
        with open(folder / "f2", "rb") as file:
            set_flags(file.fileno(), InodeFlags())
    assert b"/2/02/f3" in brought and b"/2/02/f1" not in brought and b"/2/02/f2" not in brought
    assert sorted(with_it.lost_metadata, key=str) == sorted(alone.lost_metadata, key=str)
    assert len(with_it.lost_metadata) == 2
    assert (with_it.files, with_it.bytes, with_it.unreadable) == (alone.files, alone.bytes, [])
    sidecars = []
    for path in (tmp_path / "dest", tmp_path / "alone"):
        lines = (path / "salvage-metadata.jsonl").read_text().splitlines()
        # Reading a file changes its time of access
        sidecars.append(sorted(re.sub(r'"atime_ns": \d+, ', "", line) for line in lines))
    assert sidecars[0] == sidecars[1]
    there = (tmp_path / "dest" / "2" / "02").stat()
    assert there.st_mtime_ns == 10**18
    assert differences(tmp_path / "alone", tmp_path / "dest", MINE) == []


def test_what_it_cannot_read_is_read_without_it(
    guest: Path, tmp_path: Path, brought: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    give = Handing.give

    def closed(self: Handing, fd: int, given: Given, folder: int) -> None:
        if given.onto == b"f5":
            other = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_CLOEXEC)
            os.dup2(other, fd, inheritable=False)
            os.close(other)
        give(self, fd, given, folder)

    monkeypatch.setattr(Handing, "give", closed)
    read = Counting()
    copied = run(guest, tmp_path / "dest", read=read)
    assert read.bytes < copied.bytes
    assert read.bytes >= FOLDERS * 5 * 700
    assert b"/0/00/f6" in brought and b"/0/00/f5" not in brought
    assert (copied.files, copied.skipped_same, copied.unreadable) == (FOLDERS * FILES, 0, [])
    assert differences(guest, tmp_path / "dest", MINE) == []
    assert check_sums(tmp_path / "dest") == []


@pytest.mark.parametrize("seed", range(4))
def test_killed_anywhere_and_repeated_it_is_the_same_tree(
    hostile: Path, tmp_path: Path, brought: list[bytes], seed: int
) -> None:
    dest = tmp_path / "dest"
    chance = random.Random(seed)
    for _time in range(2):
        killed(hostile, dest, 0.2, chance.randrange(1, 150))
    assert run(hostile, dest).unreadable == []
    assert list(dest.rglob(".virt-salvage-part-*")) == []
    assert differences(hostile, dest, MINE[:1]) == []
    assert check_sums(dest) == []


def test_what_it_finished_before_a_kill_is_not_read_again(guest: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    killed(guest, dest, 0, FOLDERS * FILES * 3 // 4)
    read = Counting()
    copied = run(guest, dest, read=read)
    assert differences(guest, dest, MINE) == []
    # One in the making, a row of those on their way, and all of it read back
    assert copied.skipped_same > FOLDERS * FILES // 3
    assert read.bytes < copied.bytes * 3 // 4


@pytest.mark.parametrize("number", [1, 20, 200])
def test_the_second_process_killed_the_copy_is_whole(
    guest: Path, tmp_path: Path, brought: list[bytes], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def kill(self: Handing) -> None:
        assert self._process
        self._process.kill()

    at_give(monkeypatch, number, kill)
    before = (open_files(), children())
    copied = run(guest, tmp_path / "dest")
    assert (open_files(), children()) == before
    assert len(brought) < FOLDERS * FILES
    assert (copied.files, copied.unreadable, copied.lost_metadata) == (FOLDERS * FILES, [], [])
    assert differences(guest, tmp_path / "dest", MINE) == []
    assert check_sums(tmp_path / "dest") == []


def test_where_it_cannot_be_started_the_copy_is_whole(
    guest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.files.copy.WORTH", 1)
    monkeypatch.setattr(child, "argv", lambda *_words: ("/not/here",))
    before = open_files()
    assert run(guest, tmp_path / "dest").files == FOLDERS * FILES
    assert open_files() == before
    assert differences(guest, tmp_path / "dest", MINE) == []


def test_a_process_that_does_not_answer_can_be_cancelled(
    guest: Path, tmp_path: Path, brought: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel = CancelToken()
    began: list[float] = []

    def stop(self: Handing) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    wait = Handing._wait

    def waiting(self: Handing, most: int) -> None:
        began.append(time.monotonic())
        cancel.cancel()
        wait(self, most)

    at_give(monkeypatch, 30, stop)
    monkeypatch.setattr(handing, "_ROW", 50)
    monkeypatch.setattr(Handing, "_wait", waiting)
    before = (open_files(), children())
    with pytest.raises(Cancelled):
        run(guest, tmp_path / "dest", cancel=cancel)
    assert time.monotonic() - began[0] < 3
    assert (open_files(), children()) == before
    monkeypatch.undo()
    assert run(guest, tmp_path / "dest").unreadable == []
    assert differences(guest, tmp_path / "dest", MINE) == []


def test_a_target_that_fills_up_stops_the_copy_and_it_goes_on_later(
    guest: Path, tmp_path: Path, brought: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with made(tmp_path, "ext4", size=24 << 20) as target:
        ballast = target / "ballast"

        def fill(_handing: Handing) -> None:
            with open(ballast, "wb", buffering=0) as file, pytest.raises(OSError, match="space"):
                while True:
                    file.write(bytes(4096))

        at_give(monkeypatch, 100, fill)
        before = (open_files(), children())
        with pytest.raises(NoSpace) as caught:
            run(guest, target / "dest")
        assert "copy again" in caught.value.remedy and "files with" in caught.value.meaning
        assert (open_files(), children()) == before
        assert list((target / "dest").rglob(".virt-salvage-part-*")) == []
        ballast.unlink()
        copied = run(guest, target / "dest")
        assert (copied.files, copied.unreadable) == (FOLDERS * FILES, [])
        assert differences(guest, target / "dest", MINE) == []


def test_many_files_that_must_be_left_are_not_handed_on_for_ever(
    guest: Path, tmp_path: Path, brought: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.files.small._MOST_LEFT", 20)
    for file in guest.rglob("f*"):
        file.chmod(0o4755)
    given: list[Given] = []
    give = Handing.give

    def noting(self: Handing, fd: int, one: Given, folder: int) -> None:
        given.append(one)
        give(self, fd, one, folder)

    monkeypatch.setattr(Handing, "give", noting)
    copied = run(guest, tmp_path / "dest", choices=Choices())
    assert brought == []
    assert 20 <= len(given) <= 20 + handing._MOST
    assert (copied.files, len(copied.lost_metadata)) == (FOLDERS * FILES, FOLDERS * FILES)
