"""Which volumes of a disk can be opened, and what stands in the way of the others."""

from pathlib import Path

from core.errors import SalvageError
from core.i18n import _, sentences
from core.text import safe
from core.volumes.filesystems import known
from core.volumes.model import Inspection, Volume
from core.volumes.searched import Searched


def openable(inspection: Inspection) -> list[Volume]:
    """The volumes, and those that a search set aside."""
    aside = [one.volume for one in inspection.aside] if isinstance(inspection, Searched) else []
    return [*inspection.volumes, *aside]


def why_aside(volume: Volume, inspection: Inspection) -> str:
    """Why a search set it aside, in a sentence; empty for those of the table."""
    aside = inspection.aside if isinstance(inspection, Searched) else ()
    return next((one.reason for one in aside if one.volume is volume), "")


def hindrance(volume: Volume, inspection: Inspection) -> str:
    """Why it cannot be opened, in a sentence; empty if it can."""
    if closed := _closed(volume):
        return closed
    if volume.locked or volume.seen_when_opened:
        return ""
    if _has_below(volume, inspection):
        return _("What lies in it stands below it in the table: choose there.")
    if whole := _part_of(volume, inspection):
        return _("It is a part of {volume}, which stands above it in the table: choose there.").format(
            volume=whole.title
        )
    try:
        known(volume.content, volume.title)
    except SalvageError as error:
        return sentences((error.what, error.meaning))
    return ""


def content(volume: Volume) -> str:
    """What it holds, as a sentence names it."""
    if volume.content:
        return safe(volume.content)
    return _("seen when it is opened") if volume.seen_when_opened else _("nothing that is known")


def in_short(volume: Volume, inspection: Inspection) -> str:
    """The reason in the few words that fit into a table."""
    if _closed(volume):
        return _("cannot be opened")
    if _has_below(volume, inspection):
        return _("see below")
    if _part_of(volume, inspection):
        return _("see above")
    return _("cannot be opened") if volume.content else _("unrecognised")


def _closed(volume: Volume) -> str:
    """Why no key and no putting together opens it, as its header or its members say; empty for most."""
    return volume.layer.hindrance if volume.layer else ""


def _has_below(volume: Volume, inspection: Inspection) -> bool:
    return any(one.inside == volume.id for one in inspection.volumes)


def _part_of(volume: Volume, inspection: Inspection) -> Volume | None:
    """The first volume that has bytes in this one; such a volume stands below the first of its parts."""
    return next((one for one in inspection.volumes if volume.id in one.across), None)


def no_other_disk(path: Path) -> str:
    """What keeps a path from being named as another disk; empty where nothing does."""
    if "," in str(path):
        return _("A name with a comma cannot be given beside another disk: make a link to it without one.")
    return "" if path.is_file() or path.is_block_device() else _("There is no such image or device.")
