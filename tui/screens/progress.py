"""Long work: how far it is, how fast, how long it will still take, and what went wrong so far."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.widgets import Static

from core.errors import Cancelled, SalvageError
from core.files.progress import Progress
from core.i18n import _
from core.operator import Operator, giving_way
from core.text import duration
from core.undo.health import ExportEnded
from tui.plain import plain
from tui.screens.step import Frame, Key
from tui.screens.trouble import Remedy, TroubleScreen
from tui.widgets.progress_panel import ProgressPanel
from tui.widgets.rate_graph import RateGraph, Rates

R = TypeVar("R")

INTERVAL = 0.2
"""Seconds between two looks at the newest report: slow lines shall keep up."""
GRAPH = 1.0
"""Seconds between two looks at the rates."""
STANDS = 3.0
"""Seconds without a report after which the rate is none: it is that of the last seconds."""
SILENT = 10.0
"""Seconds without a report after which it is said that nothing moves."""


class ProgressScreen(Frame, Generic[R]):
    """Runs `job` with a listener and hands its result to `then`, which closes this screen."""

    topic: ClassVar[str] = "progress"

    def __init__(
        self,
        title: str,
        job: Callable[[Callable[[Progress], None]], R],
        then: Callable[[R], object],
        step: int,
        operator: Operator | None = None,
        remedies: Callable[[SalvageError], list[Remedy]] | None = None,
        undone: str = "",
    ) -> None:
        """`remedies` are what can be done about an error, `undone` what leaving means for the work."""
        self.step = step  # type: ignore[misc]
        super().__init__()
        self._operator = operator
        self._remedies = remedies or (lambda _error: [])
        self._undone = undone
        self._title, self._job, self._then = title, job, then
        self._newest: Progress | None = None
        self._shown: Progress | None = None
        self._rates = Rates()
        self._heard = time.monotonic()
        self._silent = self._stands = False

    def body(self) -> ComposeResult:
        yield Static(plain(self._title), classes="question")
        yield ProgressPanel()
        yield RateGraph(self._rates)

    def keys(self) -> list[Key]:
        return [("Esc", _("stop"))]

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(INTERVAL, self._show)
        self.set_interval(GRAPH, self._draw)
        self.work(_("Working."), self._run, self._done, self._failed, operator=self._operator)

    def _run(self) -> R:
        """On the operator's thread."""
        with giving_way():
            return self._job(self._hear)

    def _hear(self, progress: Progress) -> None:
        """Called on the operator's thread: only keeps the newest report, and its rate."""
        self._newest = progress
        self._rates.note(progress)

    def _draw(self) -> None:
        if self.app.screen is self:
            self.query_one(RateGraph).show()

    def _show(self) -> None:
        if self.app.screen is not self:  # what stands over it is answered the sooner
            return
        if self._newest is not self._shown and self._newest:
            self._shown, self._stands = self._newest, False
            self._heard = time.monotonic()
            self.query_one(ProgressPanel).show(self._newest)
        silence = time.monotonic() - self._heard
        if silence > STANDS and self._shown and self._shown.rate and not self._stands:
            self._stands = True
            self.query_one(ProgressPanel).show(replace(self._shown, rate=0.0))
        if (self._silent or silence > SILENT) and self.busy and self.is_mounted:
            self._silent = silence > SILENT
            self._tell_silence(silence) if self._silent else self._sign()

    def _tell_silence(self, seconds: float) -> None:
        """A target over a network that is gone keeps a write for as long as it likes; only that is known."""
        told = _("Nothing moves for {time}: the disk or the target does not answer, or writes out. {work}")
        self.say(told.format(time=duration(seconds), work=self.busy))

    def _done(self, result: R) -> None:
        self.to_top()
        self._then(result)

    def _failed(self, error: SalvageError) -> None:
        self.leave()
        if isinstance(error, Cancelled):
            told = error.meaning or _(
                "Files that were whole stay at the target; one that was half copied was taken away there. The"
                " disk is untouched."
            )
            stopped = Cancelled(_("Stopped as asked."), told, error.remedy)
            self.app.push_screen(TroubleScreen(stopped, self._remedies(error)))
        elif (remedies := self._remedies(error)) and not isinstance(error, ExportEnded):
            self.app.push_screen(TroubleScreen(error, remedies))
        else:
            self.app.trouble(error)

    @property
    def undone(self) -> str:
        """What leaving means for the work while it goes on, for `tui.screens.quitting`."""
        return self._undone if self.busy else ""

    def back(self) -> None:
        """The work decides when this screen closes."""
