"""A dry run as a shell script: run, it does the same by hand, and it takes down after itself."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from core.lab import catalogue, labs
from core.runner import SystemRunner
from tests.compare_trees import differences
from tests.conftest import Guard, Program, needs_root

RECORDS = [
    b"SHA256SUMS",
    b"salvage-report.json",
    b"salvage-report.md",
    b"salvage-report.html",
    b"salvage-metadata.jsonl",
]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab it's")  # a name that wants quoting
    return labs.start(catalogue.built_in()[0], folder, SystemRunner(), seed=1)


def written(program: Program, path: Path, *arguments: str | Path) -> Path:
    called = program(*arguments, "--dry-run", "--as-script")
    assert called.status == 0, called
    path.write_text(called.out)
    subprocess.run(["bash", "-n", str(path)], check=True)
    return path


@needs_root
@pytest.mark.parametrize(("volume", "source"), [("5", "/home"), ("7", "/etc/")])
def test_the_script_copies_the_same(
    disk: Path, program: Program, guard: Guard, tmp_path: Path, volume: str, source: str
) -> None:
    guard.watch(disk)
    assert program("copy", disk, volume, source, tmp_path / "one").status == 0
    script = written(program, tmp_path / "s.sh", "copy", disk, volume, source, tmp_path / "by hand")
    assert not (tmp_path / "by hand").exists()
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert differences(tmp_path / "one", tmp_path / "by hand", RECORDS) == []
    assert list((tmp_path / "by hand").iterdir())


@needs_root
def test_the_script_takes_down_after_an_error(
    disk: Path, program: Program, guard: Guard, tmp_path: Path, state_dir: Path
) -> None:
    guard.watch(disk)
    script = written(program, tmp_path / "s.sh", "copy", disk, "5", "/home", tmp_path / "out")
    (tmp_path / "out").write_text("in the way")
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "out" in done.stderr
    assert not (state_dir / "by-hand").exists()


@needs_root
def test_the_script_leaves_folders_of_others_and_takes_its_own_away(
    disk: Path, program: Program, tmp_path: Path, state_dir: Path
) -> None:
    script = written(program, tmp_path / "s.sh", "copy", disk, "5", "/home", tmp_path / "out")
    (state_dir / "by-hand").mkdir(parents=True)
    subprocess.run(["bash", str(script)], check=True, timeout=120)
    assert list((state_dir / "by-hand").iterdir()) == []


@needs_root
@pytest.mark.parametrize("ending", ["enter", "term", "hangup"])
def test_a_mount_by_script_stays_until_it_is_told(
    disk: Path, program: Program, guard: Guard, tmp_path: Path, ending: str
) -> None:
    guard.watch(disk)
    point = tmp_path / "m"
    script = written(program, tmp_path / "s.sh", "mount", disk, "5", point, "--writable")
    running = subprocess.Popen(
        ["bash", str(script)],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # a shell that was started without hangups, as by nohup(1), can set no trap for them
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL) and None,
    )
    deadline = time.monotonic() + 60
    while not (point / "home").is_dir():
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.05)
    (point / "new").write_text("x" * 1000)
    if ending == "enter":
        running.communicate(b"\n", timeout=60)
    else:
        running.send_signal(signal.SIGTERM if ending == "term" else signal.SIGHUP)
        running.wait(60)
    assert running.returncode == (0 if ending == "enter" else 130)
    assert not point.exists()


def test_only_what_can_be_done_by_hand_is_a_script(program: Program, disk: Path) -> None:
    called = program("commit", "some", "--dry-run", "--as-script")
    assert called.status == 2
    assert "copy" in called.err
    assert program("copy", disk, "5", "/", "x", "--as-script").status == 2
