"""The one door: bounded, cancellable, clean."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core import runner
from core.command import Command, Limits, Variable
from core.errors import Cancelled, ToolMissing
from core.runner import CommandFailed, PlanRunner, SystemRunner


def _sh(script: str, **more: object) -> Command:
    return Command(("sh", "-c", script), why="because", **more)  # type: ignore[arg-type]


def test_output_and_errors_come_back_apart() -> None:
    result = SystemRunner().run(_sh("echo out; echo err >&2"))
    assert (result.status, result.out, result.err) == (0, b"out\n", b"err\n")


def test_the_environment_is_clean_and_input_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    result = SystemRunner().run(_sh("cat; env"))
    assert b"hunter2" not in result.out
    assert b"LC_ALL=C.UTF-8" in result.out


@pytest.mark.parametrize("running", [True, False])
def test_without_udev_the_device_mapper_is_told_so(
    running: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_UDEV", tmp_path if running else tmp_path / "control")
    assert (b"DM_DISABLE_UDEV=1" in SystemRunner().run(_sh("env")).out) is not running


def test_a_failure_is_a_sentence_with_the_programs_own_words() -> None:
    with pytest.raises(CommandFailed) as caught:
        SystemRunner().run(_sh("echo 'bad \033[31mthing' >&2; exit 3"))
    assert caught.value.paragraph() == r"sh failed with exit status 3. It said: bad \x1b[31mthing"


def test_a_good_status_is_no_failure() -> None:
    assert SystemRunner().run(_sh("exit 2", good=frozenset({0, 2}))).status == 2


def test_a_crash_is_an_ordinary_outcome() -> None:
    with pytest.raises(CommandFailed) as caught:
        SystemRunner().run(_sh("kill -SEGV $$"))
    assert caught.value.result.status == -11


@pytest.mark.hostile(62)
def test_a_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.tools.search_path", lambda: "/nowhere")
    with pytest.raises(ToolMissing) as caught:
        SystemRunner().run(Command(("qemu-img", "--version"), why=""))
    assert "apt-get install" in caught.value.paragraph()


def test_cancel_reaches_the_whole_process_group(tmp_path: Path) -> None:
    runner = SystemRunner()
    marker = tmp_path / "pid"
    threading.Timer(0.3, runner.cancel.cancel).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        runner.run(_sh(f"sh -c 'echo $$ > {marker}; sleep 60' & wait"))
    assert time.monotonic() - began < 5
    assert not os.path.exists(f"/proc/{marker.read_text().strip()}/cwd")


def test_time_is_limited() -> None:
    began = time.monotonic()
    with pytest.raises(CommandFailed, match="did not end in time"):
        SystemRunner().run(_sh("sleep 60", limits=Limits(wall=0.3)))
    assert time.monotonic() - began < 5


def test_time_is_limited_when_the_outputs_are_closed() -> None:
    with pytest.raises(CommandFailed, match="did not end in time"):
        SystemRunner().run(_sh("exec >&- 2>&-; sleep 60", limits=Limits(wall=0.3)))


def test_processor_time_is_limited() -> None:
    with pytest.raises(CommandFailed, match="processor time"):
        SystemRunner().run(_sh("while :; do :; done", limits=Limits(processor=1)))


def test_a_program_that_writes_without_end_is_stopped() -> None:
    began = time.monotonic()
    with pytest.raises(CommandFailed, match="without end"):
        SystemRunner().run(_sh("cat /dev/zero", limits=Limits(output=100000)))
    assert time.monotonic() - began < 5


def test_a_program_that_changes_something_is_not_stopped_for_what_it_writes(tmp_path: Path) -> None:
    done = tmp_path / "done"
    told = _sh(f"head -c 300000 /dev/zero; touch {done}", effect="a file", limits=Limits(output=1000))
    assert len(SystemRunner().run(told).out) == 1000
    assert done.exists()


def test_a_program_that_only_looks_writes_no_large_file_and_leaves_no_core(tmp_path: Path) -> None:
    target = tmp_path / "made"
    with pytest.raises(CommandFailed):
        # the limit comes from outside, a moment after the start
        limited = "until [ $(ulimit -f) != unlimited ]; do :; done"
        SystemRunner().run(_sh(f"{limited}; head -c 3000000 /dev/zero > {target}"))
    assert target.stat().st_size <= Limits().file
    assert SystemRunner().run(_sh("ulimit -c")).out == b"0\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a program a network of its own, which needs root")
def test_a_program_that_reads_images_reaches_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "qemu-img"
    fake.write_text("#!/bin/sh\nreadlink /proc/self/ns/net\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    here = os.readlink("/proc/self/ns/net").encode()
    assert SystemRunner().run(_sh("readlink /proc/self/ns/net")).out.strip() == here
    assert SystemRunner().run(Command(("qemu-img",), why="")).out.strip() != here
    log = tmp_path / "log"
    runner = SystemRunner()
    pid = runner.start(Command(("qemu-img",), why="", effect="a daemon", background=True, limits=None), log)
    while runner.ended(pid) is None:
        time.sleep(0.01)
    assert log.read_bytes().strip() != here


def test_memory_is_limited() -> None:
    greedy = Command(
        ("python3", "-c", "import time; time.sleep(.2); b'x' * (1 << 30)"),
        why="",
        limits=Limits(memory=200 << 20),
    )
    with pytest.raises(CommandFailed):
        SystemRunner().run(greedy)


def test_a_plan_looks_but_changes_nothing(tmp_path: Path) -> None:
    runner = PlanRunner()
    target = tmp_path / "made"
    assert runner.run(_sh("echo seen")).out == b"seen\n"
    runner.run(_sh(f"touch {target}", effect="a file"))
    assert not target.exists()
    assert [ran.command.shell() for ran in runner.transcript] == [
        "sh -c 'echo seen'",
        f"sh -c 'touch {target}'",
    ]


def test_a_plan_does_not_run_what_only_running_could_tell() -> None:
    runner = PlanRunner()
    runner.run(Command(("blockdev", "--getsz", Variable.named("LOOP")), why=""))
    assert runner.transcript[0].result is None
    assert runner.transcript[0].command.shell() == 'blockdev --getsz "$LOOP"'


def test_what_was_started_dies_with_a_killed_program(tmp_path: Path) -> None:
    """A command that would end later would put something up that nobody takes down any more."""
    done, started = tmp_path / "done", tmp_path / "started"
    script = (
        "from core.command import Command; from core.runner import SystemRunner;"
        f"SystemRunner().run(Command(('sh', '-c', 'touch {started}; sleep 0.3; touch {done}'), why=''))"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2]) as program:
        while not started.exists():
            assert program.poll() is None
            time.sleep(0.01)
        program.kill()
    time.sleep(0.5)
    assert not done.exists()
