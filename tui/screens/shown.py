"""A volume that is mounted in everybody's sight: where, and how it is taken down."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, Static

from core.i18n import N_, _, sentences
from core.text import safe
from core.undo.stack import Release
from tui.chosen import InSight
from tui.plain import plain
from tui.screens.busy import BusyScreen, undoing
from tui.screens.commit import CommitScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.menu import Choice, Menu
from tui.screens.step import Frame, Key
from tui.widgets.facts import Facts


class ShownScreen(Frame):
    """Leave it up and go on, or take it down."""

    topic: ClassVar[str] = "shown"
    step: ClassVar[int] = 3
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "read_on", N_("read on"), show=False),
    ]

    def __init__(self, shown: InSight) -> None:
        super().__init__()
        self.shown = shown

    def body(self) -> ComposeResult:
        shown = self.shown
        yield Static(_("Mounted"), classes="question", markup=False)
        told = _("{volume} is at {path}, for reading only.")
        if shown.writable:
            told = _("{volume} is at {path}; what is written there lands in an overlay.")
        with Facts(id="facts"):
            where = told.format(volume=shown.title[:1].upper() + shown.title[1:], path=safe(shown.point))
            later = Content(_("It stays when this program ends. To take it down later:"))
            by_hand = plain("  " + self.flow.state.command("undo", shown.session))
            yield Static(Content("\n").join([plain(where), Content(""), later, by_hand]))
        end = _("End first what uses it: shells, editors, viewers.")
        lost = _("What was written there is thrown away.") if shown.writable else ""
        choices = [
            Choice("stay", _("Leave it up and go back")),
            Choice("down", _("Take it down now"), sentences((lost, end))),
        ]
        if shown.writable:
            line = _("Takes the mount down, shows what changed, asks for the disk's name, backs up, writes.")
            choices.append(Choice("commit", _("Write the changes back into the disk"), line))
        yield Menu(choices)

    def keys(self) -> list[Key]:
        more = [("Space", _("read on"))] if self.is_mounted and self.query_one(Facts).long else []
        return [("↑↓", _("move")), ("Enter", _("choose")), *more, ("Esc", _("leave it up"))]

    def action_read_on(self) -> None:
        self.query_one(Facts).turn()

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Menu).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option.id == "down" and self.shown.writable:
            self._ask_twice()
        elif event.option.id == "down":
            self._take_down()
        elif event.option.id == "commit":
            self.app.push_screen(
                CommitScreen(self.shown.session, self.flow.wish.allow if self.flow.wish else ())
            )
        else:
            self.leave()

    def _ask_twice(self) -> None:
        """What was written cannot be had again."""
        lost = _("What was written to {path} is thrown away.").format(path=safe(self.shown.point))
        down = Choice("down", _("Take it down all the same"))
        asked = ConfirmScreen(_("What was written is thrown away"), [plain(lost)], [down], wary=True)
        self.app.push_screen(asked, lambda answer: self._take_down() if answer else None)

    def _take_down(self) -> None:
        names = [self.shown.session]
        self.work(
            _("Taking it down."), lambda: self.flow.do_undo(names), self._undone, operator=self.flow.outside
        )

    def _undone(self, releases: list[Release]) -> None:
        if all(release.released for release in releases):
            self._down()
            return

        def settled(releases: list[Release] | None) -> None:
            if releases is not None and all(release.released for release in releases):
                self._down()

        again = undoing(self.flow, [self.shown.session])
        self.app.push_screen(BusyScreen(releases, again, self.flow.outside), settled)

    def _down(self) -> None:
        """Go back, and say what became of it where somebody looks then."""
        self.leave()
        if isinstance(screen := self.app.screen, Frame):
            screen.say(_("{target}: taken down.").format(target=safe(self.shown.point)))
