"""The slots of the kernel's network block devices, /dev/nbdN, as sysfs tells them: drivers/block/nbd.c.

A slot in use has the number of the thread that serves it in ``pid`` and its length in ``size``; a free one
has no ``pid`` and the length 0. The slots are there as soon as the module is loaded, never before.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core import host

_SYS_BLOCK = Path("/sys/block")
_SECTOR = 512
"""Bytes of what sysfs counts in, whatever the device's own sectors are."""


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _sysfs(slot: str) -> Path:
    return _SYS_BLOCK / os.path.basename(slot)


def slots() -> list[str]:
    """The paths of all slots, by number; none where the module is not loaded."""
    names = [one.name for one in _SYS_BLOCK.glob("nbd*") if one.name.removeprefix("nbd").isdigit()]
    return [f"/dev/{name}" for name in sorted(names, key=lambda name: int(name.removeprefix("nbd")))]


def is_free(slot: str) -> bool:
    """Whether nobody serves the slot."""
    return server(slot) is None and _number(_sysfs(slot) / "size") == 0


def server(slot: str) -> int | None:
    """The process that serves a slot; None when nobody does."""
    thread = _number(_sysfs(slot) / "pid")
    return None if thread is None else host.process_of(thread)


def is_connected(slot: str, pid: int) -> bool:
    """Whether the slot shows what that process serves."""
    return server(slot) == pid and bool(_number(_sysfs(slot) / "size"))


def nodes(slot: str) -> tuple[str, ...]:
    """The block devices of a slot: the whole, and the partitions that the kernel made."""
    name = os.path.basename(slot)
    return (slot, *sorted(f"/dev/{one.name}" for one in _sysfs(slot).glob(f"{name}p*")))


def partition(slot: str, number: int, offset: int, size: int) -> str:
    """The node of a partition that lies at those bytes; empty where the kernel made none there."""
    name = f"{os.path.basename(slot)}p{number}"
    place = _sysfs(slot) / name
    there = (_number(place / "start"), _number(place / "size"))
    same = there == (offset // _SECTOR, size // _SECTOR) and not (offset | size) % _SECTOR
    return f"/dev/{name}" if same and Path(f"/dev/{name}").is_block_device() else ""


def most_partitions() -> int:
    """How many partitions of a slot the kernel makes nodes for."""
    return _number(Path("/sys/module/nbd/parameters/max_part")) or 0


@contextmanager
def locked(slot: str) -> Iterator[bool]:
    """Hold the slot against others who lock it while they connect; False when one of them has it.

    The lock is flock(2) on the device, by which udev leaves it alone too: systemd.io/BLOCK_DEVICE_LOCKING.
    Programs that do not lock are kept off by the kernel, which lets a slot be connected once only.
    """
    try:
        descriptor = os.open(slot, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        yield False  # it went away with its module
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def look_for_partitions(slot: str) -> None:
    """Let the kernel read the partition table: it does when a slot is opened after it was connected."""
    os.close(os.open(slot, os.O_RDONLY | os.O_CLOEXEC))


def is_claimed(slot: str) -> bool:
    """Whether a file system or another device stands on the slot or a partition: open(2), O_EXCL."""
    for node in nodes(slot):
        try:
            os.close(os.open(node, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC | os.O_NONBLOCK))
        except OSError as error:
            if error.errno == errno.EBUSY:
                return True
    return False
