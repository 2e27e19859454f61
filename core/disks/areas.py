"""What of a medium could not be read yet, in the words of GNU ddrescue.

The file format is that of its manual, "Mapfile structure", so `ddrescue` can go on where we ended.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from core import __version__

Status = Literal["?", "*", "-"]
SKIPPED: Status = "?"
"""Passed by after an error; not tried."""
UNTRIMMED: Status = "*"
"""A piece in which something could not be read."""
_STATUSES = frozenset("?*/-+")
BAD: Status = "-"
"""Tried by itself, and not read."""


@dataclass(frozen=True, slots=True)
class Area:
    """Bytes from `start` to `end`, the end not included."""

    start: int
    end: int
    status: Status


class Areas:
    """The areas that were not read, in order, none overlapping; all the rest was."""

    def __init__(self, areas: list[Area] | None = None) -> None:
        self._areas = areas or []

    def __iter__(self) -> Iterator[Area]:
        return iter(tuple(self._areas))

    def __len__(self) -> int:
        return len(self._areas)

    def having(self, status: Status) -> list[Area]:
        return [area for area in self._areas if area.status == status]

    def mark(self, start: int, end: int, status: Status) -> None:
        """Not read, from now on known as `status`."""
        self._cut(start, end)
        self._areas.append(Area(start, end, status))
        self._areas.sort(key=lambda area: area.start)
        joined: list[Area] = []
        for area in self._areas:
            if joined and joined[-1].end == area.start and joined[-1].status == area.status:
                area = Area(joined.pop().start, area.end, area.status)
            joined.append(area)
        self._areas = joined

    def read(self, start: int, end: int) -> None:
        """These bytes were read after all."""
        self._cut(start, end)

    def _cut(self, start: int, end: int) -> None:
        kept: list[Area] = []
        for area in self._areas:
            if area.end <= start or area.start >= end:
                kept.append(area)
                continue
            if area.start < start:
                kept.append(Area(area.start, start, area.status))
            if area.end > end:
                kept.append(Area(end, area.end, area.status))
        self._areas = kept

    def to_list(self) -> list[list[object]]:
        return [[area.start, area.end, area.status] for area in self._areas]


def mapfile(areas: Areas, size: int) -> str:
    """The map as `ddrescue` reads it: position, size and status of every stretch; ``+`` was read."""
    lines = [
        f"# Mapfile. Written by virt-salvage {__version__}",
        "# current_pos  current_status  current_pass",
        "0x00000000     +               1",
        "#      pos        size  status",
    ]
    at = 0
    for area in areas:
        if area.start > at:
            lines.append(_line(at, area.start, "+"))
        lines.append(_line(area.start, area.end, area.status))
        at = area.end
    if at < size:
        lines.append(_line(at, size, "+"))
    return "\n".join(lines) + "\n"


def unread(text: str) -> list[tuple[int, int]]:
    """What a map says was not read: start and end of every stretch, the end not included.

    Raises ValueError for what is no map.
    """
    found: list[tuple[int, int]] = []
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for position, length, status in (line[:3] for line in lines[1:]):
        if status not in _STATUSES:
            raise ValueError(status)
        if status != "+":
            found.append((int(position, 0), int(position, 0) + int(length, 0)))
    return found


def _line(start: int, end: int, status: str) -> str:
    return f"0x{start:08X}  0x{end - start:08X}  {status}"
