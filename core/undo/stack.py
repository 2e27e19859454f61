"""The undo stack: puts things up by the journal, and takes them down again, last first."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from core import loops, mounts, tools
from core.cancel import CancelToken
from core.command import Command, Variable
from core.errors import SalvageError
from core.i18n import _, noted, sentences
from core.runner import Result, Runner
from core.text import quoted, safe
from core.undo import busy, connected, copies
from core.undo.account import Entry
from core.undo.holders import Way
from core.undo.journal import Journal
from core.undo.pairs import Pair, kind_of, known_kind
from core.undo.standing import Facts, Standing

PATIENCE = 10.0
"""Seconds that the kernel may take to let go of something after the command that asks for it."""
AT_ONCE = 0.5
"""Seconds that it may take where nothing was asked, or the command said no."""
HELD_AFTER = 1.0
"""Seconds after which somebody who holds a loop device is why it does not go."""


@dataclass(frozen=True, slots=True)
class Release:
    """How taking one thing down ended."""

    entry: Entry
    note: str
    """A sentence."""
    released: bool


class Stack:
    """What one session put up. Without a journal (a dry run) nothing is kept and nothing stands."""

    def __init__(self, journal: Journal | None, runner: Runner) -> None:
        self.journal = journal
        self.runner = runner
        account = journal.account() if journal else None
        self.entries: list[Entry] = list(account.entries) if account else []
        self._account = account
        self._captured: dict[str, int] = {}
        self._planned = 0
        self.releasing = False
        """Something is being taken down right now."""

    # -- putting up ---------------------------------------------------------------------------

    def put_up(self, pair: Pair, act: Callable[[Pair], Result | None] | None = None) -> str:
        """Put one thing up and write it down; what it is called.

        `act` replaces running the pair's command, for work that needs more than that. When it fails
        or is cancelled, what it may have left half-done is taken down before the error goes on.
        """
        run = act or (lambda wanted: self.runner.run(wanted.do))
        if self.journal is None:
            return self._plan(pair, run)
        facts = pair.facts()
        shown = Variable.named(pair.do.captures)
        undo = kind_of(pair.what, facts).undo(pair.target or shown, {**pair.planned, **facts, "pid": shown})
        for command in undo:  # what only a missing program could take down again is not put up
            tools.require(command.argv[0])
        pair = replace(pair, do=replace(pair.do, undo=undo))
        entry = self._intend(pair, facts)
        try:
            result = run(pair)
            target = pair.target or (result.out.decode().strip() if result else "")
            return self._hold(entry, target)
        except BaseException:
            self._withdraw(entry)
            raise

    def _plan(self, pair: Pair, run: Callable[[Pair], Result | None]) -> str:
        self._planned += 1
        name = pair.do.captures
        count = self._captured[name] = self._captured.get(name, 0) + 1
        shown = f"{name}{count}" if name and count > 1 else name
        target = pair.target or Variable.named(shown)
        undo = kind_of(pair.what, pair.planned).undo(target, {**pair.planned, "pid": Variable.named(shown)})
        run(replace(pair, do=replace(pair.do, captures=shown, undo=undo)))
        return target

    def _intend(self, pair: Pair, facts: Facts) -> Entry:
        assert self.journal
        self.journal.append(
            "intent",
            n=len(self.entries) + 1,
            what=pair.what,
            target=pair.target,
            on=pair.on,
            why=pair.do.why,
            do=pair.do.shell(),
            undo=[command.shell() for command in pair.do.undo],
            facts=dict(facts),
        )
        self.entries.append(self.journal.account().entries[-1])
        return self.entries[-1]

    def _hold(self, entry: Entry, target: str) -> str:
        assert self.journal
        kind = kind_of(entry.what, entry.facts)
        identity = kind.identify(target, entry.facts)
        undo = tuple(command.shell() for command in kind.undo(target, identity))
        self._write_held(replace(entry, target=target, state="held", undo=undo, identity=identity))
        return target

    def _write_held(self, entry: Entry) -> None:
        assert self.journal
        self._replace(entry)
        self.journal.append(
            "done",
            n=entry.number,
            what=entry.what,
            target=entry.target,
            on=entry.on,
            undo=entry.undo,
            facts=dict(entry.facts),
            identity=dict(entry.identity),
        )

    def _withdraw(self, entry: Entry) -> None:
        current = next(one for one in self.entries if one.number == entry.number)
        with suppress(SalvageError):  # it keeps its entry; `status` and `undo` show it again
            self.release(current)

    def _replace(self, entry: Entry) -> None:
        at = next(at for at, one in enumerate(self.entries) if one.number == entry.number)
        self.entries[at] = entry

    # -- taking down --------------------------------------------------------------------------

    @property
    def standing(self) -> list[Entry]:
        """What is up, the last first."""
        return [entry for entry in reversed(self.entries) if entry.stands]

    @property
    def number(self) -> int:
        """The number of what is put up next; no other thing of the session has it."""
        return len(self.entries) + self._planned + 1

    def mark(self) -> int:
        """A place to come back to with `release_to`."""
        return len(self.entries)

    def release_last(self) -> Release | None:
        """Take down the thing that was put up last; None when nothing is up."""
        up = self.standing
        return self.release(up[0]) if up else None

    def release_to(self, mark: int = 0, *, lazy: bool = False) -> list[Release]:
        """Take down all that was put up since `mark`, last first.

        What cannot be taken down keeps its entry, and so does what it stands on; the rest goes on.
        With `lazy` a mount that is busy goes out of sight.
        """
        releases: list[Release] = []
        needed: dict[str, Entry] = {}
        for entry in self.standing:
            if entry.number <= mark:
                continue
            if above := needed.get(entry.target):
                same = entry.target == above.target
                note = _("{target} is left up, because {above} stands on it.").format(
                    target=noted(_name(entry), entry.named) if same else _name(entry),
                    above=noted(_name(above), above.named) if same else _name(above),
                )
                release = Release(entry, note, released=False)
            else:
                release = self.release(entry, lazy=lazy)
            if not release.released:
                needed.update(dict.fromkeys(entry.on, entry))
            releases.append(release)
        return releases

    def release(self, entry: Entry, *, lazy: bool = False) -> Release:
        """Take one thing down and wait until the kernel shows that it is gone.

        With `lazy`, a mount that is busy is taken out of sight. It keeps its entry, and so does what it
        stands on, until its file system is gone.

        Work that was cancelled is still taken down: the wish to stop does not reach this.
        """
        assert self.journal
        if known_kind(entry) is None:
            return self._stuck(entry, _not_known(entry))
        half = self.journal.account().half if entry.what == "overlay" else None
        if half and half.number == entry.number:
            return self._stuck(entry, half.sentence(self.journal.path.parent.name))
        found = self._found(entry)
        if found is None or self._standing(found) is Standing.GONE:
            return self._released(entry, _("{target}: already gone.").format(target=_name(entry)))
        if self._standing(found) is Standing.FOREIGN:
            note = _("{target}: somebody else uses that name or place now, so it was left alone.")
            if found.what == "mount":
                return self._stuck(found, note.format(target=_name(found)))
            return self._released(found, note.format(target=_name(found)))
        if found.what in ("mount", "fuse-export") and (cover := mounts.over(found.target)):
            return self._stuck(found, _hidden(found, cover))
        self.journal.append("releasing", n=entry.number)
        cancel, self.runner.cancel = self.runner.cancel, CancelToken()
        self.releasing = True
        try:
            return self._take_down(found, lazy=lazy)
        finally:
            self.releasing = False
            self.runner.cancel = cancel

    def _found(self, entry: Entry) -> Entry | None:
        """The entry with its target and identity, also when only the intent was written down."""
        kind = kind_of(entry.what, entry.facts)
        if self._account and self._account.of_other_boot and not kind.outlives_boot:
            return None
        if entry.identity:
            return entry
        target = kind.find(entry)
        if target is None:
            return None
        return replace(entry, target=target, identity=kind.identify(target, entry.facts))

    @staticmethod
    def _standing(entry: Entry) -> Standing:
        return kind_of(entry.what, entry.facts).standing(entry)

    def _take_down(self, entry: Entry, *, lazy: bool) -> Release:
        if connected.is_claimed(entry):
            return self._still_up(entry)
        if not copies.let_go(entry, self.entries, self.runner) and entry.what == "mount" and not lazy:
            return self._still_up(entry)
        kind = kind_of(entry.what, entry.facts)
        error = ""
        before: tuple[Command, ...] | None = None
        for again in (False, True):  # a daemon that dies may leave its mount: then the way is another
            commands = kind.undo(entry.target, {**entry.identity, "deaf": again})
            if commands == before and not error:
                break  # it did what it can
            before = commands
            for command in commands:
                try:
                    self.runner.run(command)
                except SalvageError as failure:
                    error = failure.paragraph()
            if self._gone(entry, PATIENCE if commands and not error else AT_ONCE):
                return self._released(entry, _("{target}: taken down.").format(target=_name(entry)))
            if not commands:
                return self._out_of_sight(entry)
        here = busy.in_sight(entry) if lazy and entry.what == "mount" else None
        if here:
            return self._take_out_of_sight(entry, here)
        return self._still_up(entry, error)

    def _still_up(self, entry: Entry, error: str = "") -> Release:
        note = _("{target} is still up.").format(target=_name(entry))
        who = busy.held(entry).sentence()
        return self._stuck(entry, sentences((note, error, who)))

    def _take_out_of_sight(self, entry: Entry, here: mounts.Mount) -> Release:
        """Let a busy mount go lazily, see umount(8); that is written down before it is done."""
        assert self.journal
        below = [one.sentence() for one in busy.held(entry).holders if one.way is Way.BELOW]
        if below:
            # It would vanish from sight together with ours
            note = _("{target} is still up and was not taken out of sight: {who}.")
            return self._stuck(entry, note.format(target=_name(entry), who=_("; ").join(below)))
        entry = _as_lazy(entry, here)
        self._write_held(entry)
        command = Command(
            ("umount", "--lazy", entry.target),
            why=_(
                "Take the mount out of sight; its file system lives on until the last one who uses it ends."
            ),
            effect=_("nobody else can enter the mount any more"),
        )
        try:
            self.runner.run(command)
        except SalvageError as failure:
            return self._stuck(entry, failure.paragraph())
        if self._gone(entry, AT_ONCE):
            return self._released(entry, _("{target}: taken down.").format(target=_name(entry)))
        return self._out_of_sight(entry)

    def _out_of_sight(self, entry: Entry) -> Release:
        assert self.journal
        told = [
            _("{target} is out of sight, but its file system still lives.").format(target=_name(entry)),
            busy.held(entry).sentence(),
            _(
                "What it stands on stays up until the last one ends; then `virt-salvage undo {session}`."
            ).format(session=safe(self.journal.path.parent.name)),
        ]
        return self._stuck(entry, sentences(told))

    def _gone(self, entry: Entry, patience: float) -> bool:
        pause = CancelToken()
        for turn in range(1, max(1, round(patience / 0.02)) + 1):
            if self._standing(entry) is not Standing.OURS:
                return True
            pause.wait(0.02)
            if turn == round(HELD_AFTER / 2 / 0.02):  # a session that began meanwhile
                copies.let_go(entry, self.entries, self.runner)
            # Whoever holds the device frees it some day, and the kernel does the rest: nothing to wait for
            if turn == round(HELD_AFTER / 0.02) and entry.what == "loop" and busy.held(entry).holders:
                return False
        return False

    def _released(self, entry: Entry, note: str) -> Release:
        assert self.journal
        self.journal.append("released", n=entry.number)
        self._replace(replace(entry, state="released", error=""))
        return Release(entry, note, released=True)

    def _stuck(self, entry: Entry, note: str) -> Release:
        assert self.journal
        self.journal.append("stuck", n=entry.number, error=note)
        self._replace(replace(entry, state="failed", error=note))
        return Release(entry, note, released=False)


def _not_known(entry: Entry) -> str:
    """What is said of a thing that nobody but its own version can take down."""
    note = _("{target} was put up by another version of this program, or its line in the journal is damaged.")
    commands = "; ".join(safe(line) for line in entry.undo)
    by_hand = _("By hand: {commands}").format(commands=commands) if commands else ""
    return sentences((note.format(target=_name(entry)), _("It was left alone."), by_hand))


def _hidden(entry: Entry, cover: mounts.Mount) -> str:
    """What is said of a mount that no path leads to."""
    note = _("{target} is still up: {source} was mounted over it at {point} later, and hides it.")
    told = note.format(target=_name(entry), source=safe(cover.source), point=safe(cover.point))
    by_hand = _("By hand: {commands}").format(commands=f"umount {quoted(cover.point)}")
    return f"{told} {by_hand}"


def _name(entry: Entry) -> str:
    target = safe(entry.target or entry.what)
    # some bear one name: a loop device and the mappings of its partitions, a mount and its folder
    if entry.what == "dm" and entry.target:
        return noted(target, _("its partitions"))
    return noted(target, entry.named) if entry.target and entry.identity.get("folder") else target


def _as_lazy(entry: Entry, here: mounts.Mount) -> Entry:
    """The entry of a mount that is about to go out of sight: all that tells later whether it still lives."""
    source = str(entry.facts.get("source", ""))
    identity = {
        **entry.identity,
        "id": here.id,
        "device": here.device,
        "lazy": True,
        "sequence": loops.node_sequence(source),
        "devices": sorted(busy.devices(here)),
    }
    return replace(entry, identity=identity, undo=())
