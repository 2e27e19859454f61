"""The programs that check a file system without writing, and those that repair it: one row a file system.

A check runs on a read-only device, a repair only on one whose writes land in an overlay.
"""

import resource
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from core.command import Command, Limits
from core.errors import SalvageError
from core.i18n import N_, _, sentences
from core.runner import CommandFailed, Result, Runner
from core.text import safe
from core.volumes.model import Volume
from core.volumes.state import State

_WEEK = 7 * 86400
_LONG = Limits(memory=8 << 30, processor=_WEEK, wall=float(_WEEK), output=1 << 20)
_ANY_FILE = replace(_LONG, file=resource.RLIM_INFINITY)
_SHOWN = 200
"""Lines of a checker's words that are kept."""
_ANY = frozenset(range(256))


class Verdict(Enum):
    """What a check says."""

    SOUND = "sound"
    PENDING = "pending"
    """It was not unmounted; whether it is sound only its journal can tell."""
    DAMAGED = "damaged"
    UNKNOWN = "unknown"
    """Nobody can tell: there is no program for it, or the program could not do its work."""


@dataclass(frozen=True, slots=True)
class Checker:
    """How one kind of file system is checked and repaired; the device comes after the words."""

    check: tuple[str, ...]
    repair: tuple[str, ...] = ()
    """Empty where nothing can repair it."""
    last_resort: tuple[str, ...] = ()
    """The repair for what `repair` turns away with `turned_away`: it gives up the journal."""
    turned_away: int = -1
    damaged: frozenset[int] = frozenset({1})
    """Exit statuses of the check that mean damage; 0 is sound, any other means that it could not be done."""
    fails: bytes = b""
    """A word in its output that means damage whatever the exit status is."""
    begins: bytes = b""
    """A word in its output without which its exit status tells nothing of the file system."""
    limits: Limits = _LONG
    limit: str = ""
    """What the check does not look at."""


_EXT = Checker(
    ("e2fsck", "-n", "-f"),
    ("e2fsck", "-y", "-f"),
    damaged=frozenset(status for status in range(1, 128) if status & 4),  # e2fsck(8): bits
)

CHECKERS: Mapping[str, Checker] = {
    "ext2": _EXT,
    "ext3": _EXT,
    "ext4": _EXT,
    "xfs": Checker(
        ("xfs_repair", "-n"),
        ("xfs_repair",),
        ("xfs_repair", "-L"),
        turned_away=2,
        begins=b"Phase 2",
        limits=_ANY_FILE,  # it lifts that limit itself, and gives up where it may not
    ),
    "btrfs": Checker(
        ("btrfs", "check", "--readonly"),
        ("btrfs", "check", "--repair"),
        limit=N_("It looks at the file system's own records; reading the files proves their content."),
    ),
    "vfat": Checker(("fsck.fat", "-n"), ("fsck.fat", "-a")),
    "exfat": Checker(("fsck.exfat", "-n"), ("fsck.exfat", "-y"), damaged=frozenset({1, 4})),
    "ntfs": Checker(
        ("ntfsfix", "-n"),
        ("ntfsfix",),
        limit=N_(
            "ntfsfix looks only at the first records; the thorough check is Windows' own chkdsk, on a copy."
        ),
    ),
    "f2fs": Checker(("fsck.f2fs", "--dry-run"), ("fsck.f2fs", "-f"), fails=b"[Fail]"),
    "erofs": Checker(
        ("fsck.erofs",), limit=N_("It is never written to after it was made, so nothing repairs it.")
    ),
}


@dataclass(frozen=True, slots=True)
class Checked:
    """How a check ended, and what the program said."""

    verdict: Verdict
    sentence: str
    program: str = ""
    said: tuple[str, ...] = ()
    volume: Volume | None = None
    """What was checked, with what was seen of it when it was put up."""

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict.value,
            "sentence": self.sentence,
            "program": self.program,
            "said": list(self.said),
        }


