"""The fault sweep in its short form, for every second situation; `make faults` is the whole of it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Guard, needs_root
from tests.faults.pipelines import PIPELINES, Place
from tests.faults.points import FAULTS
from tests.faults.sample import sampled, situations, standing
from tests.faults.sweep import HERE, swept, trials
from tests.faults.trial import Bench

pytestmark = [needs_root, pytest.mark.long(270)]

_ROOT = Path(__file__).parents[2]
_CRASH = Path(__file__).parent / "crash.py"


@pytest.mark.hostile(49)
@pytest.mark.hostile(50)
@pytest.mark.hostile(51)
def test_nothing_is_left_behind(guard: Guard) -> None:
    # not in its own folder: sockets lie below it, and unix(7) allows 107 bytes for a path
    done = swept(guard.base / "s", sample=True, workers=min(2, os.cpu_count() or 1), step=2)
    print(done.summary())
    assert {one.trial.pipeline for one in done.outcomes} == set(PIPELINES)
    assert {one.trial.fault for one in done.outcomes if one.hit} == set(FAULTS)
    assert sum(one.hit for one in done.outcomes) > 0.98 * len(done.outcomes)
    assert [(str(one.trial), one.findings) for one in done.bad] == []


def test_the_sample_comes_to_every_situation(tmp_path: Path) -> None:
    every = trials(tmp_path, HERE.only("raw read-only"))
    chosen, found = sampled(every), situations(every)
    assert len(chosen) == len(found)
    for runs in found.values():
        assert not set(chosen).isdisjoint(trial for trials in runs.values() for trial in trials)
    stands = {
        (pipeline, point): up
        for pipeline in HERE.pipelines
        for up, point in standing(dict.fromkeys(one.point for one in every if one.pipeline == pipeline))
    }
    for (_format, _protection, up, _point), runs in found.items():
        assert {stands[pipeline, trials[0].point] for pipeline, trials in runs.items()} == {up}
    assert ("done loop", "releasing mount") in {up[-2:] for up in stands.values()}


def test_the_sample_comes_to_every_event(tmp_path: Path) -> None:
    chosen = sampled(trials(tmp_path, HERE.only("qcow2 overlay mount")))
    labels = [one.point.label for one in chosen]
    for event in ("intent", "done", "releasing", "released"):
        for thing in ("overlay", "fuse-export", "file", "mount"):
            assert f"{event} {thing}" in labels


def test_what_is_left_is_found(tmp_path: Path) -> None:
    """The sweep itself: a leftover of each kind is told, and cleared away."""
    with Bench(Place(tmp_path / "bench", 0)) as bench:
        place = bench.place
        loop = subprocess.run(
            ["losetup", "--find", "--show", "--sizelimit", str(place.disk_size), place.disk("raw")],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        place.point.mkdir()
        subprocess.run(["mount", "-o", "ro", loop, place.point], check=True)
        (place.state / "sessions/stray").mkdir(parents=True)
        env = {"TMPDIR": str(place.base / "tmp")}
        with subprocess.Popen(["sleep", "60"], env=env) as sleeper:
            # Popen comes back a moment before the environment of the new program is there
            while b"TMPDIR" not in Path(f"/proc/{sleeper.pid}/environ").read_bytes():
                time.sleep(0.01)
            left = "\n".join(bench.left(place.state))
            bench.sweep_away()
        assert sleeper.returncode == -9
        for told in (
            f"process {sleeper.pid}",
            loop,
            str(place.point),
            "state: sessions/stray",
            "mount point",
        ):
            assert told in left
        assert bench.left(place.state) == []


@pytest.mark.hostile(49)
@pytest.mark.parametrize(("point", "moment"), [(3, "after"), (7, "before"), (9, "after")])
def test_killed_in_an_interpreter_of_its_own(tmp_path: Path, guard: Guard, point: int, moment: str) -> None:
    """The sweep forks; this is the same with the real start of the program, before and after."""
    with Bench(Place(tmp_path / "bench", 0)) as bench:
        state = bench.place.state
        env = {**os.environ, "PYTHONPATH": str(_ROOT), "TMPDIR": str(bench.place.base / "tmp")}
        (bench.place.base / "tmp").mkdir()
        call = ["--state-dir", str(state), "mount", str(bench.place.disk("qcow2")), "disk"]
        crash = [sys.executable, str(_CRASH), str(point), moment, *call, str(bench.place.point)]
        assert subprocess.run(crash, env=env, capture_output=True, check=False).returncode == -9
        undo = [sys.executable, "-m", "tui.main", "--state-dir", str(state), "undo", "--all"]
        undone = subprocess.run(undo, env=env, cwd=_ROOT, capture_output=True, check=False)
        assert undone.returncode == 0, undone
        assert bench.left(state) == []
