"""Somebody holds what was to be taken down: who, how and where, and what can be done about it."""

import math
from collections.abc import Callable
from functools import partial
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static

from core.errors import Cancelled, SalvageError
from core.i18n import N_, _
from core.operator import Operator
from core.runner import SystemRunner
from core.undo import patience
from core.undo.holders import Held, Holder, Way
from core.undo.stack import Release
from tui.flow import Flow
from tui.plain import plain
from tui.screens.menu import Choice, Menu
from tui.screens.reading import Reading
from tui.screens.step import Key, KeyLine

T = TypeVar("T")

SETTLES = 3.0
"""Seconds in which what nobody holds any more comes down."""

Attempt = Callable[[bool], list[Release]]
"""Takes down what can be taken down; lazily when told so."""


def undoing(flow: Flow, names: list[str]) -> Attempt:
    """Take down what those sessions have up, in sight of everybody."""

    def attempt(lazy: bool) -> list[Release]:
        releases: list[Release] = []
        for known in flow.state.known():
            if known.account.session in names:
                releases += flow.state.undo(known, SystemRunner(flow.outside.cancel), lazy=lazy)
        flow.do_forget_gone()
        return releases

    return attempt


class BusyScreen(Reading[list[Release]]):
    """Offers to wait, to end the programs, to go lazily; answers how the last attempt ended.

    Without `lazily` going out of sight is not offered: in a private mount namespace it would help nobody.
    """

    topic: ClassVar[str] = "busy"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "pick('wait')", N_("wait"), show=False),
        Binding("r", "pick('again')", N_("try again"), show=False),
    ]

    def __init__(
        self, releases: list[Release], attempt: Attempt, operator: Operator, *, lazily: bool = True
    ) -> None:
        super().__init__()
        self._releases, self._attempt, self._operator, self._lazily = releases, attempt, operator, lazily
        self._held = Held()
        self.busy = _("Looking who holds it.")

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="trouble"):
            yield Static(_("It is in use, so it is still up"), classes="title", markup=False)
            with VerticalScroll(can_focus=False):
                yield Static(id="what", classes="said")
                yield Static(id="holders", classes="way-told")
                yield Static(id="note", classes="warning")
            yield Menu([])
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        super().on_mount()
        self._look()

    # -- what is shown ----------------------------------------------------------------------------------

    def _look(self, note: str = "") -> None:
        """Look who holds it now, and offer everything anew."""

        def found(held: Held) -> None:
            self._held = held
            self._show(note)

        self._work(_("Looking who holds it."), partial(patience.stuck, self._releases), found)

    def _show(self, note: str) -> None:
        if self not in self.app.screen_stack:  # closed before it came
            return
        what = next((one.entry.target for one in self._releases if not one.released), "")
        lines = [*(one.sentence() for one in self._held.holders), *self._held.unseen]
        if not self._held.holders:
            lines.append(_("Nobody can be seen who holds it."))
        self.query_one("#what", Static).update(plain(what))
        self.query_one("#holders", Static).update(Content("\n").join([plain(line) for line in lines]))
        self.query_one("#note", Static).update(plain(note))
        self.query_one("#note").display = bool(note)
        self.query_one(Menu).offer(self._choices())
        self.fit()

    def keys(self) -> list[Key]:
        if self.busy:
            return [("Esc", _("stop"))]
        keys = super().keys()
        return [(key, _("leave it up") if key == "Esc" else does) for key, does in keys]

    def _choices(self) -> list[Choice]:
        no_program = "" if self._held.programs else _("No program that may be ended holds it.")
        choices = [
            Choice("wait", _("Wait until it is free"), _("It then comes down by itself.")),
            Choice("again", _("Try again now")),
            Choice("end", _("End the programs that hold it"), _("You are asked once more."), no_program),
        ]
        stuck = next((one.entry for one in self._releases if not one.released), None)
        if self._lazily and stuck and stuck.what == "mount" and not stuck.identity.get("lazy"):
            told = _("As umount --lazy does. It and what it rests on stay until the last program ends.")
            on_top = any(one.way is Way.BELOW for one in self._held.holders)
            reason = _("What is mounted below it would vanish too.") if on_top else ""
            choices.append(Choice("lazy", _("Take it out of sight"), told, reason))
        return [*choices, Choice("leave", _("Leave it up"), _("It can be undone later."))]

    def _ask(self, id: str, title: str, line: str) -> None:
        """Ask once more; the highlighted answer is no."""
        self.query_one(Menu).offer([Choice("no", _("No, go back")), Choice(id, title, line)])
        self.query_one(Menu).highlighted = 0
        self.fit()

    # -- what is done -----------------------------------------------------------------------------------

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.action_pick(event.option.id or "")

    def action_pick(self, id: str) -> None:
        if self.busy:
            return
        if id == "leave":
            self.dismiss(self._releases)
        elif id == "no":
            self._look()
        elif id == "end":
            told = _("What they have not saved is lost.")
            self._ask("end-surely", _("Yes, ask them to end"), told)
        elif id in ("end-surely", "kill"):
            self._end(kill=id == "kill")
        elif id in ("again", "lazy"):
            self._work(_("Taking it down."), lambda: self._attempt(id == "lazy"), self._attempted)
        elif id == "wait":
            self._wait(math.inf, _("Waiting until it is free."))

    def _wait(self, seconds: float, told: str) -> None:
        attempt = partial(self._attempt, False)
        cancel = self._operator.cancel
        self._work(told, lambda: patience.patiently(attempt, seconds, cancel), self._attempted)

    def _end(self, *, kill: bool) -> None:
        held, cancel = self._held, self._operator.cancel
        job = partial(patience.end, held, cancel, kill=kill)
        self._work(_("Waiting until they have ended."), job, partial(self._ended, kill))

    def _ended(self, killed: bool, left: list[Holder]) -> None:
        if not left:
            self._wait(SETTLES, _("Taking it down."))
            return
        there = _("Still there: {names}.").format(names=_("; ").join(one.who for one in left))
        if killed:
            self._look(there)
            return
        self._show(there)
        told = _("Killed, a program cannot save anything any more.")
        self._ask("kill", _("Kill them"), told)

    def _attempted(self, releases: list[Release]) -> None:
        self._releases = releases
        stuck = [one.note for one in releases if not one.released]
        if stuck:
            self._look(stuck[0])
        else:
            self.dismiss(releases)

    def _work(self, told: str, job: Callable[[], T], then: Callable[[T], object]) -> None:
        self.busy = told
        self._say(told)

        def done(value: T) -> None:
            self.busy = ""
            then(value)

        def failed(error: SalvageError) -> None:
            self.busy = ""
            if isinstance(error, Cancelled):
                self._look(_("Stopped."))
            else:
                self.dismiss(self._releases)
                self.app.trouble(error)

        self.app.follow(self._operator.submit(job), done, failed)

    def _say(self, told: str) -> None:
        note = self.query_one("#note", Static)
        note.update(plain(_("{work} Esc stops it.").format(work=told)))
        note.display = True
        self.fit()

    def action_close(self) -> None:
        if self.busy:
            self._operator.cancel.cancel()
        else:
            self.dismiss(self._releases)
