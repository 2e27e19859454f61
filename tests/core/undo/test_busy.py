"""Who keeps a mount or a loop device up: named exactly, waited for, ended, or left behind out of sight."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from core import host, loops, mounts, processes
from core.cancel import CancelToken
from core.command import Command
from core.runner import Result, SystemRunner
from core.undo import busy, patience
from core.undo.holders import Held, Way
from core.undo.journal import NAME, read
from core.undo.pairs import LoopKind, MountKind, Pair
from core.undo.stack import Release, Stack
from core.undo.state import StateFolder
from tests.conftest import Guard, needs_root

pytestmark = [needs_root, pytest.mark.long(60)]


class Up:
    """A session with one volume mounted for writing, as `mount --writable` leaves it."""

    def __init__(self, folder: Path, make: str = "mke2fs") -> None:
        self.image = folder / "disk.raw"
        with open(self.image, "wb") as file:
            file.truncate(120 << 20 if make == "mkfs.btrfs" else 32 << 20)
        options = ["-q", "-F", "-t", "ext4"] if make == "mke2fs" else ["-q"]
        subprocess.run([make, *options, self.image], check=True, capture_output=True)
        self.state = StateFolder(folder / "state")
        journal = self.state.begin(self.state.new_folder(), str(self.image))
        stack = Stack(journal, SystemRunner())
        size = self.image.stat().st_size
        argv = ("losetup", "--find", "--show", "--offset", "0", "--sizelimit", str(size), str(self.image))
        attach = Command(argv, why="w", effect="e", captures="LOOP")
        facts = lambda: LoopKind.facts(self.image, 0, size)  # noqa: E731
        self.loop = stack.put_up(Pair("loop", attach, "", facts=facts))
        self.point = folder / "at/m"
        self.point.mkdir(parents=True)
        mount = Command(("mount", self.loop, str(self.point)), why="w", effect="e")
        here = lambda: MountKind.facts(self.point, self.loop)  # noqa: E731
        stack.put_up(Pair("mount", mount, str(self.point), (self.loop,), here))
        subprocess.run(["losetup", "--detach", self.loop], check=True)  # it frees itself when unmounted
        self.session = journal.path.parent.name
        journal.append("kept")
        journal.close()

    def undo(self, *, lazy: bool = False) -> list[Release]:
        return self.state.undo(self.state.find(self.session), SystemRunner(), lazy=lazy)

    def stuck(self) -> Held:
        return patience.stuck(self.undo())

    def standing(self) -> list[str]:
        path = self.state.sessions / self.session / NAME
        return [entry.what for entry in read(path).standing] if path.exists() else []

    def down(self) -> None:
        """Nothing holds it any more: it comes down, as soon as namespaces of other programs are gone.

        Where the host's root is not shared, a namespace that begins takes a copy of every mount along.
        """
        if self.state.known():
            assert all(release.released for release in patience.patiently(self.undo, 20, CancelToken()))
        self.assert_down()

    def force(self) -> bool:
        """Clear up after a test that failed; whether there was something."""
        left = bool(mounts.at(self.point)) or bool(self.standing())
        while mounts.at(self.point):
            subprocess.run(["umount", "--lazy", self.point], check=True)
        return left

    def assert_down(self) -> None:
        assert not mounts.at(self.point)
        assert str(self.image) not in [loop.backing for loop in loops.loops()]
        assert self.state.known() == []


@pytest.fixture
def up(tmp_path: Path, guard: Guard) -> Iterator[Up]:
    up = Up(tmp_path)
    yield up
    assert not up.force(), "the test left something up"


@contextmanager
def child(*argv: str | Path, cwd: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A program that has written a line when it is ready, and is gone at the end."""
    with subprocess.Popen(argv, cwd=cwd, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def python(code: str, *arguments: str | Path) -> tuple[str | Path, ...]:
    return (sys.executable, "-c", f"import sys, signal\n{code}\n", *arguments)


READY = "print(flush=True); sys.stdin.read()"
OPENS = f"f = open(sys.argv[1], 'ab'); {READY}"
# Not the mmap module, which keeps a file descriptor
MAPS = (
    "import ctypes; libc = ctypes.CDLL(None); f = open(sys.argv[1], 'rb'); "
    f"libc.mmap(None, ctypes.c_size_t(8192), 1, 1, f.fileno(), ctypes.c_long(0)); f.close(); {READY}"
)
CLOSES = "f = open(sys.argv[1], 'ab'); print(flush=True); sys.stdin.readline(); f.close(); sys.stdin.read()"
STUBBORN = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {OPENS}"


def told(held: Held) -> list[tuple[Way, str, int, str]]:
    """The holders, without the namespaces that other programs of the host begin at the same time."""
    return [
        (one.way, one.path, one.process.pid if one.process else 0, one.thing)
        for one in held.holders
        if not one.sees or (one.process and _is_child(one.process.pid))
    ]


def _is_child(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return f"PPid:\t{os.getpid()}\n" in status


# -- named exactly --------------------------------------------------------------------------------------


@pytest.mark.hostile(54)
def test_a_working_directory(up: Up) -> None:
    (up.point / "sub").mkdir()
    with child("sh", "-c", "echo; exec sleep 60", cwd=up.point / "sub") as one:
        held = up.stuck()
        assert told(held) == [(Way.WORKS_IN, str(up.point / "sub"), one.pid, "")]
        assert held.sentence() == f"sleep (pid {one.pid}, root) works in {up.point}/sub."
    up.down()


def test_a_working_directory_whose_path_the_kernel_does_not_tell(up: Up) -> None:
    deep = "import os\nfor _level in range(30): os.mkdir('d' * 200); os.chdir('d' * 200)"
    with child(*python(f"{deep}\n{READY}"), cwd=up.point) as one:
        with pytest.raises(OSError, match="File name too long"):
            os.readlink(f"/proc/{one.pid}/cwd")
        assert told(up.stuck()) == [(Way.WORKS_IN, f"/proc/{one.pid}/task/{one.pid}/cwd", one.pid, "")]
    up.down()


def test_open_files_are_counted(up: Up) -> None:
    names = [up.point / name for name in "abc"]
    code = f"files = [open(name, 'ab') for name in sys.argv[1:]]; {READY}"
    with child(*python(code, *names)) as one:
        [holder] = up.stuck().holders
        assert (holder.way, holder.path, holder.more) == (Way.OPEN, str(names[0]), 2)
        assert holder.process == host.describe(one.pid)
        assert holder.sentence().endswith(f"has open {names[0]} and 2 more")
    up.down()


def test_a_map_whose_file_is_closed(up: Up) -> None:
    path = up.point / "mapped file"
    path.write_bytes(bytes(8192))
    with child(*python(MAPS, path)) as one:
        assert told(up.stuck()) == [(Way.MAPS, str(path), one.pid, "")]
    up.down()


def test_a_nested_mount(up: Up) -> None:
    (up.point / "inside").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "theirs", up.point / "inside"], check=True)
    try:
        held = up.stuck()
        assert told(held) == [(Way.BELOW, str(up.point / "inside"), 0, "theirs")]
        assert held.programs == ()
        assert held.holders[0].by_hand() == f"umount {up.point}/inside"
    finally:
        subprocess.run(["umount", up.point / "inside"], check=True)
    up.down()


