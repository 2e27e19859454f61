"""An array with parity, put together by a daemon of this program, which reckons what is lost from the rest.

dm-raid is not asked: when what its legs lie on goes away, Linux 6.1 never ends some of the reads
(drivers/md/raid5.c), and the mount above waits until the host is restarted. Here every read ends.
"""

import errno
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from core import child
from core.command import SERVING, Command
from core.disks.export import MALLOC
from core.disks.view import View
from core.i18n import _
from core.text import safe
from core.undo.daemons import serve, tied
from core.undo.stack import Stack
from core.volumes import joined
from core.volumes.md.contents import Contents, WritableContents
from core.volumes.md.model import Array
from core.volumes.md.superblock import Member


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
    """The bytes of an array as `core.disks.serving` serves them."""

    def __init__(self, size: int, contents: Contents) -> None:
        self.size, self._contents = size, contents

    def read(self, start: int, end: int) -> bytes:
        """The bytes between two places; raises OSError where some cannot be read or reckoned."""
        data = self._contents.read(start, end - start)
        if len(data) < end - start:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return data


class WritableReckoned(Reckoned):
    """The same for an array that lies on an overlay."""

    def __init__(self, array: Array, file: WritableFile) -> None:
        contents = WritableContents(array, file)
        super().__init__(array.size, contents)
        self.write, self.flush = contents.write, file.flush


def from_description(told: Mapping[str, Any]) -> Reckoned:
    """The array that `show` described."""
    members = tuple(Member(**one) if one else None for one in told["members"])
    array = Array("", "", told["level"], told["layout"], told["chunk"], members, told["size"])
    path = Path(told["path"])
    if told["writable"]:
        return WritableReckoned(array, WritableFile(path))
    return Reckoned(array.size, Contents(array, File(path)))


def show(stack: Stack, view: View, array: Array, begin: int, folder: Path, title: str, *, tie: bool) -> View:
    """Show an array with parity as a file; its members lie in `view` behind byte `begin`.

    What is written to the file lands in `view`, where that can be written to. `folder` is the session's own;
    with `tie` the daemons die with this program.
    """
    members = [one and asdict(replace(one, offset=one.offset + begin)) for one in array.members]
    told = {"level": array.level, "layout": array.layout, "chunk": array.chunk, "size": array.size}
    lies = {"members": members, "path": str(view.path), "writable": view.writable}
    described = json.dumps({"array": {**told, **lies}})
    place = folder / f"r{stack.number}.nbd"
    known = place.with_suffix(".pid")
    argv = child.argv(SERVING, f"--socket={place}", f"--pid-file={known}", described)
    why = _("Put the array {name} together, without resynchronising it.").format(name=safe(array.name))
    if array.lost:
        why = _("Put the array together, and reckon what was on the lost member from the others.")
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
    on = (str(place),)
    return joined.export(stack, node, path, array.size, title, on=on, tie=tie, writable=view.writable)
