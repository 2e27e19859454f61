"""A disk as a whole in LUKS version 1, as ``qemu-img create -f luks`` and libvirt make it.

Never recognised by itself: a guest may have put LUKS on its raw disk just as well. Facts from the LUKS1
On-Disk Format Specification 1.2.3; numbers are big-endian.
"""

import struct

from core.disks.header import Header, Source
from core.disks.model import SECTOR
from core.i18n import _

MAGIC = b"LUKS\xba\xbe"


def parse(source: Source) -> Header:
    """Read the header; raises `Damaged` where it is none or points behind the end."""
    head = source.exactly(0, 592, _("the header"))
    (version,) = struct.unpack_from(">H", head, 6)
    if version == 2:
        return Header(
            "luks",
            source.size,
            blocked=_("QEMU reads only version 1 of LUKS, and this is version 2."),
            way_out=_("Open it as a raw disk: --format raw."),
        )
    if version != 1:
        raise source.damaged(_("version {number} is unknown").format(number=version))
    (payload,) = struct.unpack_from(">I", head, 104)
    if not 0 < payload * SECTOR < source.size:
        raise source.beyond(_("what is encrypted"), payload * SECTOR + 1)
    told = _("The disk as a whole is encrypted (LUKS).")
    return Header("luks", source.size - payload * SECTOR, problems=(told,), encryption="luks")
