"""Remains of former tables: links of a chain of logical partitions, and copies of a GPT in odd places."""

import struct
import uuid
import zlib
from collections.abc import Iterator

from core.tables.lost.candidate import Read, Remain
from core.tables.lost.medium import MOST, SECTOR
from core.tables.types import EXTENDED

_HEADER = struct.Struct("<8s4sII4xQQQQ16sQIII")
_UNUSED = bytes(16)
_NO_CODE = bytes(440)


def recognise_ebr(read: Read, place: int, size: int) -> Iterator[Remain]:
    """The logical partition that an extended boot record at byte `place` announces."""
    data = read(place, SECTOR)
    if len(data) < SECTOR or data[:440] != _NO_CODE or data[478:510] != bytes(32) or not place:
        return
    entries = [struct.unpack_from("<B3xB3xII", data, at) for at in (446, 462)]
    (status, code, start, count), (_status, link, _start, _count) = entries
    fits = place + (start + count) * SECTOR <= size
    if status not in (0, 0x80) or not code or not start or not count or code in EXTENDED or not fits:
        return
    if link == 0 or link in EXTENDED:
        yield Remain("ebr", place, place + start * SECTOR, count * SECTOR, f"{code:x}")


def recognise_gpt(read: Read, place: int, size: int) -> Iterator[Remain]:
    """The partitions that a sound GPT header at byte `place` lists, if it counts from the disk's start."""
    data = read(place, SECTOR)
    if len(data) < SECTOR:
        return
    fields = _HEADER.unpack_from(data)
    length, stored, own = fields[2], fields[3], fields[4]
    at, count, step, entries_sum = fields[9:]
    sector = place // own if own else 0
    if sector not in (512, 4096) or own * sector != place or not _HEADER.size <= length <= SECTOR:
        return
    if zlib.crc32(data[:16] + bytes(4) + data[20:length]) != stored:
        return
    if step != 128 or count * step > MOST:
        return
    entries = read(at * sector, count * step)
    if len(entries) < count * step or zlib.crc32(entries) != entries_sum:
        return
    for number in range(count):
        kind, _own, first, last, _flags, name = struct.unpack_from("<16s16sQQQ72s", entries, number * step)
        if kind != _UNUSED and first <= last < 1 << 55:
            told = name.decode("utf-16-le", "replace").split("\0", 1)[0] or None
            code = str(uuid.UUID(bytes_le=kind)).upper()
            yield Remain("gpt", place, first * sector, (last - first + 1) * sector, code, told, sector)
