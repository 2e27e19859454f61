"""What is up on the host now, the last on top."""

import time
from collections.abc import Sequence

from core.i18n import _, again
from core.text import date, safe
from core.undo.account import Entry
from tui.widgets.lines import Line, Piece, wrapped
from tui.widgets.pager import Pager
from tui.widgets.shell_text import shell_lines

_INDENT = "     "


class StackList(Pager):
    """The undo stack: number, what it is, where, since when, and the commands that take it down."""

    def show(self, entries: Sequence[Entry]) -> None:
        """Show what may still stand among `entries`, given in the order in which it was put up."""
        self.show_groups([("", tuple(reversed(entries)))])

    def show_groups(self, groups: Sequence[tuple[str, Sequence[Entry]]]) -> None:
        """Show what may still stand of several sessions, each with its heading, in the order given."""
        standing = [(head, [entry for entry in entries if entry.stands]) for head, entries in groups]
        self.draw_with(lambda width: _drawn_groups(standing, width))


def drawn(entries: Sequence[Entry], width: int) -> list[Line]:
    """The entries in the order given, in lines of at most `width` columns."""
    if not entries:
        return [(Piece(text),) for text in wrapped(_("Nothing is up: there is nothing to undo."), width)]
    lines: list[Line] = []
    for entry in entries:
        lines += _lines_of(entry, width)
    return lines


def _drawn_groups(groups: Sequence[tuple[str, Sequence[Entry]]], width: int) -> list[Line]:
    if not any(entries for _head, entries in groups):
        return drawn((), width)
    lines: list[Line] = []
    for head, entries in groups:
        if head and entries:
            lines += [*_block(head, "", "  ", width, "pager--muted"), ()]
        lines += drawn(entries, width) if entries else []
    return lines


def _lines_of(entry: Entry, width: int) -> list[Line]:
    told = _("{what}, up since {time}") if entry.state == "held" else _("{what}, of {time}: {state}")
    title = f"{entry.number:>3}  " + told.format(
        what=entry.named,
        time=_since(entry.since),
        state=entry.state_told,
    )
    role = "pager--title" if entry.state == "held" else "pager--bad"
    lines = _block(title, "", _INDENT, width, role)
    if entry.target:
        lines += _block(safe(entry.target), _INDENT, _INDENT, width, "")
    lines += _block(safe(again(entry.why)), _INDENT, _INDENT, width, "pager--muted")
    for command in entry.undo:
        told = _INDENT + _("undone by: {command}").format(command=safe(command))
        lines += [(Piece(line, "pager--command"),) for line in shell_lines(told, width, _INDENT + "  ")]
    if entry.error:
        lines += _block(safe(entry.error), _INDENT + "! ", _INDENT + "  ", width, "pager--bad")
    return [*lines, ()]


def _since(seconds: float) -> str:
    """The time of day of today; of another day, the day too."""
    then = time.localtime(seconds)
    today = then[:3] == time.localtime()[:3]
    return time.strftime("%H:%M:%S", then) if today else date(seconds)


def _block(text: str, first: str, rest: str, width: int, role: str) -> list[Line]:
    return [(Piece(line, role),) for line in wrapped(first + text, width, rest)]
