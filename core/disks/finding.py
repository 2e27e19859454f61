"""The disks that lie about on this host: image files and block devices, found without any other program."""

import os
import re
import stat
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core import loops
from core.disks.formats import FORMATS, RAW, SUFFIXES, Format, has_table
from core.disks.header import LARGEST, Source
from core.disks.model import SECTOR, Holder, Identity
from core.disks.packed import may_be_packed_disk, packing
from core.disks.usage import Usage, identity
from core.errors import SalvageError
from core.undo.mappings import PREFIX

USUAL_FOLDERS = tuple(
    Path(name)
    for name in (
        "/var/lib/libvirt/images",
        "/var/lib/vz/images",
        "/var/lib/nova/instances",
        "/var/lib/incus/storage-pools",
        "/var/lib/gnome-boxes/images",
        "/var/lib/xen/images",
        "/srv/vm",
        "/srv/images",
        "~/.local/share/libvirt/images",
        "~/.local/share/gnome-boxes/images",
        "~/VirtualBox VMs",
        "~/vmware",
    )
)
"""Where the usual programs keep the disks of virtual machines."""

_DEEPEST = 6
_SMALLEST = 64 << 10
"""Bytes below which a file without a telling name is not looked into."""
_START = 4096
_SYSFS = Path("/sys/block")
_DEV = Path("/dev")
_PART_OF_VMDK = re.compile(r"-(flat|delta|ctk|sesparse|[fs]\d{3})\.vmdk$", re.IGNORECASE)
_NOT_DISKS = re.compile(r"^(ram|zram|nbd|fd)\d+$")
"""Whether a floppy lies in its drive is only known to who starts its motor, so floppies have to be named."""
_NO_DISC = 0x1FFFFF
"""Sectors of a CD drive without a readable disc, in the kernel: get_sectorsize(), drivers/scsi/sr.c."""


@dataclass(frozen=True, slots=True)
class Found:
    """A disk that could be opened. Sizes in bytes, `mtime` in seconds since the epoch."""

    path: Path
    format: str | None
    """None where the header may not be read or is damaged."""
    size: int
    """What it takes on the host; a block device's own size."""
    virtual_size: int | None
    """As the first bytes of the header say; a list does not read the tables behind them."""
    mtime: float
    kind: Literal["image", "lv", "block"]
    identity: Identity = (0, 0)
    """See `core.disks.usage.identity`."""
    held_by: tuple[Holder, ...] = ()
    vm: str = ""
    """The machine that has it as a disk; empty where none is known."""

    def to_json(self) -> dict[str, Any]:
        """The disk as `list --json` shows it."""
        return {
            "path": str(self.path),
            "format": self.format,
            "kind": self.kind,
            "virtual_size": self.virtual_size,
            "actual_size": self.size,
            "size": self.size,
            "mtime": self.mtime,
            "changed": self.mtime,
            "held_by": [holder.to_json() for holder in self.held_by],
            "vm": self.vm or None,
        }


def find_disks(
    folders: Sequence[Path], skipped: list[Path] | None = None, usage: Usage | None = None
) -> Iterator[Found]:
    """The image files under the folders, then the block devices of the host.

    Looks at names and the first bytes, so thousands of files are no burden; symbolic links to folders are
    not followed, each file is told once. What could not be looked at is added to `skipped`. With `usage`
    each has who holds it.
    """
    lost = skipped if skipped is not None else []
    usage = usage or Usage()
    seen: set[Identity] = set()
    for folder in folders:
        yield from _under(folder.expanduser(), 0, seen, lost, usage)
    yield from block_devices(lost, usage)


