"""What the disk is, and how it is kept from harm."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, Static

from core.disks.addresses import is_address
from core.disks.logical import logical_volume
from core.disks.model import Disk, Holder, Link
from core.disks.overlay import OverlayRoom
from core.disks.snapshots import described
from core.disks.ways_out import InUse
from core.errors import NeedsPassphrase, Refused, SalvageError
from core.i18n import N_, _, enumerated, listed, ngettext, noted, sentences, titled
from core.secrets import Secret
from core.session import Session
from core.text import grouped, safe, size
from core.undo.state import Known
from core.volumes.model import Inspection
from tui import plans
from tui.chosen import Protection, Wish
from tui.screens.ask import AskPath
from tui.screens.backup import BackupScreen
from tui.screens.existing import ExistingScreen
from tui.screens.leftovers import LeftoversScreen
from tui.screens.menu import Choice, Menu
from tui.screens.partitions import PartitionsScreen
from tui.screens.passphrase import ask_passphrase
from tui.screens.snapshot import SnapshotScreen
from tui.screens.step import Frame, Key
from tui.screens.trouble import Remedy, TroubleScreen
from tui.widgets.facts import Facts
from tui.widgets.lines import Fact, facts


class ProtectScreen(Frame):
    """Nothing is attached before a choice is made here; writing is offered with an overlay only."""

    topic: ClassVar[str] = "protect"
    step: ClassVar[int] = 1
    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "read_on", N_("read on"), show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._room: OverlayRoom | None = None
        self._left = ""
        """What is to be said of sessions that died with something up; empty where there are none."""
        self._went_to_left = False
        self._drawn: Disk | None = None
        """The disk that the choices were last offered for."""

    def body(self) -> ComposeResult:
        with Facts(id="facts"):
            yield Static(id="disk-facts")
        yield Static(_("How shall the disk be protected?"), classes="question", markup=False)
        yield Menu(self._choices())

    def keys(self) -> list[Key]:
        more = [("Space", _("read on"))] if self.is_mounted and self.query_one(Facts).long else []
        away = _("to the ticket") if self.flow.task() else _("another disk")
        return [("↑↓", _("move")), ("Enter", _("choose")), *more, ("Esc", away)]

    def action_read_on(self) -> None:
        self.query_one(Facts).turn()

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Menu).focus()
        self.app.follow(self.flow.outside.submit(self.flow.do_room), self._know_room, self.app.trouble)
        self._look_for_left()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self._went_to_left:
            self._went_to_left = False
            self._look_for_left()
            self._look_again()

    def _look_for_left(self) -> None:
        """See whether a session that died left something up, which may even hold this disk."""
        self.app.follow(self.flow.outside.submit(self.flow.left), self._know_left, self.app.trouble)

    def _know_left(self, left: list[Known]) -> None:
        dead = sum(known.is_leftover for known in left)
        told = ngettext(
            "{count} session ended without taking down what it put up; it may hold this disk.",
            "{count} sessions ended without taking down what they put up; they may hold this disk.",
            dead,
        )
        self._left = told.format(count=dead) if dead else ""
        self._draw()

    def refresh_frame(self) -> None:
        super().refresh_frame()
        self._draw()

    def _know_room(self, room: OverlayRoom) -> None:
        self._room = room
        self._draw()

    def _draw(self) -> None:
        disk = self.flow.disk
        if disk and self.query(Menu):
            told = _facts(disk, self.flow.others, self.flow.backup, self.room - 1)
            self.query_one("#disk-facts", Static).update(told)
            menu = self.query_one(Menu)
            menu.offer(self._choices())
            if disk is not self._drawn:  # another one, or another state of it: what is usual comes first
                self._drawn = disk
                read = next((at for at, one in enumerate(menu.options) if one.id == "read"), 0)
                if not menu.get_option_at_index(read).disabled:
                    menu.highlighted = read

    def _choices(self) -> list[Choice]:
        disk = self.flow.disk
        reason = _hindrance(disk) if disk else ""
        overlay = _("Needed only to mount it for writing: a throw-away layer takes every write.")
        if self._room:
            overlay = _(
                "Needed only to mount it for writing: every write goes to a throw-away layer; {free} are free"
                " for it in {path}."
            ).format(free=size(self._room.free), path=safe(self._room.path))
            if self._room.free < self._room.largest:
                overlay = sentences((overlay, _("When that is full, writes fail; the disk is not touched.")))
        left = _("Take down what an earlier session left up")
        ways = []
        backup = _("Make one, or check one that exists: safe from a dying medium and mistakes.")
        if disk and disk.writers:
            backup = _("Check one that exists; none can be made as long as it is written to.")
            if logical_volume(disk.path):
                backup = _("Make one from a snapshot of the volume, or check one that exists.")
            line = _("It is in use: what can be done, each way explained.")
            ways = [Choice("ways", _("See who writes to it, and the ways out"), line)]
        return [
            *ways,
            *(_other_states(disk) if disk else ()),
            Choice(
                "read",
                _("Read only") if reason else _("Read only (recommended)"),
                _("Nothing is written to it; a journal is replayed only in an overlay."),
                reason,
            ),
            Choice(
                "overlay",
                _("Overlay"),
                overlay,
                reason,
            ),
            Choice(
                "backup",
                _("Backup first"),
                backup,
            ),
            *([Choice("left", left, self._left)] if self._left else []),
        ]

    def plan(self) -> Callable[[Session], None]:
        chosen = self.query_one(Menu).highlighted_option
        overlay = chosen is not None and chosen.id == "overlay"
        return plans.view(self.flow, Protection.OVERLAY if overlay else Protection.READ)

    def plan_told(self) -> str:
        return _("To reach the raw bytes of the disk, protected as highlighted:")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option.id == "backup":
            self.app.push_screen(BackupScreen())
        elif event.option.id == "snapshot":
            self.app.push_screen(SnapshotScreen())
        elif event.option.id == "backing":
            self._ask_backing()
        elif event.option.id == "left":
            self._went_to_left = True
            self.app.push_screen(LeftoversScreen())
        elif event.option.id == "ways":
            if self.flow.disk:
                self._refused(InUse(self.flow.disk, self.flow.disk.writers))
        else:
            self._go_on(Protection(event.option.id))

    def _ask_backing(self) -> None:
        """Ask for the file that stands in for the missing one; the header stays as it is."""
        disk, wish = self.flow.disk, self.flow.wish
        missing = _missing(disk) if disk else None
        if missing is None or wish is None:
            return
        title = _("Which file stands in for {name}?").format(name=safe(missing.path.name))
        line = _("It is only read. A wrong one shows wrong files without an error: be sure whose it is.")
        self.app.push_screen(
            AskPath(title, line, missing.path.parent),
            lambda path: self._again(replace(wish, backing=(*wish.backing, path))) if path else None,
        )

    def _again(self, wish: Wish) -> None:
        self.work(_("Reading the header of the disk."), lambda: self.flow.do_select(wish), self._looked)

    def _go_on(self, protection: Protection, secret: Secret | None = None) -> None:
        def refused(error: SalvageError) -> None:
            if isinstance(error, NeedsPassphrase):
                ask_passphrase(self.app, error, lambda answer: self._go_on(protection, answer))
            else:
                self._refused(error)

        self.work(
            _("Attaching the disk and reading its table."),
            lambda: self.flow.do_inspect(protection, secret),
            self._attached,
            refused,
        )

    def _attached(self, _inspection: Inspection) -> None:
        self.app.push_screen(PartitionsScreen())

    def _refused(self, error: SalvageError) -> None:
        if isinstance(error, Refused):
            remedies = [Remedy(_("Check again who holds it"), self._look_again)]
            if isinstance(error, InUse):
                line = _("The machine runs on; one that its manager made, or an older one.")
                remedies.append(Remedy(_("Look at a backup instead"), self._another, line))
                if self.flow.disk and logical_volume(self.flow.disk.path):
                    line = _("The machine runs on; the host's volume group is changed for that time.")
                    remedies.append(Remedy(_("Back up a snapshot of the logical volume"), self._frozen, line))
            self.app.push_screen(TroubleScreen(error, remedies))
        else:
            self.app.trouble(error)

    def _look_again(self) -> None:
        wish = self.flow.wish
        if wish:
            self.work(_("Looking who holds the disk."), lambda: self.flow.do_select(wish), self._looked)

    def _another(self) -> None:
        self.app.push_screen(ExistingScreen())

    def _frozen(self) -> None:
        self.app.push_screen(BackupScreen("frozen"))

    def _looked(self, _disk: Disk) -> None:
        self._draw()

    # -- back ----------------------------------------------------------------------------------

    def back(self) -> None:
        """To the disks; from a practice disk to its ticket, for it is no choice among the host's own."""
        from tui.screens.practise import TicketScreen

        lesson = self.flow.task() is not None

        def go(_none: None) -> None:
            if lesson and any(isinstance(one, TicketScreen) for one in self.app.screen_stack):
                self.app.back_to(TicketScreen)
            else:
                self.leave()

        self.work(_("Letting go of the disk."), self.flow.do_close, go)


