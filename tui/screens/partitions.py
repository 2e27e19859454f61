"""The disk's map and table: which partition shall be opened."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from core.disks.convert import WRITTEN
from core.errors import NeedsPassphrase, SalvageError
from core.i18n import N_, _
from core.rebuilding import Rebuilt
from core.session import Session
from core.tables.lost.candidate import Candidate
from core.tables.lost.search import seconds_about
from core.tables.notes import told as sources_told
from core.text import duration, safe
from core.volumes.model import Encrypted, Inspection, Volume
from core.volumes.searched import Searched
from tui import plans
from tui.openable import hindrance, in_short, no_other_disk, openable
from tui.plain import plain
from tui.screens.ask import AskPath
from tui.screens.confirm import ConfirmScreen
from tui.screens.menu import Choice
from tui.screens.passphrase import AskKey, Key
from tui.screens.progress import ProgressScreen
from tui.screens.search import SearchScreen
from tui.screens.step import Frame
from tui.screens.step import Key as NamedKey
from tui.screens.volume import VolumeScreen
from tui.volume_lines import about, begun, offset_sum, problems_told, why_not
from tui.widgets.disk_map import DiskMap
from tui.widgets.lines import wrapped
from tui.widgets.partition_table import VolumeTable
from tui.widgets.rows import Rows
from tui.widgets.signed import SignedText

_MARGINS = 2
"""Empty lines around the picture and above the sum."""
_MOST_NOTED = 5
"""Lines of notes on the table."""


class PartitionsScreen(Frame):
    """A partition that cannot be opened can be looked at; the line below the table says why.

    `s` searches the disk for lost partitions, which then stand in the place of its table.
    """

    topic: ClassVar[str] = "partitions"
    step: ClassVar[int] = 2
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "search", N_("search for lost partitions"), show=False),
        Binding("w", "write", N_("write the table that was found"), show=False),
        Binding("o", "own", N_("the disk's own table"), show=False),
        Binding("a", "add", N_("add the disk that has the other parts"), show=False),
        Binding("h", "header", N_("open it by a LUKS header that lies elsewhere"), show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._notes: list[str] = []
        self._noted: list[str] = []
        """The lines of them that stand there."""

    @property
    def inspection(self) -> Inspection:
        if self.flow.inspection is None:
            raise SalvageError(_("The disk is not attached any more."))
        return self.flow.inspection

    def body(self) -> ComposeResult:
        yield DiskMap()
        yield Static(id="sum")
        yield Static(id="about")
        yield Static(id="offer")
        yield VolumeTable()
        with VerticalScroll(id="problems", can_focus=False):
            yield SignedText(id="findings")
        yield Static(id="notes")

    def keys(self) -> list[NamedKey]:
        keys = [("↑↓", _("move")), ("Enter", _("open it"))]
        if isinstance(self.flow.inspection, Searched):
            return [*keys, ("w", _("save table")), ("o", _("disk's table")), ("Esc", _("back"))]
        if self.flow.inspection and self.flow.inspection.lacking:
            keys.append(("a", _("add a disk")))
        return [*keys, ("s", _("search")), ("Esc", _("back"))]

    def on_mount(self) -> None:
        super().on_mount()
        self._show()
        self.query_one(VolumeTable).focus()
        # what the table leaves is known when all has its place
        self.screen_layout_refresh_signal.subscribe(self, lambda _screen: self._spread())

    def _show(self) -> None:
        """Show what the table or the search says now."""
        inspection = self.inspection
        names = {one.id: one.content or "" for one in inspection.volumes}
        self.query_one(DiskMap).show(inspection.table, names)
        offer = self._offer()
        self.query_one("#offer", Static).update(plain(offer))
        self.query_one("#offer").display = bool(offer)
        refused = {
            one.id: in_short(one, inspection) for one in openable(inspection) if hindrance(one, inspection)
        }
        self.query_one(VolumeTable).show(inspection, refused)
        self._show_problems()
        self._notes = list(filter(None, (*inspection.table.notes, sources_told(inspection.table.sources))))
        self.refresh_frame()

    def _show_problems(self) -> None:
        """What is wrong, with the volume under the cursor first: there may be room for little else."""
        if self.flow.inspection is None:  # taken down while the cursor moved
            return
        row = self.query_one(VolumeTable).current
        problems = problems_told(self.inspection, row.volume if row else None)
        self.query_one("#findings", SignedText).show([("!", problem) for problem in problems])
        self.query_one("#problems").display = bool(problems)

    def refresh_frame(self) -> None:
        super().refresh_frame()
        self._tell_row()
        self.call_after_refresh(self._spread)

    def _spread(self) -> None:
        """Give the lines that the table does not need to the picture, and to as many notes as fit."""
        if not self.query("#notes"):  # closed meanwhile
            return
        table, notes = self.query_one(VolumeTable), self.query_one("#notes", Static)
        self.query_one(DiskMap).be_brief(table.size.height, table.row_count() + 1)
        roomy = self.has_class("-roomed")
        shown = notes.size.height if notes.display else 0
        below = 1 if notes.has_class("-spaced") else 0
        margins = (_MARGINS if roomy else 0) + below
        spare = table.size.height + shown + margins - table.row_count() - 1
        roomed = self.has_class("-coached") and spare >= _MARGINS
        self.set_class(roomed, "-roomed")
        spare -= _MARGINS + 1 if roomed else 1
        fitting: list[str] = []
        for note in self._notes:
            lines = wrapped(safe(note), max(20, self.room - 2))
            if len(lines) <= spare and len(fitting) + len(lines) <= _MOST_NOTED:
                fitting += lines
                spare -= len(lines)
        coached = self.has_class("-coached") and self.has_class("-usual")
        notes.set_class(bool(fitting) and coached and spare > 0, "-spaced")
        if fitting != self._noted:
            self._noted = fitting
            notes.update(Content("\n").join(plain(line) for line in fitting))
            notes.display = bool(fitting)
            notes.styles.height = len(fitting)  # as they are broken here, whatever was laid out before

    def _offer(self) -> str:
        """That the disk can be searched, where its table does not lead to anything."""
        inspection, disk = self.inspection, self.flow.disk
        if isinstance(inspection, Searched) or disk is None:
            return ""
        if lacking := inspection.lacking:
            return _("A part of {volume} lies on a disk that was not given. Press a to name it.").format(
                volume=lacking.title
            )
        locked = [one for one in inspection.volumes if one.locked and not hindrance(one, inspection)]
        if locked or any(volume.content or volume.candidates for volume in inspection.volumes):
            return ""
        return _(
            "Nothing that can be opened is where the table says. Press s to search the whole disk for lost"
            " partitions: about {time}; it is only read."
        ).format(time=duration(seconds_about(disk.actual_size)))

    def on_rows_highlighted(self, _event: Rows.Highlighted) -> None:
        self._tell_row()
        self._show_problems()

    def _tell_row(self) -> None:
        """Show on the map and in words what is under the cursor."""
        row = self.query_one(VolumeTable).current
        if row is None or self.flow.inspection is None:  # taken down while the cursor moved
            return
        part = row.partition
        self.query_one(DiskMap).highlight(part.number if part else None)
        self.query_one("#sum", Static).update(offset_sum(part, self.room - 2) if part else Content(""))
        told = begun(
            about(row, self.inspection),
            self.room - 2,
            1 if self.has_class("-low") else 2,
            refused=bool(why_not(row, self.inspection)),
        )
        self.query_one("#about", Static).update(told)

    def on_rows_chosen(self, _event: Rows.Chosen) -> None:
        row = self.query_one(VolumeTable).current
        if row and row.volume and row.volume.locked:
            self._ask_key(row.volume)
        elif row and row.volume:
            self.app.push_screen(VolumeScreen(row.volume))

    def on_volume_table_refused(self, event: VolumeTable.Refused) -> None:
        if self.flow.inspection is None:  # taken down while the key was on its way
            return
        reason = why_not(event.row, self.inspection)
        if len(wrapped("× " + safe(reason), self.room - 2)) <= 1 + (not self.has_class("-low")):
            self.say(_("That cannot be opened; the line below the sum says why."))
        else:
            self.app.push_screen(ConfirmScreen(_("That cannot be opened"), [plain(reason)], []))

    # -- encrypted volumes ---------------------------------------------------------------------

    def _ask_key(self, volume: Volume, wrong: str = "", *, apart: bool = False) -> None:
        """Ask for what opens the volume; with `apart` it is the one around an unknown one, for its header."""
        name = f"{volume.id}/luks" if apart else volume.id

        def answered(key: Key | None) -> None:
            if key:
                told = _("Opening the encrypted volume; that takes a while on purpose.")
                job = lambda: self.flow.do_unlock(name, key.secret, key.header)  # noqa: E731
                self.work(told, job, lambda _seen: self._unlocked(name), refused)

        def refused(error: SalvageError) -> None:
            if isinstance(error, NeedsPassphrase):
                self._ask_key(volume, error.what, apart=apart)
            else:
                self.app.trouble(error)

        header = self.flow.session.header if self.flow.session else None
        around = volume.layer.outer if isinstance(volume.layer, Encrypted) else volume
        title = _("The passphrase of {volume}").format(volume=around.title)
        bitlocker = isinstance(volume.layer, Encrypted) and volume.layer.bitlocker is not None
        asked = AskKey(title, wrong, str(header or ""), apart=apart and not wrong, bitlocker=bitlocker)
        self.app.push_screen(asked, answered)

    def action_header(self) -> None:
        """Open what is highlighted as LUKS by a header that lies in a file of its own."""
        row = self.query_one(VolumeTable).current
        if row and row.volume and (row.volume.locked or row.volume.unknown):
            self._ask_key(row.volume, apart=not row.volume.locked)
        else:
            self.say(_("Only what is encrypted or unknown may have its LUKS header elsewhere."))

    def _unlocked(self, name: str) -> None:
        """Show what was inside the volume of that id, and go on where that is all there is."""
        self._show()
        table = self.query_one(VolumeTable)
        table.go_to(name)
        inside = [one for one in self.inspection.volumes if one.inside == name]
        if inside:
            table.go_to(inside[0].id)
        opened = self.inspection.volume(name)
        if not hindrance(opened, self.inspection):
            self.app.push_screen(VolumeScreen(opened))

    # -- the other disks -----------------------------------------------------------------------

    def has_use(self, action: str) -> bool:
        searched = self.inspection if isinstance(self.inspection, Searched) else None
        match action:
            case "add":
                return self.inspection.lacking is not None
            case "own":
                return searched is not None
            case "write":
                return searched is not None and bool(searched.sfdisk)
        return True

    def action_add(self) -> None:
        disk, lacking = self.flow.disk, self.inspection.lacking
        if disk is None or lacking is None:
            self.say(_("Nothing on this disk has a part on another one."))
            return
        row = self.query_one(VolumeTable).current
        here = row.volume.id if row and row.volume else lacking.id

        def answered(other: Path | None) -> None:
            if other:
                self.work(
                    _("Attaching both disks and reading them together."),
                    lambda: self.flow.do_add(other),
                    lambda _seen: self._added(here),
                    self._not_added,
                )

        title = _("Which disk has the other parts of {volume}?").format(volume=lacking.title)
        line = _("An image or a device. Several disks at once are opened for reading only.")
        self.app.push_screen(AskPath(title, line, disk.path.parent, no_other_disk), answered)

    def _added(self, here: str) -> None:
        """The cursor stays on the volume of that id."""
        self._show()
        self.query_one(VolumeTable).go_to(here)

    def _not_added(self, error: SalvageError) -> None:
        """As before, the first disk alone is attached, unless that went wrong too."""
        if self.flow.inspection:
            self._show()
        self.app.trouble(error)

    # -- lost partitions -----------------------------------------------------------------------

    def action_search(self) -> None:
        if self.busy:
            self.app.bell()
        else:
            self.app.push_screen(SearchScreen(self._searched))

    def _searched(self, wanted: Candidate | None) -> None:
        """Show what was found; go on to what was chosen while the search went on."""
        inspection = self.inspection
        if not openable(inspection) or all(
            one.content is None and not one.seen_when_opened for one in openable(inspection)
        ):
            told = _("The search found nothing that could be opened. The disk was only read.")
            if isinstance(inspection, Searched) and not inspection.found.complete:
                told = _("The search was stopped before it found anything. The disk was only read.")
            self.work(
                _("Reading the disk's own table."),
                self.flow.do_own_table,
                lambda _own: self._nothing_found(told),
            )
            return
        self._show()
        found = [one for one in openable(inspection) if wanted and one.offset == wanted.start]
        if found:
            self.query_one(VolumeTable).go_to(found[0].id)
            if not hindrance(found[0], inspection):
                self.app.push_screen(VolumeScreen(found[0]))

    def _nothing_found(self, told: str) -> None:
        self._show()
        self.say(told)

    def action_own(self) -> None:
        if isinstance(self.inspection, Searched):
            self.work(_("Reading the disk's own table."), self.flow.do_own_table, lambda _own: self._show())

    def action_write(self) -> None:
        inspection = self.inspection
        if not isinstance(inspection, Searched) or not inspection.sfdisk:
            self.say(_("There is no table to write: search for lost partitions first (s)."))
            return
        told = plain(_("The disk itself is not written to. Where shall the table that was found be written?"))
        choices = [
            Choice(
                "qcow2-over",
                _("To an overlay over the disk"),
                _("A small qcow2 file: other programs see the disk with its table, and can write to it."),
            ),
            Choice("raw", _("To a copy of the disk, raw"), _("Every byte of it; it needs no other file.")),
            Choice("qcow2", _("To a copy of the disk, qcow2"), _("The same, without the empty parts.")),
        ]

        def answered(answer: str | None) -> None:
            if answer:
                self._ask_target(None if answer == "qcow2-over" else answer)

        self.app.push_screen(ConfirmScreen(_("Save this table"), [told], choices), answered)

    def _ask_target(self, to: str | None) -> None:
        disk = self.flow.disk
        stem = disk.path.stem if disk else "disk"
        start = Path.cwd() / f"{stem}-table{WRITTEN[to or 'qcow2']}"

        def answered(dest: Path | None) -> None:
            if dest:
                title = _("Writing {path}").format(path=safe(dest))
                self.app.push_screen(
                    ProgressScreen(
                        title, lambda hear: self.flow.do_rebuild(dest, to, hear), self._written, step=2
                    )
                )

        line = _("A new file; it gets its name when all of it is written.")
        self.app.push_screen(AskPath(_("Where shall it lie?"), line, start), answered)

    def _written(self, made: Rebuilt) -> None:
        self.app.pop_screen()
        self.app.push_screen(
            ConfirmScreen(_("The table is written"), [plain(made.sentence())], [], good=True)
        )

    def plan(self) -> Callable[[Session], None]:
        row = self.query_one(VolumeTable).current
        if row is None or row.volume is None or row.refused or row.volume.seen_when_opened:
            return plans.view(self.flow, self.flow.protection)
        return plans.opening(self.flow, row.volume)

    def plan_told(self) -> str:
        return _("To open what is highlighted, from the disk on:")

    def back(self) -> None:
        self.work(_("Letting go of the disk."), self.flow.do_close_view, lambda _none: self.leave())
