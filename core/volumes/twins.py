"""The same file system twice: a clone of a disk, or of the very host that looks at it.

Nothing is ever addressed by UUID or label here, so twins are told, not mixed up. Only btrfs needs more:
its driver finds the devices of a file system by their UUID, and may serve another device than the one given.
"""

import os
from pathlib import Path

from core.errors import Refused
from core.i18n import _
from core.text import safe
from core.volumes.model import Volume

BY_UUID = Path("/dev/disk/by-uuid")
BTRFS = Path("/sys/fs/btrfs")


def on_host(uuid: str | None) -> str | None:
    """The block device of this host whose file system has that UUID too; None if there is none.

    Loop devices do not count: they mostly show this very disk. Source: the links that udev makes.
    """
    if not uuid or "/" in uuid or "\0" in uuid or uuid in (".", ".."):
        return None
    link = BY_UUID / os.fsencode(uuid).decode("utf-8", "surrogateescape")
    if not link.is_symlink():
        return None
    device = os.path.realpath(link)
    return None if os.path.basename(device).startswith("loop") else device


def told(uuid: str | None) -> tuple[str, ...]:
    """A sentence about a device of this host with the same UUID; empty if there is none."""
    device = on_host(uuid)
    if device is None:
        return ()
    return (
        _(
            "Its UUID is that of {device} of this host too: one is a copy of the other."
            " Never mount it by UUID; virt-salvage does not."
        ).format(device=safe(device)),
    )


def refuse_btrfs_twin(volume: Volume) -> None:
    """Raise Refused where the kernel would take a btrfs for another one that is mounted already.

    Since Linux 6.7 it tells twins of one device each apart (fs/btrfs/volumes.c, find_fsid_by_device).
    """
    if volume.content != "btrfs" or not volume.uuid:
        return
    apart = (BTRFS / "features" / "temp_fsid").exists() and volume.members == 1
    mounted = _devices(volume.uuid)
    if mounted and not apart:
        raise Refused(
            _("A btrfs with the same UUID is mounted on this host already, from {devices}.").format(
                devices=safe(", ".join(sorted(mounted)))
            ),
            _("This kernel tells the two apart by their UUID only, and could show the other one's files."),
            _("Unmount that one first, or open this disk on another host; `virt-salvage backup` copies it."),
        )


def tries(volume: Volume) -> int:
    """How often a mount of the volume is worth trying.

    Beside a mounted twin Linux 6.18 at times takes the device for one that was there before, refuses
    ("superblock fsid doesn't match fsid of fs_devices"), and has forgotten that one at the next try.
    """
    return 2 if volume.content == "btrfs" and volume.uuid and _devices(volume.uuid) else 1


def refuse_other_btrfs(volume: Volume, device: str) -> None:
    """Raise Refused where the kernel has mounted a btrfs not just from `device`, which it was given."""
    name = os.path.basename(os.path.realpath(device))
    if volume.content != "btrfs" or not BTRFS.is_dir():
        return
    for folder in BTRFS.iterdir():
        devices = _devices(folder.name)
        if name in devices:
            if devices == {name}:
                return
            break
    raise Refused(
        _("The kernel took other devices of this host for parts of this btrfs."),
        _("What it shows may not be what is on this disk, so it was taken down again."),
        _("Open the disk on another host, or in a virtual machine; `virt-salvage backup` copies it."),
    )


def _devices(fsid: str) -> set[str]:
    """The block devices that a mounted btrfs stands on, by their kernel names."""
    folder = BTRFS / fsid / "devices"
    return {one.name for one in folder.iterdir()} if "/" not in fsid and folder.is_dir() else set()
