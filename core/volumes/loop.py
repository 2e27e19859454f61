"""A volume as a block device: a loop device with offset and size limit, see losetup(8).

What else on the host may see the device cannot harm the disk, so nothing of the host is changed against it:
the loop is read-only in the kernel itself, or its writes land in an overlay; no partitions are scanned, and
only a volume with a file system is attached, never a member of LVM or of an array that udev would put
together. systemd's lock against probing (BSD flock on the whole device, systemd.io/BLOCK_DEVICE_LOCKING) is
not taken: it ends with the program that holds it, and a mount that is kept outlives this one. A desktop that
mounts the device too is found out when it is taken down, and named.
"""

import os
from dataclasses import dataclass

from core import loops
from core.command import Command
from core.disks.view import View
from core.errors import NeedsRoot
from core.i18n import _
from core.runner import Result
from core.undo.pairs import LoopKind, Pair
from core.undo.settings import SettingKind
from core.undo.stack import Stack
from core.volumes.model import Volume

PIECE = 64 << 10
"""Bytes of one request: what a FUSE server takes at once is 128 KiB or more, page borders included."""


@dataclass(frozen=True, slots=True)
class Device:
    """A block device that shows one volume, and what of the undo stack it stands on."""

    path: str
    on: tuple[str, ...]


def attach(stack: Stack, view: View, volume: Volume) -> Device:
    """Attach the volume to a free loop device.

    Read-only unless the view itself is an overlay. The size limit keeps what reads it inside the
    volume. Raises NeedsRoot for an ordinary user.
    """
    return attach_bytes(stack, view, volume.offset, volume.size, _sum(volume))


def attach_bytes(stack: Stack, view: View, offset: int, size: int, why: str) -> Device:
    """Attach `size` bytes of the view from `offset` to a free loop device; see `attach`."""
    argv = ["losetup", "--find", "--show"]
    if not view.writable:
        argv.append("--read-only")
    argv += ["--offset", str(offset), "--sizelimit", str(size), str(view.path)]
    command = Command(
        tuple(argv),
        why=why,
        effect=_("one loop device is taken"),
        captures="LOOP",
    )
    pair = Pair(
        "loop",
        command,
        "",
        view.on,
        facts=lambda: LoopKind.facts(view.path, offset, size),
    )
    return bind(stack, view, pair)


def bind(stack: Stack, view: View, pair: Pair) -> Device:
    """Put a loop device up; over the disk's own file it holds the lock of a reader as long as it is there."""

    def bound(wanted: Pair) -> Result:
        result = stack.runner.run(wanted.do)
        if view.descriptor is not None and not stack.runner.planning:
            loops.change_file(result.out.decode().strip(), view.descriptor)
        return result

    loop = stack.put_up(pair, bound)
    if view.writable:
        in_small_pieces(stack, loop)
    return Device(loop, (loop,))


def in_small_pieces(stack: Stack, loop: str) -> None:
    """Let a loop device that can be written to ask for no more than `PIECE` bytes at a time.

    The kernel cuts a longer write to an export into several (fs/fuse/file.c, fuse_perform_write). When
    the overlay is full in the midst of them, the write comes back short, and the loop driver takes a
    short write for a whole one (drivers/block/loop.c, lo_complete_rq): what was lost would not be noticed
    by anybody, not even by fsync(2). One piece is written, or is an error.
    """
    name = loop.removeprefix("/dev/")
    pair = Pair(
        "file",
        SettingKind.command(loop, str(PIECE >> 10)),
        f"/sys/block/{name}/queue/max_sectors_kb",
        (loop,),
        facts=lambda: SettingKind.facts(loop, str(PIECE >> 10)),
        planned={"device": loop, "restores": "1280"},
    )
    stack.put_up(pair)


def _sum(volume: Volume) -> str:
    part = volume.partition
    if volume.kind not in ("disk", "partition"):
        return _("Attach {volume} to a loop device.").format(volume=volume.title)
    if part is None:
        return _("Attach the whole disk to a loop device.")
    return _("Attach the partition to a loop device: it starts at {start} × {size} = {offset} bytes.").format(
        start=part.start, size=part.sector_size, offset=part.offset
    )


def release_with_mount(stack: Stack, device: str) -> None:
    """Let the kernel detach the loop device by itself as soon as nothing uses it any more.

    On a device in use, ``losetup --detach`` sets the autoclear flag: loop(4), LO_FLAGS_AUTOCLEAR.
    """
    stack.runner.run(
        Command(
            ("losetup", "--detach", device),
            why=_("The device is in use now, so this only marks it: the kernel frees it at unmount."),
            effect=_("the loop device frees itself when its mount goes"),
        )
    )


def check_rights(planning: bool) -> None:
    """Raise NeedsRoot where the user may not attach and mount; a plan needs no rights."""
    if planning or os.geteuid() == 0:
        return
    raise NeedsRoot(
        _("Attaching and mounting a volume needs root."),
        _("The disk is untouched."),
        _("Run the same command with sudo. `inspect`, `list` and `backup` work without."),
    )