def test_a_loop_on_a_file_inside(up: Up) -> None:
    inner = up.point / "inner.img"
    with open(inner, "wb") as file:
        file.truncate(1 << 20)
    argv = ["losetup", "--find", "--show", str(inner)]
    loop = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    try:
        assert told(up.stuck()) == [(Way.LOOP, str(inner), 0, loop)]
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)
    up.down()


def test_swap_on_a_file_inside(up: Up) -> None:
    path = up.point / "swap file"
    path.write_bytes(bytes(8 << 20))
    path.chmod(0o600)
    subprocess.run(["mkswap", "-q", path], check=True)
    if subprocess.run(["swapon", path], capture_output=True, check=False).returncode:
        pytest.skip("this kernel takes no swap on a loop device")
    try:
        assert told(up.stuck()) == [(Way.SWAP, str(path), 0, str(path))]
    finally:
        subprocess.run(["swapoff", path], check=True)
    up.down()


def test_a_program_that_waits_inside_the_kernel(up: Up) -> None:
    """As a mount of an array whose members do not answer: no signal reaches it, and that is said."""
    waits = (
        "import ctypes, os, time\n"
        "print(flush=True)\n"
        "if ctypes.CDLL(None).vfork() == 0:\n"  # vfork(2): the kernel holds the parent until the child ends
        "    time.sleep(60)\n"
        "    os._exit(0)"
    )
    loop = next(one for one in read(up.state.sessions / up.session / NAME).standing if one.what == "loop")
    with child(*python(waits, up.loop)) as process:
        end = time.monotonic() + 10
        while not processes.waits_for(process.pid, up.loop) and time.monotonic() < end:
            time.sleep(0.02)
        found = next(one for one in busy.held(loop).holders if one.way is Way.WAITS)
        assert found.process and (found.process.pid, found.path) == (process.pid, up.loop)
        assert not found.can_end
        assert "only a restart of the host frees the device" in found.sentence()
        assert not any(processes.waits_for(process.pid, other) for other in ("/dev/null", str(up.point)))
        below = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(below[0]), signal.SIGKILL)
    up.down()


