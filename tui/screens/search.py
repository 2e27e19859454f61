"""The search for lost partitions: how far it is, and what it has found so far."""

import threading
from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.widgets import Static

from core.errors import SalvageError
from core.i18n import _, listed
from core.tables.lost.candidate import Candidate
from core.tables.lost.search import Searching
from core.text import size
from core.volumes.model import Inspection
from tui.screens.progress import INTERVAL
from tui.screens.step import Frame, Key
from tui.time_left import about
from tui.widgets.found_table import FoundTable
from tui.widgets.progress_panel import Gauge
from tui.widgets.rows import Rows


class SearchScreen(Frame):
    """Searches at once; `then` gets the candidate that was chosen meanwhile, if one was.

    Esc ends the search and keeps what was found; Enter does the same and opens the highlighted one.
    """

    topic: ClassVar[str] = "search"
    step: ClassVar[int] = 2

    def __init__(self, then: Callable[[Candidate | None], object]) -> None:
        super().__init__()
        self._then = then
        self._enough = threading.Event()
        self._wanted: Candidate | None = None
        self._newest: Searching | None = None
        self._shown: Searching | None = None

    def body(self) -> ComposeResult:
        yield Static(_("Searching the disk for lost partitions"), classes="question", markup=False)
        yield Gauge()
        yield FoundTable()
        told = _(
            "Sizes and dates are what each says of itself. At the end, copies and left-overs are sorted out."
        )
        yield Static(told, classes="label", markup=False)

    def keys(self) -> list[Key]:
        return [
            ("↑↓", _("move")),
            ("Enter", _("stop, open this one")),
            ("Esc", _("stop, show what was found")),
        ]

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(FoundTable).focus()
        self.set_interval(INTERVAL, self._show)
        job = self.flow.do_search
        self.work(_("Searching."), lambda: job(self._hear, self._enough.is_set), self._found, self._failed)

    def _sign(self) -> None:
        """The gauge tells that it works."""

    def _hear(self, searching: Searching) -> None:
        """Called on the operator's thread: only keeps the newest report."""
        self._newest = searching

    def _show(self) -> None:
        newest = self._newest
        if newest is None or newest is self._shown or not self.is_mounted:
            return
        before, self._shown = self._shown, newest
        self.query_one(Gauge).show(newest.done / newest.total if newest.total else 1.0, *_told(newest))
        if before is None or before.found != newest.found:
            self.query_one(FoundTable).show(newest.found)

    def on_rows_chosen(self, _event: Rows.Chosen) -> None:
        self._wanted = self.query_one(FoundTable).current
        self.stop()

    def stop(self) -> bool:
        """The first time the search ends with what it has, the second time the work is broken off."""
        if self._enough.is_set():
            return super().stop()
        self._enough.set()
        self.say(_("Stopping, and judging what was found."))
        return True

    def back(self) -> None:
        """The work decides when this screen closes."""

    def _found(self, _inspection: Inspection) -> None:
        self.leave()
        self._then(self._wanted)

    def _failed(self, error: SalvageError) -> None:
        self.leave()
        self.app.trouble(error)


def _told(searching: Searching) -> tuple[str, str]:
    """How far it is; how fast, and how long it takes."""
    far = _("{done} of {total} searched, {read} of it read").format(
        done=size(searching.done), total=size(searching.total), read=size(searching.read)
    )
    goes_on = searching.seconds_left is not None and searching.done < searching.total
    left = about(searching.seconds_left or 0.0) if goes_on else ""
    return far, listed((_("{size} a second").format(size=size(int(searching.rate))), left))
