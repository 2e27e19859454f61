"""What was copied goes to the medium while the rest is copied."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from core import namespace
from core.files import writeout
from core.files.writeout import WriteOut
from core.runner import SystemRunner
from tests.conftest import needs_root


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(writeout, "_PAUSE", 0.01)
    return os.open(tmp_path, os.O_RDONLY)


def _until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_it_goes_on_until_the_end_and_leaves_the_error_to_the_last_flush(
    folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def failing(descriptor: int) -> None:
        asked.append(descriptor)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(writeout, "flush", failing)
    with WriteOut(folder):
        _until(lambda: len(asked) > 2)
    assert folder not in asked
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(asked[0])
    count = len(asked)
    time.sleep(0.05)
    assert len(asked) == count


def test_who_cancels_does_not_wait_for_a_slow_medium(folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    at_work, go_on = threading.Event(), threading.Event()

    def slow(_descriptor: int) -> None:
        at_work.set()
        go_on.wait(30)

    monkeypatch.setattr(writeout, "flush", slow)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), WriteOut(folder):
        assert at_work.wait(10)
        raise KeyboardInterrupt
    assert time.monotonic() - began < 5
    go_on.set()


@needs_root
def test_a_slow_medium_does_not_keep_the_thread_that_copies_in_its_namespace(
    folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work, go_on = threading.Event(), threading.Event()
    problems: list[Exception] = []

    def slow(_descriptor: int) -> None:
        at_work.set()
        go_on.wait(30)

    def copies() -> None:
        try:
            namespace.enter(SystemRunner())
            with suppress(KeyboardInterrupt), WriteOut(folder):
                assert at_work.wait(10)
                raise KeyboardInterrupt
            namespace.leave()
        except (AssertionError, OSError) as error:
            problems.append(error)

    monkeypatch.setattr(writeout, "flush", slow)
    thread = threading.Thread(target=copies)
    thread.start()
    thread.join()
    go_on.set()
    assert problems == []
