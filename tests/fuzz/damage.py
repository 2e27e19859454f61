"""Damage to a seed: fields, pieces, ends; and checksums put right again, so that it gets past them."""

import random
import struct
import zlib
from collections.abc import Callable

from core.tables.lost.crc import crc32c, raw_crc32c
from tests.fuzz.seeds import Seed

_MAGICS = (
    b"\x55\xaa", b"EFI PART", b"QFI\xfb", b"KDMV", b"COWD", b"conectix", b"cxsparse", b"vhdxfile", b"QED\0",
    b"WithoutFreeSpace", b"koly", b"LUKS\xba\xbe", b"SKUL\xba\xbe", b"LABELONE", b"\xfc\x4e\x2b\xa9", b"XFSB",
    b"_BHRfS_M", b"\x53\xef", b"SWAPSPACE2", b"hsqs", b"\xe2\xe1\xf5\xe0", b"\x01CD001\x01", b"NTFS    ",
    b"EXFAT   ", b"\xeb\x3c\x90", b"\x05\x00\x00\x00", b"\x0f", b"\xee", b"\x1b[2J", b"../../etc/passwd\0",
)  # fmt: skip
_WIDTHS = ((1, "B"), (2, "H"), (4, "I"), (8, "Q"))
_NEAR = 600
"""Most damage is done so near to the start of a piece, where headers are."""


