"""The files in which a hypervisor keeps what it knows, read as if somebody hostile had written them.

Only a regular file of bounded size is read, that its owner alone may write: root, or the one user whose
machines it tells of.
"""

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

LARGEST = 4 << 20
"""Bytes of one file: a machine with hundreds of disks has less."""
_MOST = 10_000
"""Files in one folder."""
ROOT = frozenset({0})


def content(path: Path, owners: Collection[int] = ROOT) -> bytes:
    """The content of a file that only one of `owners` can have written; else nothing."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return b""
    try:
        at = os.fstat(fd)
        by_others = at.st_mode & stat.S_IWOTH or (at.st_gid != 0 and at.st_mode & stat.S_IWGRP)
        if not stat.S_ISREG(at.st_mode) or at.st_uid not in owners or by_others or at.st_size > LARGEST:
            return b""
        return os.read(fd, LARGEST)
    except OSError:
        return b""
    finally:
        os.close(fd)


def contents(folder: Path, ending: str, owners: Collection[int] = ROOT) -> Iterator[tuple[str, bytes]]:
    """Of each such file in a folder the name without its ending, and the content.

    Nothing where there is no such folder, or an ordinary user may not look.
    """
    try:
        names = sorted(one for one in os.listdir(folder) if one.endswith(ending))[:_MOST]
    except OSError:
        return
    for name in names:
        data = content(folder / name, owners)
        if data:
            yield name.removesuffix(ending), data
