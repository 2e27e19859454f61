"""What the screens of the practice disks are, as `lessons` has it for the steps."""

from collections.abc import Mapping

from core.i18n import N_
from tui.screens.lesson import Lesson
from tui.screens.lesson_commands import COMMANDS

PRACTICE: Mapping[str, Lesson] = {
    "practise": Lesson(
        N_("Practising"),
        N_(
            "A practice disk is built with file systems and a task, as somebody in need would tell it. You"
            " go the same road as with a real disk; at the end the result can be checked."
        ),
        N_("Nothing: it lies in a folder of its own, and can be built again at any time."),
        COMMANDS["practise"],
    ),
    "quiz": Lesson(
        N_("A question"),
        N_("Asked where you are about to decide. Each answer tells why it is right or wrong."),
        N_("Nothing: a wrong answer costs no points."),
        keys=N_("Esc leaves the question for later."),
    ),
    "answer": Lesson(
        N_("The question of the ticket"),
        N_(
            "What the one who wrote the ticket wants to know beside the files. The check tells whether it is"
            " right."
        ),
        N_("A wrong answer costs points, also when a right one follows: find it out before you say it."),
        COMMANDS["answer"],
    ),
    "said": Lesson(
        N_("To read"),
        N_(
            "What is told of a practice disk: hints, a verdict, what happened and how it is done,"
            " your record."
        ),
        N_("What happened, heard before the task is solved, costs all points of that disk."),
        COMMANDS["said"],
    ),
    "byhand": Lesson(
        N_("By hand"),
        N_(
            "The plain commands, one at a time, in the practice disk's folder. Where a line goes wrong you"
            " are told why; what harms the practice disk is run only when it is given once more."
        ),
        N_(
            "Nothing outside of that folder: what leads there is refused. What you attach and mount"
            " stays up until"
            " you take it down, and costs points when it is forgotten."
        ),
        COMMANDS["byhand"],
    ),
}
