"""The footers and headers of Microsoft's VHD, which QEMU calls vpc.

Facts from Microsoft's "Virtual Hard Disk Image Format Specification" and QEMU's block/vpc.c; numbers
are big-endian.
"""

import struct
from collections.abc import Iterator
from pathlib import PureWindowsPath

from core.disks.header import LARGEST, MOST, Header, Reference, Source, cut_short
from core.disks.model import SECTOR
from core.disks.stretches import Stretch
from core.i18n import _

COOKIE = b"conectix"
FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4
_UNUSED = 0xFFFFFFFF
_LONGEST_NAME = 2048

_LARGEST_GEOMETRY = 65535 * 16 * 255
_SIZE_IN_FOOTER = frozenset({b"win ", b"qem2", b"d2v ", b"tap\0", b"CTXS", b"wa\0\0"})
"""Writers whose disks are as long as the footer says, not as the geometry says (QEMU's table)."""


def has_fixed_footer(source: Source) -> bool:
    """Whether the file ends in the footer of a VHD of fixed size that fits the file's length."""
    footer = source.some(source.size - SECTOR, SECTOR) if source.size > SECTOR else b""
    if footer[:8] != COOKIE or len(footer) < SECTOR:
        return False
    (length,) = struct.unpack_from(">Q", footer, 48)
    (kind,) = struct.unpack_from(">I", footer, 60)
    return bool(kind == FIXED and 0 < length <= source.size - SECTOR)


def parse_fixed(source: Source) -> Header:
    """Read the footer of a VHD of fixed size: the disk itself, then 512 bytes."""
    footer = source.exactly(source.size - SECTOR, SECTOR, _("the footer"))
    (length,) = struct.unpack_from(">Q", footer, 48)
    if length % SECTOR:
        raise source.damaged(_("a virtual size of {count} bytes").format(count=length))
    return Header(
        "vpc", length, problems=tuple(_checksum_problem(footer)), window=length, identity=footer[68:84].hex()
    )


def parse(source: Source) -> Header:
    """Read a VHD that begins with a copy of its footer: the dynamic and differencing kinds."""
    footer = source.exactly(0, SECTOR, _("the header"))
    (place,) = struct.unpack_from(">Q", footer, 16)
    (current,) = struct.unpack_from(">Q", footer, 48)
    cylinders, heads, sectors, kind = struct.unpack_from(">HBBI", footer, 56)
    if kind == FIXED:
        return parse_fixed(source)
    if kind not in (DYNAMIC, DIFFERENCING):
        raise source.damaged(_("disk type {number} is unknown").format(number=kind))
    dynamic = source.exactly(place, 1024, _("the dynamic header"))
    if dynamic[:8] != b"cxsparse":
        raise source.damaged(_("the dynamic header is missing"))
    (table,) = struct.unpack_from(">Q", dynamic, 16)
    entries, block = struct.unpack_from(">II", dynamic, 28)
    geometry = cylinders * heads * sectors
    virtual_size = geometry * SECTOR
    if footer[28:32] in _SIZE_IN_FOOTER or geometry >= _LARGEST_GEOMETRY or not geometry:
        virtual_size = current // SECTOR * SECTOR
    _check(source, virtual_size, entries, block)
    problems = _checksum_problem(footer)
    needed = _needed_end(source, table, entries, block)
    blocked = way_out = ""
    if kind == DIFFERENCING:
        if needed > source.size:
            problems.append(cut_short(needed, source.size))
        return Header(
            "vpc",
            virtual_size,
            (Reference("backing", _parent(source, dynamic), "vpc"),),
            problems=tuple(problems),
            reader="vhd",
            identity=footer[68:84].hex(),
            parent=dynamic[40:56].hex(),
        )
    if needed > source.size:
        problems.append(cut_short(needed, source.size))
        blocked = _("QEMU opens no dynamic VHD that is cut short: {missing} bytes are missing.").format(
            missing=needed - source.size
        )
        way_out = _("Make a byte copy of it and lengthen the copy: truncate --size={needed} COPY.").format(
            needed=needed
        )
    return Header(
        "vpc",
        virtual_size,
        problems=tuple(problems),
        blocked=blocked,
        way_out=way_out,
        identity=footer[68:84].hex(),
    )


