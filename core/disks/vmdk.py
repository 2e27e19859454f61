"""The headers of VMware's VMDK: the sparse kinds and the text descriptor with its extents.

Facts from VMware's "Virtual Disk Format 5.0" and from QEMU's block/vmdk.c; numbers are little-endian.
"""

import re
import struct
from collections.abc import Iterator

from core.disks.header import LARGEST, Header, Reference, Source, cut_short
from core.disks.model import SECTOR
from core.i18n import _
from core.text import safe

SPARSE, ESX_SPARSE = b"KDMV", b"COWD"

_MOST_TEXT = 64 << 10
_QEMU_READS = 1 << 20
"""Bytes of a descriptor that QEMU reads, whatever the header says of its length."""
_MOST_EXTENTS = 1000
_LONGEST_NAME = 511
_GD_AT_END = 0xFFFFFFFFFFFFFFFF

_DESCRIPTOR = re.compile(rb"(?:[ \t]*(?:#[^\n]*)?\r?\n)*[ \t]*(?:version|encoding|CID)[ \t]*=", re.IGNORECASE)
_EXTENT = re.compile(
    r'\s*RW\s+([+-]?[0-9]++)\s*(\S{1,10}+)(?:\s*"([^"\r\n]{1,511}+)(?:"(?:\s*([+-]?[0-9]++))?)?)?', re.ASCII
)
"""What QEMU takes for an extent at the start of a line, as sscanf(3) reads it: white space may be
anything, a line break too, and what follows the last field is not looked at."""
_ASSIGNED = re.compile(r'^[ \t]*(\w+)[ \t]*=[ \t]*"?([^"\r\n]*)"?', re.MULTILINE)

_READABLE = frozenset(
    {
        "monolithicSparse",
        "monolithicFlat",
        "twoGbMaxExtentSparse",
        "twoGbMaxExtentFlat",
        "vmfs",
        "vmfsSparse",
        "seSparse",
        "streamOptimized",
    }
)
"""The kinds that QEMU's vmdk driver reads."""

_KINDS_OF_EXTENT = frozenset({"FLAT", "SPARSE", "VMFS", "VMFSSPARSE", "SESPARSE"})
"""Extents that QEMU opens; it passes over all others."""

RAW_EXTENT, SPARSE_EXTENT, SE_SPARSE_EXTENT = "raw", "vmdk", "sesparse"
SE_SPARSE = (0xCAFEBABE).to_bytes(8, "little")


def is_descriptor(start: bytes) -> bool:
    """Whether a file that begins like this is a text descriptor."""
    if not (start.startswith(b"# Disk DescriptorFile") or _DESCRIPTOR.match(start)):
        return False
    return b"createtype" in start.lower()


def parse_descriptor(source: Source) -> Header:
    """Read a text descriptor that stands in a file of its own."""
    if source.size > _MOST_TEXT:
        raise source.damaged(_("a descriptor of {count} bytes").format(count=source.size))
    return _described(source, source.some(0, _MOST_TEXT))


def _described(source: Source, data: bytes) -> Header:
    text = _as_text(data)
    values = _values(text)
    parent, problems = _parent(values)
    extents = []
    total = 0
    for line in _lines(text):
        match = _EXTENT.match(text, line)
        if not match:
            continue
        length, extent = _extent(source, match)
        total += length
        if extent:
            extents.append(extent)
        if len(extents) > _MOST_EXTENTS:
            raise source.damaged(_("more than {count} extents").format(count=_MOST_EXTENTS))
    if not 0 < total < LARGEST or not extents:
        raise source.damaged(_("the descriptor names no extent that could be read"))
    kind = values.get("createtype", "")
    blocked = ""
    if kind not in _READABLE:
        blocked = _("QEMU cannot read the VMDK kind {kind}.").format(kind=safe(kind))
    return Header(
        "vmdk",
        total,
        (*parent, *extents),
        problems=tuple(problems),
        blocked=blocked,
        identity=values.get("cid", "").lower(),
        parent=values.get("parentcid", "").lower() if parent else "",
    )


