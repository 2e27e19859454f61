"""The practice disks, line by line: their tickets, with a coach or without, and all that helps."""

from collections.abc import Iterator
from pathlib import Path

from core.errors import SalvageError
from core.i18n import _, listed
from core.lab import catalogue, labs, results, telling
from core.lab.lab import Lab
from core.lab.needs import hindrance
from core.lab.stopping import REASONS
from core.runner import SystemRunner
from tui.chosen import Exercise
from tui.linear.ground import Ground
from tui.linear.talk import BACK


def choose(ground: Ground) -> Exercise | None:
    """A practice disk, built and with its ticket told; None when the person goes back."""
    folder = ground.flow.labs
    choices = [(one.name, _told(one)) for one in catalogue.labs(folder)]
    chosen = ground.talk.choose(_("Which practice disk?"), choices, ground.asides("practise"))
    if chosen == BACK:
        return None
    lab = catalogue.named(chosen, folder)
    start = lambda: labs.start(lab, folder, SystemRunner(ground.flow.operator.cancel))  # noqa: E731
    disk = labs.disk(lab, folder) or ground.work(_("Building the practice disk."), start)
    ground.talk.say(labs.ticket(lab, folder))
    return Exercise(lab, disk)


def _told(lab: Lab) -> str:
    told = _("level {level}: {title}").format(level=lab.level, title=_(lab.title))
    return listed((told, hindrance(lab.needs)))


def set_out(ground: Ground, exercise: Exercise) -> Exercise | None:
    """What is done about a ticket, until the person sets out for the disk; None when they go back."""
    lab, flow = exercise.lab, ground.flow
    while True:
        chosen = ground.talk.choose(
            _("Your task"), [*_choices(lab, _cost(lab, flow.labs))], ground.asides("practise")
        )
        if chosen == BACK:
            return None
        if chosen in ("guided", "own"):
            ground.work("", labs.choose_way, lab, flow.labs, chosen)
            return Exercise(lab, exercise.disk, chosen == "guided")
        if chosen == "hint":
            ground.talk.say(ground.work("", labs.hint, lab, flow.labs))
        elif chosen == "answer":
            answer(ground, lab)
        elif chosen == "stop":
            _hand_back(ground, lab)
        elif chosen == "check":
            verdict = ground.work(_("Checking."), labs.check, lab, flow.labs, learner=results.login())
            for said in telling.verdict(verdict):
                ground.talk.say(said.text)
        elif not labs.begun(lab, flow.labs)[1].earns or ground.talk.sure(
            _("The task is not solved yet. After this, no points can be earned with this disk."),
            ground.asides("practise"),
        ):
            ground.work("", labs.give_up, lab, flow.labs)
            for said in telling.after_talk(lab, flow.labs):
                ground.talk.say(said.text)


def _cost(lab: Lab, folder: Path) -> int | None:
    """What the next hint costs; None too where that cannot be read: choosing it tells why."""
    try:
        return labs.next_cost(lab, folder)
    except SalvageError:
        return None


def _choices(lab: Lab, cost: int | None) -> Iterator[tuple[str, str]]:
    if "guided" in lab.ways:
        yield "guided", _("Guided: with a coach")
    yield "own", _("On your own")
    yield "hint", _("A hint (costs {cost} points)").format(cost=cost) if cost else _("A hint")
    if lab.goal.question:
        yield "answer", _("Answer the question of the ticket")
    yield "stop", _("Hand the ticket back")
    yield "check", _("Check whether the task is solved")
    yield "talk", _("What happened, and how it is done by hand (no points after that)")


def answer(ground: Ground, lab: Lab) -> None:
    """Ask the question of the ticket, and note the answer."""
    typed = ground.talk.text(labs.asked(lab, ground.flow.labs), ground.asides("answer"))
    if typed != BACK:
        ground.work("", labs.answer, lab, ground.flow.labs, typed)
        ground.talk.say(_("Your answer is noted. The check tells whether it is right."))


def _hand_back(ground: Ground, lab: Lab) -> None:
    choices = [(name, _(told)) for name, told in REASONS.items()]
    reason = ground.talk.choose(_("Why do you hand the ticket back?"), choices, ground.asides("practise"))
    if reason != BACK:
        ground.work("", labs.hand_back, lab, ground.flow.labs, reason)
