"""The real crash: victims are killed while they write, and virt-salvage brings back what they had saved.

A victim tells each fsync that returned. What it told must be there with its content when its journals are
replayed in an overlay; what is there without is counted. Run by itself it prints the figures, one line a
victim: ``python -m tests.vm.crash --runs 20``.
"""

import argparse
import hashlib
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from core.errors import SalvageError

from . import usermode
from .build import build as build_image
from .machine import Machine, accelerator
from .qemu import Setup
from .victim import machine, workload
from .victim.judge import Judge
from .victim.machine import FOLDERS, PLACES, Death, Victim

FORMATS = ("qcow2", "raw")
"""Taken in turns."""
AHEAD = 30
"""Steps that the victim may have done and not told."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is there of what the victim had saved in one place."""

    files: int
    rows: int
    commits: int
    """Rows in PostgreSQL."""
    wrong: tuple[str, ...]
    """Names of files that are not there or hold something else, and what is wrong with the databases."""


@dataclass(frozen=True, slots=True)
class Place:
    """One volume of a victim after its death."""

    volume: str
    files: int
    """Files that had been saved."""
    rows: int
    """Rows whose commit in SQLite had returned."""
    commits: int
    """Rows whose commit in PostgreSQL had returned."""
    left: Found
    """Read without the journal."""
    replayed: Found
    """Read with the journal replayed in an overlay."""
    differences: int
    """Files that `check --replay` says differ between the two, unsaved ones too."""
    verdict: str
    """What the check says of it with the journal replayed."""


@dataclass(frozen=True, slots=True)
class Crash:
    """One victim's death and what was recovered."""

    seed: int
    format: str
    death: Death
    places: tuple[Place, ...]

    @property
    def whole(self) -> bool:
        """Whether everything that had been saved came back."""
        return not any(place.replayed.wrong for place in self.places)


def crash(
    victim: Victim,
    seed: int,
    folder: Path,
    how: str,
    volumes: Sequence[str] = PLACES,
    longest: float = 40.0,
    judge: Judge | None = None,
) -> Crash:
    """Kill a victim and recover its `volumes` by the command line, with everything kept in `folder`.

    `how` is the accelerator, `longest` the seconds after which it dies at the latest. With a `judge`, who
    must see the folder, PostgreSQL runs too, in one of the volumes. Fails where the disk was changed.
    """
    chance = random.Random(f"death {seed}")
    format = FORMATS[seed % len(FORMATS)]
    disk = folder / f"victim-{seed}.{format}"
    convert = ["qemu-img", "convert", "-f", "qcow2", "-O", format, victim.disk, disk]
    subprocess.run(convert, check=True, stdin=subprocess.DEVNULL)
    cluster = PLACES.index(volumes[seed % len(volumes)]) if judge else None
    death = machine.killed(victim, disk, format, seed, cluster, how, chance.uniform(4.0, longest))
    before = _digest(disk)
    expected, unsure = _expected(seed, death.steps, cluster)
    places = tuple(
        _recovered(folder, disk, format, place, expected, unsure, judge if place == cluster else None)
        for place, volume in enumerate(PLACES)
        if volume in volumes
    )
    assert _digest(disk) == before, "the disk was changed"
    return Crash(seed, format, death, places)


def _expected(seed: int, done: int, cluster: int | None) -> tuple[workload.Expected, list[workload.Step]]:
    """What must be there, and the steps after it, which may be there or not.

    What the victim tells goes through the buffer of its serial line, so it may be a little ahead.
    """
    expected = workload.Expected()
    work = workload.steps(seed, len(PLACES), cluster)
    for step in islice(work, done):
        expected.take(step)
    return expected, list(islice(work, AHEAD))


def _recovered(
    folder: Path,
    disk: Path,
    format: str,
    place: int,
    expected: workload.Expected,
    unsure: list[workload.Step],
    judge: Judge | None,
) -> Place:
    files = {name: data for (at, name), data in expected.files.items() if at == place}
    rows = expected.rows.get(place, [])
    changing = [step for step in unsure if step.place == place]
    found = []
    for option in ([], ["--replay"]):
        out = folder / "out"
        status, _said = _program(
            folder, "copy", *option, "--format", format, disk, PLACES[place], FOLDERS[place], out
        )
        assert status in (0, 1, 4), status
        root = out / Path(FOLDERS[place]).name
        one = _judged(root, files, rows, changing)
        found.append(_with_commits(one, judge.rows(root / workload.CLUSTER), expected) if judge else one)
        shutil.rmtree(out, ignore_errors=True)
    _status, said = _program(folder, "check", "--json", "--replay", "--format", format, disk, PLACES[place])
    told = json.loads(said)
    differences = told["differences"]
    return Place(
        PLACES[place],
        len(files),
        len(rows),
        len(expected.commits) if judge else 0,
        found[0],
        found[1],
        sum(differences[how] for how in ("added", "removed", "changed")),
        told["after"]["verdict"],
    )


def _program(folder: Path, *words: str | Path) -> tuple[int, str]:
    argv = [sys.executable, "-m", "tui.main", "--state-dir", folder / "state", *words]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1, 4) and "Traceback" not in done.stderr, (words, done.stderr)
    return done.returncode, done.stdout


