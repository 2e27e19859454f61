"""Where the bytes of a logical volume lie on the disk, run by run, without the device mapper.

Sources: the kernel's drivers/md/dm-stripe.c, and drivers/md/dm-raid.c for the superblock of a leg.
"""

import struct
from bisect import bisect_right
from dataclasses import dataclass

from core.errors import Refused, SalvageError, WantsOverlay
from core.i18n import _
from core.text import safe
from core.volumes.lvm.model import Group, Logical, Part, Segment
from core.volumes.parity.contents import Contents as Reckoned
from core.volumes.parity.model import Leg, Raid
from core.volumes.raid import PARITY, Copies, copies_place, parity_place
from core.volumes.readable import Readable

_DEEPEST = 12
_PIECES = 2000
"""Of all legs of a RAID with parity: they are told to its daemon by one argument."""
_MOST_PARTS = 64
_MOST_STEPS = 500_000
"""Runs of all volumes of a group that are put together: such as join are counted too, of which metadata
can have without end."""
_MAGIC = b"DmRd"
_SUPERBLOCK = struct.Struct("<4sIIIQQQQ")
MIRRORS = ("mirror", "raid1")
STRIPES = ("striped", "linear", "raid0", "raid0_meta", "integrity")


class NotPlain(SalvageError):
    """Its bytes do not simply lie on the disk: the kernel's device mapper has to put them together."""


@dataclass(frozen=True, slots=True)
class Run:
    """Bytes that lie together; `offset` is counted in the view."""

    offset: int
    size: int


