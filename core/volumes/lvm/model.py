"""A group of LVM as a model: physical volumes, logical volumes, segments.

Source of the names in the text: lvm2, lib/format_text/import_vsn1.c and lib/*/…segtype files
(striped.c, raid.c, mirrored.c, snapshot.c, thin.c, cache.c). Sizes and offsets are in bytes here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.volumes.lvm.label import whole
from core.volumes.lvm.text import BadText, Section

_SECTOR = 512
MOST_VOLUMES = 20_000
MOST_SEGMENTS = 100_000


@dataclass(frozen=True, slots=True)
class Part:
    """What a segment lies on: a physical volume (`place` in bytes of it), or a logical one."""

    name: str
    place: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of a logical volume that is made in one way. `start` and `size` in bytes."""

    start: int
    size: int
    type: str
    parts: tuple[Part, ...] = ()
    """Of stripes or mirror legs, in their order."""
    metas: tuple[str, ...] = ()
    """Of a RAID, the volumes with its superblocks, one for each part."""
    stripe: int = 0
    """Bytes of one stripe; 0 where there is only one."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """All that the text says of it, for types that need more."""

    def word(self, name: str) -> str:
        """A text of it; empty where there is none."""
        value = self.facts.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> int:
        """A number of it; 0 where there is none."""
        return whole(self.facts.get(name))


@dataclass(frozen=True, slots=True)
class Logical:
    """A logical volume."""

    name: str
    uuid: str
    visible: bool
    segments: tuple[Segment, ...]

    @property
    def size(self) -> int:
        return sum(one.size for one in self.segments)

    @property
    def type(self) -> str:
        """How it is made, as one word; that of its first segment."""
        return self.segments[0].type if self.segments else ""


@dataclass(frozen=True, slots=True)
class Physical:
    """A physical volume of a group; `offset` is where it begins in the view, None where it is missing."""

    name: str
    uuid: str
    offset: int | None
    length: int
    """Bytes that are there of it."""
    data: int
    """Where its first extent begins, from its own start."""
    extents: int
    device: str
    """What it was called on the machine that it comes from."""


@dataclass(frozen=True, slots=True)
class Group:
    """A volume group, as one disk knows it."""

    name: str
    uuid: str
    number: int
    extent: int
    physical: Mapping[str, Physical]
    logical: Mapping[str, Logical]
    snapshots: Mapping[str, Segment]
    """The snapshots of the old kind: the volume with the changes, and what is said of it."""
    problems: tuple[str, ...] = ()


def group_of(name: str, section: Section, found: Mapping[str, tuple[int, int]]) -> Group:
    """The group that a text tells of; `found` has offset and length in bytes of each physical volume by UUID.

    Raises `BadText` where the text lacks what it must have.
    """
    extent = whole(section.get("extent_size")) * _SECTOR
    physical = {
        one: _physical(one, value, found) for one, value in _sections(section, "physical_volumes").items()
    }
    logical: dict[str, Logical] = {}
    count = 0
    for one, value in _sections(section, "logical_volumes").items():
        logical[one] = _logical(one, value, extent, physical)
        count += len(logical[one].segments)
        if len(logical) > MOST_VOLUMES or count > MOST_SEGMENTS:
            raise BadText("more volumes than a group can have")
    snapshots = {
        segment.word("cow_store"): segment
        for volume in logical.values()
        for segment in volume.segments
        if segment.type == "snapshot" and segment.word("cow_store")
    }
    number = whole(section.get("seqno"))
    return Group(name, str(section["id"]), number, extent, physical, logical, snapshots)


def _sections(section: Section, name: str) -> Mapping[str, Section]:
    value = section.get(name, {})
    if not isinstance(value, dict):
        raise BadText(f"{name} is no section")
    return {key: one for key, one in value.items() if isinstance(one, dict)}


def _physical(name: str, section: Section, found: Mapping[str, tuple[int, int]]) -> Physical:
    uuid = str(section.get("id", ""))
    offset, length = found.get(uuid, (None, 0))
    return Physical(
        name,
        uuid,
        offset,
        length,
        whole(section.get("pe_start")) * _SECTOR,
        whole(section.get("pe_count")),
        str(section.get("device", "")),
    )


def _logical(name: str, section: Section, extent: int, physical: Mapping[str, Physical]) -> Logical:
    status = section.get("status", [])
    segments = sorted(
        (
            _segment(value, extent, physical)
            for key, value in section.items()
            if key.startswith("segment") and isinstance(value, dict)
        ),
        key=lambda one: one.start,
    )
    end = 0
    for one in segments:
        if one.start != end or not one.size:
            raise BadText(f"the segments of {name} do not join")
        end += one.size
    visible = isinstance(status, list) and "VISIBLE" in status
    return Logical(name, str(section.get("id", "")), visible, tuple(segments))


_LISTS = ("stripes", "mirrors", "raid0_lvs", "raids")


def _segment(section: Section, extent: int, physical: Mapping[str, Physical]) -> Segment:
    start, count = (whole(section.get(one)) for one in ("start_extent", "extent_count"))
    parts: list[Part] = []
    metas: list[str] = []
    for key in _LISTS:
        words = section.get(key)
        if not isinstance(words, list):
            continue
        if key == "raids":
            names = [str(word) for word in words]
            metas, parts = names[0::2], [Part(one, 0) for one in names[1::2]]
        elif key == "raid0_lvs":
            parts = [Part(str(word), 0) for word in words]
        else:
            pairs = zip(words[0::2], words[1::2], strict=False)
            parts = [_part(str(one), whole(at), extent, physical) for one, at in pairs]
    if section.get("type") == "integrity":  # its data lie there as they are, its checksums elsewhere
        parts = [Part(str(section.get("origin", "")), 0)]
    return Segment(
        start * extent,
        count * extent,
        str(section.get("type", "")).partition("+")[0],
        tuple(parts),
        tuple(metas),
        whole(section.get("stripe_size")) * _SECTOR,
        section,
    )


def _part(name: str, extents: int, extent: int, physical: Mapping[str, Physical]) -> Part:
    begin = physical[name].data if name in physical else 0
    return Part(name, begin + extents * extent)
