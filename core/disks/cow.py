"""QEMU's and User-mode Linux's cow: a bitmap of the sectors that differ, and those sectors in their places.

QEMU dropped it in 2.2. Facts from block/cow.c of QEMU 2.1 (version 2 of the format) and from
arch/um/drivers/cow_user.c of the kernel (version 3 too); numbers are big-endian. The header of version 2 is
the memory of a C structure, so its length depends on the machine that wrote it.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from core.disks.header import LARGEST, Header, Reference, Source, cut_short, text_of
from core.disks.model import SECTOR
from core.disks.stretches import Stretch
from core.i18n import _

MAGIC = b"OOOM"

_NAME = 8
_LAYOUTS = ((1040, 1048, 1056), (1036, 1044, 1048), (4112, 4120, 4128), (4108, 4116, 4120))
"""Where size and sector size stand, and the header's length: of QEMU on 64-bit and on 32-bit machines, whose
names have up to 1024 bytes, and of User-mode Linux on both, whose names have up to 4096."""
_NAME_3, _LONGEST_NAME_3, _LENGTH_3 = 32, 4096, 4128
_LOOKED_AT = 1 << 20
_MOST_LOOKED_AT = 64 << 20
"""Bytes at the end of the bitmap that are looked at, enough for a disk of 256 GiB."""


@dataclass(frozen=True, slots=True)
class _Layout:
    size: int
    name: str
    bitmap: int
    data: int
    """Where sector 0 of the disk lies."""


def parse(source: Source) -> Header:
    """Read the header of a cow image; raises `Damaged` where a field is out of range."""
    layout = _layout(source)
    references = (Reference("backing", layout.name),) if layout.name else ()
    needed = layout.data + _last(source, layout) * SECTOR
    problems = (cut_short(needed, source.size),) if needed > source.size else ()
    return Header("cow", layout.size, references, problems=problems, reader="cow")


def _layout(source: Source) -> _Layout:
    head = source.exactly(0, _LAYOUTS[1][2], _("the header"))
    (version,) = struct.unpack_from(">I", head, 4)
    if version == 3:
        return _third(source)
    if version != 2:
        raise source.damaged(_("version {number} is unknown").format(number=version))
    head = source.some(0, max(length for _size, _sector, length in _LAYOUTS))
    for size_at, sector_at, length in _LAYOUTS:
        if len(head) < length:
            continue
        (size,) = struct.unpack_from(">Q", head, size_at)
        (sector,) = struct.unpack_from(">I", head, sector_at)
        if sector == SECTOR and 0 < size < LARGEST:
            return _placed(source, size, _name(source, _NAME, length - _NAME - 16), length, SECTOR)
    raise source.damaged(_("its sectors are not of 512 bytes"))


def _third(source: Source) -> _Layout:
    head = source.exactly(0, _NAME_3, _("the header"))
    size, sector, alignment, method = struct.unpack_from(">QIII", head, 12)
    if sector != SECTOR or method != 0:
        raise source.damaged(_("its sectors are not of 512 bytes"))
    if not SECTOR <= alignment <= 1 << 20 or alignment & (alignment - 1) or not 0 < size < LARGEST:
        raise source.damaged(_("a virtual size of {count} bytes").format(count=size))
    name = _name(source, _NAME_3, _LONGEST_NAME_3)
    return _placed(source, size, name, -(-_LENGTH_3 // alignment) * alignment, alignment)


def _name(source: Source, at: int, longest: int) -> str:
    return text_of(source.some(at, longest).split(b"\0", 1)[0])


def _placed(source: Source, size: int, name: str, bitmap: int, alignment: int) -> _Layout:
    sectors = size // SECTOR
    end = bitmap + -(-sectors // 8)
    if end > source.size:
        raise source.beyond(_("the bitmap"), end)
    return _Layout(sectors * SECTOR, name, bitmap, -(-end // alignment) * alignment)


def _last(source: Source, layout: _Layout) -> int:
    """The last sector that is in the file, counted from 1; 0 where there is none."""
    end = layout.bitmap + -(-layout.size // SECTOR // 8)
    least = max(layout.bitmap, end - _MOST_LOOKED_AT)
    while end > least:
        start = max(least, end - _LOOKED_AT)
        found = source.some(start, end - start).rstrip(b"\0")
        if found:
            return (start - layout.bitmap + len(found) - 1) * 8 + found[-1].bit_length()
        end = start
    return 0


class CowReader:
    """Where each stretch of the disk lies."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._layout = _layout(source)
        self.size = self._layout.size

    def stretches(self, start: int, end: int) -> Iterator[Stretch]:
        """What lies between two bytes of the disk, in order."""
        at = start
        first = start // SECTOR // 8
        bits = self._source.some(self._layout.bitmap + first, (end - 1) // SECTOR // 8 - first + 1)
        while at < end:
            is_own = self._has(bits, at // SECTOR - first * 8)
            stop = at
            while stop < end and self._has(bits, stop // SECTOR - first * 8) == is_own:
                stop = min(end, (stop // SECTOR + 1) * SECTOR)
            yield Stretch(stop - at, self._layout.data + at if is_own else None)
            at = stop

    @staticmethod
    def _has(bits: bytes, number: int) -> bool:
        return bool(bits[number // 8] >> number % 8 & 1)
