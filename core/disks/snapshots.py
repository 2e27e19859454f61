"""The internal snapshots of an image: choosing the one to work on."""

from collections.abc import Sequence
from pathlib import Path

from core.disks.model import Snapshot
from core.errors import WrongUsage
from core.i18n import _
from core.text import date, safe, size

_MOST_TOLD = 12


def chosen(snapshots: Sequence[Snapshot], wanted: str, path: Path) -> Snapshot:
    """The snapshot with that number or name; a number counts before a name, as for QEMU.

    Raises `WrongUsage` with those that there are where none is meant, or more than one.
    """
    same = [one for one in snapshots if one.id == wanted] or [one for one in snapshots if one.name == wanted]
    if len(same) == 1:
        return same[0]
    if not snapshots:
        raise WrongUsage(
            _("{path} has no internal snapshots.").format(path=safe(path)),
            _("Nothing was opened."),
            _("Leave --snapshot out to work on the present state."),
        )
    told = _("; ").join(described(one) for one in (same or snapshots)[:_MOST_TOLD])
    more = len(same or snapshots) - _MOST_TOLD
    told += _("; and {count} more").format(count=more) if more > 0 else ""
    if same:
        what = _("{count} snapshots of {path} are called {name}.").format(
            count=len(same), path=safe(path), name=safe(wanted)
        )
        raise WrongUsage(what, remedy=_("Give the number of one: {snapshots}.").format(snapshots=told))
    what = _("{path} has no snapshot {name}.").format(path=safe(path), name=safe(wanted))
    raise WrongUsage(what, remedy=_("It has: {snapshots}.").format(snapshots=told))


def described(snapshot: Snapshot) -> str:
    """A snapshot in one line: number, name, date, and the saved memory where there is some."""
    memory = _(", with {size} of memory").format(size=size(snapshot.vm_size)) if snapshot.vm_size else ""
    return _("{id} {name} ({date}{memory})").format(
        id=safe(snapshot.id),
        name=safe(snapshot.name) or "-",
        date=date(snapshot.date.timestamp()),
        memory=memory,
    )


def resized(snapshot: Snapshot, now: int) -> tuple[str, ...]:
    """What must be known where the disk had another size then: QEMU shows a snapshot in the present size.

    See qcow2_snapshot_load_tmp in QEMU's block/qcow2-snapshot.c, which loads tables and no size.
    """
    if snapshot.disk_size in (None, now) or snapshot.disk_size is None:
        return ()
    values = {"then": size(snapshot.disk_size), "now": size(now)}
    if snapshot.disk_size < now:
        told = _(
            "The disk had {then} when the snapshot was taken and has {now} now; the rest reads as zeros."
        )
    else:
        told = _(
            "The disk had {then} when the snapshot was taken and has {now} now: what lay behind that end is"
            " not shown. `qemu-img snapshot -a` on a copy of the image brings all of it back."
        )
    return (told.format(**values),)
