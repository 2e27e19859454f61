"""Where no private mount namespace can be had, the work goes on in everybody's sight and is undone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core import namespace
from core.host import running
from core.runner import SystemRunner
from tests.conftest import Guard, Program, needs_root

pytestmark = needs_root

_CRASH = Path(__file__).parents[1] / "faults" / "crash.py"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    raw, image = tmp_path / "disk.raw", tmp_path / "disk.qcow2"
    with open(raw, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", raw], check=True)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, image], check=True)
    return image


@pytest.fixture
def refusing(tmp_path: Path) -> dict[str, str]:
    """An environment in which `unshare` fails, as it does in a chroot whose root is no mount."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "unshare").write_text("#!/bin/sh\nexit 1\n")
    (folder / "unshare").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_it_can_be_had_here() -> None:
    assert namespace.possible(SystemRunner())


def test_the_work_goes_on_without(
    image: Path, program: Program, guard: Guard, refusing: dict[str, str]
) -> None:
    guard.watch(image)
    called = program("ls", image, "disk", "--explain", env=refusing)
    assert called.status == 0, called
    assert "lost+found" in called.out
    assert "unshare --mount --propagation slave sh" not in called.err


@pytest.mark.hostile(49)
def test_a_program_and_its_daemon_killed_at_once_over_a_writable_mount(
    image: Path, guard: Guard, program: Program, state_dir: Path
) -> None:
    guard.watch(image)
    script = (
        "import sys, time; from pathlib import Path; from core.runner import SystemRunner;"
        "from core.session import Session; from core.undo.state import StateFolder;"
        "session = Session(StateFolder(Path(sys.argv[1])), SystemRunner());"
        "session.select(sys.argv[2]); session.protect(overlay=True); tree = session.open('disk');"
        "(tree.root / 'written').write_text('x' * 100000); print('up', flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", script, str(state_dir), str(image)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True) as working:
        assert working.stdout
        assert working.stdout.readline() == b"up\n"
        daemons = running("qemu-storage-daemon", str(state_dir))
        assert len(daemons) == 1
        os.kill(working.pid, signal.SIGKILL)
        os.kill(daemons[0], signal.SIGKILL)
    undone = program("undo", "--all")
    assert undone.status == 0, undone
    assert guard.left_behind() == []
    assert not running("qemu-storage-daemon", str(state_dir))


@pytest.mark.parametrize("point", range(2, 18, 3))
def test_killed_without_it_then_undone(
    point: int, image: Path, program: Program, guard: Guard, refusing: dict[str, str], state_dir: Path
) -> None:
    guard.watch(image)
    words = ["--state-dir", str(state_dir), "ls", str(image), "disk"]
    environment = {**os.environ, **refusing, "PYTHONPATH": str(Path(__file__).parents[2])}
    crash = [sys.executable, str(_CRASH), str(point), "before", *words]
    assert subprocess.run(crash, env=environment, capture_output=True, check=False).returncode == -9
    assert program("undo", "--all").status == 0
    assert guard.left_behind() == []


def test_a_copy_lands_on_a_loop_mount_that_looks_like_one_of_ours(
    image: Path, program: Program, guard: Guard, tmp_path: Path
) -> None:
    target, point = tmp_path / "target.raw", tmp_path / "target"
    with open(target, "wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", target], check=True)
    point.mkdir()
    attach = ["losetup", "--find", "--show", target]
    loop = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
    try:
        subprocess.run(["mount", "-o", "nosuid,nodev,noexec", loop, point], check=True)
        try:
            called = program("copy", image, "disk", "/lost+found", point / "out")
            assert called.status == 0, called
            assert (point / "out/lost+found").is_dir()
        finally:
            subprocess.run(["umount", point], check=True)
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)
    assert list(point.iterdir()) == []


def test_a_process_that_ends_while_namespaces_are_looked_for_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    listed = os.listdir
    monkeypatch.setattr(
        os, "listdir", lambda path: [*listed(path), *([str(ended.pid)] if path == "/proc" else [])]
    )
    assert not any(one.witness.startswith(f"{ended.pid}/") for one in namespace.private())
