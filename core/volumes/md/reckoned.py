"""An array that lost a member, put together by a daemon of this program, which reckons what was on it.

For what dm-raid cannot do: the parity of md's own RAID6 layouts, and hosts without the device mapper. One
lost member is reckoned from the first parity; the second one would be wanted for two.
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
from core.disks.view import View
from core.errors import Refused
from core.i18n import _
from core.undo.daemons import serve, tied
from core.undo.stack import Stack
from core.volumes import joined
from core.volumes.md.model import Array, Contents
from core.volumes.md.superblock import Member


class File:
    """Bytes of a file, for several threads at once."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`; raises OSError where the medium fails."""
        return os.pread(self._fd, length, offset)


class Reckoned:
    """The bytes of an array as `core.disks.serving` serves them."""

    def __init__(self, array: Array, source: File) -> None:
        self.size = array.size
        self._contents = Contents(array, source)

    def read(self, start: int, end: int) -> bytes:
        """The bytes between two places; raises OSError where some cannot be read or reckoned."""
        data = self._contents.read(start, end - start)
        if len(data) < end - start:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return data


def from_description(told: Mapping[str, Any]) -> Reckoned:
    """The array that `show` described."""
    members = tuple(Member(**one) if one else None for one in told["members"])
    array = Array("", "", told["level"], told["layout"], told["chunk"], members, told["size"])
    return Reckoned(array, File(Path(told["path"])))


def show(stack: Stack, view: View, array: Array, begin: int, folder: Path, title: str, *, tie: bool) -> View:
    """Show an array one of whose members is lost as a file; its members lie in `view` behind byte `begin`.

    `folder` is the session's own; with `tie` the daemons die with this program. Raises `Refused` where two
    members are lost.
    """
    if len(array.members) - len(array.there) > 1:
        raise Refused(
            _("Two members of this RAID6 are lost, and what was on both is not reckoned here."),
            _("The disk is untouched."),
            _("Give the missing disk too, as DISK,DISK2, or assemble copies of the disks with mdadm."),
        )
    members = [one and asdict(replace(one, offset=one.offset + begin)) for one in array.members]
    told = {"level": array.level, "layout": array.layout, "chunk": array.chunk, "size": array.size}
    described = json.dumps({"array": {**told, "members": members, "path": str(view.path)}})
    place, path = folder / f"r{stack.number}.nbd", folder / f"joined-{stack.number}.raw"
    known = place.with_suffix(".pid")
    argv = child.argv(SERVING, f"--socket={place}", f"--pid-file={known}", described)
    command = Command(
        tied(argv, tie),
        why=_("Put the array together, and reckon what was on the lost member from the others."),
        effect=_("a daemon that serves the disk over a socket in the state folder"),
        captures="SERVER",
        background=True,
        environment=child.environment(),
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
    stack.runner.run(
        Command(("touch", str(path)), _("Make the place where it will appear."), _("an empty file"))
    )
    node = {
        "node-name": "volume",
        "driver": "raw",
        "read-only": True,
        "file": {"driver": "nbd", "read-only": True, "server": {"type": "unix", "path": str(place)}},
    }
    return joined.export(stack, node, path, array.size, title, on=(str(place),), tie=tie)
