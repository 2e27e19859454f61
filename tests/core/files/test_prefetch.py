"""Files are asked for before their turn, in the order of the walk, and nothing stays behind."""

import os
import threading
import time
from pathlib import Path

import pytest

from core import namespace
from core.files import prefetch as module
from core.files import walk as walks
from core.files.prefetch import Prefetch
from core.files.trail import LIST
from core.files.walk import Step, Walk
from core.runner import SystemRunner
from tests.core.files.copying import run


def test_a_walk_has_its_files_asked_for_in_its_own_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("a", "a/b", "c"):
        (tmp_path / folder).mkdir()
        for number in range(150):
            (tmp_path / folder / f"f{number}").write_text("x")
    asked: list[bytes] = []
    real = os.posix_fadvise

    def advise(fd: int, *rest: int) -> None:
        asked.append(os.fsencode(os.readlink(f"/proc/self/fd/{fd}")))
        real(fd, *rest)

    def cold(*_arguments: object) -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "posix_fadvise", advise)
    monkeypatch.setattr(os, "preadv", cold)
    before = (len(os.listdir("/proc/self/fd")), threading.active_count())
    read: list[bytes] = []
    most = 0
    with Prefetch() as prefetch:
        walk = Walk(os.open(tmp_path, LIST), os.fsencode(tmp_path), lambda *_why: None, None, prefetch)
        for step, name, _status in walk.steps():
            if step is Step.FILE:
                if len(read) % 40 == 0:
                    time.sleep(0.02)
                most = max(most, len(set(asked) - set(read)))
                read.append(walk.prefix + name)
        walk.close()
    assert len(read) == 450
    assert most <= module._AHEAD + 1
    assert len(asked) > 200 and set(asked) <= set(read)
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before


def test_files_that_are_in_memory_are_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(300):
        (tmp_path / f"f{number:03}").write_text("x")
    asked: list[int] = []
    looked: list[int] = []
    real = os.preadv
    monkeypatch.setattr(os, "posix_fadvise", lambda fd, *_rest: asked.append(fd))
    monkeypatch.setattr(os, "preadv", lambda fd, *rest: looked.append(fd) or real(fd, *rest))
    folder = os.open(tmp_path, LIST)
    with Prefetch() as prefetch:
        prefetch.enter(folder, sorted(map(os.fsencode, os.listdir(folder))))
        for _file in range(300):
            time.sleep(0.001)
            prefetch.read()
        prefetch.leave()
    os.close(folder)
    assert asked == [] and 0 < len(looked) < 60


def test_a_very_large_folder_is_walked_part_by_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walks, "_AT_ONCE", 30)
    for number in range(100):
        (tmp_path / f"f{number}").write_text("x")
        if number % 10 == 0:
            (tmp_path / f"d{number}").mkdir()
            (tmp_path / f"d{number}" / "in").write_text("x")
    before = len(os.listdir("/proc/self/fd"))
    most = 0
    found: list[bytes] = []
    with Prefetch() as prefetch:
        walk = Walk(os.open(tmp_path, LIST), b"", lambda *_why: None, None, prefetch)
        for step, name, _status in walk.steps():
            if step is Step.FILE:
                found.append(walk.prefix + name)
            most = max(most, max(len(folder.rest) for folder in walk._folders))
        walk.close()
        walk = Walk(os.open(tmp_path, LIST), b"", lambda *_why: None, None, prefetch)
        next(walk.steps())
        walk.close()
    assert sorted(found) == sorted(
        [b"/f%d" % number for number in range(100)] + [b"/d%d/in" % number for number in range(0, 100, 10)]
    )
    assert most < 30
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_cannot_be_opened_is_left_to_who_reads_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    folder = os.open(tmp_path, LIST)
    with Prefetch() as prefetch:
        prefetch.enter(folder, [b"missing", b"pipe", b"."])
        for _file in range(3):
            prefetch.read()
        prefetch.leave()
    os.close(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="enters a mount namespace, which needs root")
def test_the_thread_that_copies_can_leave_its_namespace_afterwards(tmp_path: Path) -> None:
    """The kernel lets a thread go back only while it shares its root with no other thread."""
    (tmp_path / "guest").mkdir()
    (tmp_path / "guest/big").write_bytes(os.urandom(5 << 20))
    (tmp_path / "guest/small").write_text("x")
    problems: list[BaseException] = []

    def work() -> None:
        try:
            host = os.readlink("/proc/thread-self/ns/mnt")
            namespace.enter(SystemRunner())
            assert os.readlink("/proc/thread-self/ns/mnt") != host
            run(tmp_path / "guest", tmp_path / "dest")
            namespace.leave()
            assert os.readlink("/proc/thread-self/ns/mnt") == host
        except (AssertionError, OSError) as error:
            problems.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert problems == []
