"""The machines with their disks, and what else was found, in a table that filters as one types."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from core.disks.finding import Found
from core.i18n import _, listed, ngettext, noted
from core.machines.inventory import Group, Member
from core.text import date, grouped, local_date, safe, size, spelled
from tui.machines import device_told, holders_told, missing_told, origin_told, state_told
from tui.widgets.filtered import FilteredRows
from tui.widgets.lines import Line, Piece, left, middle_cut, right

_FORMAT, _SIZE, _DAY, _TIME, _HELD, _HELD_WIDE = 7, 9, 10, 16, 12, 26
_WIDE = 110
"""Columns from which on there is room for what is used, the time of the last change and whole names."""
_MIDDLE, _NARROW = 70, 50
"""Columns below which format and last change, and who holds it too, are told of the row below only."""


@dataclass(frozen=True, slots=True)
class Owned:
    """A disk of a machine, under the row of its machine."""

    group: Group
    member: Member


Row = Group | Owned | Found


class DiskTable(FilteredRows):
    """Name or path, format, size for the machine, last change, who holds it.

    `/` filters; the letters then go into the filter. A machine stays in sight as long as one of its disks.
    """

    def __init__(self) -> None:
        super().__init__()
        self._all: list[Row] = []
        self._keys: list[str] = []
        """What the filter looks at, row by row."""
        self._shown: list[Row] = []
        self._machines = self._disks = 0
        self.searching = True

    def add(self, found: Sequence[Group | Found]) -> None:
        """Take in what was found since; the cursor stays on its row."""
        rows = [row for one in found for row in _rows(one)]
        keys = [_key(row) for row in rows]
        self._all += rows
        self._keys += keys
        self._machines += sum(isinstance(one, Group) for one in found)
        self._disks += sum(not isinstance(row, Group) for row in rows)
        more = [row for row, key in zip(rows, keys, strict=True) if self.typed.lower() in key]
        self._shown += more
        if more:
            self.renew(self.cursor)
        else:
            self.refresh()

    def ended(self) -> None:
        """The search is over."""
        self.searching = False
        self.refresh()

    @property
    def current(self) -> Row | None:
        """The machine or disk under the cursor."""
        return self._shown[self.cursor] if self._shown else None

    def namesakes(self, name: str) -> int:
        """How many machines are called so."""
        return sum(isinstance(row, Group) and row.machine.name == name for row in self._all)

    def to_disk_of(self, group: Group) -> None:
        """Put the cursor on the first disk of a machine."""
        disks = [at for at, row in enumerate(self._shown) if isinstance(row, Owned) and row.group is group]
        if disks:
            self.cursor = disks[0]

    # -- what Rows draws -------------------------------------------------------------------------

    def renew(self, cursor: int = 0) -> None:
        super().renew(cursor)
        if not self._shown:
            self.post_message(self.Highlighted(self, 0))  # what stood under the cursor is told no more

    def row_count(self) -> int:
        return len(self._shown)

    def empty_text(self) -> str:
        if self.searching:
            return _("Looking for disks...")
        return _("No disk has that name.") if self.typed else _("None found here: type a path above.")

    def heading(self, width: int) -> Line:
        if self.filtering or self.typed:
            found = sum(not isinstance(row, Group) for row in self._shown)
            return self.filter_line(found, self._disks, width)
        return (Piece(_columns(self._count(), _Cells.heading(), width)),)

    def _count(self) -> str:
        more = "..." if self.searching else ""
        if not self._machines:
            return _("Disks found here: {count}").format(count=grouped(self._disks)) + more
        told = _("Machines: {machines}, disks: {disks}")
        return told.format(machines=grouped(self._machines), disks=grouped(self._disks)) + more

    def row(self, index: int, width: int) -> Line:
        one = self._shown[index]
        if isinstance(one, Group):
            return _machine_line(one, width)
        if isinstance(one, Found):
            return _disk_line("", str(one.path), _Cells.of(one, one.format or "?", width), width)
        lead = f"  {safe(one.member.disk.target):<4}  "
        found, disk = one.member.found, one.member.disk
        if found:
            cells = _Cells.of(found, device_told(disk, found.format or "?"), width)
            return _disk_line(lead, str(found.path), cells, width)
        told = lead + missing_told(one.member)
        return (Piece(left(middle_cut(told, width), width), "rows--muted"),)

    def look_for(self, needle: str) -> None:
        self.typed = needle
        wanted, meant = needle.lower(), spelled(needle).lower()
        rows = zip(self._all, self._keys, strict=True)
        self._shown = [row for row, key in rows if wanted in key or meant in key]
        self.renew(0)


def details(row: Row | None, width: int) -> tuple[str, str]:
    """The row in full, in two lines: where it is; what it takes, when it was changed, who holds it."""
    if row is None:
        return "", ""
    if isinstance(row, Group):
        count = ngettext("{count} disk", "{count} disks", len(row.own)).format(count=len(row.own))
        where = listed((origin_told(row.machine), state_told(row.machine)))
        return f"{safe(row.machine.name)}: {where}", count
    found = row if isinstance(row, Found) else row.member.found
    if found is None:
        assert isinstance(row, Owned)
        return middle_cut(missing_told(row.member), width), row.member.disk.problem
    told = []
    if found.kind == "image":
        told.append(_("takes {size}").format(size=size(found.size)))
        told.append(_("changed {date}").format(date=date(found.mtime)))
    else:
        told.append(_("a logical volume") if found.kind == "lv" else _("a block device"))
    for holder in found.held_by:
        mode = {"read": _("reads it"), "write": _("writes to it")}[holder.mode]
        where = _("pid {pid}").format(pid=holder.pid) if holder.pid else safe(holder.through)
        told.append(noted(f"{safe(holder.vm or holder.program)} {mode}", where))
    return middle_cut(safe(found.path), width), _(", ").join(told)


def _rows(one: Group | Found) -> list[Row]:
    return [one, *(Owned(one, member) for member in one.members)] if isinstance(one, Group) else [one]


def _key(row: Row) -> str:
    """A machine is found by its name or any of its disks, a disk by its own or its machine's."""
    if isinstance(row, Found):
        return safe(row.path).lower()
    if isinstance(row, Group):
        return "\n".join(map(_member_key, (Owned(row, member) for member in row.members))) or _name(row)
    return _member_key(row)


