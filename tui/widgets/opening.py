"""What the first screen shows a newcomer: the idea as a picture, and the seven steps of the road."""

from typing import ClassVar

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from core.i18n import N_, _
from tui.widgets.lines import Line, Piece, content_of, left, wrapped
from tui.widgets.rail import STEPS

_DONE_AT = (
    N_("Which one. Its header is read by this program itself, before any other opens it."),
    N_("Who holds it, and where writes go: nowhere, or into an overlay, or a backup comes first."),
    N_("Where each begins: by the disk's own table, or found by a search where that is lost."),
    N_("The file system is mounted, read only or over an overlay, where only this program sees it."),
    N_("Look around, search, mark what you want; what matters most is one key away."),
    N_("Every byte is hashed on its way. What was cut off goes on where it stopped."),
    N_("What was recovered, where it lies, a report; from here everything is taken down."),
)
"""What each step is about."""


def picture() -> str:
    """A dead machine's disk, this program, the files: three boxes with a title each."""
    boxes = (
        (_("dead VM"), "×  " + _("disk")),
        ("virt-salvage", _("look · copy")),
        (_("your files"), "/srv/rescued"),
    )
    rows = ["  "] * 4
    for at, (title, inside) in enumerate(boxes):
        wide = max(cell_len(title), cell_len(inside)) + 2
        last = at + 1 == len(boxes)
        drawn = (
            left(" " * ((wide - cell_len(title) + 2) // 2) + title, wide + 2),
            "┌" + "─" * wide + "┐",
            ("├" if at else "│") + f" {left(inside, wide - 1)}" + ("│" if last else "├"),
            "└" + "─" * wide + "┘",
        )
        gaps = ("", "", "", "") if last else ("    ", "    ", "───→", "    ")
        rows = [row + part + gap for row, part, gap in zip(rows, drawn, gaps, strict=True)]
    return "\n".join(row.replace("→├", "→│").rstrip() for row in rows) + "\n"


class Road(Static):
    """The seven steps, each with what happens there; for a screen with room to spare."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"road--title", "road--step", "road--number"}
    DEFAULT_CSS = """
    Road { height: auto; padding: 0 1; margin-bottom: 1; display: none; }
    Road > .road--title { text-style: bold; color: $text-accent; }
    Road > .road--step { text-style: bold; }
    Road > .road--number { color: $text-muted; }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)

    def render(self) -> Content:
        """The steps for the room at hand."""
        return content_of(self, drawn(self.content_region.width or self.app.size.width))


def drawn(width: int) -> list[Line]:
    """The seven steps in at most `width` columns."""
    names = [_(step) for step in STEPS]
    column = max(map(cell_len, names)) + 3
    lines: list[Line] = [(Piece(_("The road, in seven steps"), "road--title"),), ()]
    for number, (name, does) in enumerate(zip(names, _DONE_AT, strict=True), start=1):
        first, *more = wrapped(_(does), max(20, width - column - 4))
        lines.append(
            (Piece(f" {number}  ", "road--number"), Piece(left(name, column), "road--step"), Piece(first))
        )
        lines += [(Piece(" " * (column + 4) + line),) for line in more]
    return lines
