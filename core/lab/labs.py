"""The practice disks in their folders: begun, helped with, judged, taken away.

Each lab lives in a folder of its own below the one that the caller gives (``STATE/labs``), and touches
nothing else but what `core.lab.staging` sets up for it.
"""

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

from core import host, loops, mounts
from core.command import Command
from core.errors import Refused, SalvageError, WrongUsage
from core.i18n import _, enumerated
from core.lab import facts, goals, results, safety, staging
from core.lab import record as records
from core.lab.building import build
from core.lab.hand import history
from core.lab.hand.history import History
from core.lab.lab import Built, Finding, Lab, Points, Quiz, Standing, Verdict, Way
from core.lab.needs import hindrance
from core.lab.record import Original, Record, cannot
from core.lab.safety import Scene, sha256
from core.lab.staging import Stage
from core.lab.stopping import REASONS
from core.runner import Runner, SystemRunner
from core.text import safe
from core.undo.state import StateFolder

Build = Callable[[Lab, Path, Runner, int], Built]

_RECOVERED = "recovered"
_BUILDING = ".building"
_GOAL, _SAFETY, _TIME = 40, 50, 10
"""The points that a lab can earn; safety weighs most."""


def state(folder: Path, lab: Lab) -> str:
    """``new``, ``started`` or ``solved``; raises `SalvageError` when the record cannot be read."""
    record = records.read(_home(lab, folder))
    if record is None:
        return "new"
    return "solved" if record.solved else "started"


def disk(lab: Lab, folder: Path) -> Path | None:
    """The disk of a lab that has been started; None otherwise."""
    home = _home(lab, folder)
    record = records.read(home)
    return home / record.disk if record else None


def recovered(lab: Lab, folder: Path) -> Path:
    """The folder where a lab looks for what was recovered, unless it is told another one."""
    return _home(lab, folder) / _RECOVERED


def begun(lab: Lab, folder: Path) -> tuple[Path, Record]:
    """The folder and the record of a lab; raises `WrongUsage` when it was not started."""
    home = _home(lab, folder)
    record = records.read(home)
    if record is None:
        raise WrongUsage(
            _("The practice disk {name} has not been started.").format(name=lab.name),
            remedy=_("Start it with: virt-salvage lab start {name}").format(name=lab.name),
        )
    return home, record


def told(text: str, lab: Lab, folder: Path) -> str:
    """A text of the lab in the person's language, with what is known of this very disk."""
    home = _home(lab, folder)
    record = records.read(home)
    names = dict(record.facts) if record else {}
    place = home / (record.disk if record else lab.disk.name)
    return facts.filled(_(text), names | facts.of_folder(place, home / _RECOVERED))


def ticket(lab: Lab, folder: Path) -> str:
    """What the learner is asked to do, in the words of the person who asks."""
    return told(lab.ticket, lab, folder)


# -- begin ---------------------------------------------------------------------------------------------


def start(lab: Lab, folder: Path, runner: Runner, seed: int | None = None, make: Build = build) -> Path:
    """Build a lab's disk, or find the one that was built before; the path of the disk.

    Without a seed every start gives another disk. In a dry run nothing is built and the path is
    where the disk would be. Raises `core.runner.CommandFailed`, `core.errors.Cancelled`, `Refused` where
    this host lacks what it needs, `SalvageError` when the folder cannot be written.
    """
    home = _home(lab, folder)
    record = records.read(home)
    if record and (home / record.disk).is_file():
        return home / record.disk
    if reason := hindrance(lab.needs):
        raise Refused(reason, _("Nothing was built."), _("Choose another practice disk."))
    work = home / _BUILDING
    chosen = secrets.randbits(32) if seed is None else seed
    if runner.planning:
        return home / make(lab, work, runner, chosen).disk.name
    try:
        home.mkdir(parents=True, exist_ok=True)
        _remove_tree(work)
        work.mkdir()
        return _kept(lab, home, make(lab, work, runner, chosen), chosen, runner)
    except OSError as error:
        raise cannot(home, error) from error
    finally:
        with contextlib.suppress(OSError):  # what stays is removed by the next start
            _remove_tree(work)


def _kept(lab: Lab, home: Path, built: Built, seed: int, runner: Runner) -> Path:
    """Move what was built into its place, set up what belongs on the host, and remember both."""
    work = home / _BUILDING
    names = [path.relative_to(work) for path in built.originals or (built.disk,)]
    extra = [path.relative_to(work) for path in _extras(work, names, lab)]
    for name in (*names, *extra):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(work / name, home / name)
    for attachment, text in lab.attachments.items():
        (home / attachment).write_text(facts.filled(_(text), built.facts))
    (home / _RECOVERED).mkdir(exist_ok=True)
    disk = home / built.disk.relative_to(work)
    stage = Stage(lab, home, disk, StateFolder(home.parent.parent), runner, facts=dict(built.facts))
    record = Record(seed, disk.name, built.kept, places=built.places, decoys=built.decoys, begun=time.time())
    try:
        staging.set_up(stage, built.places)
    finally:  # what stands is remembered whatever happened, so that a reset takes it down
        originals = tuple(Original(str(name), sha256(home / name), _mtime(home / name)) for name in names)
        whole = replace(
            record,
            originals=originals,
            facts=stage.facts,
            standing=tuple(stage.standing),
        )
        records.write(home, whole)
    return disk