def test_a_copy_in_another_mount_namespace(up: Up) -> None:
    """The mount goes here; the loop device under it stays, and whoever has the copy is named."""
    argv = ("unshare", "--mount", "--propagation", "private", "sh", "-c", "echo; exec sleep 60")
    with child(*argv) as one:
        releases = up.undo()
        assert [(release.entry.what, release.released) for release in releases] == [
            ("mount", True),
            ("loop", False),
        ]
        held = patience.stuck(releases)
        assert told(held) == [(Way.ELSEWHERE, str(up.point), one.pid, "")]
        assert held.holders[0].by_hand() == f"nsenter --target {one.pid} --mount umount {up.point}"
        assert up.standing() == ["loop"]
    up.down()


def test_a_copy_where_only_one_thread_sees_it(up: Up) -> None:
    script = (
        "import ctypes, threading, time; libc = ctypes.CDLL(None);"
        "thread = threading.Thread(target=lambda: (libc.unshare(0x20200),"
        " libc.mount(b'none', b'/', None, 0x44000, None), print('up', flush=True), time.sleep(60)));"
        "thread.start(); thread.join()"
    )
    with child(sys.executable, "-c", script) as one:
        [holder] = patience.stuck(up.undo()).holders
        assert holder.process and holder.process.pid == one.pid
        words = holder.by_hand().split()
        assert words[:2] == ["nsenter", "--target"]
        assert str(up.point) not in Path(f"/proc/{one.pid}/mountinfo").read_text(errors="surrogateescape")
        subprocess.run(words, check=True)
    up.down()


