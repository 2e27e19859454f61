"""What differs between two states of one file system: which files were added, removed and changed.

The two are never mounted at once: both have the same UUID, which XFS refuses and btrfs mixes up. So the
first is taken down in a census that fits into memory, about 200 bytes an entry, and the second is held
against it. Files whose size is the same but whose times are not are read in both.
"""

import hashlib
import os
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from core.cancel import CancelToken
from core.errors import SalvageError
from core.files.entry import named
from core.files.metadata import beside
from core.files.trail import LIST
from core.files.tree import GuestTree
from core.files.unread import reason
from core.files.walk import Step, Walk
from core.i18n import _, listed
from core.text import safe

SHOWN = 200
"""Changes that are told by name; the others are counted."""
_MOST_READ = 1 << 30
"""Bytes that are read to settle doubts about contents."""
_RECORD = struct.Struct("<IIIQQQQ8s")
_WHOLE = (1 << 64) - 1

How = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One entry that is not as it was; `what` of it changed, for a person, where it was there before."""

    path: bytes
    how: How
    what: str = ""

    def to_json(self) -> dict[str, object]:
        return {**named("path", self.path), "how": self.how, "what": self.what}

    def sentence(self) -> str:
        """The change as a line of a list."""
        told = {
            "added": _("added: {path}"),
            "removed": _("removed: {path}"),
            "changed": _("changed: {path} ({what})") if self.what else _("changed: {path}"),
        }[self.how]
        return told.format(path=safe(self.path), what=self.what)


@dataclass(slots=True)
class Tally:
    """The changes so far: all counted, the first of each kind by name."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    unread: int = 0
    """Entries that could not be looked at in one of the two."""
    named: list[Change] = field(default_factory=list)

    def note(self, change: Change) -> None:
        count = getattr(self, change.how)
        setattr(self, change.how, count + 1)
        if count < SHOWN:
            self.named.append(change)

    @property
    def total(self) -> int:
        return self.added + self.removed + self.changed

    @property
    def first(self) -> tuple[Change, ...]:
        """The first changes in the order of their paths."""
        return tuple(sorted(self.named)[:SHOWN])


@dataclass(slots=True)
class Census:
    """Every entry of a file system with what its inode says, folder by folder."""

    folders: dict[bytes, dict[bytes, bytes]] = field(default_factory=dict)
    unread: int = 0

    def lost(self, _path: bytes, _reason: str) -> None:
        self.unread += 1


def census(root: Path, cancel: CancelToken) -> Census:
    """Take down every entry below `root`. Raises `Cancelled`."""
    taken = Census()
    for folder, name, _status, record in _entries(root, cancel, taken.lost):
        taken.folders.setdefault(folder, {})[name] = record
    return taken


@dataclass(slots=True)
class Doubts:
    """Regular files of the same size whose times differ: what they hold now, and what else changed."""

    digests: dict[bytes, tuple[bytes, str, bool]] = field(default_factory=dict)
    read: int = 0


def compare(before: Census, root: Path, cancel: CancelToken, tally: Tally) -> Doubts:
    """Hold what is below `root` now against a census, which is used up; what only reading can tell.

    Raises `Cancelled`.
    """
    doubts = Doubts()
    after = Census()
    for folder, name, status, record in _entries(root, cancel, after.lost):
        there = before.folders.get(folder, {})
        old = there.pop(name, None)
        if old is None:
            tally.note(Change(folder + name, "added"))
        elif old != record:
            _judge(folder + name, old, record, status, root, doubts, tally)
    for folder, names in before.folders.items():
        for name in names:
            tally.note(Change(folder + name, "removed"))
    tally.unread += before.unread + after.unread
    return doubts


def settle(doubts: Doubts, root: Path, cancel: CancelToken, tally: Tally) -> None:
    """Read the doubtful files in their former state below `root`."""
    for path, (digest, what, timed) in doubts.digests.items():
        cancel.check()
        same = _digest(root, path) == digest
        if not same:
            what = listed((_("content"), what))
        elif timed and not what:
            what = _("times")
        if what:
            tally.note(Change(path, "changed", what))


def _judge(
    path: bytes, old: bytes, new: bytes, status: os.stat_result, root: Path, doubts: Doubts, tally: Tally
) -> None:
    mode, uid, gid, size, mtime, _earlier, device, attributes = _RECORD.unpack(old)
    mode_, uid_, gid_, size_, mtime_, _later, device_, attributes_ = _RECORD.unpack(new)
    if stat.S_IFMT(mode) != stat.S_IFMT(mode_) or device != device_:
        tally.note(Change(path, "changed", _("kind")))
        return
    words = [
        word
        for differs, word in (
            ((uid, gid) != (uid_, gid_), _("owner")),
            (mode != mode_, _("mode")),
            (attributes != attributes_, _("attributes")),
        )
        if differs
    ]
    what = listed(words)
    if not stat.S_ISREG(mode_):
        # a folder's own times and size follow from what was added to it and removed from it
        if what:
            tally.note(Change(path, "changed", what))
    elif size != size_:
        tally.note(Change(path, "changed", listed((_("content"), *words))))
    elif doubts.read + size_ > _MOST_READ:
        tally.note(Change(path, "changed", listed((_("content or times"), *words))))
    else:
        doubts.read += size_
        doubts.digests[path] = (_digest(root, path), what, mtime != mtime_)


def _digest(root: Path, path: bytes) -> bytes:
    """What a regular file holds, in short; empty where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with GuestTree(root) as tree:
            for piece in tree.read(path):
                digest.update(piece)
    except SalvageError:
        return b""
    return digest.digest()


def _entries(
    root: Path, cancel: CancelToken, failed: Callable[[bytes, str], None]
) -> Iterator[tuple[bytes, bytes, os.stat_result, bytes]]:
    """Folder, name, status and record of every entry; what cannot be looked at goes to `failed`."""
    walk = Walk(os.open(root, LIST), b"", failed)
    try:
        for step, name, _known in walk.steps():
            cancel.check()
            if step is Step.LEAVE:
                continue
            try:
                directory = walk.trail.fd
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
                record = _record(directory, name, status)
            except OSError as error:
                failed(walk.prefix + name, reason(error))
                continue
            yield walk.prefix, name, status, record
    finally:
        walk.close()


def _record(directory: int, name: bytes, status: os.stat_result) -> bytes:
    digest = hashlib.blake2b(digest_size=8)
    place = beside(directory, name)
    if stat.S_ISLNK(status.st_mode):
        digest.update(os.readlink(name, dir_fd=directory))
    for attribute in sorted(_attributes(place)):
        value = os.getxattr(place, attribute, follow_symlinks=False)
        digest.update(b"%d:%d:" % (len(attribute), len(value)) + os.fsencode(attribute) + value)
    return _RECORD.pack(
        status.st_mode,
        status.st_uid,
        status.st_gid,
        0 if stat.S_ISDIR(status.st_mode) else status.st_size & _WHOLE,
        status.st_mtime_ns & _WHOLE,
        status.st_ctime_ns & _WHOLE,
        status.st_rdev & _WHOLE,
        digest.digest(),
    )


def _attributes(place: bytes) -> list[str]:
    try:
        return os.listxattr(place, follow_symlinks=False)
    except OSError:
        return []  # a file system without attributes
