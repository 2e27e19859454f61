"""Whether what the journal calls held still works: a mount over a dead export only gives errors."""

from collections.abc import Iterable
from pathlib import Path, PurePath

from core import host, mounts
from core.disks.overlay import spent
from core.errors import SalvageError
from core.i18n import _
from core.text import safe
from core.undo.account import Entry
from core.undo.pairs import kind_of
from core.undo.standing import Standing


class ExportEnded(SalvageError):
    """The daemon that shows the disk's raw bytes, or its files, has ended under the work."""


_NUMBERED = ("loop", "dm", "nbd")
"""What bears a number or a name of the kernel's: where somebody else has that now, ours is gone."""


def is_gone(entry: Entry) -> bool:
    """Whether nothing of it stands any more, as a mount that only its program saw, or all after a reboot."""
    standing = kind_of(entry.what, entry.facts).standing(entry)
    reused = entry.what in _NUMBERED or "restores" in entry.facts
    return standing is Standing.GONE or (standing is Standing.FOREIGN and reused)


def ended(entries: Iterable[Entry]) -> list[Entry]:
    """The daemons among what stands that have ended without being taken down."""
    return [entry for entry in entries if entry.state in ("held", "failed") and _is_dead(entry)]


def _is_dead(entry: Entry) -> bool:
    pid, since = entry.identity.get("pid"), entry.identity.get("started")
    return isinstance(pid, int) and isinstance(since, int) and not host.serves(pid, since)


def full(entries: Iterable[Entry]) -> str:
    """What must be said of an overlay that has no room left, as a sentence; empty when all is well."""
    for entry in entries:
        if entry.stands and entry.what == "overlay" and _overflows(Path(entry.target)):
            return _(
                "There is no room left where the overlay lies ({path}): what is written now is lost. The disk"
                " is untouched, and what was written before can be copied out."
            ).format(path=safe(PurePath(entry.target).parent))
    return ""


def stopped(entry: Entry) -> bool:
    """Whether a mount that could be written to takes no writes any more: its file system met an error."""
    known = (entry.identity.get("id"), entry.identity.get("device"))
    here = [one for one in mounts.at(entry.target) if (one.id, one.device) == known]
    return entry.what == "mount" and any(one.stopped for one in here)


def _overflows(path: Path) -> bool:
    return path.exists() and spent(path)


def remarks(entries: Iterable[Entry]) -> dict[int, str]:
    """What must be said of the things that stand, by their numbers: which of them only give errors."""
    entries = sorted((entry for entry in entries if entry.stands), key=lambda entry: entry.number)
    own = {entry.number for entry in ended(entries)}
    dead: dict[str, int] = {}
    found = {}
    for entry in entries:
        below = next((dead[target] for target in entry.on if target in dead), None)
        if entry.number in own:
            pid = dead[entry.target] = entry.identity["pid"]
            note = _("does not work any more: its daemon (pid {pid}) has ended")
        elif below:
            pid = dead[entry.target] = below
            note = _("does not work any more: the daemon under it (pid {pid}) has ended")
        else:
            if note := _impaired(entry):
                found[entry.number] = note
            continue
        found[entry.number] = note.format(pid=pid)
    return found


def _impaired(entry: Entry) -> str:
    """What must be said of a thing that still works, but takes no writes any more; mostly empty."""
    if entry.what == "overlay" and _overflows(Path(entry.target)):
        return _("full: no room is left where it lies; what is written now is lost, the disk is untouched")
    if entry.what == "mount" and stopped(entry):
        return _("read-only since an error in writing; it can still be read, and the disk is untouched")
    return ""


def trouble(entries: Iterable[Entry]) -> ExportEnded | None:
    """What is wrong with what stands, as an error that can be raised; None when all works."""
    dead = ended(entries)
    if not dead:
        return None
    entry = dead[0]
    program = safe(PurePath(str(entry.facts.get("program", ""))).name)
    if entry.what == "fuse-export":
        what = _("The daemon that shows the disk's raw bytes ended ({program}, pid {pid}).")
    else:
        what = _("The daemon that reads the volume's file system ended ({program}, pid {pid}).")
    return ExportEnded(
        what.format(program=program, pid=entry.identity["pid"]),
        _("Nothing can be read through it any more. The disk itself is untouched."),
        _("Open the disk again; on the command line, run the same command again."),
    )
