"""What a search for lost partitions has found so far."""

from collections.abc import Sequence

from rich.cells import cell_len

from core.i18n import _, sentences
from core.tables.lost.candidate import Candidate
from core.text import grouped, guest_date, safe, size
from tui.widgets.lines import Line, Piece, left, right
from tui.widgets.rows import Rows

_NUMBERS = 2
"""The first columns, which are aligned to the right."""
_GAP = "  "


class FoundTable(Rows):
    """Place, size, content, label and last write of each candidate, in the order of the disk.

    More may come at any place; the cursor stays on the same candidate. That is `current`.
    """

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._found: tuple[Candidate, ...] = ()

    def show(self, found: Sequence[Candidate]) -> None:
        """Show these candidates."""
        before = self.current
        keys = [one.key for one in found]
        self._found = tuple(found)
        self.renew(keys.index(before.key) if before and before.key in keys else 0)

    @property
    def current(self) -> Candidate | None:
        """The candidate under the cursor."""
        return self._found[self.cursor] if self.cursor < len(self._found) else None

    def row_count(self) -> int:
        return len(self._found)

    def empty_text(self) -> str:
        return _("Nothing yet.")

    def heading(self, width: int) -> Line:
        return (Piece(self._columns(_heading(), width)),)

    def row(self, index: int, width: int) -> Line:
        one = self._found[index]
        return (Piece(self._columns(_cells(one), width), "" if one.primary else "rows--muted"),)

    def _columns(self, cells: tuple[str, ...], width: int) -> str:
        rows = [_heading(), *map(_cells, self._found)]
        widths = [max(cell_len(row[column]) for row in rows) for column in range(len(cells))]
        widths[-1] = max(0, width - sum(widths[:-1]) - len(_GAP) * (len(widths) - 1))
        parts = [
            right(text, room) if column < _NUMBERS else left(text, room)
            for column, (text, room) in enumerate(zip(cells, widths, strict=True))
        ]
        return left(_GAP.join(parts), width)


def _heading() -> tuple[str, ...]:
    return _("At byte"), _("Size"), _("Content"), _("Last written"), _("Label")


def _cells(one: Candidate) -> tuple[str, ...]:
    label = safe(one.label or "")
    if not one.primary:
        label = sentences((_("(by a copy)"), label))
    written = guest_date(one.written) if one.written else ""
    least = "≥ " if one.open_ended else ""
    return grouped(one.start), least + size(one.size), safe(one.content), written, label
