"""The label of a physical volume, and the texts in its metadata areas.

Source: lvm2, lib/label/label.h (struct label_header), lib/format_text/layout.h (struct pv_header,
mda_header, raw_locn), lib/misc/crc.c. All numbers are little-endian.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from core.i18n import _
from core.text import safe
from core.volumes.lvm.text import BadText, Section, parse
from core.volumes.readable import Readable

CONTENT = "LVM2_member"
_SECTOR = 512
_LABEL = b"LABELONE"
_TYPE = b"LVM2 001"
AREA = b" LVM2 x[5A%r0N*>"
"""What the header of a metadata area has behind its checksum."""
_FIRST = 0xF597A6CF
"""What a checksum of LVM begins with."""
_MOST_AREAS = 16
_MOST_BYTES = 8 << 20
"""Of a metadata area so much is read: LVM makes 1 MiB of it, few people more than 8."""
_MOST_TEXT = 16 << 20
"""Of all areas together so much text is looked at, each only once: the copies of a group are the same. As
much again of such as an area names, so that a ring full of beginnings does not take theirs."""
_GLANCE = 16
"""Bytes of it that one counts for that is known, or shorter: finding it takes its time too."""
_MOST_READ = 256 << 20
"""Of all areas together so much is read: more than a hundred of the usual size have, twice."""
_NAME = re.compile(rb"[A-Za-z0-9_.+][A-Za-z0-9_.+\-]{0,126}")
_LONGEST = 127
_OPENS = b' {\nid = "'
"""What a text has behind the name that it begins with."""


@dataclass(frozen=True, slots=True)
class Area:
    """A run of bytes of a physical volume, from its start; a `size` of 0 means to its end."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Text:
    """One copy of a group's metadata: its name, and what stands in its section."""

    name: str
    section: Section
    current: bool
    """Whether its area names it and its checksum fits; else it was found by searching the area."""

    @property
    def number(self) -> int:
        """How many times the group was changed before."""
        return whole(self.section.get("seqno"))


@dataclass(frozen=True, slots=True)
class Label:
    """A physical volume. `offset` and `size` are bytes in the view that it was read from."""

    offset: int
    size: int
    uuid: str
    texts: tuple[Text, ...]
    problems: tuple[str, ...]


class Texts:
    """Texts that were looked at, and how much more may be: a hostile disk is full of their beginnings."""

    def __init__(self, most: int = _MOST_TEXT) -> None:
        self.left = most
        """Bytes that are searched for and read."""
        self.rings = _MOST_READ
        """Bytes of areas that are read."""
        self._named = most
        self._known: dict[bytes, tuple[str, Section] | str] = {}

    def read(self, data: bytes, *, current: bool) -> Text:
        """The text that these bytes are; raises `BadText`."""
        found = self._known.get(data)
        self._spend(_GLANCE if found else max(_GLANCE, len(data)), current=current)
        if not found:
            try:
                found = _group_in(data)
            except BadText as error:
                found = str(error)  # the exception itself would keep what was read so far
            self._known[data] = found
        if isinstance(found, str):
            raise BadText(found)
        return Text(*found, current)

    def _spend(self, size: int, *, current: bool) -> None:
        left = self._named if current else self.left
        enough = size <= left
        left = left - size if enough else 0
        if current:
            self._named = left
        else:
            self.left = left
        if not enough:
            raise BadText("more metadata than is looked at")


def whole(value: object) -> int:
    """A value of the text that should be a number; 0 for anything else."""
    return value if isinstance(value, int) and 0 <= value < 1 << 63 else 0


