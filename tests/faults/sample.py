"""A sample of all faults that comes to every situation in which one can hit."""

from collections.abc import Iterable, Iterator, Sequence

from tests.faults.pipelines import Pipeline
from tests.faults.points import LINE_AFTER, LINE_BEFORE, Point
from tests.faults.trial import Trial

Situation = tuple[str, str, tuple[str, ...], Point]
"""The disk's format, how it is protected, what was put up and stands, in this order, and the point."""


def situations(every: Iterable[Trial]) -> dict[Situation, dict[Pipeline, list[Trial]]]:
    """The trials by what they find, and by the pipelines that come to it.

    Where the same things stand, put up in the same order, pipelines find the same, whatever they do later and
    however they came there: a listing, a copy and a mount until the volume is opened. Between a line that was
    written and the next one that is about to be nothing happens, so that both find the same.
    """
    found: dict[Situation, dict[Pipeline, list[Trial]]] = {}
    for pipeline, points in _by_points(every).items():
        before: Situation | None = None
        for stands, point in standing(points):
            follows = before and before[3].kind == LINE_AFTER and point.kind == LINE_BEFORE
            if not (before and follows):
                before = (pipeline.format, pipeline.protection, stands, point)
            found.setdefault(before, {}).setdefault(pipeline, []).extend(points[point])
    return found


def standing(points: Iterable[Point]) -> Iterator[tuple[tuple[str, ...], Point]]:
    """Each point of a run with what the journal says of what stands there: ``intent loop``, ``done file``."""
    up: list[str] = []
    for point in points:
        yield tuple(up), point
        event, _blank, thing = point.label.partition(" ")
        if point.kind != LINE_AFTER or not thing:
            continue
        if event == "intent":
            up.append(point.label)
            continue
        at = max(at for at, told in enumerate(up) if told.endswith(f" {thing}"))
        if event == "released":
            del up[at]
        else:
            up[at] = point.label


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
