"""The headers of QED, Parallels, Bochs and cloop images.

Facts from QEMU's docs/interop/qed_spec.txt, docs/interop/parallels.txt, block/bochs.c and block/cloop.c.
"""

import struct

from core.disks.header import LARGEST, MOST, Header, Reference, Source, cut_short, text_of
from core.disks.model import SECTOR
from core.disks.reach import needed_end
from core.i18n import _

QED = b"QED\0"
PARALLELS = (b"WithoutFreeSpace", b"WithouFreSpacExt")
BOCHS = b"Bochs Virtual HD Image"
CLOOP = b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop"

_PARALLELS_IN_USE = 0x746F6E59


def parse_qed(source: Source) -> Header:
    """Read a QED header (little-endian)."""
    head = source.exactly(0, 64, _("the header"))
    cluster, table, header_clusters, features = struct.unpack_from("<IIIQ", head, 4)
    l1, virtual_size, name_at, name_size = struct.unpack_from("<QQII", head, 40)
    if not 1 << 12 <= cluster <= 1 << 26 or cluster & (cluster - 1):
        raise source.damaged(_("clusters of {count} bytes").format(count=cluster))
    if not 1 <= table <= 16 or table & (table - 1):
        raise source.damaged(_("tables of {count} clusters").format(count=table))
    if header_clusters > 0x7FFFFFFF // cluster:
        raise source.damaged(_("a header length of {count}").format(count=header_clusters))
    entries = cluster * table // 8
    if virtual_size > min(entries * entries * cluster, LARGEST) or virtual_size % SECTOR:
        raise source.damaged(_("a virtual size of {count} bytes").format(count=virtual_size))
    if l1 % cluster or l1 < header_clusters * cluster:
        raise source.damaged(_("the L1 table lies where it cannot be"))
    if l1 + cluster * table > source.size:
        raise source.beyond(_("the L1 table"), l1 + cluster * table)
    references: tuple[Reference, ...] = ()
    if features & 1:
        if name_at + name_size > cluster * header_clusters or name_size > 1023:
            raise source.damaged(_("a backing file name of {count} bytes").format(count=name_size))
        name = text_of(source.exactly(name_at, name_size, _("the backing file name")))
        references = (Reference("backing", name, "raw" if features & 4 else None),)
    problems = [_("The image was not closed cleanly and wants a check.")] if features & 2 else []
    needed = needed_end(
        source, (l1, entries), entries * 8, "<", lambda place: place + cluster if place > 1 else 0
    )
    if needed > source.size:
        problems.append(cut_short(needed, source.size))
    blocked = _("The image uses features that QEMU's qed does not have.") if features & ~7 else ""
    return Header("qed", virtual_size, references, problems=tuple(problems), blocked=blocked)


def parse_parallels(source: Source) -> Header:
    """Read the header of a Parallels expanding image (little-endian)."""
    head = source.exactly(0, 64, _("the header"))
    version, _heads, _cylinders, cluster, entries, sectors = struct.unpack_from("<IIIIIQ", head, 16)
    (in_use,) = struct.unpack_from("<I", head, 44)
    old = head[:16] == PARALLELS[0]
    if version != 2:
        raise source.damaged(_("version {number} is unknown").format(number=version))
    if old:
        sectors &= 0xFFFFFFFF
    if not 0 < cluster <= 0x7FFFFFFF // 513:
        raise source.damaged(_("clusters of {count} bytes").format(count=cluster * SECTOR))
    if entries > 0x7FFFFFFF // 4:
        raise source.damaged(_("a block table of {count} entries").format(count=entries))
    if 64 + entries * 4 > source.size:
        raise source.beyond(_("the block table"), 64 + entries * 4)
    if not 0 < sectors < LARGEST // SECTOR:
        raise source.damaged(_("a virtual size of {count} sectors").format(count=sectors))
    problems = []
    if in_use == _PARALLELS_IN_USE:
        problems.append(_("The image was not closed cleanly and wants a check."))
    table = source.some(64, min(entries * 4, MOST))
    last = max(struct.unpack(f"<{len(table) // 4}I", table[: len(table) // 4 * 4]), default=0)
    needed = (last * (1 if old else cluster) + cluster) * SECTOR if last else 0
    if needed > source.size:
        problems.append(cut_short(needed, source.size))
    return Header("parallels", sectors * SECTOR, problems=tuple(problems))


def parse_bochs(source: Source) -> Header:
    """Read the header of a growing Bochs image (little-endian)."""
    head = source.exactly(0, SECTOR, _("the header"))
    if head[32:48].rstrip(b"\0") != b"Redolog" or head[48:64].rstrip(b"\0") != b"Growing":
        raise source.damaged(_("only growing images are known"))
    version, header, catalog, bitmap, extent = struct.unpack_from("<5I", head, 64)
    if version not in (0x00010000, 0x00020000):
        raise source.damaged(_("version {number} is unknown").format(number=version))
    (virtual_size,) = struct.unpack_from("<Q", head, 84 if version == 0x00010000 else 88)
    if extent < SECTOR or extent > 0x800000 or extent & (extent - 1):
        raise source.damaged(_("extents of {count} bytes").format(count=extent))
    if not 0 < catalog <= 0x100000 or bitmap > 0x7FFFFFFF or header > source.size:
        raise source.damaged(_("a catalogue of {count} entries").format(count=catalog))
    if not 0 < virtual_size < LARGEST or catalog < virtual_size // extent:
        raise source.damaged(_("the catalogue is too small for the disk"))
    if header + catalog * 4 > source.size:
        raise source.beyond(_("the catalogue"), header + catalog * 4)
    return Header("bochs", virtual_size // SECTOR * SECTOR)


def parse_cloop(source: Source) -> Header:
    """Read the header of a compressed loop image (big-endian)."""
    block, blocks = struct.unpack(">II", source.exactly(128, 8, _("the header")))
    if not SECTOR <= block <= 64 << 20 or block % SECTOR:
        raise source.damaged(_("blocks of {count} bytes").format(count=block))
    if (blocks + 1) * 8 > 512 << 20:
        raise source.damaged(_("a block table of {count} entries").format(count=blocks))
    last = source.exactly(136 + blocks * 8, 8, _("the block table"))
    (end,) = struct.unpack(">Q", last)
    problems = (cut_short(end, source.size),) if end > source.size else ()
    return Header("cloop", block * blocks, problems=problems)
