"""How far a file must reach for all that its two levels of tables point to."""

import struct
from collections.abc import Callable

from core.disks.header import MOST, Source

_LOOKED_AT = 64
"""Tables of the second level that are read: a look at a header must stay cheap."""


def needed_end(
    source: Source,
    first: tuple[int, int],
    length: int,
    order: str,
    end_of: Callable[[int], int],
) -> int:
    """Bytes that the file must have, as far as the last tables in use tell; a lower bound.

    The `first` table is its byte offset and count of 64-bit entries, in the byte `order` of `struct`; each
    entry that is not zero is the offset of a second table of `length` bytes. `end_of` says where what an
    entry of those stands for ends, in bytes; 0 for nothing. Writers hand out clusters in growing order,
    so the highest of the second tables are the ones to look at.
    """
    offset, count = first
    tables = sorted({place for place in _entries(source, offset, count * 8, order) if place}, reverse=True)
    needed = tables[0] + length if tables else 0
    for place in tables[:_LOOKED_AT]:
        needed = max(needed, *map(end_of, _entries(source, place, length, order)), 0)
    return needed


def _entries(source: Source, offset: int, length: int, order: str) -> tuple[int, ...]:
    data = source.some(offset, min(length, MOST))
    count = len(data) // 8
    return struct.unpack(f"{order}{count}Q", data[: count * 8])
