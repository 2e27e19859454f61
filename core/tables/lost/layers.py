"""What file systems lie on: LVM, LUKS and software RAID, by the labels they leave on their devices.

Sources: lvm2, lib/format_text/layout.h and lib/label/label.c; the LUKS1 and LUKS2 on-disk format
specifications; linux/include/uapi/linux/raid/md_p.h.
"""

import hashlib
import json
import re
import struct
import uuid
import zlib
from collections.abc import Iterator
from itertools import pairwise

from core.tables.lost.candidate import Candidate, Read
from core.tables.lost.medium import SECTOR

_LVM_SEED = 0xF597A6CF
_LVM_PLACES = 4
"""The label lies in one of the first four sectors."""
_GROUP_NAME = re.compile(rb"\A([A-Za-z0-9+_.-]{1,127}) \{")
_CREATED = re.compile(rb"^creation_time = (\d{1,12})", re.MULTILINE)
_LUKS2_SIZES = frozenset(16 << shift << 10 for shift in range(9))
_MD_OLD_EDGE = 64 << 10


def recognise_lvm(read: Read, place: int, size: int) -> Iterator[Candidate]:
    """The physical volume whose label lies at byte `place`."""
    data = read(place, SECTOR)
    if len(data) < SECTOR or data[24:32] != b"LVM2 001":
        return
    own, stored, header = struct.unpack_from("<QII", data, 8)
    start = place - own * SECTOR
    if own >= _LVM_PLACES or start < 0 or not 32 <= header <= SECTOR - 72:
        return
    # zlib inverts the seed and the result, LVM does neither
    if zlib.crc32(data[20:], _LVM_SEED ^ 0xFFFFFFFF) ^ 0xFFFFFFFF != stored:
        return
    length = struct.unpack_from("<Q", data, header + 32)[0]
    if length < 1 << 20 or length % SECTOR:
        return
    text = _lvm_text(read, start, data[header + 40 :])
    name, created = _GROUP_NAME.match(text), _CREATED.search(text)
    raw = data[header : header + 32].decode("ascii", "replace")
    cuts = (0, 6, 10, 14, 18, 22, 26, 32)
    yield Candidate(
        "LVM2_member",
        start,
        length,
        primary=True,
        live=bool(name),
        checked=True,
        superblock=place,
        written=int(created[1]) if created else None,
        label=name[1].decode() if name else None,
        uuid="-".join(raw[one:two] for one, two in pairwise(cuts)),
        type="8e",
    )


