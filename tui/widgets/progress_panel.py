"""How far a copy or a backup has come."""

import time
from dataclasses import replace
from typing import ClassVar

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from core.files.progress import Progress
from core.i18n import _, listed, ngettext
from core.text import grouped, size
from tui.time_left import about
from tui.widgets.lines import Line, Piece, content_of, left, middle_cut

_FULL, _EMPTY = "█", "░"
_ROOMY = 60
"""Columns below which counts and rate take two lines each, and the empty ones give way to them."""
_FOLLOWS, _SOON, _MAY_BE_WRONG = 15.0, 2.0, 5.0
"""Seconds over which estimates of the time left are smoothed, also where they are far off; and that it may be
wrong by at any time."""
_FAR_OFF = 1.4
"""An estimate that is so many times what is told, or so many times less, is no swing: the work changed."""


class ProgressPanel(Static):
    """A bar for the whole, a bar for the current file, counts, rate, time left and errors so far."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "progress-panel--bar",
        "progress-panel--rest",
        "progress-panel--muted",
        "progress-panel--bad",
    }
    DEFAULT_CSS = """
    ProgressPanel { height: 7; }
    ProgressPanel > .progress-panel--bar { color: $primary; }
    ProgressPanel > .progress-panel--rest { color: $text-disabled; }
    ProgressPanel > .progress-panel--muted { color: $text-muted; }
    ProgressPanel > .progress-panel--bad { color: $text-error; text-style: bold; }
    """

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(markup=False, name=name, id=id, classes=classes)
        self._progress: Progress | None = None
        self._left = TimeLeft()
        self._heard = 0.0

    def begin(self) -> None:
        """Start again from nothing: a new piece of work begins."""
        self._progress, self._left = None, TimeLeft()
        self.refresh()

    def show(self, progress: Progress) -> None:
        """Show a report; what it says less of than the one before does not go back."""
        if self._progress and self._progress.phase != progress.phase:
            self._left = TimeLeft()
        now = forward(self._progress, progress)
        moment = time.monotonic()
        now = replace(now, seconds_left=self._left.tell(now.seconds_left, moment - self._heard))
        self._heard = moment
        if now != self._progress:
            self._progress = now
            self.refresh()

    def render(self) -> Content:
        """The panel for the width at hand."""
        if self._progress is None:
            return Content(_("Starting..."))
        return content_of(self, drawn(self._progress, self.content_region.width))


class Gauge(Static):
    """One bar, and under it two lines that tell the same in numbers."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"progress-panel--bar", "progress-panel--rest", "gauge--muted"}
    DEFAULT_CSS = """
    Gauge { height: 3; margin: 1 1; }
    Gauge > .progress-panel--bar { color: $primary; }
    Gauge > .progress-panel--rest { color: $text-disabled; }
    Gauge > .gauge--muted { color: $text-muted; }
    """

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(markup=False, name=name, id=id, classes=classes)
        self._fraction: float | None = None
        self._told: tuple[str, ...] = ()

    def show(self, fraction: float, *told: str) -> None:
        """Show how much is done (0 to 1), and the numbers in at most two lines."""
        self._fraction, self._told = fraction, told
        self.refresh()

    def render(self) -> Content:
        """The three lines for the width at hand."""
        lines = [(Piece(line, "gauge--muted"),) for line in self._told]
        return content_of(self, [bar(self._fraction, self.content_region.width), *lines])


class TimeLeft:
    """The time left as it is told: it runs down by itself, and is corrected when it was wrong for long."""

    def __init__(self) -> None:
        self._smooth: float | None = None
        self._told = 0.0

    def tell(self, estimate: float | None, passed: float) -> float | None:
        """What to tell, `passed` seconds after the last time; one estimate counts little by itself."""
        if estimate is None or self._smooth is None:
            self._smooth, self._told = estimate, estimate or 0.0
            return estimate
        before = self._smooth - passed
        far = max(estimate, before) > _FAR_OFF * max(0.0, min(estimate, before))
        follows = _SOON if far else _FOLLOWS
        self._smooth = before + (estimate - before) * min(1.0, passed / follows)
        self._told = max(0.0, self._told - passed)
        if abs(self._smooth - self._told) > max(_MAY_BE_WRONG, self._told / 5):
            self._told = self._smooth
        return self._told