def checksum(data: bytes, first: int = _FIRST) -> int:
    """LVM's CRC-32: that of zlib without the two inversions."""
    return zlib.crc32(data, first ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def read_label(
    source: Readable, offset: int, size: int, texts: Texts, *, search: bool = False
) -> Label | None:
    """The physical volume in the `size` bytes from `offset`; None where there is no label of one.

    With `search` the metadata areas are searched for older texts too, which takes a while.

    The label stands in one of the first four sectors. One whose checksum is wrong counts only where
    there is none that fits, and that is told.
    """
    head = source.read(offset, 4 * _SECTOR)
    blocks = [head[at : at + _SECTOR] for at in range(0, len(head), _SECTOR)]
    labels = [block for block in blocks if block.startswith(_LABEL) and block[24:32] == _TYPE]
    whole_ones = [one for one in labels if struct.unpack_from("<I", one, 16)[0] == checksum(one[20:])]
    for block in whole_ones or labels:
        problems = [] if whole_ones else [_("The checksum of its LVM label is wrong.")]
        return _read(source, offset, size, block, problems, texts, search=search)
    return None


def _read(
    source: Readable, offset: int, size: int, block: bytes, problems: list[str], texts: Texts, *, search: bool
) -> Label:
    at = struct.unpack_from("<I", block, 20)[0]
    if not 32 <= at <= _SECTOR - 48:
        at = 32
    raw = block[at : at + 32].decode("ascii", "replace")
    _data, at = _areas(block, at + 40)  # where data begin stands in the text too
    metadata, _end = _areas(block, at)
    held: list[Text] = []
    for number, area in enumerate(metadata, start=1):
        found, told = texts_in(source, offset, size, area, texts, search=search)
        held += found
        area_told = _("Metadata area {number}: {problem}")
        problems += [area_told.format(number=number, problem=one) for one in told]
    return Label(offset, size, dashed(raw), tuple(held), tuple(problems))


def dashed(raw: str) -> str:
    """A UUID as LVM shows it: 32 characters in groups of 6, 4, 4, 4, 4, 4, 6."""
    cuts = (0, 6, 10, 14, 18, 22, 26, 32)
    return "-".join(raw[a:b] for a, b in pairwise(cuts))


def _areas(block: bytes, at: int) -> tuple[list[Area], int]:
    """The areas in a list that ends with an empty one, and where it ends."""
    found: list[Area] = []
    while at + 16 <= len(block) and len(found) < _MOST_AREAS:
        offset, size = struct.unpack_from("<QQ", block, at)
        at += 16
        if not offset:
            break
        found.append(Area(offset, size))
    return found, at


def texts_in(
    source: Readable, offset: int, size: int, area: Area, texts: Texts, *, search: bool
) -> tuple[list[Text], list[str]]:
    """The copies of the metadata in one area, the one that it names first, and what is wrong with it."""
    if area.offset + _SECTOR > size:
        return [], [_("it lies behind the end of the volume.")]
    length = min(area.size or size - area.offset, size - area.offset, _MOST_BYTES)
    if texts.rings < length:
        return [], [_("it is not read: there is more metadata on the disk than is looked at.")]
    texts.rings -= length
    data = source.read(offset + area.offset, length)
    problems = []
    if len(data) < length:
        problems.append(_("it could not be read to its end."))
    named, wrong = _named(data, area.size or length, texts)
    if wrong:
        problems.append(wrong)
    if named and not search:
        return [named], problems
    others = [one for one in _searched(data, texts) if not named or one.number != named.number]
    return [*([named] if named else []), *others], problems


def _named(data: bytes, size: int, texts: Texts) -> tuple[Text | None, str]:
    """The text that the header of an area names, or why there is none; both empty for an unused area."""
    if len(data) < _SECTOR or data[4:20] != AREA:
        return None, _("its header is lost; older copies of the metadata are looked for in it.")
    if struct.unpack_from("<I", data)[0] != checksum(data[4:_SECTOR]):
        return None, _("the checksum of its header is wrong; copies of the metadata are looked for in it.")
    offset, length, expected, flags = struct.unpack_from("<QQII", data, 40)
    if not offset or flags & 1:  # RAW_LOCN_IGNORED
        return None, ""
    text = _ring(data, offset, length, size)
    if text is None or checksum(text) != expected:
        return None, _("the metadata in it are damaged; another copy is used where there is one.")
    try:
        found = texts.read(text.rstrip(b"\0"), current=True)
    except BadText as error:
        return None, _("the metadata in it make no sense: {reason}.").format(reason=safe(str(error)))
    return found, ""


def _ring(data: bytes, offset: int, length: int, size: int) -> bytes | None:
    """Bytes of the ring that begins behind the header of an area of `size` bytes."""
    if not _SECTOR <= offset < size or not 0 < length <= size - _SECTOR:
        return None
    over = max(0, offset + length - size)
    text = data[offset : offset + length - over] + data[_SECTOR : _SECTOR + over]
    return text if len(text) == length else None


def _searched(data: bytes, texts: Texts) -> Iterator[Text]:
    """All whole texts in an area, those included that were replaced by newer ones; the newest first."""
    ring = data[_SECTOR:] + data[_SECTOR:]  # one that goes round is whole in here
    found: dict[int, Text] = {}
    for begin in _beginnings(ring):
        end = ring.find(b"\0", begin, begin + len(data))
        if begin >= len(data) - _SECTOR or end < 0 or not texts.left:
            break
        try:
            text = texts.read(ring[begin:end], current=False)
        except BadText:
            continue
        found.setdefault(text.number, text)
    yield from sorted(found.values(), key=lambda one: -one.number)


def _beginnings(ring: bytes) -> Iterator[int]:
    """Where a text may begin: at a name that nothing but a zero or the end of a line is before."""
    at = ring.find(_OPENS)
    while at >= 0:
        first = max(0, at - _LONGEST - 1)
        begin = max(ring.rfind(b"\0", first, at), ring.rfind(b"\n", first, at)) + 1
        if _NAME.fullmatch(ring, begin, at):
            yield begin
        at = ring.find(_OPENS, at + 1)


def _group_in(data: bytes) -> tuple[str, Section]:
    """The group that a text tells of, by its name, and its section."""
    top = parse(data)
    groups = [(name, value) for name, value in top.items() if isinstance(value, dict)]
    if len(groups) != 1:
        raise BadText("not one group")
    name, section = groups[0]
    if not isinstance(section.get("id"), str) or not whole(section.get("extent_size")):
        raise BadText("no id or no extent size")
    return name, section
