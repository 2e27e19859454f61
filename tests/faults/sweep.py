"""All faults at all points of all pipelines: `python -m tests.faults.sweep [--sample] [--only WORD]`.

With `--beside` other sessions open and close volumes meanwhile. With `--classical` the pipelines that
need the device mapper, nbd and md, on a host that does nothing else; see `tests.vm.faults`. Prints a table
of pipelines and faults and ends with 1 if anything was left.
"""

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from tests.faults import classical
from tests.faults.beside import Beside
from tests.faults.pipelines import PIPELINES, Pipeline, Place
from tests.faults.points import FAULTS, faults_at
from tests.faults.sample import sampled
from tests.faults.trial import Bench, Outcome, Trial, die_with_parent

_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a sweep can be done: what a sweeper's place is, and the pipelines that work there."""

    place: type[Place]
    pipelines: tuple[Pipeline, ...]

    def only(self, word: str) -> "Ground":
        """With the pipelines alone whose name contains the word."""
        return Ground(self.place, tuple(one for one in self.pipelines if word in one.name))


HERE = Ground(Place, PIPELINES)
CLASSICAL = Ground(classical.ClassicalPlace, classical.PIPELINES)


@dataclass(frozen=True, slots=True)
class Swept:
    """What came of a sweep."""

    outcomes: tuple[Outcome, ...]
    seconds: float

    @property
    def bad(self) -> list[Outcome]:
        return [one for one in self.outcomes if one.findings]

    def summary(self) -> str:
        missed = sum(not one.hit for one in self.outcomes)
        told = (
            f"{len(self.outcomes) - missed} faults, {len(self.bad)} left behind, {self.seconds:.0f} seconds"
        )
        return told + (f" ({missed} more came to nothing: the kernel was faster)" if missed else "")

    def table(self) -> str:
        """Pipelines down, faults across: how many there were, and how many left something."""
        count = Counter((one.trial.pipeline.name, one.trial.fault) for one in self.outcomes if one.hit)
        bad = Counter((one.trial.pipeline.name, one.trial.fault) for one in self.bad)
        names = list(dict.fromkeys(one.trial.pipeline.name for one in self.outcomes))
        rows = [["", *FAULTS]]
        for name in names:
            cells = [(count[name, fault], bad[name, fault]) for fault in FAULTS]
            rows.append([name, *(f"{n}" + (f" ({b} bad)" if b else "") if n else "" for n, b in cells)])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = (zip(row, widths, strict=True) for row in rows)
        return "\n".join("  ".join(cell.rjust(width) for cell, width in line) for line in lines)


def trials(base: Path, ground: Ground, faults: Collection[str] = FAULTS) -> list[Trial]:
    """Every fault, of these, that can hit, at every point of every pipeline."""
    with Bench(ground.place(base / "points", 0)) as bench:
        return [
            Trial(pipeline, point, fault)
            for pipeline in ground.pipelines
            for point in bench.points(pipeline)
            for fault in faults_at(point)
            if fault in faults
        ]


def sweep(base: Path, kind: type[Place], chosen: Sequence[Trial], workers: int) -> Iterator[Outcome]:
    """Run the trials, `workers` at a time, each in its own place below `base`."""
    connections: list[Connection] = []
    processes = []
    for number in range(workers):
        ours, theirs = _FORK.Pipe(duplex=False)
        place = kind(base / f"w{number}", number + 1)
        process = _FORK.Process(target=_work, args=(place, chosen[number::workers], theirs))
        process.start()
        theirs.close()
        connections.append(ours)
        processes.append(process)
    try:
        while connections:
            for ready in wait(connections):
                assert isinstance(ready, Connection)
                try:
                    yield ready.recv()
                except EOFError:
                    connections.remove(ready)
    finally:
        for process in processes:
            if connections:
                process.terminate()
            process.join()
    assert all(process.exitcode == 0 for process in processes), "a sweeper died"


def _stop(*_of: object) -> None:
    """Ends after clearing away, which a second SIGTERM must not stop."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(1)


def _work(place: Place, chosen: Sequence[Trial], told: Connection) -> None:
    signal.signal(signal.SIGTERM, _stop)
    die_with_parent(signal.SIGTERM)
    with Bench(place) as bench:
        for trial in chosen:
            told.send(bench.run(trial))
    told.close()


def thinned(chosen: Sequence[Trial], step: int) -> list[Trial]:
    """One of each `step` of them, and one at least of every pipeline."""
    first = {one.pipeline: number for number, one in reversed([*enumerate(chosen)])}
    return [one for number, one in enumerate(chosen) if number % step == 0 or first[one.pipeline] == number]


def swept(
    base: Path,
    *,
    sample: bool,
    workers: int,
    ground: Ground = HERE,
    faults: Collection[str] = FAULTS,
    seed: int = 0,
    quiet: bool = True,
    step: int = 1,
) -> Swept:
    """Sweep all, or a sample that comes to every situation, or to one of each `step` situations."""
    began = time.monotonic()
    every = trials(base, ground, faults)
    chosen = thinned(sampled(every, seed), step) if sample else every
    outcomes = []
    for outcome in sweep(base, ground.place, chosen, workers):
        outcomes.append(outcome)
        for finding in outcome.findings:
            print(f"{outcome.trial}: {finding}", flush=True)
        if not quiet and len(outcomes) % 20 == 0:
            print(f"{len(outcomes)} of {len(chosen)}", file=sys.stderr, flush=True)
    return Swept(tuple(outcomes), time.monotonic() - began)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.sweep")
    parser.add_argument("--sample", action="store_true", help="one fault for each situation")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="which one of a situation's faults")
    parser.add_argument("--only", default="", metavar="WORD", help="pipelines whose name contains WORD")
    parser.add_argument("--fault", action="append", choices=FAULTS, help="this fault, not all; several times")
    parser.add_argument("--workers", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("--beside", action="store_true", help="with other sessions that begin and end")
    parser.add_argument("--classical", action="store_true", help="the ways of the test machine, on this host")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    ground = (CLASSICAL if options.classical else HERE).only(options.only)
    with tempfile.TemporaryDirectory(prefix="virt-salvage-faults-") as folder, ExitStack() as also:
        beside = Beside(ground.place(Path(folder) / "beside", options.workers + 1))
        if options.beside:
            also.enter_context(beside)
        done = swept(
            Path(folder),
            sample=options.sample,
            workers=1 if options.classical else options.workers,
            ground=ground,
            faults=options.fault or FAULTS,
            seed=options.seed,
            quiet=False,
        )
    print(done.table())
    slowest = max(done.outcomes, key=lambda one: one.undo_seconds)
    print(f"slowest undo: {slowest.undo_seconds:.2f} seconds ({slowest.trial})")
    print(done.summary())
    if options.beside:
        print(f"{beside.ended} other sessions beside it", *beside.failed, sep="\n")
    return 1 if done.bad or beside.failed else 0


if __name__ == "__main__":
    sys.exit(main())
