"""A volume group of LVM for a practice disk, written without LVM: label, metadata area, and its text.

Source: lvm2, lib/label/label.h (struct label_header), lib/format_text/layout.h (struct pv_header, disk_locn,
mda_header, raw_locn), lib/misc/crc.c. All numbers are little-endian.
"""

import random
import string
import struct
import zlib
from collections.abc import Iterator
from itertools import pairwise

from core.lab.lab import GroupPlan, Place

EXTENT = 8192
"""Sectors of an extent: 4 MiB, as LVM takes it when nobody says otherwise."""
FIRST = 2048
"""Sectors from the start of the partition to the first extent."""
_AREA, _AREA_SIZE = 4096, FIRST * 512 - 4096
_INITIAL = 0xF597A6CF
_LETTERS = string.ascii_letters + string.digits


def places(group: GroupPlan, inside: Place, chance: random.Random) -> Iterator[tuple[Place, int, int]]:
    """Where each volume of the group lies on the disk, with its first extent and how many it has."""
    extent = 0
    for volume in group.volumes:
        extent += chance.randint(0, volume.gap << 11) // EXTENT
        count = -(-volume.size // (EXTENT * 512))
        start = inside.start + FIRST + extent * EXTENT
        yield Place(volume.number, start, start + count * EXTENT - 1, "lv"), extent, count
        extent += count


def sectors(
    group: GroupPlan, inside: Place, laid: list[tuple[Place, int, int]], chance: random.Random, when: int
) -> dict[int, bytes]:
    """The sectors that make a partition a physical volume of the group, by their number on the disk."""
    own = _uuid(chance)
    text = _text(group, inside, laid, own, chance, when)
    body = own.replace("-", "").encode() + struct.pack("<Q", inside.sectors * 512)
    body += struct.pack("<QQQQ", FIRST * 512, 0, 0, 0) + struct.pack("<QQQQ", _AREA, _AREA_SIZE, 0, 0)
    checked = (struct.pack("<I8s", 32, b"LVM2 001") + body).ljust(492, b"\0")
    label = b"LABELONE" + struct.pack("<QI", 1, _crc(checked)) + checked
    locations = struct.pack("<QQII", 512, len(text), _crc(text), 0).ljust(96, b"\0")
    head = b" LVM2 x[5A%r0N*>" + struct.pack("<IQQ", 1, _AREA, _AREA_SIZE) + locations
    head = head.ljust(508, b"\0")
    area = struct.pack("<I", _crc(head)) + head + text
    return {inside.start + 1: label, inside.start + _AREA // 512: area}


def _text(
    group: GroupPlan,
    inside: Place,
    laid: list[tuple[Place, int, int]],
    own: str,
    chance: random.Random,
    when: int,
) -> bytes:
    names = {volume.number: volume.name for volume in group.volumes}
    lines = [f"{group.name} {{", f'id = "{_uuid(chance)}"', f"seqno = {len(laid) + 1}", 'format = "lvm2"']
    lines += ['status = ["RESIZEABLE", "READ", "WRITE"]', "flags = []", f"extent_size = {EXTENT}"]
    lines += ["max_lv = 0", "max_pv = 0", "metadata_copies = 0", "physical_volumes {", "pv0 {"]
    count = (inside.sectors - FIRST) // EXTENT
    lines += [f'id = "{own}"', 'device = "/dev/vda2"', 'status = ["ALLOCATABLE"]', "flags = []"]
    lines += [f"dev_size = {inside.sectors}", f"pe_start = {FIRST}", f"pe_count = {count}", "}", "}"]
    lines.append("logical_volumes {")
    for place, first, extents in laid:
        lines += [f"{names[place.number]} {{", f'id = "{_uuid(chance)}"']
        lines += ['status = ["READ", "WRITE", "VISIBLE"]', "flags = []", "segment_count = 1", "segment1 {"]
        lines += ["start_extent = 0", f"extent_count = {extents}", 'type = "striped"', "stripe_count = 1"]
        lines += [f'stripes = ["pv0", {first}]', "}", "}"]
    lines += ["}", "}", 'contents = "Text Format Volume Group"', "version = 1", 'description = ""']
    lines += ['creation_host = "localhost"', f"creation_time = {when}"]
    return "\n".join(lines).encode() + b"\n\0"


def _crc(data: bytes) -> int:
    """LVM's checksum: the CRC-32 of everybody from another start, and without the inversion at its end."""
    return zlib.crc32(data, _INITIAL ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def _uuid(chance: random.Random) -> str:
    raw = "".join(chance.choices(_LETTERS, k=32))
    at = (0, 6, 10, 14, 18, 22, 26, 32)
    return "-".join(raw[one:other] for one, other in pairwise(at))
