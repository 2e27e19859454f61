"""What earlier sessions left up, and taking it down."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import OptionList, Static

from core.i18n import N_, _, enumerated, ngettext, sentences
from core.lab.telling import Said
from core.text import date, safe
from core.undo.account import Entry
from core.undo.health import is_gone
from core.undo.stack import Release
from core.undo.state import Known
from tui import coaching
from tui.plain import plain
from tui.screens.busy import BusyScreen, undoing
from tui.screens.commit import CommitScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.menu import Choice, Menu
from tui.screens.said import SaidScreen
from tui.screens.step import Frame, Key
from tui.widgets.side import Part
from tui.widgets.stack_list import StackList


class LeftoversScreen(Frame):
    """One line a session; Enter takes it down."""

    topic: ClassVar[str] = "leftovers"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "all", N_("take all down"), show=False),
        Binding("i", "commit", N_("write back"), show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._left: list[Known] = []
        self._looked = False
        self._note = ""
        """What is to be said when it was looked anew."""
        self._count = 0
        """Things that were up of what is being taken down."""

    def body(self) -> ComposeResult:
        yield Static(_("What earlier sessions left up"), classes="question", markup=False)
        yield Menu([], numbered=False)
        yield Static(id="none", classes="said")
        yield StackList()

    def keys(self) -> list[Key]:
        undo = [("Enter", _("take it down")), ("a", _("all"))] if self._left else []
        commit = [("i", _("write back into the disk"))] if self._has_overlay() else []
        more = [("Tab", _("its details"))] if self._left else []
        return [*undo, *commit, *more, ("Esc", _("back"))]

    def _current(self) -> Known | None:
        at = self.query_one(Menu).highlighted
        return self._left[at] if at is not None and at < len(self._left) else None

    def _has_overlay(self) -> bool:
        current = self._current()
        return current is not None and current.account.over_overlay

    def advice(self) -> list[Part]:
        said = super().advice()
        died = any(known.is_leftover for known in self._left)
        return coaching.nothing_left() if said and self._looked and not died else said

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Menu).focus()
        self._look()

    def _look(self) -> None:
        self.work(_("Looking what is still up."), self.flow.left, self._found, operator=self.flow.outside)

    def _found(self, left: list[Known]) -> None:
        self._left, self._looked = left, True
        self.query_one(Menu).offer([_choice(known) for known in left])
        self.say(self._note)
        self._note = ""
        none = self.query_one("#none", Static)
        none.update(plain(_("Nothing is up any more.")))
        none.display = not left
        self.query_one(StackList).display = bool(left)
        self.refresh_frame()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self.query_one(StackList).show(_up(self._left[event.option_index])[::-1])
        self.refresh_frame()

    def action_commit(self) -> None:
        """Go where what the session's overlay holds can be written into its disk."""
        current = self._current()
        if current and self._has_overlay():
            self.app.push_screen(CommitScreen(current.account.session))
        else:
            self.app.bell()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._undo([self._left[event.option_index].account.session])

    def action_commands(self) -> None:
        """What takes the session under the cursor down, in its order; it needs no planning."""
        current = self._current()
        if current is None:
            super().action_commands()
            return
        lines = [Said("command", line) for entry in _up(current) for line in entry.undo]
        none = [Said("text", _("Nothing of it is up any more: only its log goes."))]
        self.app.push_screen(SaidScreen(_("The commands that take it down"), lines or none))

    def action_all(self) -> None:
        self._undo([known.account.session for known in self._left])

    def _undo(self, names: list[str]) -> None:
        """Take sessions down; first ask where an overlay that somebody may want goes with that."""
        chosen = [one for one in self._left if one.account.session in names]
        written = [one for one in chosen if one.account.written_to]
        kept = [one for one in chosen if one.account.kept and _up(one)]
        if not written and kept:
            self._ask_about(kept, names)
            return
        if not written:
            self._take_down(names)
            return
        told = _(
            "It was left up on purpose, over an overlay: what is in that, such as what was written there or"
            " repaired, goes too. To keep it, go back, choose it and press i: that writes it into the disk,"
            " after a backup."
        )
        disks = [plain(safe(one.account.disk)) for one in written]
        choices = [Choice("undo", _("Take it down, and throw away what is in the overlay"))]

        def answered(answer: str | None) -> None:
            if answer:
                self._take_down(names)

        title = _("What is in the overlay is thrown away")
        self.app.push_screen(ConfirmScreen(title, [*disks, plain(told)], choices, wary=True), answered)

    def _ask_about(self, kept: list[Known], names: list[str]) -> None:
        """Ask before what somebody meant to stay is taken down: it may be somebody else's."""
        told = _("It was left up on purpose: somebody may still work with it.")
        lines = [plain(_choice(one).line) for one in kept]
        choices = [Choice("undo", _("Take it down all the same"))]
        asked = ConfirmScreen(_("That was left up on purpose"), [plain(told), *lines], choices, wary=True)
        self.app.push_screen(asked, lambda answer: self._take_down(names) if answer else None)

    def _take_down(self, names: list[str]) -> None:
        if names:
            self._count = sum(len(_up(known)) for known in self._left if known.account.session in names)
            job = lambda: self.flow.do_undo(names)  # noqa: E731
            then = lambda releases: self._undone(names, releases)  # noqa: E731
            self.work(_("Taking it down."), job, then, operator=self.flow.outside)

    def _undone(self, names: list[str], releases: list[Release]) -> None:
        if all(release.released for release in releases):
            self._told(releases)
        else:
            again = undoing(self.flow, names)
            self.app.push_screen(BusyScreen(releases, again, self.flow.outside), self._told)

    def _told(self, releases: list[Release] | None) -> None:
        releases = releases or []
        stuck = [release.note for release in releases if not release.released]
        done = _("Taken down: {count}.").format(count=self._count)
        # one that died before it put anything up has nothing but its log
        self._note = sentences(stuck) or (
            done if self._count else _("Nothing of it was up; its log is gone.")
        )
        self._look()


def _up(known: Known) -> list[Entry]:
    """What of it is still there, the last first: a mount that only its program saw went with that."""
    return [entry for entry in known.account.standing if known.alive or not is_gone(entry)]


def _choice(known: Known) -> Choice:
    account = known.account
    since = date(account.began)
    why = _("left up on purpose") if account.kept else _("its program died")
    up = _up(known)
    told = ngettext(
        "{id}: since {since}, {why}, {count} thing up",
        "{id}: since {since}, {why}, {count} things up",
        len(up),
    )
    if not up:
        told = _("{id}: since {since}, {why}, nothing of it is up any more")
    line = told.format(id=account.session, since=since, why=why, count=len(up))
    points = [safe(entry.target) for entry in up if entry.what == "mount"]
    mounted = _("; mounted: {path}").format(path=enumerated(points)) if points else ""
    lost = _("; its overlay goes too, with all that is in it") if account.written_to else ""
    return Choice(account.session, safe(account.disk), line + mounted + lost)
