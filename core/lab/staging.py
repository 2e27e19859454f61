"""What a lab sets up on the host beside its disk: a machine that still runs, a folder without room,
leftovers.

Each touches only the lab's folder and the session folder beside it, and is taken down by the lab's reset.
"""

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core import host, mounts
from core.command import Command
from core.disks.ways_out import InUse
from core.errors import Refused, SalvageError
from core.i18n import _, sentences
from core.lab.lab import Lab, Place, Standing
from core.runner import Runner
from core.session import Session
from core.text import safe
from core.undo.state import StateFolder

_PATIENCE = 10.0
"""Seconds that a program may take to begin or to end."""
MINE, OTHERS = "tree", "colleague"
"""Where in the lab's folder the leftover and the colleague's volume are mounted."""


@dataclass
class Stage:
    """A lab's folder while what belongs on the host is set up for it."""

    lab: Lab
    home: Path
    disk: Path
    state: StateFolder
    runner: Runner
    standing: list[Standing] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)


Values = Mapping[str, str | int]


def set_up(stage: Stage, places: tuple[Place, ...]) -> None:
    """Set up what the description names; what stands when it fails is in `stage.standing`."""
    for one in stage.lab.damages:
        if one.do in VERBS:
            VERBS[one.do](stage, one.values)


def run(stage: Stage, _values: Values) -> None:
    """Let a program of QEMU hold the disk for writing, as a machine that runs does."""
    layers = ("driver=file,node-name=file,filename=" + str(stage.disk), "node-name=disk,file=file,driver=")
    format = stage.lab.disk.format
    command = Command(
        (
            "qemu-storage-daemon",
            "--blockdev",
            layers[0],
            "--blockdev",
            layers[1] + format,
        ),
        why=_("Let a machine run that holds this disk."),
        effect=_("a program holds the practice disk, until the lab is reset"),
        background=True,
        limits=None,
    )
    pid = stage.runner.start(command, stage.home / "machine.log")
    if stage.runner.planning:
        return
    stage.standing.append(Standing("process", "qemu-storage-daemon", pid, host.started(pid) or 0, True))
    stage.facts["machine.pid"] = str(pid)
    turns = int(_PATIENCE / 0.05)
    while turns and not _holds(pid, stage.disk):
        turns -= 1
        if stage.runner.ended(pid) is not None or stage.runner.cancel.wait(0.05):
            break
    if not _holds(pid, stage.disk):
        raise SalvageError(_("The machine of this practice disk did not come up."))


def _holds(pid: int, disk: Path) -> bool:
    try:
        return any(os.path.realpath(one.path) == str(disk.resolve()) for one in os.scandir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def little_room(stage: Stage, values: Values) -> None:
    """Make the folder that everyone would copy to a small one, in memory."""
    point = stage.home / "recovered"
    options = f"size={values['size']},mode=0755,nosuid,nodev,noexec"
    stage.runner.run(
        Command(
            ("mount", "-t", "tmpfs", "-o", options, "virt-salvage-lab", str(point)),
            why=_("Leave little room where everybody would copy to."),
            effect=_("a small file system in memory, until the lab is reset"),
            undo=(Command(("umount", str(point)), why=_("Take it down.")),),
        )
    )
    stage.standing.append(Standing("mount", str(point)))


def leftovers(stage: Stage, values: Values) -> None:
    """Leave what a crash of a colleague's session left, and beside it one that is at work on purpose."""
    for name, key, kept in ((MINE, "partition", False), (OTHERS, "other", True)):
        point = stage.home / name
        session = _opened(stage, str(values[key]), point)
        if stage.runner.planning:
            continue
        stage.standing.append(Standing("session", session.id, foreign=kept))
        word = "other" if kept else "left"
        stage.facts |= {f"{word}.session": session.id, f"{word}.point": safe(point)}
        if kept:
            session.keep()
            session.close()
        elif session.stack.journal:
            session.stack.journal.close()  # as a crash does: nobody owns it from now on


def _opened(stage: Stage, volume: str, point: Path) -> Session:
    """A session that has a volume of the disk mounted.

    What read the disk for the session before may not have ended yet: then it is tried again.
    """
    turns = int(_PATIENCE / 0.5)
    while True:
        session = Session(stage.state, stage.runner, private=False)
        try:
            session.select(str(stage.disk), stage.lab.disk.format)
            session.open(volume, point)
            return session
        except InUse:
            session.close()
            turns -= 1
            if not turns or stage.runner.cancel.wait(0.5):
                raise


VERBS: Mapping[str, Callable[[Stage, Values], None]] = {
    "run": run,
    "little-room": little_room,
    "leftovers": leftovers,
}


def is_up(one: Standing, state: StateFolder) -> bool:
    """Whether something that a lab set up is still there."""
    if one.what == "process":
        return host.runs(one.pid, one.started)
    if one.what == "mount":
        return bool(mounts.at(one.target))
    known = [known for known in state.known() if known.account.session == one.target]
    return any(
        mounts.at(entry.target)
        for account in known
        for entry in account.account.standing
        if entry.what == "mount"
    )


def take_down(standing: tuple[Standing, ...], state: StateFolder, runner: Runner) -> None:
    """Take down what a lab set up, last first. Raises `Refused` while something of it is in use."""
    for one in reversed(standing):
        if one.what == "process":
            end(one, runner)
        elif one.what == "mount" and mounts.at(one.target):
            undo = Command(
                ("umount", one.target),
                why=_("Take the small folder down."),
                effect=_("the folder is plain again"),
            )
            runner.run(undo)
        elif one.what == "session":
            for known in state.known():
                if known.account.session == one.target:
                    stuck = [r.note for r in state.undo(known, runner) if not r.released]
                    if stuck:
                        raise Refused(sentences(stuck), _("The lab was not reset."))


def end(one: Standing, runner: Runner) -> None:
    """End a program that works on a lab's files; it is that very process, or nothing is done."""
    if not host.runs(one.pid, one.started):
        return
    os.kill(one.pid, signal.SIGTERM)
    turns = int(_PATIENCE / 0.05)
    while turns and host.runs(one.pid, one.started) and runner.ended(one.pid) is None:
        turns -= 1
        runner.cancel.wait(0.05)
    if host.runs(one.pid, one.started):
        os.kill(one.pid, signal.SIGKILL)
