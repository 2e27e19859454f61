"""What all screens have in common that stand over a step: the keys that count everywhere."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual import events
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import OptionList, Static

from core.i18n import N_, _
from tui.widgets.pager import Pager

if TYPE_CHECKING:
    from tui.app import SalvageApp

R = TypeVar("R")

EVERYWHERE: list[BindingType] = [
    Binding("question_mark,f1", "app.explain", N_("explain this screen"), show=False),
    Binding("d", "app.words", N_("the words of the trade"), show=False),
    Binding("colon,ctrl+p", "app.palette", N_("all keys of this screen"), show=False),
    Binding("n", "app.brightness", N_("night or day: dark or bright colours"), show=False),
    Binding("ctrl+l", "app.redraw", N_("draw the screen anew"), show=False),
    Binding("q", "app.quit", N_("quit"), show=False),
]
"""On every screen. A line that one types into takes the letters for itself; F1 and Ctrl+P work there too."""


LEAST = (40, 12)
"""Columns and lines below which nothing sensible can be shown."""


_FRAME = 5
"""Lines of a dialog with a text to read that are not the text."""


class TooSmall(Static):
    """Covers a screen that has too little room for it, until there is more; the style sheet says when.

    Keys then do nothing: nobody would see what they do, nor what is asked before something is taken down.
    """

    app: "SalvageApp"

    def render(self) -> Content:
        if self.app.something_up:
            told = _(
                "This terminal is too small. {columns} columns and {lines} lines are needed; keys do nothing."
            )
        else:
            told = _("This terminal is too small. {columns} columns and {lines} lines are needed; q quits.")
        return Content(told.format(columns=LEAST[0], lines=LEAST[1]))


def concerns(event: events.Event, screen: Screen[R]) -> bool:
    """Whether the event is for a screen: none that sets it up, if it was closed before it stood there."""
    setting_up = (events.Mount, events.ScreenResume, events.ScreenSuspend, events.Resize)
    stands = screen.is_attached and screen in screen.app.screen_stack
    return stands or not isinstance(event, setting_up)


class Dialog(ModalScreen[R]):
    """A screen over a step, which answers with a value when it is closed."""

    app: "SalvageApp"
    topic: ClassVar[str] = ""
    """Which explanation F1 opens."""
    passing: ClassVar[bool] = False
    """Whether it goes by itself when the step below it goes on: nothing is asked or told only once."""
    around: ClassVar[int] = 0
    """Lines of it that are not its menu, where the menu shall take what they leave; 0: another rule."""
    BINDINGS: ClassVar[list[BindingType]] = [*EVERYWHERE]

    @property
    def explained(self) -> str:
        """The explanation of this very one: what only shows a result is no question."""
        return self.topic

    _late: tuple[R | None] | tuple[()] = ()
    """The answer that was given while another screen stood over it."""

    def __init__(self) -> None:
        super().__init__()
        self._afterwards: list[Callable[[], object]] = []

    def afterwards(self, go_on: Callable[[], object]) -> None:
        """Go on when it was answered: another step would tear the question away under somebody's hands."""
        self._afterwards.append(go_on)

    def go_on_no_more(self) -> None:
        """Forget what would go on afterwards: it was answered that nothing shall."""
        self._afterwards.clear()

    def on_unmount(self) -> None:
        for go_on in self._afterwards:
            go_on()

    async def on_event(self, event: events.Event) -> None:
        if concerns(event, self):
            await super().on_event(event)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that come before it stands there, or when it is closed already, are not for it."""
        stands = self.is_mounted and self in self.app.screen_stack
        return super().check_action(action, parameters) if stands else False

    def dismiss(self, result: R | None = None) -> AwaitComplete:
        """Answer, once: a second key that was on its way would close the screen below too.

        Under another screen it closes when that is gone: Textual would close the one on top.
        """
        stack = self.app.screen_stack
        if stack[-1:] == [self]:
            return super().dismiss(result)
        if self in stack:
            self._late = (result,)
        nothing: AwaitComplete = AwaitComplete.nothing()  # type: ignore[no-untyped-call]
        return nothing

    def on_screen_resume(self) -> None:
        if self._late:
            (result,), self._late = self._late, ()
            self.dismiss(result)

    def on_mount(self) -> None:
        if not self.query(TooSmall):
            self.mount(TooSmall())

    def on_resize(self) -> None:
        if self.around:
            for menu in self.query(OptionList):
                menu.styles.max_height = max(2, self.app.size.height - self.around)
        for pager in self.query("#dialog.-snug Pager"):
            pager.styles.max_height = max(2, self.app.size.height - _FRAME)
        self.call_after_refresh(self.name_keys)

    def name_keys(self) -> None:
        """Name the keys that depend on what there is room for, now that it is known."""

    def scroll_keys(self) -> list[tuple[str, str]]:
        """The keys that scroll, where a text is longer than its room."""
        return [("↑↓", _("scroll"))] if any(pager.max_scroll_y for pager in self.query(Pager)) else []
