"""Pieces of a disk as one file, put together by QEMU where the kernel has no device mapper.

A VMDK of the kind that VMware splits names the pieces of a disk in a small text, each with a file and an
offset in it; what lies on this disk already is shown in one piece by a text of our own. Nothing is copied.
Source: VMware's "Virtual Disk Format 5.0", and QEMU's block/vmdk.c (vmdk_parse_extents).
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.command import Command
from core.disks.export import MALLOC
from core.disks.view import View
from core.i18n import _
from core.undo.daemons import serve, tied
from core.undo.stack import Stack

MOST = 400
"""Pieces: QEMU opens the disk once for each, and a process may have 1024 files open."""
_SECTOR = 512
_HEAD = """\
# Disk DescriptorFile
version=1
CID=fffffffe
parentCID=ffffffff
createType="twoGbMaxExtentFlat"
"""
_SCRIPT = 'printf %s "$2" >"$1"; touch "$3"; shift 3; while [ $# -gt 0 ]; do ln -s "$1" "$2"; shift 2; done'
_WRITE = ("sh", "-c", _SCRIPT, "sh")


@dataclass(frozen=True, slots=True)
class Piece:
    """`size` bytes of a file from `offset`, at byte `start` of the whole; what is between reads as zeros."""

    path: Path
    offset: int
    size: int
    start: int


def pieces_of(view: View, places: Sequence[tuple[int, int]]) -> list[Piece]:
    """Places in a view (offset and size in bytes) one behind the other."""
    found, at = [], 0
    for offset, size in places:
        found.append(Piece(view.path, offset, size, at))
        at += size
    return found


def show(
    stack: Stack, pieces: Sequence[Piece], folder: Path, title: str, *, on: tuple[str, ...], tie: bool
) -> View:
    """The pieces as one file in the session's `folder`, which stands on the targets `on`.

    With `tie` the daemon that shows it dies with this program. Raises SalvageError when it cannot start.
    """
    number = stack.number
    path, text = folder / f"joined-{number}.raw", folder / f"joined-{number}.vmdk"
    files = {one: f"joined-{number}.disk{at}" for at, one in enumerate(dict.fromkeys(p.path for p in pieces))}
    lines, at = [], 0
    for one in pieces:
        if one.start > at:
            lines.append(f"RW {(one.start - at) // _SECTOR} ZERO\n")
        lines.append(f'RW {one.size // _SECTOR} FLAT "{files[one.path]}" {one.offset // _SECTOR}\n')
        at = one.start + one.size // _SECTOR * _SECTOR
    links = [word for file, name in files.items() for word in (str(file), str(folder / name))]
    make = Command(
        (*_WRITE, str(text), _HEAD + "".join(lines), str(path), *links),
        why=_("Describe where the pieces of {volume} lie.").format(volume=title),
        effect=_("small files in the state folder"),
    )
    stack.runner.run(make)
    node = {
        "node-name": "volume",
        "driver": "vmdk",
        "read-only": True,
        "file": {"driver": "file", "filename": str(text), "read-only": True},
    }
    return export(stack, node, path, at, title, on=on, tie=tie)


def export(
    stack: Stack,
    node: dict[str, object],
    path: Path,
    size: int,
    title: str,
    *,
    on: tuple[str, ...],
    tie: bool,
    secrets: Sequence[str] = (),
    pass_fds: tuple[int, ...] = (),
    writable: bool = False,
) -> View:
    """Show a node of QEMU as the file `path`, which is there; `writable` only over an overlay."""
    switch = "on" if writable else "off"
    place = str(path).replace(",", ",,")
    argv = (
        *("qemu-storage-daemon", *secrets, "--blockdev", json.dumps(node), "--export"),
        f"type=fuse,id=view,node-name=volume,mountpoint={place},writable={switch}",
    )
    command = Command(
        tied(argv, tie),
        why=_("Show the bytes of {volume} as one file, without converting them.").format(volume=title),
        effect=_("a daemon that serves one file"),
        captures="VOLUME",
        background=True,
        environment=MALLOC,
        limits=None,
    )
    serve(
        stack,
        "fuse-export",
        command,
        path,
        path.with_suffix(".log"),
        argument=f"mountpoint={place},",
        on=on,
        ends_with="kill",
        pass_fds=pass_fds,
    )
    return View(Path(os.path.abspath(path)), size, writable, on=(str(path),))
