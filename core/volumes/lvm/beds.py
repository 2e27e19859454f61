"""On which physical volumes a logical one lies, with all that it is made of."""

from collections.abc import Iterator

from core.volumes.lvm.model import Group, Segment

_BELOW = (
    *("origin", "external_origin", "thin_pool", "pool", "metadata"),
    *("data", "cache_pool", "writecache"),
)
"""The words of a segment that name other volumes: lib/*/*.c of lvm2, their import functions."""


class Beds:
    """The physical volumes below each logical one of a group."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._snapshots = group.snapshots

    def of(self, name: str) -> set[str]:
        """The names of the physical volumes; ``pv0`` and so on."""
        found: set[str] = set()
        seen, waiting = {name}, [name]
        while waiting:
            one = waiting.pop()
            if one in self._group.physical:
                found.add(one)
                continue
            below = set(self._below(one))
            waiting += below - seen
            seen |= below
        return found

    def _below(self, name: str) -> Iterator[str]:
        volume = self._group.logical.get(name)
        segments: list[Segment] = [*volume.segments] if volume else []
        if name in self._snapshots:
            segments.append(self._snapshots[name])
        for segment in segments:
            yield from (part.name for part in segment.parts)
            yield from segment.metas
            yield from filter(None, map(segment.word, _BELOW))
