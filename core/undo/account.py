"""What a session put up, as its journal tells it: see `core.undo.journal` for the lines."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core import host
from core.i18n import N_, _, sentences
from core.text import safe

LOST = "unknown"
"""The kind of a thing whose line in the journal is lost."""
_FAR_OFF = 1e12
"""Seconds: more than 30,000 years."""

Record = dict[str, Any]


_NAMES = {
    "mount": N_("mount"),
    "loop": N_("loop"),
    "fuse-export": N_("export"),
    "nbd": N_("nbd device"),
    **dict.fromkeys(("dm", "lv", "luks", "md"), N_("mapping")),
    "overlay": N_("overlay"),
}
"""What the journal's words for things are called."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was put up, or was about to be."""

    number: int
    what: str
    target: str
    state: str
    """``intended``, ``held``, ``released`` or ``failed``, as the contract's `status` names them."""
    why: str
    since: float
    undo: tuple[str, ...]
    on: tuple[str, ...] = ()
    """The targets that it stands on: they stay as long as it does."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def stands(self) -> bool:
        """Whether the thing may still be there."""
        return self.state != "released"

    @property
    def named(self) -> str:
        """What it is, for a person: a file may be a folder, or a setting of the kernel's.

        What serves a disk or a RAID over a socket takes no network block device.
        """
        if self.what == "nbd" and not self.target.startswith("/dev/"):
            return _("server")
        if self.what in _NAMES:
            return _(_NAMES[self.what])
        if self.what != "file":
            return safe(self.what)
        if "restores" in self.facts:
            return _("setting")
        return _("folder") if self.identity.get("folder") else _("file")

    @property
    def state_told(self) -> str:
        """Whether it is up, for a person."""
        names = {
            "intended": _("may have been put up"),
            "held": _("is up"),
            "failed": _("could not be taken down"),
        }
        return names.get(self.state, safe(self.state))

    def to_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "target": self.target,
            "state": self.state,
            "undo": "; ".join(self.undo),
            "why": self.why,
            "since": self.since,
            **({"error": self.error} if self.error else {}),
        }


@dataclass(frozen=True, slots=True)
class HalfWritten:
    """A commit that was begun and not ended: the disk may hold a part of the overlay's changes."""

    number: int
    """The overlay's entry."""
    backup: tuple[str, ...]
    """The files of the backup that was made before, the disk's own first."""

    def sentence(self, session: str) -> str:
        """What it means and what to do, for a person."""
        told = _(
            "The disk holds a part of this overlay's changes: a commit was cut off. Run `virt-salvage commit"
            " {session}` again, it goes on from the overlay."
        ).format(session=safe(session))
        if not self.backup:
            return told
        restored = _("Or restore the backup {path}, then `virt-salvage commit {session} --abandon`.")
        return sentences((told, restored.format(path=safe(self.backup[0]), session=safe(session))))


@dataclass(frozen=True, slots=True)
class Account:
    """What a journal says of its session."""

    session: str
    disk: str
    boot: str
    pid: int
    started: int
    began: float
    entries: tuple[Entry, ...] = ()
    kept: bool = False
    ended: bool = False
    damaged: int = 0
    """Lines that could not be read."""
    half: HalfWritten | None = None
    up: float = 0.0
    """Seconds from the boot to its begin; 0 where the journal does not tell."""

    @property
    def order(self) -> tuple[bool, float]:
        """Sorts journals by their age: those of this boot by `up`, however the clock was set meanwhile."""
        ours = bool(self.up) and not self.of_other_boot
        return ours, self.up if ours else self.began

    @property
    def of_other_boot(self) -> bool:
        """Whether it is of an earlier boot: what the kernel held then is gone.

        Where the line with the boot is lost, the time of the journal's last line decides (`began`).
        """
        return self.boot != host.boot_id() if self.boot else self.began < host.booted()

    @property
    def standing(self) -> tuple[Entry, ...]:
        """What may still be there, the last put up first."""
        return tuple(entry for entry in reversed(self.entries) if entry.stands)

    @property
    def over_overlay(self) -> bool:
        """Whether it stands over an overlay, which goes with it."""
        return any(entry.what == "overlay" for entry in self.standing)

    @property
    def written_to(self) -> bool:
        """Whether it was left up on purpose over an overlay, which may hold what a person has done since."""
        return self.kept and self.over_overlay


def told(account: Account, records: Iterable[Record], damaged: int) -> Account:
    """The account after these records; those that lack what they need are counted with the damaged ones."""
    entries: dict[int, Entry] = {}
    for record in records:
        try:
            account = _told(account, entries, record)
        except (KeyError, TypeError, ValueError, AttributeError):
            damaged += 1
    numbered = tuple(entries[number] for number in sorted(entries))
    return replace(account, entries=numbered, damaged=damaged)


def _told(account: Account, entries: dict[int, Entry], record: Record) -> Account:
    """The account after one more record; KeyError, TypeError, ValueError where the record lacks something."""
    event = record["event"]
    if event == "begin":
        return replace(
            account,
            disk=_text(record["disk"]),
            boot=_text(record["boot"]),
            pid=int(record["pid"]),
            started=int(record["started"]),
            began=_seconds(record["time"]),
            up=_seconds(record.get("up", 0.0)),
        )
    if event == "intent":
        entry = _intended(record)
        entries[entry.number] = entry
    elif event in ("done", "released", "stuck"):
        number = int(record["n"])
        entries[number] = _after(entries.get(number) or _without_intent(number, record), record)
    elif event == "kept":
        return replace(account, kept=True)
    elif event == "committing":
        return replace(account, half=HalfWritten(int(record["n"]), _texts(record["backup"])))
    elif event in ("committed", "abandoned"):
        return replace(account, half=None)
    elif event == "end":
        return replace(account, ended=True)
    return account


def _seconds(value: object) -> float:
    """A time; ValueError for one that no clock shows."""
    if not isinstance(value, int | float) or not abs(value) < _FAR_OFF:
        raise ValueError
    return float(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError
    return tuple(_text(value) for value in values)


def _facts(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _intended(record: Record) -> Entry:
    return Entry(
        int(record["n"]),
        _text(record["what"]),
        _text(record["target"]),
        "intended",
        _text(record["why"]),
        _seconds(record["time"]),
        _texts(record["undo"]),
        _texts(record["on"]),
        _facts(record["facts"]),
    )


def _without_intent(number: int, record: Record) -> Entry:
    if "facts" in record:
        return _intended({**record, "why": ""})
    return Entry(number, LOST, "", "intended", "", _seconds(record["time"]), ())


def _after(entry: Entry, record: Record) -> Entry:
    event = record["event"]
    if event == "done":
        return replace(
            entry,
            state="held",
            target=_text(record["target"]),
            undo=_texts(record["undo"]),
            identity=_facts(record["identity"]),
        )
    if event == "released":
        return replace(entry, state="released", error="")
    return replace(entry, state="failed", error=_text(record["error"]))