def _extras(work: Path, originals: list[Path], lab: Lab) -> list[Path]:
    """What else the damage leaves beside the disk on purpose."""
    named = {str(one.values["name"]) for one in lab.damages if one.do == "decoy"}
    named |= {f"{lab.disk.name}.map"}
    return [work / name for name in sorted(named) if (work / name).exists() and Path(name) not in originals]


def _mtime(path: Path) -> int:
    return path.stat().st_mtime_ns


def choose_way(lab: Lab, folder: Path, way: str) -> None:
    """Remember how the learner works on a lab."""
    if way not in get_args(Way):
        raise WrongUsage(_("There is no way called {name}.").format(name=safe(way)))
    home, record = begun(lab, folder)
    if record.way != way and not record.solved:
        _write(home, replace(record, way=way))


# -- help ----------------------------------------------------------------------------------------------


def hints(lab: Lab, folder: Path) -> list[str]:
    """The hints that were taken so far."""
    record = begun(lab, folder)[1]
    return [told(hint.text, lab, folder) for hint in lab.hints[: record.hints]]


def next_cost(lab: Lab, folder: Path) -> int | None:
    """What the next hint costs, nothing where no points can be earned any more; None when there is none."""
    record = begun(lab, folder)[1]
    if record.hints >= len(lab.hints):
        return None
    return 0 if record.given_up else lab.hints[record.hints].cost


def hint(lab: Lab, folder: Path) -> str:
    """Take the next hint; raises `WrongUsage` when there is none."""
    home, record = begun(lab, folder)
    if record.hints >= len(lab.hints):
        raise WrongUsage(_("There is no further hint."), remedy=_("`virt-salvage lab talk` tells it all."))
    _write(home, replace(record, hints=record.hints + 1))
    return told(lab.hints[record.hints].text, lab, folder)


def worked_on(lab: Lab, folder: Path) -> bool:
    """Whether something was done in a lab that a new disk would throw away; nothing where it is gone."""
    home = _home(lab, folder)
    with contextlib.suppress(SalvageError, OSError):  # what cannot be read is somebody's work all the same
        record = records.read(home)
        recovered = record is not None and os.listdir(home / _RECOVERED)
        return record is not None and bool(record.touched or recovered or History.of(home).typed)
    return True


def give_up(lab: Lab, folder: Path) -> None:
    """Remember that the after-talk was heard before the lab was solved: it earns no points any more."""
    home, record = begun(lab, folder)
    if not record.solved:
        _write(home, replace(record, given_up=True))


def open_questions(lab: Lab, folder: Path, step: str) -> list[tuple[int, Quiz]]:
    """The questions of a step that have not been answered, by their number."""
    record = begun(lab, folder)[1]
    return [
        (number, quiz)
        for number, quiz in enumerate(lab.quizzes)
        if quiz.step == step and str(number) not in record.quizzes
    ]


def answered(lab: Lab, folder: Path, number: int, wrong: int) -> None:
    """Remember that a question was answered, after so many wrong answers."""
    home, record = begun(lab, folder)
    _write(home, replace(record, quizzes=record.quizzes | {str(number): wrong}))


def hand_back(lab: Lab, folder: Path, reason: str) -> None:
    """Answer the ticket by handing it back for a reason, one of `core.lab.stopping`."""
    if reason not in REASONS:
        raise WrongUsage(
            _("{name} is no reason.").format(name=safe(reason)),
            remedy=_("There are: {names}.").format(names=enumerated(REASONS)),
        )
    home, record = begun(lab, folder)
    _write(home, replace(record, handed_back=reason))


def asked(lab: Lab, folder: Path) -> str:
    """The question of the ticket; empty where it asks none."""
    return told(lab.goal.question, lab, folder) if lab.goal.question else ""


def answer(lab: Lab, folder: Path, text: str) -> None:
    """Answer the question of the ticket; the check tells whether it was right.

    Raises `WrongUsage` where nothing is asked, or for an empty answer.
    """
    home, record = begun(lab, folder)
    if not lab.goal.question:
        raise WrongUsage(_("The ticket of {name} asks no question.").format(name=lab.name))
    if not text.strip():
        raise WrongUsage(_("The answer is empty."), remedy=asked(lab, folder))
    wrong = not goals.answers(lab, record, text)
    _write(home, replace(record, answer=text.strip(), misjudged=record.misjudged + wrong))


# -- judge ---------------------------------------------------------------------------------------------


