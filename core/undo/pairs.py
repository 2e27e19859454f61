"""The kinds of things that are put up on the host: how each is recognised again and taken down.

A kind answers three questions about a journal entry. What does the kernel call the thing now
(`identify`)? Does it still stand, and is it ours (`standing`)? Which commands take it down (`undo`)?
"""

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from core import host, loops, mounts
from core.command import Command, Variable
from core.i18n import _
from core.undo.account import Entry
from core.undo.connected import SlotKind
from core.undo.mappings import OwnMapping
from core.undo.settings import SettingKind
from core.undo.snapshots import VolumeSnapshot
from core.undo.standing import Facts, Standing


@dataclass(frozen=True, slots=True)
class Pair:
    """Something to put up: the command that does it, and what recognises its result."""

    what: str
    do: Command
    target: str
    """Empty when only running tells, as with the name of a loop device."""
    on: tuple[str, ...] = ()
    """The targets that it stands on: they are not taken down while it stands."""
    facts: Callable[[], Facts] = dict
    """Looked up right before the command runs."""
    planned: Facts = field(default_factory=dict)
    """What of the facts a dry run knows."""


class Kind(Protocol):
    """How one kind of thing is recognised and taken down."""

    outlives_boot: bool
    needs: Mapping[str, type]
    """The facts without which it cannot tell what is ours."""
    knows: Mapping[str, type]
    """What it finds in an identity, where that is there."""

    def identify(self, target: str, facts: Facts) -> dict[str, Any]: ...

    def find(self, entry: Entry) -> str | None:
        """The target of an intent whose result was not written down any more; None if it never came."""

    def standing(self, entry: Entry) -> Standing: ...

    def undo(self, target: str, identity: Facts) -> tuple[Command, ...]: ...


class LoopKind:
    """A loop device: ours if its diskseq, backing file, offset and size limit are those of the journal."""

    outlives_boot = False
    needs: Mapping[str, type] = MappingProxyType(
        {"backing": str, "device": int, "inode": int, "offset": int, "size_limit": int, "after": int}
    )
    knows: Mapping[str, type] = MappingProxyType({"sequence": int})

    @staticmethod
    def facts(backing: Path, offset: int, size_limit: int) -> dict[str, Any]:
        at = backing.stat()
        return {
            "backing": os.path.realpath(backing),
            "device": at.st_dev,
            "inode": at.st_ino,
            "offset": offset,
            "size_limit": size_limit,
            "after": loops.highest_sequence(),
        }

    def identify(self, target: str, facts: Facts) -> dict[str, Any]:
        found = loops.loop(target)
        return {"sequence": found.sequence if found else 0}

    def _resembles(self, found: loops.Loop, facts: Facts) -> bool:
        """Whether what the kernel tells without asking the backing file's file system fits."""
        backing = found.backing.removesuffix(" (deleted)")
        if backing.startswith("/dev/"):  # a mapping has two names, see dmsetup(8)
            backing = os.path.realpath(backing)
        named = found.backing == "/" or backing == facts["backing"]
        return named and (found.offset, found.size_limit) == (facts["offset"], facts["size_limit"])

    def find(self, entry: Entry) -> str | None:
        facts = entry.facts
        for found in loops.loops():
            later = found.sequence > facts["after"] or not found.sequence
            if later and self._resembles(found, facts):
                # A dead export does not tell its inode any more; nobody else attaches one that is dead
                identity = loops.backing_identity(found.path)
                if identity in (None, (facts["device"], facts["inode"])):
                    return found.path
        return None

    def standing(self, entry: Entry) -> Standing:
        found = loops.loop(entry.target)
        if not found:
            return Standing.GONE
        same = found.sequence == entry.identity.get("sequence") and self._resembles(found, entry.facts)
        return Standing.OURS if same else Standing.FOREIGN

    def undo(self, target: str, identity: Facts) -> tuple[Command, ...]:
        return (
            Command(
                ("losetup", "--detach", target),
                why=_("Detach the loop device from the disk."),
                effect=_("the loop device is free again"),
            ),
        )


