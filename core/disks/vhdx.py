"""The headers of Microsoft's VHDX.

Facts from MS-VHDX (https://learn.microsoft.com/openspecs/windows_protocols/ms-vhdx) and QEMU's
block/vhdx.c; numbers are little-endian.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PureWindowsPath
from uuid import UUID

from core.disks.header import Header, Reference, Source, cut_short
from core.disks.model import SECTOR
from core.disks.stretches import ZEROS, Stretch
from core.i18n import _

SIGNATURE = b"vhdxfile"

_KIB64 = 64 << 10
_MIB = 1 << 20
_LARGEST = 64 << 40
_MOST_LOOKED_AT = 64 << 20
"""Bytes of the log and of the block table that are looked at; both are usually 1 MiB."""
_BLOCK_TABLE = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
_METADATA = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
_FILE_PARAMETERS = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
_VIRTUAL_SIZE = UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
_SECTOR_SIZE = UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f")
_PARENT_LOCATOR = UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")
_PATHS_TO_PARENT = ("relative_path", "volume_path", "absolute_win32_path")
_HAS_PARENT = 2
_STATE, _PRESENT, _PARTLY = 7, 6, 7
_IN_PARENT = 0
_BITMAP = _MIB
"""Bytes of a block of bits, one for each sector of a chunk of blocks."""


@dataclass(frozen=True, slots=True)
class _Metadata:
    block: int
    flags: int
    virtual_size: int
    sector: int
    parent: str
    """The parent of a differencing disk, as its path counts from this one; else its bare name."""
    linkage: str
    """The identity that the parent must have."""


def parse(source: Source) -> Header:
    """Read the headers, region table and metadata of a VHDX; raises `Damaged` for what cannot be."""
    log, log_at, log_size, identity = _active_header(source)
    regions = _regions(source)
    metadata = _metadata(source, *regions[_METADATA])
    problems = []
    blocked = way_out = ""
    has_log = False
    table_at, table_size = regions[_BLOCK_TABLE]
    needed = _needed_end(source, table_at, table_size, metadata.block)
    if needed > source.size:
        problems.append(cut_short(needed, source.size))
    if metadata.sector != SECTOR:
        blocked = _("This VHDX has sectors of {count} bytes; QEMU reads only those of 512.").format(
            count=metadata.sector
        )
    elif needed > source.size and not metadata.flags & _HAS_PARENT:
        blocked = _("QEMU opens no VHDX that is cut short: {missing} bytes are missing.").format(
            missing=needed - source.size
        )
        way_out = _("Make a byte copy of it and lengthen the copy: truncate --size={needed} COPY.").format(
            needed=needed
        )
    elif log.int and _log_in_use(source, log, log_at, log_size) and metadata.flags & _HAS_PARENT:
        blocked = _(
            "The log of this differencing VHDX holds changes that were never written to their place, and"
            " nothing here can replay it."
        )
        way_out = _(
            "Attach a copy of it, with its parent, on a Windows host (Mount-VHD, then Dismount-VHD): that"
            " replays it. Then open the copy."
        )
    elif log.int and _log_in_use(source, log, log_at, log_size):
        has_log = True
        problems.append(
            _(
                "The log of this VHDX holds changes that were never written to their place. It is replayed in"
                " a throw-away overlay; the file stays as it is."
            )
        )
    is_difference = bool(metadata.flags & _HAS_PARENT)
    return Header(
        "vhdx",
        metadata.virtual_size,
        (Reference("backing", metadata.parent, "vhdx"),) if is_difference else (),
        (),
        tuple(problems),
        blocked,
        way_out,
        reader="vhdx" if is_difference else "",
        identity=identity,
        parent=metadata.linkage if is_difference else "",
        has_log=has_log,
    )


def _active_header(source: Source) -> tuple[UUID, int, int, str]:
    """Identity, place and length of the log, and what a difference calls this disk by.

    Of the valid header with the higher sequence number.
    """
    best: tuple[int, bytes] | None = None
    for place in (_KIB64, 2 * _KIB64):
        head = source.some(place, 4096)
        if len(head) < 4096 or head[:4] != b"head" or not _sound(head):
            continue
        (sequence,) = struct.unpack_from("<Q", head, 8)
        if best is None or sequence > best[0]:
            best = (sequence, head)
    if best is None:
        raise source.damaged(_("neither of its two headers is valid"))
    head = best[1]
    (version,) = struct.unpack_from("<H", head, 66)
    length, offset = struct.unpack_from("<IQ", head, 68)
    if version != 1:
        raise source.damaged(_("version {number} is unknown").format(number=version))
    if length % _MIB or offset % _MIB or offset < _MIB:
        raise source.damaged(_("the log lies where it cannot be"))
    return UUID(bytes_le=head[48:64]), offset, length, str(UUID(bytes_le=head[32:48]))


def _sound(block: bytes) -> bool:
    """Whether the CRC-32C at byte 4 is right for the block."""
    (stated,) = struct.unpack_from("<I", block, 4)
    return bool(stated == crc32c(block[:4] + bytes(4) + block[8:]))


def _table() -> tuple[int, ...]:
    values = []
    for value in range(256):
        for _bit in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        values.append(value)
    return tuple(values)


_CRC = _table()


@lru_cache(maxsize=16)  # a disk is looked at several times, and 64 KiB take a hundredth of a second
def crc32c(data: bytes) -> int:
    """The Castagnoli CRC of the data (RFC 3720, appendix B.4)."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 255]
    return value ^ 0xFFFFFFFF