class Places:
    """Finds the bytes of the logical volumes of one group."""

    def __init__(self, group: Group, source: Readable) -> None:
        self.group = group
        self.source = source
        self._legs: dict[tuple[str, int], tuple[int, ...]] = {}
        self._complete: dict[str, bool] = {}
        self._starts: dict[str, list[int]] = {}
        self._steps = 0

    def run(self, volume: Logical, offset: int, depth: int = 0) -> Run:
        """Where byte `offset` of a volume lies, and how many more lie behind it in one run.

        Raises `NotPlain`, with a sentence that says why.
        """
        if depth > _DEEPEST:
            raise NotPlain(_("The metadata of the group {name} go round in a circle.").format(name=_n(self)))
        if volume.name in self.group.snapshots:
            raise NotPlain(_("It is a snapshot."))
        segment = self._segment(volume, offset)
        inside = offset - segment.start
        if closed := self.closed(segment):
            raise NotPlain(closed.what)
        if segment.type == "cache":
            return self._in(Part(segment.word("origin"), 0), inside, segment.size - inside, depth)
        part, at, size = self._part(volume, segment, inside)
        return self._in(part, at, min(size, segment.size - inside), depth)

    def runs(self, volume: Logical, most: int) -> tuple[Run, ...]:
        """All runs of a volume, neighbours joined; raises `NotPlain`, also for more than `most` of them."""
        found: list[Run] = []
        offset, size = 0, volume.size
        while offset < size:
            one = self.run(volume, offset)
            offset += one.size
            self._steps += 1
            if found and found[-1].offset + found[-1].size == one.offset:
                found[-1] = Run(found[-1].offset, found[-1].size + one.size)
            else:
                found.append(one)
            if len(found) > most or self._steps > _MOST_STEPS:
                raise NotPlain(_("It lies on the disk in more than {count} pieces.").format(count=most))
        return tuple(found)

    def read(self, volume: Logical, offset: int, size: int) -> bytes:
        """Bytes of a volume; fewer at its end and at unreadable places. Raises `NotPlain`."""
        parts = []
        while size > 0 and offset < volume.size:
            one = self.run(volume, offset)
            data = self.source.read(one.offset, min(one.size, size))
            parts.append(data)
            if len(data) < min(one.size, size):
                break
            offset, size = offset + len(data), size - len(data)
        return b"".join(parts)

    def legs(self, volume: Logical, segment: Segment) -> tuple[int, ...]:
        """The numbers of the legs of a mirror or RAID that are there and up to date."""
        key = (volume.name, segment.start)
        if key not in self._legs:
            self._legs[key] = ()  # for metadata that go round in a circle
            self._legs[key] = self._whole_legs(segment)
        return self._legs[key]

    def reckoned(self, volume: Logical) -> Raid | None:
        """A volume that is nothing but one RAID with parity; None for every other.

        Raises `NotPlain` where too many of its legs are lost.
        """
        if len(volume.segments) != 1 or volume.type not in PARITY or volume.name in self.group.snapshots:
            return None
        return self.raid(volume, volume.segments[0])

    def raid(self, volume: Logical, segment: Segment) -> Raid:
        """A segment with parity; raises `NotPlain` where too many of its legs are lost."""
        kind, count = segment.type, len(segment.parts)
        check_stripes(segment)
        legs: list[Leg | None] = [None] * count
        for number in self.legs(volume, segment):
            part = self.group.logical.get(segment.parts[number].name)
            if part and all(one.type != "error" for one in part.segments):
                legs[number] = tuple((one.offset, one.size) for one in self.runs(part, _PIECES // count))
        there = count - legs.count(None)
        if there < count - PARITY[kind]:
            raise NotPlain(
                _("Only {count} of the {all} parts of its RAID are whole and on this disk.").format(
                    count=there, all=count
                )
            )
        return Raid(kind, segment.stripe, tuple(legs), segment.size)

    def closed(self, segment: Segment) -> Refused | None:
        """Why a segment cannot be read although all of it may be there; None where it can."""
        if segment.type == "vdo":
            return Refused(
                _("VDO deduplicated and compressed the volume: only its driver knows where its data are."),
                _("That driver writes to the disk as soon as it is started, so it is not done here."),
                _(
                    "Give a copy of the disk to a machine whose kernel has it (Red Hat's, or Linux 6.9 and"
                    " newer, with LVM), and activate the volume there."
                ),
            )
        if self.writes_back(segment):
            return WantsOverlay(
                _("The volume has a cache that may hold newer data than its slow device (writeback)."),
                _("Putting a cache together writes to it, so it is not done on the disk itself."),
                _("Open it over an overlay: choose that in the wizard, or give --replay."),
            )
        return None

    def writes_back(self, segment: Segment) -> bool:
        """Whether it has a cache that may hold what its slow device has not."""
        if segment.type != "cache":
            return segment.type == "writecache"
        pool = self.group.logical.get(segment.word("cache_pool"))
        mode = segment.word("cache_mode") or (pool.segments[0].word("cache_mode") if pool else "")
        return mode not in ("writethrough", "passthrough")

    # -- inside -------------------------------------------------------------------------------

    def _segment(self, volume: Logical, offset: int) -> Segment:
        """The segment of a volume, whose segments join, in which a byte lies."""
        if volume.name not in self._starts:
            self._starts[volume.name] = [one.start for one in volume.segments]
        at = bisect_right(self._starts[volume.name], offset) - 1
        if at < 0 or offset >= volume.segments[at].start + volume.segments[at].size:
            raise NotPlain(_("It is shorter than its metadata say."))
        return volume.segments[at]

    def _in(self, part: Part, offset: int, size: int, depth: int) -> Run:
        physical = self.group.physical.get(part.name)
        if physical:
            if physical.offset is None:
                raise missing(physical.device or physical.name)
            return Run(physical.offset + part.place + offset, size)
        volume = self.group.logical.get(part.name)
        if volume is None:
            raise NotPlain(
                _("The metadata name a volume that does not exist: {name}.").format(name=safe(part.name))
            )
        found = self.run(volume, part.place + offset, depth + 1)
        return Run(found.offset, min(found.size, size))

    def _part(self, volume: Logical, segment: Segment, inside: int) -> tuple[Part, int, int]:
        """The part that has a byte of the segment, where in it, and how many bytes follow there."""
        parts, stripe = segment.parts, segment.stripe
        if not parts or len(parts) > _MOST_PARTS:
            raise _strange(segment)
        if segment.type in MIRRORS:
            legs = self.legs(volume, segment)
            if not legs:
                raise NotPlain(_("None of its copies is whole."))
            return parts[legs[0]], inside, segment.size - inside
        if segment.type in STRIPES and len(parts) == 1:
            return parts[0], inside, segment.size - inside
        check_stripes(segment)
        chunk, rest = divmod(inside, stripe)
        leg, row = _chunk(segment, chunk)
        if segment.type in PARITY and leg not in self.legs(volume, segment):
            raise NotPlain(_("A part of its RAID is lost or out of date, and has to be reckoned."))
        return parts[leg], row * stripe + rest, stripe - rest

    def _whole_legs(self, segment: Segment) -> tuple[int, ...]:
        there = [number for number, part in enumerate(segment.parts) if self.complete(part.name)]
        if not segment.metas:
            return tuple(there)
        blocks = {
            number: self._superblock(segment.metas[number]) for number in there if number < len(segment.metas)
        }
        known = {number: block for number, block in blocks.items() if block}
        if not known:
            return tuple(there)
        newest = max(block[4] for block in known.values())
        failed = 0
        for block in known.values():
            if block[4] == newest:
                failed |= block[5]
        # One change behind is as new: the machine stopped between two superblocks. A leg that was being
        # rebuilt has its data up to some sector only.
        return tuple(
            number
            for number, block in known.items()
            if block[4] + 1 >= newest and not failed >> number & 1 and block[6] == (1 << 64) - 1
        )

    def _superblock(self, name: str) -> tuple[int, ...] | None:
        volume = self.group.logical.get(name)
        if volume is None:
            return None
        try:
            data = self.read(volume, 0, _SUPERBLOCK.size)
        except NotPlain:
            return None
        if len(data) < _SUPERBLOCK.size or not data.startswith(_MAGIC):
            return None
        return _SUPERBLOCK.unpack(data)

    def complete(self, name: str, depth: int = 0) -> bool:
        """Whether all that a volume, logical or physical, lies on is on this disk."""
        if name not in self._complete:
            self._complete[name] = False  # for metadata that go round in a circle
            self._complete[name] = self._is_complete(name, depth)
        return self._complete[name]

    def _is_complete(self, name: str, depth: int) -> bool:
        physical = self.group.physical.get(name)
        if physical:
            return physical.offset is not None
        volume = self.group.logical.get(name)
        if volume is None or depth > _DEEPEST:
            return False
        return all(self.complete(part.name, depth + 1) for one in volume.segments for part in one.parts)


class Contents:
    """The bytes of one logical volume; making it raises `NotPlain` where too many legs of a RAID are lost."""

    def __init__(self, places: Places, volume: Logical) -> None:
        self._places, self._volume = places, volume
        raid = places.reckoned(volume)
        self._reckoned = Reckoned(raid, places.source) if raid else None

    def read(self, offset: int, length: int) -> bytes:
        """Raises `NotPlain`."""
        if self._reckoned:
            return self._reckoned.read(offset, length)
        return self._places.read(self._volume, offset, length)


def missing(device: str) -> NotPlain:
    """The error for a physical volume that is not on this disk."""
    return NotPlain(
        _("A physical volume that it lies on is not on this disk; it was {device} on its machine.").format(
            device=safe(device)
        ),
        remedy=_("Give the other disks too: DISK,DISK2; in the wizard, a."),
    )


def check_stripes(segment: Segment) -> None:
    """Raise `NotPlain` for what is not made of stripes as its metadata say."""
    count = len(segment.parts)
    if not PARITY.get(segment.type, 0) < count <= _MOST_PARTS:
        raise _strange(segment)
    if not segment.stripe:
        raise NotPlain(_("Its metadata do not say how long its stripes are."))


def _strange(segment: Segment) -> NotPlain:
    return NotPlain(
        _("It is made in a way ({type}) that needs the device mapper.").format(type=safe(segment.type))
    )


def _n(places: Places) -> str:
    return safe(places.group.name)


def _chunk(segment: Segment, chunk: int) -> tuple[int, int]:
    """The leg and the row of a chunk of data."""
    legs, kind = len(segment.parts), segment.type
    if kind in STRIPES:
        return chunk % legs, chunk // legs
    if kind in ("raid10", "raid10_near"):
        return next(copies_place(Copies(segment.number("data_copies") or 2), chunk, legs))
    if kind not in PARITY:
        raise _strange(segment)
    return parity_place(kind, chunk, legs)
