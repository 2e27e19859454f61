"""Mounting a volume in everybody's sight: asks where, mounts it there, and shows it."""

from collections.abc import Callable
from pathlib import Path

from core.errors import NotEmpty, SalvageError, WantsOverlay
from core.i18n import _
from core.text import safe
from core.volumes.model import Volume
from core.volumes.state import State
from tui.chosen import InSight
from tui.screens.ask import AskPath
from tui.screens.shown import ShownScreen
from tui.screens.step import Frame
from tui.screens.trouble import Remedy, TroubleScreen

USUAL = Path("/mnt/salvage")
"""Where a volume is mounted if the operator names no other place."""


class SightFrame(Frame):
    """A step that can mount its volume in sight; the place asked for is remembered."""

    point = USUAL

    def ask_point(self, volume: Volume, *, writable: bool = False, state: State = State.LEFT) -> None:
        """Ask for a folder and mount the volume there, in that state of its file system."""
        line = _("An empty folder; it is made if it is missing.")

        def answered(point: Path | None) -> None:
            if point:
                self.point = point
                show(point, state)

        def show(point: Path, state: State) -> None:
            self.work(
                _("Mounting at {path}.").format(path=safe(point)),
                lambda: self.flow.do_show(volume, point, writable, state),
                self._mounted,
                lambda error: failed(error, point),
                operator=self.flow.outside,
            )

        def failed(error: SalvageError, point: Path) -> None:
            if isinstance(error, NotEmpty):
                other = Remedy(
                    _("Choose another folder"), lambda: self.ask_point(volume, writable=writable, state=state)
                )
                self.app.push_screen(TroubleScreen(error, [other]))
            else:
                self.trouble(error, lambda: show(point, State.REPLAYED))

        self.app.push_screen(
            AskPath(_("Where shall it be mounted?"), line, self.point, folders_only=True), answered
        )

    def trouble(self, error: SalvageError, over: Callable[[], object]) -> None:
        """Tell an error; `over` does the same over an overlay, for a volume that wants one."""
        if isinstance(error, WantsOverlay):
            line = _("A throw-away layer takes what is written; the disk stays as it is.")
            self.app.push_screen(TroubleScreen(error, [Remedy(_("Open it over an overlay"), over, line)]))
        else:
            self.app.trouble(error)

    def _mounted(self, shown: InSight) -> None:
        self.app.push_screen(ShownScreen(shown))
