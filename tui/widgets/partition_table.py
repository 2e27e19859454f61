"""The partitions of a disk as a table to choose from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len
from textual.message import Message

from core.i18n import _, bracketed
from core.tables.model import Partition, PartitionTable
from core.text import grouped, safe, size
from core.volumes.model import Inspection, Volume
from core.volumes.searched import Searched
from tui.widgets.lines import Line, Piece, left, right
from tui.widgets.rows import Rows

_GAP = "  "
"""Between numbers, which have blanks in them, and want more than one to be told apart."""
_ROOMY = 90
"""Columns from which on texts have such gaps too."""
_NARROW = 56
"""Columns below which there are no sectors and no type: the sum above the table has those of the row."""


@dataclass(frozen=True, slots=True)
class VolumeRow:
    """One line: a partition, the volume that it is, or a volume that is no partition."""

    partition: Partition | None
    volume: Volume | None
    branch: str = ""
    """How a logical partition hangs below its extended one."""
    refused: str = ""
    """Why it cannot be chosen; empty if it can."""


class Cells(NamedTuple):
    """The texts of one row."""

    number: str
    start: str
    end: str
    size: str
    type: str
    content: str
    label: str
    name: str = ""
    """Of what lies above a partition, in the place of the first three."""
    refused: str = ""
    """Why it cannot be opened, in the place of content and label where there is neither."""


class VolumeTable(Rows):
    """Number, first and last sector, size, type, content and label of each partition.

    Every row can be highlighted, so that one can learn about it; choosing one that cannot be opened
    posts `Refused` with the reason. What `Rows.Highlighted` and `Rows.Chosen` speak of is `current`.
    """

    class Refused(Message):
        """Enter was pressed on a row that cannot be chosen."""

        def __init__(self, table: "VolumeTable", row: VolumeRow) -> None:
            super().__init__()
            self.table = table
            self.row = row

        @property
        def control(self) -> "VolumeTable":
            return self.table

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._rows: tuple[VolumeRow, ...] = ()
        self._cells: tuple[Cells, ...] = ()

    def show(self, inspection: Inspection, refused: Mapping[str, str] | None = None) -> None:
        """Show the table; `refused` has a sentence for each volume id that cannot be chosen."""
        self._rows = rows_of(inspection, refused or {})
        self._cells = tuple(_cells(row, inspection.table) for row in self._rows)
        usable = (index for index, row in enumerate(self._rows) if not row.refused)
        self.renew(next(usable, 0))

    @property
    def current(self) -> VolumeRow | None:
        """The row under the cursor."""
        return self._rows[self.cursor] if self._rows else None

    def go_to(self, volume: str) -> None:
        """Move the cursor to the row of the volume of that id."""
        for index, row in enumerate(self._rows):
            if row.volume and row.volume.id == volume:
                self.cursor = index

    def row_count(self) -> int:
        return len(self._rows)

    def empty_text(self) -> str:
        return _("There is nothing on this disk that can be opened.")

    def heading(self, width: int) -> Line:
        return (Piece(_columns(_heading(), _layout(self._cells, width), width)),)

    def row(self, index: int, width: int) -> Line:
        text = _columns(self._cells[index], _layout(self._cells, width), width)
        return (Piece(text, "rows--muted" if self._rows[index].refused else ""),)

    def action_choose(self) -> None:
        row = self.current
        if row and row.refused:
            self.post_message(self.Refused(self, row))
        elif row:
            super().action_choose()


def rows_of(inspection: Inspection, refused: Mapping[str, str]) -> tuple[VolumeRow, ...]:
    """The rows in the order of the disk's sectors; volumes that are no partition come last."""
    volumes = {volume.id: volume for volume in inspection.volumes}
    parts = sorted(inspection.table.partitions, key=lambda part: (part.start, part.kind != "extended"))
    rows = []
    for index, part in enumerate(parts):
        volume = volumes.pop(str(part.number), None)
        more = any(later.kind == "logical" for later in parts[index + 1 :])
        branch = ("├ " if more else "└ ") if part.kind == "logical" else ""
        reason = refused.get(str(part.number), "" if volume else _("holds logical ones"))
        rows.append(VolumeRow(part, volume, branch, reason))
        rows += _inside(str(part.number), volumes, refused, 0)
    for whole in [one for one in volumes.values() if not one.inside]:
        rows.append(VolumeRow(None, volumes.pop(whole.id), refused=refused.get(whole.id, "")))
        rows += _inside(whole.id, volumes, refused, 0)
    aside = [one.volume for one in inspection.aside] if isinstance(inspection, Searched) else []
    others = [*volumes.values(), *aside]
    rows += [VolumeRow(None, volume, refused=refused.get(volume.id, "")) for volume in others]
    return tuple(rows)