def _name(group: Group) -> str:
    return safe(group.machine.name).lower()


def _member_key(one: Owned) -> str:
    place = safe(one.member.found.path) if one.member.found else safe(one.member.disk.place)
    return f"{_name(one.group)}\n{safe(one.member.disk.target)}\n{place}".lower()


# -- columns -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cells:
    """What stands behind the name."""

    format: str
    size: str
    used: str
    changed: str
    held: str
    written: bool = False

    @classmethod
    def heading(cls) -> "_Cells":
        return cls(_("Format"), _("Size"), _("Used"), _("Changed"), _("Held by"))

    @classmethod
    def of(cls, found: Found, format: str, width: int) -> "_Cells":
        changed = local_date(found.mtime) if found.kind == "image" else _("device")
        return cls(
            format,
            size(found.virtual_size) if found.virtual_size is not None else "?",
            size(found.size),
            changed if width >= _WIDE else changed[:_DAY],
            holders_told(found.held_by, short=width < _WIDE),
            any(holder.mode == "write" for holder in found.held_by),
        )

    def texts(self, width: int) -> tuple[str, str]:
        """Those that every row has, and who holds it; for a name of some length, fewer on a narrow screen."""
        if width < _MIDDLE:
            return right(self.size, _SIZE), left(self.held, _HELD) if width >= _NARROW else ""
        parts = [" " + left(self.format, _FORMAT), right(self.size, _SIZE)]
        if width >= _WIDE:
            parts.append(right(self.used, _SIZE))
        parts.append(" " + left(self.changed, _TIME if width >= _WIDE else _DAY))
        return " ".join(parts), left(self.held, _HELD_WIDE if width >= _WIDE else _HELD)


def _room(width: int) -> int:
    """Columns for the name."""
    known, held = _Cells("", "", "", "", "").texts(width)
    return max(10, width - cell_len(known) - cell_len(held) - 3)


def _columns(name: str, cells: _Cells, width: int) -> str:
    room = _room(width)
    return " ".join((left(middle_cut(name, room), room), *cells.texts(width)))


def _disk_line(lead: str, path: str, cells: _Cells, width: int) -> Line:
    room = _room(width) - cell_len(lead)
    known, held = cells.texts(width)
    name = lead + left(middle_cut(safe(path), room), room)
    return (Piece(f"{name} {known} "), Piece(held, "rows--bad" if cells.written else ""))


def _machine_line(group: Group, width: int) -> Line:
    none = "" if group.members else _("no disk")
    told = listed((origin_told(group.machine), state_told(group.machine), none))
    name = middle_cut(safe(group.machine.name), max(10, width - cell_len(told) - 2))
    rest = left("  " + told, max(0, width - cell_len(name)))
    return (Piece(name, "rows--mark"), Piece(rest, "rows--muted"))
