"""The headers of qcow2 and of its forerunner qcow.

Facts from QEMU's docs/interop/qcow2.txt and block/qcow.c; all numbers are big-endian.
"""

import struct
from datetime import UTC, datetime

from core.disks.header import LARGEST, MOST, Header, Reference, Source, cut_short, text_of
from core.disks.model import Encryption, Snapshot
from core.disks.reach import needed_end
from core.i18n import _

MAGIC = b"QFI\xfb"

DIRTY, CORRUPT, DATA_FILE, COMPRESSION, EXTENDED_L2 = (1 << bit for bit in range(5))
_KNOWN = DIRTY | CORRUPT | DATA_FILE | COMPRESSION | EXTENDED_L2

_BACKING_FORMAT = 0xE2792ACA
_DATA_FILE_NAME = 0x44415441

_ENCRYPTION: tuple[Encryption, ...] = ("", "aes", "luks")
"""By the header's number of the method."""

_V2 = struct.Struct(">4sIQIIQIIQQIIQ")
_V3 = struct.Struct(">QQQII")
_SNAPSHOT = struct.Struct(">QIHHIIQII")

_MOST_SNAPSHOTS = 65536
_MOST_L1 = 32 << 20
_MOST_REFCOUNT_TABLE = 8 << 20
_MOST_EMPTY_BLOCKS = 16
"""Empty blocks of reference counts at the end of the table that are looked at before giving up."""
_OFFSET = 0x00FFFFFFFFFFFE00


def parse(source: Source) -> Header:
    """Read the header of a qcow2 image; raises `Damaged` where a field is out of range."""
    head = source.exactly(0, _V2.size, _("the header"))
    (
        _magic,
        version,
        backing_offset,
        backing_size,
        cluster_bits,
        virtual_size,
        crypt,
        l1_size,
        l1_offset,
        refcount_offset,
        refcount_clusters,
        snapshot_count,
        snapshot_offset,
    ) = _V2.unpack(head)
    if version not in (2, 3):
        raise source.damaged(_("version {number} is unknown").format(number=version))
    if not 9 <= cluster_bits <= 21:
        raise source.damaged(_("clusters of 2^{bits} bytes").format(bits=cluster_bits))
    cluster = 1 << cluster_bits
    incompatible, refcount_order, length = 0, 4, 72
    if version == 3:
        raw = source.exactly(72, _V3.size, _("the header"))
        incompatible, _compatible, _autoclear, refcount_order, length = _V3.unpack(raw)
        if not 104 <= length <= cluster:
            raise source.damaged(_("a header length of {count}").format(count=length))
    entry = 16 if incompatible & EXTENDED_L2 else 8
    _check_tables(source, cluster, virtual_size, entry, (l1_size, l1_offset))
    _check_refcounts(source, cluster, (refcount_offset, refcount_clusters, refcount_order))
    if crypt > 2:
        raise source.damaged(_("encryption method {number} is unknown").format(number=crypt))

    extensions = _extensions(source, length, backing_offset or cluster, cluster)
    references = _references(source, cluster, (backing_offset, backing_size), incompatible, extensions)
    problems = [*_flag_problems(incompatible), *_told(_ENCRYPTION[crypt])]
    if not incompatible & DIRTY:
        needed = _needed_end(source, cluster, refcount_offset, refcount_clusters, refcount_order)
        if needed > source.size:
            problems.append(cut_short(needed, source.size))
    blocked = ""
    if incompatible & ~_KNOWN:
        blocked = _("The image uses features that QEMU's qcow2 of today does not have (bits {bits}).").format(
            bits=hex(incompatible & ~_KNOWN)
        )
    return Header(
        "qcow2",
        virtual_size,
        references,
        _snapshots(source, snapshot_count, snapshot_offset),
        tuple(problems),
        blocked,
        encryption=_ENCRYPTION[crypt],
    )


