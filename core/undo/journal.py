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
from pathlib import Path
from typing import Any

from core import __version__, host
from core.errors import SalvageError
from core.i18n import _
from core.text import safe
from core.undo.account import Account, Record, told

VERSION = 1
NAME = "journal.jsonl"
NEW = "journal.new"
"""The journal's name until it is locked and begun."""
LOOKED = 0.2
"""Seconds after which a lock is an owner's, and not of one who looks whether there is one."""
_DOWN = frozenset({"releasing", "released", "stuck", "end"})
"""Events of taking down: what cannot be written then must not keep things up."""


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
    return told(Account(path.parent.name, "", "", 0, 0, path.stat().st_mtime), records, damaged)


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
