"""Running cases in a child that may crash, hang or eat memory, and telling what became of each."""

import multiprocessing
import os
import random
import resource
import signal
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from tests.fuzz.damage import damaged
from tests.fuzz.seeds import Seed
from tests.fuzz.targets import Target

SECONDS = 5.0
"""A case may take so long, its programs included, where nothing else wants the processors."""
MEMORY = 300 << 20
"""Bytes that this program, or one that it runs, may have at once."""


@dataclass(frozen=True)
class Finding:
    """What went wrong in one case; it can be had again by the seed and the number."""

    number: int
    target: str
    made_of: str
    what: str

    def __str__(self) -> str:
        return f"case {self.number} ({self.target}, {self.made_of}): {self.what}"


@dataclass
class Outcome:
    """What became of all cases so far."""

    cases: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    slowest: float = 0.0
    memory: int = 0
    """The most bytes that any process had."""

    @property
    def total(self) -> int:
        return sum(self.cases.values())

    def sentence(self, seed: int, seconds: float) -> str:
        kinds = ", ".join(f"{count} {name}" for name, count in sorted(self.cases.items()))
        return (
            f"seed {seed}: {self.total} cases in {seconds / 60:.1f} minutes ({kinds}); "
            f"{len(self.findings)} findings; the slowest took {self.slowest:.2f} s, "
            f"the largest process had {self.memory >> 20} MiB"
        )


Stock = Mapping[str, tuple[Seed, ...]]
"""The seeds of each target."""


def stock(targets: Mapping[str, Target], folder: Path) -> Stock:
    """Make the seeds of each target, in a folder of its own."""
    made = {}
    for name, target in targets.items():
        place = folder / name
        place.mkdir()
        made[name] = tuple(target.seeds(place))
    return made


@dataclass(frozen=True)
class Case:
    """One damaged seed and what is done with it, as the seed of the run and the number will have it."""

    number: int
    target: str
    seed: Seed
    chance: random.Random


@dataclass
class Fuzzer:
    """A run with the seed `run`; disks are written to `folder`, one at a time."""

    run: int
    targets: Mapping[str, Target]
    made: Stock
    folder: Path
    outcome: Outcome = field(default_factory=Outcome)
    number: int = 0
    """Of the next case."""

    def case(self, number: int) -> Case:
        chance = random.Random(f"{self.run}/{number}")
        names = list(self.targets)
        name = chance.choices(names, [self.targets[one].weight for one in names])[0]
        others = self.made[name]
        return Case(number, name, damaged(chance.choice(others), others, chance), chance)

    def cases(self, until: float) -> Iterator[Outcome]:
        """Go through the cases until `until` (time.monotonic); the outcome after each."""
        context = multiprocessing.get_context("fork")
        while time.monotonic() < until:
            ours, theirs = context.Pipe()
            child = context.Process(target=self._work, args=(ours, theirs, until))
            child.start()
            theirs.close()
            while self._heard(ours):
                yield self.outcome
            ours.close()
            _kill(child.pid or 0)
            child.join()
            yield self.outcome

    def _heard(self, pipe: Connection) -> bool:
        """Hear of one case; whether the child may go on."""
        patience = SECONDS * 2 * (1 + _crowd())
        if not pipe.poll(patience):
            self._note(f"hangs for more than {patience:.0f} s")
            return False
        try:
            told = pipe.recv()
        except EOFError:
            self._note("the process died")
            return False
        if told is None:
            return False
        name, wrong, seconds, memory = told
        outcome = self.outcome
        outcome.cases[name] = outcome.cases.get(name, 0) + 1
        outcome.slowest, outcome.memory = max(outcome.slowest, seconds), max(outcome.memory, memory)
        if wrong:
            self._note(wrong)
        else:
            self.number += 1
        # the most memory that a process ever had stays with it
        return memory <= MEMORY

    def _note(self, what: str) -> None:
        """Keep a finding; a child that died can say no more, so its case is made once more."""
        found = self.case(self.number)
        self.outcome.findings.append(Finding(self.number, found.target, found.seed.name, what))
        self.number += 1

    def _work(self, other: Connection, pipe: Connection, until: float) -> None:
        other.close()  # so that nobody is left to listen when our parent ends
        os.setpgid(0, 0)
        number = self.number
        while time.monotonic() < until:
            pipe.send(self.attempt(self.case(number)))
            number += 1
        pipe.send(None)

    def attempt(self, one: Case) -> tuple[str, str, float, int]:
        """Do one case: target, what went wrong (empty if nothing), seconds, the most memory so far.

        On a busy machine anything may take long once: a slow case counts when it is slow twice.
        """
        wrong, seconds = self._act(one)
        if not wrong and seconds > SECONDS:
            wrong, seconds = self._act(self.case(one.number))
            if not wrong and seconds > SECONDS * _crowd():
                wrong = f"took {seconds:.1f} s"
        memory = _memory()
        if not wrong and memory > MEMORY:
            wrong = f"took {memory >> 20} MiB of memory"
        return one.target, wrong, seconds, memory

    def _act(self, one: Case) -> tuple[str, float]:
        path = self.folder / f"case{one.seed.suffix}"
        one.seed.write(path)
        before = _identity(path)
        began = time.monotonic()
        wrong = ""
        try:
            self.targets[one.target].act(path, one.chance)
        except Exception as error:  # noqa: BLE001 - any exception at all is what is looked for
            wrong = _place(error)
        seconds = time.monotonic() - began
        if not wrong and _identity(path) != before:
            wrong = "the disk was written to"
        path.unlink()
        return wrong, seconds


def _crowd() -> float:
    """How many want each processor, at least one."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _kill(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    where = " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    return f"{type(error).__name__}: {error} at {where}"


def _identity(path: Path) -> tuple[int, int]:
    at = path.stat()
    return at.st_size, at.st_mtime_ns


def _memory() -> int:
    """The most bytes that this process or one of its children had."""
    whom = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(who).ru_maxrss for who in whom) << 10  # getrusage(2): kibibytes