def _check_tables(source: Source, cluster: int, virtual: int, entry: int, l1: tuple[int, int]) -> None:
    l1_size, l1_offset = l1
    if virtual >= LARGEST:
        raise source.damaged(_("a virtual size of {count} bytes").format(count=virtual))
    covered = cluster * (cluster // entry)
    if l1_size * 8 > _MOST_L1:
        raise source.damaged(_("an L1 table of {count} entries").format(count=l1_size))
    if l1_size < -(-virtual // covered):
        raise source.damaged(_("the L1 table is too small for the disk"))
    if l1_offset % cluster:
        raise source.damaged(_("the L1 table lies where it cannot be"))
    if l1_size and l1_offset + 8 * l1_size > source.size:
        raise source.beyond(_("the L1 table"), l1_offset + 8 * l1_size)


def _check_refcounts(source: Source, cluster: int, table: tuple[int, int, int]) -> None:
    offset, clusters, order = table
    if order > 6:
        raise source.damaged(_("reference counts of 2^{bits} bits").format(bits=order))
    if not clusters or clusters * cluster > _MOST_REFCOUNT_TABLE:
        raise source.damaged(_("a reference count table of {count} clusters").format(count=clusters))
    if offset % cluster:
        raise source.damaged(_("the reference count table lies where it cannot be"))
    if offset >= source.size:
        raise source.beyond(_("the reference count table"), offset + clusters * cluster)


def _extensions(source: Source, start: int, end: int, cluster: int) -> dict[int, bytes]:
    """The header extensions by type; QEMU refuses those that leave the first cluster."""
    found: dict[int, bytes] = {}
    data = source.some(0, min(cluster, end))
    at = start
    while at + 8 <= len(data):
        kind, length = struct.unpack_from(">II", data, at)
        if kind == 0:
            break
        if at + 8 + length > len(data):
            raise source.damaged(_("a header extension leaves the first cluster"))
        found[kind] = data[at + 8 : at + 8 + length]
        at += 8 + (length + 7) // 8 * 8
    return found


def _references(
    source: Source, cluster: int, backing: tuple[int, int], incompatible: int, extensions: dict[int, bytes]
) -> tuple[Reference, ...]:
    references = []
    offset, length = backing
    if offset:
        if length > 1023 or offset + length > cluster:
            raise source.damaged(_("a backing file name of {count} bytes").format(count=length))
        name = text_of(source.exactly(offset, length, _("the backing file name")))
        stated = extensions.get(_BACKING_FORMAT, b"")
        if name:
            references.append(Reference("backing", name, text_of(stated) or None))
    if incompatible & DATA_FILE:
        references.append(Reference("data", text_of(extensions.get(_DATA_FILE_NAME, b""))))
    return tuple(references)


def _told(encryption: Encryption) -> tuple[str, ...]:
    """The finding that an image is encrypted."""
    if encryption == "aes":
        return (
            _(
                "The image is encrypted in QEMU's old way (AES). No wrong passphrase can be told from the"
                " right one: with a wrong one everything is noise, and no partition table is found."
            ),
        )
    return (_("The image is encrypted by QEMU (LUKS)."),) if encryption else ()


def _flag_problems(incompatible: int) -> list[str]:
    problems = []
    if incompatible & DIRTY:
        problems.append(
            _("The image was not closed cleanly: its reference counts may be out of date (dirty bit).")
        )
    if incompatible & CORRUPT:
        problems.append(_("QEMU has marked the image as corrupt; it can be read but not written."))
    return problems


def _needed_end(source: Source, cluster: int, table: int, clusters: int, order: int) -> int:
    """Where the last cluster in use begins, one byte further: the file must reach at least there.

    Found from the last reference count that is not zero, so it costs two reads and not a walk over
    all tables.
    """
    width = 1 << order
    per_block = cluster * 8 // width
    entries = source.some(table, clusters * cluster)
    entries = entries[: len(entries) // 8 * 8]
    in_use = -(-len(entries.rstrip(b"\0")) // 8)
    looked = 0
    for index in range(in_use - 1, -1, -1):
        (block,) = struct.unpack_from(">Q", entries, index * 8)
        if not block & _OFFSET:
            continue
        looked += 1
        if looked > _MOST_EMPTY_BLOCKS:
            break
        if block & _OFFSET >= source.size:
            return int(block & _OFFSET) + 1
        counts = source.some(block & _OFFSET, cluster).rstrip(b"\0")
        if counts:
            if width >= 8:
                last = (len(counts) - 1) // (width // 8)
            else:  # the low bits of a byte belong to the first of its clusters
                last = (len(counts) - 1) * (8 // width) + (counts[-1].bit_length() - 1) // width
            return (index * per_block + last) * cluster + 1
    return 0


def _snapshots(source: Source, count: int, offset: int) -> tuple[Snapshot, ...]:
    if count > _MOST_SNAPSHOTS:
        raise source.damaged(_("{count} internal snapshots").format(count=count))
    found = []
    table = source.some(offset, min(MOST, count * 2048)) if count else b""
    at = 0
    for _number in range(count):
        if at + _SNAPSHOT.size > len(table):
            raise source.beyond(_("the snapshot table"), max(offset + at + _SNAPSHOT.size, source.size + 1))
        fields = _SNAPSHOT.unpack_from(table, at)
        id_size, name_size, seconds, state, extra = fields[2], fields[3], fields[4], fields[7], fields[8]
        if extra > 1024:
            raise source.damaged(_("a snapshot entry of {count} bytes").format(count=extra))
        start = at + _SNAPSHOT.size
        length: int | None = None
        if extra >= 8 and start + 8 <= len(table):
            (state,) = struct.unpack_from(">Q", table, start)
        if extra >= 16 and start + 16 <= len(table):
            (length,) = struct.unpack_from(">Q", table, start + 8)
        start += extra
        ident, name = table[start : start + id_size], table[start + id_size : start + id_size + name_size]
        date = datetime.fromtimestamp(seconds, UTC)
        found.append(Snapshot(text_of(ident), text_of(name), date, state, length))
        at = (start + id_size + name_size + 7) // 8 * 8
    return tuple(found)


def parse_first(source: Source) -> Header:
    """Read the header of a qcow image (version 1)."""
    head = source.exactly(0, 48, _("the header"))
    offset, length, _mtime, virtual_size, cluster_bits, l2_bits = struct.unpack_from(">QIIQBB", head, 8)
    crypt, l1_offset = struct.unpack_from(">IQ", head, 36)
    if not 9 <= cluster_bits <= 16 or not 6 <= l2_bits <= 13:
        raise source.damaged(_("clusters of 2^{bits} bytes").format(bits=cluster_bits))
    if crypt > 1:
        raise source.damaged(_("encryption method {number} is unknown").format(number=crypt))
    if not 1 < virtual_size < LARGEST - (1 << (cluster_bits + l2_bits)):
        raise source.damaged(_("a virtual size of {count} bytes").format(count=virtual_size))
    l1_size = -(-virtual_size // (1 << (cluster_bits + l2_bits)))
    if l1_size * 8 > 0x7FFFFFFF:
        raise source.damaged(_("an L1 table of {count} entries").format(count=l1_size))
    if l1_offset + l1_size * 8 > source.size:
        raise source.beyond(_("the L1 table"), l1_offset + l1_size * 8)
    references: tuple[Reference, ...] = ()
    if offset:
        if length > 1023:
            raise source.damaged(_("a backing file name of {count} bytes").format(count=length))
        name = text_of(source.exactly(offset, length, _("the backing file name")))
        references = (Reference("backing", name),) if name else ()
    encryption = _ENCRYPTION[crypt]
    problems = list(_told(encryption))
    needed = needed_end(
        source, (l1_offset, l1_size), 8 << l2_bits, ">", lambda entry: _end_of(entry, cluster_bits)
    )
    if needed > source.size:
        problems.append(cut_short(needed, source.size))
    return Header("qcow", virtual_size, references, problems=tuple(problems), encryption=encryption)


def _end_of(entry: int, cluster_bits: int) -> int:
    """Where a cluster of version 1 ends; see decompress_cluster and get_cluster_offset in block/qcow.c."""
    if not entry >> 63:
        return entry + (1 << cluster_bits) if entry else 0
    shift = 63 - cluster_bits
    return (entry & ((1 << shift) - 1)) + (entry >> shift & ((1 << cluster_bits) - 1))
