"""The header of an encrypted volume: which cipher, where the data begin, how costly its passphrase is.

Sources: "LUKS1 On-Disk Format Specification 1.2.3" (gitlab.com/cryptsetup/cryptsetup/wikis/Specification),
"LUKS2 On-Disk Format Specification 1.1.3". Numbers of the headers are big-endian.
"""

import hashlib
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from core.i18n import _
from core.text import safe, size
from core.volumes.readable import Readable

CONTENT = "crypto_LUKS"
_MAGIC, _SECOND = b"LUKS\xba\xbe", b"SKUL\xba\xbe"
_SECTOR = 512
_SECOND_AT = tuple(0x4000 << shift for shift in range(9))
"""Where the second header of LUKS2 may begin, by the size of the first one."""
_LARGEST = 4 << 20
_MOST_KEYS = 256 << 20
"""Bytes that a whole header with its key slots may take."""
_FIRST = struct.Struct(">6sH32s32s32sII20s32sI40s")
_WORD = re.compile(r"[A-Za-z0-9_:()\-]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says. `data` (bytes from the start of the encrypted volume) is where its data begin."""

    version: int
    uuid: str
    label: str
    cipher: str
    """As dm-crypt takes it, such as ``aes-xts-plain64``."""
    length: int
    """Bytes of the whole header with its key slots."""
    data: int
    size: int
    """Bytes of the data; 0 where they go to the end."""
    sector: int = _SECTOR
    skip: int = 0
    """The number that the first sector has for the cipher."""
    memory: int = 0
    """Bytes that trying a passphrase takes."""
    checksum: str = ""
    """What each sector is checked by, such as ``hmac(sha256)``; empty where nothing is."""
    problems: tuple[str, ...] = ()
    hindrance: str = ""
    """Why it cannot be opened here, as a sentence; empty when it can."""


def read_header(source: Readable, offset: int, room: int) -> Header | None:
    """The header of the `room` bytes from `offset`; None where there is none that makes sense.

    Of LUKS2 the second header counts where the first one is damaged, and that is told.
    """
    head = source.read(offset, 4096)
    if head.startswith(_MAGIC) and head[6:8] == b"\0\1":
        return _luks1(head, room)
    found = [one for at in (0, *_SECOND_AT) if (one := _luks2(source, offset, room, at))]
    if not found:
        return None
    newest = max(found, key=lambda one: one[1])
    header, _number, at = newest
    if at:
        told = _("Its first header is damaged or old; the second one is used. Nothing is repaired.")
        return _replaced(header, told)
    if len(found) == 1:
        return _replaced(header, _("Its second header is damaged; the first one is whole."))
    return header


def _replaced(header: Header, told: str) -> Header:
    return replace(header, problems=(*header.problems, told))


def _luks1(head: bytes, room: int) -> Header | None:
    if len(head) < 592:
        return None
    fields = _FIRST.unpack_from(head)
    cipher, mode = _text(fields[2]), _text(fields[3])
    payload, uuid = fields[5] * _SECTOR, _text(fields[10])
    name = f"{cipher}-{mode}"
    length = payload or min(room, _LARGEST)  # a detached one does not say how long it is
    return Header(1, uuid, "", name, length, payload, 0, hindrance=_strange(name))


def _luks2(source: Readable, offset: int, room: int, at: int) -> tuple[Header, int, int] | None:
    """A header of LUKS2 at byte `at`, its number of changes and its place; None where none is whole."""
    raw = source.read(offset + at, 4096)
    if len(raw) < 4096 or raw[:6] != (_SECOND if at else _MAGIC) or raw[6:8] != b"\0\2":
        return None
    length, number = struct.unpack_from(">QQ", raw, 8)
    if not 16384 <= length <= _LARGEST or length % 4096 or (at and at != length):
        return None
    raw = source.read(offset + at, length)
    hash_name = _text(raw[72:104])
    if hash_name not in ("sha256", "sha512", "sha1") or len(raw) < length:
        return None
    plain = raw[:448] + bytes(64) + raw[512:]
    digest = hashlib.new(hash_name, plain).digest()
    if raw[448 : 448 + len(digest)] != digest:
        return None
    try:
        told = json.loads(raw[4096:].split(b"\0", 1)[0])
        header = _of_json(told, _text(raw[168:208]), _text(raw[24:72]), length, room)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return header, number, at


def _of_json(told: dict[str, Any], uuid: str, label: str, length: int, room: int) -> Header:
    segments = [told["segments"][key] for key in sorted(told["segments"], key=int)]
    segments = [one for one in segments if "backup" not in " ".join(one.get("flags", []))]
    crypt = [one for one in segments if one["type"] == "crypt"]
    hindrance = ""
    if len(crypt) != 1 or len(segments) != 1 or told["config"].get("requirements", {}).get("mandatory"):
        hindrance = _("It was being encrypted or changed when it was left; only cryptsetup can end that.")
    one = crypt[0]
    checksum = str(one["integrity"]["type"]) if "integrity" in one else ""
    whole = 2 * length + int(told["config"]["keyslots_size"])
    if not 2 * length <= whole <= _MOST_KEYS:
        raise ValueError
    kdfs = [slot.get("kdf", {}) for slot in told.get("keyslots", {}).values()]
    memory = max((int(kdf.get("memory", 0)) << 10 for kdf in kdfs), default=0)
    cipher = str(one["encryption"])
    given = 0 if one["size"] == "dynamic" else int(one["size"])
    sector, data, skip = int(one["sector_size"]), int(one["offset"]), int(one["iv_tweak"])
    if sector not in (512, 1024, 2048, 4096) or data % 512 or min(data, skip, given) < 0:
        raise ValueError
    return Header(
        2, uuid, label, cipher, min(whole, room), data, given, sector, skip, memory, checksum,
        hindrance=hindrance or _strange(cipher) or (_strange(checksum) if checksum else ""),
    )  # fmt: skip


def _strange(cipher: str) -> str:
    if _WORD.match(cipher):
        return ""
    return _("Its header names a cipher that does not exist: {name}.").format(name=safe(cipher))


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def told(header: Header) -> Iterator[str]:
    """What must be known of an encrypted volume, a sentence each."""
    yield from header.problems
    if header.hindrance:
        yield header.hindrance
    if header.checksum:
        yield _(
            "If it was not closed in order: what only the journal of its checksums (dm-integrity) had is"
            " seen over an overlay alone."
        )
    if header.memory > 512 << 20:
        yield _("Trying a passphrase takes {memory} of memory (Argon2).").format(memory=size(header.memory))