def _as_text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _values(text: str) -> dict[str, str]:
    """What a descriptor sets; of two lines for the same the first counts, as it does for QEMU."""
    return {key.lower(): value for key, value in reversed(_ASSIGNED.findall(text))}


def _lines(text: str) -> Iterator[int]:
    """Where each line begins; QEMU knows no other line break than the line feed."""
    at = 0
    while True:
        yield at
        at = text.find("\n", at) + 1
        if not at:
            return


def _extent(source: Source, match: re.Match[str]) -> tuple[int, Reference | None]:
    """Bytes of the disk that an extent holds, and its file; None for one that is not stored."""
    sectors, kind, name, offset = match.groups()
    length = int(sectors[:20]) * SECTOR
    if kind == "ZERO":
        return max(0, length), None
    if length <= 0 or kind not in _KINDS_OF_EXTENT:
        return 0, None
    if name is None:
        raise source.damaged(_("an extent without a name"))
    if len(name.encode("utf-8", "surrogateescape")) >= _LONGEST_NAME:
        raise source.damaged(
            _("an extent whose name is longer than {count} bytes").format(count=_LONGEST_NAME)
        )
    start = int((offset or "0")[:20])
    if start < 0:
        raise source.damaged(_("an extent that begins before its file"))
    flat = kind in ("FLAT", "VMFS")
    least = length + start * SECTOR if flat else 0
    form = RAW_EXTENT if flat else SE_SPARSE_EXTENT if kind == "SESPARSE" else SPARSE_EXTENT
    return length, Reference("extent", name, form, least)


def _parent(values: dict[str, str]) -> tuple[tuple[Reference, ...], list[str]]:
    """The parent that a descriptor names; one without a parent has the parent CID ffffffff."""
    name = values.get("parentfilenamehint", "")
    if not name:
        return (), []
    if values.get("parentcid", "").lower() == "ffffffff":
        return (), [
            _("It names the parent {name}, but says that it has none; that file is not opened.").format(
                name=safe(name)
            )
        ]
    return (Reference("backing", name, "vmdk"),), []


def parse_sparse(source: Source) -> Header:
    """Read the header of a sparse extent, with its descriptor if it carries one."""
    head = source.exactly(0, SECTOR, _("the header"))
    capacity, text_at = (struct.unpack_from("<Q", head, at)[0] for at in (12, 28))
    if capacity == 0 and text_at:  # QEMU follows the descriptor before it looks for a footer
        return _described(source, _all_text(source, text_at * SECTOR))
    if struct.unpack_from("<Q", head, 56)[0] == _GD_AT_END:
        footer = source.some(source.size - 2 * SECTOR, SECTOR)
        if footer[:4] != SPARSE:
            return _without_footer(source, head)
        head = footer
    version, flags, capacity, grain, text_at, text_size = struct.unpack_from("<IIQQQQ", head, 4)
    (entries,) = struct.unpack_from("<I", head, 44)
    (directory,) = struct.unpack_from("<Q", head, 56)
    _check(source, version, capacity, grain, entries)
    text = source.some(text_at * SECTOR, _text_size(text_size)) if 0 < text_at < LARGEST // SECTOR else b""
    values = _values(_as_text(text))
    parent, problems = _parent(values)
    if head[72]:
        problems.append(_("The virtual machine was not shut down cleanly (VMDK header)."))
    needed = _needed_end(source, capacity, grain, entries, directory, bool(flags & (1 << 16)))
    if needed > source.size:
        problems.append(cut_short(needed, source.size))
    blocked = way_out = ""
    (overhead,) = struct.unpack_from("<Q", head, 64)
    if source.size < overhead * SECTOR <= LARGEST:  # vmdk_open_vmdk4 does not open it then
        blocked = cut_short(overhead * SECTOR, source.size)
        way_out = _("Get a complete copy of the file, or search a byte copy of it for files.")
    if not text.strip(b"\0"):
        blocked = _("This is an extent of a VMDK, not the disk itself: its descriptor is another file.")
        way_out = _("Open the small text file (.vmdk) that names it.")
    return Header(
        "vmdk",
        capacity * SECTOR,
        parent,
        (),
        tuple(problems),
        blocked,
        way_out,
        identity=values.get("cid", "").lower(),
        parent=values.get("parentcid", "").lower() if parent else "",
    )


