"""The guest's files: browse, look into them, find and mark them."""

import os
import posixpath
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from core.errors import SalvageError
from core.files.entry import Entry
from core.files.preview import LONGEST, Preview, preview, text_or_not
from core.files.tree import GuestTree
from core.i18n import N_, _, listed
from core.text import grouped, size
from tui.plain import plain
from tui.screens.basket import BasketScreen
from tui.screens.finding import FindScreen, MattersScreen
from tui.screens.preview import PreviewScreen, pages_of
from tui.screens.step import Key
from tui.widgets.file_table import Arranged, FileTable, arranged
from tui.widgets.pager import Pages

PREVIEW = 128 << 20
"""Bytes of a file that the viewer reads at most: a log of a million lines."""


class FilesScreen(BasketScreen):
    """Marks are kept over folders. Esc closes the volume; Backspace goes up.

    Somebody who takes Esc for the way up must not lose what took long to mark: then it is asked for twice.
    """

    topic: ClassVar[str] = "files"
    step: ClassVar[int] = 4
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("backspace,left,h", "up", N_("to the folder above"), show=False),
        Binding("right", "enter", N_("into the folder"), show=False),
        Binding("v", "view", N_("view"), show=False),
        Binding("f", "find", N_("find"), show=False),
        Binding("w", "matters", N_("what matters first"), show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._at: bytes | None = None
        self._remark: str | None = None
        self._warned: tuple[bytes, ...] = ()
        """What was marked when it was said that it gets lost."""

    def body(self) -> ComposeResult:
        yield Static(id="place")
        yield Static(id="remark", classes="warning")
        yield FileTable()
        yield Static(id="basket")

    def keys(self) -> list[Key]:
        up = [("←", _("parent"))] if self.here != b"/" else []
        return [
            ("Space", _("mark")),
            ("Enter", _("open")),
            ("y", _("copy")),
            *up,
            ("t", _("target")),
            ("f", _("find")),
            ("w", _("matters")),
            ("Esc", _("back")),
            ("o", _("how to copy")),
            ("v", _("view")),
            ("/", _("filter")),
        ]

    def on_mount(self) -> None:
        super().on_mount()
        if self.flow.target is None or self.flow.copied_another:
            self.flow.target = self._first_target()
        self.query_one(FileTable).focus()
        self.query_one("#remark").display = False
        self._tell()
        self._list(b"/")

    # -- browsing ------------------------------------------------------------------------------

    def _list(self, folder: bytes, at: bytes | None = None) -> None:
        if self.busy:
            self.app.bell()
            return
        self._stop_counting()
        self.query_one(FileTable).await_folder()
        came: list[Arranged] = []
        early = False
        reading = _("Reading the folder.")

        def hear(page: Sequence[Entry], count: int) -> None:
            """On the operator's thread: a large folder shows its first page meanwhile."""
            self.flow.operator.cancel.check()
            if not came:
                came.append(arranged(page))
            if self.busy.startswith(reading):
                self.busy = f"{reading} {grouped(count)}..."

        def job() -> Arranged:
            if self._remark is None:
                self._remark = self.flow.remark
            with self.flow.road().guest() as tree:
                return arranged(tree.entries(folder, hear))

        def look() -> None:
            nonlocal early
            self._sign()
            if came and not early:
                self.here, early = folder, True
                self._show(came[0], at, more=True)
                self.refresh_frame()

        looking = self.set_interval(0.1, look)

        def listed(entries: Arranged) -> None:
            looking.stop()
            table = self.query_one(FileTable)
            place = table.current.name if early and table.current else at
            self.here = folder
            self._tell_remark()
            self._show(entries, place)
            self.refresh_frame()
            self._count_soon()

        def failed(error: SalvageError) -> None:
            looking.stop()
            self.query_one(FileTable).stay()
            self._count_soon()
            self.app.trouble(error)

        self.work(reading, job, listed, failed)

    def _show(self, entries: Arranged, at: bytes | None, *, more: bool = False) -> None:
        table = self.query_one(FileTable)
        table.show(entries, self._marked_here(), at, more=more, along=self._marked_over())

    def _tell_remark(self) -> None:
        """What must be known of all files here, above them; nothing mostly."""
        line = self.query_one("#remark", Static)
        line.display = bool(self._remark)
        line.update(plain(self._remark or ""))

    def on_file_table_opened(self, event: FileTable.Opened) -> None:
        entry = event.entry
        if entry.kind == "dir":
            self._list(posixpath.join(self.here, entry.name))
        elif entry.kind == "symlink":
            self._follow(entry)
        else:
            self._view(entry)

    def _follow(self, entry: Entry) -> None:
        """A link is followed inside the guest's tree only."""
        path = posixpath.join(self.here, entry.name)
        self._stop_counting()

        def job() -> tuple[bytes, bool]:
            with self.flow.road().guest() as tree, tree.resolve(path) as place:
                return place.path, place.kind == "dir"

        def found(where: tuple[bytes, bool]) -> None:
            target, is_folder = where
            if is_folder:
                self._list(target)
            else:
                folder, name = posixpath.split(target)
                self._list(folder or b"/", name)

        self.work(_("Following the link."), job, found)

    def action_enter(self) -> None:
        entry = self.query_one(FileTable).current
        if entry and entry.kind == "dir":
            self._list(posixpath.join(self.here, entry.name))

    def action_up(self) -> None:
        folder, name = posixpath.split(self.here)
        if self.here != b"/":
            self._list(folder, name)

    def action_view(self) -> None:
        entry = self.query_one(FileTable).current
        if entry and entry.kind == "dir":
            self.say(_("A folder: Enter opens it."))
        elif entry:
            self._view(entry)

    def _view(self, entry: Entry) -> None:
        path = posixpath.join(self.here, entry.name)
        self._stop_counting()

        def job() -> tuple[Pages, int, str]:
            road = self.flow.road()
            with road.guest() as tree:
                shown = self._looked_at(tree, path, entry.size)
            if shown and shown.lines:
                return pages_of(b"", shown), entry.size, shown.what
            data = bytearray()
            poured = road.pour(path, data.extend, PREVIEW)
            del data[PREVIEW:]
            if poured.gaps or shown is None:
                # what lies around the zeros tells what it is
                shown = text_or_not(bytes(data[: 2 * LONGEST]).replace(bytes(4096), b""))
            told = _("{size} cannot be read, zeros stand there").format(size=size(poured.lost))
            what = listed((shown.what, told if poured.gaps else ""))
            return pages_of(bytes(data), shown), len(data), what

        def read(found: tuple[Pages, int, str]) -> None:
            self._count_soon()
            pages, come, what = found
            self.app.push_screen(PreviewScreen(path, pages, come, entry.size, what))

        self.work(_("Reading the file."), job, read)

    @staticmethod
    def _looked_at(tree: GuestTree, path: bytes, length: int) -> Preview | None:
        """What it is; None where what would tell cannot be read."""
        fd = tree.open_file(path)
        try:
            return preview(fd, length, path)
        except OSError:
            return None
        finally:
            os.close(fd)

    # -- finding -------------------------------------------------------------------------------

    def action_find(self) -> None:
        self._stop_counting()
        self.app.push_screen(FindScreen(self.here, self._toggle, self._marks), self._found)

    def _found(self, paths: list[bytes] | None) -> None:
        self._count_soon()
        if paths:
            folder, name = posixpath.split(paths[0])
            self._list(folder or b"/", name)

    def action_matters(self) -> None:
        self._stop_counting()
        self.app.push_screen(MattersScreen(), self._mark_all)

    # -- back ----------------------------------------------------------------------------------

    def action_back(self) -> None:
        if self.query_one(FileTable).clear_filter():
            return
        super().action_back()

    def say(self, text: str) -> None:
        self._warned = ()  # the warning counts as long as it stands there
        super().say(text)

    def back(self) -> None:
        marked = self._sources()
        if marked not in ((), self._brought, self._warned):
            self.say(_("Not copied yet: Esc again closes the volume and drops what is marked."))
            self._warned = marked
            return
        self._stop_counting()
        self.work(_("Closing the volume."), self.flow.do_close_volume, lambda _none: self.leave())