def _inside(name: str, volumes: dict[str, Volume], refused: Mapping[str, str], depth: int) -> list[VolumeRow]:
    """The rows of what lies in a volume, each followed by what lies in it in turn; taken out of `volumes`."""
    rows = []
    own = [volumes.pop(one.id) for one in list(volumes.values()) if one.inside == name]
    for at, one in enumerate(own):
        branch = "  " * depth + ("└" if at == len(own) - 1 else "├") + " "
        rows.append(VolumeRow(None, one, branch, refused.get(one.id, "")))
        rows += _inside(one.id, volumes, refused, depth + 1)
    return rows


def lines_of(inspection: Inspection, refused: Mapping[str, str], width: int) -> list[str]:
    """Heading and rows as they read in `width` columns."""
    cells = [_cells(row, inspection.table) for row in rows_of(inspection, refused)]
    layout = _layout(cells, width)
    return [_columns(one, layout, width) for one in [_heading(), *cells]]


def _heading() -> Cells:
    return Cells(_("No."), _("Start"), _("End"), _("Size"), _("Type"), _("Content"), _("Label"))


def _cells(row: VolumeRow, table: PartitionTable) -> Cells:
    volume, part = row.volume, row.partition
    content = safe(volume.content or "-") if volume else ""
    label = safe((volume and volume.label) or (part and part.name) or "")
    refused = bracketed(row.refused) if row.refused else ""
    if refused:
        content, label = ("", "") if content in ("", "-") else (content, refused)
    if part:
        boot = " *" if part.bootable else ""
        return Cells(
            row.branch + str(part.number),
            grouped(part.start),
            grouped(part.end),
            size(part.size) if part.size >= 0 else "?",
            safe(_(part.type_name) if part.type_name else part.type) + boot,
            content,
            label,
            refused=refused,
        )
    assert volume
    if volume.inside:
        kinds = {"lv": _("logical volume"), "luks": _("encrypted"), "md": _("array")}
        locked = _("locked") if volume.locked else "?" if volume.seen_when_opened else content
        if refused and (volume.locked or volume.seen_when_opened):  # neither a key nor putting it up opens it
            locked = ""
        name = row.branch + safe(volume.id)
        return Cells("", "", "", volume.size_told, kinds.get(volume.kind, ""), locked, label, name, refused)
    ends, kind = ("", ""), safe(volume.kind)
    if volume.of_another_disk:
        kind = _("on disk {disk}").format(disk=volume.id.partition(":")[0])
    elif volume.kind == "disk":
        ends, kind = ("0", grouped(max(0, table.sectors - 1))), _("whole disk")
    elif volume.kind == "partition":  # one that is in no table
        last = (volume.offset + volume.size) // table.sector_size - 1
        ends, kind = (grouped(volume.offset // table.sector_size), grouped(last)), _("set aside")
    return Cells(safe(volume.id), *ends, size(volume.size), kind, content, label, refused=refused)


class _Layout(NamedTuple):
    """How wide the seven columns are, and what stands between them."""

    widths: tuple[int, ...]
    gaps: tuple[str, ...]


def _layout(rows: Sequence[Cells], width: int) -> _Layout:
    """Numbers get what they need; type, content and label share what is left, closer where that is little."""
    needed = [max(cell_len(row[column]) for row in [_heading(), *rows]) for column in range(7)]
    if width < _NARROW:
        number = min(16, max(needed[0], *(cell_len(row.name) for row in [_heading(), *rows])))
        left_over = max(0, width - number - needed[3] - 2 * len(_GAP) - 1)
        content = min(left_over, max(needed[5], 7))
        widths = (number, 0, 0, needed[3], 0, content, left_over - content)
        return _Layout(widths, ("", "", _GAP, _GAP, "", " "))
    numbers = [min(needed[0], 9), *(min(need, 17) for need in needed[1:4])]
    close = sum(numbers) + sum(needed[4:]) + 6 * len(_GAP) > width and width < _ROOMY
    gaps = (*[_GAP] * 4, *[" " if close else _GAP] * 2)
    left_over = max(0, width - sum(numbers) - sum(map(len, gaps)))
    content = min(needed[5], max(7, left_over * 2 // 5))
    label = min(needed[6], left_over * 2 // 5)
    kind = min(needed[4], max(8, left_over - content - label))
    label = max(0, left_over - kind - content)
    return _Layout((*numbers, kind, content, label), gaps)


def _columns(cells: Cells, layout: _Layout, width: int) -> str:
    widths, gaps = layout
    parts = [
        right(text, room) if column < 4 else left(text, room)
        for column, (text, room) in enumerate(zip(cells[:7], widths, strict=True))
    ]
    if cells.name:
        parts[:3] = ["", "", left(cells.name, sum(widths[:3]) + len(gaps[0] + gaps[1]))]
        gaps = ("", "", *gaps[2:])
    if cells.refused and not cells.content:
        parts[5:] = [left(cells.refused, widths[5] + len(gaps[5]) + widths[6])]
        gaps = gaps[:5]
    text = "".join(part + gap for part, gap in zip(parts, (*gaps, ""), strict=True))
    return left(text, width)