def _judged(root: Path, files: dict[str, bytes], rows: list[bytes], changing: list[workload.Step]) -> Found:
    wrong = []
    for name, data in files.items():
        path = root / name
        there = path.read_bytes() if path.is_file() else None
        if there == data:
            continue
        if there is not None and _changed(data, there, [step for step in changing if step.name == name]):
            continue
        wrong.append(name)
    kept = len(files) - len(wrong)
    found, trouble = _rows(root / "mail.sqlite")
    if rows and (lost := _lost(found, trouble, rows)):
        wrong.append(f"SQLite: {lost}")
    return Found(kept, _kept(found, rows), 0, tuple(wrong))


def _with_commits(found: Found, read: tuple[list[bytes], str], expected: workload.Expected) -> Found:
    """The same with what PostgreSQL read."""
    there, trouble = read
    lost = _lost(there, trouble, expected.commits)
    wrong = (*found.wrong, f"PostgreSQL: {lost}") if lost else found.wrong
    return replace(found, commits=_kept(there, expected.commits), wrong=wrong)


def _kept(there: list[bytes], rows: list[bytes]) -> int:
    return sum(one == row for one, row in zip(there, rows, strict=False))


def _lost(there: list[bytes], trouble: str, rows: list[bytes]) -> str:
    """What is wrong with a database in which `rows` had been committed; more may be there."""
    lacking = len(rows) - _kept(there, rows)
    return trouble or (f"{lacking} of {len(rows)} rows" if lacking else "")


def _changed(data: bytes, there: bytes, steps: list[workload.Step]) -> bool:
    """Whether a file may look like that while steps were going on that change it."""
    for step in steps:
        if step.kind == "append" and there.startswith(data) and step.data.startswith(there[len(data) :]):
            return True
        data = data + step.data if step.kind == "append" else step.data
        if there == data:
            return True
    return False


def _rows(path: Path) -> tuple[list[bytes], str]:
    """The rows of a database that was copied out, opened as its program would, and what is wrong with it."""
    if not path.is_file():
        return [], "no database"
    try:
        database = sqlite3.connect(path)
        try:
            answer = database.execute("PRAGMA integrity_check").fetchone()[0]
            found = [row[0] for row in database.execute("SELECT body FROM mail ORDER BY id")]
        finally:
            database.close()
    except sqlite3.Error as error:
        return [], str(error)
    return found, "" if answer == "ok" else answer


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def line(one: Crash) -> Iterator[str]:
    """The figures of a crash, a line a volume."""
    for place in one.places:
        yield (
            f"seed {one.seed:3} {one.format:5} {one.death.steps:4} fsyncs in {one.death.seconds:4.1f} s"
            f"  {place.volume:10}"
            f"  without: {place.left.files:3}/{place.files:3} files {place.left.rows:3}/{place.rows:3} rows"
            f"  replayed: {place.replayed.files:3}/{place.files:3} files"
            f" {place.replayed.rows:3}/{place.rows:3} rows{_postgresql(place)}"
            f"  {place.differences:3} differ, {place.verdict}"
            + ("" if not place.replayed.wrong else "  LOST " + ", ".join(place.replayed.wrong[:5]))
        )


def _postgresql(place: Place) -> str:
    if not place.commits:
        return ""
    return (
        f"  PostgreSQL: without {place.left.commits:3}/{place.commits:3}"
        f" replayed {place.replayed.commits:3}/{place.commits:3}"
    )


def summary(crashes: list[Crash]) -> str:
    """All crashes in one sentence."""
    places = [place for one in crashes for place in one.places]

    def told(what: Iterable[Place | Found]) -> str:
        ours = list(what)
        return (
            f"{sum(one.files for one in ours)} files, {sum(one.rows for one in ours)} rows in SQLite and"
            f" {sum(one.commits for one in ours)} in PostgreSQL"
        )

    return (
        f"{len(crashes)} crashes, {sum(one.death.steps for one in crashes)} fsyncs, {told(places)};"
        f" without the journal {told(place.left for place in places)}; with it"
        f" {told(place.replayed for place in places)}; whole: {sum(one.whole for one in crashes)}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.vm.crash", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="how many victims")
    parser.add_argument("--first", type=int, default=1, metavar="SEED", help="the first one's seed")
    parser.add_argument("--volumes", nargs="*", default=PLACES, help="only these")
    parser.add_argument("--without-postgresql", action="store_true", help="only files and SQLite")
    asked = parser.parse_args()
    try:
        image = build_image()
        victim = machine.build(image)
    except SalvageError as error:
        print(error.paragraph(), file=sys.stderr)
        return error.status
    crashes = []
    with ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crash-")))
        judge = None
        if not asked.without_postgresql:
            setup = Setup(Path(__file__).parents[2], base, udev=False, accelerator=usermode.preferred())
            judge = Judge(stack.enter_context(Machine(image, setup)), base)
        for seed in range(asked.first, asked.first + asked.runs):
            folder = base / str(seed)
            folder.mkdir()
            crashes.append(crash(victim, seed, folder, accelerator(image), asked.volumes, judge=judge))
            print(*line(crashes[-1]), sep="\n", flush=True)
            shutil.rmtree(folder)
    print(summary(crashes))
    return 0 if all(one.whole for one in crashes) else 1


if __name__ == "__main__":
    sys.exit(main())
