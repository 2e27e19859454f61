"""A file system in another state: which files its journal or a repair brings, takes and changes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.errors import Cancelled, SalvageError, WantsOverlay
from core.files.changes import Change, Tally, census, compare, settle
from core.i18n import _, sentences
from core.session import Session
from core.volumes.checkers import Checked, Verdict
from core.volumes.mounting import Tree
from core.volumes.state import State

Opener = Callable[[Session, State], Tree]
"""Opens the volume of a session in a state, with the operator's choices."""
Checker = Callable[[State], Checked]
"""Checks the volume in a state."""


@dataclass(frozen=True, slots=True)
class Differences:
    """How the files in a state differ from those that lie on the disk."""

    state: State
    added: int
    removed: int
    changed: int
    unread: int
    first: tuple[Change, ...]
    trouble: str = ""
    """Why they were not compared; empty when they were."""

    @property
    def total(self) -> int:
        return self.added + self.removed + self.changed

    def to_json(self) -> dict[str, Any]:
        return {
            "state": self.state.value,
            "added": self.added,
            "removed": self.removed,
            "changed": self.changed,
            "unread": self.unread,
            "first": [change.to_json() for change in self.first],
            "compared": not self.trouble,
            "trouble": self.trouble,
        }

    def summary(self) -> str:
        """How many, as a sentence."""
        if self.trouble:
            return self.trouble
        if not self.total:
            return _("The files are the same as they lie on the disk.")
        told = _(
            "Against what lies on the disk: files added: {added}, removed: {removed}, changed: {changed}."
        )
        return told.format(added=self.added, removed=self.removed, changed=self.changed)

    def lines(self) -> list[str]:
        """The summary, and all that can be told by name, a line each."""
        told = [self.summary(), *("  " + change.sentence() for change in self.first)]
        if (more := self.total - len(self.first)) > 0:
            told.append("  " + _("and {count} more").format(count=more))
        if self.unread:
            told.append(_("Entries that could not be looked at: {count}.").format(count=self.unread))
        return told


@dataclass(frozen=True, slots=True)
class Examined:
    """What a check of a volume found out."""

    lies: Checked
    """As it lies on the disk."""
    after: Checked | None = None
    """In the state that was asked for."""
    differences: Differences | None = None

    @property
    def checked(self) -> Checked:
        """The check that counts."""
        return self.after or self.lies

    @property
    def pending(self) -> bool:
        """Whether a journal held anything that was still to be done."""
        volume = self.lies.volume or self.checked.volume
        return volume is not None and volume.pending

    def to_json(self) -> dict[str, Any]:
        return {
            **self.lies.to_json(),
            **({"after": self.after.to_json()} if self.after else {}),
            **({"differences": self.differences.to_json()} if self.differences else {}),
        }


def examine(session: Session, checked: Checker, opened: Opener, state: State) -> Examined:
    """Check a volume as it lies on the disk; in another `state` too, with the files that differ then.

    Where it cannot be read in that state either, the verdicts stand without a comparison. Raises
    SalvageError where it cannot be brought into the state, WantsOverlay where it can only be looked at
    in another than the one it lies in, and Cancelled.
    """
    try:
        lies = checked(State.LEFT)
    except WantsOverlay as error:
        if state is State.LEFT:
            raise
        lies = Checked(Verdict.UNKNOWN, sentences((_("It is not looked at as it lies."), error.what)))
    if state is State.LEFT:
        return Examined(lies)
    try:
        changed = differences(session, opened, state)
    except Cancelled:
        raise
    except SalvageError as error:
        told = _("The files were not compared, since they cannot be read in that state either: {why}")
        changed = Differences(state, 0, 0, 0, 0, (), told.format(why=error.what))
    session.close_tree()
    return Examined(lies, checked(state), changed)


def differences(session: Session, opened: Opener, state: State) -> Differences:
    """Compare the files of a volume in that `state` with those that lie on the disk.

    The volume stays open in that state. Where it cannot be read as it lies, that is why nothing was
    compared. Raises SalvageError where it cannot be brought into the state, and Cancelled.
    """
    cancel, tally = session.runner.cancel, Tally()
    with session.beside() as left:
        try:
            root = opened(left, State.LEFT).root
            with left.guest():
                before = census(root, cancel)
            left.close_tree()
        except Cancelled:
            raise
        except SalvageError as error:
            opened(session, state)
            told = _("The files were not compared, since they cannot be read as they lie on the disk: {why}")
            unknown = _("What the repair threw away is not known then: look at what is there.")
            why = (told.format(why=error.what), unknown if state is State.REPAIRED else "")
            return Differences(state, 0, 0, 0, 0, (), sentences(why))
        root = opened(session, state).root
        with session.guest():
            doubts = compare(before, root, cancel, tally)
        if doubts.digests:
            # never both at once: the kernel mixes up two of one UUID
            session.close_tree()
            root = opened(left, State.LEFT).root
            with left.guest():
                settle(doubts, root, cancel, tally)
            left.close_tree()
            opened(session, state)
    return Differences(state, tally.added, tally.removed, tally.changed, tally.unread, tally.first)
