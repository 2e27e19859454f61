"""Which places of a volume could not be read when its disk was saved: from a map of GNU ddrescue."""

from pathlib import Path

from core.disks.areas import unread
from core.disks.model import Disk
from core.errors import WrongUsage
from core.i18n import _
from core.text import safe
from core.volumes.model import Volume

_MOST = 64 << 20


def bad_places(disk: Disk, volume: Volume, given: Path | None) -> list[tuple[int, int]]:
    """The bad places of a volume, in bytes from its start; from `given`, or from the map beside the disk.

    A map counts the bytes of the disk's own file, so it tells nothing of the files in an image that is not
    raw, of those in a layer that was put up, and of those on btrfs, which has addresses of its own. Raises
    `WrongUsage` for a file that is no map, and where the one given does not help.
    """
    place = given or _beside(disk)
    if disk.format != "raw" or volume.content == "btrfs" or volume.apart:
        if given:
            raise WrongUsage(
                _("The map {path} cannot be used for a {what}.").format(
                    path=safe(given), what=_unfit(disk, volume)
                ),
                _("Nothing was copied."),
                _("Leave it out: what cannot be read is found on the way."),
            )
        return []
    try:
        if place.stat().st_size > _MOST:
            raise ValueError
        areas = unread(place.read_text("ascii"))
    except (OSError, ValueError) as error:
        if not given:
            return []
        raise WrongUsage(
            _("{path} is no map as ddrescue writes it, or cannot be read.").format(path=safe(place)),
            _("Nothing was copied."),
        ) from error
    start, end = volume.offset, volume.offset + volume.size
    return [
        (max(one, start) - start, min(other, end) - start)
        for one, other in areas
        if other > start and one < end
    ]


def _beside(disk: Disk) -> Path:
    """The map beside the disk, under one of the names that people give it."""
    named = [disk.path.with_name(disk.path.name + ending) for ending in (".mapfile", ".map")]
    return next((path for path in named if path.is_file()), named[0])


def _unfit(disk: Disk, volume: Volume) -> str:
    if disk.format != "raw":
        return disk.format
    return safe(volume.kind) if volume.apart else "btrfs"
