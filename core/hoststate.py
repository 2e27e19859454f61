"""The proof that the host ends as it was found: what could be left behind on it, before and after.

Looked at, without starting a program: loop devices, device-mapper devices, md arrays and nbd slots in
sysfs, mounts in mountinfo, the daemons that name a folder of our sessions, the files in those folders. Not
counted: the state folder itself, which stays when it is empty.

The mounts are those of the host's namespace, not of the thread's private one: that goes by itself
with the thread, and what is in it is nobody else's. The host's is the one in which the first look was taken;
later looks are taken through a process that still lives in it. Where none does, mounts are compared
by place and device, for they have other ids in every namespace.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core import host, loops, mounts
from core.i18n import N_, _, enumerated, ngettext, noted, sentences
from core.text import safe
from core.undo.account import Account, Entry
from core.undo.live import Names
from core.undo.snapshots import VolumeSnapshot

_SYS_BLOCK = Path("/sys/block")
_DAEMONS = ("qemu-storage-daemon", "qemu-nbd", "ntfs-3g", "fusefat", "mount.exfat-fuse")
_SERVED = ("fuse", "nfs", "cifs", "smb", "9p", "ceph", "afs")
"""File systems that somebody else serves: asked for a file's inode, they may hang."""

_KINDS = {
    "loop": N_("loop device"),
    "mapping": N_("mapping"),
    "array": N_("array"),
    "nbd": N_("nbd slot"),
    "mount": N_("mount"),
    "process": N_("daemon"),
    "file": N_("file"),
}
_IN_JSON = {
    "loop": "loops",
    "mapping": "mappings",
    "array": "arrays",
    "nbd": "nbd",
    "mount": "mounts",
    "process": "processes",
    "file": "files",
}
_TOLD = 3
"""Changes by others that are told one by one; `Proof.to_json` has them all, and all that is known of them."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing on the host."""

    kind: str
    key: tuple[str | int, ...]
    """What makes it this very thing: as long as it is there, the kernel gives this to no other."""
    line: str
    """All that is known of it."""
    paths: tuple[str, ...] = ()
    """The names by which it may be known as ours."""
    name: str = ""
    """What a person calls it."""
    behind: str = ""
    """What lies behind it: a loop device's file, a mount's device."""

    def told(self) -> str:
        """It in a few words, for a person."""
        kind, name = _(_KINDS[self.kind]), safe(self.name)
        return noted(_("{kind} {name}").format(kind=kind, name=name), safe(self.behind))


