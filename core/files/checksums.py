"""The checksums of files that another program copies."""

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from core.cancel import CancelToken
from core.files.content import CHUNK, Content, digest
from core.files.landing import told
from core.files.manifest import LONGEST, line
from core.files.outcome import Unreadable
from core.files.progress import Listener, Meter
from core.files.sources import Road
from core.files.tree import OPEN_FILE, GuestTree
from core.files.unread import reason
from core.files.walk import Step, walking


@dataclass(slots=True)
class Summed:
    """What was met. `size` in bytes."""

    files: int = 0
    directories: int = 0
    symlinks: int = 0
    others: int = 0
    size: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)

    def failed(self, path: bytes, error: str) -> None:
        self.unreadable.append(Unreadable(path, error))


def checksums(
    tree: GuestTree, roads: Sequence[Road], manifest: Path, cancel: CancelToken, progress: Listener
) -> Summed:
    """Write the checksums of all files of the sources to `manifest`. Raises OSError of it, `Cancelled`."""
    summed, meter = Summed(), Meter(progress)
    buffer = memoryview(bytearray(CHUNK))
    with open(manifest, "wb", buffering=1 << 20) as sink:

        def tick(count: int) -> None:
            cancel.check()
            meter.add(count)

        def one(parent: int, name: bytes, path: bytes, there: bytes) -> None:
            _sum(parent, name, path, there, summed, buffer, sink, tick, meter)

        above: set[tuple[bytes, ...]] = set()
        for road in roads:
            place = road.place
            above |= {road.above[:depth] for depth in range(1, len(road.above) + 1)}
            if place.kind != "dir":
                one(place.parent, place.name, place.path, road.there or place.name)
                continue
            start = road.there + b"/" if road.there else b""
            base = len(place.path.rstrip(b"/")) + 1
            summed.directories += road.name is not None
            with walking(place, summed.failed) as walk:
                if walk is None:
                    continue
                for step, name, _status in walk.steps():
                    cancel.check()
                    if step is Step.ENTER:
                        summed.directories += 1
                    elif step is not Step.LEAVE:
                        path = walk.prefix + name
                        one(walk.trail.fd, name, path, start + path[base:])
    summed.directories += len(above)
    meter.finish()
    return summed


def _sum(
    parent: int,
    name: bytes,
    path: bytes,
    there: bytes,
    summed: Summed,
    buffer: memoryview,
    sink: IO[bytes],
    tick: Callable[[int], None],
    meter: Meter,
) -> None:
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            summed.symlinks += stat.S_ISLNK(status.st_mode)
            summed.others += not stat.S_ISLNK(status.st_mode)
            return
        meter.begin(path, status.st_size)
        fd = os.open(name, OPEN_FILE, dir_fd=parent)
    except OSError as error:
        summed.failed(path, reason(error))
        return
    try:
        content = Content.of(fd, status, buffer)
        checksum = digest(content, tick)
    finally:
        os.close(fd)
    summed.files += 1
    summed.size += status.st_size
    if content.gaps:
        summed.failed(path, told(content.gaps, status.st_size))
    elif len(there) <= LONGEST:
        sink.write(line(there, checksum))
    meter.end()
