"""The programs that have a disk's files open or mapped, or were given them on their command line.

Read from /proc (proc_pid_fd(5), proc_pid_fdinfo(5)). A link of ``fd`` is read before the file behind it
is asked for anything, so that a server that is away does not stop the look.
"""

import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core import host, mounts
from core.disks import arguments
from core.disks.model import Evidence, Identity, Mode

PSEUDO = ("socket:", "pipe:", "anon_inode:", "/dev/null", "/dev/pts/", "/dev/tty", "/memfd:", "net:", "mnt:")
_O_PATH = 0o10000000
_YOUNG = 10.0
"""Seconds within which a program may not have opened yet what it was told to."""
REMOTE = ("fuse", "nfs", "cifs", "smb", "9p", "ceph", "afs")
"""File systems that somebody else serves, and that hang when that somebody does."""


@dataclass(frozen=True, slots=True)
class Targets:
    """The files and block devices of a disk by what stays the same whatever they are called."""

    files: frozenset[Identity]
    blocks: frozenset[int]
    """The numbers of block devices: the disk's own, those of its partitions, and the one it is a part of."""
    paths: frozenset[str]
    asked: tuple[str, ...] = ()
    """Where the file systems lie that have the disk's files."""
    unasked: tuple[str, ...] = ()
    """Where file systems lie that may not answer, and have none of them."""
    names: Mapping[Identity | int, str] = field(default_factory=dict)
    """What each file and device is called in the disk's own chain."""

    @classmethod
    def of(cls, paths: Sequence[Path], table: Sequence[mounts.Mount]) -> "Targets":
        files: set[Identity] = set()
        blocks: set[int] = set()
        names: dict[Identity | int, str] = {}
        for path in paths:
            try:
                at = os.stat(path)
            except OSError:
                continue  # it is gone: nobody can have it open by this name
            if stat.S_ISBLK(at.st_mode):
                family = _family(at.st_rdev)
                blocks |= family
                names |= dict.fromkeys(family, str(path))
            else:
                files.add((at.st_dev, at.st_ino))
                names[at.st_dev, at.st_ino] = str(path)
        own = {f"{os.major(device)}:{os.minor(device)}" for device, _inode in files}
        asked = tuple(mount.point for mount in table if mount.device in own)
        unasked = tuple(
            mount.point for mount in table if mount.type.startswith(REMOTE) and mount.device not in own
        )
        return cls(frozenset(files), frozenset(blocks), frozenset(map(str, paths)), asked, unasked, names)

    def may_hang(self, path: str) -> bool:
        """Whether to look at a path may hang: it lies where somebody serves files, and none of ours."""
        return _deepest(path, self.unasked) > _deepest(path, self.asked)

    def has(self, at: os.stat_result) -> bool:
        if stat.S_ISBLK(at.st_mode):
            return at.st_rdev in self.blocks
        return (at.st_dev, at.st_ino) in self.files

    def name(self, at: os.stat_result) -> str:
        """What a file is called in the disk's own chain; empty for any other."""
        return self.names.get(at.st_rdev if stat.S_ISBLK(at.st_mode) else (at.st_dev, at.st_ino), "")


def _deepest(path: str, points: Sequence[str]) -> int:
    """How long the name of the mount point is that a path lies under, of some; 0 for none."""
    return max(
        (len(one) for one in points if path == one or path.startswith(one.rstrip("/") + "/")), default=0
    )


