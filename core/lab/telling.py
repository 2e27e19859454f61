"""What a lab tells a person at its end: the verdict with its points, and the after-talk."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.i18n import _, enumerated, listed, ngettext
from core.lab import labs, moves
from core.lab.lab import Lab, Points, Verdict
from core.lab.results import Learner, marks
from core.lab.safety import KINDS
from core.text import columns, date, duration, ljust, rjust

Role = Literal["title", "text", "command", "good", "bad"]


@dataclass(frozen=True, slots=True)
class Said:
    """One paragraph: a title, a text, a command for the shell, something good or bad."""

    role: Role
    text: str


def verdict(found: Verdict) -> Iterator[Said]:
    """The verdict, what was found, and where the points come from."""
    if found.solved:
        yield Said("good", _("The task is solved."))
    else:
        yield Said("bad", _("The task is not solved yet."))
    bad = {one.text for one in found.breaches}
    for line in found.findings:
        yield Said("bad" if line in bad else "text", line)
    if found.points:
        yield Said("title", _("{total} of 100 points").format(total=found.points.total))
        yield Said("text", points(found.points))


def points(found: Points) -> str:
    """Where the points come from, in a sentence."""
    told = _("The goal {goal} of 40, safety {safety} of 50, time {time} of 10.")
    if found.hints:
        told = _("The goal {goal} of 40, safety {safety} of 50, time {time} of 10, hints -{cost}.")
    return told.format(goal=found.goal, safety=found.safety, time=found.time, cost=found.hints)


def after_talk(lab: Lab, folder: Path) -> Iterator[Said]:
    """What happened, the safe way, the ways with the wizard and by hand, the wrong ways, what to read."""

    def told(text: str) -> str:
        return labs.told(text, lab, folder)

    after = lab.after
    yield Said("title", _("What happened"))
    yield Said("text", told(after.happened))
    yield Said("title", _("The safe way"))
    yield Said("text", told(after.safe))
    if after.wizard:
        yield Said("title", _("With the wizard"))
        for move in after.wizard:
            yield Said("text", told(moves.told(move)))
    if after.commands:
        yield Said("title", _("By hand, in the folder of the practice disk"))
        for command in after.commands:
            yield Said("command", told(command))
    if lab.wrongs:
        yield Said("title", _("Ways that do harm"))
        for wrong in lab.wrongs:
            yield Said("bad", "• " + told(wrong.told))
    if after.reading:
        yield Said("title", _("Further reading"))
        yield Said("text", enumerated(after.reading))


def certificate(learner: Learner, catalogue: tuple[Lab, ...]) -> Iterator[str]:
    """A learner's record as lines that can be printed."""
    yield _("Practice record of {name}").format(name=learner.name)
    yield ""
    solved = [one for one in learner.results if one.solved]
    yield ngettext("{n} lab solved of {all}", "{n} labs solved of {all}", len(solved)).format(
        n=len(solved), all=len(catalogue)
    )
    yield ""
    ways = {"guided": _("with the coach"), "own": _("on their own"), "hand": _("by hand")}
    for one in sorted(learner.results, key=lambda result: (result.level, result.lab)):
        yield f"  {_(one.title)}"
        state = _("{points} points").format(points=one.points) if one.solved else _("not solved yet")
        parts = [state, ways.get(one.way, ""), duration(one.seconds), date(one.when)]
        parts += [ngettext("{n} hint", "{n} hints", one.hints).format(n=one.hints)]
        parts += [ngettext("{n} try", "{n} tries", one.tries).format(n=one.tries)]
        yield "    " + listed(filter(None, parts))
    shown = marks(learner, catalogue)
    if shown:
        yield ""
        yield from (f"  * {line}" for line in shown)


def classroom(learners: Sequence[Learner], wrong: Sequence[tuple[str, int]]) -> Iterator[str]:
    """The points of several learners as a table, and what most got wrong."""
    names = sorted({one.lab for learner in learners for one in learner.results})
    head, foot = _("LAB"), _("together")
    wide = max(columns(name) for name in (*names, head, foot))
    widths = [max(6, columns(learner.name)) for learner in learners]
    heads = "  ".join(rjust(one.name, size) for one, size in zip(learners, widths, strict=True))
    yield f"{ljust(head, wide)}  {heads}"
    for name in names:
        cells = []
        for learner, size in zip(learners, widths, strict=True):
            result = learner.of(name)
            shown = "" if result is None else str(result.points) if result.solved else "-"
            cells.append(shown.rjust(size))
        yield f"{ljust(name, wide)}  {'  '.join(cells)}".rstrip()
    sums = [sum(one.points for one in learner.results if one.solved) for learner in learners]
    total = "  ".join(str(one).rjust(size) for one, size in zip(sums, widths, strict=True))
    yield f"{ljust(foot, wide)}  {total}"
    if wrong:
        yield ""
        yield _("What most got wrong:")
        for what, count in wrong[:10]:
            sentence = _(KINDS[what][1]) if what in KINDS else _("A question: {name}").format(name=what)
            yield "  " + ngettext("{n} learner: {what}", "{n} learners: {what}", count).format(
                n=count, what=sentence
            )
