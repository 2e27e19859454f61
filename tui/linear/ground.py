"""What each step of the line-by-line mode stands on: flow, talk, work on the host, help, coach."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ParamSpec, TypeVar

from core.i18n import _, sentences, titled
from core.lab import labs
from core.lab.lab import Lab, Quiz
from core.operator import Operator
from core.session import Session
from core.volumes.model import Volume
from tui import coaching
from tui.flow import Flow
from tui.linear.talk import BACK, Asides, Talk
from tui.screens.lessons import LESSONS
from tui.widgets.side import Part

P = ParamSpec("P")
T = TypeVar("T")
Step = Callable[[], Any]
"""A step; it gives the next one, or None at the end."""
Plan = Callable[[Session], None]


class Ground:
    """One person's talk over one flow."""

    def __init__(self, flow: Flow, talk: Talk) -> None:
        self.flow = flow
        self.talk = talk
        self._asked: set[tuple[str, int]] = set()
        self._at = ""
        """The step that the coach spoke at last: whoever comes back to another is asked there anew."""

    def work(self, told: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Work on the road, by its operator; what is told goes before."""
        return self.on(self.flow.operator, told, lambda: work(*args, **kwargs))

    def on(self, operator: Operator, told: str, work: Callable[[], T]) -> T:
        """Work by that operator; nothing goes before it where `told` is empty."""
        if told:
            self.talk.say(told)
        return operator.submit(work).result()

    def asides(self, topic: str, plan: Plan | None = None) -> Asides:
        """What `?` and `c` tell at a step."""

        def help() -> list[str]:
            lesson = LESSONS[topic]
            told = [_(lesson.title)]
            for title, text in lesson.parts(keys=False):
                shell = text.startswith(("$ ", "# "))
                told += [title, *text.split("\n")] if shell else [titled(title, text)]
            return told

        def commands() -> list[str]:
            if plan is None:
                return []
            ran = self.flow.operator.submit(self.flow.do_plan, plan).result()
            told: list[str] = []
            for one in ran:
                told += ["# " + one.command.why, one.command.shell()]
                told += [
                    "#   " + _("undone by: {command}").format(command=u.shell()) for u in one.command.undo
                ]
            return told

        return Asides(help, commands)

    def warn(self) -> None:
        """What must be known of the open volume."""
        for told in filter(None, (self.flow.caution, self.flow.remark)):
            self.talk.say(told)

    # -- the coach --------------------------------------------------------------------------------

    def coach(self, topic: str, volume: Volume | None = None, instead: Sequence[Part] = ()) -> None:
        """What the coach of a guided lab says at a step, and what he asks there, each question once a visit.

        `instead` is what he says in the place of that, where something was done there already.
        """
        said = coaching.advice(self.flow, topic, volume, linear=True)
        for title, text in instead if said and instead else said:
            self.talk.say(titled(title, text))
        if topic != self._at:
            self._asked.clear()
            self._at = topic
        exercise = coaching.guided(self.flow)
        if exercise is None:
            return
        for number, quiz in labs.open_questions(exercise.lab, self.flow.labs, topic):
            if (exercise.lab.name, number) not in self._asked:
                self._asked.add((exercise.lab.name, number))
                self._ask(exercise.lab, number, quiz)

    def _ask(self, lab: Lab, number: int, quiz: Quiz) -> None:
        told = partial(labs.told, lab=lab, folder=self.flow.labs)
        answers = [(str(at), told(answer.text)) for at, answer in enumerate(quiz.answers)]
        wrong: set[str] = set()
        while True:
            self.talk.say(_("A question, before you decide"))
            chosen = self.talk.choose(told(quiz.question), answers, self.asides("quiz"))
            if chosen == BACK:
                return
            answer = quiz.answers[int(chosen)]
            # "Right. Yes: ..." would say it twice
            agreed = _("Right.") if answer.right and not answer.why.startswith("Yes") else ""
            self.talk.say(sentences((agreed if answer.right else _("Not so."), told(answer.why))))
            if answer.right:
                labs.answered(lab, self.flow.labs, number, len(wrong))
                return
            wrong.add(chosen)
