"""Asks the program about a hostile disk in a process of its own, bounded, and looks what that did.

The process is a fork of this one, so that it costs no start of Python: what runs is the program's own
entrance with the words of a command line.
"""

import hashlib
import io
import os
import re
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tui.cli import backing, files, inspecting, mounting  # noqa: F401 - a child imports nothing more
from tui.main import main

CANARY = "canary-6f1d0a77"
"""Stands in every file of the host that no disk may show."""

ROOM = 256 << 20
"""Bytes of memory that a call may take beyond what this process has."""
PROCESSOR = 2.0
"""Seconds of processor time within which a sentence must come."""
WALL = 20.0
"""Seconds until a call counts as hanging, on a machine that is busy with other tests."""

_OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Answer:
    """How a call ended. `processor` is in seconds."""

    status: int
    out: str
    err: str
    processor: float

    @property
    def text(self) -> str:
        return self.out + self.err


def ask(state: Path, *arguments: str | Path, path: str | None = None) -> Answer:
    """Call the program; fails when it hangs, dies, leaks the canary or prints what a terminal obeys."""
    out, err = state.with_name("asked.out"), state.with_name("asked.err")
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    pid = os.fork()
    if not pid:
        status = 99
        try:
            status = _child(out, err, ["--state-dir", str(state), *map(str, arguments)], path)
        finally:
            os._exit(status)
    waited, usage = _wait(pid)
    told = Answer(
        os.waitstatus_to_exitcode(waited),
        os.fsdecode(out.read_bytes()),
        os.fsdecode(err.read_bytes()),
        usage.ru_utime + usage.ru_stime,
    )
    out.unlink()
    err.unlink()
    assert told.status >= 0, told
    assert "Traceback" not in told.err, told.err
    assert "mistake in virt-salvage" not in told.err, told.err
    assert CANARY not in told.text, told
    assert not _OBEYED.search(told.text), told
    assert told.processor < PROCESSOR, told
    assert usage.ru_maxrss * 1024 < before + ROOM, f"{usage.ru_maxrss} KiB for {told}"
    return told


def _child(out: Path, err: Path, arguments: list[str], path: str | None) -> int:
    for number, place in ((0, "/dev/null"), (1, out), (2, err)):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(place, flags, 0o600), number)
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", 0), "utf-8", "surrogateescape", write_through=True)
    sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", 0), "utf-8", "surrogateescape", write_through=True)
    if path is not None:
        os.environ["PATH"] = path
    return int(main(arguments))


def _wait(pid: int) -> tuple[int, resource.struct_rusage]:
    ends = time.monotonic() + WALL
    while time.monotonic() < ends:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            return status, usage
        time.sleep(0.002)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    raise AssertionError("the call hangs")


Seen = dict[str, tuple[int, int, str]]


def seen(folder: Path) -> Seen:
    """Every file below a folder: its size, modification time and hash; the hash only of what is small."""
    found: Seen = {}
    for place in sorted(folder.rglob("*")):
        status = place.lstat()
        digest = ""
        if place.is_file() and not place.is_symlink() and status.st_blocks * 512 <= 64 << 20:
            digest = _hash(place)
        found[os.fspath(place)] = (status.st_size, status.st_mtime_ns, digest)
    return found


def _hash(path: Path) -> str:
    """SHA-256 of a file; holes, and zeros that may become holes, are passed over."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        at = 0
        while True:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA) & ~0xFFFF
            except OSError:
                return digest.hexdigest()
            data = os.pread(file.fileno(), 1 << 16, at)
            if data.strip(b"\0"):
                digest.update(f"{at} ".encode() + data)
            at += 1 << 16


@dataclass(frozen=True)
class Case:
    """A disk, and what must become of it."""

    disk: Path | str
    status: int
    says: tuple[str, ...] = ()
    options: tuple[str | Path, ...] = ()
    verb: str = "inspect"
    more: tuple[str | Path, ...] = ()


Maker = Callable[[Path, Path], Case]
"""Makes the disk in the first folder; the second has what it must not show."""


def check(case: Case, home: Path, away: Path, state: Path) -> Answer:
    """Ask about the disk of a case; nothing of either folder may change."""
    before = seen(home) | seen(away)
    told = ask(state, case.verb, *case.options, "--", case.disk, *case.more)
    assert told.status == case.status, told
    flat = told.text.replace("\n", " ")
    for words in case.says:
        assert words in flat, told
    if told.status:
        *proof, last = told.err.splitlines()
        assert last.startswith("virt-salvage: "), told
        assert all(line.startswith("Host as found") for line in proof), told
        assert len(told.err) < 8000, told
    assert seen(home) | seen(away) == before
    assert not list(state.glob("sessions/*")), "a session was left behind"
    return told


def places(tmp_path: Path) -> tuple[Path, Path, Path]:
    """The disk's folder, a folder with the canary, and a state folder."""
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    away.mkdir()
    (away / "secret").write_text(CANARY * 4096)
    return home, away, tmp_path / "state"
