"""What is marked to be copied: kept over folders, counted, sent to a target of one's choice."""

import posixpath
import re
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from core.disks.packed import inner_name
from core.errors import Cancelled, SalvageError
from core.files.choices import Choices
from core.files.delivery import caution
from core.files.destination import Destination
from core.files.estimate import Estimate
from core.files.outcome import Copied
from core.files.sources import outermost
from core.i18n import N_, _, listed, ngettext
from core.lab import labs
from core.session import Session
from core.text import grouped, safe, size
from tui import plans
from tui.screens.done import DoneScreen
from tui.screens.how import Asking, HowScreen
from tui.screens.progress import ProgressScreen
from tui.screens.step import Frame
from tui.screens.target import TargetScreen, question
from tui.screens.trouble import Remedy, TroubleScreen
from tui.widgets.file_table import FileTable
from tui.widgets.lines import Fact, facts, middle_cut

_ODD = re.compile(r"[^\w.+-]+")
"""What does not go into the name of a folder of ours."""


class CopyWanted(Message):
    """What is marked shall be copied now."""


class BasketScreen(Frame):
    """The lines below a table of files, and the keys that do something with all that is marked."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "target", N_("target"), show=False),
        Binding("o", "how", N_("how to copy"), show=False),
        Binding("y,f5", "copy", N_("copy"), show=False),
        Binding("x", "unmark", N_("unmark all"), show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.here = b"/"
        """The folder that the table shows."""
        self._marks: dict[bytes, None] = {}
        self._brought: tuple[bytes, ...] = ()
        """What was copied last."""
        self._estimate: Estimate | None = None
        self._counting: Future[Estimate] | None = None
        self._soon: Timer | None = None

    def _first_target(self) -> Destination:
        task = self.flow.task()
        if task:
            return Destination("folder", labs.recovered(task.lab, self.flow.labs))
        name = inner_name(self.flow.disk.name) if self.flow.disk else "disk"
        words = [Path(name).stem, *(self.flow.source[1:] if self.flow.copied_another else ()), "recovered"]
        own = "-".join(_ODD.sub("-", word).strip("-") for word in words if word)
        now = self.flow.target
        folder = now.path.parent if now and now.shape == "folder" else Path.cwd()
        return Destination("folder", folder / own)

    # -- marks ---------------------------------------------------------------------------------

    def _marked_here(self) -> set[bytes]:
        folder = self.here.rstrip(b"/") + b"/"
        inside = (path for path in self._marks if path.startswith(folder))
        return {path[len(folder) :] for path in inside if b"/" not in path[len(folder) :]}

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

    def on_file_table_mark_toggled(self, event: FileTable.MarkToggled) -> None:
        path = posixpath.join(self.here, event.entry.name)
        if event.marked:
            self._marks[path] = None
        else:
            self._marks.pop(path, None)
        self._estimate = None
        if not self.busy:
            self.say("")
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
        return outermost(self._marks)

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

    def refresh_frame(self) -> None:
        super().refresh_frame()
        self._tell()

    def _tell(self) -> None:
        if not self.is_mounted:
            return
        self.query_one("#place", Static).update(
            Content.assemble((_("Guest") + "  ", "$text-muted"), (self._cut(self.here), "bold"))
        )
        target = self.flow.target.word if self.flow.target else ""
        told = _told(self._marked_told(), self._cut(target), self.room)
        self.query_one("#basket", Static).update(told)

    def _marked_told(self) -> str:
        count = len(self._marks)
        if not count:
            return _("nothing yet: Space marks a file or a folder")
        marked = ngettext("{count} thing", "{count} things", count).format(count=grouped(count))
        if self._estimate is None:
            return listed((marked, _("counting...")))
        files = self._estimate.files
        told = ngettext(", {files} file, {size}", ", {files} files, {size}", files)
        marked += told.format(files=grouped(files), size=size(self._estimate.apparent))
        if self._estimate.unreadable:
            marked += _(", {count} unreadable").format(count=len(self._estimate.unreadable))
        return marked

    def _cut(self, path: bytes | Path | str) -> str:
        """A path in one line."""
        return middle_cut(safe(path), max(20, self.room - 10))

    # -- the target ----------------------------------------------------------------------------

    def action_target(self) -> None:
        self.app.push_screen(TargetScreen(self.flow.target), self._ask_place)

    def _ask_place(self, kind: str | None) -> None:
        if kind:
            self.app.push_screen(question(kind, self.flow.target), self._targeted)

    def _targeted(self, place: Destination | None) -> None:
        if place:
            self.flow.target = place
            self._tell()

    # -- the copy ------------------------------------------------------------------------------

    def action_copy(self) -> None:
        # The way of the marks: what was marked by the key before comes first
        self.query_one(FileTable).post_message(CopyWanted())

    def on_copy_wanted(self) -> None:
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
        known, choices = self._estimate, self.flow.choices

        def job() -> tuple[Estimate, str]:
            road = self.flow.road()
            result = known or road.estimate(sources, self._ignore)
            road.require_room(sources, target, result)
            return result, caution(target, choices)

        self.work(_("Counting, and looking whether it fits."), job, self._fits, self._no_space)

    def _fits(self, found: tuple[Estimate, str]) -> None:
        self._estimate, sentence = found
        self._tell()
        if sentence:
            folder = self.flow.target and self.flow.target.shape == "folder"
            go = _("Copy, and keep that in a list beside the copy") if folder else _("Copy all the same")
            self.app.push_screen(HowScreen(self.flow.choices, go, sentence), self._begin)
        else:
            self._begin(self.flow.choices)

    def action_how(self) -> None:
        self.app.push_screen(HowScreen(self.flow.choices, _("Use these settings")), self._picked)

    def _picked(self, choices: Choices | None) -> None:
        if choices:
            self.flow.choices = choices

    def _begin(self, choices: Choices | None) -> None:
        self._picked(choices)
        sources, place = self.flow.marked, self.flow.target
        assert place
        title = _("Copying to {path}").format(path=safe(place.word))
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
        self.flow.copied, self.flow.copied_from = copied, self.flow.source
        self._brought = self.flow.marked
        self.app.pop_screen()
        self.app.push_screen(DoneScreen())

    def plan(self) -> Callable[[Session], None]:
        self.flow.marked = self._sources()
        return plans.copying(self.flow)

    def plan_told(self) -> str:
        return _("To copy what is marked, from the disk on:")


def _told(marked: str, target: str, width: int) -> Content:
    """The two lines; both texts are safe to show."""
    return facts([Fact(_("Marked"), marked), Fact(_("Target"), target)], width)
