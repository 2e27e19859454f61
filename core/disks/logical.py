"""Logical volumes as disks: by what name LVM knows a device, and how a snapshot of it is backed up."""

import os
from pathlib import Path

from core.lvm import unmapped
from core.text import quoted

_SYS = Path("/sys/dev/block")


def logical_volume(path: Path) -> str:
    """``VG/LV`` where a path is the device of a logical volume; empty for all else.

    Its mapping has a UUID that begins with ``LVM-``; what LVM puts together below volumes has another
    hyphen in it: lib/activate/dev_manager.c of lvm2.
    """
    dm = _mapping(path)
    kind, _hyphen, rest = _read(dm / "uuid").partition("-")
    if kind != "LVM" or "-" in rest:
        return ""
    group, volume = unmapped(_read(dm / "name"))
    return f"{group}/{volume}" if group else ""


def mapping(path: Path) -> str:
    """The UUID that the device mapper knows a device by; empty for what is no mapping."""
    return _read(_mapping(path) / "uuid")


def by_snapshot(name: str) -> str:
    """The shell line that backs a logical volume up by a snapshot, for `name` as ``VG/LV``."""
    return f"virt-salvage backup --lvm-snapshot {quoted('/dev/' + name)} DEST"


def _mapping(path: Path) -> Path:
    try:
        device = os.stat(path).st_rdev
    except OSError:
        device = 0
    number = f"{os.major(device)}:{os.minor(device)}" if device else "none"
    return Path(os.path.realpath(_SYS / number)) / "dm"


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape").strip()
    except OSError:
        return ""
