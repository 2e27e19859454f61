"""What Windows left behind in a volume that it did not let go of."""

import os
import stat
from pathlib import Path

from core.i18n import _

_ASLEEP = (b"hibr", b"HIBR")
"""How hiberfil.sys begins while a sleeping Windows is in it: ntfs-3g, ntfs_volume_check_hiberfile."""


def hibernation(root: Path) -> str:
    """A sentence if a sleeping Windows is stored in the volume mounted at `root`; else empty."""
    with os.scandir(root) as entries:
        names = [entry.name for entry in entries if entry.name.casefold() == "hiberfil.sys"]
    if not any(_begins(root / name) in _ASLEEP for name in names):
        return ""
    return _(
        "Windows sleeps in this volume (hibernation or fast startup): what it had not written yet is only in"
        " its memory image. The files are shown as they lie on the disk. Never mount it for writing."
    )


def _begins(path: Path) -> bytes:
    """The first four bytes of a file; empty for what is no file or cannot be read."""
    try:
        found = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(found, 4, 0) if stat.S_ISREG(os.fstat(found).st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(found)
