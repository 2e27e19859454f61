"""The wizard line by line, in the real process: the whole road, and how it ends."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from core.errors import Exit, SalvageError
from core.files.progress import Progress
from core.lab import catalogue, labs
from core.runner import SystemRunner
from core.undo.state import StateFolder
from tests.conftest import Guard, Program, needs_root
from tests.core.volumes.layer_disks import two_disks
from tests.hostile.test_filesystems import dirty
from tests.tui.terminal import Terminal
from tui import ending
from tui.chosen import Wish
from tui.flow import Flow
from tui.linear import walk
from tui.linear.browse import Browser
from tui.linear.ground import Ground
from tui.linear.talk import Talk, numbered

COMMANDS = ("losetup --find --show --read-only", "undone by: umount")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labs.start(catalogue.built_in()[0], tmp_path_factory.mktemp("lab"), SystemRunner(), seed=1)


def talk(state: Path, answers: list[str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tui.main", "--linear", "--state-dir", str(state), *map(str, arguments)],
        input="".join(f"{line}\n" for line in answers),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )


@needs_root
def test_the_whole_road(disk: Path, state_dir: Path, guard: Guard, tmp_path: Path) -> None:
    guard.watch(disk)
    out = tmp_path / "out"
    # protect: help, read only; partition 5; its commands, browse; mark the first; copy; leave
    answers = ["?", "1", "3", "c", "1", "m 1", "y", str(out), "yes", "5"]
    called = talk(state_dir, answers, disk)
    assert (called.returncode, called.stderr) == (0, "")
    for said in ("What can go wrong", "starts at 92413440 bytes", *COMMANDS, "Recovered: ", "Host as found"):
        assert said in called.stdout, said
    check = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=out, check=False)
    assert check.returncode == 0
    assert json.loads((out / "salvage-report.json").read_text())["copied"]["files"] > 5
    assert (out / "home").is_dir()


@needs_root
def test_what_cannot_be_opened_says_so(state_dir: Path, guard: Guard, tmp_path: Path) -> None:
    swap = tmp_path / "swap.raw"
    with open(swap, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkswap", swap], check=True, stdout=subprocess.DEVNULL)
    guard.watch(swap)
    called = talk(state_dir, ["1", "1"], swap)
    assert "the whole disk, swap, 16.0 MiB, cannot be opened" in called.stdout
    assert called.stdout.count("Which volume?") == 2, "asked again"
    assert "holds no files" in called.stdout
    assert "What shall be done with" not in called.stdout


@needs_root
def test_back_goes_step_by_step_and_nonsense_is_asked_again(
    disk: Path, state_dir: Path, guard: Guard
) -> None:
    guard.watch(disk)
    called = talk(state_dir, ["1", "3", "1", "99", "", "b", "b", "b", "zzz", "3"], disk)
    assert called.returncode == 0, called
    assert called.stdout.count("That is none of the answers.") == 3
    assert called.stdout.count("Which volume?") == 2
    assert "What shall be done?" in called.stdout
    assert "Host as found" in called.stdout


def test_the_time_left_is_told_as_roundly_as_it_is_known() -> None:
    for seconds, told in ((266.4, "about 4 min 30 s left"), (0.1, "a few seconds left")):
        lines = io.StringIO()
        Talk(io.StringIO(), lines).progress(Progress(3, 9, 1 << 20, 9 << 20, "x", 0, 1, 1e6, seconds, 0))
        assert lines.getvalue() == f"1.0 MiB of 9.0 MiB, 3 files, {told}\n"


@needs_root
def test_marks_are_not_lost_unsaid_and_all_answers_are_told_once(
    disk: Path, state_dir: Path, guard: Guard
) -> None:
    guard.watch(disk)
    # browse; copy what is not marked; mark; search, and back to the folder; back, and back in earnest
    answers = ["1", "3", "1", "y", "m 1", "f *.txt", "b", "b", "b", "q"]
    called = talk(state_dir, answers, disk)
    assert called.returncode == 0, called
    assert called.stdout.count("A number opens a folder") == 1, called.stdout
    said = ("Nothing is marked yet.", "Found, ", "/, 3 entries", "b again closes the volume", "Which volume?")
    places = [called.stdout.rindex(one) for one in said]
    assert places == sorted(places), called.stdout
    again = talk(state_dir, ["1", "3", "1", "u", "?", "nonsense", "q"], disk)
    assert again.stdout.count("A number opens a folder") == 3, "at first, with the help, after nonsense"


def test_an_error_is_told_and_the_walk_goes_on(state_dir: Path, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.qcow2"
    called = talk(state_dir, ["b", "q"], nothing)
    assert called.returncode == 0, called
    told, _asked, rest = called.stdout.partition("Which disk?")
    assert str(nothing) in told and "What shall be done?" not in told, "the disk is asked for again"
    assert "What shall be done?" in rest
    assert called.stderr == ""


@needs_root
def test_mounted_for_other_tools(disk: Path, state_dir: Path, guard: Guard, tmp_path: Path) -> None:
    guard.watch(disk)
    point = tmp_path / "m"
    called = talk(state_dir, ["1", "3", "2", str(point), "no", "2", str(point), "yes", "q"], disk)
    try:
        assert "stays mounted" in called.stdout, called
        assert "Nothing was mounted." in called.stdout, "the folder is not there: is it meant?"
        assert "Host as found, but for what was left mounted." in called.stdout
        assert f"mount {point}" not in called.stdout, "it is nobody else's"
        assert (point / "home").is_dir()
        again = talk(state_dir, ["3", "1", "3"])  # finish what is left: it is the only one
        assert not point.exists(), again
    finally:
        subprocess.run(
            [sys.executable, "-m", "tui.main", "--state-dir", str(state_dir), "undo", "--all"], check=True
        )


@needs_root
@pytest.mark.parametrize("ending", ["signal", "terminal"])
def test_on_a_terminal_nothing_is_drawn_and_an_end_takes_all_down(
    disk: Path, state_dir: Path, guard: Guard, ending: str
) -> None:
    guard.watch(disk)
    with_disk = Terminal(state_dir, "--linear", str(disk), environ={"TERM": "dumb", "LC_ALL": "C"})
    for answer, comes in (("1", b"Which volume?"), ("3", b"What shall be done"), ("1", b"3: srv")):
        with_disk.read(30, quiet=2)
        os.write(with_disk.master, answer.encode() + b"\n")
        for _turn in range(30):
            if comes in with_disk.seen:
                break
            with_disk.read(1)
        assert comes in with_disk.seen, with_disk.seen
    if ending == "signal":
        with_disk.process.send_signal(signal.SIGINT)
        with_disk.read(30)
        assert b"Host as found" in with_disk.seen
    else:
        os.close(with_disk.master)
    assert with_disk.process.wait(60) == 130
    assert b"\x1b" not in with_disk.seen
    assert max(with_disk.seen) < 0x80


@needs_root
def test_the_disk_with_the_other_parts_can_be_named(state_dir: Path, guard: Guard, tmp_path: Path) -> None:
    first, second = two_disks(tmp_path)
    guard.watch(first, second)
    # protect: read only; the volumes are 1, vg/root, vg/home; search; name the other disk; vg/home then
    called = talk(state_dir, ["1", "5", str(second), "b", "b", "b", "3"], first)
    assert "Name the disk that has the other parts of" in called.stdout, called
    assert "partition 1 of disk 2" in called.stdout, called.stdout
    assert "Traceback" not in called.stderr


def test_a_backup_is_made_and_its_place_told(state_dir: Path, guard: Guard, tmp_path: Path) -> None:
    image, copy = tmp_path / "web01.raw", tmp_path / "copy.raw"
    image.write_bytes(os.urandom(1 << 20))
    guard.watch(image)
    called = talk(state_dir, ["3", str(copy), "1", "q"], "--format", "raw", image)
    assert "Nothing was copied." in called.stdout and not copy.exists(), "one answer writes nothing"
    called = talk(state_dir, ["3", str(copy), "yes", "q"], "--format", "raw", image)
    assert (called.returncode, called.stderr) == (0, "")
    assert f"Make the backup {copy}? Type yes:" in called.stdout
    assert f"Backup: {copy}" in called.stdout
    assert copy.read_bytes() == image.read_bytes()


def test_back_from_what_was_found_ends_where_the_folder_is_gone() -> None:
    """The second `b` leaves, whether or not the folder could be listed."""
    said: list[str] = []
    answers = iter(["f *.txt", "b", "b"])
    talk = SimpleNamespace(say=said.append, read=lambda *_asked: next(answers))
    listed = [list, gone]

    def submit(*_job: object) -> SimpleNamespace:
        return SimpleNamespace(result=listed.pop(0))

    flow = SimpleNamespace(marked=(), copied=None, operator=SimpleNamespace(submit=submit))
    asides = SimpleNamespace(help=list, commands=None)
    ground = SimpleNamespace(flow=flow, talk=talk, asides=lambda _topic: asides, work=lambda *_asked: [])
    assert Browser(cast(Ground, ground)).choose() == ()
    assert "It is gone." in said


def gone() -> None:
    raise SalvageError("It is gone.")


@pytest.mark.hostile(40)
def test_no_answer_is_a_mistake_of_the_program(state_dir: Path) -> None:
    """Thousands of digits, and bytes that are no UTF-8 where that is what the terminal speaks."""
    called = subprocess.run(
        [sys.executable, "-m", "tui.main", "--linear", "--state-dir", str(state_dir)],
        input=b"9" * 5000 + b"\n\xff\xfe\nq\n",
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, "LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8:strict"},
    )
    assert (called.returncode, called.stderr) == (0, b"")
    assert called.stdout.count(b"That is none of the answers.") == 2


def test_numbers_that_are_typed() -> None:
    assert [numbered(word, 12) for word in ("1", "12", "012")] == [1, 12, 12]
    assert not any(numbered(word, 12) for word in ("0", "13", "-1", "", "²", "1 2", "9" * 5000))


@needs_root
@pytest.mark.usefixtures("cached")
def test_what_cannot_be_looked_at_as_it_lies_is_done_over_an_overlay(
    tmp_path: Path, state_dir: Path, program: Program, guard: Guard
) -> None:
    disk, point = dirty("ext4", tmp_path), tmp_path / "seen"
    guard.watch(disk)
    # read only; the volume; check it, over an overlay; back; mount it at a folder, over an overlay
    answers = ["1", "1", "5", "1", "4", "3", str(point), "yes", "1", str(point), "yes"]
    lines = io.StringIO()
    flow = Flow(StateFolder(state_dir))
    talk = Talk(io.StringIO("\n".join(answers)), lines)
    try:
        assert walk.Walk(flow, talk, Wish(str(disk), "raw")).run() == Exit.DONE
        assert (point / "file19").exists()
    finally:
        ending.end(flow)
        assert program("undo", "--all", "--wait=20").status == 0
    said = lines.getvalue()
    assert said.count("1: Open it over an overlay") == 2
    assert "e2fsck found nothing wrong." in said
    assert "Give --replay" not in said, "that is the command line's"


def test_a_signal_between_two_questions_ends_the_walk(
    monkeypatch: pytest.MonkeyPatch, state_dir: Path
) -> None:
    """It comes while this program itself looks for disks: no more is asked."""
    answers = io.StringIO("2\n1\n1\n1\n")
    lines = io.StringIO()

    def looks(*_folders: object) -> list[object]:
        signal.raise_signal(signal.SIGTERM)
        return []

    monkeypatch.setattr(walk, "inventory", looks)
    assert walk.Walk(Flow(StateFolder(state_dir)), Talk(answers, lines), None).run() == Exit.INTERRUPTED
    assert answers.read() == "1\n1\n1\n"
