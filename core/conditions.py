"""What must be so before an overlay is written into its disk: each a sentence where it is not."""

import os
from collections.abc import Sequence
from pathlib import Path

from core.command import Command
from core.disks import hypervisors
from core.disks.extents import LONG
from core.disks.header import Source
from core.disks.holders import survey
from core.disks.model import Disk, Holder
from core.disks.overlay import graph, named, spent
from core.disks.vet import vet
from core.errors import NoSpace, Refused, SalvageError
from core.files.kernel import flush as syncfs
from core.files.space import free
from core.i18n import _, sentences
from core.runner import CommandFailed, Runner
from core.text import safe, size
from core.undo.account import Entry
from core.undo.health import stopped
from core.undo.pairs import known_kind
from core.undo.standing import Standing
from core.undo.state import Known, StateFolder

WRITABLE = frozenset({"raw", "qcow2", "qcow", "qed", "vdi", "vmdk", "vpc", "vhdx", "parallels"})
"""The formats into which QEMU can write a commit."""
_ROOM = 4 << 20
"""Bytes that a disk's own tables may grow by, beyond the data."""
_MOST_NEIGHBOURS = 2000
_HEADERS = (b"QFI\xfb", b"QED\0", b"KDMV", b"COWD", b"# Di")
"""How the images begin that can name another below them."""


def refused(what: str, remedy: str = "") -> Refused:
    """The refusal to commit."""
    return Refused(what, _("Nothing was written to the disk; the overlay is kept."), remedy)


def overlay_of(known: Known) -> Entry:
    """The overlay of a session that can be committed; raises `Refused` where there is none."""
    found = [one for one in known.account.standing if one.what == "overlay"]
    if not found:
        raise Refused(
            _("Session {name} has no overlay.").format(name=safe(known.account.session)),
            _("Nothing was changed."),
            _("`mount --writable` makes one."),
        )
    entry = found[0]
    kind = known_kind(entry)
    if not kind or "disk" not in entry.facts or kind.standing(entry) is not Standing.OURS:
        raise Refused(
            _("The overlay {path} is gone, or it was made by another version of this program.").format(
                path=safe(entry.target)
            ),
            _("Nothing was changed."),
            _("`virt-salvage status` shows what the session has."),
        )
    return entry


def same_disk(entry: Entry, allow: Sequence[Path], runner: Runner, *, changed: bool) -> Disk:
    """The disk under an overlay, vetted; raises `Refused` unless it is what it was when that was made.

    With `changed` a commit has written to it since.
    """
    facts = entry.facts["disk"]
    if facts.get("apart"):
        raise refused(safe(facts["apart"]), _("Copy what you need out of the mount."))
    disk = vet(facts["path"], facts["format"], allow, runner)
    disk.require_openable()
    if disk.format not in WRITABLE:
        raise refused(_("QEMU cannot write to a {format} image.").format(format=disk.format))
    if facts["size"] > disk.virtual_size:
        told = _("The disk was cut short, and the overlay reaches beyond its end: to {wanted} of {have}.")
        raise refused(
            told.format(wanted=facts["size"], have=disk.virtual_size),
            _("Copy what you need out of the mount; a commit would make the disk longer."),
        )
    same = list(disk.identity) == facts["identity"] and disk.virtual_size == facts["virtual_size"]
    if not disk.is_block_device and not changed:
        same = same and disk.mtime_ns == facts["mtime_ns"]
    if not same:
        told = _("{path} is not as it was when the overlay was made: somebody has written to it since.")
        raise refused(
            told.format(path=safe(disk.path)),
            _("Together they would make a damaged file system. Copy what you need out of the mount."),
        )
    return disk


def alone(disk: Disk, session: str, state: StateFolder, runner: Runner) -> tuple[str, ...]:
    """Raise `Refused` unless nobody else has anything to do with the disk, not even reading.

    Who reads would see it change; images and overlays that stand on it would be worth nothing, and so
    would a machine's saved memory. What cannot be seen is returned, a sentence each.
    """
    seen = survey(disk)
    if seen.holders:
        raise refused(
            sentences(_holds(one, disk) for one in seen.holders[:3]),
            _("Shut it down or unmount it first: while a disk is written, nobody else may have it open."),
        )
    for name in hypervisors.saved(hypervisors.Roots(), {str(path) for path in disk.files}):
        raise refused(
            _("{vm} is off with its memory saved, and goes on with this disk as it is now.").format(
                vm=safe(name)
            ),
            _("Start it and shut it down, or drop what was saved of it."),
        )
    for account in (one.account for one in state.known()):
        over = account.over_overlay
        if over and account.session != session and account.disk == str(disk.path):
            told = _("Session {name} has an overlay over the same disk, which would be worth nothing.")
            raise refused(
                told.format(name=safe(account.session)),
                _("Take that down first: {command}").format(command=state.command("undo", account.session)),
            )
    if children := _children(disk, runner):
        raise refused(
            _("{path} holds only what differs from this disk, and would be worth nothing.").format(
                path=safe(children[0])
            ),
            _("Commit to a copy of the disk, or flatten that image first: virt-salvage convert."),
        )
    return seen.problems


