"""A RAID with parity, put together by a daemon of this program, which reckons what is lost from the rest.

The kernel (md, dm-raid) is not asked: when what the legs lie on goes away, Linux 6.1 never ends some of the
reads (drivers/md/raid5.c), and the mount above waits until the host is restarted. Here every read ends.
"""

import errno
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core import child
from core.command import SERVING, Command
from core.disks.export import MALLOC
from core.disks.view import View
from core.i18n import _
from core.undo.daemons import serve, tied
from core.undo.stack import Stack
from core.volumes import joined
from core.volumes.parity.contents import Contents, WritableContents
from core.volumes.parity.model import Raid


class File:
    """Bytes of a file, for several threads at once."""

    def __init__(self, path: Path, flags: int = os.O_RDONLY) -> None:
        self._fd = os.open(path, flags | os.O_CLOEXEC)

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`; raises OSError where the medium fails."""
        return os.pread(self._fd, length, offset)


class WritableFile(File):
    """The same for one that can be written to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, os.O_RDWR)

    def write(self, offset: int, data: bytes) -> None:
        """Write all of `data` at `offset`; raises OSError where that fails."""
        view = memoryview(data)
        while view:
            count = os.pwrite(self._fd, view, offset)
            view, offset = view[count:], offset + count

    def flush(self) -> None:
        """Bring all that was written to the medium; raises OSError where that fails."""
        os.fsync(self._fd)


class Reckoned:
    """The bytes of a RAID as `core.disks.serving` serves them, `margin` bytes of zeros on either side."""

    def __init__(self, raid: Raid, contents: Contents, margin: int) -> None:
        self.size = raid.size + 2 * margin
        self._raid, self._contents, self._margin = raid, contents, margin

    def read(self, start: int, end: int) -> bytes:
        """The bytes between two places; raises OSError where some cannot be read or reckoned."""
        begin, close = self._inside(start), self._inside(end)
        data = self._contents.read(begin, close - begin)
        if len(data) < close - begin:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        before = max(0, min(end, self._margin) - start)
        return data.rjust(before + len(data), b"\0").ljust(end - start, b"\0")

    def _inside(self, place: int) -> int:
        """A place as the RAID counts it; what lies in the zeros comes to its start or end."""
        return min(max(0, place - self._margin), self._raid.size)


class WritableReckoned(Reckoned):
    """The same for a RAID that lies on an overlay."""

    def __init__(self, raid: Raid, file: WritableFile, margin: int) -> None:
        contents = WritableContents(raid, file)
        super().__init__(raid, contents, margin)
        self._target, self.flush = contents, file.flush

    def write(self, start: int, data: bytes) -> None:
        """Write all of the data; raises OSError where that fails, and in the zeros."""
        begin, end = self._inside(start), self._inside(start + len(data))
        if end - begin < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._target.write(begin, data)


def description(raid: Raid, view: View, margin: int = 0) -> dict[str, Any]:
    """What the daemon has to know of a RAID in `view`, for JSON."""
    return {**asdict(raid), "path": str(view.path), "writable": view.writable, "margin": margin}


def from_description(told: Mapping[str, Any]) -> Reckoned:
    """The RAID that `description` described."""
    legs = tuple(None if leg is None else tuple((at, size) for at, size in leg) for leg in told["legs"])
    raid, margin = Raid(told["kind"], told["chunk"], legs, told["size"]), told["margin"]
    path = Path(told["path"])
    if told["writable"]:
        return WritableReckoned(raid, WritableFile(path), margin)
    return Reckoned(raid, Contents(raid, File(path)), margin)


def show(
    stack: Stack,
    view: View,
    raid: Raid,
    folder: Path,
    title: str,
    why: str,
    *,
    tie: bool,
    margin: int = 0,
) -> View:
    """Show a RAID that lies in `view` as a file, with `margin` bytes of zeros before and behind it.

    What is written to the file lands in `view`, where that can be written to. `folder` is the session's own;
    with `tie` the daemons die with this program. `why` is said of it where none of its legs is lost.
    """
    place = folder / f"r{stack.number}.nbd"
    known = place.with_suffix(".pid")
    described = json.dumps({"raid": description(raid, view, margin)})
    argv = child.argv(SERVING, f"--socket={place}", f"--pid-file={known}", described)
    if None in raid.legs:
        why = _("Put the RAID together, and reckon what was on its lost members from the others.")
    command = Command(
        tied(argv, tie),
        why=why,
        effect=_("a daemon that serves the disk over a socket in the state folder"),
        captures="SERVER",
        background=True,
        environment=(*MALLOC, *child.environment()),
        limits=None,
    )
    serve(
        stack,
        "nbd",
        command,
        place,
        place.with_suffix(".log"),
        argument=f"--socket={place}",
        on=view.on,
        ends_with="kill",
        pass_fds=() if view.descriptor is None else (view.descriptor,),
        ready=known,
    )
    path = folder / f"joined-{stack.number}.raw"
    stack.runner.run(
        Command(("touch", str(path)), _("Make the place where it will appear."), _("an empty file"))
    )
    read_only = {"read-only": not view.writable}
    server = {"type": "unix", "path": str(place)}
    node = {
        "node-name": "volume",
        "driver": "raw",
        **read_only,
        "file": {"driver": "nbd", **read_only, "server": server},
    }
    on, size = (str(place),), raid.size + 2 * margin
    return joined.export(stack, node, path, size, title, on=on, tie=tie, writable=view.writable)
