"""A disk image that is a file of a mounted volume: a virtual machine's disk in another machine's disk.

Absolute names in it, and absolute links on the way to it, are those of the machine that it lay on. Taken
as names of this host they would show other files, or this host's own under the same name.
"""

import os
from pathlib import Path, PurePosixPath

from core import mounts
from core.errors import Refused
from core.i18n import _
from core.text import safe
from core.undo.mappings import PREFIX

_GUARDS = frozenset({"nosuid", "nodev", "noexec"})
"""What every volume is mounted with, see `core.volumes.mounting`."""
_SOURCES = ("/dev/loop", "/dev/nbd", "/dev/mapper/loop", "/dev/mapper/" + PREFIX, "/dev/dm-")
"""What it is mounted from; a hardened host's own /tmp has the same options, but mostly not these."""


def volume_around(path: Path) -> Path | None:
    """Where the volume is mounted that a path lies in; None for the host's own file systems."""
    over = [one for one in mounts.mounts() if path.is_relative_to(one.point) and one.point != str(path)]
    if not over:
        return None
    nearest = max(over, key=lambda one: (len(one.point), one.id))
    options = set(nearest.options.split(","))
    ours = nearest.point != "/" and options >= _GUARDS and nearest.source.startswith(_SOURCES)
    return Path(nearest.point) if ours else None


def as_meant_there(image: Path, name: str) -> Path | None:
    """The file in the volume around `image` that an absolute name in its header means; None if none is there.

    The volume may be mounted deeper in the machine, as /var is: then the name is longer than its path here.
    Never a file that a link leads out of the volume to.
    """
    if not name.startswith("/") or not (root := volume_around(image)):
        return None
    parts = PurePosixPath(os.path.normpath(name)).parts[1:]
    for skipped in range(len(parts)):
        place = root.joinpath(*parts[skipped:])
        if place.is_file() and place.resolve().is_relative_to(root):
            return place.resolve()
    return None


def require_inside(given: Path, reached: Path) -> None:
    """Raise Refused where links in a mounted volume lead from `given` to a file outside of it."""
    root = volume_around(given)
    if root and not reached.is_relative_to(root.resolve()):
        raise Refused(
            _("{path} is a link of the mounted volume, and here it leads out of it, to {reached}.").format(
                path=safe(given), reached=safe(reached)
            ),
            _("That is a file of this host and not of the volume. Nothing was opened."),
            _("Give the path below {root} where the file itself lies.").format(root=safe(root)),
        )