def _parent(source: Source, dynamic: bytes) -> str:
    """The parent's path as it counts from the image: a relative locator, else its bare name.

    The locators are entries of 24 bytes at 576; an absolute path is one of the host that made it.
    """
    for at in range(576, 768, 24):
        code, _space, length, _reserved, offset = struct.unpack_from(">4sIIIQ", dynamic, at)
        if code == b"W2ru" and 0 < length <= _LONGEST_NAME:
            relative = source.some(offset, length).decode("utf-16-le", "replace").rstrip("\0")
            path = PureWindowsPath(relative)
            if relative and not path.anchor:
                return path.as_posix()
    name = dynamic[64:576].decode("utf-16-be", "replace").split("\0", 1)[0]
    return PureWindowsPath(name).name or name


class DifferenceReader:
    """Where each stretch of a differencing disk lies: a bitmap before each block tells what is in it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.size = parse(source).virtual_size
        (place,) = struct.unpack_from(">Q", source.exactly(0, SECTOR, "the header"), 16)
        dynamic = source.exactly(place, 1024, "the dynamic header")
        (table,) = struct.unpack_from(">Q", dynamic, 16)
        entries, self._block = struct.unpack_from(">II", dynamic, 28)
        data = b"".join(
            source.some(table + at, min(MOST, entries * 4 - at)) for at in range(0, entries * 4, MOST)
        )
        self._places = struct.unpack(f">{len(data) // 4}I", data[: len(data) // 4 * 4])
        self._bitmap = -(-(self._block // SECTOR // 8) // SECTOR) * SECTOR

    def stretches(self, start: int, end: int) -> Iterator[Stretch]:
        """What lies between two bytes of the disk, in order."""
        at = start
        while at < end:
            number = at // self._block
            stop = min(end, (number + 1) * self._block)
            place = self._places[number] if number < len(self._places) else _UNUSED
            if place == _UNUSED:
                yield Stretch(stop - at, None)
            else:
                yield from self._in_block(place * SECTOR, number * self._block, at, stop)
            at = stop

    def _in_block(self, place: int, begin: int, at: int, stop: int) -> Iterator[Stretch]:
        bits = self._source.some(place, self._bitmap)
        while at < stop:
            is_own = self._has(bits, (at - begin) // SECTOR)
            end = at
            while end < stop and self._has(bits, (end - begin) // SECTOR) == is_own:
                end = min(stop, (end // SECTOR + 1) * SECTOR)
            yield Stretch(end - at, place + self._bitmap + at - begin if is_own else None)
            at = end

    @staticmethod
    def _has(bits: bytes, number: int) -> bool:
        return number // 8 < len(bits) and bool(bits[number // 8] >> (7 - number % 8) & 1)


def _check(source: Source, virtual_size: int, entries: int, block: int) -> None:
    if block < SECTOR or block & (block - 1):
        raise source.damaged(_("blocks of {count} bytes").format(count=block))
    if entries > 0x7FFFFFFF // 4:
        raise source.damaged(_("a block table of {count} entries").format(count=entries))
    if not 0 < virtual_size < LARGEST or entries * block < virtual_size:
        raise source.damaged(_("the block table is too small for the disk"))


def _checksum_problem(footer: bytes) -> list[str]:
    (stated,) = struct.unpack_from(">I", footer, 64)
    total = ~(sum(footer) - sum(footer[64:68])) & 0xFFFFFFFF
    return [] if stated == total else [_("The checksum of the VHD footer is wrong.")]


def _needed_end(source: Source, table: int, entries: int, block: int) -> int:
    """Bytes that the file must have: QEMU's free_data_block_offset."""
    length = entries * 4
    end = -(-(table + length) // SECTOR) * SECTOR
    if table + length > source.size:
        return end
    bitmap = -(-(block // SECTOR // 8) // SECTOR) * SECTOR
    data = source.some(table, min(MOST, length))  # enough for 8 TiB in the usual blocks of 2 MiB
    places = struct.unpack(f">{len(data) // 4}I", data[: len(data) // 4 * 4])
    highest = max((place for place in places if place != 0xFFFFFFFF), default=0)
    return max(end, highest * SECTOR + bitmap + block) if highest else end
