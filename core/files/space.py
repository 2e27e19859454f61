"""Whether it fits on the target."""

import os
from pathlib import Path

from core.errors import NoSpace, SalvageError
from core.i18n import _
from core.text import safe, size


def free(dest: Path) -> int:
    """Bytes that this user may still write where `dest` is or will be.

    Raises `SalvageError` when that place cannot be asked.
    """
    place = dest.absolute()
    while True:
        try:
            status = os.statvfs(place)
            return status.f_bavail * status.f_frsize
        except FileNotFoundError:
            place = place.parent
        except OSError as error:
            raise SalvageError(
                _("Cannot find out how much room there is at {path}: {reason}.").format(
                    path=safe(dest), reason=safe(os.strerror(error.errno or 0))
                ),
                _("Nothing was written."),
                _("Choose another target."),
            ) from error


def check_space(need: int, dest: Path, apparent: int = 0) -> None:
    """Raise `NoSpace` when `need` bytes do not fit at `dest`, which need not exist yet.

    Where they are fewer than the files are long (`apparent`), that is said: that length was told before.
    """
    room = free(dest)
    if need > room:
        told = _("It does not fit: {need} are to be copied, and {path} has {free} free.")
        if size(need) != size(apparent) and need < apparent:
            told = _(
                "It does not fit: {need} are to be copied, and {path} has {free} free. (The files are"
                " {apparent} long; their holes, and what is there already, need no room.)"
            )
        raise NoSpace(
            told.format(need=size(need), path=safe(dest), free=size(room), apparent=size(apparent)),
            _("Nothing was written."),
            _("Make room there, choose another target, or copy less at a time."),
        )
