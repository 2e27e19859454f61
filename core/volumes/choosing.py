"""What of a volume is opened: as which file system, and how far.

Mostly the volume itself says both. Where it carries several signatures, or a file system that is longer
than its place, the operator decides; nothing is guessed.
"""

from dataclasses import replace

from core.disks.view import View
from core.errors import Refused, WrongUsage
from core.i18n import _, enumerated
from core.text import safe, size
from core.volumes.filesystems import FILE_SYSTEMS
from core.volumes.model import Volume

_LONGEST = 64 << 40
"""Bytes up to which a file system is believed that says it goes on behind the end of the disk."""


def chosen(volume: Volume, view: View, *, content: str | None = None, to_end: bool = False) -> Volume:
    """The volume as it is to be opened: as `content` where given, `to_end` as long as it says it is.

    What then lies behind the end of the disk reads as zeros. Raises WrongUsage for a choice that does
    not fit, and Refused where a choice is missing.
    """
    if content is not None:
        volume = _as(volume, content)
    elif volume.candidates:
        raise Refused(
            _("{volume} carries the signatures of several file systems: {names}.").format(
                volume=_begun(volume.title), names=volume.signatures
            ),
            _("One is left over from earlier; mounted as the wrong one, damaged or old files would appear."),
            _("Choose one: `--fs {name}`. It is only read, so you can try the other one too.").format(
                name=safe(str(volume.candidates[0].content))
            ),
        )
    if to_end:
        return _to_end(volume, view)
    if volume.wanted:
        raise Refused(
            _("The file system on {volume} is {length} long, but it has only {room}.").format(
                volume=volume.title, length=size(volume.wanted), room=size(volume.size)
            ),
            _("The kernel does not mount it in there; the table or the disk may have been cut short."),
            _("`--to-end` opens it beyond that, read-only. What lies there may belong to something else."),
        )
    return volume


def _as(volume: Volume, content: str) -> Volume:
    if content not in FILE_SYSTEMS:
        raise WrongUsage(
            _("{name} is no file system that is mounted here.").format(name=safe(content)),
            remedy=_("These are: {names}.").format(names=enumerated(FILE_SYSTEMS)),
        )
    if volume.content == content:
        return volume
    if not volume.signatures:
        return replace(volume, content=content)
    found = next((one for one in volume.candidates if one.content == content), None)
    if found is None:
        raise WrongUsage(
            _("{volume} carries no signature of {name}, but of {there}.").format(
                volume=_begun(volume.title), name=safe(content), there=volume.signatures
            )
        )
    return replace(
        volume,
        content=content,
        label=found.label,
        uuid=found.uuid,
        wanted=found.wanted if (found.wanted or 0) > volume.size else None,
        members=found.members,
        pending=found.pending,
        problems=(*volume.problems, *found.problems),
    )


def _begun(title: str) -> str:
    return title[:1].upper() + title[1:]


def _to_end(volume: Volume, view: View) -> Volume:
    if not volume.wanted:
        raise WrongUsage(
            _("The file system on {volume} is not longer than its place.").format(volume=volume.title),
            remedy=_("Leave `--to-end` out."),
        )
    if view.writable:
        raise Refused(
            _("A file system that is longer than its place is opened for reading only."),
            _("What is written behind its end could destroy what else lies there."),
            _("Leave `--writable`, `--replay` and `--repair` out."),
        )
    longest = max(view.size - volume.offset, _LONGEST)
    return replace(volume, size=min(volume.wanted, longest), wanted=None)