@dataclass(frozen=True, slots=True)
class HostState:
    """What could be left behind on a host, at one moment."""

    things: tuple[Thing, ...]
    namespace: int
    """The inode of the mount namespace that was looked at."""

    @classmethod
    def now(cls, sessions: Path | None = None, like: "HostState | None" = None) -> "HostState":
        """The state now; with `sessions`, the daemons and files of the sessions in that folder too.

        The mounts are those that the calling thread sees, or those that `like` saw.
        """
        process = _witness(like.namespace) if like else "thread-self"
        table = mounts.mounts(process)
        return cls(
            (*_loops(table), *_mappings(), *_arrays(), *_slots(), *_mounts(table), *_ours(sessions)),
            _namespace(process),
        )

    def maps(self, name: str) -> bool:
        """Whether there is a mapping whose name begins so."""
        return any(one.kind == "mapping" and one.paths[0].startswith(name) for one in self.things)

    def to_json(self) -> dict[str, list[str]]:
        """The state as the report tells it."""
        return {
            name: [thing.line for thing in self.things if thing.kind == kind]
            for kind, name in _IN_JSON.items()
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is on the host only before, only after, or otherwise than before."""

    sign: str
    """``+`` came, ``-`` went, ``~`` changed."""
    thing: Thing
    owner: str = ""
    """The session that put it up; empty when somebody else did."""

    def __str__(self) -> str:
        return f"{self.sign} {_(_KINDS[self.thing.kind])} {safe(self.thing.line)}"


def differences(before: HostState, after: HostState) -> list[Difference]:
    """What came, went or changed between two looks."""
    same = before.namespace == after.namespace
    was, now = ({_key(thing, same): thing for thing in one.things} for one in (before, after))
    return [
        *(Difference("+", thing) for key, thing in now.items() if key not in was),
        *(Difference("-", thing) for key, thing in was.items() if key not in now),
        *(
            Difference("~", thing)
            for key, thing in now.items()
            if key in was and thing.line != was[key].line and (same or thing.kind != "mount")
        ),
    ]


def _key(thing: Thing, same: bool) -> tuple[str | int, ...]:
    key = thing.key if same or thing.kind != "mount" else thing.key[1:]
    return (thing.kind, *key)


class Owners:
    """Tells which session a thing belongs to: by its journal's identities, or by its names."""

    def __init__(self, sessions: Path) -> None:
        self._names = Names(sessions)
        self._keys: dict[tuple[str | int, ...], str] = {}
        self._targets: dict[tuple[str, str], str] = {}
        self._mapped: dict[str, str] = {}
        self._below: dict[str, str] = {}

    def add(self, session: str, entries: Iterable[Entry]) -> None:
        """Know what a session put up by its journal."""
        for entry in entries:
            known = entry.identity
            if entry.what == "loop":
                self._keys[("loop", entry.target, known.get("sequence", 0))] = session
            if entry.what == "dm":
                self._mapped[f"{os.path.basename(entry.target)}p"] = session
            if entry.what in ("lv", "luks", "md"):
                name = os.path.basename(entry.target)
                if "tag" in entry.facts:
                    name, below = VolumeSnapshot.mappings(entry.facts)
                    self._mapped[below], self._below[below] = session, name
                self._mapped[name] = session
            if entry.what in ("mount", "fuse-export"):
                self._targets[("mount", entry.target)] = session
            if entry.what == "nbd" and "slot" in entry.facts:
                self._keys[("nbd", os.path.basename(entry.target), known.get("pid", 0))] = session
            if "pid" in known:
                self._keys[("process", known["pid"], known.get("started", 0))] = session

    def add_known(self, account: Account) -> None:
        """The same of a whole journal; what has the places of an earlier boot now is somebody else's."""
        if not account.of_other_boot:
            self.add(account.session, account.entries)

    def owner(self, thing: Thing, after: HostState) -> str:
        """The session that put it up; empty for somebody else.

        What LVM has below a volume serves all its snapshots: where it is there `after` ours, it is theirs.
        """
        if session := self._keys.get((thing.kind, *thing.key)):
            return session
        for path in thing.paths:
            session = self._names.session(path) or self._targets.get((thing.kind, path), "")
            if session:
                return session
            if thing.kind == "mapping":
                for start, session in self._mapped.items():
                    if path.startswith(start) and not (
                        start in self._below and thing in after.things and not after.maps(self._below[start])
                    ):
                        return session
        return ""


@dataclass(frozen=True, slots=True)
class Proof:
    """What the host was like before and after, and whose the differences are."""

    before: HostState
    after: HostState
    ours: tuple[Difference, ...]
    """What is left of the sessions that the proof is about."""
    others: tuple[Difference, ...]
    """What somebody else changed meanwhile, another session of this program included."""
    kept: bool = False
    """Whether something is up because it was asked to stay."""
    at_work: bool = False
    """Whether it was looked before the end: what is up of ours is going to be taken down."""

    def without(self, sessions: Collection[str]) -> "Proof":
        """The same where these sessions were left up on purpose: they are nobody else's doing."""
        others = tuple(one for one in self.others if one.owner not in sessions)
        return replace(self, others=others, kept=bool(sessions))

    def still(self, sessions: Path) -> "Proof":
        """The same at a later time: what others had up and took down since is no difference any more."""
        after = HostState.now(sessions, self.before)
        there = {(thing.kind, thing.key) for thing in after.things}
        others = (one for one in self.others if one.sign != "+" or (one.thing.kind, one.thing.key) in there)
        return replace(self, after=after, others=tuple(others))

    @property
    def as_found(self) -> bool:
        """Whether nothing of ours is left."""
        return not self.ours

    def sentence(self) -> str:
        """The proof in one line; where something of ours is left, each thing on a line of its own below."""
        if self.ours:
            still = _("The host is not as it was found. Of ours there is still:")
            if self.at_work:
                still = _("Written before the end. Of ours there was still, to be taken down then:")
            return "\n".join([still, *(f"  {one.thing.told()}" for one in self.ours)])
        if self.kept:
            others = _("Others meanwhile: {things}.").format(things=self._others_told())
            kept = _("Host as found, but for what was left mounted.")
            return sentences((kept, others if self.others else ""))
        there = Counter(thing.kind for thing in self.after.things)
        counts = enumerated(
            [
                ngettext("{count} loop device", "{count} loop devices", there["loop"]).format(
                    count=there["loop"]
                ),
                ngettext("{count} mount", "{count} mounts", there["mount"]).format(count=there["mount"]),
            ]
        )
        if not self.others:
            return _("Host as found: {counts}, as before.").format(counts=counts)
        told = _("Host as found: nothing of ours is left. Others meanwhile: {things}.")
        return told.format(things=self._others_told())

    def _others_told(self) -> str:
        signs = {"+": _("came: {things}"), "-": _("went: {things}"), "~": _("changed: {things}")}
        heaps: dict[str, list[str]] = {}
        for one in self.others[:_TOLD]:
            heaps.setdefault(signs[one.sign], []).append(one.thing.told())
        told = [sentence.format(things=enumerated(things)) for sentence, things in heaps.items()]
        more = len(self.others) - _TOLD
        return _("; ").join([*told, *([_("and {count} more").format(count=more)] if more > 0 else [])])

    def to_json(self) -> dict[str, object]:
        return {
            "as_found": self.as_found,
            "sentence": self.sentence(),
            "ours": [{"what": str(one), "session": one.owner} for one in self.ours],
            "others": [{"what": str(one), "session": one.owner} for one in self.others],
        }


def prove(
    before: HostState, sessions: Path, mine: Collection[str], owners: Owners, others: Sequence[Account] = ()
) -> Proof:
    """Look again and tell whose the differences are.

    `mine` are the sessions that the proof is about, `others` the journals of those that it is not.
    What of ours went meanwhile was taken down, and is no difference.
    """
    after = HostState.now(sessions, before)
    for account in others:
        owners.add_known(account)
    found = [
        Difference(one.sign, one.thing, owners.owner(one.thing, after)) for one in differences(before, after)
    ]
    known = {(one.thing.kind, one.thing.key) for one in found}
    # Also what was there before the proof began, such as what a dead session had up, must be gone.
    found += [
        Difference("+", thing, owner)
        for thing in after.things
        if (thing.kind, thing.key) not in known and (owner := owners.owner(thing, after)) in mine
    ]
    ours = [one for one in found if one.owner in mine and one.sign != "-"]
    rest = [one for one in found if one.owner not in mine]
    return Proof(before, after, tuple(ours), tuple(rest))


# -- looking --------------------------------------------------------------------------------------


def _namespace(process: str) -> int:
    return os.stat(f"/proc/{process}/ns/mnt").st_ino


def _witness(namespace: int) -> str:
    """A process whose mounts are those of that namespace; the calling thread where there is none."""
    for process in ("thread-self", "self", "1", str(os.getppid())):
        try:
            if _namespace(process) == namespace:
                return process
        except OSError:
            continue  # an ordinary user may not look at everybody
    return "thread-self"


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape").strip()
    except OSError:
        return ""  # it went away while we looked


def _loops(table: Sequence[mounts.Mount]) -> Iterator[Thing]:
    for one in loops.loops():
        identity = None if _may_hang(one.backing, table) else loops.backing_identity(one.path)
        file = _("file {device}:{inode}").format(
            device=identity[0] if identity else "?", inode=identity[1] if identity else "?"
        )
        flags = [
            name
            for name, is_set in (
                ("read-only", one.read_only),
                ("autoclear", one.autoclear),
                ("partscan", _read(_SYS_BLOCK / os.path.basename(one.path) / "loop/partscan") == "1"),
                ("direct-io", _read(_SYS_BLOCK / os.path.basename(one.path) / "loop/dio") == "1"),
            )
            if is_set
        ]
        parts = (one.path, one.backing, f"({file})", f"offset {one.offset} limit {one.size_limit}", *flags)
        yield Thing("loop", (one.path, one.sequence), " ".join(parts), (one.backing,), one.path, one.backing)


def _may_hang(path: str, table: Sequence[mounts.Mount]) -> bool:
    """Whether a backing file lies on a file system that may not answer, or nobody knows where."""
    over = [mount for mount in table if Path(path).is_relative_to(mount.point)]
    if path == "/" or not over:
        return True
    return max(over, key=lambda mount: (len(mount.point), mount.id)).type.startswith(_SERVED)


def _mappings() -> Iterator[Thing]:
    for folder in sorted(_SYS_BLOCK.glob("dm-*")):
        name, uuid = _read(folder / "dm/name"), _read(folder / "dm/uuid")
        if name:
            yield Thing(
                "mapping", (folder.name, name, uuid), f"{folder.name} {name} {uuid}".rstrip(), (name,), name
            )


def _arrays() -> Iterator[Thing]:
    for folder in sorted(_SYS_BLOCK.glob("md*")):
        state = _read(folder / "md/array_state")
        if state and state != "clear":
            members = " ".join(sorted(one.name for one in (folder / "slaves").glob("*")))
            uuid = _read(folder / "md/uuid")
            line = f"{folder.name} {_read(folder / 'md/level')} {uuid} {members}"
            yield Thing(
                "array", (folder.name, uuid), " ".join(line.split()), (), f"/dev/{folder.name}", members
            )


def _slots() -> Iterator[Thing]:
    for path in sorted(_SYS_BLOCK.glob("nbd*/pid")):
        thread, name = _read(path), path.parent.name
        if thread.isdigit():
            pid = host.process_of(int(thread)) or int(thread)
            line = f"/dev/{name} pid {pid} size {_read(path.parent / 'size')}"
            yield Thing("nbd", (name, pid), line, (f"/dev/{name}",), f"/dev/{name}", f"pid {pid}")


def _mounts(table: Sequence[mounts.Mount]) -> Iterator[Thing]:
    for one in table:
        line = f"{one.point} {one.type} {one.source} {one.device} {one.options} id {one.id}"
        yield Thing(
            "mount", (one.id, one.device, one.point, one.root), line, (one.point,), one.point, one.source
        )


def _ours(sessions: Path | None) -> Iterator[Thing]:
    """The daemons and files of our sessions; the folders are listed only, a dead export answers nothing."""
    if sessions is None:
        return
    names = Names(sessions)
    for pid, words in host.command_lines():
        program = os.path.basename(words[0])
        if program in _DAEMONS and (path := names.in_words(words[1:])[1]):
            since = host.started(pid)
            if since is not None:
                yield Thing(
                    "process", (pid, since), f"{program} pid {pid} {path}", (path,), program, f"pid {pid}"
                )
    for folder, _folders, files in os.walk(sessions, followlinks=False):
        place = Path(folder)
        depth = len(place.relative_to(sessions).parts)
        if depth == 1:
            _folders.clear()  # what is mounted in a session's folder is not looked into
            yield Thing("file", (folder,), f"{folder}/", (f"{folder}/",), f"{folder}/")
        for name in sorted(files):
            path = f"{folder}/{name}"
            yield Thing("file", (path,), path, (path,), path)
