"""The loop devices of the host, as the kernel knows them: sysfs and LOOP_GET_STATUS64, see loop(4)."""

import errno
import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path

_SYS_BLOCK = Path("/sys/block")
_LOOP_GET_STATUS64 = 0x4C05
_LOOP_CHANGE_FD = 0x4C06
# struct loop_info64 of linux/loop.h: five u64, four u32, 64 + 64 + 32 bytes of names, two u64
_STATUS = struct.Struct("=5Q4I64s64s32s2Q")


@dataclass(frozen=True, slots=True)
class Loop:
    """A bound loop device. `offset` and `size_limit` are in bytes; 0 as size limit means none."""

    path: str
    device: str
    """Major and minor number as ``7:0``."""
    backing: str
    """As the kernel names it: not more than ``/`` when its mount is in another namespace."""
    offset: int
    size_limit: int
    read_only: bool
    autoclear: bool
    sequence: int
    """The kernel's number of this attachment: never used twice until the next boot. 0: unknown."""


def sequence(name: str) -> int:
    """The diskseq of a block device, 0 where the kernel has none (before Linux 5.15)."""
    return int(_read(_SYS_BLOCK / name / "diskseq") or 0)


def highest_sequence() -> int:
    """The diskseq of the device that was attached last: a later one belongs to what comes after."""
    return max((sequence(folder.name) for folder in _SYS_BLOCK.iterdir()), default=0)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape").rstrip("\n")
    except OSError:
        return ""  # the device went away while we looked


def loop(path: str) -> Loop | None:
    """The loop device at `path`; None when nothing is bound to it."""
    name = os.path.basename(path)
    sysfs = _SYS_BLOCK / name
    bound = sysfs / "loop"
    if not bound.is_dir():
        return None
    return Loop(
        f"/dev/{name}",
        _read(sysfs / "dev"),
        _read(bound / "backing_file"),
        int(_read(bound / "offset") or 0),
        int(_read(bound / "sizelimit") or 0),
        _read(sysfs / "ro") == "1",
        _read(bound / "autoclear") == "1",
        sequence(name),
    )


def backing_identity(path: str) -> tuple[int, int] | None:
    """Device and inode of the file behind a loop device; None when nobody can tell.

    The kernel asks the file's own file system (drivers/block/loop.c, loop_get_status): a FUSE mount
    whose daemon is dead does not answer, and one that hangs hangs the caller. So only ask it of a
    device that all the rest speaks for, never of somebody else's.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        raw = fcntl.ioctl(descriptor, _LOOP_GET_STATUS64, bytes(_STATUS.size))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    device, inode, *_more = _STATUS.unpack(raw)
    return device, inode


def change_file(path: str, descriptor: int) -> bool:
    """Let a read-only loop device read from an open file in the place of its own, which must be as long.

    The device holds that open file, with the locks on it, until it is detached: loop(4), LOOP_CHANGE_FD. Its
    diskseq is another from then on. False where the kernel does not do it.
    """
    try:
        loop = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.ioctl(loop, _LOOP_CHANGE_FD, descriptor)
    except OSError:
        return False
    finally:
        os.close(loop)
    return True


def loops() -> list[Loop]:
    """All bound loop devices."""
    names = sorted(folder.name for folder in _SYS_BLOCK.glob("loop*") if (folder / "loop").is_dir())
    return [found for name in names if (found := loop(f"/dev/{name}"))]


def holders(path: str) -> list[str]:
    """The block devices that stand on a loop device, such as ``dm-0``."""
    folder = _SYS_BLOCK / os.path.basename(path) / "holders"
    return sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []


def node_sequence(path: str) -> int:
    """The kernel's number of what is attached at a block device's path now; 0 where it has none."""
    return sequence(os.path.basename(os.path.realpath(path)))


def claimed(path: str, attached: int) -> bool:
    """Whether a file system, also one out of sight, or another holder claims what was `attached` there.

    The kernel lets nobody open a block device exclusively that is claimed: open(2), O_EXCL.
    """
    if node_sequence(path) != attached:
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        return error.errno == errno.EBUSY
    os.close(descriptor)
    return False


def mapping_names() -> list[str]:
    """The names of all device-mapper devices of the host, from sysfs."""
    return sorted(_read(place) for place in _SYS_BLOCK.glob("dm-*/dm/name"))
