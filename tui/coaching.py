"""What the coach of a guided lab says at a step, and the questions that are asked there."""

from typing import TYPE_CHECKING

from core.errors import SalvageError
from core.i18n import _
from core.lab import labs

if TYPE_CHECKING:
    from core.lab.lab import Lab
    from core.volumes.model import Volume
    from tui.chosen import Exercise
    from tui.flow import Flow
    from tui.screens.step import Frame
    from tui.widgets.side import Part


def guided(flow: "Flow") -> "Exercise | None":
    """The lab that is worked on with a coach: before its disk is chosen, or while it is."""
    exercise = flow.exercise
    if exercise is None or not exercise.guided:
        return None
    return exercise if flow.disk is None or flow.task() else None


def advice(flow: "Flow", topic: str, volume: "Volume | None" = None) -> "list[Part]":
    """What the coach says at a step, with the numbers of this very disk; nothing without a coach.

    `volume` is the one that the step is about; without one, it is the open one that the files are of.
    """
    exercise = guided(flow)
    said = {str(step): one for step, one in exercise.lab.guide.items()}.get(topic) if exercise else None
    if exercise is None or said is None:
        return []
    volume = volume or (flow.volume if topic == "files" else None)
    if volume and elsewhere(exercise.lab, volume.id):
        other = _("This is {volume}, and the task is about another one.").format(volume=volume.title)
        return [(_("Look"), other), (_("Next"), _("Go back to the partitions, and choose anew."))]
    try:
        look, why, next = (
            labs.told(text, exercise.lab, flow.labs) for text in (said.look, said.why, said.next)
        )
    except SalvageError:
        return []  # its record cannot be read: the check will say so
    return [(_("Look"), look), (_("Why"), why), (_("Next"), next)]


def elsewhere(lab: "Lab", volume: str) -> bool:
    """Whether none of the volumes that a lab's own way opens is this one."""
    opened = [move.split(" ", 1)[1] for move in lab.after.wizard if move.startswith(("open ", "unlock "))]
    return bool(opened) and volume not in opened


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
