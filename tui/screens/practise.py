"""Practice disks: choose one, have it built, read the ticket, choose how to work on it."""

import os
import re
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import OptionList, Static

from core.errors import SalvageError
from core.i18n import N_, _, bracketed, listed
from core.lab import catalogue, labs, results, telling
from core.lab.lab import Lab, Verdict
from core.lab.needs import hindrance
from core.lab.telling import Said
from core.runner import SystemRunner
from tui.chosen import Exercise, Wish
from tui.plain import plain
from tui.screens.answer import AnswerScreen
from tui.screens.byhand import ByHandScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.disk import DiskScreen
from tui.screens.handback import HandBackScreen
from tui.screens.leftovers import LeftoversScreen
from tui.screens.menu import Choice, Menu
from tui.screens.said import SaidScreen
from tui.screens.step import Frame, Key
from tui.widgets.facts import Facts
from tui.widgets.side import Part

_UNKNOWN = re.compile(r"\{[\w.]+\}")
"""A place in a ticket that is only known when the disk is built."""


T = TypeVar("T")


class Row(NamedTuple):
    """A lab, where it stands, why it cannot be done here, and what its ticket says."""

    lab: Lab
    state: str
    reason: str
    ticket: str


class PractiseScreen(Frame):
    """The practice disks that there are, from easy to hard."""

    topic: ClassVar[str] = "practise"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("r", "record", N_("record"), show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._tickets: dict[str, Part] = {}

    def body(self) -> ComposeResult:
        told = _("Choose a practice disk; it is built in seconds. From easy to hard:")
        if os.geteuid():
            told = _("Choose a practice disk; to open one, start again with sudo. From easy to hard:")
        yield Static(told, classes="question", markup=False)
        yield Menu([])

    def keys(self) -> list[Key]:
        return [("↑↓", _("move")), ("Enter", _("build it")), ("r", _("your record")), ("Esc", _("back"))]

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Menu).focus()
        self._look()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if not self.busy:
            self._look()

    def _look(self) -> None:
        self.work(_("Looking what was built before."), self._rows, self._found)

    def _rows(self) -> list[Row]:
        there = catalogue.labs(self.flow.labs)
        return [
            Row(
                lab,
                labs.state(self.flow.labs, lab),
                hindrance(lab.needs),
                _UNKNOWN.sub("...", labs.ticket(lab, self.flow.labs)),
            )
            for lab in there
        ]

    def _found(self, rows: list[Row]) -> None:
        told = {"new": "", "started": _("begun"), "solved": _("solved")}
        self._tickets = {row.lab.name: (_(row.lab.title), row.ticket) for row in rows}
        self.query_one(Menu).offer(
            [
                Choice(
                    row.lab.name,
                    f"{_(row.lab.title)}  {bracketed(listed((_level(row.lab), told[row.state])))}",
                    reason=row.reason,
                )
                for row in rows
            ]
        )

    def beside(self) -> Sequence[Part]:
        """The ticket of the disk that is highlighted, then what practising is."""
        highlighted = self.query_one(Menu).highlighted_option
        part = self._tickets.get(highlighted.id or "") if highlighted else None
        return [*([part] if part else []), *super().beside()]

    def on_option_list_option_highlighted(self) -> None:
        self._refresh_side()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        lab = catalogue.named(event.option.id or "", self.flow.labs)
        build(self, lab)

    def action_record(self) -> None:
        def told() -> list[Said]:
            path = results.file_of(self.flow.labs, results.login())
            if not path.exists():
                return [Said("text", _("Nothing yet: a task that is checked is written down."))]
            lines = telling.certificate(results.read(path), catalogue.labs(self.flow.labs))
            return [Said("text", line) for line in lines]

        self.work(
            _("Reading your record."),
            told,
            lambda said: self.app.push_screen(SaidScreen(_("Your record"), said)),
        )


def build(screen: Frame, lab: Lab) -> None:
    """Build a lab's disk, or find it, and show its ticket."""
    runner = SystemRunner(screen.flow.outside.cancel)
    screen.work(
        _("Building the disk."),
        lambda: labs.start(lab, screen.flow.labs, runner),
        lambda disk: screen.app.push_screen(TicketScreen(Exercise(lab, disk))),
        operator=screen.flow.outside,
    )