def forward(before: Progress | None, now: Progress) -> Progress:
    """`now`, but in nothing behind `before`: a bar that goes backwards is not believed any more."""
    if before is None or before.phase != now.phase:
        return now
    same = before.current == now.current and before.current_size == now.current_size
    return replace(
        now,
        files_done=max(before.files_done, now.files_done),
        bytes_done=max(before.bytes_done, now.bytes_done),
        current_done=max(before.current_done, now.current_done) if same else now.current_done,
        errors=max(before.errors, now.errors),
        work_done=now.work_done and max(before.work_done or 0.0, now.work_done),
    )


def drawn(progress: Progress, width: int) -> list[Line]:
    """The panel in at most `width` columns."""
    titles = (_("In all"), _("Now"))
    column = max(cell_len(title) for title in titles) + 2
    room = max(10, width - column)
    now = _fraction(progress.current_done, progress.current_size) if progress.current_size else None
    indent = Piece(" " * column)
    gap: list[Line] = [()] if width >= _ROOMY else []
    current = Piece(middle_cut(progress.current, room), "progress-panel--muted")
    bars = [(Piece(left(titles[1], column)), *bar(now, room)), (indent, current)]
    if progress.files_total == 1:  # a second bar would only say the same
        bars = [(Piece(left(titles[1], column)), current), (indent, Piece(progress.phase))]
    elif progress.phase:
        bars[1] = (indent, Piece(progress.phase))
    speed = [Piece(_speed(progress)), Piece(_(", "))] if _speed(progress) else []
    return [
        (Piece(left(titles[0], column)), *bar(progress.fraction, room)),
        (indent, Piece(_counts(progress))),
        *gap,
        *bars,
        *gap,
        (indent, *speed, *_errors(progress.errors)),
    ]


def bar(fraction: float | None, width: int) -> Line:
    """A bar with its percentage; 100 % is shown only when nothing is missing. None: not known."""
    cells = max(1, width - 6)
    if fraction is None:
        return (Piece(_EMPTY * cells, "progress-panel--rest"), Piece("   -- "))
    full = int(fraction * cells)
    return (
        Piece(_FULL * full, "progress-panel--bar"),
        Piece(_EMPTY * (cells - full), "progress-panel--rest"),
        Piece(f" {int(fraction * 100):>3} %"),
    )


def _fraction(done: int, total: int | None) -> float | None:
    if total is None:
        return None
    return min(1.0, max(0.0, done / total)) if total > 0 else 1.0


def _counts(progress: Progress) -> str:
    done, files = size(progress.bytes_done), grouped(progress.files_done)
    if progress.bytes_total is not None:
        done = _("{done} of {total}").format(done=done, total=size(progress.bytes_total))
    if progress.files_total is None:
        told = ngettext("{done} file", "{done} files", progress.files_done)
        return listed((done, told.format(done=files)))
    told = ngettext("{done} of {total} file", "{done} of {total} files", progress.files_total)
    return listed((done, told.format(done=files, total=grouped(progress.files_total))))


def _speed(progress: Progress) -> str:
    parts = [] if progress.rate is None else [_("{size} a second").format(size=size(int(progress.rate)))]
    if progress.seconds_left is not None and progress.fraction != 1.0:
        parts.append(about(progress.seconds_left))
    return listed(parts)


def _errors(count: int) -> Line:
    if not count:
        return (Piece(_("no errors"), "progress-panel--muted"),)
    told = ngettext("{count} ERROR so far", "{count} ERRORS so far", count).format(count=grouped(count))
    return (Piece(told, "progress-panel--bad"),)
