"""The wizard: its keys, its signals, and how it ends."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import takewhile
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar, TypeVar

from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.scrollbar import ScrollBar, ScrollBarRender

from core.ascii import to_ascii
from core.errors import Cancelled, Exit, NoSpace, SalvageError
from core.i18n import _
from core.text import keep_to_ascii
from core.undo.health import ExportEnded
from core.undo.stack import Release
from core.undo.state import StateFolder
from tui import ending
from tui.breaking import teach_textual
from tui.chosen import Wish
from tui.flow import Flow
from tui.keys import Bound, keys_of
from tui.plain import ansi_only, as_started, filters, on_console, wants_plain
from tui.screens.busy import BusyScreen, undoing
from tui.screens.dialog import LEAST, Dialog, TooSmall
from tui.screens.disk import DiskScreen
from tui.screens.help import HelpScreen
from tui.screens.palette import PaletteScreen
from tui.screens.quitting import LEAVE, TAKE_DOWN, QuitScreen
from tui.screens.start import StartScreen
from tui.screens.step import LOW, WIDE, Frame
from tui.screens.trouble import TroubleScreen
from tui.screens.words import WordsScreen
from tui.themes import CONSOLE, DAY, NIGHT, THEMES, theme_for
from tui.tidying import tidy_seldom
from tui.wire import SparingDriver, Wire

T = TypeVar("T")

SWITCH = 0.001
"""Seconds that other threads may keep the interpreter while the screen wants it: a key is answered soon."""
_QUIT = ("q", "ctrl+q", "ctrl+c")
"""What leaves from wherever one is."""
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class WholeCells(ScrollBarRender):
    """A scroll bar that begins and ends at whole cells: not every font has the eighths of one."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "]
    HORIZONTAL_BARS: ClassVar[list[str]] = [" "]


ScrollBar.renderer = WholeCells