def _regions(source: Source) -> dict[UUID, tuple[int, int]]:
    for place in (3 * _KIB64, 4 * _KIB64):
        table = source.some(place, _KIB64)
        if len(table) == _KIB64 and table[:4] == b"regi" and _sound(table):
            break
    else:
        raise source.damaged(_("neither of its two region tables is valid"))
    (count,) = struct.unpack_from("<I", table, 8)
    if count > 2047:
        raise source.damaged(_("a region table of {count} entries").format(count=count))
    found = {}
    for at in range(16, 16 + 32 * count, 32):
        offset, length = struct.unpack_from("<QI", table, at + 16)
        if offset < _MIB or offset % _MIB or length % _MIB:
            raise source.damaged(_("a region lies where it cannot be"))
        found[UUID(bytes_le=table[at : at + 16])] = (offset, length)
    if _BLOCK_TABLE not in found or _METADATA not in found:
        raise source.damaged(_("the block table or the metadata are missing"))
    return found


def _metadata(source: Source, place: int, length: int) -> _Metadata:
    table = source.exactly(place, _KIB64, _("the metadata table"))
    if table[:8] != b"metadata":
        raise source.damaged(_("the metadata table is missing"))
    (count,) = struct.unpack_from("<H", table, 10)
    if count > 2047:
        raise source.damaged(_("a metadata table of {count} entries").format(count=count))
    items: dict[UUID, bytes] = {}
    parent = linkage = ""
    for at in range(32, 32 + 32 * count, 32):
        offset, size = struct.unpack_from("<II", table, at + 16)
        if offset + size > length:
            raise source.damaged(_("a metadata item lies outside its region"))
        kind = UUID(bytes_le=table[at : at + 16])
        items[kind] = source.some(place + offset, min(size, 16))
        if kind == _PARENT_LOCATOR and not parent:
            parent, linkage = _parent(source.some(place + offset, min(size, _KIB64)))
    try:
        block, flags = struct.unpack_from("<II", items[_FILE_PARAMETERS])
        (virtual_size,) = struct.unpack_from("<Q", items[_VIRTUAL_SIZE])
        (sector,) = struct.unpack_from("<I", items[_SECTOR_SIZE])
    except (KeyError, struct.error) as error:
        raise source.damaged(_("a metadata item is missing")) from error
    if block < _MIB or block > 256 * _MIB or block & (block - 1):
        raise source.damaged(_("blocks of {count} bytes").format(count=block))
    if sector not in (512, 4096) or not 0 < virtual_size <= _LARGEST or virtual_size % sector:
        raise source.damaged(_("a virtual size of {count} bytes").format(count=virtual_size))
    return _Metadata(block, flags, virtual_size, sector, parent, linkage)