class _Work:
    """A seed that is being damaged."""

    def __init__(self, seed: Seed, others: tuple[Seed, ...], chance: random.Random) -> None:
        self.size = seed.size
        self.pieces = [(place, bytearray(data)) for place, data in seed.pieces]
        self.others, self.chance = others, chance

    def place(self) -> tuple[bytearray, int]:
        """A piece, and a byte in it; mostly in the first pieces, and near the start of a sector."""
        number = min(int(self.chance.expovariate(1.2)), len(self.pieces) - 1)
        if self.chance.random() < 0.25:
            number = self.chance.randrange(len(self.pieces))
        piece = self.pieces[number][1]
        at = self.chance.randrange(len(piece))
        if self.chance.random() < 0.8:
            at = at // 512 * 512 if self.chance.random() < 0.5 else 0
            at += self.chance.randrange(_NEAR)
        return piece, min(at, len(piece) - 1)

    def number(self) -> int:
        sectors = self.size // 512
        chance = self.chance
        around = chance.choice(
            (0, 1, self.size, sectors, sectors // 8, *(pos for pos, _data in self.pieces), 1 << 9, 1 << 12)
        )
        kind = chance.random()
        if kind < 0.4:
            return around + chance.randint(-2, 2)
        if kind < 0.8:
            return (1 << chance.randrange(65)) + chance.randint(-1, 1)
        return chance.getrandbits(chance.choice((8, 16, 32, 64)))


def _bit(work: _Work) -> None:
    piece, at = work.place()
    piece[at] ^= 1 << work.chance.randrange(8)


def _byte(work: _Work) -> None:
    piece, at = work.place()
    piece[at] = work.chance.randrange(256)


def _field(work: _Work) -> None:
    piece, at = work.place()
    width, code = work.chance.choice(_WIDTHS)
    at = at // width * width if work.chance.random() < 0.7 else at
    value = work.number() & ((1 << 8 * width) - 1)
    data = struct.pack(work.chance.choice("<>") + code, value)
    piece[at : at + width] = data[: len(piece) - at]


def _fill(work: _Work) -> None:
    piece, at = work.place()
    length = min(work.chance.choice((4, 16, 64, 512, 4096)), len(piece) - at)
    piece[at : at + length] = bytes([work.chance.choice((0, 0xFF, 0x41))]) * length


def _magic(work: _Work) -> None:
    piece, at = work.place()
    data = work.chance.choice(_MAGICS)
    piece[at : at + len(data)] = data[: len(piece) - at]


def _moved(work: _Work) -> None:
    """A stretch over another place of the same disk."""
    piece, at = work.place()
    source, begin = work.place()
    data = bytes(source[begin : begin + work.chance.choice((8, 16, 64, 512, 1024))])
    piece[at : at + len(data)] = data[: len(piece) - at]


def _crossed(work: _Work) -> None:
    """A stretch of another seed, at its own place or in a place of its own."""
    other = work.chance.choice(work.others)
    if not other.pieces:
        return
    place, data = work.chance.choice(other.pieces)
    data = data[: work.chance.choice((512, 4096, 65536))]
    if work.chance.random() < 0.5:
        place = work.chance.randrange(max(1, work.size // 512)) * 512
    work.pieces.append((place, bytearray(data)))


def _sized(work: _Work) -> None:
    """A file cut short, or grown, or of no whole sectors."""
    chance = work.chance
    kind = chance.random()
    if kind < 0.5:
        work.size = chance.randrange(1, max(2, work.size))
    elif kind < 0.8:
        work.size += chance.choice((1, 511, 512, 4096, 1 << 20))
    else:
        work.size = chance.choice((1 << 32, 1 << 41, (1 << 43) + 512))


_ACTS: tuple[tuple[Callable[[_Work], None], int], ...] = (
    (_bit, 3), (_byte, 3), (_field, 8), (_fill, 2), (_magic, 2), (_moved, 2), (_crossed, 1), (_sized, 1),
)  # fmt: skip


def damaged(seed: Seed, others: tuple[Seed, ...], chance: random.Random) -> Seed:
    """The seed with one to a dozen kinds of damage, as `chance` will have it."""
    work = _Work(seed, others, chance)
    acts, weights = zip(*_ACTS, strict=True)
    for act in chance.choices(acts, weights, k=min(1 + int(chance.expovariate(0.4)), 12)):
        if work.pieces:
            act(work)
    if chance.random() < 0.6:
        for _place, piece in work.pieces:
            _mend(piece)
    pieces = tuple((place, bytes(piece)) for place, piece in work.pieces)
    return Seed(seed.name, seed.suffix, work.size, pieces)


def _mend(piece: bytearray) -> None:
    """Put the checksums of what begins at a sector of the piece right."""
    for at in range(0, min(len(piece), 1 << 17) - 511, 512):
        for begins, mend in _MENDERS:
            if piece.startswith(begins[1], at + begins[0]):
                mend(piece, at)


def _mend_gpt(piece: bytearray, at: int) -> None:
    length, count, step = (struct.unpack_from("<I", piece, at + where)[0] for where in (12, 80, 84))
    if piece[at + 24] == 1 and count * step <= 1 << 20:  # the entries of the first copy follow it
        begin = at + 512
        struct.pack_into("<I", piece, at + 88, zlib.crc32(piece[begin : begin + count * step]))
    piece[at + 16 : at + 20] = bytes(4)
    struct.pack_into("<I", piece, at + 16, zlib.crc32(piece[at : at + min(length, 512)]))


def _mend_ext(piece: bytearray, at: int) -> None:
    if at + 1024 <= len(piece):
        struct.pack_into("<I", piece, at + 1020, raw_crc32c(bytes(piece[at : at + 1020])))


def _mend_xfs(piece: bytearray, at: int) -> None:
    sector = struct.unpack_from(">H", piece, at + 102)[0]
    if sector in (512, 4096):
        piece[at + 224 : at + 228] = bytes(4)
        struct.pack_into("<I", piece, at + 224, crc32c(bytes(piece[at : at + sector])))


def _mend_btrfs(piece: bytearray, at: int) -> None:
    if at + 4096 <= len(piece):
        struct.pack_into("<I", piece, at, crc32c(bytes(piece[at + 32 : at + 4096])))


def _mend_vhd(piece: bytearray, at: int) -> None:
    piece[at + 64 : at + 68] = bytes(4)
    struct.pack_into(">I", piece, at + 64, ~sum(piece[at : at + 512]) & 0xFFFFFFFF)


_MENDERS: tuple[tuple[tuple[int, bytes], Callable[[bytearray, int], None]], ...] = (
    ((0, b"EFI PART"), _mend_gpt),
    ((56, b"\x53\xef"), _mend_ext),
    ((0, b"XFSB"), _mend_xfs),
    ((64, b"_BHRfS_M"), _mend_btrfs),
    ((0, b"conectix"), _mend_vhd),
)
