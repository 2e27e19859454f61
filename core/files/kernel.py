"""System calls that Python's standard library does not offer."""

import ctypes
import errno
import os

_RENAME_NOREPLACE = 1  # include/uapi/linux/fs.h
_libc = ctypes.CDLL(None, use_errno=True)
_renameat2 = getattr(_libc, "renameat2", None)
_NOT_HERE = frozenset({errno.ENOSYS, errno.EINVAL})


def rename_new(directory: int, old: bytes, new: bytes, into: int | None = None) -> None:
    """Rename `old` to `new` without replacing anything (renameat2(2)), in one directory or `into` another.

    On a file system that does not know how, the look and the rename are two steps.
    Raises FileExistsError and other OSErrors.
    """
    there = directory if into is None else into
    if _renameat2 is not None:
        if _renameat2(directory, old, there, new, _RENAME_NOREPLACE) == 0:
            return
        code = ctypes.get_errno()
        if code not in _NOT_HERE:
            raise OSError(code, os.strerror(code))
    try:
        os.stat(new, dir_fd=there, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(old, new, src_dir_fd=directory, dst_dir_fd=there)
        return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def flush(directory: int) -> None:
    """Write all that the file system of `directory` still holds in memory to its disk (syncfs(2)).

    Raises OSError, also for an earlier write that failed in the background.
    """
    if _libc.syncfs(directory) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
