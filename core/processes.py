"""What running programs use of a file system or of a block device, and ending one of them.

All is read from /proc and from statx(2) with AT_STATX_DONT_SYNC, which asks no server: a file system
whose daemon is dead or hangs never stops the look. Open files and maps are those of each process's first
thread; a thread that was given a table of open files of its own (unshare(2), CLONE_FILES) is not seen.
"""

import contextlib
import ctypes
import errno
import os
import signal
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from core import host, mounts

_AT_FDCWD = -100
_AT_STATX_DONT_SYNC = 0x4000
_STATX_SIZE = 256
# struct statx of linux/stat.h: stx_mode at 28; stx_rdev, stx_dev (major, minor) and stx_mnt_id from 128
_MODE = struct.Struct("=H")
_NUMBERS = struct.Struct("=4IQ")
_KERNEL_THREAD = 0x00200000
"""PF_KTHREAD in include/linux/sched.h; the flags are field 9 of proc_pid_stat(5)."""
_FIRST_NAMESPACE = 4026531836
"""PROC_PID_INIT_INO in include/linux/proc_ns.h: the inode of the host's own process namespace."""


class How(Enum):
    """How a program uses a file system or a device."""

    WORKS_IN = "works in"
    ROOT = "root"
    OPEN = "open"
    MAPS = "maps"


@dataclass(frozen=True, slots=True)
class Target:
    """File systems and block devices by the kernel's numbers, such as ``7:0``."""

    devices: frozenset[str] = frozenset()
    """Of file systems: what mountinfo calls them, and what stat(2) calls them, which differ for btrfs."""
    mounts: frozenset[int] = frozenset()
    """The ids of mounts whose files count, whatever device they tell."""
    blocks: frozenset[str] = frozenset()
    """Of block devices: who has one open counts."""


