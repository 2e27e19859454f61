"""The files of one folder of a guest."""

import asyncio
import stat
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from operator import attrgetter
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.worker import Worker

from core.files.entry import Entry, iso_time
from core.files.ordering import is_ordered
from core.i18n import N_, _
from core.text import safe, size, spelled
from tui.widgets.filtered import FilteredRows
from tui.widgets.lines import Line, Piece, cut, left, right

_TYPE = {
    "file": stat.S_IFREG,
    "dir": stat.S_IFDIR,
    "symlink": stat.S_IFLNK,
    "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
    "char": stat.S_IFCHR,
    "block": stat.S_IFBLK,
}
_SUFFIX = {"dir": "/", "fifo": "|", "socket": "="}
"""As `ls --classify` marks them."""

_SIZE, _OWNER = 10, 11
_GAP = "  "
_BOX = range(2, 5)
"""Columns of a row in which the box for the mark stands."""
_VERY_MANY, _REST, _PIECE = 50_000, 0.2, 20_000
"""Entries from which on a filter waits until the keys rest, for so many seconds; and how many it looks at
before another key is answered."""
_ROOMY = 94
"""Columns from which on the mode is spelled out and the time of day is shown."""


class FileTable(FilteredRows):
    """Folders first, then the rest by name; Space marks, Enter opens, `/` filters as one types.

    Takes a million entries: nothing is done for a row before it comes into sight.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,m", "mark", N_("mark")),
        Binding("enter", "choose", N_("open")),
    ]

    class Opened(Message):
        """Enter was pressed on an entry."""

        def __init__(self, table: "FileTable", entry: Entry) -> None:
            super().__init__()
            self.table = table
            self.entry = entry

        @property
        def control(self) -> "FileTable":
            return self.table

    class MarkToggled(Message):
        """An entry was marked, or its mark taken away."""

        def __init__(self, table: "FileTable", entry: Entry, marked: bool) -> None:
            super().__init__()
            self.table = table
            self.entry = entry
            self.marked = marked

        @property
        def control(self) -> "FileTable":
            return self.table

    class GoesAlong(Message):
        """An entry was to be marked that goes with its folder already."""

        def __init__(self, table: "FileTable", entry: Entry) -> None:
            super().__init__()
            self.table = table
            self.entry = entry

        @property
        def control(self) -> "FileTable":
            return self.table

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._all: Sequence[Entry] = ()
        self._shown: Sequence[Entry] = ()
        self._marked: set[bytes] = set()
        self._along = False
        self._needle = ""
        """What the rows were narrowed by; what is typed may be more already."""
        self._narrowing: Worker[None] | None = None
        self._more = False
        self._read = False
        """Whether a folder was shown yet: before that it is not known to be empty."""

    # -- what it shows ----------------------------------------------------------------------------

    def show(
        self,
        entries: Iterable[Entry],
        marked: Collection[bytes] = (),
        at: bytes | None = None,
        *,
        more: bool = False,
        along: bool = False,
    ) -> None:
        """Show a folder's entries; `marked` are the names with a mark, `at` the one under the cursor.

        Let another thread call `arranged` first where there may be very many. With `more`, others follow.
        With `along`, all of them go with a folder that is marked, and take no mark of their own.
        A filter that is typed since `await_folder` counts for them.
        """
        self._stop_narrowing()
        self._more, self._read = more, True
        self._all = entries if isinstance(entries, Arranged) else arranged(entries)
        self._shown = self._all
        self._marked, self._along = set(marked), along
        self._needle = ""
        place = next((index for index, entry in enumerate(self._all) if entry.name == at), 0) if at else 0
        self.renew(place)
        if self.filtering or self.typed:
            self.look_for(self.typed)

    def await_folder(self) -> None:
        """Another folder is being read: a filter goes, and one that is typed from now on is for that."""
        self._stop_narrowing()
        self.typed = ""
        self.type_filter(False)

    def stay(self) -> None:
        """The other folder could not be read: show all of this one again."""
        self.look_for(self.typed)

    def show_marks(self, marked: Collection[bytes], along: bool = False) -> None:
        """Show other marks on the same entries."""
        self._marked, self._along = set(marked), along
        self.refresh()

    @property
    def current(self) -> Entry | None:
        """The entry under the cursor."""
        return self._shown[self.cursor] if self._shown else None

    def row_count(self) -> int:
        return len(self._shown)

    def empty_text(self) -> str:
        if not self._read:
            return ""
        return _("Nothing here has that name.") if self._needle else _("This folder is empty.")

    def heading(self, width: int) -> Line:
        if self.filtering or self._needle:
            return self.filter_line(len(self._shown), len(self._all), width)
        return heading(width, more=self._more)

    def row(self, index: int, width: int) -> Line:
        entry = self._shown[index]
        return row_of(entry, width, marked=entry.name in self._marked, along=self._along)

    # -- what it does -----------------------------------------------------------------------------

    def action_choose(self) -> None:
        if self.current:
            self.post_message(self.Opened(self, self.current))

    def action_mark(self) -> None:
        if self._shown:
            self._toggle()
            self.cursor += not self._along

    def _toggle(self) -> None:
        entry = self._shown[self.cursor]
        if self._along:
            self.post_message(self.GoesAlong(self, entry))
            return
        self._marked ^= {entry.name}
        self.refresh_line(self.cursor + 1)
        self.post_message(self.MarkToggled(self, entry, entry.name in self._marked))

    def click_row(self, index: int, column: int) -> None:
        """A click on the box marks and goes no further: the next row would be opened by a click on it."""
        if column in _BOX:
            self.cursor = index
            self._toggle()
        else:
            super().click_row(index, column)

    def look_for(self, needle: str) -> None:
        """Narrow at once; among very many once the keys rest, and piece by piece: no key waits for it."""
        self._stop_narrowing()
        if len(self._all) > _VERY_MANY and needle:
            self.typed = needle
            self.refresh_line(self.scroll_offset.y)
            self._narrowing = self.run_worker(partial(self._narrow_slowly, needle))
        else:
            self._narrowed(needle, matching(self._among(needle), needle) if needle else self._all)

    def _stop_narrowing(self) -> None:
        if self._narrowing:
            self._narrowing.cancel()
            self._narrowing = None

    async def _narrow_slowly(self, needle: str) -> None:
        await asyncio.sleep(_REST)
        among, found = self._among(needle), list[Entry]()
        for begin in range(0, len(among), _PIECE):
            found += matching(among[begin : begin + _PIECE], needle)
            await asyncio.sleep(0)
        self._narrowed(needle, found)

    def _among(self, needle: str) -> Sequence[Entry]:
        # An escape finds other names once it is whole
        narrows = needle.startswith(self._needle) and "\\" not in needle
        return self._shown if narrows else self._all

    def _narrowed(self, needle: str, found: Sequence[Entry]) -> None:
        here = self.current
        self._needle = self.typed = needle
        self._shown = found
        self.renew(next((at for at, entry in enumerate(found) if entry is here), 0))
        self.refresh()


class Arranged(list[Entry]):
    """Entries in the order in which they are shown."""


def arranged(entries: Iterable[Entry]) -> Arranged:
    """Folders first, each group by name, byte by byte."""
    by_name = list(entries)
    if not is_ordered(entry.name for entry in by_name):
        by_name.sort(key=attrgetter("name"))
    whole = Arranged(entry for entry in by_name if entry.kind == "dir")
    whole += [entry for entry in by_name if entry.kind != "dir"]
    return whole


def matching(entries: Sequence[Entry], needle: str) -> list[Entry]:
    """The entries whose name holds `needle`, or what it spells; the case of ASCII letters does not count."""
    wanted, meant = (one.encode("utf-8", "surrogateescape").lower() for one in (needle, spelled(needle)))
    if wanted != meant:
        return [one for one in entries if wanted in one.name.lower() or meant in one.name.lower()]
    return [entry for entry in entries if wanted in entry.name.lower()]


def heading(width: int, *, more: bool = False) -> Line:
    """The names of the columns; with a sign that more will follow."""
    modified = _("Modified, UTC") if width >= _ROOMY else _("Date, UTC")
    name = _("Name") + ("..." if more else "")
    return (Piece(_columns("", name, _("Size"), _("Mode"), _("Owner"), modified, width)),)


def mark_told(*, marked: bool, along: bool) -> str:
    """The box before an entry; `along` with its folder, which is marked."""
    return "[+]" if along else "[x]" if marked else "[ ]"


def row_of(entry: Entry, width: int, *, marked: bool, along: bool = False) -> Line:
    """One entry in `width` columns."""
    mark = mark_told(marked=marked, along=along)
    told = entry.error or (size(entry.size) if entry.kind == "file" else kind_told(entry))
    if entry.error:
        line = left(mark, 4) + cut(safe(entry.name), width // 2) + "  " + safe(told)
        return (Piece(cut(line, width), "rows--bad"),)
    mode = stat.filemode(_TYPE[entry.kind] | entry.mode) if width >= _ROOMY else f"{entry.mode:04o}"
    text = _columns(
        mark,
        shown_name(entry),
        told,
        mode,
        f"{entry.uid}:{entry.gid}",
        _time(entry.mtime_ns, width),
        width,
    )
    return (Piece(text[:3], "rows--mark" if marked and not along else "rows--muted"), Piece(text[3:]))


def shown_name(entry: Entry) -> str:
    """The name as a line of safe text, with a sign for its kind and a link's target behind it."""
    name = safe(entry.name)
    if entry.kind == "symlink":
        return f"{name} -> {safe(entry.target or b'?')}"
    if entry.kind == "file" and entry.mode & 0o111:
        return name + "*"
    return name + _SUFFIX.get(entry.kind, "")


