"""The journal of a session: what was put up, written to disk before and after each change.

Format, version 1. One JSON object a line, appended and flushed to the medium (fsync) one at a time;
`crc` is the CRC-32 of the line's object without it, written with sorted keys and without spaces, so a
torn or damaged line is recognised and passed over. Fields of every line: `v`, `event`, `time` (seconds
since 1970), `crc`. Events:

- `begin`: `session`, `disk`, `boot` (the kernel's boot id), `up` (seconds since that boot,
  which no setting of the clock changes), `pid`, `started` (clock ticks since boot), `program` (version);
- `intent`: `n` (counts from 1), `what` (kind of thing), `target`, `on` (targets that it stands on),
  `why`, `do` and `undo` (shell lines), `facts` (what recognises the thing while its identity is not
  known yet);
- `done`: `n`, `what`, `target`, `on`, `undo`, `facts`, `identity` (what the kernel calls it): enough by
  itself where the line of the intent is damaged; once more with `lazy` in its identity before a busy mount
  is taken out of sight;
- `releasing`, `released`: `n`; `stuck`: `n`, `error` (a release that failed, the thing still stands);
- `kept`: this session was left up on purpose;
- `committing`: `n` (an overlay), `backup` (paths): from here on its disk may hold a part of the overlay's
  changes, and the overlay is kept until `committed` (`n`: the disk holds all of them, verified) or
  `abandoned` (`n`: the operator wants neither the rest nor the overlay);
- `end`: everything was taken down.

The file is locked with flock(2) as long as its session lives. It is begun under another name and gets
its own once it is locked and `begin` is on the medium: a journal that is seen is never half begun.

A reader passes over what it does not know: lines of another `v` are read as far as they have the fields
named here, events of other names are no events. Lines that are damaged, or lack what their event needs,
are counted.
"""

import errno
import fcntl
import json
import os
import select
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core import __version__, host
from core.errors import SalvageError
from core.i18n import _
from core.text import safe

VERSION = 1
NAME = "journal.jsonl"
NEW = "journal.new"
"""The journal's name until it is locked and begun."""
LOST = "unknown"
"""The kind of a thing whose line in the journal is lost."""
LOOKED = 0.2
"""Seconds after which a lock is an owner's, and not of one who looks whether there is one."""
_FAR_OFF = 1e12
"""Seconds: more than 30,000 years."""
_DOWN = frozenset({"releasing", "released", "stuck", "end"})
"""Events of taking down: what cannot be written then must not keep things up."""

Record = dict[str, Any]


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
        return (
            told
            + " "
            + _("Or restore the backup {path}, then `virt-salvage commit {session} --abandon`.").format(
                path=safe(self.backup[0]), session=safe(session)
            )
        )


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


def _checksum(record: Record) -> int:
    return zlib.crc32(json.dumps(record, sort_keys=True, separators=(",", ":")).encode())


def _line(record: Record) -> bytes:
    return json.dumps({**record, "crc": _checksum(record)}, sort_keys=True).encode() + b"\n"


def _records(data: bytes) -> tuple[list[Record], int]:
    good, damaged = [], 0
    for line in data.splitlines():
        try:
            record = json.loads(line)
            crc = record.pop("crc")
        except (ValueError, KeyError, AttributeError, TypeError):
            damaged += 1
            continue
        if crc == _checksum(record):
            good.append(record)
        else:
            damaged += 1
    return good, damaged


def read(path: Path) -> Account:
    """The account that the journal at `path` gives; damaged lines are counted and passed over.

    Raises OSError when the file cannot be read.
    """
    records, damaged = _records(path.read_bytes())
    account = Account(path.parent.name, "", "", 0, 0, path.stat().st_mtime)
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


class Journal:
    """The journal of a session that this process works on, open and locked."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self.unwritten = ""
        """Why something that was taken down could not be written down; empty when all was."""
        self._torn = False

    @classmethod
    def begin(cls, folder: Path, disk: str) -> "Journal":
        """Start the journal of a new session in its own folder. Raises OSError and SalvageError."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        path, new = folder / NAME, folder / NEW
        journal = cls(path, os.open(new, flags, 0o600))
        try:
            fcntl.flock(journal._descriptor, fcntl.LOCK_EX)
            pid = os.getpid()
            journal.append(
                "begin",
                session=folder.name,
                disk=disk,
                boot=host.boot_id(),
                up=time.clock_gettime(time.CLOCK_BOOTTIME),
                pid=pid,
                started=host.started(pid) or 0,
                program=__version__,
            )
            os.rename(new, path)
            _sync_folder(folder)
        except BaseException:
            journal.close()
            raise
        return journal

    @classmethod
    def adopt(cls, path: Path) -> "Journal | None":
        """Take over the journal of a dead session; None while its session lives.

        A journal that can only be read is taken over too: see `unwritten`. Raises OSError when it cannot
        even be read.
        """
        unwritten = ""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except OSError as error:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            unwritten = os.strerror(error.errno or 0)
        if not _lock(descriptor):
            os.close(descriptor)
            return None
        if not path.exists():  # its last owner took everything down and removed it before it let go
            os.close(descriptor)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        journal = cls(path, descriptor)
        journal.unwritten = unwritten
        journal._torn = journal._ends_torn()
        return journal

    def _ends_torn(self) -> bool:
        end = os.fstat(self._descriptor).st_size
        return bool(end) and os.pread(self._descriptor, 1, end - 1) != b"\n"

    def append(self, event: str, **values: Any) -> None:
        """Write one record and wait until it is on the medium.

        Raises SalvageError when it cannot be written: then nothing may be changed on the host. What tells
        of taking down is not worth keeping anything up for: that only sets `unwritten`.
        """
        record = json.loads(json.dumps({"v": VERSION, "event": event, "time": time.time(), **values}))
        line = (b"\n" if self._torn else b"") + _line(record)
        try:
            written = os.write(self._descriptor, line)
            self._torn = written != len(line)
            if self._torn:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._descriptor)
        except OSError as error:
            if event in _DOWN:
                self.unwritten = os.strerror(error.errno or 0)
                return
            raise SalvageError(
                _("The journal {path} cannot be written: {error}.").format(
                    path=safe(self.path), error=error.strerror
                ),
                _("Without a journal nothing is changed on this host. The disk is untouched."),
                _("Make room there, or choose another place with --state-dir."),
            ) from error

    def account(self) -> Account:
        return read(self.path)

    def close(self) -> None:
        """Let go of the lock: from now on the session counts as dead."""
        os.close(self._descriptor)


def _lock(descriptor: int) -> bool:
    """Lock a journal for its owner; False when it has one. Those who only look let go at once."""
    until = time.monotonic() + LOOKED
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            select.select([], [], [], 0.01)
        else:
            return True


def lives(path: Path) -> bool:
    """Whether a running process holds the journal's lock."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _sync_folder(folder: Path) -> None:
    for one in (folder, folder.parent):
        descriptor = os.open(one, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
