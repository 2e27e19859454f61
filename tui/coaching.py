"""What the coach of a guided lab says at a step, and the questions that are asked there."""

from pathlib import Path
from typing import TYPE_CHECKING

from core.disks.snapshots import described
from core.errors import SalvageError
from core.i18n import _
from core.lab import labs, moves
from core.lab.lab import FOUND
from core.text import safe
from core.volumes.searched import Searched
from core.volumes.state import State
from tui.chosen import Protection

if TYPE_CHECKING:
    from core.lab.lab import Lab, Verdict
    from core.volumes.model import Volume
    from tui.chosen import Exercise
    from tui.flow import Flow
    from tui.screens.step import Frame
    from tui.widgets.side import Part

_BEHIND = ("partitions", "volume", "files", "done")
"""The steps at which the disk is open: which state of it was chosen counts from here on."""

_FOR_GOOD = frozenset({"written", "others"})
"""What was harmed on the way and no further work on the same disk makes good."""


def guided(flow: "Flow") -> "Exercise | None":
    """The lab that is worked on with a coach: before its disk is chosen, or while it is."""
    exercise = flow.exercise
    if exercise is None or not exercise.guided:
        return None
    return exercise if flow.disk is None or flow.task() else None


def advice(flow: "Flow", topic: str, volume: "Volume | None" = None, *, linear: bool = False) -> "list[Part]":
    """What the coach says at a step, with the numbers of this very disk; nothing without a coach.

    `volume` is the one that the step is about; without one, it is the open one that the files are of.
    With `linear` it is said where there are no pictures and other keys. Where another way was taken than
    the lab's own, that is said instead.
    """
    exercise = guided(flow)
    if exercise is None:
        return []
    try:
        if strayed := _astray(flow, exercise.lab, topic, volume):
            return strayed
        guide = exercise.lab.guide
        searched = topic == "partitions" and isinstance(flow.inspection, Searched) and FOUND in guide
        said = guide.get(FOUND if searched else topic)
        if said is None:
            return []
        titles = {"look": _("Look"), "why": _("Why"), "next": _("Next")}
        parts = [(title, said.part(name, linear=linear)) for name, title in titles.items()]
        return [(title, labs.told(text, exercise.lab, flow.labs)) for title, text in parts if text]
    except SalvageError:
        return []  # its record cannot be read: the check will say so


# -- another way than the lab's own ----------------------------------------------------------------------


def _astray(flow: "Flow", lab: "Lab", topic: str, volume: "Volume | None") -> "list[Part]":
    """What is said where something else is open than the task is about; nothing where all is well."""
    if topic not in _BEHIND or flow.disk is None:
        return []
    if topic in ("files", "done"):
        volume = volume or flow.volume
    look, back = _another_state(flow, lab)
    if not look and volume and elsewhere(lab, volume.id):
        look = _("This is {volume}, and the task is about another one.").format(volume=volume.title)
        back = _("Go back to the partitions, and choose anew.")
    if not look and topic in ("files", "done") and _without_journal(flow, lab):
        look = _("The files are open without what is in the journal: the last changes are not seen.")
        back = _("Go back to where the partition is opened: browse and copy with the journal replayed.")
    return [(_("Look"), look), (_("Next"), back)] if look else []


def _another_state(flow: "Flow", lab: "Lab") -> tuple[str, str]:
    """That the disk is seen in another state than the lab's own way sees it, and the way back to that."""
    disk, wish = flow.disk, flow.wish
    kept = _words(lab, "snapshot", flow)
    if disk and kept and (disk.snapshot is None or disk.snapshot.name not in kept):
        now = described(disk.snapshot) if disk.snapshot else _("the present state")
        look = _("Shown is {state}, and the task is about the snapshot {name}.")
        back = _("Go back to where the disk is protected, and choose that snapshot.")
        return look.format(state=now, name=safe(kept[0])), back
    stand_ins = {Path(word).resolve() for word in _words(lab, "backing", flow)}
    if wish and wish.backing and stand_ins and not stand_ins & {one.resolve() for one in wish.backing}:
        look = _("The file that stands in for the missing one is not the one that the task is about.")
        return look, _("Go back to the ticket, set out anew, and name the other one.")
    return "", ""


def elsewhere(lab: "Lab", volume: str) -> bool:
    """Whether none of the volumes that a lab's own way opens is this one."""
    opened = [word for verb in ("open", "unlock", "replay") for word in _words(lab, verb)]
    return bool(opened) and volume not in opened


def _without_journal(flow: "Flow", lab: "Lab") -> bool:
    """Whether the journal was left as it is although the lab's own way replays it: no overlay took it."""
    left = flow.protection is Protection.READ and flow.opened[1] is State.LEFT
    return left and flow.volume is not None and bool(_words(lab, "replay"))


def _words(lab: "Lab", verb: str, flow: "Flow | None" = None) -> list[str]:
    """The words of a lab's own moves of that verb; with a flow, as they are on this very disk."""
    words = [word for one, word in map(moves.split, lab.after.wizard) if one == verb]
    return [labs.told(word, lab, flow.labs) if flow else word for word in words]


# -- what is next when something was done ----------------------------------------------------------------


def after_check(verdict: "Verdict", lab: "Lab", *, linear: bool = False) -> "list[Part]":
    """What is next when the task was checked."""
    if verdict.solved:
        told = _("Read what happened, then take everything down and quit.")
        if linear:
            told = _("Take everything down and quit.")  # what happened is told at the ticket only
    elif _FOR_GOOD & {one.kind for one in verdict.breaches}:
        told = _("What was harmed stays so on this disk: go back to the ticket, and start over.")
    elif lab.goal.question:
        told = _("Copy the files that are missing, answer the question of the ticket, then check again.")
    else:
        told = _("Go back to the files, mark what is missing, copy it, and check again.")
    return [(_("Next"), told)]


def nothing_left(*, linear: bool = False) -> "list[Part]":
    """What is next at the leftovers when nothing of a program that died is up any more."""
    if linear:
        return [(_("Next"), _("What died is taken down: go back with b, and let it be checked."))]
    return [(_("Next"), _("What died is taken down: go back with Esc, and let it be checked."))]


def ask(frame: "Frame") -> None:
    """Ask what is asked at this step and was not answered yet, one question after the other.

    What was put off is not asked again before the step is entered anew.
    """
    from tui.screens.quiz import QuizScreen

    exercise = guided(frame.flow)
    if exercise is None or frame.app.screen is not frame:
        return
    try:
        questions = labs.open_questions(exercise.lab, frame.flow.labs, frame.topic)
    except SalvageError as error:
        frame.app.trouble(error)
        return
    for number, quiz in questions:
        if number not in frame.asked:
            frame.asked.add(number)
            frame.app.push_screen(QuizScreen(exercise.lab, number, quiz))
            return
