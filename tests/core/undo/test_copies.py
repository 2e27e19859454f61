"""Copies of mounts in the namespaces of other sessions: what is left of them, and what only seems to be."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from core import mounts, namespace
from core.command import Command
from core.mounts import Mount
from core.runner import Result, SystemRunner
from core.undo import copies
from core.undo.account import Entry

MOUNT = Mount(7, 1, "7:0", "/", "/m", "rw,nosuid,nodev,noexec", "ext4", "/dev/loop0")


class Refusing(SystemRunner):
    """Has every `umount` fail, and notes which thread's namespace it was for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def run(self, command: Command) -> Result:
        self.asked.append(command.argv[1])
        return Result(1)


def _entry() -> Entry:
    return Entry(1, "mount", "/m", "held", "", 0.0, (), facts={"source": "/dev/loop0"})


def test_a_session_that_ends_meanwhile_keeps_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [[namespace.Private("12/task/12", (MOUNT,))], []]
    monkeypatch.setattr(namespace, "private", lambda: iter(seen.pop(0)))
    runner = Refusing()
    assert copies.let_go(_entry(), [_entry()], runner)
    assert runner.asked == ["--mount=/proc/12/task/12/ns/mnt"]


def test_a_copy_that_stays_is_asked_once_of_each_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = ["12/task/12", "12/task/14", "12/task/14"]

    def private() -> Iterator[namespace.Private]:
        yield namespace.Private(seen.pop(0), (MOUNT,))

    monkeypatch.setattr(namespace, "private", private)
    runner = Refusing()
    assert not copies.let_go(_entry(), [_entry()], runner)
    assert runner.asked == ["--mount=/proc/12/task/12/ns/mnt", "--mount=/proc/12/task/14/ns/mnt"]


def test_a_copy_of_what_somebody_else_had_mounted_from_our_loop_goes_when_that_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = Entry(1, "loop", "/dev/loop0", "held", "", 0.0, ())
    theirs = replace(MOUNT, point="/media")
    seen = [[namespace.Private("12/task/12", (theirs,))], [namespace.Private("12/task/12", (theirs,))], []]
    monkeypatch.setattr(namespace, "private", lambda: iter(seen.pop(0)))
    runner = Refusing()
    monkeypatch.setattr(mounts, "mounts", lambda: [theirs])
    assert copies.let_go(loop, [loop], runner)
    assert runner.asked == []
    monkeypatch.setattr(mounts, "mounts", list)
    assert copies.let_go(loop, [loop], runner)
    assert runner.asked == ["--mount=/proc/12/task/12/ns/mnt"]
