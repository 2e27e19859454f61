"""Which volumes of a disk can be opened, and what stands in the way of the others."""

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
    if volume.locked or volume.seen_when_opened:
        return ""
    if _holds(volume, inspection):
        return _("What lies in it stands below it in the table: choose there.")
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
    if _holds(volume, inspection):
        return _("see below")
    return _("cannot be opened") if volume.content else _("unrecognised")


def _holds(volume: Volume, inspection: Inspection) -> bool:
    return any(volume.id in (one.inside, *one.across) for one in inspection.volumes)
