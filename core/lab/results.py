"""What learners have done, kept offline in one file each, and what a teacher sees of several.

A file ``LEARNER.json`` in the folder of results holds one entry for each lab that was solved or judged:
its last verdict, and the best that it ever was.
"""

import json
import os
import pwd
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.errors import SalvageError
from core.i18n import _, ngettext
from core.lab.lab import Lab, Verdict
from core.lab.record import Record
from core.text import safe

FOLDER = "results"
_NAME = re.compile(r"[^\w.@ -]+")


@dataclass(frozen=True, slots=True)
class Result:
    """How a learner stands with one lab. `when` is the last judgement, in seconds since 1970."""

    lab: str
    title: str
    level: int
    seed: int
    way: str
    solved: bool
    points: int
    seconds: int
    hints: int
    tries: int
    breaches: tuple[str, ...] = ()
    """The wrong ways that were gone on any try, see `core.lab.safety`."""
    quizzes: dict[str, int] = field(default_factory=dict)
    """Wrong answers by the number of the question."""
    when: float = 0.0


@dataclass(frozen=True, slots=True)
class Learner:
    """One learner and all results."""

    name: str
    results: tuple[Result, ...]

    def of(self, lab: str) -> Result | None:
        return next((one for one in self.results if one.lab == lab), None)


def login() -> str:
    """The learner's name when nobody says otherwise: who called sudo, or who is logged in."""
    name = os.environ.get("SUDO_USER") or ""
    if not name:
        try:
            name = pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:
            name = str(os.geteuid())
    return name


def file_of(folder: Path, learner: str) -> Path:
    """Where a learner's results lie."""
    return folder / FOLDER / f"{_NAME.sub('_', learner)[:60] or 'learner'}.json"


def read(path: Path) -> Learner:
    """A learner's results; raises `SalvageError` when they cannot be read."""
    try:
        document = json.loads(path.read_bytes())
        results = tuple(_result(one) for one in document["results"])
        return Learner(str(document["learner"]), results)
    except OSError as error:
        raise _cannot(path, error.strerror or "") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _cannot(path, _("it is no file of results")) from error


def _result(document: dict[str, Any]) -> Result:
    document["breaches"] = tuple(map(str, document.get("breaches", ())))
    result = Result(**document)
    numbers = (result.level, result.points, result.seconds, result.hints, result.tries)
    if not all(isinstance(one, int) for one in numbers) or not isinstance(result.lab, str):
        raise TypeError
    return result


def keep(folder: Path, learner: str, lab: Lab, record: Record, verdict: Verdict) -> None:
    """Write down how a lab was judged. Raises `SalvageError` when that cannot be."""
    path = file_of(folder, learner)
    known = read(path) if path.exists() else Learner(learner, ())
    before = known.of(lab.name)
    now = Result(
        lab.name,
        lab.title,
        lab.level,
        record.seed,
        record.way,
        verdict.solved,
        verdict.points.total if verdict.points else 0,
        round(record.seconds()),
        record.hints,
        (before.tries if before else 0) + 1,
        tuple(sorted({one.kind for one in verdict.breaches} | set(before.breaches if before else ()))),
        record.quizzes or (before.quizzes if before else {}),
        time.time(),
    )
    if before and before.points > now.points:
        kept = asdict(before) | {"tries": now.tries, "breaches": now.breaches, "when": now.when}
        now = Result(**kept)
    rest = tuple(one for one in known.results if one.lab != lab.name)
    document = {"learner": known.name, "results": [asdict(one) for one in (*rest, now)]}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        os.replace(fresh, path)
    except OSError as error:
        raise _cannot(path, error.strerror or "") from error


def _cannot(path: Path, reason: str) -> SalvageError:
    return SalvageError(
        _("The results in {path} cannot be used: {reason}.").format(path=safe(path), reason=reason),
        _("The practice disks are not concerned."),
        _("Move that file away; the next check begins a new one."),
    )


# -- what they add up to ---------------------------------------------------------------------------------


def marks(learner: Learner, labs: Iterable[Lab]) -> list[str]:
    """What a learner has shown so far, a sentence each."""
    solved = [one for one in learner.results if one.solved]
    told = []
    levels: dict[int, list[str]] = {}
    for lab in labs:
        levels.setdefault(lab.level, []).append(lab.name)
    done = {one.lab for one in solved}
    told += [
        _("Every lab of level {level} is solved.").format(level=level)
        for level, names in sorted(levels.items())
        if done.issuperset(names)
    ]
    for count, one, many in (
        (sum(not one.breaches for one in solved), N_CLEAN[0], N_CLEAN[1]),
        (sum(one.way == "hand" for one in solved), N_HAND[0], N_HAND[1]),
        (sum(not one.hints for one in solved), N_ALONE[0], N_ALONE[1]),
    ):
        if count:
            told.append(ngettext(one, many, count).format(n=count))
    return told


N_CLEAN = (
    "{n} lab solved with nothing harmed and nothing left behind.",
    "{n} labs solved with nothing harmed and nothing left behind.",
)
N_HAND = ("{n} lab solved by hand.", "{n} labs solved by hand.")
N_ALONE = ("{n} lab solved without a hint.", "{n} labs solved without a hint.")


def gathered(folder: Path) -> tuple[list[Learner], list[str]]:
    """The learners whose results lie in a folder, and sentences about files that cannot be read."""
    learners: list[Learner] = []
    problems: list[str] = []
    for path in sorted(folder.glob("*.json")):
        try:
            learners.append(read(path))
        except SalvageError as error:
            problems.append(error.what)
    return learners, problems


def troubles(learners: Sequence[Learner]) -> list[tuple[str, int]]:
    """What most learners got wrong: kinds of wrong ways and missed questions, the most frequent first.

    A question is named ``LAB ?N``.
    """
    counted: Counter[str] = Counter()
    for learner in learners:
        counted.update({kind for one in learner.results for kind in one.breaches})
        counted.update(
            f"{one.lab} ?{int(number) + 1}"
            for one in learner.results
            for number, wrong in one.quizzes.items()
            if wrong and number.isdigit()
        )
    return counted.most_common()
