"""`lab`: the practice disks."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from core.errors import Exit, WrongUsage
from core.i18n import _, titled
from core.lab import catalogue, labs, reading, results, telling
from core.lab.hand.judgement import Weight
from core.lab.hand.prompt import Prompt, Reply
from core.lab.lab import Lab
from core.lab.needs import hindrance
from core.lab.stopping import REASONS
from core.text import safe
from tui.cli.common import Context, table


def lab(context: Context) -> int:
    """`lab list|start|check|reset` and the rest of `_WITH` and `_WITHOUT`."""
    action = context.options.action
    if action in _WITHOUT:
        return _WITHOUT[action](context)
    one = catalogue.named(_required(context.options.name), _folder(context))
    return _WITH[action](context, one)


def _folder(context: Context) -> Path:
    return context.state.path / "labs"


def _learner(context: Context) -> str:
    return context.options.learner or results.login()


def _required(name: str | None) -> str:
    """The lab's name; raises WrongUsage when none was given."""
    if name:
        return name
    raise WrongUsage(_("Name a practice disk."), remedy=_("`virt-salvage lab list` shows them."))


# -- one lab -------------------------------------------------------------------------------------------


def _start(context: Context, one: Lab) -> int:
    folder, seed = _folder(context), context.options.seed
    if context.options.dry_run:
        return context.planned(lambda runner: labs.start(one, folder, runner, seed))
    disk = labs.start(one, folder, context.runner(), seed)
    if context.options.json:
        context.json({"name": one.name, "disk": str(disk)})
        return Exit.DONE
    context.out(labs.ticket(one, folder))
    context.out()
    context.out(_("The disk: {path}").format(path=safe(disk)))
    return Exit.DONE


def _ticket(context: Context, one: Lab) -> int:
    context.out(labs.ticket(one, _folder(context)))
    for hint in labs.hints(one, _folder(context)):
        context.out()
        context.out(_("Hint: {text}").format(text=hint))
    return Exit.DONE


def _hint(context: Context, one: Lab) -> int:
    cost = labs.next_cost(one, _folder(context))
    context.out(labs.hint(one, _folder(context)))
    context.say(_("This hint costs {cost} points.").format(cost=cost))
    return Exit.DONE


def _stop(context: Context, one: Lab) -> int:
    reason = context.options.where or ""
    if not reason:
        told = _("; ").join(titled(name, _(text)) for name, text in REASONS.items())
        raise WrongUsage(_("Say why the ticket is handed back."), remedy=told)
    labs.hand_back(one, _folder(context), reason)
    context.say(_("The ticket is handed back. {why}").format(why=_(REASONS[reason])))
    return Exit.DONE


def _answer(context: Context, one: Lab) -> int:
    labs.answer(one, _folder(context), context.options.where or "")
    context.say(_("Your answer is noted. The check tells whether it is right."))
    return Exit.DONE


def _check(context: Context, one: Lab) -> int:
    where = context.options.where
    verdict = labs.check(one, _folder(context), Path(where) if where else None, _learner(context))
    if context.options.json:
        points = verdict.points.total if verdict.points else None
        wrong = [one.kind for one in verdict.breaches]
        findings = list(verdict.findings)
        context.json(
            {
                "name": one.name,
                "solved": verdict.solved,
                "findings": findings,
                "wrong": wrong,
                "points": points,
            }
        )
    else:
        for said in telling.verdict(verdict):
            context.out(said.text)
    return Exit.DONE if verdict.solved else Exit.FAILED


def _talk(context: Context, one: Lab) -> int:
    folder = _folder(context)
    if labs.state(folder, one) != "solved":
        if not context.options.yes:
            raise WrongUsage(
                _("{name} is not solved yet.").format(name=one.name),
                remedy=_("With --yes it is told all the same, and the lab earns no points then."),
            )
        labs.give_up(one, folder)
    for said in telling.after_talk(one, folder):
        if said.role == "title":
            context.out()
        context.out(said.text if said.role == "title" else f"  {said.text}")
    return Exit.DONE


def _reset(context: Context, one: Lab) -> int:
    labs.reset(one, _folder(context), context.runner())
    context.say(_("{name} is as new.").format(name=one.name))
    return Exit.DONE


