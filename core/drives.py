"""Drives whose medium can be taken out: CDs, floppies, card readers.

Opened with O_NONBLOCK the kernel does not look what is in a drive: an empty one opens and fails at the first
read, and a floppy fails there too, because its kind was never asked for. Opened without, it looks, but draws
an open tray of a CD drive in. So such a drive is asked first: Documentation/userspace-api/ioctl/cdrom.rst.
"""

import errno
import fcntl
import os
from pathlib import Path

from core.errors import SalvageError
from core.i18n import _
from core.text import safe

_DRIVE_STATUS = 0x5326
_PRESENT_DISC = 0x7FFFFFFF
_EMPTY = (1, 2)
"""CDS_NO_DISC and CDS_TRAY_OPEN of linux/cdrom.h."""
_FLOPPY = 2
"""The major number of floppy drives; theirs says ENXIO where it is empty."""


class NoMedium(SalvageError):
    """Nothing lies in the drive."""


def with_medium(fd: int, path: Path) -> int:
    """A block device that was opened with O_NONBLOCK, opened once more with its medium looked at.

    Closes `fd`. Raises NoMedium, and OSError for what else fails.
    """
    try:
        if _status(fd) in _EMPTY:
            raise _no_medium(path)
        flags = fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_NONBLOCK
        return os.open(f"/proc/self/fd/{fd}", flags | os.O_CLOEXEC)
    except OSError as error:
        floppy = os.major(os.fstat(fd).st_rdev) == _FLOPPY
        if error.errno == errno.ENOMEDIUM or (floppy and error.errno == errno.ENXIO):
            raise _no_medium(path) from error
        raise
    finally:
        os.close(fd)


def _status(fd: int) -> int:
    """What a CD drive says of itself; 0, which is no information, from everything else."""
    try:
        return fcntl.ioctl(fd, _DRIVE_STATUS, _PRESENT_DISC)
    except OSError:
        return 0


def _no_medium(path: Path) -> NoMedium:
    return NoMedium(
        _("There is no medium in the drive {path}.").format(path=safe(path)),
        _("Nothing was read or changed."),
        _("Put it in, and open the drive again."),
    )