def check(runner: Runner, volume: Volume, device: str, state: State) -> Checked:
    """Check what `device` shows of the volume in that `state`; nothing is written.

    Raises ToolMissing and Cancelled.
    """
    checker = CHECKERS.get(volume.content or "")
    if volume.content is None:
        told = _("Nothing that could be checked was recognised on {volume}.").format(volume=volume.title)
        return Checked(Verdict.UNKNOWN, sentences((told, volume.lacking)))
    if checker is None:
        told = _("There is no check for {content}: that its files can be read is the proof. Copy them.")
        return Checked(Verdict.UNKNOWN, told.format(content=safe(volume.content)))
    command = Command(
        (*checker.check, device),
        why=_("Check the file system without writing to it."),
        good=_ANY,
        limits=checker.limits,
    )
    program = checker.check[0]
    try:
        result = runner.run(command, hear=_unheard)
    except CommandFailed as failure:
        return _unjudged(failure.what, program, failure.result)
    said = _lines(result)
    told_of_it = checker.begins in result.out + result.err
    if (result.status in checker.damaged and told_of_it) or (checker.fails and checker.fails in result.out):
        return _damaged(volume, state, program, said)
    if result.status:
        told = _("{program} ended with status {status}.").format(program=program, status=result.status)
        return _unjudged(told, program, result)
    pending = volume.pending and state is State.LEFT
    fine = _("{program} found nothing wrong.")
    if pending:
        fine = _("{program} found nothing wrong beyond what a crash leaves.")
    words = [fine.format(program=program)]
    if pending:
        words.append(_("But the file system was not unmounted: its last changes may be in its journal only."))
    if checker.limit:
        words.append(_(checker.limit))
    return Checked(Verdict.PENDING if pending else Verdict.SOUND, sentences(words), program, said)


def repair(runner: Runner, volume: Volume, device: str) -> str:
    """Repair what `device` shows of the volume; a sentence on what that may have cost, often empty.

    `device` must write into an overlay. Raises SalvageError where nothing can repair it or the repair
    program did not get to its end, ToolMissing and Cancelled.
    """
    checker = CHECKERS.get(volume.content or "")
    if checker is None or not checker.repair:
        raise SalvageError(
            _("There is no program that repairs {content}.").format(content=safe(volume.content or "?")),
            _("The disk is untouched."),
            _("Copy out what can be read."),
        )
    command = Command(
        (*checker.repair, device),
        why=_("Repair the file system; every write lands in the overlay."),
        effect=_("the overlay is changed, the disk is not"),
        good=_ANY,
        limits=checker.limits,
    )
    result = runner.run(command, hear=_unheard)
    if not checker.last_resort or result.status != checker.turned_away:
        return ""
    command = Command(
        (*checker.last_resort, device),
        why=_("Its journal cannot be replayed: repair it without. What was only in there is lost."),
        effect=_("the overlay is changed, the disk is not"),
        good=_ANY,
        limits=checker.limits,
    )
    runner.run(command, hear=_unheard)
    return _("Its journal could not be replayed and was given up: what was only in there is lost.")


def _damaged(volume: Volume, state: State, program: str, said: tuple[str, ...]) -> Checked:
    if volume.pending and state is State.LEFT:
        told = _(
            "It was not unmounted, and {program} finds things that do not fit together: that is to be"
            " expected of a crash. Its journal puts most of that right."
        )
        return Checked(Verdict.PENDING, told.format(program=program), program, said)
    told = _(
        "The file system is damaged: {program} found errors. Files may be missing, or hold what is not"
        " theirs."
    ).format(program=program)
    if state is not State.REPAIRED:
        more = _("Copy out what you need before you have it repaired.")
        told = sentences((told, more))
    return Checked(Verdict.DAMAGED, told, program, said)


def _unjudged(why: str, program: str, result: Result) -> Checked:
    told = _("Whether the file system is sound could not be found out: {why}").format(why=why)
    return Checked(Verdict.UNKNOWN, told, program, _lines(result))


def _lines(result: Result) -> tuple[str, ...]:
    lines = [safe(line.strip()) for line in (result.out + b"\n" + result.err).splitlines()]
    return tuple(line[:400] for line in lines if line)[:_SHOWN]


def _unheard(_piece: bytes) -> None:
    """Its words are cut, and it goes on to its end, however much it says."""
