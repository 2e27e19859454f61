"""Proving by content whether a file is the missing one under a disk: on a throw-away overlay over both.

An overlay and a wrong file below it make a disk whose halves do not fit: the file systems on it bear other
identities than those in the file, or contradict themselves. Their own checkers tell that, after the journal
was replayed into the overlay, which is gone afterwards. No header is written, and neither file.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from core.disks.candidates import Candidate
from core.errors import Cancelled, SalvageError, ToolMissing
from core.i18n import N_, _
from core.runner import Runner
from core.session import Session
from core.undo.state import StateFolder
from core.volumes.checkers import CHECKERS, Verdict
from core.volumes.model import Volume
from core.volumes.state import State


class Fit(Enum):
    """How well a candidate fits, the best first."""

    PROVED = N_("proved: the file systems over it are consistent")
    LIKELY = N_("likely: what is on the disk is recognised, and nothing contradicts it")
    UNCLEAR = N_("unclear: nothing on the disk could be recognised or checked")
    WRONG = N_("wrong: what is on the disk contradicts itself over this file")


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of trying one candidate."""

    candidate: Candidate
    fit: Fit
    found: tuple[str, ...]
    """What was seen, volume by volume, a sentence each."""

    def to_json(self) -> dict[str, object]:
        one = self.candidate
        return {
            "path": str(one.path),
            "format": one.format,
            "virtual_size": one.virtual_size,
            "clues": list(one.clues),
            "fit": self.fit.name.lower(),
            "found": list(self.found),
        }


def prove(
    state: StateFolder,
    runner: Runner,
    given: str,
    above: Sequence[Path],
    allow: Sequence[Path],
    found: Sequence[Candidate],
    *,
    format: str | None = None,
    tell: Callable[[Candidate], None] = lambda _candidate: None,
) -> list[Proof]:
    """Try each candidate under the disk, the best first in the answer; `tell` hears which is next.

    `above` are the files that already stand in for missing ones. Nothing stays up. Raises `Cancelled`.
    """
    proofs = []
    for one in found:
        runner.cancel.check()
        tell(one)
        proofs.append(_tried(state, runner, given, [*above, one.path], [*allow, one.path], one, format))
    order = list(Fit)
    return sorted(proofs, key=lambda proof: order.index(proof.fit))


def _tried(
    state: StateFolder,
    runner: Runner,
    given: str,
    backing: Sequence[Path],
    allow: Sequence[Path],
    one: Candidate,
    format: str | None,
) -> Proof:
    try:
        with Session(state, runner) as session:
            session.select(given, format, allow, backing=backing)
            alone = _identifiers(state, runner, one)
            seen = list(_seen(session, alone))
    except Cancelled:
        raise
    except SalvageError as error:
        return Proof(one, Fit.WRONG if not one.is_identified else Fit.UNCLEAR, (error.what,))
    fits = [fit for fit, _told in seen]
    told = tuple(sentence for _fit, sentence in seen)
    if Fit.WRONG in fits:
        fit = Fit.WRONG
    elif Fit.PROVED in fits or (one.is_identified and seen):
        fit = Fit.PROVED
    else:
        fit = Fit.LIKELY if fits else Fit.UNCLEAR
    return Proof(one, fit, told or (_("No partition table and no file system is there."),))


def _identifiers(state: StateFolder, runner: Runner, one: Candidate) -> dict[str, str]:
    """The UUID of each volume that is in the candidate by itself; none where it cannot be opened so."""
    try:
        with Session(state, runner) as session:
            session.select(str(one.path), one.format)
            return {volume.id: volume.uuid for volume in session.inspect().volumes if volume.uuid}
    except Cancelled:
        raise
    except SalvageError:
        return {}


def _seen(session: Session, alone: dict[str, str]) -> Iterator[tuple[Fit, str]]:
    """What the disk holds over the candidate, volume by volume; `alone` are the UUIDs below."""
    for volume in session.inspect().volumes:
        values = {"volume": volume.title, "content": volume.content or ""}
        if volume.uuid and alone.get(volume.id, volume.uuid) != volume.uuid:
            told = _("{volume}: {content} is another file system than the one in this file")
            yield Fit.WRONG, told.format(**values)
        elif volume.content in CHECKERS and os.geteuid() == 0:
            yield _checked(session, volume, values)
        elif volume.content:
            yield Fit.LIKELY, _("{volume}: {content} is recognised").format(**values)


def _checked(session: Session, volume: Volume, values: dict[str, str]) -> tuple[Fit, str]:
    try:
        # The journal first: it may hold what the rest wants, and is replayed in an overlay
        verdict = session.check(volume.id, state=State.REPLAYED).verdict
    except Cancelled:
        raise
    except ToolMissing:
        return Fit.LIKELY, _("{volume}: {content} is recognised").format(**values)
    except SalvageError as error:
        told = _("{volume}: {content} cannot be opened").format(**values)
        return Fit.WRONG, f"{told}: {error.what}"
    if verdict is Verdict.SOUND:
        return Fit.PROVED, _("{volume}: {content} is consistent").format(**values)
    if verdict is Verdict.DAMAGED:
        return Fit.WRONG, _("{volume}: {content} contradicts itself").format(**values)
    return Fit.LIKELY, _("{volume}: {content} is recognised, and its check told nothing").format(**values)
