"""What a lab wants back, and how much of it lies in a folder."""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.i18n import enumerated, ngettext
from core.text import safe

_DEPTH = 3
"""How many folders below the given one the recovered tree may lie."""
_NAMED = 3
"""How many names a sentence lists."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One entry of the tree that shall come back: how to know it again, not what it says.

    `mark` is the SHA-256 of a file's bytes, the target of a symbolic link, and empty for a folder;
    `group` the path that was asked for, of which this is a part. A `mode` of 0 may be any.
    """

    path: str
    kind: str
    mark: str = ""
    mode: int = 0
    mtime: int = 0
    group: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The entries of the wanted tree by what became of them."""

    good: tuple[str, ...]
    missing: tuple[str, ...]
    different: tuple[str, ...]
    unreadable: tuple[str, ...]
    plain: tuple[str, ...]
    """Good ones whose mode or time was not kept."""
    followed: tuple[str, ...] = ()
    """Different ones: links on the disk, in whose place there is a file or a folder."""
    marks: Mapping[str, str] = field(default_factory=dict)
    """Of the different ones, what they hold instead."""
    decoys: tuple[str, ...] = ()
    """Different ones that hold another state which the disk, or one beside it, has too."""

    def with_decoys(self, decoys: Mapping[str, str]) -> "Comparison":
        """The same, with those told that hold the content of a decoy: a mark by its path."""
        same = (path for path, mark in decoys.items() if mark and self.marks.get(path) == mark)
        return replace(self, decoys=tuple(same))

    @property
    def complete(self) -> bool:
        return not (self.missing or self.different or self.unreadable)

    def told(self) -> tuple[str, ...]:
        """The comparison as sentences; what is missing is named, what it should hold is not."""
        lines = []
        if self.missing:
            lines.append(
                _some(
                    ngettext("{n} entry is missing", "{n} entries are missing", len(self.missing)),
                    self.missing,
                )
            )
        if self.different:
            lines.append(
                _some(
                    ngettext(
                        "{n} entry is not what the disk holds",
                        "{n} entries are not what the disk holds",
                        len(self.different),
                    ),
                    self.different,
                )
            )
        if self.unreadable:
            lines.append(
                _some(
                    ngettext(
                        "{n} entry cannot be read here",
                        "{n} entries cannot be read here",
                        len(self.unreadable),
                    ),
                    self.unreadable,
                )
            )
        if self.plain:
            lines.append(
                _some(
                    ngettext(
                        "{n} file lost its mode or its time",
                        "{n} files lost their modes or times",
                        len(self.plain),
                    ),
                    self.plain,
                )
            )
        return tuple(lines)


def _some(sentence: str, paths: tuple[str, ...]) -> str:
    names = enumerated(safe(path) for path in paths[:_NAMED])
    more = ", ..." if len(paths) > _NAMED else ""
    return f"{sentence.format(n=len(paths))}: {names}{more}"


def compare(wanted: Iterable[Kept], root: Path) -> Comparison:
    """How the tree below `root` compares with what is wanted. Links are not followed."""
    heaps: dict[str, list[str]] = {name: [] for name in ("good", "missing", "different", "unreadable")}
    plain, followed = [], []
    marks: dict[str, str] = {}
    for entry in wanted:
        path = root / entry.path
        try:
            facts = path.lstat()
            kind = _kind(facts.st_mode)
            mark = _mark(path, kind)
        except (FileNotFoundError, NotADirectoryError):
            heaps["missing"].append(entry.path)
            continue
        except OSError:
            heaps["unreadable"].append(entry.path)
            continue
        same = (kind, mark) == (entry.kind, entry.mark)
        heaps["good" if same else "different"].append(entry.path)
        if not same:
            marks[entry.path] = mark
            if entry.kind == "symlink" and kind in ("file", "dir"):
                followed.append(entry.path)
        elif entry.kind == "file" and not _dressed(facts, entry):
            plain.append(entry.path)
    found = {name: tuple(paths) for name, paths in heaps.items()}
    return Comparison(**found, plain=tuple(plain), followed=tuple(followed), marks=marks)


def best(wanted: Iterable[Kept], folder: Path, name: str | None, depth: int = _DEPTH) -> Comparison:
    """The best comparison among the places where what is wanted may lie in `folder`: the folder itself,
    and every folder called `name` a few levels below it; with no name, every folder there."""
    entries = tuple(wanted)
    places = [folder, *_folders(folder, name, depth)]
    return max((compare(entries, place) for place in places), key=lambda one: (len(one.good), len(one.marks)))


def _folders(folder: Path, name: str | None, depth: int) -> Iterator[Path]:
    """Folders below a folder, on the same file system: what is mounted there was not recovered."""
    with contextlib.suppress(OSError):  # a folder that cannot be listed holds nothing for us
        device = os.stat(folder).st_dev
        for entry in sorted(os.scandir(folder), key=lambda one: one.name):
            if not entry.is_dir(follow_symlinks=False) or entry.stat().st_dev != device:
                continue
            if name is None or entry.name == name:
                yield Path(entry.path)
            if depth > 1:
                yield from _folders(Path(entry.path), name, depth - 1)


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "dir"
    return "symlink" if stat.S_ISLNK(mode) else "other"


def _mark(path: Path, kind: str) -> str:
    if kind == "symlink":
        return os.readlink(path)
    if kind != "file":
        return ""
    with open(path, "rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _dressed(facts: os.stat_result, entry: Kept) -> bool:
    same_mode = entry.mode in (0, stat.S_IMODE(facts.st_mode))
    return same_mode and int(facts.st_mtime) == entry.mtime