def _family(device: int) -> set[int]:
    """A block device with its partitions, or with the whole device that it is a partition of."""
    node = Path(os.path.realpath(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"))
    nodes = [one.parent for one in node.glob("*/partition")]
    if (node / "partition").exists():
        nodes.append(node.parent)
    found = {device}
    for one in nodes:
        major, _colon, minor = _text(one / "dev").strip().partition(":")
        if minor:
            found.add(os.makedev(int(major), int(minor)))
    return found


@dataclass(frozen=True, slots=True)
class User:
    """A program that uses the disk, or was told to."""

    pid: int
    program: str
    words: tuple[str, ...]
    mode: Mode
    evidence: Evidence
    locked: frozenset[int] = frozenset()
    """The bytes that its open files have locked."""
    file: str = ""
    """The one of the disk's files that this is about; the one that it writes to, if it does."""


@dataclass(frozen=True, slots=True)
class _Opened:
    mode: Mode
    locked: frozenset[int]
    file: str


@dataclass
class Seen:
    """What a look at all programs found."""

    users: list[User] = field(default_factory=list)
    named: list[User] = field(default_factory=list)
    """Those that were given the disk by name, and do not have it open."""
    hidden: list[int] = field(default_factory=list)
    """Those whose open files may not be looked at."""
    locked: frozenset[int] = frozenset()
    """The bytes that this program itself has locked."""


def look(targets: Targets, served: Collection[int] = ()) -> Seen:
    """Look at every program but this one; those in `served` are passed over."""
    seen, own = Seen(), os.getpid()
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in served:
            continue
        pid = int(name)
        words = command_line(pid)
        blind = False
        opened: _Opened | None = None
        try:
            opened = _opened(pid, targets)
        except PermissionError:
            # A thread of the kernel has no words; a link of one that just ended is forbidden, not missing
            blind = bool(words) and host.started(pid) is not None
        if pid == own:
            seen.locked = opened.locked if opened else frozenset()
            continue
        if blind:
            seen.hidden.append(pid)
        if opened:
            mode, locked, file = opened.mode, opened.locked, opened.file
            seen.users.append(User(pid, program(pid), words, mode, "open", locked, file))
        elif arguments.is_qemu(words) and (told := _told(pid, words, targets)):
            user = User(pid, program(pid), words, told, "arguments")
            (seen.users if blind or _is_young(pid) else seen.named).append(user)
    return seen


def mapping(targets: Targets, known: Collection[int]) -> list[User]:
    """The programs, but those in `known`, that have a file mapped which they closed: proc_pid_maps(5)."""
    inodes = {b" %d " % inode for _device, inode in targets.files}
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in known or int(name) == os.getpid():
            continue
        for line in _bytes(f"/proc/{name}/maps").splitlines():
            if not any(inode in line for inode in inodes):
                continue
            place, rights = (os.fsdecode(word) for word in line.split(None, 2)[:2])
            try:
                ours = targets.has(os.stat(f"/proc/{name}/map_files/{place}"))
            except OSError:
                continue  # it was unmapped, or may not be looked at
            if ours:
                mode: Mode = "write" if rights[1] == "w" and rights[3] == "s" else "read"
                found.append(User(int(name), program(int(name)), command_line(int(name)), mode, "map"))
    best = {user.pid: user for user in sorted(found, key=lambda user: user.mode == "write")}
    return list(best.values())


# -- one program ------------------------------------------------------------------------------------


def _opened(pid: int, targets: Targets) -> _Opened | None:
    """How it has one of the files open and what it has locked; raises PermissionError where it is hidden."""
    folder = f"/proc/{pid}/fd"
    try:
        numbers = os.listdir(folder)
    except (FileNotFoundError, ProcessLookupError):
        return None  # it has ended
    files: dict[Mode, str] = {}
    locked: set[int] = set()
    for number in numbers:
        link = f"{folder}/{number}"
        try:
            path = os.readlink(link)
        except PermissionError:
            raise
        except OSError:
            continue  # it was closed meanwhile
        if path.startswith(PSEUDO) or targets.may_hang(path):
            continue
        try:
            at = os.stat(link)
        except OSError:
            continue  # it was closed meanwhile, or is nothing that can be looked at
        if targets.has(at):
            mode, bytes = _kept(pid, number)
            if mode:
                files.setdefault(mode, targets.name(at))
                locked |= bytes
    if not files:
        return None
    worst: Mode = "write" if "write" in files else "read"
    return _Opened(worst, frozenset(locked), files[worst])


def _kept(pid: int, number: str) -> tuple[Mode | None, set[int]]:
    """How a file was opened, and which of QEMU's bytes are locked by that: fdinfo."""
    mode: Mode | None = None
    locked: set[int] = set()
    for line in _bytes(f"/proc/{pid}/fdinfo/{number}").splitlines():
        if line.startswith(b"flags:"):
            flags = int(line.split()[1], 8)
            if not flags & _O_PATH:  # which only holds the name
                mode = "read" if flags & os.O_ACCMODE == os.O_RDONLY else "write"
        elif line.startswith(b"lock:") and b"OFDLCK" in line:
            first, last = line.split()[-2:]
            if first.isdigit() and last.isdigit():
                locked |= set(range(max(int(first), 100), min(int(last), 299) + 1))
    return mode, locked


def opened_as(pid: int, number: str) -> Mode | None:
    """How a program has one of its files open; None when it was closed meanwhile, or holds only the name."""
    return _kept(pid, number)[0]


def _told(pid: int, words: Sequence[str], targets: Targets) -> Mode | None:
    """What it was told to do with the disk; None when its command line does not name it."""
    modes = {one.mode for one in arguments.disks(words) if _is_named(pid, one.path, targets)}
    if not modes:
        return None
    return "write" if "write" in modes else "read"


def _is_named(pid: int, path: str, targets: Targets) -> bool:
    """Whether a path on a program's command line leads to the disk, in that program's own sight."""
    base = f"/proc/{pid}/root" if path.startswith("/") else f"/proc/{pid}/cwd"
    if targets.may_hang(path):
        return False
    for place in (f"{base}/{path.lstrip('/')}", path if path.startswith("/") else ""):
        try:
            return bool(place) and targets.has(os.stat(place))
        except OSError:
            continue  # its folder may not be looked at: by our own then
    # Of a relative name nobody may ask where it begins
    return not path.startswith("/") and any(
        one.endswith(f"/{os.path.basename(path)}") for one in targets.paths
    )


def _is_young(pid: int) -> bool:
    since = host.started(pid)
    up = float(_bytes("/proc/uptime").split()[0])
    return since is not None and up - since / os.sysconf("SC_CLK_TCK") < _YOUNG


def command_line(pid: int) -> tuple[str, ...]:
    """The words of a program's command line; empty for a thread of the kernel and what has ended."""
    data = _bytes(f"/proc/{pid}/cmdline").rstrip(b"\0")
    return tuple(map(os.fsdecode, data.split(b"\0"))) if data else ()


def program(pid: int) -> str:
    """The name of the file that runs."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)"))
    except OSError:
        return os.fsdecode(_bytes(f"/proc/{pid}/comm").strip()) or "?"


def _bytes(path: str) -> bytes:
    """What a file of /proc says; nothing when the program has ended or it is not ours to read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return b"".join(_chunks(fd))
    except OSError:
        return b""
    finally:
        os.close(fd)


def _chunks(fd: int) -> Iterator[bytes]:
    left = 16 << 20
    while left > 0 and (chunk := os.read(fd, 1 << 16)):
        left -= len(chunk)
        yield chunk


def _text(path: Path) -> str:
    return os.fsdecode(_bytes(str(path)))
