"""What the host is like: its processes, its boot, its kernel.

The only module that asks psutil.
"""

import contextlib
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Process:
    """A running process. `started` is in clock ticks since boot: proc_pid_stat(5), field 22."""

    pid: int
    started: int
    program: str
    user: str


def boot_id() -> str:
    """The kernel's name of this boot: what it held before another boot is gone."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def booted() -> float:
    """When this boot began, in seconds since 1970: ``btime`` of proc_stat(5)."""
    lines = Path("/proc/stat").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("btime "))


def started(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when there is none or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = stat.rpartition(b")")[2].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def runs(pid: int, since: int) -> bool:
    """Whether the very process that started at `since` still runs; a process number may be reused."""
    return started(pid) == since


_EXITING = 0x4
"""PF_EXITING in include/linux/sched.h; the flags are field 9 of proc_pid_stat(5)."""


def process_of(thread: int) -> int | None:
    """The process that a thread belongs to; None when it has ended."""
    try:
        lines = Path(f"/proc/{thread}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("Tgid:")), None)


def serves(pid: int, since: int) -> bool:
    """Whether the process that started at `since` runs and is not on its way to its end.

    A process that was killed lets go of its files, so that others meet errors, before it is a zombie.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return False
    return fields[0] not in (b"Z", b"X") and int(fields[19]) == since and not int(fields[6]) & _EXITING


def command_lines() -> Iterator[tuple[int, list[str]]]:
    """The command line of every process that has one."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it ended while we looked
            words = Path(f"/proc/{name}/cmdline").read_bytes().rstrip(b"\0")
            if words:
                yield int(name), [os.fsdecode(word) for word in words.split(b"\0")]


def running(program: str, argument: str) -> list[int]:
    """The running processes of a program that were given an argument which contains `argument`."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        words = process.info["cmdline"] or [""]
        if os.path.basename(words[0]) == program and any(argument in word for word in words[1:]):
            found.append(process.info["pid"])
    return found


def describe(pid: int) -> Process | None:
    """A process for a sentence; None when it has ended."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            return Process(pid, started(pid) or 0, process.name(), process.username())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def kernel_reads(file_system: str) -> bool:
    """Whether the running kernel has a file system, built in, loaded or as a module."""
    lines = Path("/proc/filesystems").read_text().splitlines()
    if any(line.split()[-1] == file_system for line in lines):
        return True
    modules = Path("/lib/modules") / platform.release()
    for listing in ("modules.dep", "modules.builtin"):
        with contextlib.suppress(OSError):
            names = {
                Path(line.split(":")[0]).name.split(".")[0]
                for line in (modules / listing).read_text().splitlines()
            }
            if file_system in names:
                return True
    return False


def has_device_mapper() -> bool:
    """Whether the kernel has the device mapper, which kpartx needs: it lists it in /proc/misc."""
    return "device-mapper" in Path("/proc/misc").read_text()