def _other_states(disk: Disk) -> list[Choice]:
    """What can be chosen of how the disk is seen: a snapshot inside of it, a file for a missing one."""
    choices = []
    if missing := _missing(disk):
        line = _("{path} is missing; the header says so.").format(path=safe(missing.path))
        choices.append(Choice("backing", _("Name a file for the missing backing file"), line))
    if disk.snapshots:
        now = described(disk.snapshot) if disk.snapshot else _("the present state")
        line = _("Shown is: {state}").format(state=now)
        choices.append(Choice("snapshot", _("Choose a snapshot, or the present state"), line))
    return choices


def _missing(disk: Disk) -> Link | None:
    return next((link for link in disk.chain if not link.exists), None)


def _hindrance(disk: Disk) -> str:
    if disk.blocked:
        return disk.blocked
    if disk.writers:
        return _("{who} writes to it. Shut it down first.").format(who=_holder(disk.writers[0]))
    return ""


def _holder(holder: Holder) -> str:
    who = safe(holder.vm) if holder.vm else safe(holder.program)
    pid = _("pid {pid}").format(pid=holder.pid) if holder.pid else ""
    return noted(who, listed((safe(holder.through or ""), pid)))


def _facts(disk: Disk, others: Sequence[Disk], backup: Path | None, width: int) -> Content:
    rows = [(_("Disk"), disk.title)]
    if disk.snapshot:
        rows.append((_("Shown is"), described(disk.snapshot)))
    rows += [(_("Format"), disk.format), (_("Size"), _size(disk))]
    home = disk.path.parent
    if len(disk.chain) > 1:
        below = " ← ".join(noted(_short(link.path, home), link.format) for link in disk.chain[1:])
        rows.append((_("Built on"), below))
    rows += [(_("Data in"), _short(part.path, home)) for link in disk.chain for part in link.parts]
    if disk.snapshots:
        names = enumerated(noted(safe(shot.name), f"{shot.date:%Y-%m-%d}") for shot in disk.snapshots)
        rows.append((_("Snapshots"), names))
    rows.append((_("Held by"), _held(disk) or _("nobody that can be seen")))
    for other in others:
        held = titled(_("Held by"), _held(other)) if other.held_by else ""
        words = listed([other.format, size(other.virtual_size), held])
        rows.append((_("And"), noted(_short(other.path, home), words)))
    if backup:
        rows.append((_("Backup"), _("{path}, verified").format(path=safe(backup))))
    rows += [(_("Note"), problem) for problem in disk.problems]
    rows += [(_("Remedy"), disk.way_out)] if disk.way_out else []
    return facts([Fact(*row) for row in rows], width)


def _held(disk: Disk) -> str:
    modes = {"read": _("reads"), "write": _("writes")}
    return _("; ").join(listed((_holder(holder), modes[holder.mode])) for holder in disk.held_by)


def _short(path: Path, home: Path) -> str:
    """A file by its name where it lies beside the disk, else by its path."""
    return safe(path.name if path.parent == home else path)


def _size(disk: Disk) -> str:
    if is_address(disk.given):
        told = _("{size} for the machine ({sectors} sectors)")
        return told.format(
            size=size(disk.virtual_size), sectors=grouped(disk.virtual_size // disk.sector_size)
        )
    return _("{size} for the machine ({sectors} sectors), {here} on this host").format(
        size=size(disk.virtual_size),
        sectors=grouped(disk.virtual_size // disk.sector_size),
        here=size(disk.actual_size),
    )