def disk_at(path: Path, usage: Usage) -> Found | None:
    """The disk at a path that somebody named; None where there is no file and no block device."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    if stat.S_ISREG(status.st_mode):
        return _image(path, status, [], usage, wanted=True)
    if stat.S_ISBLK(status.st_mode):
        sysfs = Path(f"/sys/dev/block/{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}")
        return _block_device(path, sysfs, usage)
    return None


def _under(folder: Path, depth: int, seen: set[Identity], lost: list[Path], usage: Usage) -> Iterator[Found]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError:
        lost.append(folder)
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                if depth < _DEEPEST:
                    yield from _under(Path(entry.path), depth + 1, seen, lost, usage)
                continue
            status = entry.stat()
        except OSError:
            continue  # a link that leads nowhere
        if not stat.S_ISREG(status.st_mode) or identity(status) in seen:
            continue
        seen.add(identity(status))
        found = _image(Path(entry.path), status, lost, usage)
        if found:
            yield found


def _image(
    path: Path, status: os.stat_result, lost: list[Path], usage: Usage, *, wanted: bool = False
) -> Found | None:
    """The image at a path, if it is one; with `wanted` whatever is there."""
    named = wanted or path.suffix.lower() in SUFFIXES or may_be_packed_disk(path.name)
    too_small = status.st_size < (SECTOR // 2 if named else _SMALLEST)
    if not wanted and (too_small or _PART_OF_VMDK.search(path.name)):
        return None
    format: str | None = None
    virtual: int | None = None
    try:
        with Source(path) as source:
            kind = packing(source) if named else None
            if kind:
                at = identity(status)
                holders = usage.holders(path, at)
                return Found(path, kind, status.st_blocks * 512, None, status.st_mtime, "image", at, holders)
            known = _recognised(source)
            if known is None and not named and not has_table(source):
                return None
            format = known.name if known else RAW
            virtual = _virtual_size(known, source) if known else status.st_size
    except SalvageError:
        if not named:
            return None
        lost.append(path)
    at = identity(status)
    holders = usage.holders(path, at)
    return Found(path, format, status.st_blocks * 512, virtual, status.st_mtime, "image", at, holders)


def _recognised(source: Source) -> Format | None:
    """The format of an image by its first block, and by its last where that says nothing."""
    os.posix_fadvise(source.fd, 0, 0, os.POSIX_FADV_RANDOM)  # nothing but these blocks is to be fetched
    start = source.some(0, _START)
    return next((known for known in FORMATS if known.matches(start, source)), None)


def _virtual_size(known: Format, source: Source) -> int:
    """Bytes of the disk. The tables of a qcow2 image are left alone: to walk them takes most of the time."""
    head = source.some(0, 32) if known.name == "qcow2" else b""
    if len(head) == 32:
        _magic, version, cluster_bits, virtual = struct.unpack_from(">II12xIQ", head)
        if version in (2, 3) and 9 <= cluster_bits <= 21 and virtual < LARGEST:
            return int(virtual)
    return known.parse(source).virtual_size


def block_devices(skipped: list[Path] | None = None, usage: Usage | None = None) -> Iterator[Found]:
    """The whole disks, logical volumes, arrays and CDs of the host, from sysfs; needs no right to read."""
    for sysfs in sorted(_SYSFS.iterdir()):
        if _NOT_DISKS.match(sysfs.name) or (sysfs.name.startswith("loop") and not _foreign_loop(sysfs)):
            continue
        path = _DEV / sysfs.name.replace("!", "/")
        try:
            mapped = sysfs / "dm/name"
            if mapped.exists() and mapped.read_text().startswith(PREFIX):
                continue  # put up by a session of this program
            if mapped.exists():
                path = Path("/dev/mapper") / mapped.read_text().strip()
            found = _block_device(path, sysfs, usage or Usage())
        except OSError:
            found = None
        if found is None:
            if skipped is not None:
                skipped.append(path)
        elif found.size:
            yield found


def _block_device(path: Path, sysfs: Path, usage: Usage) -> Found | None:
    """A block device by what the kernel knows of it; None when it went away."""
    try:
        length = int((sysfs / "size").read_text()) * SECTOR  # always in 512 bytes, whatever the medium
        status = path.stat()
        uuid = sysfs / "dm/uuid"
        is_volume = uuid.exists() and uuid.read_text().startswith("LVM-")
    except OSError:
        return None
    if sysfs.name.startswith("sr") and length == _NO_DISC * SECTOR:
        length = 0
    at = identity(status)
    holders = usage.holders(path, at) if length else ()
    kind: Literal["lv", "block"] = "lv" if is_volume else "block"
    return Found(path, RAW, length, length, status.st_mtime, kind, at, holders)


def _foreign_loop(sysfs: Path) -> bool:
    """Whether somebody else bound this loop: ours are read-only and free themselves."""
    if not (sysfs / "loop/backing_file").exists():
        return False
    bound = loops.loop(f"/dev/{sysfs.name}")
    return bound is None or not (bound.read_only and bound.autoclear)
