"""Logical volumes as disks: by what name LVM knows a device, and how a snapshot of it is made by hand."""

import os
from pathlib import Path

from core.text import quoted

_SYS = Path("/sys/dev/block")


def logical_volume(path: Path) -> str:
    """``VG/LV`` where a path is the device of a logical volume; empty for all else.

    The device mapper calls it ``VG-LV`` with each hyphen of the names doubled, and its UUID begins
    with ``LVM-``: lib/misc/lvm-string.c and lib/activate/dev_manager.c of lvm2.
    """
    try:
        device = os.stat(path).st_rdev
    except OSError:
        return ""
    if not device:
        return ""
    dm = Path(os.path.realpath(_SYS / f"{os.major(device)}:{os.minor(device)}")) / "dm"
    if not _read(dm / "uuid").startswith("LVM-"):
        return ""
    group, hyphen, volume = _read(dm / "name").replace("--", "\0").partition("-")
    return f"{group}/{volume}".replace("\0", "-") if hyphen else ""


def by_snapshot(name: str) -> tuple[str, ...]:
    """The shell lines that back a logical volume up by a snapshot, for `name` as ``VG/LV``."""
    snapshot = f"{name}-salvage"
    return (
        f"lvcreate --snapshot --extents 10%ORIGIN --name {quoted(snapshot.partition('/')[2])} {quoted(name)}",
        f"virt-salvage backup {quoted('/dev/' + snapshot)} DEST",
        f"lvremove --yes {quoted(snapshot)}",
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape").strip()
    except OSError:
        return ""
