"""What a session puts up, with the journal that tells of it, and how it comes down."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from core import namespace
from core.command import Command
from core.disks.beside import Beside, Placed
from core.disks.hold import Hold
from core.disks.marks import Change, Marks
from core.disks.model import Disk
from core.disks.places import Reached
from core.disks.silence import Silence
from core.disks.view import View
from core.errors import SalvageError
from core.files.progress import Listener
from core.hoststate import Proof
from core.i18n import _, sentences
from core.records import Records
from core.runner import Runner
from core.secrets import Secret
from core.undo.account import Entry
from core.undo.health import ExportEnded, full
from core.undo.journal import Journal
from core.undo.sightings import Sessions
from core.undo.stack import Release, Stack
from core.undo.state import StateFolder
from core.volumes.layers import Layers
from core.volumes.model import Inspection, Volume
from core.volumes.mounting import Tree
from core.volumes.state import State
from core.watch import Watch

if TYPE_CHECKING:
    # What only some ways need is imported when it is: the first listing is to be there at once
    from core.tables.lost.search import Found


class Upkeep:
    """One disk, one journal, one undo stack; used from one thread only.

    With `private` the thread works in its own mount namespace, so the kernel takes the mounts down if
    this program dies; without, the mounts are in everybody's sight and may outlive the program.
    """

    def __init__(self, state: StateFolder, runner: Runner, *, private: bool = True) -> None:
        self.runner = runner
        self._records = Records(state, runner)
        self._watch = Watch(
            runner, lambda: self.stack, lambda: self._silence.error if self._silence else None
        )
        self._state = state
        self._hold = self._new_hold()
        self.others = Beside((), ())
        self._placed: Sequence[Placed] = ()
        self._tied = private
        self._private = private and namespace.possible(runner)
        self._journal: Journal | None = None
        self._begun = False
        self.folder = state.path
        self.stack = Stack(None, runner)
        self.disk: Disk | None = None
        self.volume: Volume | None = None
        self.subvolume = ""
        """Which one of a btrfs is open, by its path or number; empty for what a mount shows by itself."""
        self._writable = False
        self._lies = State.LEFT
        self._repaired: set[str] = set()
        self._cost = ""
        self._room = 0
        self._view: View | None = None
        self._inspection: Inspection | None = None
        self._known: Inspection | None = None
        self._found: Found | None = None
        self._tree: Tree | None = None
        self._layers: Layers | None = None
        self._base_mark = self._tree_mark = 0
        self._kept = False
        self._marks = Marks()
        self._changes: dict[Change, str] = {}
        self._secrets: dict[Path, Secret] = {}
        self._ground = 0
        """The mark of the stack on which the disk lies: what shows its bytes stays while it is chosen."""
        self._reached: Reached | None = None
        self._foreseen: tuple[Disk, Reached] | None = None
        self._wanted: tuple[str, str | None, str | None] | None = None
        """The address that waits for its password: where, the stated format, the member."""
        self._silence: Silence | None = None
        self.progress: Listener | None = None
        """Hears how far an image is unpacked that cannot be read in place."""
        self.ask: Callable[[Path], None] | None = None
        """Gets the passphrase of an encrypted image, or of an encrypted volume (its id as a path), and gives
        it to `unlock`; None: nobody can be asked."""
        self.header: Path | None = None
        """A file with the header of an encrypted volume, where that is detached or a backup of it."""

    def _new_hold(self) -> Hold:
        return Hold(lambda: Sessions(self._state.known()), planning=self.runner.planning)

    def health(self) -> ExportEnded | None:
        """What is wrong with what is up: a daemon that ended by itself. Cheap, and for any thread."""
        return self._watch.health()

    def full(self) -> str:
        """What must be said of an overlay that has no room left; empty when all is well. For any thread."""
        return full(self.stack.standing)

    def _up(self) -> dict[str, list[Entry]]:
        return {self.id: self.stack.entries} if self._begun else {}

    def close_tree(self) -> list[Release]:
        """Take the open volume down; the view of the disk stays."""
        self._tree = None
        return self._release_to(self._base_mark) if self._view else []

    def _take_down_view(self) -> None:
        self._tree = self._view = self._inspection = self._layers = None
        self._writable, self._room, self._lies = False, 0, State.LEFT
        self._repaired.clear()
        self._cost = ""
        self._release_to(self._ground)
        self._hold.end()
        self.others.end()

    def _reset_to_disk(self) -> None:
        self._end_silence()
        self._take_down_view()
        self._ground, self._reached = 0, None
        self._release_to(0)
        self._found = None
        self.disk = None
        self._end_journal()

    def _end_silence(self) -> None:
        silence, self._silence = self._silence, None
        if silence:
            silence.close()

    def release_last(self) -> Release | None:
        """Take down the thing that was put up last; None when nothing is up."""
        release = self.stack.release_last()
        self._leave_namespace()
        return release

    def release_from(self, number: int = 1) -> list[Release]:
        """Take down what was put up as `number` and everything after it, last first."""
        return self._release(number - 1)

    def _release(self, mark: int) -> list[Release]:
        releases = self.stack.release_to(max(mark, self._tree_mark))
        if not all(release.released for release in releases):
            return releases
        # The rest was put up before the namespace was entered, and lies in the host's
        self._leave_namespace()
        return releases + self.stack.release_to(mark)

    def _release_to(self, mark: int) -> list[Release]:
        if self._journal is None:
            return []
        releases = self._release(mark)
        stuck = [release.note for release in releases if not release.released]
        if stuck:
            raise SalvageError(
                sentences(stuck),
                _("The disk is untouched."),
                _("End what holds it, then: {command}").format(command=self._state.command("undo", self.id)),
            )
        return releases

    def _leave_namespace(self) -> None:
        if not any(entry.what == "mount" for entry in self.stack.standing):
            namespace.leave()

    def keep(self) -> None:
        """Leave everything up when the session closes; `virt-salvage undo` takes it down later.

        Raises `Cancelled` when somebody wants the work to stop: then it is taken down.
        """
        self.runner.cancel.check()
        if self._journal:
            self._journal.append("kept")
        self._kept = True

    def close(self) -> None:
        """Take everything down, last first, unless it is to be kept; end the journal.

        Raises SalvageError when something could not be taken down: it stays in the journal.
        """
        if self._kept:
            self._hold.end()
            self._end_silence()
            if self._journal:
                self._journal.close()
                self._journal = None
            return
        try:
            self._reset_to_disk()
        finally:
            if self._journal:
                self._journal.close()
                self._journal = None
            if not self.planning:
                self._records.finish(self._up())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def id(self) -> str:
        """The name under which `status` and `undo` know this session."""
        return self.folder.name

    @property
    def proof(self) -> Proof | None:
        """What the host was like at the end; None before the session is closed, and when it is kept up."""
        return self._records.proof

    @property
    def touched(self) -> bool:
        """Whether anything was put up since the session began."""
        return self._begun or bool(self._records.past)

    @property
    def planning(self) -> bool:
        return self.runner.planning

    def _chosen(self) -> Disk:
        if self.disk is None:
            raise SalvageError(_("No disk is chosen."), remedy=_("Choose a disk first."))
        return self.disk

    def _begin(self, disk: str) -> None:
        """The journal begins before the first change, and not before."""
        if self._begun:
            return
        self._begun = True
        self.folder = self._state.new_folder()
        make = Command(
            ("mkdir", "--parents", str(self.folder)),
            why=_("Make a folder for this session: its log, and the places where things appear."),
            effect=_("a folder that goes again when the session ends"),
            undo=(
                Command(
                    ("rm", "--recursive", "--one-file-system", "--", str(self.folder)),
                    why=_("Forget the session."),
                ),
            ),
            by_hand=True,
        )
        self._journal = self.runner.perform(make, lambda: self._state.begin(self.folder, disk), planned=None)
        self.stack = Stack(self._journal, self.runner)

    def _end_journal(self) -> None:
        if self._journal and not self.stack.standing:
            self._state.forget(self._journal)
            self._records.past[self.id] = self.stack.entries
            self._journal.close()
            self._journal = None
            self._begun = False
            self.stack = Stack(None, self.runner)
