"""Flags and project of an inode: FS_IOC_FSGETXATTR and FS_IOC_FSSETXATTR, ioctl_xfs_fsgetxattr(2).

ext4, XFS, btrfs and F2FS know them (include/uapi/linux/fs.h, struct fsxattr).
"""

import errno
import fcntl
import struct
from dataclasses import dataclass

_GET = 0x801C581F
_SET = 0x401C5820
_FSXATTR = struct.Struct("=5I8s")
_NAMES = {0x8: "immutable", 0x10: "append"}
_NOT_HERE = frozenset({errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.EACCES})
_EMPTY = bytes(_FSXATTR.size)


@dataclass(frozen=True, slots=True)
class InodeFlags:
    """What hinders even root from changing a file, and the project that its blocks are counted for."""

    names: tuple[str, ...] = ()
    """``immutable`` and ``append``; chattr(1) calls them i and a."""
    project: int = 0


NONE = InodeFlags()


def flags_of(fd: int) -> InodeFlags:
    """The flags of an open file or folder; none where the file system has no such thing. Raises OSError."""
    try:
        raw = fcntl.ioctl(fd, _GET, _EMPTY)
    except OSError as error:
        if error.errno in _NOT_HERE:
            return NONE
        raise
    bits, _hint, _extents, project, _cow, _pad = _FSXATTR.unpack(raw)
    if not bits & 0x18 and not project:
        return NONE
    return InodeFlags(tuple(name for bit, name in _NAMES.items() if bits & bit), project)


def set_flags(fd: int, wanted: InodeFlags) -> bool:
    """Give an open file or folder these flags and this project; whether it has them. Raises OSError."""
    try:
        bits, hint, extents, _project, cow, pad = _FSXATTR.unpack(fcntl.ioctl(fd, _GET, _EMPTY))
        for bit, name in _NAMES.items():
            bits = bits | bit if name in wanted.names else bits & ~bit
        fcntl.ioctl(fd, _SET, _FSXATTR.pack(bits, hint, extents, wanted.project, cow, pad))
    except OSError as error:
        if error.errno in _NOT_HERE:
            return False
        raise
    return flags_of(fd) == wanted
