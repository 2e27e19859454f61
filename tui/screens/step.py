"""What all screens of the road have in common: the frame, the work on the host, the keys everywhere."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeVar

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, Static

from core.errors import SalvageError
from core.i18n import N_, _, listed, noted
from core.operator import Operator
from core.session import Session
from core.text import safe
from core.volumes.model import Volume
from core.volumes.state import Seen, how_seen
from tui import coaching
from tui.chosen import Protection
from tui.flow import Flow
from tui.keys import in_ascii, press_of
from tui.openable import content
from tui.plain import plain
from tui.screens.dialog import EVERYWHERE, Dialog, TooSmall, concerns
from tui.screens.lessons import LESSONS
from tui.widgets.coach import MOST, Coach
from tui.widgets.filtered import FilteredRows
from tui.widgets.rail import Rail
from tui.widgets.side import Part, Side

if TYPE_CHECKING:
    from tui.app import SalvageApp

T = TypeVar("T")
Key = tuple[str, str]
"""A key as it is named on the last line, and what it does."""

WIDE = 140
"""Columns of the screen from which on panels stand beside the step."""
LOW = 18
"""Lines of the screen below which only what is needed to choose stands there."""
_SEEN = {
    Seen.OVERLAY: N_("over an overlay"),
    Seen.REPLAYED: N_("journal replayed"),
    Seen.REPAIRED: N_("repaired"),
}
"""What is said of a file system that is not as it lies on the disk."""
GAP = 2
"""Columns between two keys of the last line; none behind the last one."""
SIDE = 50
"""Columns that they take."""


class KeyLine(Static):
    """The last line: the keys that count now, as many as fit. A click on one is as good as pressing it."""

    _keys: tuple[Key, ...] = ()
    _always: Key | None = None

    def show(self, keys: Sequence[Key], always: Key | None = None) -> None:
        """Show the first keys that fit; Esc, and `always` at the end, stand there whatever else fits.

        In a dialog the key of its explanation comes last, where there is room.
        """
        screen = self.screen
        if isinstance(screen, Dialog) and screen.topic:
            keys = [*keys, ("F1" if isinstance(screen.focused, Input) else "?", _("help"))]
        self._keys, self._always = tuple(keys), always
        self.refresh()

    def render(self) -> Content:
        parts: list[Content | tuple[str, str] | str] = []
        for name, does in self._fitting():
            parts += [(" " * GAP if parts else ""), (name, "bold"), " ", (does, "$text-muted")]
        return Content.assemble(*parts)

    def on_click(self, event: events.Click) -> None:
        place = event.get_content_offset(self)
        left = -1 if place is None else place.x  # the first place of all is false
        for key in self._fitting():
            if 0 <= left < _width(key) - GAP and (pressed := press_of(key[0])):
                self.app.post_message(pressed)
            left -= _width(key)

    def _fitting(self) -> list[Key]:
        """What fits now, in the characters that are shown now."""
        told = in_ascii if getattr(self.app, "ascii_only", False) else str
        always = self._always and (told(self._always[0]), self._always[1])
        room = max(20, self.content_size.width or self.app.size.width - 2) + GAP
        room -= _width(always) if always else 0
        shown: list[Key] = []
        keys = [(told(name), does) for name, does in self._keys]
        back = sum(_width(key) for key in keys if key[0] == "Esc")
        for key in keys:
            if key[0] == "Esc":
                back = 0
            if _width(key) + back <= room:
                room -= _width(key)
                shown.append(key)
        return [*shown, always] if always else shown


def _width(key: Key) -> int:
    """Columns that a key takes, with the gap behind it."""
    return cell_len(key[0]) + 1 + cell_len(key[1]) + GAP


class Frame(Screen[None]):
    """A screen with a head, a body, a line that says what is going on, and the keys."""

    app: "SalvageApp"
    topic: ClassVar[str] = ""
    """Which explanation F1 opens."""
    step: ClassVar[int] = -1
    """Which of the seven steps it is; -1 for none."""
    BINDINGS: ClassVar[list[BindingType]] = [
        *EVERYWHERE,
        Binding("c", "commands", N_("the commands, as one would type them"), show=False),
        Binding("u", "stack", N_("undo stack"), show=False),
        Binding("b", "steps", N_("back to a step"), show=False),
        Binding("escape", "back", N_("one step back"), show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.busy = ""
        self.operator: Operator | None = None
        self.asked: set[int] = set()
        """The numbers of the coach's questions that were asked here."""

    @property
    def flow(self) -> Flow:
        return self.app.flow

    # -- the frame -----------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        if concerns(event, self):
            await super().on_event(event)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that come before the step stands there are not for it; before the first step is none."""
        nowhere = action == "steps" and self.step <= 0
        return super().check_action(action, parameters) if self.is_mounted and not nowhere else False

    def has_use(self, action: str) -> bool:
        """Whether a key's action has anything to do now: others are not among the keys that are told."""
        return True

    def compose(self) -> ComposeResult:
        yield Rail() if self.step >= 0 else Static(id="head")
        with Horizontal(id="middle"):
            with Vertical(id="body"):
                yield from self.body()
            yield Side()
        yield Coach()
        yield Static(id="status")
        yield KeyLine(id="keys")
        yield TooSmall()

    def body(self) -> ComposeResult:
        """The widgets of the step."""
        yield from ()

    def keys(self) -> list[Key]:
        """The keys that count on this step, the most important first."""
        return []

    def on_mount(self) -> None:
        for one in self.app.screen_stack:
            if isinstance(one, Frame) and one.step < self.step:
                one.asked.clear()  # whoever comes back from here to that step decides there anew
        self.refresh_frame()
        self.call_after_refresh(coaching.ask, self)

    def on_screen_resume(self) -> None:
        self.refresh_frame()
        self.call_after_refresh(coaching.ask, self)

    def on_resize(self) -> None:
        self.refresh_frame()

    def on_filtered_rows_filtering(self) -> None:
        self.refresh_frame()

    def on_facts_changed(self) -> None:
        self.refresh_frame()

    def refresh_frame(self) -> None:
        """Draw the head and the keys anew from what is true now."""
        if self.step >= 0:
            self.query_one(Rail).show(self.step, self._chosen())
        else:
            head = Content.assemble(("virt-salvage", "bold"), ("  " + self.subtitle(), "$text-muted"))
            self.query_one("#head", Static).update(head)
        self._refresh_side()
        everywhere = [
            ("c", _("commands")),
            ("u", _("undo stack") if self.app.size.width >= 96 else _("stack")),
            *([("b", _("steps"))] if self.step > 0 and not self.busy else []),
            ("d", _("words")),
            ("q", _("quit")),
        ]
        keys = self.keys()
        if isinstance(self.focused, FilteredRows) and self.focused.typed:
            keys = [(key, _("show all") if key == "Esc" else does) for key, does in keys]
        if isinstance(self.focused, FilteredRows) and self.focused.filtering:
            typed = [("Enter", _("keep the filter")), ("Esc", _("show all")), ("↑↓", _("move"))]
            self.query_one(KeyLine).show(typed, ("F1", _("help")))
        elif isinstance(self.focused, Input):
            self.query_one(KeyLine).show(keys, ("F1", _("help")))
        else:
            self.query_one(KeyLine).show(keys + everywhere, ("?", _("help")))

    def about(self) -> Volume | None:
        """The volume that the step is about, where it is not the open one."""
        return None

    def advice(self) -> list[Part]:
        """What the coach says here; nothing without one."""
        return coaching.advice(self.flow, self.topic, self.about())

    def _refresh_side(self) -> None:
        """What stands beside the step where there is room for it."""
        width, height = self.app.size
        said = self.advice()
        below = () if width >= WIDE or height < LOW else said
        self.query_one(Coach).show(below, width, self.spare(height))
        self.set_class(bool(below), "-coached")
        if width >= WIDE and self.topic:
            up = [entry for shown in self.flow.in_sight[::-1] for entry in shown.entries]
            newest = sorted([*self.flow.standing, *up], key=lambda entry: entry.since, reverse=True)
            self.query_one(Side).show(said or self.beside(), newest)

    def spare(self, height: int) -> int:
        """Lines that the coach may take on a screen of that many."""
        return max(2, min(MOST, height - 20))

    def beside(self) -> Sequence[Part]:
        """What stands beside the step on a wide screen, where no coach speaks: what the step is."""
        return LESSONS[self.topic].parts()

    @property
    def room(self) -> int:
        """Columns that a line of the step may take."""
        width = self.app.size.width
        return max(20, width - 4 - (SIDE if width >= WIDE else 0))

    def subtitle(self) -> str:
        """What stands beside the program's name where there is no rail."""
        return ""

    def _chosen(self) -> dict[int, str]:
        """What was chosen so far, by the step at which it was."""
        flow = self.flow
        chosen: dict[int, str] = {}
        if flow.disk and self.step > 0:
            chosen[0] = " + ".join(flow.names)
        if flow.inspection and self.step > 1:
            chosen[1] = _("overlay") if flow.protection is Protection.OVERLAY else _("read only")
        if flow.volume and self.step > 3:
            _way, state, subvolume = flow.opened
            over = flow.protection is Protection.OVERLAY
            files = how_seen(state, pending=flow.volume.pending, writable=over)
            # that there is an overlay stands at the step before, where it was chosen there
            altered = _(_SEEN[files]) if files in _SEEN and not (over and files is Seen.OVERLAY) else ""
            words = (content(flow.volume), safe(subvolume), altered)
            chosen[2] = noted(flow.volume.title, listed(words))
        elif self.step == 3 and (volume := self.about()):
            chosen[2] = noted(volume.title, content(volume))
        if flow.target and self.step > 4:
            chosen[5] = _("to {path}").format(path=flow.target.word)
        return chosen

    def say(self, text: str) -> None:
        """One line above the keys: what is going on, or what was just done."""
        self.query_one("#status", Static).update(plain(text))

    # -- work ----------------------------------------------------------------------------------

    def work(
        self,
        told: str,
        job: Callable[[], T],
        then: Callable[[T], object],
        failed: Callable[[SalvageError], object] | None = None,
        operator: Operator | None = None,
    ) -> None:
        """Let the operator do `job` and hand its result to `then`; errors go to `failed`.

        Only one piece of work goes on at a time: Esc stops it, other keys that start one are not heard.
        """
        if self.busy:
            self.app.bell()
            return
        self.busy = told
        self.operator = operator or self.flow.operator
        self.set_timer(0.1, self._sign)
        future = self.operator.submit(job)
        self.app.follow(future, self._ended(then), self._ended(failed or self.app.trouble))

    def _ended(self, goes_on: Callable[[T], object]) -> Callable[[T], None]:
        def ended(value: T) -> None:
            self.busy = ""
            self.operator = None
            if self in self.app.screen_stack:
                self.say("")
            top = self.app.screen
            if isinstance(top, Dialog) and not top.passing:
                top.afterwards(partial(goes_on, value))
            else:
                goes_on(value)

        return ended

    def _sign(self) -> None:
        if self.busy and self in self.app.screen_stack:
            stopping = self.operator is not None and self.operator.cancel.cancelled
            self.say(self.busy if stopping else _("{work} Esc stops it.").format(work=self.busy))

    def stop(self) -> bool:
        """Ask the work to stop; whether there is any."""
        if not self.operator:
            return False
        self.busy = _("Stopping...")
        self.say(self.busy)
        self.operator.cancel.cancel()
        return True

    # -- keys everywhere -----------------------------------------------------------------------

    def action_back(self) -> None:
        # A key that was on its way when the next step came was not meant for that: its work would be lost
        if not self._passed_by() and not self.stop():
            self.back()

    def _passed_by(self) -> bool:
        """Whether another step stands over this one by now, or it was left."""
        stack = self.app.screen_stack
        return self not in stack or any(isinstance(one, Frame) for one in stack[stack.index(self) + 1 :])

    def back(self) -> None:
        """One step back; what hangs below is taken down."""
        self.leave()

    def to_top(self) -> None:
        """Close what was opened over this step meanwhile."""
        while self in self.app.screen_stack and self.app.screen is not self:
            self.app.pop_screen()

    def leave(self) -> None:
        """Close this step, and what stands over it meanwhile."""
        while self in self.app.screen_stack:
            self.app.pop_screen()

    def plan(self) -> Callable[[Session], None] | None:
        """What this step would do to the host; None when nothing."""
        return None

    def plan_told(self) -> str:
        """A sentence on what the plan is for."""
        return ""

    def action_commands(self) -> None:
        from tui.screens.commands import CommandsScreen

        self.app.push_screen(CommandsScreen(self.plan(), self.plan_told()))

    def action_stack(self) -> None:
        from tui.screens.stack import StackScreen

        self.app.push_screen(StackScreen())

    # -- back to a step ------------------------------------------------------------------------

    def action_steps(self) -> None:
        from tui.screens.steps import StepsScreen

        def picked(step: int | None) -> None:
            if step is not None:
                self.go_to(step)

        if self.step > 0:
            self.app.push_screen(StepsScreen(self.step, self._chosen(), self.busy), picked)

    def on_rail_went(self, event: Rail.Went) -> None:
        self.go_to(event.step)

    def go_to(self, step: int) -> None:
        """Back to a step that was gone already; what hangs below it is taken down first."""
        flow = self.flow
        closing = (flow.do_close, flow.do_close_view, flow.do_close_volume, flow.do_close_volume)
        if step < len(closing):
            told = _("Taking down what hangs below that step.")
            self.work(told, closing[step], lambda _none: self.app.back_to_step(step))
        else:
            self.app.back_to_step(step)
