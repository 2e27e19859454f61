"""The headers of VirtualBox's VDI, and what differs in one from its parent.

Facts from QEMU's block/vdi.c and VirtualBox's VDICore.h; numbers are little-endian. A difference names its
parent by a UUID only: the definition of the machine knows where that lies.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from core.disks.header import Header, Reference, Source, cut_short
from core.disks.model import SECTOR
from core.disks.stretches import ZEROS, Stretch
from core.errors import SalvageError
from core.i18n import _
from core.text import safe

VDI = b"\x7f\x10\xda\xbe"
VDI_AT = 0x40

_BLOCK = 1 << 20
_STATIC, _DIFFERENCE = 2, 4
_IMAGE, _STATE, _PARENT, _PARENT_STATE = 0x188, 0x198, 0x1A8, 0x1B8
"""Where its own UUID stands, that of its last change, and both of its parent."""
_UNUSED, _ZERO = 0xFFFFFFFF, 0xFFFFFFFE
_MOST_NAMES = 2000
"""Files of a folder that are looked at for the parent."""


def parse_vdi(source: Source) -> Header:
    """Read the header; raises `Damaged` for what cannot be."""
    head = source.exactly(0, SECTOR, _("the header"))
    (version,) = struct.unpack_from("<I", head, 0x44)
    (kind,) = struct.unpack_from("<I", head, 0x4C)
    table, data = struct.unpack_from("<II", head, 0x154)
    (sector,) = struct.unpack_from("<I", head, 0x168)
    virtual_size, block, _extra, blocks, used = struct.unpack_from("<QIIII", head, 0x170)
    if version != 0x00010001:
        raise source.damaged(
            _("version {number} is unknown").format(number=f"{version >> 16}.{version & 65535}")
        )
    if table % SECTOR or data % SECTOR or sector != SECTOR or block != _BLOCK:
        raise source.damaged(_("blocks of {count} bytes").format(count=block))
    if not 0 < virtual_size <= blocks * block or blocks > 0x3FFFFFFF:
        raise source.damaged(_("a virtual size of {count} bytes").format(count=virtual_size))
    if table + blocks * 4 > source.size:
        raise source.beyond(_("the block table"), table + blocks * 4)
    problems = []
    needed = data + (blocks if kind == _STATIC else min(used, blocks)) * block
    if needed > source.size:
        problems.append(cut_short(needed, source.size))
    parent = head[_PARENT : _PARENT + 16]
    rounded = -(-virtual_size // SECTOR) * SECTOR
    identity = head[_IMAGE : _IMAGE + 16].hex()
    if any(parent):
        name, changed = _parent(source, parent, head[_PARENT_STATE : _PARENT_STATE + 16])
        if changed:
            problems.append(
                _(
                    "{path} was written to after {image} was made from it: what it shows may be damaged."
                ).format(path=safe(name), image=safe(source.path.name))
            )
        return Header(
            "vdi",
            rounded,
            (Reference("backing", name, "vdi"),),
            problems=tuple(problems),
            reader="vdi",
            identity=identity,
            parent=parent.hex(),
        )
    blocked = ""
    if kind not in (1, 2):
        blocked = _("QEMU reads only dynamic and static VDI images; this is of kind {kind}.").format(
            kind=kind
        )
    return Header("vdi", rounded, problems=tuple(problems), blocked=blocked, identity=identity)


def _parent(source: Source, wanted: bytes, state: bytes) -> tuple[str, bool]:
    """Where the image with that UUID lies, as it counts from this one, and whether it changed since.

    VirtualBox keeps a difference in a folder of snapshots beside the disk, under its UUID.
    """
    own = source.path.parent
    for folder, start in ((own, ""), (own.parent, "../")):
        for path in _images(folder):
            known = _uuids(path)
            if known and known[0] == wanted and path.name != source.path.name:
                return start + path.name, bool(any(state) and known[1] != state)
    return f"{{{UUID(bytes_le=wanted)}}}.vdi", False


def _images(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as listing:
            names = [one.name for one, _number in zip(listing, range(_MOST_NAMES), strict=False)]
    except OSError:
        return []
    return sorted(folder / name for name in names if name.lower().endswith(".vdi"))


def _uuids(path: Path) -> tuple[bytes, bytes] | None:
    """The UUIDs of an image and of its last change; None for what is no VDI."""
    try:
        with Source(path) as other:
            head = other.some(0, SECTOR)
    except SalvageError:
        return None
    if head[VDI_AT : VDI_AT + 4] != VDI or len(head) < SECTOR:
        return None
    return head[_IMAGE : _IMAGE + 16], head[_STATE : _STATE + 16]


class VdiReader:
    """Where each stretch of a difference lies: whole blocks are its own, or its parent's."""

    def __init__(self, source: Source) -> None:
        self.size = parse_vdi(source).virtual_size
        head = source.exactly(0, SECTOR, "the header")
        self._source = source
        self._table, self._data = struct.unpack_from("<II", head, 0x154)
        (self._blocks,) = struct.unpack_from("<I", head, 0x180)

    def stretches(self, start: int, end: int) -> Iterator[Stretch]:
        """What lies between two bytes of the disk, in order."""
        at = start
        while at < end:
            number, inside = divmod(at, _BLOCK)
            stop = min(end, (number + 1) * _BLOCK)
            place = self._place(number)
            offset: int | None = self._data + place * _BLOCK + inside
            if place in (_UNUSED, _ZERO):
                offset = None if place == _UNUSED else ZEROS
            yield Stretch(stop - at, offset)
            at = stop

    def _place(self, number: int) -> int:
        """Read for each block anew: a table may be as long as the file, and is looked at once in a MiB."""
        entry = self._source.some(self._table + number * 4, 4) if number < self._blocks else b""
        return int.from_bytes(entry, "little") if len(entry) == 4 else _UNUSED
