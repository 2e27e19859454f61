"""The first screen: what shall be done."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import OptionList, Static

from core import tools
from core.i18n import _, ngettext
from core.undo.state import Known
from tui.screens.disk import DiskScreen
from tui.screens.leftovers import LeftoversScreen
from tui.screens.menu import Choice, Menu
from tui.screens.practise import PractiseScreen
from tui.screens.step import WIDE, Frame, Key
from tui.widgets.opening import Road, picture

ROOMY = 40
"""Lines of a wide screen from which on the steps of the road stand below the choices."""


class StartScreen(Frame):
    """Practise, recover, finish what is left, or quit: the practice disk first, for who is new here."""

    topic: ClassVar[str] = "start"

    def __init__(self) -> None:
        super().__init__()
        self._left: list[Known] = []

    def body(self) -> ComposeResult:
        yield Static(picture(), id="picture", markup=False)
        yield Static(id="left", classes="warning")
        yield Static(_("What shall be done?"), classes="question", markup=False)
        yield Menu(self._choices())
        yield Road()

    def _choices(self) -> list[Choice]:
        none = _("Nothing of an earlier session is still up.")
        told = ngettext(
            "{count} session was not taken down yet: see what is left of it, and take that down.",
            "{count} sessions were not taken down yet: see what is left of them, and take that down.",
            len(self._left),
        )
        return [
            Choice(
                "practise",
                _("Practise on a disk made for it"),
                _("Builds a small broken disk with a task. Nothing can be spoilt."),
            ),
            Choice(
                "recover",
                _("Recover files from a disk"),
                _("Choose a disk, look into it, copy files out. The disk stays as it is."),
            ),
            Choice(
                "left",
                _("Take down what an earlier session left up"),
                told.format(count=len(self._left)),
                "" if self._left else none,
            ),
            Choice("quit", _("Quit")),
        ]

    def keys(self) -> list[Key]:
        return [("↑↓", _("move")), ("Enter", _("choose"))]

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#left").display = False
        self.query_one(Menu).focus()

    def refresh_frame(self) -> None:
        super().refresh_frame()
        width, height = self.app.size
        self.query_one(Road).display = width >= WIDE and height >= ROOMY

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.work(_("Looking what is still up."), self.flow.left, self._found, operator=self.flow.outside)

    def _found(self, left: list[Known]) -> None:
        self._left = left
        self.query_one(Menu).offer(self._choices())
        dead = [known for known in left if known.is_leftover]
        rows = [problem] if (problem := tools.start_up_problem()) else []
        if dead:
            told = ngettext(
                "{count} earlier session ended without taking down what it put up. Choose 3 to see it.",
                "{count} earlier sessions ended without taking down what they put up. Choose 3 to see them.",
                len(dead),
            )
            rows.append(told.format(count=len(dead)))
        self.query_one("#left", Static).update(Content("\n".join(rows)))
        self.query_one("#left").display = bool(rows)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if self.busy:
            return
        if event.option.id == "recover":
            self.app.push_screen(DiskScreen())
        elif event.option.id == "practise":
            self.app.push_screen(PractiseScreen())
        elif event.option.id == "left":
            self.app.push_screen(LeftoversScreen())
        else:
            self.app.call_later(self.app.action_quit)

    def back(self) -> None:
        """Nothing lies behind it: somebody on the way back with Esc does not mean the shell."""
        self.say(_("This is the first step; q quits."))
