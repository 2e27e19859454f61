"""The undo stack: what is up, since when, and how it is undone."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from core.i18n import N_, _, sentences
from core.undo.account import Entry
from core.undo.stack import Release
from tui.chosen import Standing
from tui.plain import plain
from tui.screens.busy import BusyScreen, undoing
from tui.screens.confirm import ConfirmScreen
from tui.screens.dialog import Dialog
from tui.screens.menu import Choice
from tui.screens.step import Frame, KeyLine
from tui.widgets.stack_list import StackList

_DIGITS = 9
"""Things whose number is one digit, which takes them down at once."""


class StackScreen(Dialog[None]):
    """What is up on this host by us, the last first."""

    topic: ClassVar[str] = "stack"
    passing: ClassVar[bool] = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,u", "close", N_("back"), show=False),
        Binding("l", "last", N_("undo the last"), show=False),
        Binding("a", "all", N_("undo all"), show=False),
        *(Binding(str(n), f"to({n})", N_("undo to that number"), show=False) for n in range(10)),
        Binding("enter", "typed", N_("undo to the number that was typed"), show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._standing: list[Standing] = []
        self._busy = False
        self._undone: list[Entry] = []
        self._typed = 0

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="wide"):
            yield Static(_("The undo stack: each session's last first"), classes="title", markup=False)
            yield Static(id="note", classes="said")
            yield StackList()
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        self.query_one(StackList).focus()
        self._look("")

    def _look(self, note: str) -> None:
        flow = self.app.flow

        def look() -> tuple[list[Standing], bool]:
            return flow.do_standing(), bool(flow.left())

        def found(told: tuple[list[Standing], bool]) -> None:
            self._standing, left = told
            others = _("Earlier sessions left something up: the start shows it, under 3.")
            self._show(note or (others if left and not self._standing else ""))

        self._busy = True
        self.app.follow(flow.operator.submit(look), found, self.app.trouble)

    def _show(self, note: str) -> None:
        self._busy = False
        if self not in self.app.screen_stack:  # closed before it came
            return
        several = len(self._standing) > 1
        self.query_one(StackList).show_groups(
            [(_headed(one) if several else "", one.entries) for one in self._standing]
        )
        self.query_one("#note", Static).update(plain(note))
        self.query_one("#note").display = bool(note)
        self.call_after_refresh(self.name_keys)

    def name_keys(self) -> None:
        road = [entry.number for one in self._standing if one.ours for entry in one.entries]
        undo = [("l", _("undo last")), ("a", _("all"))]
        if road:
            numbers = f"{min(road)}-{max(road)}" if len(road) > 1 else f"{road[0]}"
            undo.append((numbers, _("that one and above")))
        self.query_one(KeyLine).show(
            [*(undo if self._standing else []), *self.scroll_keys(), ("Esc", _("back"))]
        )

    def action_last(self) -> None:
        if self._standing and not self._standing[0].ours:
            self._show(_("What is mounted in sight comes down as a whole: press a."))
        elif self._standing:
            self._undo(self._standing[0], self._standing[0].entries[:1], self.app.flow.do_undo_last)

    def action_to(self, digit: int) -> None:
        """Take down to the thing of that number; where there are more than nine, after Enter."""
        road = next((one for one in self._standing if one.ours), None)
        if not road or max(entry.number for entry in road.entries) <= _DIGITS:
            self._undo_to(digit)
            return
        self._typed = (self._typed * 10 + digit) % 1000
        self._show(
            _("Undo {number} and all above it: Enter.").format(number=self._typed) if self._typed else ""
        )

    def action_typed(self) -> None:
        number, self._typed = self._typed, 0
        if number:
            self._undo_to(number)
        else:
            self.action_close()

    def _undo_to(self, number: int) -> None:
        """Take down the thing of that number and what was put up after it."""
        road = next((one for one in self._standing if one.ours), None)
        above = [entry for entry in road.entries if entry.number >= number] if road else []
        if road and any(entry.number == number for entry in above):
            self._undo(road, above, partial(self.app.flow.do_undo_to, number))
        elif any(entry.number == number for one in self._standing for entry in one.entries):
            self._show(_("What is mounted in sight comes down as a whole: press a."))
        else:
            self._show(_("Nothing that is up has the number {number}.").format(number=number))

    def action_all(self) -> None:
        lost = self.app.flow.at_stake
        if self._standing and lost and not all(one.ours for one in self._standing):
            down = Choice("down", _("Take everything down"))
            asked = ConfirmScreen(_("What was written is thrown away"), [plain(lost)], [down], wary=True)
            self.app.push_screen(asked, lambda answer: self._undo_all() if answer else None)
        else:
            self._undo_all()

    def _undo_all(self) -> None:
        if self._standing:
            first = self._standing[0]
            self._undo(first, first.entries, self.app.flow.do_undo_all, goes_on=True)

    def _undo(
        self,
        standing: Standing,
        entries: Sequence[Entry],
        work: Callable[[], list[Release]],
        *,
        goes_on: bool = False,
    ) -> None:
        if self._busy:
            return
        self._busy = True
        flow = self.app.flow
        self._undone = list(entries)
        if standing.ours:
            future = flow.operator.submit(work)
        else:
            future = flow.outside.submit(flow.do_undo, [standing.session])
        goes_on = goes_on and len(self._standing) > 1

        def done(releases: list[Release]) -> None:
            self._busy = False
            stuck = [release.note for release in releases if not release.released]
            if goes_on and not stuck:
                self._standing = self._standing[1:]
                self._undo_all()
                return
            if stuck:
                again = (lambda _lazy: work()) if standing.ours else undoing(flow, [standing.session])
                operator = flow.operator if standing.ours else flow.outside
                self.app.push_screen(BusyScreen(releases, again, operator, lazily=not standing.ours), told)
            else:
                told(releases)

        def told(releases: list[Release] | None) -> None:
            stuck = [release.note for release in releases or () if not release.released]
            self._look(sentences(stuck or [release.note for release in releases or ()]))

        self.app.follow(future, done, self.app.trouble)

    def action_close(self) -> None:
        """Back to the step; the wizard falls back to where what is up still carries it."""
        self.app.pop_screen()
        if self._undone and isinstance(self.app.screen, Frame):
            self.app.fall_back()


def _headed(one: Standing) -> str:
    """Of which session the lines below it are, and how that comes down."""
    if one.ours:
        return _("Of this wizard: l takes the last one down")
    return _("Session {id}, in everybody's sight: it comes down as a whole, by a").format(id=one.session)