@dataclass(frozen=True, slots=True)
class Use:
    """One way in which a program uses a target."""

    how: How
    path: str
    more: int = 0
    """How many other paths it uses in the same way."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A mount namespace that is not the caller's: the processes in it, and its mounts."""

    threads: tuple[tuple[int, int], ...]
    """Each process with one of its threads that lives there: the others may live elsewhere."""
    mounts: tuple[mounts.Mount, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What the kernel knows of a file without asking the server that has it."""

    device: str
    mount: int
    block: str
    """The number of the device that a block special file stands for; empty for other files."""


def facts(path: str) -> Facts | None:
    """What the kernel knows of a file; None where it does not exist or may not be looked at."""
    buffer = ctypes.create_string_buffer(_STATX_SIZE)
    statx = ctypes.CDLL(None, use_errno=True).statx
    if statx(_AT_FDCWD, os.fsencode(path), _AT_STATX_DONT_SYNC, 0, buffer) != 0:
        return None
    (mode,) = _MODE.unpack_from(buffer, 28)
    of_major, of_minor, major, minor, mount = _NUMBERS.unpack_from(buffer, 128)
    return Facts(f"{major}:{minor}", mount, f"{of_major}:{of_minor}" if stat.S_ISBLK(mode) else "")


# -- uses -------------------------------------------------------------------------------------------


def pids() -> list[int]:
    """The processes that can be seen."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def uses(pid: int, target: Target) -> list[Use]:
    """How a process uses the target; empty when it does not, or has ended.

    Raises PermissionError when it may not be looked at.
    """
    found: dict[How, list[str]] = {}
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended while we looked
        for how, path in _used(f"/proc/{pid}", target):
            if path not in found.setdefault(how, []):
                found[how].append(path)
    return [Use(how, paths[0], len(paths) - 1) for how, paths in found.items()]


def _used(folder: str, target: Target) -> Iterator[tuple[How, str]]:
    for task in os.listdir(f"{folder}/task"):
        for how, name in ((How.WORKS_IN, "cwd"), (How.ROOT, "root")):
            yield from _link(f"{folder}/task/{task}/{name}", how, target)
    for descriptor in os.listdir(f"{folder}/fd"):
        with contextlib.suppress(FileNotFoundError):  # it was closed while we looked
            yield from _link(f"{folder}/fd/{descriptor}", How.OPEN, target)
    yield from _maps(f"{folder}/maps", target)


def _link(link: str, how: How, target: Target) -> Iterator[tuple[How, str]]:
    path = _path(link)
    known = facts(link)
    if known is None:
        return
    if known.device in target.devices or known.mount in target.mounts or known.block in target.blocks:
        yield how, path


def _path(link: str) -> str:
    """Where a link of /proc leads; the link itself where the kernel finds that too long to tell."""
    try:
        return os.readlink(link)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return link


def _maps(table: str, target: Target) -> Iterator[tuple[How, str]]:
    """The files that are mapped, also when they are not open any more: proc_pid_maps(5)."""
    for line in Path(table).read_bytes().splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6 and fields[4] != b"0":
            major, _colon, minor = fields[3].partition(b":")
            if f"{int(major, 16)}:{int(minor, 16)}" in target.devices:
                yield How.MAPS, os.fsdecode(fields[5])


def namespaces() -> list[Namespace]:
    """The mount namespaces of other processes that can be seen."""
    own = os.stat("/proc/thread-self/ns/mnt").st_ino
    members: dict[int, dict[int, int]] = {}
    for pid in pids():
        with contextlib.suppress(OSError):  # it has ended, or may not be looked at: `hidden` counts those
            for task in os.listdir(f"/proc/{pid}/task"):
                inode = os.stat(f"/proc/{pid}/task/{task}/ns/mnt").st_ino
                if inode != own:
                    members.setdefault(inode, {}).setdefault(pid, int(task))
    found = []
    for threads in members.values():
        for pid, thread in threads.items():
            try:
                table = mounts.mounts(f"{pid}/task/{thread}")
            except OSError:
                continue  # it ended while we looked: another one may tell
            found.append(Namespace(tuple(sorted(threads.items())), tuple(table)))
            break
    return found


def waits_for(pid: int, path: str) -> bool:
    """Whether a program that was given the path as an argument waits inside the kernel, where no signal
    reaches it: state D of proc_pid_stat(5)."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(path) in words[1:] and (_stat(pid) or [b""])[0] == b"D"


# -- what cannot be seen -----------------------------------------------------------------------------


def is_kernel_thread(pid: int) -> bool:
    """Whether it is a thread of the kernel, which uses no files of anybody."""
    return bool(int((_stat(pid) or [b"0"] * 9)[6]) & _KERNEL_THREAD)


def hides_processes() -> bool:
    """Whether /proc shows this user none but their own processes: ``hidepid`` of proc(5)."""
    if os.geteuid() == 0:
        return False
    options = [line.split(b" - ")[-1] for line in Path("/proc/self/mountinfo").read_bytes().splitlines()]
    values = [
        word.partition(b"=")[2]
        for line in options
        if line.startswith(b"proc ")
        for word in line.split()[-1].split(b",")
        if word.startswith(b"hidepid=")
    ]
    return any(value not in (b"0", b"off") for value in values)


def in_container() -> bool:
    """Whether processes outside of our process namespace cannot be seen: pid_namespaces(7)."""
    return os.stat("/proc/self/ns/pid").st_ino != _FIRST_NAMESPACE


# -- ending ------------------------------------------------------------------------------------------


def _stat(pid: int) -> list[bytes] | None:
    """The fields of proc_pid_stat(5) from the third one on."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None


def lineage() -> frozenset[int]:
    """This process and all that it descends from: the shell that it was started in, sudo, init."""
    found = {1}
    pid = os.getpid()
    while pid > 1:
        found.add(pid)
        fields = _stat(pid)
        pid = int(fields[1]) if fields else 0
    return frozenset(found)


def watch(process: host.Process) -> int | None:
    """A descriptor that becomes readable when that very process ends; None when it has: pidfd_open(2)."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        return None
    if host.runs(process.pid, process.started):
        return descriptor
    os.close(descriptor)
    return None


def send(process: host.Process, number: signal.Signals, still: Callable[[], bool]) -> bool:
    """Send a signal to that very process if `still` says that it is to get it; whether it was sent.

    The descriptor keeps the process number from being given to another process meanwhile. Never to
    ourselves, to what we descend from, or to init.
    """
    descriptor = None if process.pid in lineage() else watch(process)
    if descriptor is None:
        return False
    try:
        if not still():
            return False
        signal.pidfd_send_signal(descriptor, number)
    except (PermissionError, ProcessLookupError):
        return False
    finally:
        os.close(descriptor)
    return True


def sees(pid: int, target: Target) -> bool:
    """Whether a process lives in another mount namespace than the caller, in which the target is mounted."""
    own = os.stat("/proc/thread-self/ns/mnt").st_ino
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            witness = f"{pid}/task/{task}"
            if os.stat(f"/proc/{witness}/ns/mnt").st_ino != own:
                return any(mount.device in target.devices for mount in mounts.mounts(witness))
    return False
