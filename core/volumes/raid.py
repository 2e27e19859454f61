"""Where RAID puts the chunks of its data, for LVM and md alike; the names are those of dm-raid.

Sources: the kernel's drivers/md/raid5.c (raid5_compute_sector, raid6_idx_to_slot) and drivers/md/raid10.c
(__raid10_find_phys).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

PARITY = {
    "raid4": 1,
    **dict.fromkeys(("raid5", "raid5_ls", "raid5_la", "raid5_rs", "raid5_ra", "raid5_n"), 1),
    **dict.fromkeys(("raid6", "raid6_zr", "raid6_nr", "raid6_nc", "raid6_n_6"), 2),
    **dict.fromkeys(("raid6_ls_6", "raid6_la_6", "raid6_rs_6", "raid6_ra_6"), 2),
    **dict.fromkeys(("raid6_ls", "raid6_la", "raid6_rs", "raid6_ra"), 2),
}
"""Kinds with parity, and how many chunks of parity a row has. The last four are md's own, not dm-raid's."""
_LAST = "_6"
"""How the kinds of RAID6 end that are a RAID5 with the second parity on a leg of its own, the last one."""
_BY_LEG = frozenset({"raid6", "raid6_zr", "raid6_nr", "raid6_nc"})
"""Kinds of RAID6 (those of DDF) whose second parity counts legs; all others count data from behind it on."""


@dataclass(frozen=True, slots=True)
class Copies:
    """How RAID10 lays out its copies: `near` of them side by side, and `far` times that further on."""

    near: int = 2
    far: int = 1
    offset: bool = False
    """Whether the far copies lie in the next row, not in another part of the leg."""
    stride: int = 0
    """Rows of the part of a leg that has the first copies; only for far copies."""


def parity_place(kind: str, chunk: int, legs: int) -> tuple[int, int]:
    """The leg and the row of a chunk of data; KeyError for a kind that has no parity."""
    row, data = divmod(chunk, legs - PARITY[kind])
    return _leg(kind, row, data, legs), row


def _leg(kind: str, row: int, data: int, legs: int) -> int:
    """The leg of the data chunk number `data` of a row."""
    if kind.endswith(_LAST):
        return _leg(kind.removesuffix(_LAST).replace("raid6", "raid5"), row, data, legs - 1)
    turn = row % legs
    back = legs - 1 - turn
    match kind:
        case "raid4":
            return data + 1
        case "raid5_n":
            return data
        case "raid5_la":
            return data + (data >= back)
        case "raid5_ra":
            return data + (data >= turn)
        case "raid5_rs":
            return (turn + 1 + data) % legs
        case "raid5" | "raid5_ls" | "raid6_nc":
            return (back + 1 + data) % legs
        case "raid6_ls":
            return (back + 2 + data) % legs
        case "raid6_rs":
            return (turn + 2 + data) % legs
    parity = {"raid6_la": back, "raid6_nr": legs - 1 - (row + 1) % legs}.get(kind, turn)
    if parity == legs - 1:
        return data + 1
    return data + 2 * (data >= parity)


@dataclass(frozen=True, slots=True)
class Row:
    """The legs of a row. `data` has the exponent that each has in the second parity, in the order of data."""

    data: dict[int, int]
    first: int
    """The leg with the first parity: exclusive or of all data."""
    second: int | None
    """The leg with the second parity, where there is one."""


def row_of(kind: str, row: int, legs: int) -> Row:
    """The legs of row number `row`; KeyError for a kind that has no parity."""
    return _row(kind, row % (legs - 1 if kind.endswith(_LAST) else legs), legs)


@cache
def _row(kind: str, row: int, legs: int) -> Row:
    data = [_leg(kind, row, one, legs) for one in range(legs - PARITY[kind])]
    left = sorted(set(range(legs)) - set(data))
    if PARITY[kind] == 1:
        return Row(dict.fromkeys(data, 0), left[0], None)
    low, high = left
    # the second one stands behind the first and goes round to the start; only in raid6_nc before it
    behind = (high == low + 1) != (kind == "raid6_nc") or kind.endswith(_LAST)
    first, second = (low, high) if behind else (high, low)
    if kind in _BY_LEG:
        return Row({leg: leg for leg in data}, first, second)
    order = [(second + 1 + at) % legs for at in range(legs)]
    return Row({leg: at for at, leg in enumerate(leg for leg in order if leg in data)}, first, second)


def copies_place(copies: Copies, chunk: int, legs: int) -> Iterator[tuple[int, int]]:
    """The legs and rows of all copies of a chunk, the first one first."""
    row, first = divmod(chunk * copies.near, legs)
    if copies.offset:
        row *= copies.far
    for far in range(copies.far):
        for near in range(copies.near):
            leg = first + near
            over, leg = divmod(leg, legs)
            step = far * (1 if copies.offset else copies.stride)
            yield (leg + far * copies.near) % legs, row + over + step