def check(lab: Lab, folder: Path, where: Path | None = None, learner: str | None = None) -> Verdict:
    """Judge what the learner has done, by what there is and not by what was said.

    Looks in `where`, or in the lab's own folder. What is found is kept for the `learner`, if one is named.
    Raises `WrongUsage` when the lab was not started, `SalvageError` when its record cannot be read.
    """
    home, record = begun(lab, folder)
    scene = Scene(lab, home, record, StateFolder(folder.parent))
    done, said, wrong = goals.reached(scene, where)
    found = _once([*safety.breaches(scene), *wrong])
    solved = done and not any(one.kind in safety.FATAL for one in found)
    harm = [one.text for one in found if one.kind in safety.FATAL]
    findings = (*harm, *said, *(one.text for one in found if one.text not in harm))
    verdict = Verdict(
        solved,
        findings,
        tuple(found),
        _points(lab, record, found) if solved and not record.given_up else None,
    )
    if learner:
        results.keep(folder, learner, lab, record, verdict)
    if solved and not record.solved:
        _write(home, replace(record, solved=True))
    return verdict


def _once(found: list[Finding]) -> list[Finding]:
    """Each kind costs once."""
    return list({one.kind: one for one in reversed(found)}.values())[::-1]


def _points(lab: Lab, record: Record, found: list[Finding]) -> Points:
    late = max(0.0, record.seconds() / 60 / lab.minutes - 1)
    return Points(
        _GOAL,
        max(0, _SAFETY - sum(one.cost for one in found)),
        max(0, round(_TIME * (1 - late / 2))),
        sum(hint.cost for hint in lab.hints[: record.hints]),
    )


# -- take away -----------------------------------------------------------------------------------------


def reset(lab: Lab, folder: Path, runner: Runner | None = None) -> None:
    """Remove what the lab has made: its disk, its record and its folder ``recovered``.

    What it set up on the host is taken down, and loop devices that are left on its disks. Whatever else
    lies in the lab's folder stays. Raises `Refused` while something is mounted there, `SalvageError` when
    something cannot be removed.
    """
    home = _home(lab, folder)
    if not home.is_dir():
        return
    record = None
    with contextlib.suppress(SalvageError):  # a broken record is what the reset is for
        record = records.read(home)
    if record:
        staging.take_down(record.standing, StateFolder(folder.parent), runner or SystemRunner())
    _refuse_sessions(home, StateFolder(folder.parent))
    _release(home, runner or SystemRunner())
    _refuse_mounts(home)
    try:
        made = History.of(home).made
        names = {path.name for path in home.iterdir()} & (_own_names(lab, record) | made)
        for name in sorted(names):
            path = home / name
            if path.is_dir() and not path.is_symlink():
                _remove_tree(path)
            else:
                path.unlink()
        if not any(home.iterdir()):
            home.rmdir()
    except OSError as error:
        raise cannot(home, error) from error


def _own_names(lab: Lab, record: Record | None) -> set[str]:
    names = {records.NAME, f"{records.NAME}.new", _RECOVERED, _BUILDING, history.NAME, "machine.log"}
    names |= {*lab.attachments, f"{lab.disk.name}.map", staging.MINE, staging.OTHERS}
    names |= {str(one.values["name"]).split("/")[0] for one in lab.damages if one.do == "decoy"}
    if record:
        names |= {record.disk, *(original.name.split("/")[0] for original in record.originals)}
    return names


def _release(home: Path, runner: Runner) -> None:
    """Take down what a learner left on files of the lab: loop devices, and programs of QEMU."""
    inside = f"{home.resolve()}/"
    mounted = {mount.source for mount in mounts.mounts()}
    for one in loops.loops():
        if one.backing.startswith(inside) and one.path not in mounted:
            runner.run(
                Command(
                    ("losetup", "--detach", one.path),
                    why=_("Detach what was left on the practice disk."),
                    effect=_("the loop device is free again"),
                )
            )
    for pid in safety.daemons_on(home):
        staging.end(Standing("process", "", pid, host.started(pid) or 0), runner)


def _refuse_mounts(home: Path) -> None:
    for mount in mounts.mounts():
        if Path(mount.point).is_relative_to(home.resolve()):
            raise Refused(
                _("Something is still mounted at {path}.").format(path=safe(mount.point)),
                _("Nothing was removed."),
                _("Take it down first: virt-salvage undo, or umount."),
            )


def _refuse_sessions(home: Path, state: StateFolder) -> None:
    for known in state.known():
        if known.alive and Path(known.account.disk).is_relative_to(home.resolve()):
            raise Refused(
                _("Session {id} is at work on this disk.").format(id=known.account.session),
                _("Nothing was removed."),
                _("End that one first."),
            )


def _home(lab: Lab, folder: Path) -> Path:
    home = Path(os.path.abspath(folder)) / lab.name
    if "?" in str(home) or "," in str(home) or '"' in str(home):
        raise WrongUsage(
            _("The folder {path} has a question mark, a comma or a quote in its name.").format(
                path=safe(home)
            ),
            _("The programs that make file systems take what follows for options."),
            _("Choose another folder with --state-dir."),
        )
    return home


def _write(home: Path, record: Record) -> None:
    try:
        records.write(home, record)
    except OSError as error:
        raise cannot(home, error) from error


def _remove_tree(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