def _hand(context: Context, one: Lab) -> int:
    """The prompt; it ends with the input."""
    folder = _folder(context)
    labs.choose_way(one, folder, "hand")
    prompt = Prompt(one, folder, context.runner(), _learner(context))
    context.say(labs.ticket(one, folder))
    context.say(_("Commands run in the disk's folder. `check` judges, `help` tells the rest, `exit` leaves."))
    while True:
        context.ask("lab> ")
        line = sys.stdin.readline()
        if not line or line.strip() in ("exit", "quit"):
            return Exit.DONE
        _replied(context, prompt.enter(line))


def _replied(context: Context, reply: Reply) -> None:
    signs = {Weight.NOTE: "i", Weight.WARNING: "!", Weight.REFUSAL: "x"}
    for remark in reply.remarks:
        context.say(f"{signs[remark.weight]} {remark.text}")
    if reply.waits:
        context.say(_("It was not run. The same line once more runs it: this is a practice disk."))
    for text in reply.output:
        context.out(text)
    if reply.status:
        context.say(_("exit status {status}").format(status=reply.status))


# -- all labs ------------------------------------------------------------------------------------------


def _list(context: Context) -> int:
    folder = _folder(context)
    there = catalogue.labs(folder)
    reasons = {one.name: hindrance(one.needs) for one in there}
    document = [
        {
            "name": one.name,
            "title": _(one.title),
            "level": one.level,
            "needs": list(one.needs),
            "state": labs.state(folder, one),
            "hindrance": reasons[one.name],
        }
        for one in there
    ]
    if context.options.json:
        context.json({"labs": document})
        return Exit.DONE
    rows = [(_("NAME"), _("LEVEL"), _("STATE"), _("NEEDS"), _("TITLE"))]
    for row in document:
        told = {"new": _("new"), "started": _("begun"), "solved": _("solved")}[str(row["state"])]
        state = _("not here") if row["hindrance"] else told
        needs = ",".join(there[len(rows) - 1].needs)
        rows.append((str(row["name"]), str(row["level"]), state, needs, str(row["title"])))
    for line in table(rows, frozenset({1})):
        context.out(line)
    for name, reason in reasons.items():
        if reason:
            context.say(f"{name}: {reason}")
    for problem in catalogue.own(folder)[1]:
        context.say(problem)
    return Exit.DONE


def _record(context: Context) -> int:
    path = results.file_of(_folder(context), _learner(context))
    if not path.exists():
        raise WrongUsage(
            _("Nothing is known of {name} yet.").format(name=safe(_learner(context))),
            remedy=_("A lab that is checked is written down."),
        )
    for line in telling.certificate(results.read(path), catalogue.labs(_folder(context))):
        context.out(line)
    return Exit.DONE


def _class(context: Context) -> int:
    """A teacher's view: the points of all learners in a folder, and what most got wrong."""
    folder = Path(context.options.name or _folder(context) / results.FOLDER)
    learners, problems = results.gathered(folder)
    for problem in problems:
        context.say(problem)
    if not learners:
        raise WrongUsage(
            _("There are no results in {path}.").format(path=safe(folder)),
            remedy=_("Collect the files STATE/labs/results/NAME.json of the learners in one folder."),
        )
    wrong = results.troubles(learners)
    if context.options.json:
        context.json(
            {
                "learners": [
                    {"name": one.name, "points": {r.lab: r.points if r.solved else None for r in one.results}}
                    for one in learners
                ],
                "wrong": [{"what": what, "learners": count} for what, count in wrong],
            }
        )
        return Exit.DONE
    for line in telling.classroom(learners, wrong):
        context.out(line)
    return Exit.DONE


def _file(context: Context) -> Path:
    return Path(_required(context.options.name))


def _add(context: Context) -> int:
    one = catalogue.add(_file(context), _folder(context))
    context.say(_("{name} is one of the practice disks now.").format(name=one.name))
    return Exit.DONE


def _verify(context: Context) -> int:
    one = reading.read(_file(context))
    context.say(_("{name} is in order: {title}").format(name=one.name, title=safe(one.title)))
    return Exit.DONE


def _example(context: Context) -> int:
    for line in catalogue.example().splitlines():
        context.out(line)
    return Exit.DONE


_WITHOUT: Mapping[str, Callable[[Context], int]] = {
    "list": _list,
    "record": _record,
    "class": _class,
    "add": _add,
    "verify": _verify,
    "example": _example,
}
_WITH: Mapping[str, Callable[[Context, Lab], int]] = {
    "start": _start,
    "ticket": _ticket,
    "hint": _hint,
    "hand": _hand,
    "answer": _answer,
    "stop": _stop,
    "check": _check,
    "talk": _talk,
    "reset": _reset,
}
