"""The trailer of Apple's UDIF disk images (dmg).

Facts from QEMU's block/dmg.c; numbers are big-endian.
"""

import struct

from core.disks.header import LARGEST, Header, Source
from core.disks.model import SECTOR
from core.i18n import _

MAGIC = b"koly"


def has_trailer(source: Source) -> bool:
    """Whether the file ends in a UDIF trailer."""
    return source.size >= SECTOR and source.some(source.size - SECTOR, 4) == MAGIC


def parse(source: Source) -> Header:
    """Read the trailer; the block lists themselves are left to QEMU, whose reader bounds them."""
    trailer = source.exactly(source.size - SECTOR, SECTOR, _("the trailer"))
    fork, fork_size, resources, resources_size = struct.unpack_from(">4Q", trailer, 24)
    xml, xml_size = struct.unpack_from(">QQ", trailer, 216)
    (sectors,) = struct.unpack_from(">Q", trailer, 492)
    for start, length in ((fork, fork_size), (resources, resources_size), (xml, xml_size)):
        if start + length > source.size:
            raise source.beyond(_("a part"), start + length)
    if not 0 < sectors < LARGEST // SECTOR:
        raise source.damaged(_("a virtual size of {count} sectors").format(count=sectors))
    if not (resources_size or xml_size):
        raise source.damaged(_("the list of blocks is missing"))
    return Header("dmg", sectors * SECTOR)