class MountKind:
    """A mount: ours if its mount id and device are those of the journal and nothing covers it.

    One that was taken out of sight lazily (`lazy` in its identity) stands as long as its file system lives.
    """

    outlives_boot = False
    needs: Mapping[str, type] = MappingProxyType({"source": str, "before": list})
    knows: Mapping[str, type] = MappingProxyType(
        {"id": int, "device": str, "lazy": bool, "sequence": int, "devices": list}
    )

    @staticmethod
    def facts(point: Path, source: str) -> dict[str, Any]:
        return {"source": source, "before": [mount.id for mount in mounts.at(point)]}

    def identify(self, target: str, facts: Facts) -> dict[str, Any]:
        new = [mount for mount in mounts.at(target) if mount.id not in facts["before"]]
        return {"id": new[-1].id, "device": new[-1].device} if new else {}

    def find(self, entry: Entry) -> str | None:
        for mount in mounts.at(entry.target):
            if mount.id not in entry.facts["before"] and mount.source == entry.facts["source"]:
                return entry.target
        return None

    def standing(self, entry: Entry) -> Standing:
        here = mounts.at(entry.target)
        wanted = (entry.identity.get("id"), entry.identity.get("device"))
        if wanted not in [(mount.id, mount.device) for mount in here]:
            lives = entry.identity.get("lazy") and loops.claimed(
                entry.facts["source"], entry.identity.get("sequence", -1)
            )
            return Standing.OURS if lives else Standing.GONE
        return Standing.OURS if (here[-1].id, here[-1].device) == wanted else Standing.FOREIGN

    def undo(self, target: str, identity: Facts) -> tuple[Command, ...]:
        if out_of_sight(target, identity):
            return ()
        return (
            Command(
                ("umount", target),
                why=_("Take the mount down; everything is written out first."),
                effect=_("the mount is gone"),
            ),
        )


class DaemonKind:
    """A mount in user space and the daemon that serves it: an export of a disk, or a FUSE file system.

    The daemon is known by its program and an argument that only this session gives; from then on by
    its process number and start. Without its daemon the mount is dead and only to be removed.
    """

    outlives_boot = False
    needs: Mapping[str, type] = MappingProxyType(
        {"program": str, "argument": str, "ends_with": str, "before": list}
    )
    knows: Mapping[str, type] = MappingProxyType({"pid": int, "started": int})

    @staticmethod
    def facts(point: Path, program: str, argument: str, ends_with: str) -> dict[str, Any]:
        """`ends_with` is how it is taken down: ``kill`` the daemon, or ``umount`` and it ends itself."""
        before = [mount.id for mount in mounts.at(point)]
        return {"program": program, "argument": argument, "ends_with": ends_with, "before": before}

    @staticmethod
    def _daemon(facts: Facts) -> int | None:
        serving = host.running(facts["program"], facts["argument"])
        return serving[0] if serving else None

    def identify(self, target: str, facts: Facts) -> dict[str, Any]:
        pid = self._daemon(facts)
        known = {"pid": pid, "started": host.started(pid)} if pid else {}
        return {**known, "ends_with": facts["ends_with"]}

    def find(self, entry: Entry) -> str | None:
        return entry.target if self._daemon(entry.facts) or self._mounted(entry) else None

    @staticmethod
    def _mounted(entry: Entry) -> bool:
        return any(mount.id not in entry.facts["before"] for mount in mounts.at(entry.target))

    @staticmethod
    def _serves(identity: Facts) -> bool:
        return "pid" in identity and host.runs(identity["pid"], identity["started"])

    def standing(self, entry: Entry) -> Standing:
        if self._serves(entry.identity):
            return Standing.OURS
        here = mounts.at(entry.target)
        # A dead FUSE mount answers no stat(2); somebody else's mount on the same place does.
        return Standing.OURS if self._mounted(entry) and _is_fuse(here[-1]) else Standing.GONE

    def undo(self, target: str, identity: Facts) -> tuple[Command, ...]:
        pid = identity.get("pid")
        planned = isinstance(pid, Variable)
        if identity.get("deaf") and self._serves(identity):
            return (
                Command(
                    ("kill", "-KILL", str(pid)),
                    why=_("End the daemon by force: it does not answer, and nothing that it serves is kept."),
                    effect=_("the daemon is gone"),
                ),
                *((_unmount(target),) if mounts.at(target) else ()),  # a socket is no mount
            )
        if identity.get("ends_with") == "kill" and (planned or self._serves(identity)):
            return (
                Command(
                    ("kill", pid if isinstance(pid, Variable) else str(pid)),
                    why=_("End the daemon that serves the disk's raw bytes; it removes its mount itself."),
                    effect=_("the view of the disk is gone"),
                ),
            )
        if out_of_sight(target, identity):
            return ()
        return (_unmount(target),)


def _unmount(target: str) -> Command:
    argv = ("umount", target) if os.geteuid() == 0 else ("fusermount3", "-u", target)
    why = _("Take the mount down; the daemon that serves it ends.")
    return Command(argv, why=why, effect=_("the mount is gone"))


def out_of_sight(target: str, identity: Facts) -> bool:
    """Whether a mount was taken out of sight lazily: it goes when the last one who uses it ends."""
    known = (identity.get("id"), identity.get("device"))
    return bool(identity.get("lazy")) and known not in [(m.id, m.device) for m in mounts.at(target)]


