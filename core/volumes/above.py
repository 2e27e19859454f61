"""What lies above the volumes of a space: logical volumes, arrays, and encrypted volumes, nested too.

Nothing is put up for it: labels, metadata and superblocks are read where they lie. Only what is encrypted
is seen when it is opened.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from core.volumes.luks.opening import encrypted
from core.volumes.luks.windows import locked_volume
from core.volumes.lvm import label as lvm
from core.volumes.lvm.runs import Contents as LogicalBytes
from core.volumes.lvm.runs import Places
from core.volumes.lvm.volumes import logical_volumes
from core.volumes.md import superblock as md
from core.volumes.md.arrays import arrays
from core.volumes.md.contents import contents as array_bytes
from core.volumes.md.model import Array
from core.volumes.model import Pieces, Problems, Volume
from core.volumes.space import MOST, Space

_DEEPEST = 5


def with_above(space: Space, volumes: Sequence[Volume]) -> tuple[Volume, ...]:
    """The volumes, which are runs of bytes of the space, and behind them all that lies in them."""
    problems: Problems = defaultdict(list)
    found = _above(space, volumes, problems, 0)[:MOST]
    beds = {bed for one in found if one.kind == "lv" for bed in one.across}
    return tuple(
        replace(
            one,
            problems=(*one.problems, *problems[one.id]),
            content=lvm.CONTENT if one.unknown and one.id in beds else one.content,
        )
        for one in (*volumes, *found)
    )


def _above(space: Space, volumes: Sequence[Volume], problems: Problems, depth: int) -> list[Volume]:
    if depth > _DEEPEST:
        return []
    found: list[Volume] = []
    runs = new = list(volumes)
    while new:  # an array of arrays
        more = arrays(space, [one for one in new if one.content == md.CONTENT], problems)
        found += more
        new = [one for one in more if not one.layer]
        runs += new
    members = [one for one in runs if one.content == lvm.CONTENT]
    logical = logical_volumes(space, members, [one for one in runs if one.unknown], problems)
    found += logical
    found += [made for one in runs if (made := locked_volume(space, one) or encrypted(space, one))]
    found += _above(space, [one for one in logical if not one.layer], problems, depth + 1)
    for one in list(found):
        if one.under == space.under and (inner := _inside(space, one)):
            below = replace(one, offset=0, layer=None, under=one.id)
            found += _above(inner, [below], problems, depth + 1)
    return found


def _inside(space: Space, volume: Volume) -> Space | None:
    """The bytes that the layer of a volume would show, where they can be read without it."""
    layer = volume.layer
    if volume.content is None:
        return None
    if isinstance(layer, Pieces):
        places = Places(layer.group, space.source)
        source = LogicalBytes(places, layer.group.logical[layer.name])
        return replace(space, source=source, path=None, begin=0, under=volume.id)
    if isinstance(layer, Array):
        return replace(space, source=array_bytes(layer, space.source), path=None, begin=0, under=volume.id)
    return None
