"""A backup of the disk: made now, found and checked, or the disk written out in another format."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static

from core.disks.backup import BackedUp
from core.disks.convert import WRITTEN, Converted
from core.disks.frozen import foreseen
from core.disks.logical import logical_volume
from core.disks.model import Disk
from core.disks.naming import Dest
from core.disks.outlook import Outlook, outlook
from core.i18n import N_, _, titled
from core.runner import SystemRunner
from core.session import Session
from core.text import duration, safe, size
from tui import plans
from tui.plain import plain
from tui.screens.ask import AskPath
from tui.screens.confirm import ConfirmScreen
from tui.screens.existing import ExistingScreen
from tui.screens.menu import Choice, Menu
from tui.screens.progress import ProgressScreen
from tui.screens.step import Frame, Key
from tui.widgets.lines import Fact, facts

READERS: Mapping[str, str] = {
    "raw": N_("for every tool; holes stay holes"),
    "qcow2": N_("for QEMU, KVM, libvirt, Proxmox"),
    "vmdk": N_("for VMware, VirtualBox"),
    "vdi": N_("for VirtualBox"),
    "vpc": N_("VHD, for Hyper-V and Azure"),
    "vhdx": N_("for Hyper-V since 2012"),
    "qed": N_("for old versions of QEMU"),
    "parallels": N_("for Parallels"),
}
"""Who reads the formats that can be written."""


class BackupScreen(Frame):
    """What is copied here is the disk's own files; nothing is attached."""

    topic: ClassVar[str] = "backup"
    step: ClassVar[int] = 1

    def __init__(self, first: str = "") -> None:
        """`first` is the choice to begin with, by its id."""
        super().__init__()
        self._first = first

    def body(self) -> ComposeResult:
        with VerticalScroll(id="facts", can_focus=False):
            yield Static(id="backup-facts")
        yield Static(_("What shall be done?"), classes="question", markup=False)
        yield Menu(self._choices())

    def keys(self) -> list[Key]:
        return [("↑↓", _("move")), ("Enter", _("choose")), ("Esc", _("back"))]

    def on_mount(self) -> None:
        super().on_mount()
        menu = self.query_one(Menu)
        menu.focus()
        if self._first:
            menu.highlighted = menu.get_option_index(self._first)

    def plan(self) -> Callable[[Session], None] | None:
        chosen, disk = self.query_one(Menu).highlighted_option, self.flow.disk
        if disk is None or chosen is None or chosen.id not in ("make", "frozen"):
            return None
        return plans.backup(self.flow, _place(disk), frozen=chosen.id == "frozen")

    def plan_told(self) -> str:
        return _("To make the backup as highlighted:")

    def refresh_frame(self) -> None:
        super().refresh_frame()
        disk = self.flow.disk
        if disk and self.query(Menu):
            self.query_one("#backup-facts", Static).update(_facts(disk, self.flow.backup, self.room - 1))
            self.query_one(Menu).offer(self._choices())

    def _choices(self) -> list[Choice]:
        disk = self.flow.disk
        go_on = []
        if self.flow.backup:
            go_on = [
                Choice("copy", _("Work on the backup"), _("The disk itself is left alone from now on.")),
                Choice("on", _("Work on the disk itself"), _("Read only, or with an overlay.")),
            ]
        in_use = ""
        if disk and disk.writers:
            in_use = _("It is being written to: a copy would be neither old nor new.")
        blocked = in_use or (disk.blocked if disk else "")
        frozen = []
        if disk and logical_volume(disk.path):
            line = _(
                "The machine may run on: it is copied as it is at one moment, as after a power cut. The"
                " host's volume group is changed for that time."
            )
            frozen = [Choice("frozen", _("Make a backup from a snapshot of the volume"), line)]
        return [
            *go_on,
            Choice(
                "make",
                _("Make another backup") if self.flow.backup else _("Make a backup now"),
                _("Every byte of the disk's own files, read back and compared. Resumes when interrupted."),
                in_use,
            ),
            *frozen,
            Choice(
                "existing",
                _("Look at a backup that exists"),
                _("Found by its name, and compared with the disk before it counts."),
            ),
            Choice(
                "convert",
                _("Write the disk out in another format"),
                _("Verified too, but no backup: what the machine saw, not the image files."),
                blocked,
            ),
        ]

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        disk = self.flow.disk
        if disk is None:
            return
        chosen: dict[str, Callable[[Disk], None]] = {
            "make": self._ask_place,
            "frozen": lambda disk: self._ask_place(disk, frozen=True),
            "existing": lambda _disk: self._existing(),
            "convert": self._ask_format,
            "on": lambda _disk: self.back(),
            "copy": lambda _disk: self._work_on_backup(),
        }
        chosen[event.option.id or "on"](disk)

    def _existing(self) -> None:
        self.app.push_screen(ExistingScreen())

    def _work_on_backup(self) -> None:
        """Take the backup for the disk: the road goes on with it, and the disk is left alone."""
        backup, wish = self.flow.backup, self.flow.wish
        if backup is None or wish is None or self.flow.disk is None:
            return
        instead = replace(wish, given=str(backup), format=self.flow.disk.format)
        self.work(
            _("Reading the header of the backup."),
            lambda: self.flow.do_select(instead),
            lambda _disk: self.leave(),
        )

    # -- a backup now --------------------------------------------------------------------------

    def _ask_place(self, disk: Disk, *, frozen: bool = False) -> None:
        line = _("A new file, or a folder. Another medium than the disk's is the safest.")
        question = AskPath(_("Where shall the backup lie?"), line, _place(disk))

        def answered(path: Path | None) -> None:
            self._look(f"{path}/" if path and question.means_folder else path, frozen=frozen)

        self.app.push_screen(question, answered)

    def _look(self, dest: Dest | None, *, frozen: bool) -> None:
        disk = self.flow.disk
        if dest is None or disk is None:
            return
        self.work(
            _("Looking whether it fits."),
            lambda: foreseen(disk, dest, SystemRunner()) if frozen else outlook(disk, dest),
            lambda seen: self._confirm(dest, seen, frozen=frozen),
            operator=self.flow.outside,
        )

    def _confirm(self, dest: Dest, seen: Outlook, *, frozen: bool) -> None:
        """Before the first byte: what it takes, and what to think of."""
        title = _("Go on with the backup that was begun?") if seen.resumes else _("Begin the backup?")
        go = _("Go on with it") if seen.resumes else _("Begin")
        if frozen:
            go = _("Make the snapshot and begin")
        told = [plain(seen.sentence())]
        if seen.refusal:
            title = _("The backup cannot be made there")
            told = [Content.styled(safe(seen.refusal), "$warning")]
        choices = [] if seen.refusal else [Choice("go", go)]
        choices.append(Choice("where", _("Choose another place")))

        def answered(answer: str | None) -> None:
            if answer == "go":
                self._back_up(dest, frozen=frozen)
            elif answer == "where" and self.flow.disk:
                self._ask_place(self.flow.disk, frozen=frozen)

        self.app.push_screen(ConfirmScreen(title, told, choices), answered)

    def _back_up(self, dest: Dest, *, frozen: bool) -> None:
        title = _("Backing up to {path}").format(path=safe(dest))
        self.app.push_screen(
            ProgressScreen(
                title,
                lambda hear: self.flow.road().backup(dest, hear, frozen=frozen),
                self._backed_up,
                step=1,
            )
        )

    def _backed_up(self, made: BackedUp) -> None:
        self.app.pop_screen()
        self.flow.backup = made.paths[0]
        self.refresh_frame()
        self.query_one(Menu).highlighted = 0
        told = [
            _("{path}: {size}, read back and compared in {time}.").format(
                path=safe(made.paths[0] if len(made.paths) == 1 else made.manifest.parent),
                size=size(made.bytes),
                time=duration(made.seconds),
            ),
            _("Its checksums: {path}").format(path=safe(made.manifest)),
        ]
        told += [titled(safe(lost.path), lost.what) for lost in made.lost_metadata]
        title = _("The backup is made and verified")
        if made.unreadable:
            title = _("The backup is made, but parts of the disk could not be read")
        self.app.push_screen(
            ConfirmScreen(title, [plain(one) for one in (*told, *made.notes)], [], good=not made.unreadable)
        )

    # -- another format ------------------------------------------------------------------------

    def _ask_format(self, disk: Disk) -> None:
        choices = [Choice(name, titled(name, _(READERS[name]))) for name in WRITTEN]
        told = [plain(_("Now it is {format}. The disk itself stays as it is.").format(format=disk.format))]

        def answered(name: str | None) -> None:
            if name:
                self._ask_image(disk, name)

        self.app.push_screen(ConfirmScreen(_("Into which format?"), told, choices), answered)

    def _ask_image(self, disk: Disk, name: str) -> None:
        line = _("A new file; it gets its name when all of it is written and compared.")
        start = Path.cwd() / f"{disk.path.stem}-converted{WRITTEN[name]}"

        def answered(dest: Path | None) -> None:
            if dest:
                self._convert(dest, name)

        self.app.push_screen(AskPath(_("Where shall the new image lie?"), line, start), answered)

    def _convert(self, dest: Path, name: str) -> None:
        title = _("Writing {path}").format(path=safe(dest))
        self.app.push_screen(
            ProgressScreen(
                title, lambda hear: self.flow.road().convert(dest, name, hear), self._converted, step=1
            )
        )

    def _converted(self, made: Converted) -> None:
        self.app.pop_screen()
        told = [
            _("{path}: {allocated} on the medium, compared with the disk.").format(
                path=safe(made.path), allocated=size(made.allocated)
            ),
            *(lack.sentence() for lack in made.lacks),
            *made.notes,
        ]
        title = _("Written, but the disk lacks something") if made.lacks else _("Written and verified")
        self.app.push_screen(ConfirmScreen(title, [plain(one) for one in told], [], good=not made.lacks))


def _place(disk: Disk) -> Path:
    """Where a backup may lie, to begin with."""
    name = Path(disk.given).name if disk.is_block_device else disk.name
    return Path.cwd() / f"{name}.backup"


def _facts(disk: Disk, backup: Path | None, width: int) -> Content:
    count = len(disk.files)
    files = _("one file, {size}").format(size=size(disk.actual_size))
    if count > 1:
        files = _("{count} files, the whole chain").format(count=count)
    state = _("none verified yet")
    if backup:
        state = _("{path}, verified").format(path=safe(backup))
    rows = [
        Fact(_("Disk"), disk.title),
        Fact(_("To copy"), files),
        Fact(_("Backup"), state, "bold" if backup else ""),
    ]
    return facts(rows, width)
