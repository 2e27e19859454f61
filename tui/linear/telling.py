"""What the line-by-line mode says of disks, volumes and copies: one line each."""

from collections.abc import Sequence

from core.disks.finding import Found
from core.disks.model import Holder
from core.files.destination import Destination
from core.files.outcome import Copied, came_told, there_told
from core.i18n import _, listed, sentences, titled
from core.text import guest_date, safe, size
from core.volumes.model import Inspection, Volume
from core.volumes.subvolumes import TOP, Subvolume
from tui.machines import holders_told
from tui.openable import content, hindrance, in_short, why_aside


def disk_told(found: Found) -> str:
    """A disk that was found."""
    wide = size(found.virtual_size) if found.virtual_size is not None else "?"
    parts = [safe(found.path), found.format or "?", wide, holders_told(found.held_by)]
    return listed(parts)


def holders(who: Sequence[Holder]) -> list[str]:
    """Who holds a disk."""
    return [_("Held by: {names}").format(names=holders_told(who))] if who else []


def volume_told(volume: Volume, inspection: Inspection) -> str:
    """A volume, with what is wrong with it, and whether it can be opened."""
    holds = _("locked") if volume.locked else content(volume)
    parts = [volume.title, holds, volume.size_told, safe(volume.label or "")]
    if volume.kind == "partition" and volume.partition:
        parts.append(_("starts at {offset} bytes").format(offset=volume.offset))
    if volume.content and hindrance(volume, inspection):
        parts.append(in_short(volume, inspection))
    told = listed(parts)
    if volume.problems:
        told = titled(told, sentences(volume.problems))
    reason = why_aside(volume, inspection)
    return _("{volume}; set aside: {reason}").format(volume=told, reason=reason) if reason else told


def subvolume_told(one: Subvolume) -> str:
    """A subvolume or snapshot of a btrfs."""
    words = [
        safe(one.path),
        _("the top, in which all others lie") if one.id == TOP else "",
        _("ID {id}").format(id=one.id),
        _("snapshot") if one.snapshot else "",
        _("read-only") if one.read_only else "",
        _("a plain mount shows this one") if one.default else "",
        _("made {date}").format(date=guest_date(one.created)) if one.created else "",
    ]
    return listed(words)


def recovered(copied: Copied, place: Destination | None) -> list[str]:
    """What was copied, and what was not read or kept."""
    head = _("Recovered") if copied.whole else _("Recovered in part")
    told = came_told(copied)
    sums = _("Checksums: {path}").format(path=safe(copied.manifest))
    if place and place.remote:
        sums = _("The checksums went with the files: SHA256SUMS")
    lines = list(filter(None, [titled(head, told), there_told(copied), sums]))
    lines += [gap.told() for gap in copied.unreadable]
    lines += [
        _("not kept: {path}: {what}").format(path=safe(lost.path), what=lost.what)
        for lost in copied.lost_metadata
    ]
    return lines