def test_a_bind_mount_elsewhere_keeps_the_loop(up: Up, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    subprocess.run(["mount", "--bind", up.point, tmp_path / "again"], check=True)
    try:
        assert told(up.stuck()) == [(Way.AGAIN, str(tmp_path / "again"), 0, up.loop)]
    finally:
        subprocess.run(["umount", tmp_path / "again"], check=True)
    up.down()


@pytest.mark.parametrize("make", ["mkfs.btrfs"])
def test_btrfs_whose_files_tell_another_device(tmp_path: Path, guard: Guard, make: str) -> None:
    up = Up(tmp_path, make)
    with child(*python(OPENS, up.point / "f")) as one:
        assert told(up.stuck()) == [(Way.OPEN, str(up.point / "f"), one.pid, "")]
        [lazy, _loop] = up.undo(lazy=True)
        assert not lazy.released
        assert [(way, pid) for way, _path, pid, _thing in told(busy.held(lazy.entry))] == [
            (Way.OPEN, one.pid)
        ]
    up.down()


# -- what cannot be seen --------------------------------------------------------------------------------


def _as_nobody(up: Up, *before: str) -> str:
    """What an ordinary user is told of the mount."""
    path = up.state.sessions / up.session / NAME
    [entry] = [entry for entry in read(path).standing if entry.what == "mount"]
    code = (
        "import sys, json; sys.path[:0] = json.loads(sys.argv[1])\n"
        "from core.undo import busy; from core.undo.account import Entry\n"
        "number, what, target, state, why, since, undo, on, facts, identity = json.loads(sys.argv[2])\n"
        "entry = Entry(number, what, target, state, why, since, undo, on, facts, identity)\n"
        "print(busy.held(entry).sentence())\n"
    )
    values = (
        *(entry.number, entry.what, entry.target, entry.state, entry.why, entry.since),
        *(entry.undo, entry.on, dict(entry.facts), dict(entry.identity)),
    )
    argv = [
        *before,
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        sys.executable,
        "-c",
        code,
    ]
    paths = [os.getcwd(), *sys.path]
    done = subprocess.run(
        [*argv, json.dumps(paths), json.dumps(values)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_ordinary_user_is_told_what_they_cannot_see(up: Up) -> None:
    with child("sh", "-c", "echo; exec sleep 60", cwd=up.point):
        said = _as_nobody(up)
        assert "of other users could not be looked at; root can." in said
        assert "sleep" not in said
    up.down()


def test_hidden_processes_are_said(up: Up) -> None:
    hidden = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"'
    said = _as_nobody(up, "unshare", "--mount", "--pid", "--fork", "sh", "-c", hidden, "sh")
    assert "hidepid" in said
    assert "container" in said
    up.down()


# -- waiting --------------------------------------------------------------------------------------------


def _nudge(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    process.stdin.write(b"\n")
    process.stdin.flush()


def _after(seconds: float, does: Callable[[], object]) -> None:
    threading.Timer(seconds, does).start()


def test_the_wait_ends_when_the_holder_ends(up: Up) -> None:
    with child("sh", "-c", "echo; exec sleep 60", cwd=up.point) as one:
        heard: list[Held] = []
        _after(2, one.kill)
        began = time.monotonic()
        spent = time.process_time()
        releases = patience.patiently(up.undo, 30, CancelToken(), heard.append)
        assert 1.5 < time.monotonic() - began < 4.5
        assert time.process_time() - spent < 1, "it looked all the time"
    assert all(release.released for release in releases)
    assert told(heard[0])[0][2] == one.pid
    up.assert_down()


def test_the_wait_ends_when_the_file_is_closed(up: Up) -> None:
    with child(*python(CLOSES, up.point / "f")) as one:
        held = up.stuck()
        _after(0.5, lambda: _nudge(one))
        assert patience.wait(held, 10, CancelToken())
        assert one.poll() is None
        up.down()


def test_the_wait_ends_when_the_nested_mount_goes(up: Up) -> None:
    (up.point / "inside").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "theirs", up.point / "inside"], check=True)
    _after(1.5, lambda: subprocess.run(["umount", up.point / "inside"], check=True))
    began = time.monotonic()
    assert all(release.released for release in patience.patiently(up.undo, 30, CancelToken()))
    assert time.monotonic() - began < 5


def test_the_wait_can_be_cancelled(up: Up) -> None:
    cancel = CancelToken()
    with child("sh", "-c", "echo; exec sleep 60", cwd=up.point):
        held = up.stuck()
        _after(0.3, cancel.cancel)
        began = time.monotonic()
        assert not patience.wait(held, 60, cancel)
        assert time.monotonic() - began < 1
        assert up.standing() == ["mount", "loop"]
    up.down()


def test_the_wait_has_an_end(up: Up) -> None:
    with child("sh", "-c", "echo; exec sleep 60", cwd=up.point):
        releases = patience.patiently(up.undo, 0.5, CancelToken())
        assert [release.released for release in releases] == [False, False]
        assert "works in" in releases[0].note
    up.down()


# -- ending ---------------------------------------------------------------------------------------------


def test_a_program_that_is_asked_to_end(up: Up) -> None:
    with child(*python(OPENS, up.point / "f")) as one:
        assert patience.end(up.stuck(), CancelToken()) == []
        assert one.wait(5) == -signal.SIGTERM
    up.down()


def test_a_program_that_does_not_end_is_killed_only_when_asked_again(
    up: Up, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "GRACE", 1.0)
    with child(*python(STUBBORN, up.point / "f")) as one:
        held = up.stuck()
        [left] = patience.end(held, CancelToken())
        assert left.process and left.process.pid == one.pid
        assert one.poll() is None
        assert patience.end(held, CancelToken(), kill=True) == []
        assert one.wait(5) == -signal.SIGKILL
    up.down()


def test_who_let_go_meanwhile_is_not_ended(up: Up) -> None:
    with child(*python(CLOSES, up.point / "f")) as one:
        held = up.stuck()
        _nudge(one)
        assert patience.wait(held, 5, CancelToken())
        patience.end(held, CancelToken(), kill=True)
        assert one.poll() is None
    up.down()


def test_a_process_number_that_was_given_to_another_one_is_not_ended(up: Up) -> None:
    with child(*python(OPENS, up.point / "f")) as one:
        [holder] = up.stuck().holders
        assert holder.process
        earlier = host.Process(one.pid, holder.process.started - 1, "python", "root")
        assert not processes.send(earlier, signal.SIGKILL, lambda: True)
        assert one.poll() is None
    up.down()


def test_neither_ourselves_nor_init_are_ended(up: Up) -> None:
    with open(up.point / "f", "wb"):
        held = up.stuck()
        [holder] = held.holders
        assert holder.process and holder.process.pid == os.getpid()
        assert held.programs == ()
        assert patience.end(held, CancelToken(), kill=True) == []
    for pid in (1, os.getppid(), os.getpid()):
        assert not processes.send(
            host.Process(pid, host.started(pid) or 0, "x", "root"), signal.SIGCONT, lambda: True
        )
    up.down()


def test_what_lives_in_another_namespace_is_ended(up: Up) -> None:
    argv = ("unshare", "--mount", "--propagation", "private", "sh", "-c", "echo; exec sleep 60")
    with child(*argv) as one:
        held = up.stuck()
        mine = replace(
            held, holders=tuple(who for who in held.holders if who.process == host.describe(one.pid))
        )
        assert patience.end(mine, CancelToken()) == []
        assert one.wait(5) == -signal.SIGTERM
    up.down()


# -- lazily ---------------------------------------------------------------------------------------------


def test_out_of_sight_is_not_gone(up: Up) -> None:
    with child(*python(OPENS, up.point / "f")) as one:
        releases = up.undo(lazy=True)
        assert [(release.entry.what, release.released) for release in releases] == [
            ("mount", False),
            ("loop", False),
        ]
        assert "out of sight, but its file system still lives" in releases[0].note
        assert f"(pid {one.pid}, root) has open" in releases[0].note
        assert f"virt-salvage undo {up.session}" in releases[0].note
        assert not mounts.at(up.point)
        assert loops.loop(up.loop) is not None
        assert up.standing() == ["loop", "mount"] or up.standing() == ["mount", "loop"]
        again = up.undo()
        assert [release.released for release in again] == [False, False]
        assert f"(pid {one.pid}, root) has open {up.point}/f" in again[0].note
        assert "is out of sight, but its file system still lives" in again[0].note
    up.down()


def test_what_somebody_mounts_over_the_place_then_stays(up: Up) -> None:
    with child(*python(OPENS, up.point / "f")):
        up.undo(lazy=True)
        subprocess.run(["mount", "-t", "tmpfs", "theirs", up.point], check=True)
        try:
            up.undo()
            up.undo(lazy=True)
            assert [mount.source for mount in mounts.at(up.point)] == ["theirs"]
            assert sorted(up.standing()) == ["loop", "mount"]
        finally:
            subprocess.run(["umount", up.point], check=True)
    up.down()


@pytest.mark.hostile(55)
def test_what_is_hidden_by_a_mount_on_a_folder_above_is_said_to_be(up: Up) -> None:
    """No path leads to it: who works in that folder of the host now holds nothing of ours."""
    over = up.point.parent
    subprocess.run(["mount", "-t", "tmpfs", "cover", over], check=True)
    try:
        up.point.mkdir()
        with child(*python(READY), cwd=up.point):
            released = up.undo()
        assert [one.released for one in released] == [False, False]
        assert f"cover was mounted over it at {over}" in released[0].note
        assert f"By hand: umount {over}" in released[0].note
        assert patience.stuck(released).holders == ()
    finally:
        subprocess.run(["umount", over], check=True)
    up.down()


def test_a_mount_of_somebody_below_it_is_not_taken_along(up: Up) -> None:
    (up.point / "inside").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "theirs", up.point / "inside"], check=True)
    try:
        [mount, _loop] = up.undo(lazy=True)
        assert not mount.released
        assert "was not taken out of sight" in mount.note
        assert mounts.at(up.point) and mounts.at(up.point / "inside")
    finally:
        subprocess.run(["umount", up.point / "inside"], check=True)
    up.down()


def test_a_free_mount_goes_in_the_usual_way(up: Up) -> None:
    [mount, *_rest] = up.undo(lazy=True)
    assert mount.note == f"{up.point}: taken down."
    up.down()


def test_a_program_that_was_killed_before_the_mount_went_finds_it_in_sight(up: Up) -> None:
    """The journal says lazy first; the mount still in sight is taken down as usual."""

    class Killed(SystemRunner):
        def run(self, command: Command, pass_fds: tuple[int, ...] = ()) -> Result:
            if "--lazy" in command.argv:
                raise KeyboardInterrupt
            return super().run(command, pass_fds)

    with child(*python(OPENS, up.point / "f")):
        with pytest.raises(KeyboardInterrupt):
            up.state.undo(up.state.find(up.session), Killed(), lazy=True)
        assert mounts.at(up.point)
    up.down()
