"""A sample of all faults that comes to every situation in which one can hit."""

from collections.abc import Iterable, Sequence

from tests.faults.pipelines import Pipeline
from tests.faults.points import LINE_AFTER, LINE_BEFORE, Point
from tests.faults.trial import Trial

Situation = tuple[str, str, tuple[Point, ...]]
"""The disk's format, how it is protected, and all that came before: points after which something happened."""


def situations(every: Iterable[Trial]) -> dict[Situation, dict[Pipeline, list[Trial]]]:
    """The trials by what they find, and by the pipelines that come to it.

    Pipelines that begin with the same points find the same there, whatever they do later: a listing, a copy
    and a copy out of a group until the volume is opened. Between a line that was written and the next one
    that is about to be nothing happens, so that both find the same.
    """
    found: dict[Situation, dict[Pipeline, list[Trial]]] = {}
    for pipeline, points in _by_points(every).items():
        before: tuple[Point, ...] = ()
        for point, trials in points.items():
            if not (before and before[-1].kind == LINE_AFTER and point.kind == LINE_BEFORE):
                before = (*before, point)
            runs = found.setdefault((pipeline.format, pipeline.protection, before), {})
            runs.setdefault(pipeline, []).extend(trials)
    return found


def _by_points(every: Iterable[Trial]) -> dict[Pipeline, dict[Point, list[Trial]]]:
    points: dict[Pipeline, dict[Point, list[Trial]]] = {}
    for trial in every:
        points.setdefault(trial.pipeline, {}).setdefault(trial.point, []).append(trial)
    return points


def sampled(every: Sequence[Trial], seed: int = 0) -> list[Trial]:
    """One fault for each situation; which one, and in which pipeline, changes from one to the next."""
    chosen = []
    for number, runs in enumerate(situations(every).values(), seed):
        trials = list(runs.values())[number % len(runs)]
        chosen.append(trials[number % len(trials)])
    return chosen