def _parent(locator: bytes) -> tuple[str, str]:
    """The parent's path and identity from a parent locator (MS-VHDX, 2.6.2.6); empty where it names none.

    An absolute path is one of the host that made it: of that only the name is of use.
    """
    found: dict[str, str] = {}
    if len(locator) < 20:
        return "", ""
    (count,) = struct.unpack_from("<H", locator, 18)
    for at in range(20, min(20 + 12 * count, len(locator) - 11), 12):
        key_at, value_at, key_size, value_size = struct.unpack_from("<IIHH", locator, at)
        key = locator[key_at : key_at + key_size].decode("utf-16-le", "replace")
        found[key] = locator[value_at : value_at + value_size].decode("utf-16-le", "replace")
    linkage = found.get("parent_linkage", "").strip("{}").lower()
    relative = PureWindowsPath(found.get("relative_path", ""))
    if relative.name and not relative.anchor:
        return relative.as_posix(), linkage
    names = (PureWindowsPath(found.get(key, "")).name for key in _PATHS_TO_PARENT)
    return next(filter(None, names), ""), linkage


def _log_in_use(source: Source, log: UUID, place: int, length: int) -> bool:
    """Whether the log region holds an entry of the current log: those begin at 4 KiB steps."""
    for start in range(place, min(place + min(length, _MOST_LOOKED_AT), source.size), _MIB):
        data = source.some(start, _MIB)
        for at in range(0, len(data), 4096):
            if data[at : at + 4] == b"loge" and data[at + 32 : at + 48] == log.bytes_le:
                return True
    return False


def _needed_end(source: Source, place: int, length: int, block: int) -> int:
    if place + length > source.size:
        return place + length
    end = 0
    for start in range(0, min(length, _MOST_LOOKED_AT), _MIB):
        data = source.some(place + start, _MIB)
        entries = struct.unpack(f"<{len(data) // 8}Q", data[: len(data) // 8 * 8])
        highest = max((entry for entry in entries if entry & _STATE in (_PRESENT, _PARTLY)), default=0)
        if highest:
            end = max(end, (highest >> 20) * _MIB + block)
    return end


class VhdxReader:
    """Where each stretch of a differencing disk lies (MS-VHDX, 2.5).

    After the entries of each chunk of blocks stands the one of the bits that tell, for a block that is here
    in part, which of its sectors are; the lowest bit of a byte is the first sector.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        regions = _regions(source)
        metadata = _metadata(source, *regions[_METADATA])
        self.size, self._block = metadata.virtual_size, metadata.block
        self._ratio = (_BITMAP * 8 * metadata.sector) // metadata.block
        self._table, self._length = regions[_BLOCK_TABLE]

    def stretches(self, start: int, end: int) -> Iterator[Stretch]:
        """What lies between two bytes of the disk, in order."""
        at = start
        while at < end:
            number, inside = divmod(at, self._block)
            stop = min(end, (number + 1) * self._block)
            entry = self._entry(number + number // self._ratio)
            state, place = entry & _STATE, (entry >> 20) * _MIB
            if state == _PARTLY:
                yield from self._in_part(number, place, at, stop)
            elif state == _PRESENT:
                yield Stretch(stop - at, place + inside)
            else:
                yield Stretch(stop - at, None if state == _IN_PARENT else ZEROS)
            at = stop

    def _entry(self, index: int) -> int:
        """Read for each block anew: a table may be as long as the file, and is looked at once in a MiB."""
        entry = self._source.some(self._table + index * 8, 8) if index * 8 < self._length else b""
        return int.from_bytes(entry, "little")

    def _in_part(self, number: int, place: int, at: int, stop: int) -> Iterator[Stretch]:
        chunk, inside = divmod(number, self._ratio)
        bitmap = self._entry((chunk + 1) * self._ratio + chunk)
        begin = number * self._block
        first = inside * (self._block // SECTOR) + (at - begin) // SECTOR
        last = inside * (self._block // SECTOR) + (stop - 1 - begin) // SECTOR
        bits = b""
        if bitmap & _STATE == _PRESENT:
            bits = self._source.some((bitmap >> 20) * _MIB + first // 8, last // 8 - first // 8 + 1)
        while at < stop:
            base = first // 8 * 8 - inside * (self._block // SECTOR)
            is_own = _has(bits, (at - begin) // SECTOR - base)
            end = at
            while end < stop and _has(bits, (end - begin) // SECTOR - base) == is_own:
                end = min(stop, (end // SECTOR + 1) * SECTOR)
            yield Stretch(end - at, place + at - begin if is_own else None)
            at = end


def _has(bits: bytes, number: int) -> bool:
    return number // 8 < len(bits) and bool(bits[number // 8] >> number % 8 & 1)
