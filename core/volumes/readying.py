"""Bringing the file system on a device into a state before it is looked at: its journal, its damage.

The device writes into an overlay, so the disk stays as it is whatever comes of it.
"""

from pathlib import Path

from core.errors import Cancelled, SalvageError
from core.i18n import sentences
from core.undo.stack import Stack
from core.volumes import checkers
from core.volumes.filesystems import known, reader
from core.volumes.loop import Device
from core.volumes.model import Volume
from core.volumes.mounting import by_kernel, make_point
from core.volumes.state import State


def ready(stack: Stack, volume: Volume, device: Device, point: Path, *, private: bool, state: State) -> str:
    """Carry out the journal of the volume, and repair it where `state` says so; what that cost, often empty.

    The kernel carries the journal out by mounting it at `point` for a moment: nobody else can for XFS, and
    a repair without it loses more. Raises SalvageError.
    """
    system = known(volume.content, volume.title)
    if system.replayed is not None and reader(system) == "kernel":
        try:
            _replay(stack, volume, device, point, private=private)
        except Cancelled:
            raise
        except SalvageError:
            if state is not State.REPAIRED:
                raise  # a repair is for what cannot be mounted
    return checkers.repair(stack.runner, volume, device.path) if state is State.REPAIRED else ""


def _replay(stack: Stack, volume: Volume, device: Device, point: Path, *, private: bool) -> None:
    mark = stack.mark()
    make_point(stack, point)
    try:
        by_kernel(stack, volume, device, point, private=private, writable=False, state=State.REPLAYED)
    finally:
        releases = stack.release_to(mark)
    stuck = [release.note for release in releases if not release.released]
    if stuck:
        raise SalvageError(sentences(stuck))
