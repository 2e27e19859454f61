"""A logical volume put together by the kernel's device mapper, from tables that this program writes.

No program of LVM activates anything: it would look at all disks of the host, and a group of the same name
or with the same UUIDs there would be mixed up with this one. What lies below are read-only loop devices
over the data of each physical volume, without its label: udev has rules that activate a group as soon as
a device shows one (69-lvm.rules). For the same reason whatever can begin elsewhere than at the start of its
device does, see `core.volumes.tables`; thin pools and snapshots cannot.

Source of the tables: the kernel's Documentation/admin-guide/device-mapper.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from core.disks.view import View
from core.i18n import _
from core.text import safe
from core.undo.stack import Stack
from core.volumes.loop import attach_bytes
from core.volumes.lvm.model import Group, Logical, Physical, Segment
from core.volumes.lvm.runs import MIRRORS, STRIPES, NotPlain, Places, check_stripes
from core.volumes.parity import daemon
from core.volumes.raid import PARITY, Copies
from core.volumes.tables import MARGIN, SECTOR, Line, Maker, Shown, hidden, sectors

_DEEPEST = 12
_LEAD = 4096
"""Bytes: the label of a physical volume lies in the first 2048, see `core.volumes.lvm.label`."""
_Target = tuple[str, tuple[str, ...]]
"""A target of a table, and the devices that it names."""


@dataclass(slots=True)
class Mapper:
    """Puts up what one logical volume needs; each part once."""

    stack: Stack
    view: View
    folder: Path
    """The session's own."""
    places: Places
    begin: int
    """Where in the view that lies by which the group's places count."""
    tie: bool
    """Whether daemons die with this program."""
    attached: dict[tuple[str, bool], Shown] = field(default_factory=dict)
    """What is up, by its name in the group and whether it begins at the start of its device."""

    @property
    def group(self) -> Group:
        return self.places.group

    def show(self, name: str) -> Shown:
        """Put a volume up, hidden; raises `NotPlain` and `Refused` where that cannot be done."""
        return self._device(name, 0)

    def _maker(self, name: str) -> Maker:
        return Maker(self.stack, "lv", self.folder.name, as_its_metadata_say(name), self.view.writable)

    def _create(self, lines: list[Line], name: str, *, writable: bool | None = None) -> str:
        return self._maker(name).create(lines, writable=writable)

    def _device(self, name: str, depth: int, *, bare: bool = False) -> Shown:
        """The device of a volume; `bare` for a target that cannot be told where on it to begin."""
        if (name, bare) in self.attached:
            return self.attached[name, bare]
        if depth > _DEEPEST:
            raise NotPlain(
                _("The metadata of the group {name} go round in a circle.").format(name=safe(self.group.name))
            )
        volume = self.group.logical.get(name)
        if volume is None:
            raise NotPlain(
                _("The metadata name a volume that does not exist: {name}.").format(name=safe(name))
            )
        size = volume.size
        snapshot = self.group.snapshots.get(name)
        if snapshot:
            size = snapshot.size
            over = self._snapshot(name, snapshot, depth)
            lines = [Line(0, snapshot.size, f"linear {over} 0", (over,))]
        else:
            lines = self._lines(volume, depth)
        path = self._create(lines if bare else hidden(lines), name)
        self.attached[name, bare] = Shown(path, 0 if bare else MARGIN, size)
        return self.attached[name, bare]

    def _lines(self, volume: Logical, depth: int) -> list[Line]:
        return [Line(one.start, one.size, *self._builder(volume, one)(one, depth)) for one in volume.segments]

    def _snapshot(self, name: str, facts: Segment, depth: int) -> str:
        """dm-snapshot: the origin, and over it the changes that are kept in the volume `name`."""
        if facts.word("merging_store"):
            raise NotPlain(_("It was being merged into its origin."))
        origin = self._device(facts.word("origin"), depth + 1, bare=True).path
        changes = self._create(self._lines(self.group.logical[name], depth), name)
        chunk = facts.number("chunk_size") or 8
        table = f"snapshot {origin} {changes} P {chunk}"
        return self._create([Line(0, facts.size, table, (origin, changes))], name)

    def _builder(self, volume: Logical, segment: Segment) -> Callable[[Segment, int], _Target]:
        kind = segment.type
        if kind in MIRRORS:
            return lambda one, depth: self._leg(volume, one, depth)
        if kind in STRIPES:
            return self._stripes
        if kind in PARITY:
            return lambda one, _depth: _linear(self._reckoned(volume, one))
        if kind in ("raid10", "raid10_near"):
            return lambda one, depth: self._copies(volume, one, depth)
        if kind == "thin":
            return self._thin
        if self.view.writable and self.places.writes_back(segment):
            return self._cached
        if closed := self.places.closed(segment):
            raise closed
        if kind == "cache":
            return lambda one, depth: _linear(self._device(one.word("origin"), depth + 1))
        if kind in ("zero", "error"):
            return lambda one, depth: (kind, ())
        raise NotPlain(
            _("It is made in a way that this program does not know: {type}.").format(type=safe(kind))
        )

    def _stripes(self, segment: Segment, depth: int) -> _Target:
        found = [self._part(part.name, part.place, depth) for part in segment.parts]
        there = [one for one in found if one]
        if len(there) < len(found) or not there:
            return "error", ()  # what lay on a missing disk gives errors, the rest can be read
        if len(there) == 1:
            return _linear(there[0])
        places = " ".join(f"{one.path} {sectors(one.begin)}" for one in there)
        on = tuple(dict.fromkeys(one.path for one in there))
        return f"striped {len(there)} {sectors(segment.stripe)} {places}", on

    def _leg(self, volume: Logical, segment: Segment, depth: int) -> _Target:
        legs = self.places.legs(volume, segment)
        if not legs:
            raise NotPlain(_("None of its copies is whole."))
        part = segment.parts[legs[0]]
        found = self._part(part.name, part.place, depth)
        return _linear(found) if found else ("error", ())

    def _reckoned(self, volume: Logical, segment: Segment) -> Shown:
        """A RAID with parity: a loop device over what a daemon of this program shows of it."""
        raid = self.places.raid(volume, segment).moved(self.begin)
        why, title = as_its_metadata_say(volume.name), safe(volume.name)
        view = daemon.show(self.stack, self.view, raid, self.folder, title, why, tie=self.tie, margin=MARGIN)
        why = _("Attach the RAID of the logical volume {name}, between zeros: nobody takes it for a volume.")
        path = attach_bytes(self.stack, view, 0, view.size, why.format(name=title)).path
        return Shown(path, MARGIN, raid.size)

    def _copies(self, volume: Logical, segment: Segment, depth: int) -> _Target:
        check_stripes(segment)
        legs: list[Shown | None] = [None] * len(segment.parts)
        for number in self.places.legs(volume, segment):
            legs[number] = self._device(segment.parts[number].name, depth + 1)
        form = Copies(segment.number("data_copies") or 2)
        lines = self._maker(volume.name).copies(form, segment.stripe, legs, segment.size)
        return _linear(self._hidden(lines, volume.name, segment.size))

    def _hidden(self, lines: list[Line], name: str, size: int) -> Shown:
        return Shown(self._create(hidden(lines), name), MARGIN, size)

    def _thin(self, segment: Segment, depth: int) -> _Target:
        pool = self._pool(segment.word("thin_pool"), depth + 1)
        words, on = f"thin {pool} {segment.number('device_id')}", [pool]
        if outside := segment.word("external_origin"):
            on.append(self._device(outside, depth + 1, bare=True).path)
            words += " " + on[-1]
        return words, tuple(on)

    def _pool(self, name: str, depth: int) -> str:
        """dm-thin-pool; read-only it takes no note of anything in its metadata."""
        key = (f"{name} (pool)", True)
        if key in self.attached:
            return self.attached[key].path
        volume = self.group.logical.get(name)
        segment = volume.segments[0] if volume and volume.segments else None
        if volume is None or segment is None or segment.type != "thin-pool":
            raise NotPlain(
                _("The metadata name a volume that does not exist: {name}.").format(name=safe(name))
            )
        metadata = self._device(segment.word("metadata"), depth + 1, bare=True).path
        data = self._device(segment.word("pool"), depth + 1, bare=True).path
        flags = "0" if self.view.writable else "1 read_only"
        table = f"thin-pool {metadata} {data} {segment.number('chunk_size')} 0 {flags}"
        # the kernel makes no pool by a read-only table; what it stands on is read-only all the same
        path = self._create([Line(0, volume.size, table, (metadata, data))], name, writable=True)
        self.attached[key] = Shown(path, 0, volume.size)
        return path

    def _cached(self, segment: Segment, depth: int) -> _Target:
        """dm-cache or dm-writecache; both note that they were started, so only over an overlay.

        See cache.rst and writecache.rst in the kernel's Documentation/admin-guide/device-mapper. dm-cache
        counts from the start of its device, so it has one of its own.
        """
        name = segment.word("origin")
        origin = self._device(name, depth + 1, bare=True).path
        if segment.type == "writecache":
            fast = self._device(segment.word("writecache"), depth + 1, bare=True).path
            return f"writecache s {origin} {fast} {segment.number('writecache_block_size')} 0", (origin, fast)
        facts, metadata, data = self._fast(segment, depth)
        modes = ["metadata2"] if facts.number("metadata_format") == 2 else []
        modes.append("writeback")
        told = f"{facts.number('chunk_size')} {len(modes)} {' '.join(modes)} smq 0"
        on = (metadata, data, origin)
        path = self._create([Line(0, segment.size, f"cache {' '.join(on)} {told}", on)], name)
        return f"linear {path} 0", (path,)

    def _fast(self, segment: Segment, depth: int) -> tuple[Segment, str, str]:
        """What describes a cache, its metadata and its data: a pool of two volumes, or two parts of one."""
        name = segment.word("cache_pool")
        pool = self.group.logical.get(name)
        facts = pool.segments[0] if pool and pool.segments else None
        if facts and facts.type == "cache-pool":
            metadata = self._device(facts.word("metadata"), depth + 1, bare=True).path
            return facts, metadata, self._device(facts.word("data"), depth + 1, bare=True).path
        whole = self._device(name, depth + 1, bare=True).path

        def part(kind: str) -> str:
            begin, length = segment.number(f"{kind}_start"), segment.number(f"{kind}_len")
            return self._create([Line(0, length * SECTOR, f"linear {whole} {begin}", (whole,))], name)

        return segment, part("metadata"), part("data")

    def _part(self, name: str, place: int, depth: int) -> Shown | None:
        """Where byte `place` of a part is; None where it is on a missing disk."""
        physical = self.group.physical.get(name)
        if physical is None:
            below = self._device(name, depth + 1)
            return Shown(below.path, below.begin + place, below.size - place)
        if physical.offset is None:
            return None
        below = self._loop(physical)
        at = place - physical.data
        return Shown(below.path, below.begin + at, below.size - at)

    def _loop(self, physical: Physical) -> Shown:
        key = (physical.name, False)
        if key not in self.attached:
            assert physical.offset is not None
            size = min(physical.extents * self.group.extent, physical.length - physical.data)
            # what lies before the first extent is no signature, and nobody looks for one behind it
            lead = _LEAD if physical.data >= 2 * _LEAD else 0
            why = _(
                "Attach the data of the physical volume {name}, without its label: nobody takes it for one."
            )
            offset = self.begin + physical.offset + physical.data - lead
            told = why.format(name=safe(physical.name))
            path = attach_bytes(self.stack, self.view, offset, size + lead, told).path
            self.attached[key] = Shown(path, lead, size)
        return self.attached[key]


def as_its_metadata_say(name: str) -> str:
    """Why a logical volume is put up, as a sentence."""
    return _("Put the logical volume {name} together as its metadata say.").format(name=safe(name))


def _linear(shown: Shown) -> _Target:
    return f"linear {shown.path} {sectors(shown.begin)}", (shown.path,)
