"""Trees of files as data, and how they get into a folder and from there into a file system."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.lab.recovered import Kept


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a tree. `path` is relative; the folders above it stand before it.

    `target` is what a symbolic link says, or the path in the same tree that a hard link shares.
    A file of `size` bytes has holes where none of `chunks` (offset and bytes) lies.
    """

    path: str
    kind: str
    """``dir``, ``file``, ``symlink`` or ``hardlink``."""
    mtime: int
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    target: str = ""
    chunks: tuple[tuple[int, bytes], ...] = ()
    size: int = 0

    def data(self) -> bytes:
        """The bytes of a file, holes as zeros."""
        whole = bytearray(self.size)
        for offset, chunk in self.chunks:
            whole[offset : offset + len(chunk)] = chunk
        return bytes(whole)


@dataclass(frozen=True, slots=True)
class Owner:
    """Writes items that belong to one user: the seat of a tree's owner and default time."""

    uid: int
    gid: int
    mtime: int

    def folder(self, path: str, mode: int = 0o755) -> Item:
        return Item(path, "dir", self.mtime, mode, self.uid, self.gid)

    def file(self, path: str, content: str | bytes, mode: int = 0o644, age: int = 0) -> Item:
        """A file, `age` seconds older than the owner's time."""
        data = content.encode() if isinstance(content, str) else content
        return Item(path, "file", self.mtime - age, mode, self.uid, self.gid, "", ((0, data),), len(data))

    def sparse(self, path: str, size: int, *chunks: tuple[int, bytes]) -> Item:
        return Item(path, "file", self.mtime, 0o644, self.uid, self.gid, "", chunks, size)

    def symlink(self, path: str, target: str) -> Item:
        return Item(path, "symlink", self.mtime, 0o777, self.uid, self.gid, target)

    def hardlink(self, path: str, same: Item) -> Item:
        return Item(
            path, "hardlink", same.mtime, same.mode, self.uid, self.gid, same.path, same.chunks, same.size
        )


def plant(items: Iterable[Item], folder: Path) -> None:
    """Write a tree below `folder`, which is made. Owners are left for `owners`."""
    folder.mkdir(parents=True)
    fill(items, folder)


def fill(items: Iterable[Item], folder: Path) -> None:
    """Write a tree into `folder`, which is there."""
    entries = list(items)
    for item in entries:
        _write(item, folder)
    for item in reversed(entries):  # a folder's time is set after what is in it has been written
        os.utime(folder / item.path, (item.mtime, item.mtime), follow_symlinks=False)


def _write(item: Item, folder: Path) -> None:
    path = folder / item.path
    if item.kind == "dir":
        path.mkdir()
    elif item.kind == "symlink":
        path.symlink_to(item.target)
        return
    elif item.kind == "hardlink":
        path.hardlink_to(folder / item.target)
    else:
        with open(path, "xb") as sink:
            for offset, chunk in item.chunks:
                sink.seek(offset)
                sink.write(chunk)
            sink.truncate(item.size)
    path.chmod(item.mode)


def owners(items: Iterable[Item]) -> Iterator[str]:
    """Lines for debugfs(8) that give each entry its owner and its times.

    An ordinary user cannot give files away, and mke2fs takes the owners that it finds; the change
    time of a file cannot be set from outside at all.
    """
    for item in items:
        facts = {"uid": item.uid, "gid": item.gid}
        facts |= dict.fromkeys(("atime", "ctime", "mtime", "crtime"), f"@{item.mtime}")  # type: ignore[arg-type]
        for name, value in facts.items():
            yield f'set_inode_field "/{item.path}" {name} {value}'


def kept(items: Iterable[Item], below: str, group: str = "") -> tuple[Kept, ...]:
    """How to know the entries below the folder `below` again, with paths relative to it."""
    prefix = below + "/" if below else ""
    return tuple(
        Kept(
            item.path.removeprefix(prefix),
            _KINDS.get(item.kind, item.kind),
            _mark(item),
            item.mode,
            item.mtime,
            group,
        )
        for item in items
        if item.path.startswith(prefix)
    )


_KINDS = {"hardlink": "file"}


def _mark(item: Item) -> str:
    if item.kind == "symlink":
        return item.target
    return "" if item.kind == "dir" else hashlib.sha256(item.data()).hexdigest()