class SalvageApp(App[int]):
    """The guided way from a dead machine's disk to its files."""

    CSS_PATH = "app.tcss"
    TITLE = "virt-salvage"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-tiny"),
        (LEAST[0], "-usual-width"),
        (96, "-roomy"),
        (WIDE, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-flat"),
        (LEAST[1], "-low"),
        (LOW, "-short"),
        (22, "-usual"),
        (28, "-tall"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", priority=True, show=False),
        Binding("ctrl+c", "quit", priority=True, show=False),
    ]
    """Everywhere, also where a line takes the letters; see `EVERYWHERE` for the other keys of all screens."""

    def __init__(
        self, flow: Flow, wish: Wish | None = None, *, ascii_only: bool = False, colour: bool = True
    ) -> None:
        theme = theme_for(os.environ) if colour else CONSOLE.name
        super().__init__(driver_class=SparingDriver, ansi_color=theme == CONSOLE.name)
        teach_textual()
        self.wire = Wire()
        self.flow = flow
        self.wish = wish
        self.ascii_only = ascii_only
        self.colour = colour
        self.on_console = on_console(os.environ)
        self.failure: BaseException | None = None
        self._ended: set[str] = set()
        self._full = ""
        self.terminal_before: ending.Attributes | None = None
        for one in THEMES:
            self.register_theme(one)
        self.theme = theme
        self.animation_level = "none"

    def on_resize(self) -> None:
        self.wire.forget()

    async def on_event(self, event: events.Event) -> None:
        width, height = self.size
        small = width < LEAST[0] or height < LEAST[1]
        if not (small and isinstance(event, (events.Key, events.Paste))):
            await super().on_event(event)
        elif isinstance(event, events.Key) and event.key in _QUIT:
            self.flow.do_forget_gone()
            if self.something_up:  # then it would be asked, where nobody sees it
                self.screen.query(TooSmall).refresh()
            else:
                await self.action_quit()

    def action_redraw(self) -> None:
        """Draw all anew: the kernel or another program wrote over the screen."""
        self.wire.again()
        self.refresh()

    def get_line_filters(self) -> list[LineFilter]:
        return filters(
            super().get_line_filters(),
            ascii_only=self.ascii_only,
            colour=self.colour,
            console=self.on_console,
        )

    def on_mount(self) -> None:
        if not self.is_headless:
            for number in SIGNALS:
                signal.signal(number, self._interrupted)
            tidy_seldom(self)
        self.set_class(self.no_color or not self.colour, "-bare")
        self.set_interval(1.0, self._look_after)
        self.push_screen(StartScreen())
        if self.wish:
            self.push_screen(DiskScreen(self.wish))

    # -- work ----------------------------------------------------------------------------------

    def follow(
        self, future: "Future[T]", then: Callable[[T], object], failed: Callable[[SalvageError], object]
    ) -> None:
        """Wait for work without blocking, and go on on the side of the screens, if they are still there."""

        async def wait() -> None:
            try:
                value = await asyncio.wrap_future(future)
            except SalvageError as error:
                if self.is_running:
                    failed(error)
            else:
                if self.is_running:
                    then(value)

        self.run_worker(wait(), group="work")

    def trouble(self, error: SalvageError) -> None:
        """Tell an error; a wish to stop is none."""
        if isinstance(error, Cancelled):
            if isinstance(self.screen, Frame):
                self.screen.say(_("Stopped."))
        elif isinstance(error, ExportEnded):
            self._export_ended(error)
        else:
            self.push_screen(TroubleScreen(error))

    def _look_after(self) -> None:
        """Notice that a daemon ended, between two pieces of work; and that an overlay has no room left."""
        session = self.flow.session
        if session and not any(isinstance(one, Frame) and one.busy for one in self.screen_stack):
            ended = session.health()
            if ended:
                self._export_ended(ended)
        self._watch_room()

    def _watch_room(self) -> None:
        """Tell it once when the file system under an overlay is full, and again when it was full before."""
        told = self.flow.full()
        if told and not self._full:
            remedy = _("Make room there, or copy what you need out of the mount and take it down.")
            self.push_screen(TroubleScreen(NoSpace(told, remedy=remedy)))
        self._full = told

    def _export_ended(self, error: ExportEnded) -> None:
        """Take down what stands on a dead export, once, and tell it."""
        if error.what in self._ended:
            return
        self._ended.add(error.what)

        def told(_none: object) -> None:
            self.fall_back()
            self.push_screen(TroubleScreen(error))

        self.follow(self.flow.operator.submit(self.flow.do_close_view), told, self.trouble)

    def fall_back(self) -> None:
        """Go back to the step that what is still up carries; the end of the road may stay."""
        from tui.screens.done import DoneScreen
        from tui.screens.files import FilesScreen
        from tui.screens.partitions import PartitionsScreen
        from tui.screens.protect import ProtectScreen
        from tui.screens.volume import VolumeScreen

        if isinstance(self.screen, DoneScreen):
            return
        on = [type(screen) for screen in self.screen_stack]
        if PartitionsScreen in on and not self.flow.view_open:
            self.back_to(ProtectScreen)
        elif FilesScreen in on and not self.flow.volume_open:
            self.back_to(VolumeScreen)

    # -- keys everywhere -----------------------------------------------------------------------

    def action_explain(self) -> None:
        """What this screen is, and its keys."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(
                HelpScreen(self._topic(), [(one.names, one.does) for one in keys_of(self.screen)])
            )

    def action_words(self) -> None:
        if not isinstance(self.screen, WordsScreen):
            self.push_screen(WordsScreen(self._topic()))

    def action_palette(self) -> None:
        """All keys of this screen, to choose from."""
        if isinstance(self.screen, PaletteScreen):
            return

        def picked(one: Bound | None) -> None:
            if one:
                self.run_worker(self.run_action(one.action, one.node), group="work")

        offered = [one for one in keys_of(self.screen) if "-" not in one.names]
        self.push_screen(PaletteScreen(offered), picked)

    def action_brightness(self) -> None:
        """From the dark colours to the bright ones, and back; a console keeps its own."""
        if self.theme != CONSOLE.name:
            self.theme = DAY.name if self.theme == NIGHT.name else NIGHT.name

    def _topic(self) -> str:
        """What the help is about: the screen on top, or the step below it."""
        named = (
            one.explained if isinstance(one, Dialog) else one.topic
            for one in reversed(self.screen_stack)
            if isinstance(one, (Frame, Dialog))
        )
        return next(filter(None, named), "start")

    # -- screens -------------------------------------------------------------------------------

    def push_screen(
        self, screen: Any, callback: Callable[[Any], object] | None = None, *more: Any, **named: Any
    ) -> Any:
        """Put a screen on top; not a second of its kind over a step, for a key that was pressed twice.

        What only explains goes before the next step comes: it would lie below it. An answer goes to
        `callback` as long as the step that asked was not left: keys may come faster than screens.
        """
        if isinstance(screen, (Frame, Dialog)) and not isinstance(screen, TroubleScreen):
            over = takewhile(lambda one: isinstance(one, Dialog), reversed(self.screen_stack))
            if type(screen) in {type(one) for one in (self.screen_stack[-1], *over)}:
                return None
        while isinstance(screen, Frame) and isinstance(top := self.screen_stack[-1], Dialog) and top.passing:
            self.pop_screen()
        step = next((one for one in reversed(self.screen_stack) if isinstance(one, Frame)), None)

        def answered(answer: Any) -> Any:
            there = callback is not None and (step is None or step in self.screen_stack)
            return callback(answer) if callback and there else None

        return super().push_screen(screen, callback and answered, *more, **named)

    # -- back ----------------------------------------------------------------------------------

    def back_to_step(self, step: int) -> None:
        """Go back over the screens to that step, or to the last one that what is up still carries."""
        while len(self.screen_stack) > 2 and not (
            isinstance(self.screen, Frame) and self.screen.step == step
        ):
            self.pop_screen()
        self.fall_back()

    def back_to(self, kind: type[Frame]) -> None:
        """Go back over the screens until one of that kind is on top."""
        while not isinstance(self.screen, kind) and len(self.screen_stack) > 2:
            self.pop_screen()

    # -- the end -------------------------------------------------------------------------------

    @property
    def something_up(self) -> bool:
        """Whether it is asked before leaving, since something is still up."""
        return bool(self.flow.road_stands or self.flow.in_sight)

    async def action_quit(self) -> None:
        if isinstance(self.screen, QuitScreen):
            return
        self.flow.do_forget_gone()
        if self.something_up:
            self.push_screen(QuitScreen(), self._answered)
        else:
            self._leave(Exit.DONE)

    def _answered(self, answer: str | None) -> None:
        if answer == TAKE_DOWN:
            names = [shown.session for shown in self.flow.in_sight]
            future = self.flow.outside.submit(self.flow.do_undo, names)
            self.follow(future, lambda releases: self._taken_down(names, releases), self.trouble)
        elif answer == LEAVE:
            self._leave(Exit.DONE)

    def _taken_down(self, names: list[str], releases: list[Release]) -> None:
        if all(release.released for release in releases):
            self._leave(Exit.DONE)
            return

        def settled(releases: list[Release] | None) -> None:
            if all(release.released for release in releases or ()):
                self._leave(Exit.DONE)

        again = undoing(self.flow, names)
        self.push_screen(BusyScreen(releases, again, self.flow.outside), settled)

    def _interrupted(self, _number: int, _frame: FrameType | None) -> None:
        """A signal, which is also how a lost terminal is told.

        The event loop may be blocked for good, writing to a terminal that takes nothing any more, so
        the rest is done by a thread of its own and does not come back here.
        """
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        threading.Thread(target=ending.end_now, args=(self.flow, self.terminal_before), daemon=True).start()

    def _leave(self, status: Exit) -> None:
        self.flow.operator.cancel.cancel()
        self.flow.outside.cancel.cancel()
        future = self.flow.operator.submit(self.flow.do_close)

        def failed(error: SalvageError) -> None:
            self.failure = error
            self.exit(Exit.FAILED, return_code=Exit.FAILED)

        self.follow(future, lambda _none: self.exit(status, return_code=status), failed)

    def _fatal_error(self) -> None:
        """End after an error of our own without a traceback: its variables may hold secrets."""
        self.failure = self._exception
        self._close_messages_no_wait()


def run(
    state: StateFolder,
    disk: str | None,
    plain: bool,
    format: str | None = None,
    allow: Sequence[Path] = (),
) -> int:
    """Run the wizard, at `disk` if one is given; the exit status.

    `format` and `allow` are the operator's word on that disk, as for `Session.select`.
    """
    wish = Wish(disk, format, tuple(allow)) if disk is not None else None
    ascii_only = plain or wants_plain(as_started(os.environ))
    if ascii_only:
        keep_to_ascii()
    flow = Flow(state)
    sys.setswitchinterval(SWITCH)
    app = SalvageApp(flow, wish, ascii_only=ascii_only, colour=not plain)
    app.terminal_before = ending.terminal()
    status: Any = Exit.FAILED
    try:
        # a console without a mouse is spared the bytes that ask for one
        status = app.run(mouse=not (plain or ansi_only(os.environ)))
    finally:
        told = ending.end(flow)
    if app.failure:
        told.insert(0, ending.told(app.failure))
        status = Exit.FAILED
    for line in told:
        sys.stderr.write((to_ascii(line) if ascii_only else line) + "\n")
    return int(status) if status is not None else int(Exit.FAILED)