def _lvm_text(read: Read, start: int, areas: bytes) -> bytes:
    """The description of the volume group, from the first metadata area; empty if there is none."""
    pairs = list(struct.iter_unpack("<QQ", areas[: len(areas) // 16 * 16]))
    ends = [number for number, pair in enumerate(pairs) if pair == (0, 0)]
    if not ends or ends[0] + 1 >= len(pairs):
        return b""
    area, _length = pairs[ends[0] + 1]
    header = read(start + area, SECTOR)
    if len(header) < SECTOR or header[4:20] != b" LVM2 x[5A%r0N*>":
        return b""
    place, length = struct.unpack_from("<QQ", header, 40)
    return read(start + area + place, min(length, 64 << 10))


def recognise_luks(read: Read, place: int, size: int) -> Iterator[Candidate]:
    """The LUKS device whose header, the first or LUKS2's second one, lies at byte `place`."""
    data = read(place, 4096)
    if len(data) < 4096:
        return
    version = struct.unpack_from(">H", data, 6)[0]
    if version == 1 and data.startswith(b"LUKS"):
        yield from _luks1(place, data)
    elif version == 2:
        yield from _luks2(read, place, data)


def _luks1(place: int, data: bytes) -> Iterator[Candidate]:
    payload, key_bytes = struct.unpack_from(">II", data, 104)
    states = {struct.unpack_from(">I", data, 208 + 48 * slot)[0] for slot in range(8)}
    if not states <= {0x00AC71F3, 0x0000DEAD} or not 16 <= key_bytes <= 512:
        return
    # no payload offset: the data lie elsewhere
    yield _luks(place, max(payload, 8) * SECTOR, place, data, True)


def _luks2(read: Read, place: int, data: bytes) -> Iterator[Candidate]:
    length = struct.unpack_from(">Q", data, 8)[0]
    own = struct.unpack_from(">Q", data, 256)[0]
    start = place - own
    if length not in _LUKS2_SIZES or own not in (0, length) or start < 0:
        return
    whole = read(place, length)
    kind = data[72:104].split(b"\0")[0].decode("ascii", "replace")
    if len(whole) < length or kind not in ("sha256", "sha512", "sha1"):
        return
    digest = hashlib.new(kind, whole[:448] + bytes(64) + whole[512:]).digest()
    if digest != data[448 : 448 + len(digest)]:
        return
    least, ends = _luks2_data(whole[4096:].split(b"\0")[0])
    yield _luks(start, max(least, 2 * length), place, data, not ends)


def _luks2_data(text: bytes) -> tuple[int, bool]:
    """The byte after what is known of the data, and whether they end there."""
    try:
        segments = json.loads(text)["segments"].values()
        least, ends = 0, True
        for segment in segments:
            fixed = str(segment["size"]) != "dynamic"
            ends = ends and fixed
            least = max(least, int(segment["offset"]) + (int(segment["size"]) if fixed else 0))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return 0, False
    return (least, ends) if 0 <= least < 1 << 60 else (0, False)


def _luks(start: int, size: int, place: int, data: bytes, open_ended: bool) -> Candidate:
    return Candidate(
        "crypto_LUKS",
        start,
        -(-size // SECTOR) * SECTOR,
        primary=place == start,
        live=True,
        checked=True,
        superblock=place,
        label=data[24:72].split(b"\0")[0].decode("utf-8", "surrogateescape") or None
        if data[7] == 2
        else None,
        uuid=data[168:208].split(b"\0")[0].decode("ascii", "replace") or None,
        open_ended=open_ended,
    )


def recognise_md(read: Read, place: int, size: int) -> Iterator[Candidate]:
    """The member of a software RAID whose superblock lies at byte `place`, of the old or the new kind."""
    data = read(place, 4096)
    if len(data) < 4096:
        return
    major, minor = struct.unpack_from("<II", data, 4)
    if major == 1:
        yield from _md_new(place, data)
    elif (major, minor) == (0, 90):
        yield from _md_old(place, data)


def _md_new(place: int, data: bytes) -> Iterator[Candidate]:
    data_offset, data_size, own = struct.unpack_from("<QQQ", data, 128)
    stored, devices = struct.unpack_from("<II", data, 216)
    start = place - own * SECTOR
    if start < 0 or devices > 1920 or data_size >= 1 << 51 or data_offset >= 1 << 51:
        return
    if _folded(data[:216] + bytes(4) + data[220 : 256 + 2 * devices]) != stored:
        return
    # version 1.0 lies at the end: at least 8 KiB before it, at a multiple of 4 KiB
    least = max(data_offset + data_size, own + 16 if own > 8 else 0)
    name = data[32:64].split(b"\0")[0]
    yield Candidate(
        "linux_raid_member",
        start,
        least * SECTOR,
        primary=True,
        live=True,
        checked=True,
        superblock=place,
        written=struct.unpack_from("<Q", data, 192)[0] & 0xFFFFFFFFFF,
        label=name.decode("utf-8", "surrogateescape") or None,
        uuid=str(uuid.UUID(bytes=data[16:32])),
        type="fd",
    )


def _md_old(place: int, data: bytes) -> Iterator[Candidate]:
    length = struct.unpack_from("<I", data, 32)[0] << 10
    words = struct.unpack_from("<1024I", data)
    if sum(words[:38] + words[39:]) & 0xFFFFFFFF not in (words[38], _folded_words(words)):
        return
    # the superblock lies at the last multiple of 64 KiB that leaves 64 KiB behind it
    start = place - length
    if start < 0 or length <= 0:
        return
    parts = struct.pack("<4I", words[5], *words[13:16])
    yield Candidate(
        "linux_raid_member",
        start,
        length + _MD_OLD_EDGE,
        primary=True,
        live=True,
        checked=True,
        superblock=place,
        written=words[32],
        uuid=str(uuid.UUID(bytes=parts)),
        type="fd",
    )


def _folded(data: bytes) -> int:
    """md's sum of 32-bit words with the carries folded in; linux/drivers/md/md.c, calc_sb_1_csum."""
    whole = len(data) // 4 * 4
    total = sum(word for (word,) in struct.iter_unpack("<I", data[:whole]))
    if len(data) - whole >= 2:
        total += struct.unpack_from("<H", data, whole)[0]
    return _with_carries(total)


def _folded_words(words: tuple[int, ...]) -> int:
    return _with_carries(sum(words[:38] + words[39:]))


def _with_carries(total: int) -> int:
    return (total & 0xFFFFFFFF) + (total >> 32) & 0xFFFFFFFF
