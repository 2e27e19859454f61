"""What the wizard knows: the way gone so far, and the work that each step hands to the operator.

The functions called `do_…` run on an operator's thread and nowhere else; all others belong to the screen.
There are two operators. Sessions of the road work in a private mount namespace (`operator`); what is to
be seen by everybody, and what an earlier session left, is worked on in the host's own (`outside`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.checking import Examined, examine
from core.disks.model import Disk
from core.disks.overlay import OverlayRoom
from core.errors import SalvageError
from core.files.choices import CAUTIOUS, Choices
from core.files.destination import Destination
from core.files.outcome import Copied
from core.files.progress import Progress
from core.hoststate import Proof
from core.i18n import _, enumerated
from core.operator import Operator
from core.rebuilding import Rebuilt, rebuild
from core.runner import PlanRunner, Ran, Runner, SystemRunner
from core.secrets import Secret
from core.session import Session
from core.tables.lost.search import Searching
from core.text import safe
from core.undo.account import Entry
from core.undo.health import full
from core.undo.stack import Release
from core.undo.state import Known, StateFolder
from core.volumes.model import Inspection, Volume
from core.volumes.mounting import Way
from core.volumes.state import State
from core.volumes.subvolumes import Subvolume
from tui.chosen import Exercise, InSight, Protection, Standing, Wish

SessionMaker = Callable[[StateFolder, Runner, bool], Session]


@contextmanager
def _answering(session: Session, secret: Secret | None) -> Iterator[None]:
    """Answer with the secret when the session asks for one; without, as before."""
    before = session.ask
    if secret:
        session.ask = lambda path: session.unlock(path, secret)
    try:
        yield
    finally:
        session.ask = before


def make_session(state: StateFolder, runner: Runner, private: bool) -> Session:
    """The session of the real program."""
    return Session(state, runner, private=private)


@dataclass
class Flow:
    """One walk through the wizard."""

    state: StateFolder
    operator: Operator = field(default_factory=Operator)
    outside: Operator = field(default_factory=Operator)
    maker: SessionMaker = make_session
    session: Session | None = None
    wish: Wish | None = None
    disk: Disk | None = None
    protection: Protection = Protection.READ
    backup: Path | None = None
    """A verified backup made on this walk."""
    inspection: Inspection | None = None
    volume: Volume | None = None
    opened: tuple[Way, State, str] = ("loop", State.LEFT, "")
    """How the volume was opened: the way, the state of its file system, the subvolume."""
    target: Destination | None = None
    marked: tuple[bytes, ...] = ()
    choices: Choices = CAUTIOUS
    """How the files are copied."""
    copied: Copied | None = None
    copied_from: tuple[str, ...] = ()
    """The disk, volume and subvolume that the last copy was made of."""
    exercise: Exercise | None = None
    """The task, where the disk is a practice disk."""
    proof: Proof | None = None
    """What the host was like after the last road that put something up."""
    in_sight: list[InSight] = field(default_factory=list)

    # -- the road ------------------------------------------------------------------------------

    def do_select(self, wish: Wish, secret: Secret | None = None) -> Disk:
        """Vet the disk; what was up for the one before is taken down first.

        `secret` is the password of an address. Raises NeedsPassphrase where one is wanted, or it is wrong.
        """
        if self.session is None:
            self.session = self.maker(self.state, SystemRunner(self.operator.cancel), True)
        with _answering(self.session, secret):
            disk = wish.select(self.session)
        self.wish, self.disk = wish, disk
        self.inspection = self.volume = self.backup = self.copied = None
        return disk

    def do_inspect(self, protection: Protection, secret: Secret | None = None) -> Inspection:
        """Protect the disk as chosen, attach it and read its table.

        `secret` is the passphrase of an encrypted image. Raises NeedsPassphrase where one is wanted, or it is
        wrong.
        """
        session = self.road()
        session.protect(overlay=protection is Protection.OVERLAY)
        self.protection, self.volume = protection, None
        with _answering(session, secret):
            self.inspection = session.inspect()
        return self.inspection

    def do_add(self, other: Path) -> Inspection:
        """Open the disk together with another one, for reading; as it was before, where that fails."""
        before = self.wish
        assert before
        try:
            self.do_select(replace(before, given=f"{before.given},{other}"))
            return self.do_inspect(Protection.READ)
        except BaseException:
            self.do_select(before)
            self.do_inspect(Protection.READ)
            raise

    def do_unlock(self, name: str, secret: Secret, header: Path | None = None) -> Inspection:
        """Open the encrypted volume of that id, by a `header` in a file of its own where one is given.

        It and what lies in it are seen then. Raises NeedsPassphrase.
        """
        self.volume = None
        session = self.road()
        session.header = header
        session.unlock(Path(name), secret)
        self.inspection = session.inspect()
        return self.inspection

    def do_room(self) -> OverlayRoom:
        """What an overlay over the disk would have before it; only looks, so on any operator."""
        return self.road().overlay_room()

    def do_search(self, hear: Callable[[Searching], None], enough: Callable[[], bool]) -> Inspection:
        """Search the disk for lost partitions; what is found stands in the place of its table."""
        self.volume = None
        self.inspection = self.road().search(hear, enough)
        return self.inspection

    def do_own_table(self) -> Inspection:
        """Go back to the disk's own table."""
        self.volume = None
        self.inspection = self.road().forget_search()
        return self.inspection

    def do_rebuild(self, dest: Path, to: str | None, hear: Callable[[Progress], None]) -> Rebuilt:
        """Write the table that was found to a new overlay or copy."""
        return rebuild(self.road(), dest, to, hear)

    def do_open(self, volume: Volume, way: Way, *, state: State = State.LEFT, subvolume: str = "") -> Volume:
        """Mount the volume where only this program sees it."""
        road = self.road()
        road.open(volume.id, way=way, state=state, subvolume=subvolume)
        self.volume, self.opened = road.volume or volume, (way, state, subvolume)
        return self.volume

    def do_check(self, volume: Volume, state: State) -> Examined:
        """Check the volume as it lies on the disk; in another state, also which files differ."""
        road = self.road()
        self.volume = None
        return examine(
            road,
            lambda wanted: road.check(volume.id, state=wanted),
            lambda one, wanted: one.open(volume.id, state=wanted),
            state,
        )

    def do_subvolumes(self, volume: Volume) -> list[Subvolume]:
        """The subvolumes of a btrfs."""
        road = self.road()
        road.open(volume.id)
        found = road.subvolumes()
        road.close_tree()
        return found

    def do_close_volume(self) -> None:
        self.volume = None
        self.road().close_tree()

    def do_close_view(self) -> None:
        """Take down everything but the choice of the disk."""
        self.inspection = self.volume = None
        self.road().protect(overlay=False)

    def do_close(self) -> None:
        """End the road: take everything down that it put up."""
        self.inspection = self.volume = self.disk = None
        session, self.session = self.session, None
        if session:
            try:
                session.close()
            finally:
                self.proof = session.proof if session.touched else self.proof

    def road(self) -> Session:
        """The session that the road goes on with; raises SalvageError before a disk is chosen."""
        if self.session is None:
            raise SalvageError(_("No disk is chosen."), remedy=_("Choose a disk first."))
        return self.session

    @property
    def caution(self) -> str:
        """What must be known of the files of the open volume; empty when all is well."""
        return self.session.caution if self.session else ""

    @property
    def remark(self) -> str:
        """What else is worth knowing of the open volume; empty when there is nothing."""
        return self.session.remark if self.session else ""

    @property
    def others(self) -> tuple[Disk, ...]:
        """The disks that were given with the first one."""
        return tuple(self.session.others.disks) if self.session else ()

    @property
    def names(self) -> tuple[str, ...]:
        """What the disk is called, and those that were given with it."""
        return (*([self.disk.name] if self.disk else []), *(one.name for one in self.others))

    @property
    def source(self) -> tuple[str, ...]:
        """The disk, volume and subvolume that files are copied from now."""
        disk, volume = str(self.disk.path) if self.disk else "", self.volume.id if self.volume else ""
        return disk, volume, self.opened[2]

    @property
    def copied_another(self) -> bool:
        """Whether the last copy was made of another volume: its target is not for this one."""
        return bool(self.copied_from) and self.copied_from != self.source and not self.task()

    @property
    def labs(self) -> Path:
        """Where the practice disks lie."""
        return self.state.path / "labs"

    def task(self) -> Exercise | None:
        """The exercise, if the chosen disk is its disk."""
        same = self.exercise and self.disk and self.disk.path == self.exercise.disk.resolve()
        return self.exercise if same else None

    # -- the dry run ---------------------------------------------------------------------------

    def do_plan(self, steps: Callable[[Session], None]) -> list[Ran]:
        """What `steps` would run, told by the very functions that run it."""
        runner = PlanRunner(self.operator.cancel)
        with self.maker(self.state, runner, True) as session:
            steps(session)
        return list(runner.transcript)

    def full(self) -> str:
        """What must be said of an overlay of this wizard that has no room left; empty when all is well."""
        return full([*self.standing, *(entry for shown in self.in_sight for entry in shown.entries)])

    def ran(self) -> list[Ran]:
        """What was run so far on this road."""
        return list(self.session.runner.transcript) if self.session else []

    # -- in sight of everybody (on `outside`) -----------------------------------------------------

    def do_show(self, volume: Volume, point: Path, writable: bool, state: State = State.LEFT) -> InSight:
        """Mount the volume at `point`, to stay when the wizard ends."""
        wish, inspection = self.wish, self.inspection
        if wish is None or inspection is None:
            raise SalvageError(_("No disk is chosen."), remedy=_("Choose a disk first."))
        session = self.maker(self.state, SystemRunner(self.outside.cancel), False)
        with session:
            session.trust(self.session)
            wish.select(session)
            session.protect(overlay=writable)
            session.view()
            session.know(inspection)
            session.open(volume.id, point, state=state)
            session.keep()
            up = tuple(session.stack.standing)
        shown = InSight(session.id, point, volume.title, writable, up)
        self.in_sight.append(shown)
        return shown

    @property
    def at_stake(self) -> str:
        """What is lost with what is mounted in sight for writing, as a sentence; empty without."""
        points = enumerated(safe(shown.point) for shown in self.in_sight if shown.writable)
        return _("What was written to {path} is thrown away.").format(path=points) if points else ""

    def do_undo(self, names: Sequence[str]) -> list[Release]:
        """Take down what those sessions left up."""
        releases: list[Release] = []
        for known in self.state.known():  # another terminal may have taken down some of them
            if known.account.session in names:
                releases += self.state.undo(known, SystemRunner(self.outside.cancel))
        self.do_forget_gone()
        return releases

    def do_forget_gone(self) -> None:
        """Strike from the list what was taken down, by us or from another terminal, whole or in part."""
        there = {known.account.session: known.account.standing for known in self.state.known()}
        self.in_sight = [
            replace(shown, entries=there[shown.session]) for shown in self.in_sight if shown.session in there
        ]

    def do_standing(self) -> list[Standing]:
        """All that this wizard put up: the road first, then what it mounted in sight."""
        mine = self.session.id if self.session else ""
        found = []
        if self.session and self.session.stack.standing:
            disk = str(self.session.disk.path) if self.session.disk else ""
            found.append(Standing(mine, disk, tuple(self.session.stack.standing), True))
        self.do_forget_gone()
        for shown in reversed(self.in_sight):
            account = self.state.find(shown.session).account
            found.append(Standing(account.session, account.disk, account.standing, False))
        return found

    def left(self) -> list[Known]:
        """The sessions that ended and left something up, on purpose or not."""
        self.state.sweep()
        return [known for known in self.state.known() if not known.alive]

    # -- the undo stack of the road -----------------------------------------------------------------

    def do_undo_last(self) -> list[Release]:
        """Take down the last thing of the road."""
        release = self.road().release_last()
        return [release] if release else []

    def do_undo_all(self) -> list[Release]:
        """Take down everything of the road."""
        return self.road().release_from()

    def do_undo_to(self, number: int) -> list[Release]:
        """Take down what the road put up as `number`, and all above it."""
        return self.road().release_from(number)

    @property
    def volume_open(self) -> bool:
        """Whether the mount of the road's volume stands."""
        return self._up("mount") and self.volume is not None

    @property
    def view_open(self) -> bool:
        """Whether the disk is attached: a raw disk needs nothing for that, any other its export."""
        if self.inspection is None or self.disk is None:
            return False
        direct = self.disk.format == "raw" and self.protection is Protection.READ
        return direct or self._up("fuse-export")

    def _up(self, what: str) -> bool:
        return any(entry.what == what for entry in self.standing)

    @property
    def standing(self) -> list[Entry]:
        """What is up on the road, the last first."""
        return self.session.stack.standing if self.session else []

    @property
    def road_stands(self) -> bool:
        return bool(self.standing)