def _without_footer(source: Source, head: bytes) -> Header:
    (capacity,) = struct.unpack_from("<Q", head, 12)
    if not 0 < capacity < LARGEST // SECTOR:
        raise source.damaged(_("a virtual size of {count} bytes").format(count=capacity))
    return Header(
        "vmdk",
        capacity * SECTOR,
        blocked=_("The file is cut short: the footer of this streamed VMDK is missing."),
        way_out=_("Get a complete copy of the file, or search a byte copy of it for files."),
    )


def _all_text(source: Source, at: int) -> bytes:
    """A descriptor that QEMU will follow: it reads on to the first zero byte, past the stated length."""
    data = source.some(at, _QEMU_READS).split(b"\0", 1)[0]
    if len(data) > _MOST_TEXT:
        raise source.damaged(_("a descriptor of {count} bytes").format(count=len(data)))
    return data


def _text_size(sectors: int) -> int:
    return min(sectors * SECTOR, _MOST_TEXT)


def _check(source: Source, version: int, capacity: int, grain: int, entries: int) -> None:
    """The limits that QEMU sets in vmdk_open_vmdk4 and vmdk_add_extent."""
    if not 1 <= version <= 3:
        raise source.damaged(_("version {number} is unknown").format(number=version))
    if not 0 < capacity < LARGEST // SECTOR:
        raise source.damaged(_("a virtual size of {count} sectors").format(count=capacity))
    if not 1 <= grain <= 0x200000:
        raise source.damaged(_("grains of {count} sectors").format(count=grain))
    if not 1 <= entries <= 512:
        raise source.damaged(_("grain tables of {count} entries").format(count=entries))
    if -(-capacity // (grain * entries)) > 512 << 20 >> 2:
        raise source.damaged(_("a grain directory that is too large"))


def _needed_end(
    source: Source, capacity: int, grain: int, entries: int, directory: int, compressed: bool
) -> int:
    """Bytes that the file must have for all grains to be in it.

    Looks at the grain tables from the last backwards until one is in use, so it is cheap; grains are
    handed out in growing order by all known writers, but not by rule, so this is a lower bound.
    """
    count = -(-capacity // (grain * entries))
    tables = source.some(directory * SECTOR, count * 4)
    places = struct.unpack(f"<{len(tables) // 4}I", tables[: len(tables) // 4 * 4])
    needed = max(places, default=0) * SECTOR + 1 if any(places) else 0
    looked = 0
    for place in reversed(places):
        if looked == 64:
            break
        if not place:
            continue
        looked += 1
        data = source.some(place * SECTOR, entries * 4)
        grains = struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])
        last = max(grains, default=0)
        if last > 1:
            length = _packed_length(source, last * SECTOR) if compressed else grain * SECTOR
            needed = max(needed, last * SECTOR + length)
    return needed


def _packed_length(source: Source, offset: int) -> int:
    """Bytes of a compressed grain with the marker before it: its sector (8) and its length (4)."""
    marker = source.some(offset, 12)
    return 12 + struct.unpack_from("<I", marker, 8)[0] if len(marker) == 12 else 12


def parse_esx_sparse(source: Source) -> Header:
    """Read the header of an ESX sparse extent ("COWD")."""
    head = source.exactly(0, 2048, _("the header"))
    version, flags, sectors, grain, _directory, directory_size = struct.unpack_from("<6I", head, 4)
    if version != 1 or not grain or not sectors:
        raise source.damaged(_("version {number} is unknown").format(number=version))
    if not 0 < directory_size <= 512 << 20 >> 2:
        raise source.damaged(_("a grain directory that is too large"))
    parent = head[32:1056].split(b"\0", 1)[0]
    blocked = way_out = ""
    if not flags & 1 and len(parent) > 1 and parent.isascii() and parent.decode().isprintable():
        blocked = _("This is a difference to another disk and needs its parent {name}.").format(
            name=safe(parent)
        )
        way_out = _("Open the descriptor (.vmdk text file) that names both of them.")
    return Header("vmdk", sectors * SECTOR, blocked=blocked, way_out=way_out)
