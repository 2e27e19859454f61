"""Images inside something else: compressed, or a member of an archive. What is in there, and where.

Facts from RFC 1952 (gzip), RFC 8878 (zstd), the .xz file format 1.1.0, bzip2's manual and POSIX pax (ustar).
An .ova is a tar archive: DMTF DSP0243, section 5.3.
"""

import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from core.disks.formats import SUFFIXES, has_table
from core.disks.header import MOST, Damaged, Source, cut_short
from core.disks.model import SECTOR
from core.errors import Refused, SeveralMembers
from core.i18n import _, noted
from core.text import safe, size

Packing = Literal["gz", "xz", "zst", "bz2", "tar"]

_MAGIC: dict[Packing, tuple[int, bytes]] = {
    "gz": (0, b"\x1f\x8b\x08"),
    "xz": (0, b"\xfd7zXZ\0"),
    "zst": (0, b"\x28\xb5\x2f\xfd"),
    "bz2": (0, b"BZh"),
    "tar": (257, b"ustar"),
}
_SUFFIXES: dict[Packing, tuple[str, ...]] = {
    "gz": (".gz", ".tgz"),
    "xz": (".xz", ".txz"),
    "zst": (".zst", ".zstd", ".tzst"),
    "bz2": (".bz2", ".tbz", ".tbz2"),
    "tar": (".tar", ".ova", ".box"),
}
PACKED_SUFFIXES = frozenset(suffix for known in _SUFFIXES.values() for suffix in known)
"""What files of this kind are usually called."""

_START = 512
_MOST_MEMBERS = 10_000
_MOST_TOLD = 8
_XZ_EDGE = 12
"""Bytes of an .xz stream's header, and of its footer."""


def packing(source: Source) -> Packing | None:
    """How a file is packed, by its first bytes; None for everything else.

    A raw disk may begin with anything: one that also has a partition table is a disk, whatever it is called.
    """
    start = source.some(0, _START)
    for kind, (at, magic) in _MAGIC.items():
        if start[at : at + len(magic)] == magic:
            named = source.path.suffix.lower() in _SUFFIXES[kind]
            return kind if named or not has_table(source) else None
    return None


def inner_name(name: str) -> str:
    """What a packed file is called when it is unpacked: ``disk.tgz`` gives ``disk.tar``."""
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    if suffix not in PACKED_SUFFIXES:
        return name
    return path.stem + (".tar" if suffix.startswith(".t") and suffix != ".tar" else "")


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive, lying there as it is. Offset and size in bytes."""

    name: str
    offset: int
    size: int
    is_sparse: bool = False


@dataclass(frozen=True, slots=True)
class Blocks:
    """What the index of an .xz file tells, in bytes."""

    total: int
    largest: int
    """The longest block when unpacked: as much must be unpacked to read one byte."""


def member(source: Source, wanted: str | None) -> tuple[Member, tuple[str, ...]]:
    """The disk in a tar archive, and what must be known of it.

    `wanted` names it where there are several. Raises `SeveralMembers` where it is not clear which is meant,
    `Damaged` for an archive that cannot be read, `Refused` for a member that does not lie there as it is.
    """
    found = _members(source)
    if wanted is not None:
        same = [one for one in found if wanted in (one.name, PurePosixPath(one.name).name)]
    else:
        same = [one for one in found if _may_be_disk(one.name)] or found
    if len(same) != 1:
        raise _several(source.path, same or found, wanted)
    one = same[0]
    if one.is_sparse:
        raise Refused(
            _("{name} lies in {path} with its holes left out, and cannot be read in place.").format(
                name=safe(one.name), path=safe(source.path)
            ),
            _("Nothing was opened."),
            _("Unpack the archive with tar, and open the file."),
        )
    have = source.size - one.offset
    if one.size > have:
        clipped = Member(one.name, one.offset, max(0, have // SECTOR * SECTOR))
        return clipped, (cut_short(one.offset + one.size, source.size),)
    return one, ()


def _members(source: Source) -> list[Member]:
    found: list[Member] = []
    try:
        with open(os.dup(source.fd), "rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for entry in archive:
                if entry.isfile():
                    sparse = entry.issparse()
                    found.append(Member(entry.name, entry.offset_data, entry.size, sparse))
                if len(found) > _MOST_MEMBERS:
                    raise source.damaged(
                        _("an archive of more than {count} files").format(count=_MOST_MEMBERS)
                    )
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        if not found:
            raise _unreadable(source) from error
    if not found:
        raise _unreadable(source)
    return found


def _unreadable(source: Source) -> Damaged:
    return Damaged(
        _("The archive {path} holds no file that could be read.").format(path=safe(source.path)),
        _("Nothing was opened or changed."),
        _("Get another copy of it, or open it as raw bytes: --format raw."),
    )


def may_be_packed_disk(name: str) -> bool:
    """Whether a file called so is an appliance, or a packed file with the name of a disk in its own."""
    suffix = PurePosixPath(name).suffix.lower()
    return suffix == ".ova" or (suffix in PACKED_SUFFIXES and _may_be_disk(name))


def _may_be_disk(name: str) -> bool:
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    if suffixes and suffixes[-1] in PACKED_SUFFIXES:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in SUFFIXES


def _several(path: Path, members: Sequence[Member], wanted: str | None) -> SeveralMembers:
    names = _("; ").join(noted(safe(one.name), size(one.size)) for one in members[:_MOST_TOLD])
    more = len(members) - _MOST_TOLD
    names += _("; and {count} more").format(count=more) if more > 0 else ""
    if wanted is not None:
        what = _("{path} holds no file {name}.").format(path=safe(path), name=safe(wanted))
    else:
        what = _("{path} holds several files that may be the disk.").format(path=safe(path))
    told = _("Say which with --member NAME: {names}.").format(names=names)
    return SeveralMembers(
        tuple((one.name, one.size) for one in members), what, _("Nothing was opened."), told
    )


def xz_blocks(source: Source) -> Blocks | None:
    """How an .xz file is cut into blocks, from the indexes at the ends of its streams.

    None where an index is missing or wrong: such a file is unpacked from its start as far as it goes.
    """
    total = largest = 0
    end = source.size
    while end >= 2 * _XZ_EDGE:
        footer = source.some(end - _XZ_EDGE, _XZ_EDGE)
        if footer == bytes(_XZ_EDGE) or footer[-4:] == bytes(4):
            end -= 4  # padding between streams
            continue
        length = (int.from_bytes(footer[4:8], "little") + 1) * 4
        if footer[-2:] != b"YZ" or length > min(MOST, end - _XZ_EDGE):
            return None
        records = _xz_records(source.some(end - _XZ_EDGE - length, length))
        if records is None:
            return None
        packed = sum(-(-stored // 4) * 4 for stored, _plain in records)
        end -= packed + length + 2 * _XZ_EDGE
        total += sum(plain for _stored, plain in records)
        largest = max([largest, *(plain for _stored, plain in records)])
    return Blocks(total, largest) if end == 0 else None


def _xz_records(index: bytes) -> list[tuple[int, int]] | None:
    """Stored and unpacked length of each block."""
    at = 1
    numbers: list[int] = []
    wanted = 1
    while len(numbers) < wanted:
        value = shift = 0
        while True:
            if at >= len(index) or shift > 56:
                return None
            byte = index[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        numbers.append(value)
        if len(numbers) == 1:
            wanted = 1 + 2 * value
            if wanted > 2 * len(index):
                return None
    return list(zip(numbers[1::2], numbers[2::2], strict=True)) if index[:1] == b"\0" else None
