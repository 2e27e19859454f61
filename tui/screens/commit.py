"""What an overlay holds, written back into its disk: shown, asked for by name, backed up, verified."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from core.committing import Commit, Committed
from core.errors import PointsOutside, SalvageError
from core.files.progress import Progress
from core.i18n import _
from core.runner import SystemRunner
from core.text import duration, safe, size
from tui.flow import Flow
from tui.plain import plain
from tui.screens.ask import host_path_field
from tui.screens.confirm import ConfirmScreen
from tui.screens.progress import ProgressScreen
from tui.screens.step import Frame, Key
from tui.screens.trouble import Remedy, TroubleScreen
from tui.widgets.lines import Line, Piece, wrapped
from tui.widgets.pager import Pager
from tui.widgets.path_field import PathField, as_path
from tui.widgets.signed import SignedText
from tui.widgets.text_line import TextLine


@dataclass(frozen=True, slots=True)
class Prepared:
    """An overlay that is whole and stands alone, and what writing it back would do."""

    work: Commit
    notes: tuple[str, ...]
    lines: tuple[str, ...]
    nothing: bool = False
    """The overlay holds nothing that could be written."""


def do_prepare(flow: Flow, session: str, allow: Sequence[Path]) -> Prepared:
    """Take down what stands on the overlay and see what it changes; on `outside`, the road being closed."""
    work = Commit(flow.state, SystemRunner(flow.outside.cancel), flow.state.find(session), allow)
    work.__enter__()
    try:
        work.require_sound()
        work.take_down()
        flow.do_forget_gone()
        notes = work.require_ready()
        if work.half:
            return Prepared(work, notes, (work.half.sentence(session),))
        changes = work.changes()
        work.require_room()
        return Prepared(work, notes, tuple(changes.lines()), not changes.bytes)
    except BaseException:
        work.__exit__()
        raise


def do_commit(work: Commit, typed: str, place: Path, hear: Callable[[Progress], None]) -> Committed:
    """Back the disk up, write the overlay into it and prove it; on `outside`.

    A commit that was cut off has its backup, and needs no `place` for one.
    """
    work.require_typed(typed)
    backup = () if work.half else work.back_up(place, hear)
    return work.write(typed, backup, hear)


class CommitScreen(Frame):
    """The one screen behind which an original is written; the disk's name is the key to it."""

    topic: ClassVar[str] = "commit"

    def __init__(self, session: str, allow: Sequence[Path] = ()) -> None:
        super().__init__()
        self._session = session
        self._allow = tuple(allow)
        self._ready: Prepared | None = None
        self._looked_at = ""
        """The place for a backup that was looked at, and that the warnings are of."""

    def body(self) -> ComposeResult:
        yield Static(_("What would change on the disk"), classes="question", markup=False)
        yield Pager()
        yield Static(id="commit-told", classes="said")
        with Horizontal(id="backup-row", classes="line"):
            yield Static(_("Backup to"), classes="name", markup=False)
            yield host_path_field(self.flow)
        yield SignedText(id="backup-warnings")
        with Horizontal(id="name-row", classes="line"):
            yield Static(_("Disk name"), classes="name", markup=False)
            yield TextLine(id="name", select_on_focus=False, compact=True)

    def keys(self) -> list[Key]:
        leave = ("Esc", _("leave the disk alone"))
        if self._ready is None or self._ready.nothing:
            return [leave]
        if self.focused and self.focused.id == "name":
            place = [] if self._ready.work.half else [("Shift+Tab", _("to the backup"))]
            return [("Enter", _("write")), *place, leave]
        return [("Enter", _("to the name")), leave, ("Tab", _("complete"))]

    def on_mount(self) -> None:
        super().on_mount()
        for row in self.query(".line"):
            row.display = False
        self.work(_("Closing the disk."), self.flow.do_close, lambda _none: self._prepare(), self._not_ready)

    def on_descendant_focus(self) -> None:
        self.refresh_frame()

    def refresh_frame(self) -> None:
        super().refresh_frame()
        self._tell()

    def subtitle(self) -> str:
        return _("Write an overlay back into its disk")

    # -- what would change -----------------------------------------------------------------------

    def _prepare(self) -> None:
        self.work(
            _("Taking the mount down and comparing."),
            lambda: do_prepare(self.flow, self._session, self._allow),
            self._prepared,
            self._not_ready,
            operator=self.flow.outside,
        )

    def _not_ready(self, error: SalvageError) -> None:
        self.app.pop_screen()
        if isinstance(error, PointsOutside):
            again = CommitScreen(self._session, (*self._allow, error.path))
            title = _("Allow this very path: {path}").format(path=safe(error.path))
            allow = Remedy(title, lambda: self.app.push_screen(again))
            self.app.push_screen(TroubleScreen(error, [allow]))
        else:
            self.app.trouble(error)

    def _prepared(self, ready: Prepared) -> None:
        self._ready = ready
        self.query_one(Pager).draw_with(self._drawn)
        place, name = self.query_one(PathField), self.query_one("#name", Input)
        wants_place = not ready.work.half and ready.work.disk.is_block_device
        if not ready.work.half and not wants_place:
            place.value = str(ready.work.beside())
            self._look_at(ready.work, place.value)
        self.query_one("#name-row").display = not ready.nothing
        if not ready.nothing:
            (place if wants_place else name).focus()
        self.refresh_frame()

    def _drawn(self, width: int) -> list[Line]:
        ready = self._ready
        if ready is None:
            return []
        return [
            (Piece("  " + line),)
            for told in (*ready.notes, *ready.lines)
            for line in wrapped(told, width - 2)
        ]

    def _tell(self) -> None:
        """What would be written and what is asked; after a commit that was cut off, that it goes on."""
        ready = self._ready
        if ready is None:
            return
        self.query_one("#backup-row").display = not (ready.nothing or ready.work.half)
        told = _("The overlay holds nothing: there is nothing to write.")
        if not ready.nothing and ready.work.half:
            told = _("To go on with writing into {disk}, type the disk's name: {name}")
        elif not ready.nothing:
            told = _("{size} go into {disk}, after a verified backup. To write, type the disk's name: {name}")
        held = 0 if ready.nothing else sum(end - start for start, end in ready.work.extents)
        if self.has_class("-low") and not ready.nothing:
            told = _("To write, type the disk's name: {name}")
        told = told.format(size=size(held), disk=safe(ready.work.disk.path), name=safe(ready.work.name))
        self.query_one("#commit-told", Static).update(plain(told))

    def _look_at(self, work: Commit, place: str) -> None:
        """Say what speaks against a backup there, while `place` stands in the line."""

        def told(warnings: tuple[str, ...]) -> None:
            if self._ready and self.query_one(PathField).value == self._looked_at == place:
                self.query_one(SignedText).show([("!", warning) for warning in warnings])

        self._looked_at = place
        future = self.flow.outside.submit(lambda: work.warnings(Path(as_path(place)).absolute()))
        self.app.follow(future, told, lambda _unreadable: None)

    # -- writing ---------------------------------------------------------------------------------

    def on_path_field_changed(self, _event: PathField.Changed) -> None:
        if self.query_one(PathField).value != self._looked_at:
            self._looked_at = ""
            self.query_one(SignedText).show([])

    def on_path_field_submitted(self, event: PathField.Submitted) -> None:
        self.query_one("#name", Input).focus()
        if self._ready and event.path:
            self._look_at(self._ready.work, event.field.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        ready, typed = self._ready, event.value
        if ready is None:
            return
        given = as_path(self.query_one(PathField).value)
        if typed != ready.work.name:
            self.say(_("That is not the disk's name, which is {name}.").format(name=safe(ready.work.name)))
        elif not given and not ready.work.half:
            self.say(_("Say where the backup shall go first."))
            self.query_one(PathField).focus()
        else:
            self._write(ready.work, typed, Path(given).absolute())

    def _write(self, work: Commit, typed: str, place: Path) -> None:
        title = _("Backing up, then writing into {disk}").format(disk=safe(work.disk.path))
        self.app.push_screen(
            ProgressScreen(
                title,
                lambda hear: do_commit(work, typed, place, hear),
                self._committed,
                step=-1,
                operator=self.flow.outside,
            )
        )

    def _committed(self, done: Committed) -> None:
        told = [
            _("{size} were written into {disk} and verified in {time}; the overlay is gone.").format(
                size=size(done.bytes), disk=safe(done.disk), time=duration(done.seconds)
            )
        ]
        if done.backup:
            told.append(_("How it was before is kept: {path}").format(path=safe(done.backup[0])))
        self.app.pop_screen()
        self._leave()
        self.app.push_screen(
            ConfirmScreen(_("Written and verified"), [plain(one) for one in told], [], good=True)
        )

    # -- back ------------------------------------------------------------------------------------

    def back(self) -> None:
        ready = self._ready
        self._leave()
        if ready and not ready.nothing:
            self._tell_kept()

    def _tell_kept(self) -> None:
        kept = _("The overlay is kept, with all that is in it. The mount was taken down.")
        here = _("To go on with it here: choose 3 on the next screen, and then i. By hand, one of these:")
        lines = [self.flow.state.command(verb, self._session) for verb in ("commit", "undo")]
        by_hand = Content("\n").join([plain(here), *(plain("  " + line) for line in lines)])
        self.app.push_screen(ConfirmScreen(_("The disk is as it was"), [plain(kept), by_hand], []))

    def _leave(self) -> None:
        """Let go of the session's journal, and go back to where a disk is chosen."""
        from tui.screens.start import StartScreen

        ready, self._ready = self._ready, None
        if ready:
            self.app.follow(
                self.flow.outside.submit(ready.work.__exit__), lambda _none: None, self.app.trouble
            )
        self.app.back_to(StartScreen)
