"""A mount that somebody holds, on the command line: told, waited for, ended, let out of sight."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core import mounts
from tests.conftest import Guard, Program, needs_root

pytestmark = needs_root


@contextmanager
def holder(point: Path, code: str = "exec sleep 60") -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sh", "-c", f"echo; {code}"], cwd=point, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.hostile(54)
def test_the_holder_and_the_choices_are_told(point: Path, program: Program) -> None:
    with holder(point) as one:
        called = program("undo")
        assert called.status == 1
        assert f"sleep (pid {one.pid}, root) works in {point}" in called.err
        for choice in ("--wait", "--end", "--lazy"):
            assert choice in called.err
        document = json.loads(program("undo", "--json").out)
        [held] = [entry["holders"] for entry in document["released"] if "holders" in entry]
        user = {"how": "works in", "path": str(point), "pid": one.pid, "program": "sleep", "user": "root"}
        assert held == [user]
        assert "when it was tried last" in program("status").out


def test_it_waits(point: Path, program: Program) -> None:
    with holder(point) as one:
        threading.Timer(4, one.kill).start()
        called = program("undo", "--wait")
        assert called.status == 0, called
        assert f"Waiting until it is free; Ctrl+C ends the waiting. sleep (pid {one.pid}" in called.err


def test_a_wait_that_is_interrupted_leaves_it_up(point: Path, state_dir: Path) -> None:
    argv = [sys.executable, "-m", "tui.main", "--state-dir", str(state_dir), "undo", "--wait"]
    with holder(point), subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as waiting:
        assert waiting.stderr
        assert "Waiting" in waiting.stderr.readline()
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(10) == 1
        assert "is still up" in waiting.stderr.read()
        assert mounts.at(point)


def test_without_a_terminal_nothing_is_ended_unless_yes_is_given(point: Path, program: Program) -> None:
    with holder(point) as one:
        called = program("undo", "--end")
        assert called.status == 2
        assert "--yes" in called.err
        assert one.poll() is None
        assert program("undo", "--end", "--yes").status == 0
        assert one.wait(5) == -signal.SIGTERM


def test_yes_kills_nothing(point: Path, program: Program) -> None:
    with holder(point, "trap '' TERM; exec sleep 60") as one:
        called = program("undo", "--end", "--yes")
        assert called.status == 1
        assert "Still there" in called.err
        assert one.poll() is None


def test_lazily_tells_what_is_still_up(point: Path, program: Program) -> None:
    with holder(point) as one:
        called = program("undo", "--lazy")
        assert called.status == 1
        assert "is out of sight, but its file system still lives" in called.err
        assert f"(pid {one.pid}, root) works in" in called.err
        assert not mounts.at(point)
        [session] = json.loads(program("status", "--json").out)["sessions"]
        assert {"mount", "loop"} <= {entry["what"] for entry in session["entries"]}


@pytest.mark.parametrize("given", ["soon", "-1", "nan"])
def test_a_wait_wants_seconds(program: Program, given: str) -> None:
    called = program("undo", f"--wait={given}")
    assert called.status == 2
    assert "no number of seconds" in called.err


class Terminal:
    """The program on a terminal."""

    def __init__(self, *argv: str) -> None:
        self.said = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(sys.executable, [sys.executable, "-m", "tui.main", *argv])

    def until(self, text: str) -> None:
        end = time.monotonic() + 20
        while text not in self.said:
            assert time.monotonic() < end, self.said
            if select.select([self.fd], [], [], 0.1)[0]:
                self.said += os.read(self.fd, 4096).decode()

    def answer(self, text: str) -> None:
        os.write(self.fd, text.encode() + b"\n")

    def status(self) -> int:
        try:
            while os.read(self.fd, 4096):
                pass
        except OSError:
            pass  # the terminal ends with its last program
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_a_program_is_ended_after_two_questions(point: Path, state_dir: Path) -> None:
    with holder(point) as one:
        terminal = Terminal("--state-dir", str(state_dir), "undo", "--end")
        terminal.until("[y/N]")
        assert f"sleep (pid {one.pid}, root) works in {point}" in terminal.said
        terminal.answer("Yes")
        terminal.until("Type END")
        assert one.poll() is None
        terminal.answer("END")
        assert terminal.status() == 0
        assert one.wait(5) == -signal.SIGTERM


@pytest.mark.parametrize("answers", [["n"], [""], ["y", "yes"]])
def test_any_other_answer_ends_nothing(point: Path, state_dir: Path, answers: list[str]) -> None:
    with holder(point) as one:
        terminal = Terminal("--state-dir", str(state_dir), "undo", "--end")
        for question, answer in zip(("[y/N]", "Type END"), answers, strict=False):
            terminal.until(question)
            terminal.answer(answer)
        assert terminal.status() == 1
        assert one.poll() is None


def test_a_program_is_killed_after_another_question(point: Path, state_dir: Path) -> None:
    with holder(point, "trap '' TERM; exec sleep 60") as one:
        terminal = Terminal("--state-dir", str(state_dir), "undo", "--end")
        for question, answer in (("[y/N]", "y"), ("Type END", "END"), ("Type KILL", "KILL")):
            terminal.until(question)
            assert one.poll() is None
            terminal.answer(answer)
        assert terminal.status() == 0
        assert one.wait(5) == -signal.SIGKILL


def _ext4(disk: Path) -> Path:
    with open(disk, "wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", disk], check=True)
    return disk


def test_at_a_terminal_what_was_written_is_thrown_away_only_when_that_is_wanted(
    tmp_path: Path, state_dir: Path, program: Program, guard: Guard
) -> None:
    disk = _ext4(tmp_path / "disk.raw")
    guard.watch(disk)
    mount = ("mount", disk, "disk", tmp_path / "m", "--format", "raw", "--writable")
    assert program(*mount).status == 0
    (tmp_path / "m/new").write_text("hours of work")
    for answer, status in (("", 1), ("n", 1), ("y", 0)):
        assert (tmp_path / "m/new").exists()
        terminal = Terminal("--state-dir", str(state_dir), "undo", "--all")
        terminal.until("[y/N]")
        assert "virt-salvage commit" in terminal.said
        terminal.answer(answer)
        assert terminal.status() == status
    assert not (tmp_path / "m").exists()
    assert guard.left_behind() == []


def test_ctrl_c_at_that_question_leaves_up_what_comes_after_it_too(
    tmp_path: Path, state_dir: Path, program: Program, guard: Guard
) -> None:
    disk = _ext4(tmp_path / "disk.raw")
    guard.watch(disk)
    for name, more in (("first", ()), ("last", ("--writable",))):  # the last one is taken down first
        assert program("mount", disk, "disk", tmp_path / name, "--format", "raw", *more).status == 0
    terminal = Terminal("--state-dir", str(state_dir), "undo", "--all")
    terminal.until("[y/N]")
    os.write(terminal.fd, b"\x03")
    assert terminal.status() == 130
    assert (tmp_path / "first").is_mount() and (tmp_path / "last").is_mount()
    assert program("undo", "--all").status == 0
    assert guard.left_behind() == []
