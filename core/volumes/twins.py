"""The same file system twice: a clone of a disk, or of the very host that looks at it.

Nothing is ever addressed by UUID or label here, so twins are told, not mixed up. Only btrfs needs more:
its driver finds the devices of a file system by their UUID, and may serve another device than the one given.
"""

import os
import stat
from pathlib import Path

from core.errors import Refused
from core.i18n import _, enumerated
from core.text import safe
from core.volumes.model import Volume

BY_UUID = Path("/dev/disk/by-uuid")
BTRFS = Path("/sys/fs/btrfs")
NODES = Path("/sys/dev/block")


def on_host(uuid: str | None, disk: Path) -> str | None:
    """The block device of this host whose file system has that UUID too; None if there is none.

    Neither the disk counts, where it is a block device, nor what the host made of it, nor loop devices:
    they mostly show this very disk. Source: the links that udev makes.
    """
    if not uuid or "/" in uuid or "\0" in uuid or uuid in (".", ".."):
        return None
    link = BY_UUID / os.fsencode(uuid).decode("utf-8", "surrogateescape")
    if not link.is_symlink():
        return None
    device = os.path.realpath(link)
    return None if os.path.basename(device).startswith("loop") or _is_of(device, disk) else device


def _is_of(device: str, disk: Path) -> bool:
    """Whether a block device is the disk itself, or a partition, mapping or array that stands on it."""
    wanted, number = _number(disk), _number(Path(device))
    waiting = [NODES / number] if wanted and number else []
    while waiting:
        node = Path(os.path.realpath(waiting.pop()))
        if (node / "dev").exists() and (node / "dev").read_text().strip() == wanted:
            return True
        waiting += [*node.glob("slaves/*"), *([node.parent] if (node / "partition").exists() else [])]
    return False


def _number(path: Path) -> str:
    """The number of the block device at a path, as sysfs writes it; empty for what is none."""
    try:
        status = path.stat()
    except OSError:
        return ""
    number = status.st_rdev if stat.S_ISBLK(status.st_mode) else 0
    return f"{os.major(number)}:{os.minor(number)}" if number else ""


def told(uuid: str | None, disk: Path) -> tuple[str, ...]:
    """A sentence about a device of this host with the same UUID, beside the disk; empty if there is none."""
    device = on_host(uuid, disk)
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
                devices=safe(enumerated(sorted(mounted)))
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
