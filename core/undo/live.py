"""What of ours is up, told by its names alone: for when the state folder cannot tell it any more.

Everything that stands on an export bears the name of its session: the export is
``STATE/sessions/ID/view.raw``, a loop device on it has that as its backing file, and a mount that only
this program sees is at ``STATE/sessions/ID/tree``. Not seen is what bears no name of ours: a loop device
on a raw disk and its mount at a place that somebody else named.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core import host, loops, lvm, mounts, slots
from core.command import SERVING, Command
from core.i18n import _
from core.undo import mappings
from core.undo.connected import SERVER
from core.undo.snapshots import VolumeSnapshot

_EXPORT = re.compile(r"/(?:view|image|below|joined-)(\d*)(?:\.\w+)?$")
"""Where the daemons of a session show a disk as a file: what is numbered stands on lower numbers."""
_SERVERS = frozenset({"qemu-storage-daemon", "qemu-nbd", "nbdkit"})
_PLACES = ("--socket=", "--unix=")
_CONNECTED = "--connect="
_KNOWN = "--pid-file="
_DELETED = ("//deleted", " (deleted)")
"""What the kernel puts behind a path that is gone: mountinfo, and sysfs for a loop device."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that bears a name of ours."""

    session: str
    what: str
    """As in the journal: ``mount``, ``dm``, ``loop``, ``fuse-export`` or ``nbd``."""
    target: str
    undo: tuple[Command, ...]
    """Empty where it goes by itself with what stands on it."""


class Names:
    """Tells from a path which session it belongs to."""

    def __init__(self, sessions: Path) -> None:
        self._starts = {f"{sessions}/", f"{os.path.realpath(sessions)}/"}
        self._sessions = sessions

    def session(self, path: str) -> str:
        """The session whose folder `path` lies in; empty for any other path."""
        for start in self._starts:
            if path.startswith(start):
                return path.removeprefix(start).partition("/")[0]
        mapped = mappings.session_of(path) if path.startswith("/dev/mapper/") else ""
        return mapped if mapped and (self._sessions / mapped).is_dir() else ""

    def in_words(self, words: Sequence[str]) -> tuple[str, str]:
        """The session and the path that an argument of a program names; two empty texts for none."""
        for word in words:
            for start in self._starts:
                _before, found, rest = word.partition(start)
                if found:
                    return rest.partition("/")[0], start + rest.partition(",")[0]
        return "", ""


def seen(sessions: Path) -> list[Seen]:
    """What is up by the names of the sessions in a folder, in the order in which it must be taken down.

    Mounts are those that the calling thread sees.
    """
    names = Names(sessions)
    attached = {loop.path: loop for loop in loops.loops() if names.session(_plain(loop.backing))}
    mapped = {node: path for path in attached for node in _mappings(path)}
    connected = {slot: (session, pid) for session, slot, pid in _connected(names)}
    by_slot = {node: slot for slot in connected for node in slots.nodes(slot)}
    loops_on = {loop.path: by_slot[loop.backing] for loop in loops.loops() if loop.backing in by_slot}
    by_device = {**{path: path for path in attached}, **mapped}
    table = mounts.mounts()
    daemons = sorted(_daemons(names), key=lambda one: _depth(one[1]))
    serving = {path: (session, pid) for session, path, pid in daemons}
    found: list[Seen] = []
    used: set[str] = set()
    for mount in reversed(table):
        point = _plain(mount.point)
        session = names.session(point)
        under = by_device.get(mount.source, "")
        if under:
            used.add(under)
            session = names.session(_plain(attached[under].backing))
        elif slot := by_slot.get(mount.source) or loops_on.get(mount.source):
            session = connected[slot][0]
        if session and point not in serving and not _is_export(mount, point):
            found.append(Seen(session, "mount", point, (_umount(point),)))
    found += _devices(names, list(attached.values()), used)
    for loop, slot in loops_on.items():
        found.append(Seen(connected[slot][0], "loop", loop, (_detach(loop),)))
    for slot, (session, _pid) in connected.items():
        end = Command((SERVER, "--disconnect", slot), _("Take the disk off the network block device."))
        found.append(Seen(session, "nbd", slot, (end,)))
    for path, (session, pid) in serving.items():
        what = "nbd" if path.endswith(".nbd") else "fuse-export"
        found.append(Seen(session, what, path, (_kill(pid),)))
    for mount in table:
        point = _plain(mount.point)
        if names.session(point) and _is_export(mount, point) and point not in serving:
            found.append(Seen(names.session(point), "fuse-export", point, (_umount(point),)))
    return found


