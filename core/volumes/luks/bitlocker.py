"""What a volume that Windows encrypted with BitLocker says of itself, and where its parts lie.

Its metadata lie in three areas of 64 KiB in the midst of the data, and the first bytes of the file system
were moved elsewhere to make place for a boot sector. Read so in "BitLocker Drive Encryption (BDE) format"
(libyal/libbde) and in cryptsetup's lib/bitlk; numbers are little-endian.
"""

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from uuid import UUID

from core.i18n import _
from core.volumes.readable import Readable

CONTENT = "BitLocker"
_SIGNATURE, _TO_GO = b"-FVE-FS-", b"MSWIN4.1"
_PLACES = {_SIGNATURE: 160, _TO_GO: 424}
"""Where the boot sector of either kind has its identifier, and behind it the three places."""
_NORMAL = bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")
AREA = 64 << 10
_BLOCK = struct.Struct("<8sHHHHQII3QQ")
_HEAD = struct.Struct("<IIII16sIHHQ")
_ENTRY = struct.Struct("<HHHH")
_CIPHERS = {
    0x8000: ("aes-cbc-elephant", 128),
    0x8001: ("aes-cbc-elephant", 256),
    0x8002: ("aes-cbc-eboiv", 128),
    0x8003: ("aes-cbc-eboiv", 256),
    0x8004: ("aes-xts-plain64", 128),
    0x8005: ("aes-xts-plain64", 256),
}
_DONE = 4
"""The state of a volume that is encrypted wholly, and is to stay so."""
_MOVED = 0x000F


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a volume says of itself. All places are in bytes from its start."""

    guid: str
    cipher: str
    sector: int
    areas: tuple[int, int, int]
    used: int
    """Which of the areas was read."""
    moved: int
    """Where the first bytes of the file system lie."""
    moved_size: int
    places_at: int
    """Where in the boot sector the three places stand."""
    problems: tuple[str, ...] = ()
    hindrance: str = ""
    """Why it cannot be opened, as a sentence; empty when it can."""
    others: tuple["Metadata", ...] = ()
    """Copies that say something else: damaged behind their beginning is this one, or they are."""

    def parts(self, size: int) -> list[tuple[int, int, int | None]]:
        """The decrypted volume of `size` bytes: start, length, and where that lies; None for zeros."""
        taken = sorted([*((at, AREA) for at in self.areas), (self.moved, self.moved_size)])
        found: list[tuple[int, int, int | None]] = [(0, self.moved_size, self.moved)]
        at = self.moved_size
        for start, length in taken:
            if start > at:
                found.append((at, start - at, at))
            if start + length > at:
                found.append((max(at, start), start + length - max(at, start), None))
                at = start + length
        return [*found, (at, size - at, at)] if at < size else found


def read_metadata(source: Readable, size: int) -> Metadata | None:
    """The metadata of a volume of `size` bytes; None where there are none that make sense."""
    boot = source.read(0, 512)
    at = _PLACES.get(boot[3:11])
    if at is None or len(boot) < 512:
        return None
    kind, first, second, third = struct.unpack_from("<16s3Q", boot, at)
    (sector,) = struct.unpack_from("<H", boot, 11)
    areas = (first, second, third)
    if sector not in (512, 4096) or any(one % sector or not 0 < one <= size - AREA for one in areas):
        return None
    found: dict[bytes, Metadata] = {}
    agree = Counter[bytes]()
    for number, area in enumerate(areas):
        copy = _area(source, area, sector, size)
        if copy is None:
            continue
        said, guid, cipher, state, moved, moved_size = copy
        agree[said] += 1
        found.setdefault(
            said,
            Metadata(
                *(guid, cipher, sector, areas, number, moved, moved_size, at + 16),
                hindrance=_hindrance(kind, cipher, state),
            ),
        )
    if not found:
        if kind != _NORMAL:
            return None
        lost = _(
            "It is encrypted with BitLocker, and all three copies of its metadata are damaged: neither the"
            " password nor the recovery key opens it without one of them."
        )
        return Metadata("", "", sector, areas, 0, 0, 0, at + 16, hindrance=lost)
    # The key opens one whose places are damaged too: what two copies say counts more than what one says
    first, *others = (
        found[said] for said in sorted(found, key=lambda one: (found[one].hindrance != "", -agree[one]))
    )
    others = [one for one in others if not one.hindrance]
    told = []
    if damaged := len(areas) - agree.total():
        sentence = _("{count} of its three copies of the metadata are damaged; another one is used.")
        told.append(sentence.format(count=damaged))
    if len(found) > 1:
        told.append(_("Its copies of the metadata are not the same: one is damaged."))
    if others:
        told.append(_("Each of them is tried."))
    return replace(first, problems=tuple(told), others=tuple(others))


def _area(
    source: Readable, at: int, sector: int, size: int
) -> tuple[bytes, str, str, tuple[int, int], int, int] | None:
    """One copy of the metadata, and its identifier, cipher, state, place and length of the moved bytes."""
    head = source.read(at, _BLOCK.size + _HEAD.size)
    if len(head) < _BLOCK.size + _HEAD.size or not head.startswith(_SIGNATURE):
        return None
    _mark, _size, version, now, then, _whole, _more, count, *_places, moved = _BLOCK.unpack_from(head)
    length, _version, _own, _again, guid, _nonce, cipher, _more, _made = _HEAD.unpack_from(head, _BLOCK.size)
    if version != 2 or not _HEAD.size <= length <= AREA - _BLOCK.size:
        return None
    name, _bits = _CIPHERS.get(cipher, ("", 0))
    moved_size = count * sector
    entries = source.read(at + _BLOCK.size + _HEAD.size, length - _HEAD.size)
    for kind, body in _entries(entries):
        if kind == _MOVED and len(body) >= 16:
            moved, moved_size = struct.unpack_from("<QQ", body)
    if moved % sector or moved_size % sector or not 0 < moved_size <= moved <= size - moved_size:
        return None
    said = b"%d %d %d %d " % (now, then, moved, moved_size) + head[_BLOCK.size :] + entries
    return said, str(UUID(bytes_le=guid)), name, (now, then), moved, moved_size


def _entries(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while len(data) - at >= _ENTRY.size:
        length, kind, _value, _version = _ENTRY.unpack_from(data, at)
        if length < _ENTRY.size or length > len(data) - at:
            return
        yield kind, data[at + _ENTRY.size : at + length]
        at += length


def _hindrance(kind: bytes, cipher: str, state: tuple[int, int]) -> str:
    if not cipher:
        return _("Its cipher is none that is known here.")
    if kind != _NORMAL or state != (_DONE, _DONE):
        return _("It is not encrypted wholly, or was being decrypted: only Windows knows what is where.")
    return ""
