"""Several disks of one machine as one: for a volume group or an array that is spread over them.

``DISK,DISK2`` names them. Each is vetted, locked and shown by itself, for reading only; what lies above their
partitions is looked for in all of them, one behind the other in one file.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.disks import view as views
from core.disks.hold import Hold
from core.disks.model import Disk
from core.disks.view import View
from core.errors import Refused, WrongUsage
from core.i18n import _
from core.text import safe
from core.undo.stack import Stack
from core.volumes import joined

ALIGNED = 1 << 20
"""Bytes: each disk begins at a multiple of it, and what is between reads as zeros."""


def named(given: str) -> list[str]:
    """The disks that a text names; one that exists as it stands is one disk, commas or not."""
    if "," not in given or os.path.lexists(given) or "://" in given:
        return [given]
    names = given.split(",")
    if not all(names) or len(set(names)) < len(names):
        raise WrongUsage(
            _("{text} does not name different disks, with commas between them.").format(text=safe(given))
        )
    return names


@dataclass(frozen=True, slots=True)
class Placed:
    """One of several disks: its own bytes, and where they begin in those of all."""

    view: View
    start: int
    sector_size: int


@dataclass(slots=True)
class Beside:
    """The disks beside the first one."""

    disks: Sequence[Disk]
    holds: Sequence[Hold]

    def require_reading(self) -> None:
        """Raise Refused where several disks would be written to."""
        if self.disks:
            raise Refused(
                _("Several disks at once are opened for reading only."),
                _("Nothing was attached."),
                _("Open one of them by itself, or read without an overlay."),
            )

    def show(
        self, stack: Stack, first: View, disk: Disk, folder: Path, *, tie: bool
    ) -> tuple[View, list[Placed]]:
        """Show all disks as one file; each with its place in that, the first one too."""
        placed = [Placed(first, 0, disk.sector_size)]
        for number, (other, hold) in enumerate(zip(self.disks, self.holds, strict=True), start=2):
            other.require_openable()
            if other.wants_front:
                raise Refused(
                    _("{path} is encrypted by QEMU, and can only be given as the first disk.").format(
                        path=safe(other.path)
                    )
                )
            own = folder / f"disk{number}"
            stack.runner.run(views.folder(own))
            shown = views.show(
                stack,
                other,
                own,
                hold.take(other),
                tie=tie,
                over=None,
                size=other.virtual_size,
                writable=False,
            )
            last = placed[-1]
            start = -(-(last.start + last.view.size) // ALIGNED) * ALIGNED
            placed.append(Placed(shown, start, other.sector_size))
        pieces = [joined.Piece(one.view.path, 0, one.view.size, one.start) for one in placed]
        on = tuple(path for one in placed for path in one.view.on)
        return joined.show(stack, pieces, folder, _("all disks"), on=on, tie=tie), placed

    def end(self) -> None:
        """Let go of the disks."""
        for hold in self.holds:
            hold.end()


def chosen(disks: Sequence[Disk], hold: Callable[[], Hold]) -> Beside:
    """The disks that were vetted, each with everybody who holds it."""
    holds = [hold() for _disk in disks]
    return Beside([one.look(disk) for one, disk in zip(holds, disks, strict=True)], holds)