def _holds(holder: Holder, disk: Disk) -> str:
    who = safe(holder.vm or holder.program)
    if holder.pid:
        return _("{who} (pid {pid}) has this disk open: {path}.").format(
            who=who, pid=holder.pid, path=safe(disk.path)
        )
    place = safe(holder.through or _("by a lock"))
    return _("{who} has this disk open ({place}): {path}.").format(who=who, place=place, path=safe(disk.path))


def _children(disk: Disk, runner: Runner) -> list[Path]:
    """The images in the disk's own folder that stand on it, as their headers say."""
    found: list[Path] = []
    if disk.is_block_device:
        return found
    with os.scandir(disk.path.parent) as listing:
        names = [one.path for one, _n in zip(listing, range(_MOST_NEIGHBOURS), strict=False) if one.is_file()]
    for name in sorted(names):
        path = Path(name)
        if path == disk.path or not _is_image(path):
            continue
        try:
            other = vet(name, None, (), runner)
        except SalvageError:
            continue  # whatever it is, it does not lead to this disk by a way that we would go
        if any(link.identity == disk.identity for link in other.chain[1:]):
            found.append(path)
    return found


def _is_image(path: Path) -> bool:
    """Whether a file has a header that can name another; a raw disk has none."""
    try:
        with Source(path) as source:
            return source.some(0, 4) in _HEADERS
    except SalvageError:
        return False


def nothing_lost(overlay: Path, standing: Sequence[Entry]) -> None:
    """Raise `Refused` where an overlay was full or is: what was written last is not in it."""
    if spent(overlay) or any(_lost_writes(one) for one in standing if one.what == "mount"):
        raise refused(
            _("What was written last is not in the overlay: there was no room, or another error."),
            _("Copy out what you need, `undo` it, and mount where there is more room: --state-dir."),
        )


def _lost_writes(mount: Entry) -> bool:
    """Whether a file system met an error in writing since it was mounted.

    ext4 counts as a warning that it could not write a file's data, and goes on: see fs/ext4/page-io.c.
    """
    if stopped(mount):
        return True
    try:
        write_out(Path(mount.target))
    except FileNotFoundError:
        return False  # somebody else took it down
    except OSError:
        return True
    device = Path(mount.facts.get("source", "")).name
    counted = Path("/sys/fs/ext4", device, "warning_count")
    return stopped(mount) or (counted.exists() and counted.read_text().strip() != "0")


def mounted(standing: Sequence[Entry]) -> dict[int, Path]:
    """Where the volumes of a session are mounted, by the byte of the disk at which each begins."""
    begins = {one.target: one.facts.get("offset", 0) for one in standing if one.what == "loop"}
    found = {}
    for one in standing:
        source = one.facts.get("source", "")
        if one.what == "mount" and source in begins:
            found[begins[source]] = Path(one.target)
    return found


def write_out(point: Path) -> None:
    """Have all that was written to a mount in the overlay, so that it can be looked at."""
    fd = os.open(point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        syncfs(fd)
    finally:
        os.close(fd)


def whole(overlay: Path, runner: Runner) -> None:
    """Raise `Refused` where an overlay's own tables are damaged. Nothing may have it open."""
    command = Command(
        ("qemu-img", "check", "--output=json", named(graph(overlay, None))),
        why=_("See whether the overlay's own tables are whole."),
        good=frozenset({0, 3}),
        limits=LONG,
    )
    try:
        runner.run(command)
    except CommandFailed as failure:
        raise refused(
            _("The overlay is damaged. {why}").format(why=failure.what),
            _("Copy what can be read out of a mount of it."),
        ) from failure


def room_to_grow(disk: Disk, data: int) -> None:
    """Raise `NoSpace` where so many bytes do not fit beside the disk, which may grow by them."""
    if disk.is_block_device or (have := free(disk.path.parent)) >= data + _ROOM:
        return
    raise NoSpace(
        _("The disk may grow by {needed}, and {folder} has only {free} free.").format(
            needed=size(data + _ROOM), folder=safe(disk.path.parent), free=size(have)
        ),
        _("Nothing was written; the overlay is kept."),
        _("Make room there."),
    )