def _is_fuse(mount: mounts.Mount) -> bool:
    return mount.type.startswith("fuse")


class MappingKind:
    """The device-mapper devices that kpartx made over one loop device, found as its holders in sysfs."""

    outlives_boot = False
    needs: Mapping[str, type] = MappingProxyType({})
    knows: Mapping[str, type] = MappingProxyType({"sequence": int})

    def identify(self, target: str, facts: Facts) -> dict[str, Any]:
        found = loops.loop(target)
        return {"sequence": found.sequence if found else 0}

    def find(self, entry: Entry) -> str | None:
        return entry.target if loops.holders(entry.target) else None

    def standing(self, entry: Entry) -> Standing:
        found = loops.loop(entry.target)
        if not found or not loops.holders(entry.target):
            return Standing.GONE
        same = found.sequence == entry.identity.get("sequence")
        return Standing.OURS if same else Standing.FOREIGN

    def undo(self, target: str, identity: Facts) -> tuple[Command, ...]:
        return (
            Command(
                ("kpartx", "-d", "-v", "-s", target),
                why=_("Remove the mappings of the partitions."),
                effect=_("the mappings are gone"),
            ),
        )


class FileKind:
    """A file or an empty folder that this program made, such as an overlay or a mount point."""

    outlives_boot = True
    needs: Mapping[str, type] = MappingProxyType({"existed": bool})
    knows: Mapping[str, type] = MappingProxyType({"inode": int, "folder": bool})

    def identify(self, target: str, facts: Facts) -> dict[str, Any]:
        at = os.lstat(target)
        return {"device": at.st_dev, "inode": at.st_ino, "folder": stat.S_ISDIR(at.st_mode)}

    @staticmethod
    def facts(path: Path) -> dict[str, Any]:
        return {"existed": os.path.lexists(path)}

    def find(self, entry: Entry) -> str | None:
        made = os.path.lexists(entry.target) and not entry.facts["existed"]
        return entry.target if made else None

    def standing(self, entry: Entry) -> Standing:
        try:
            at = os.lstat(entry.target)
        except OSError:
            return Standing.GONE
        if at.st_ino != entry.identity.get("inode"):
            return Standing.FOREIGN
        in_use = stat.S_ISDIR(at.st_mode) and os.listdir(entry.target)
        return Standing.FOREIGN if in_use else Standing.OURS

    def undo(self, target: str, identity: Facts) -> tuple[Command, ...]:
        folder = identity.get("folder", False)
        return (
            Command(
                ("rmdir", target) if folder else ("rm", "--", target),
                why=_("Remove the folder made for the mount.") if folder else _("Throw the file away."),
                effect=_("it is gone"),
            ),
        )


_MOUNT = MountKind()
_DAEMON = DaemonKind()
_FILE = FileKind()
_SETTING = SettingKind()
_SLOT = SlotKind()
_OWN = OwnMapping()
_SNAPSHOT = VolumeSnapshot()
KINDS: Mapping[str, Kind] = {
    "loop": LoopKind(),
    "mount": _MOUNT,
    "fuse-export": _DAEMON,
    "nbd": _DAEMON,
    "dm": MappingKind(),
    "lv": _OWN,
    "luks": _OWN,
    "md": _OWN,
    "overlay": _FILE,
    "file": _FILE,
}
OWN_MAPPINGS = frozenset(what for what, kind in KINDS.items() if kind is _OWN)
"""What bears a session's name among the mappings: the journal's words for it."""


def kind_of(what: str, facts: Facts) -> Kind:
    """How a thing is recognised and taken down: a mount with a program of its own is a daemon's.

    A volume with a tag is LVM's own, which every other one of ours is not.
    """
    if "restores" in facts:
        return _SETTING
    if what == "lv" and "tag" in facts:
        return _SNAPSHOT
    if "slot" in facts:
        return _SLOT
    return _DAEMON if "program" in facts else KINDS[what]


def known_kind(entry: Entry) -> Kind | None:
    """How the thing of a journal entry is recognised and taken down.

    None where this program cannot know: a kind that only another version has, or a journal entry that
    lacks what tells ours from everybody else's.
    """
    if entry.what not in KINDS:
        return None
    kind = kind_of(entry.what, entry.facts)
    whole = all(isinstance(entry.facts.get(name), type) for name, type in kind.needs.items())
    fits = all(
        isinstance(entry.identity[name], type) for name, type in kind.knows.items() if name in entry.identity
    )
    return kind if whole and fits and ("pid" not in entry.identity or "started" in entry.identity) else None