def _level(lab: Lab) -> str:
    return _("level {level}").format(level=lab.level)


def answer(screen: Frame, lab: Lab) -> None:
    """Ask the question of the ticket, and keep the answer for the check."""
    labs_folder = screen.flow.labs

    def kept(text: str | None) -> None:
        if text:
            screen.work(
                _("Noting your answer."),
                lambda: labs.answer(lab, labs_folder, text),
                lambda _none: screen.say(_("Your answer is noted. The check tells whether it is right.")),
            )

    screen.app.push_screen(AnswerScreen(labs.asked(lab, labs_folder)), kept)


class TicketScreen(Frame):
    """The task of a practice disk, as somebody would ask for it, and all that can be done about it."""

    topic: ClassVar[str] = "practise"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "read_on", N_("read on"), show=False)]

    def __init__(self, exercise: Exercise, note: str = "") -> None:
        """With a `note` on what was done just before it came."""
        super().__init__()
        self.lab, self.disk = exercise.lab, exercise.disk
        self._note = note

    def body(self) -> ComposeResult:
        yield Static(_("Your task"), classes="question", markup=False)
        with Facts(id="ticket"):
            for paragraph in labs.ticket(self.lab, self.flow.labs).split("\n"):
                yield Static(plain(paragraph))
        yield Menu(self._choices())

    def subtitle(self) -> str:
        return _(self.lab.title)

    def _choices(self) -> list[Choice]:
        ways = {
            "guided": (
                _("Guided: the wizard, with a coach"),
                _("What to look at, why, what next; with questions."),
            ),
            "own": (_("On your own: the wizard alone"), ""),
            "hand": (
                _("By hand: a prompt for the plain commands"),
                _("It tells why a line goes wrong, and warns before harm."),
            ),
        }
        chosen = [Choice(way, *ways[way]) for way in self.lab.ways]
        try:
            cost = labs.next_cost(self.lab, self.flow.labs)
            solved = labs.state(self.flow.labs, self.lab) == "solved"
        except SalvageError:  # it was taken away from another terminal: only to build it anew is left
            return [Choice("new", _("Build a new disk"))]
        none = _("All hints are told.") if cost is None else ""
        hint = _("A hint (costs {cost} points)").format(cost=cost) if cost else _("A hint")
        asked = [Choice("answer", _("Answer the question of the ticket"))] if self.lab.goal.question else []
        return [
            *chosen,
            Choice("hint", hint, reason=none),
            *asked,
            Choice("stop", _("Hand the ticket back"), _("Where it would be wrong to go on.")),
            Choice("check", _("Check whether the task is solved")),
            Choice(
                "talk",
                _("What happened, and how it is done by hand")
                if solved
                else _("What happened, and how it is done by hand (no points after that)"),
            ),
            Choice("new", _("Start over with a new disk")),
        ]

    def keys(self) -> list[Key]:
        more = [("Space", _("read on"))] if self.is_mounted and self.query_one(Facts).long else []
        return [("↑↓", _("move")), ("Enter", _("choose")), *more, ("Esc", _("back"))]

    def action_read_on(self) -> None:
        self.query_one(Facts).turn()

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Menu).focus()
        self.say(self._note)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.query_one(Menu).offer(self._choices())

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        chosen = event.option.id or ""
        if chosen in self.lab.ways:
            self.work(
                _("Beginning."),
                lambda: labs.choose_way(self.lab, self.flow.labs, chosen),
                lambda _none: self._go(chosen),
            )
        else:
            {
                "hint": self._hint,
                "answer": lambda: answer(self, self.lab),
                "stop": self._stop,
                "check": self._check,
                "talk": self._after_talk,
                "new": self._anew,
            }[chosen]()

    def _go(self, way: str) -> None:
        if way == "hand":
            self.app.push_screen(ByHandScreen(self.lab))
            return
        self.flow.exercise = Exercise(self.lab, self.disk, way == "guided")
        if self.lab.goal.kind == "clean":
            self.app.push_screen(LeftoversScreen())
        else:
            self.app.push_screen(DiskScreen(Wish(str(self.disk))))

    def _sure(self, title: str, told: str, yes: str, go: Callable[[], None]) -> None:
        """Ask before something is lost: one digit is typed too easily."""

        def answered(answer: str | None) -> None:
            if answer:
                go()

        self.app.push_screen(ConfirmScreen(title, [plain(told)], [Choice("yes", yes)], wary=True), answered)

    def _look(self, look: Callable[[], T], then: Callable[[T], None]) -> None:
        """Look into the lab's record; what cannot be read is told."""
        try:
            found = look()
        except SalvageError as error:
            self.app.trouble(error)
            return
        then(found)

    def _hint(self) -> None:
        def asked(cost: int | None) -> None:
            if cost:
                told = _("It costs {cost} of the 100 points, and cannot be given back.").format(cost=cost)
                self._sure(_("A hint?"), told, _("Tell me the hint"), self._tell_hint)
            else:
                self._tell_hint()

        self._look(lambda: labs.next_cost(self.lab, self.flow.labs), asked)

    def _tell_hint(self) -> None:
        def taken() -> list[Said]:
            labs.hint(self.lab, self.flow.labs)
            return [
                Said("text" if at else "title", text)
                for hint in labs.hints(self.lab, self.flow.labs)
                for at, text in enumerate((_("Hint"), hint))
            ]

        self.work(_("Asking."), taken, lambda said: self.app.push_screen(SaidScreen(_("Hints"), said)))

    def _stop(self) -> None:
        self.app.push_screen(HandBackScreen(self.lab))

    def _check(self) -> None:
        self.work(
            _("Checking."),
            lambda: labs.check(self.lab, self.flow.labs, learner=results.login()),
            self._checked,
            operator=self.flow.outside,
        )

    def _checked(self, verdict: Verdict) -> None:
        said = [*telling.verdict(verdict)]
        if verdict.solved:
            said += [
                Said(
                    "title",
                    _("“What happened, and how it is done by hand” costs no points any more."),
                ),
                Said("text", ""),
            ]
        self.app.push_screen(SaidScreen(_("The task"), said))

    def _after_talk(self) -> None:
        def asked(earns: bool) -> None:
            if earns:
                told = _(
                    "The task is not solved yet. What happened tells how it is done: with this disk no points"
                    " can be earned after that. A hint costs less, and a new disk can be built at any time."
                )
                self._sure(_("What happened?"), told, _("Tell me; I give up the points"), self._tell)
            else:
                self._tell()

        self._look(lambda: labs.begun(self.lab, self.flow.labs)[1].earns, asked)

    def _tell(self) -> None:
        def told() -> list[Said]:
            labs.give_up(self.lab, self.flow.labs)
            return [*telling.after_talk(self.lab, self.flow.labs)]

        self.work(_("Telling."), told, lambda said: self.app.push_screen(SaidScreen(_(self.lab.title), said)))

    def _anew(self) -> None:
        def asked(worked_on: bool) -> None:
            if worked_on:
                told = _(
                    "The disk is thrown away and another one is built. What was recovered in its folder,"
                    " answered or typed there goes with it; your record keeps what was checked."
                )
                self._sure(_("Start over?"), told, _("Throw it away, and build a new disk"), self._build)
            else:
                self._build()

        self._look(lambda: labs.worked_on(self.lab, self.flow.labs), asked)

    def _build(self) -> None:
        runner = SystemRunner(self.flow.outside.cancel)

        def again() -> None:
            labs.reset(self.lab, self.flow.labs, runner)
            labs.start(self.lab, self.flow.labs, runner)

        def built(_none: None) -> None:
            disk = labs.disk(self.lab, self.flow.labs) or self.disk
            self.app.switch_screen(TicketScreen(Exercise(self.lab, disk), _("A new disk was built.")))

        self.work(_("Building a new disk."), again, built, operator=self.flow.outside)
