"""Looking at a view: its partition table, what each volume contains, and what lies in that in turn."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from core.disks.beside import Placed
from core.disks.view import View
from core.runner import Runner
from core.tables.content import probe
from core.tables.judge import read_table
from core.tables.sectors import Sectors
from core.volumes import twins
from core.volumes.above import with_above
from core.volumes.filesystems import flaws
from core.volumes.model import Inspection, Volume, of_disk, of_partition
from core.volumes.space import Space

_ISO, _ISO_AT = b"CD001", 32769
"""The first volume descriptor of a CD: ECMA-119, 8.1."""


def inspected(view: View, sector_size: int, scratch: Path, runner: Runner) -> Inspection:
    """The table and the volumes; where there is no partition to open, the whole disk is the volume.

    A boot medium has both. `sector_size` in bytes is the medium's own; `scratch` takes the copy of the table
    for a moment.
    """
    looked = _without_layers(view, sector_size, scratch, runner)
    return replace(looked, volumes=with_layers(view, looked.volumes, scratch, runner))


def inspected_all(view: View, placed: Sequence[Placed], scratch: Path, runner: Runner) -> Inspection:
    """The table of the first of several disks, and the volumes of all; the others' are called ``2:5``.

    In `view` the disks lie one behind the other.
    """
    looked = [_without_layers(one.view, one.sector_size, scratch, runner) for one in placed]
    volumes = list(looked[0].volumes)
    for number, (other, seen) in enumerate(zip(placed[1:], looked[1:], strict=True), start=2):
        volumes += [
            replace(one, id=f"{number}:{one.id}", offset=other.start + one.offset, partition=None)
            for one in seen.volumes
        ]
    return replace(looked[0], volumes=with_layers(view, volumes, scratch, runner))


def _without_layers(view: View, sector_size: int, scratch: Path, runner: Runner) -> Inspection:
    table = read_table(view.path, view.size, scratch, runner, sector_size)
    volumes = [
        of_partition(part, probe(view.path, part.offset, part.size, runner))
        for part in table.partitions
        if part.kind != "extended" and part.offset < view.size
    ]
    if not volumes or _is_boot_medium(view, volumes):
        volumes.insert(0, of_disk(view.size, probe(view.path, 0, view.size, runner)))
    return Inspection(table, tuple(volumes))


def with_layers(view: View, volumes: Sequence[Volume], scratch: Path, runner: Runner) -> tuple[Volume, ...]:
    """The volumes, which are runs of the view, with all that lies in them, and what this host is to them."""
    with Sectors(view.path, view.size) as sectors:
        found = with_above(Space(sectors, runner, scratch, view.path), volumes)
    return tuple(_on_this_host(volume, view.disk or view.path) for volume in found)


def _is_boot_medium(view: View, volumes: Sequence[Volume]) -> bool:
    """Whether the disk is an ISO 9660 file system too, and no partition holds all of that (isohybrid)."""
    with Sectors(view.path, view.size) as sectors:
        described = sectors.read(_ISO_AT, len(_ISO)) == _ISO
    return described and not any(volume.content == "iso9660" for volume in volumes)


def _on_this_host(volume: Volume, disk: Path) -> Volume:
    found = (*twins.told(volume.uuid, disk), *flaws(volume.content))
    return replace(volume, problems=(*volume.problems, *found))
