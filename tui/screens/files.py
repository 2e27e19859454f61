"""The guest's files: browse, mark, see how much it is, choose where it goes."""

import os
import posixpath
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from core.errors import Cancelled, SalvageError
from core.files.abilities import lacking
from core.files.choices import Choices
from core.files.destination import destination
from core.files.entry import Entry
from core.files.estimate import Estimate
from core.files.outcome import Copied
from core.files.preview import Preview, preview
from core.files.space import check_space
from core.files.tree import GuestTree
from core.i18n import N_, _, ngettext
from core.lab import labs
from core.session import Session
from core.text import grouped, safe, size
from tui.plain import plain
from tui.screens.ask import AskPath
from tui.screens.done import DoneScreen
from tui.screens.finding import FindScreen, MattersScreen
from tui.screens.how import Asking, HowScreen
from tui.screens.preview import PreviewScreen, pages_of
from tui.screens.progress import ProgressScreen
from tui.screens.step import Frame, Key
from tui.screens.trouble import Remedy, TroubleScreen
from tui.widgets.file_table import Arranged, FileTable, arranged
from tui.widgets.lines import middle_cut
from tui.widgets.pager import Pages

PREVIEW = 128 << 20
"""Bytes of a file that the viewer reads at most: a log of a million lines."""


class FilesScreen(Frame):
    """Marks are kept over folders. Esc closes the volume; Backspace goes up."""

    topic: ClassVar[str] = "files"
    step: ClassVar[int] = 4
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("backspace,left,h", "up", N_("to the folder above"), show=False),
        Binding("right", "enter", N_("into the folder"), show=False),
        Binding("t", "target", N_("target"), show=False),
        Binding("o", "how", N_("how to copy"), show=False),
        Binding("y,f5", "copy", N_("copy"), show=False),
        Binding("v", "view", N_("view"), show=False),
        Binding("f", "find", N_("find"), show=False),
        Binding("w", "matters", N_("what matters first"), show=False),
        Binding("x", "unmark", N_("unmark all"), show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.here = b"/"
        self._marks: dict[bytes, None] = {}
        self._estimate: Estimate | None = None
        self._counting: Future[Estimate] | None = None
        self._soon: Timer | None = None
        self._at: bytes | None = None
        self._remark: str | None = None

    def body(self) -> ComposeResult:
        yield Static(id="place")
        yield Static(id="remark", classes="warning")
        yield FileTable()
        yield Static(id="basket")

    def keys(self) -> list[Key]:
        return [
            ("Space", _("mark")),
            ("Enter", _("open")),
            ("←", _("up")),
            ("y", _("copy")),
            ("t", _("target")),
            ("f", _("find")),
            ("w", _("matters")),
            ("o", _("how")),
            ("v", _("view")),
            ("/", _("filter")),
            ("Esc", _("close")),
        ]

    def on_mount(self) -> None:
        super().on_mount()
        if self.flow.target is None:
            self.flow.target = self._first_target()
        self.query_one(FileTable).focus()
        self.query_one("#remark").display = False
        self._tell()
        self._list(b"/")

    def _first_target(self) -> Path:
        task = self.flow.task()
        if task:
            return labs.recovered(task.lab, self.flow.labs)
        name = self.flow.disk.path.stem if self.flow.disk else "disk"
        return Path.cwd() / f"{name}-recovered"

    # -- browsing ------------------------------------------------------------------------------

    def _list(self, folder: bytes, at: bytes | None = None) -> None:
        if self.busy:
            self.app.bell()
            return
        self._stop_counting()
        came: list[Arranged] = []
        early = False
        reading = _("Reading the folder.")

        def hear(page: Sequence[Entry], count: int) -> None:
            """On the operator's thread: a large folder shows its first page meanwhile."""
            self.flow.operator.cancel.check()
            if not came:
                came.append(arranged(page))
            if self.busy.startswith(reading):
                self.busy = f"{reading} {grouped(count)}…"

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
                self.query_one(FileTable).show(came[0], self._marked_here(), at, more=True)
                self._tell()

        looking = self.set_interval(0.1, look)

        def listed(entries: Arranged) -> None:
            looking.stop()
            table = self.query_one(FileTable)
            place = table.current.name if early and table.current else at
            self.here = folder
            self._tell_remark()
            table.show(entries, self._marked_here(), place)
            self._tell()
            self._count_soon()

        def failed(error: SalvageError) -> None:
            looking.stop()
            self._count_soon()
            self.app.trouble(error)

        self.work(reading, job, listed, failed)

    def _tell_remark(self) -> None:
        """What must be known of all files here, above them; nothing mostly."""
        line = self.query_one("#remark", Static)
        line.display = bool(self._remark)
        line.update(plain(self._remark or ""))

    def _marked_here(self) -> set[bytes]:
        folder = self.here.rstrip(b"/") + b"/"
        inside = (path for path in self._marks if path.startswith(folder))
        return {path[len(folder) :] for path in inside if b"/" not in path[len(folder) :]}

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
        if entry:
            self._view(entry)

    def _view(self, entry: Entry) -> None:
        path = posixpath.join(self.here, entry.name)
        self._stop_counting()

        def job() -> tuple[Pages, int, str]:
            parts: list[bytes] = []
            come = 0
            with self.flow.road().guest() as tree:
                shown = self._looked_at(tree, path, entry.size)
                for piece in () if shown.lines else tree.read(path):
                    self.flow.operator.cancel.check()
                    parts.append(piece)
                    come += len(piece)
                    if come >= PREVIEW:
                        break
            data = b"".join(parts)[:PREVIEW]
            return pages_of(data, shown), entry.size if shown.lines else len(data), shown.what

        def read(found: tuple[Pages, int, str]) -> None:
            self._count_soon()
            pages, come, what = found
            self.app.push_screen(PreviewScreen(path, pages, come, entry.size, what))

        self.work(_("Reading the file."), job, read)

    @staticmethod
    def _looked_at(tree: GuestTree, path: bytes, length: int) -> Preview:
        fd = tree.open_file(path)
        try:
            return preview(fd, length)
        finally:
            os.close(fd)

    # -- finding -------------------------------------------------------------------------------

    def action_find(self) -> None:
        self._stop_counting()
        self.app.push_screen(FindScreen(self.here, self._toggle), self._found)

    def _found(self, paths: list[bytes] | None) -> None:
        self._count_soon()
        if paths:
            folder, name = posixpath.split(paths[0])
            self._list(folder or b"/", name)

    def action_matters(self) -> None:
        self._stop_counting()
        self.app.push_screen(MattersScreen(), self._mark_all)

    def _mark_all(self, paths: list[bytes] | None) -> None:
        self._marks |= dict.fromkeys(paths or ())
        self._marked()

    def _toggle(self, path: bytes) -> bool:
        """Mark a path, or no longer; whether it is marked now."""
        marked = path not in self._marks
        if marked:
            self._marks[path] = None
        else:
            del self._marks[path]
        self._marked()
        return marked

    def _marked(self) -> None:
        self._estimate = None
        self.query_one(FileTable).show_marks(self._marked_here())
        self._tell()
        self._count_soon()

    # -- the basket ----------------------------------------------------------------------------

    def on_file_table_mark_toggled(self, event: FileTable.MarkToggled) -> None:
        path = posixpath.join(self.here, event.entry.name)
        if event.marked:
            self._marks[path] = None
        else:
            self._marks.pop(path, None)
        self._estimate = None
        self._tell()
        self._count_soon()

    def action_unmark(self) -> None:
        self._marks.clear()
        self._estimate = None
        self.query_one(FileTable).show_marks(())
        self._stop_counting()
        self._tell()

    def _sources(self) -> tuple[bytes, ...]:
        """What is marked, without what lies inside of something marked."""
        marks = sorted(self._marks)
        return tuple(
            path
            for path in marks
            if not any(path.startswith(other.rstrip(b"/") + b"/") for other in marks if other != path)
        )

    def _count_soon(self) -> None:
        """Count what is marked once the keys rest: a folder may take long."""
        self._stop_counting()
        if self._marks and self._estimate is None:
            self._soon = self.set_timer(0.25, self._count)

    def _stop_counting(self) -> None:
        if self._soon:
            self._soon.stop()
            self._soon = None
        if self._counting and not self._counting.done():
            self._counting.cancel()
            self.flow.operator.cancel.cancel()
        self._counting = None

    def _count(self) -> None:
        if self.busy:
            self._count_soon()
            return
        sources = self._sources()
        future = self.flow.operator.submit(lambda: self.flow.road().estimate(sources, self._ignore))
        self._counting = future

        def counted(result: Estimate) -> None:
            if future is self._counting:
                self._counting, self._estimate = None, result
                self._tell()

        def failed(error: SalvageError) -> None:
            if not isinstance(error, Cancelled):
                self.say(error.paragraph())

        self.app.follow(future, counted, failed)

    @staticmethod
    def _ignore(*_counts: object) -> None:
        """The basket shows the sum when it is known."""

    def _tell(self) -> None:
        if not self.is_mounted:
            return
        self.query_one("#place", Static).update(
            Content.assemble((_("Guest") + "  ", "$text-muted"), (self._cut(self.here), "bold"))
        )
        count = len(self._marks)
        marked = _("nothing yet: Space marks a file or a folder")
        if count:
            marked = ngettext("{count} thing", "{count} things", count).format(count=grouped(count))
            if self._estimate:
                marked += _(", {files} files, {size}").format(
                    files=grouped(self._estimate.files), size=size(self._estimate.apparent)
                )
                if self._estimate.unreadable:
                    marked += _(", {count} unreadable").format(count=len(self._estimate.unreadable))
            else:
                marked += ", " + _("counting…")
        rows = Content.assemble(
            (_("Marked") + "  ", "$text-muted"),
            marked,
            "\n",
            (_("Target") + "  ", "$text-muted"),
            self._cut(self.flow.target or ""),
        )
        self.query_one("#basket", Static).update(rows)

    def _cut(self, path: bytes | Path | str) -> str:
        """A path in one line."""
        return middle_cut(safe(path), max(20, self.room - 10))

    # -- the copy ------------------------------------------------------------------------------

    def action_target(self) -> None:
        line = _("A folder of this host, made if it is missing; or a new .tar, .tar.zst or .zip.")
        start = self.flow.target or Path.cwd()
        self.app.push_screen(
            AskPath(_("Where shall the files go?"), line, start, folders_only=True), self._targeted
        )

    def _targeted(self, target: Path | None) -> None:
        if target:
            self.flow.target = target
            self._tell()

    def action_copy(self) -> None:
        if not self._marks:
            entry = self.query_one(FileTable).current
            hint = _("Mark something with Space first.")
            self.say(hint if entry else _("There is nothing here to copy."))
            return
        sources, target = self._sources(), self.flow.target
        if target is None:
            self.action_target()
            return
        self._stop_counting()
        self.flow.marked = sources
        known = self._estimate

        def job() -> tuple[Estimate, str]:
            result = known or self.flow.road().estimate(sources, self._ignore)
            check_space(result.allocated, target)
            return result, lacking(target) if destination(str(target)).shape == "folder" else ""

        self.work(_("Counting, and looking whether it fits."), job, self._fits, self._no_space)

    def _fits(self, found: tuple[Estimate, str]) -> None:
        self._estimate, sentence = found
        self._tell()
        if sentence:
            go = _("Copy, and keep that in a list beside the copy")
            self.app.push_screen(HowScreen(self.flow.choices, go, sentence), self._begin)
        else:
            self._begin(self.flow.choices)

    def action_how(self) -> None:
        self.app.push_screen(HowScreen(self.flow.choices, _("Keep it so")), self._picked)

    def _picked(self, choices: Choices | None) -> None:
        if choices:
            self.flow.choices = choices

    def _begin(self, choices: Choices | None) -> None:
        self._picked(choices)
        sources, target = self.flow.marked, self.flow.target
        assert target
        title = _("Copying to {path}").format(path=safe(target))
        place = destination(str(target))
        asking = replace(self.flow.choices, decide=Asking(self.app).decide)
        self.app.push_screen(
            ProgressScreen(
                title, lambda hear: self.flow.road().copy(sources, place, hear, asking), self._copied, step=5
            )
        )

    def _no_space(self, error: SalvageError) -> None:
        if isinstance(error, Cancelled):
            self.app.trouble(error)
            return
        other = Remedy(_("Choose another target"), self.action_target)
        self.app.push_screen(TroubleScreen(error, [other]))

    def _copied(self, copied: Copied | None) -> None:
        self.flow.copied = copied
        self.app.pop_screen()
        self.app.push_screen(DoneScreen())

    def plan(self) -> Callable[[Session], None]:
        self.flow.marked = self._sources()
        return self.flow.plan_copy()

    def plan_told(self) -> str:
        return _("From the disk to the copied files, from the start:")

    # -- back ----------------------------------------------------------------------------------

    def action_back(self) -> None:
        if self.query_one(FileTable).clear_filter():
            return
        super().action_back()

    def back(self) -> None:
        self._stop_counting()
        self.work(_("Closing the volume."), self.flow.do_close_volume, lambda _none: self.leave())
