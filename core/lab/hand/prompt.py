"""The prompt of a lab: takes a line, tells what the command would do, and runs it in the lab's folder."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core import host, tools
from core.command import Command, Limits
from core.errors import SalvageError, WrongUsage
from core.i18n import _
from core.lab import labs, telling
from core.lab.hand import files, history
from core.lab.hand.ground import Ground
from core.lab.hand.history import Typed
from core.lab.hand.judge import KNOWN, judged
from core.lab.hand.judgement import Judgement, Remark, Weight
from core.lab.hand.line import Line, parsed
from core.lab.lab import Lab
from core.lab.stopping import REASONS
from core.runner import CommandFailed, Runner
from core.text import safe

WALL = 120.0
"""Seconds that one command may take."""
SETTLED = 5.0
"""Seconds that a process that was told to end gets before the prompt comes back."""
SHOWN = 200
"""Lines of an output that are shown."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a line: what was said about it, what it printed, how it ended (None: it was not run)."""

    line: str
    remarks: tuple[Remark, ...] = ()
    output: tuple[str, ...] = ()
    status: int | None = None

    @property
    def waits(self) -> bool:
        """Whether the same line once more would run it all the same."""
        return self.status is None and max((one.weight for one in self.remarks), default=0) == Weight.WARNING


@dataclass
class Prompt:
    """One learner at the prompt of one lab. `runner` runs what is typed."""

    lab: Lab
    folder: Path
    runner: Runner
    learner: str | None = None
    _warned: str = ""

    def enter(self, text: str) -> Reply:
        """Judge and run one line. Raises `core.errors.Cancelled`, and `SalvageError` where nothing can be
        run."""
        home, record = labs.begun(self.lab, self.folder)
        text = text.strip()
        warned, self._warned = self._warned, ""
        if text == "?":  # elsewhere in the program it is help; as a pattern it would be a file's name
            return Reply(text, output=tuple(self._help(())), status=0)
        try:
            line = parsed(text, home)
        except WrongUsage as error:
            return Reply(text, (Remark(Weight.REFUSAL, error.paragraph()),))
        if line is None:
            return Reply(text)
        if line.program in _WORDS:
            return Reply(text, output=tuple(_WORDS[line.program](self, line.words[1:])), status=0)
        ground = Ground(self.lab, home, record)
        found = judged(line, ground)
        if not tools.find(line.program) and found.weight < Weight.REFUSAL:
            found.refuse(_("The program {name} is not installed here.").format(name=safe(line.program)))
        remarks = tuple(found.remarks)
        if found.weight is Weight.REFUSAL or (found.weight is Weight.WARNING and warned != text):
            if found.weight is Weight.WARNING:
                self._warned = text
            self._note(home, Typed(text, found.kinds, None))
            return Reply(text, remarks)
        before, ending = set(os.listdir(home)), files.ended_by(line.words, ground)
        status, output = self._run(home, line, found)
        self._settle(ending)
        made = tuple(sorted(set(os.listdir(home)) - before))
        self._note(home, Typed(text, found.kinds, status, made))
        return Reply(text, remarks, _lines(output), status)

    def _run(self, home: Path, line: Line, found: Judgement) -> tuple[int, bytes]:
        command = Command(
            ("env", f"--chdir={home}", *line.words),
            why=_("Typed by the learner."),
            effect=_("something in the practice disk's folder changes") if found.changes else "",
            environment=(("LC_ALL", "C"),) if line.bytewise else (),
            limits=Limits(wall=WALL, processor=int(WALL), memory=8 << 30, output=4 << 20),
        )
        try:
            result = self.runner.run(command)
        except CommandFailed as failure:
            result = failure.result
        if line.output and result.status == 0:
            try:
                with open(home / line.output, "wb") as sink:
                    sink.write(result.out)
            except OSError as error:
                return 1, (error.strerror or "").encode()
            return 0, result.err
        return result.status, result.out + result.err

    def _settle(self, pids: Sequence[int]) -> None:
        """Wait a little until processes that were told to end have taken down what they hold."""
        turns = int(SETTLED / 0.05)
        while turns and any(host.started(pid) for pid in pids):
            turns -= 1
            self.runner.cancel.wait(0.05)

    # -- words of the prompt itself ------------------------------------------------------------------

    def _ticket(self, _words: tuple[str, ...]) -> Iterator[str]:
        yield labs.ticket(self.lab, self.folder)

    def _hint(self, _words: tuple[str, ...]) -> Iterator[str]:
        cost = labs.next_cost(self.lab, self.folder)
        if cost is None:
            yield _("There is no further hint.")
            return
        yield labs.hint(self.lab, self.folder)
        yield _("This hint costs {cost} points.").format(cost=cost)

    def _stop(self, words: tuple[str, ...]) -> Iterator[str]:
        if not words or words[0] not in REASONS:
            yield _("Say why the ticket is handed back:")
            yield from (f"  stop {name}: {_(told)}" for name, told in REASONS.items())
            return
        labs.hand_back(self.lab, self.folder, words[0])
        yield _("The ticket is handed back. {why}").format(why=_(REASONS[words[0]]))

    def _answer(self, words: tuple[str, ...]) -> Iterator[str]:
        if not words or not self.lab.goal.question:
            yield labs.asked(self.lab, self.folder) or _("The ticket asks no question.")
            return
        labs.answer(self.lab, self.folder, " ".join(words))
        yield _("Your answer is noted. The check tells whether it is right.")

    def _check(self, _words: tuple[str, ...]) -> Iterator[str]:
        verdict = labs.check(self.lab, self.folder, learner=self.learner)
        yield from (said.text for said in telling.verdict(verdict))

    def _help(self, _words: tuple[str, ...]) -> Iterator[str]:
        yield _("One command at a time; it runs in the practice disk's folder, and reaches nothing else.")
        yield _("ticket, hint, check, answer TEXT, stop REASON, exit; ↑ brings back what was typed.")
        yield _("Known programs: {names}").format(names=" ".join(sorted(KNOWN)))

    def _note(self, home: Path, typed: Typed) -> None:
        try:
            history.add(home, typed)
        except OSError as error:
            raise SalvageError(
                _("What is typed cannot be written down: {reason}.").format(
                    reason=os.strerror(error.errno or 0)
                ),
                _("Without that the task could not be judged, so nothing was run."),
            ) from error


_WORDS: Mapping[str, Callable[[Prompt, tuple[str, ...]], Iterator[str]]] = {
    "ticket": Prompt._ticket,
    "hint": Prompt._hint,
    "stop": Prompt._stop,
    "answer": Prompt._answer,
    "check": Prompt._check,
    "help": Prompt._help,
}


def _lines(output: bytes) -> tuple[str, ...]:
    lines = [safe(line) for line in output.decode("utf-8", "surrogateescape").expandtabs().splitlines()]
    if len(lines) > SHOWN:
        left = len(lines) - SHOWN
        return (*lines[:SHOWN], _("... and {count} more lines; > FILE keeps them all").format(count=left))
    return tuple(lines)