def _devices(names: Names, attached: Sequence[loops.Loop], used: set[str]) -> Iterator[Seen]:
    over = [loop for loop in attached if mappings.session_of(loop.backing)]
    yield from _loops(names, over, used)
    own = [name for name in mappings.mappings() if names.session(f"/dev/mapper/{name}")]
    for name in sorted(own, key=_number, reverse=True):
        target = f"/dev/mapper/{name}"
        remove = Command(("dmsetup", "remove", "--retry", name), _("Remove the mapping."))
        yield Seen(names.session(target), "lv", target, (remove,))
    yield from _snapshots(names)
    yield from _loops(names, [loop for loop in attached if loop not in over], used)


def _snapshots(names: Names) -> Iterator[Seen]:
    """The snapshots of the host's volumes that are active."""
    for name, uuid in mappings.mappings().items():
        group, volume = lvm.unmapped(name)
        session = names.session(f"/dev/mapper/{volume}") if uuid.startswith("LVM-") else ""
        if session and uuid.count("-") == 1:  # what LVM keeps below it has one more
            facts, target = VolumeSnapshot.facts(group, volume), f"/dev/{group}/{volume}"
            yield Seen(session, "lv", target, VolumeSnapshot().undo(target, facts))


def _number(name: str) -> int:
    """The number at the end of a mapping's name: a later one stands on earlier ones."""
    number = name.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def _loops(names: Names, attached: Sequence[loops.Loop], used: set[str]) -> Iterator[Seen]:
    for loop in attached:
        session = names.session(_plain(loop.backing))
        if any(not mappings.session_of(node) for node in _mappings(loop.path)):
            why = _("Remove the mappings of the partitions.")
            yield Seen(session, "dm", loop.path, (Command(("kpartx", "-d", "-v", "-s", loop.path), why),))
        goes_by_itself = loop.autoclear and loop.path in used
        yield Seen(session, "loop", loop.path, () if goes_by_itself else (_detach(loop.path),))


def _mappings(loop: str) -> list[str]:
    """The nodes of the mappings over a loop device, as they stand in mountinfo."""
    found = []
    for name in loops.holders(loop):
        label = Path("/sys/block", name, "dm/name")
        found.append(f"/dev/mapper/{label.read_text().strip()}" if label.exists() else f"/dev/{name}")
    return found


def _daemons(names: Names) -> Iterator[tuple[str, str, int]]:
    """The daemons that export a disk into a session's folder: session, path, process number."""
    for pid, words in host.command_lines():
        if os.path.basename(words[0]) in _SERVERS or SERVING in words:
            told = [word for word in words[1:] if "mountpoint=" in word or word.startswith(_PLACES)]
            session, path = names.in_words(told)
            if session:
                yield session, path, pid


def _connected(names: Names) -> Iterator[tuple[str, str, int]]:
    """The servers of a session that fill a slot: session, slot, process number."""
    for pid, words in host.command_lines():
        slot = next((word.removeprefix(_CONNECTED) for word in words[1:] if word.startswith(_CONNECTED)), "")
        session, _path = names.in_words([word for word in words[1:] if word.startswith(_KNOWN)])
        if os.path.basename(words[0]) == SERVER and session and slot and slots.server(slot) == pid:
            yield session, slot, pid


def _depth(path: str) -> tuple[bool, int]:
    """How deep a daemon stands under others; the view of the disk goes first."""
    number = re.search(r"(\d+)(?:\.\w+)?$", os.path.basename(path))
    return not path.endswith("/view.raw"), -int(number[1]) if number else -1000


def _is_export(mount: mounts.Mount, point: str) -> bool:
    return mount.type.startswith("fuse") and bool(_EXPORT.search(point))


def _plain(path: str) -> str:
    for ending in _DELETED:
        path = path.removesuffix(ending)
    return path


def _detach(loop: str) -> Command:
    return Command(("losetup", "--detach", loop), _("Detach the loop device from the disk."))


def _umount(point: str) -> Command:
    return Command(("umount", point), _("Take the mount down."))


def _kill(pid: int) -> Command:
    why = _("End the daemon that serves the disk's raw bytes; it removes its mount itself.")
    return Command(("kill", str(pid)), why)