def kind_told(entry: Entry) -> str:
    """What stands in the place of a size for what is no file."""
    names = {
        "dir": _("folder"),
        "symlink": _("link"),
        "fifo": _("pipe"),
        "socket": _("socket"),
        "char": _("device"),
        "block": _("device"),
    }
    return names[entry.kind]


def _time(nanoseconds: int, width: int) -> str:
    day, _letter, clock = iso_time(nanoseconds).partition("T")
    return f"{day} {clock[:5]}" if width >= _ROOMY else day


def _columns(mark: str, name: str, told: str, mode: str, owner: str, modified: str, width: int) -> str:
    """The columns beside each other. What is long is cut, the name last."""
    roomy = width >= _ROOMY
    modes, times, gap = (10, 16, "  ") if roomy else (5, 10, " ")
    fixed = 4 + _SIZE + modes + _OWNER + times + 3 * len(gap) + len(_GAP)
    if width - fixed < 16:  # a very narrow screen: name and size are what counts
        return f"{left(mark, 4)}{left(name, max(1, width - 5 - _SIZE))} {right(told, _SIZE)}"
    parts = (right(told, _SIZE), right(mode, modes), right(owner, _OWNER))
    return gap.join((left(mark, 4) + left(name, width - fixed), *parts)) + _GAP + left(modified, times)
