"""The arithmetic of RAID's parities, on many bytes at once.

The second parity of RAID6 counts in the field of 256 elements whose polynomial is 0x11D and whose generator
is 2: see the kernel's lib/raid6 and H. Peter Anvin, "The mathematics of RAID-6".
"""

from functools import cache

_POLYNOMIAL = 0x11D


def mixed(*pieces: bytes) -> bytes:
    """Exclusive or of pieces of one length."""
    total = 0
    for one in pieces:
        total ^= int.from_bytes(one, "little")
    return total.to_bytes(len(pieces[0]), "little")


def times(piece: bytes, factor: int) -> bytes:
    """Every byte times an element of the field."""
    return piece if factor == 1 else piece.translate(_table(factor))


def power(exponent: int) -> int:
    """The generator to a power that is not negative."""
    return _powers()[exponent % 255]


def inverse(element: int) -> int:
    """What gives 1 when it is multiplied by an element that is not 0."""
    return power(255 - _powers().index(element))


@cache
def _powers() -> tuple[int, ...]:
    found = [1]
    while len(found) < 255:
        double = found[-1] << 1
        found.append(double ^ _POLYNOMIAL if double & 0x100 else double)
    return tuple(found)


@cache
def _table(factor: int) -> bytes:
    powers = _powers()
    log = powers.index(factor)
    return bytes([0, *(powers[(powers.index(one) + log) % 255] for one in range(1, 256))])
