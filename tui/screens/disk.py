"""Which disk: by its path or its machine, or out of those that were found on this host."""

import os
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from core.disks.finding import USUAL_FOLDERS, Found
from core.disks.model import SECTOR, Disk
from core.errors import Ambiguous, NeedsPassphrase, PointsOutside, SalvageError, SeveralMembers
from core.i18n import N_, _
from core.machines.choosing import PREFIX
from core.machines.inventory import Group, inventory
from core.secrets import Secret
from core.session import Session
from core.text import safe, size
from tui.chosen import Wish
from tui.plain import plain
from tui.screens.ask import host_path_field
from tui.screens.disk_table import DiskTable, Owned, details
from tui.screens.passphrase import ask_passphrase
from tui.screens.protect import ProtectScreen
from tui.screens.step import Frame, Key
from tui.screens.trouble import Remedy, TroubleScreen
from tui.volume_lines import begun
from tui.widgets.path_field import PathField
from tui.widgets.rows import Rows

BATCH = 0.1
"""Seconds between two loads of found disks handed to the table."""
MEMBERS = 50
"""Files of an archive that are offered."""


class DiskScreen(Frame):
    """Nothing but headers is read before the next step."""

    topic: ClassVar[str] = "disk"
    step: ClassVar[int] = 0
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "path", N_("type a path"), show=False),
        Binding("f2", "list", N_("the list"), show=False),
    ]

    def __init__(self, wish: Wish | None = None) -> None:
        super().__init__()
        self._wish = wish
        self._news: list[Group | Found] = []
        self._over = False
        self._stops = False

    def body(self) -> ComposeResult:
        with Horizontal(id="path-row"):
            yield Static(_("Path"), id="path-label", markup=False)
            told = _("a file, a device, vm:NAME or ssh://HOST/FILE; Tab completes")
            yield host_path_field(self.app.flow, placeholder=told)
        yield DiskTable()
        yield Static(id="disk-details", markup=False)

    def keys(self) -> list[Key]:
        if isinstance(self.focused, Input):
            return [("Enter", _("choose")), ("Tab", _("complete")), ("Esc", _("to the list"))]
        return [
            ("↑↓", _("move")),
            ("Enter", _("choose")),
            ("p", _("type a path")),
            ("/", _("filter")),
            ("Esc", _("back")),
        ]

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(DiskTable).focus()
        if self._wish:
            self.select(self._wish)
        self._look()

    # -- finding -------------------------------------------------------------------------------

    def _look(self) -> None:
        """Search on the other operator, so that choosing need not wait for the end of the search."""
        folders = [Path.cwd(), *USUAL_FOLDERS]
        future = self.flow.outside.submit(self._find, folders)
        self._ticker = self.set_interval(BATCH, self._take)
        self.app.follow(future, lambda _none: None, self.app.trouble)

    def _find(self, folders: list[Path]) -> None:
        """On the operator's thread: collects, and the screen fetches."""
        batch: list[Group | Found] = []
        due = time.monotonic() + BATCH
        for found in inventory(folders):
            if self._stops or self.flow.outside.cancel.cancelled:
                break
            batch.append(found)
            if time.monotonic() >= due:
                self._news, batch = self._news + batch, []
                due = time.monotonic() + BATCH
        self._news += batch
        self._over = True

    def _take(self) -> None:
        over = self._over
        news, self._news = self._news, []
        table = self.query_one(DiskTable)
        if news:
            table.add(news)
        if over:
            table.ended()
            self._ticker.stop()

    def on_unmount(self) -> None:
        self._stops = True

    # -- choosing ------------------------------------------------------------------------------

    def on_rows_highlighted(self, _event: Rows.Highlighted) -> None:
        self._show_details()

    def on_resize(self) -> None:
        super().on_resize()
        self._show_details()

    def _show_details(self) -> None:
        """The row under the cursor in full: its columns are cut where the screen is small."""
        path, more = map(plain, details(self.query_one(DiskTable).current, self.room))
        shown = self.query_one("#disk-details", Static)
        rest = begun(more, self.room, max(1, shown.size.height - 1), refused=False)
        shown.update(Content("\n").join([path, rest]))

    def on_rows_chosen(self, _event: Rows.Chosen) -> None:
        row = self.query_one(DiskTable).current
        if isinstance(row, Group):
            self._choose_of(row)
        elif isinstance(row, Owned):
            self._choose(row)
        elif row:
            self.select(Wish(str(row.path)))

    def _choose_of(self, group: Group) -> None:
        """A machine with one disk is that disk; of several one is to be chosen."""
        if len(group.own) == 1:
            self._choose(Owned(group, group.own[0]))
        elif group.members:
            self.query_one(DiskTable).to_disk_of(group)
        else:
            self.app.bell()

    def _choose(self, row: Owned) -> None:
        """By its machine, whose word on the format then counts; by its path where that is not one disk."""
        machine, disk = row.group.machine, row.member.disk
        unique = self.query_one(DiskTable).namesakes(machine.name) == 1
        name = machine.name if unique else machine.id
        same = sum(member.disk.target == disk.target for member in row.group.members)
        if disk.path and (same > 1 or not disk.target or not name):
            self.select(Wish(str(disk.path)))
        else:
            self.select(Wish(f"{PREFIX}{name}:{disk.target}"))

    def on_path_field_submitted(self, event: PathField.Submitted) -> None:
        if event.path:
            self.select(Wish(event.path))

    def select(self, wish: Wish, secret: Secret | None = None) -> None:
        """Vet the disk and go on; what stands in the way is told with what can be done."""
        self.work(
            _("Reading the header of the disk."),
            lambda: self.flow.do_select(wish, secret),
            self._selected,
            lambda error: self._not_selected(wish, error),
        )

    def _selected(self, _disk: Disk) -> None:
        """A disk that lies elsewhere is not in the list: who comes back finds its path in the line."""
        field = self.query_one(PathField)
        if not field.value and self.flow.wish is self._wish and self._wish:
            field.value = self._wish.given
        self.app.push_screen(ProtectScreen())

    def _not_selected(self, wish: Wish, error: SalvageError) -> None:
        remedies: list[Remedy] = []
        field = self.query_one(PathField)
        if not field.value and wish is self._wish:  # a slip in what was typed in the shell is mended here
            field.value = wish.given
        if isinstance(error, NeedsPassphrase):
            ask_passphrase(self.app, error, lambda secret: self.select(wish, secret))
            return
        if isinstance(error, Ambiguous):
            for name in error.formats:
                title = _("Open it as {format}").format(format=name)
                line = _("Only if you know that the host made it so.")
                if name == "raw":
                    line = _("The safe one, if in doubt: it opens no other file.")
                remedies.append(Remedy(title, self._again(replace(wish, format=name)), line))
        elif isinstance(error, SeveralMembers):
            for name, length in error.members[:MEMBERS]:
                title = _("Open {name}").format(name=safe(name))
                remedies.append(Remedy(title, self._again(replace(wish, member=name)), size(length)))
        elif isinstance(error, PointsOutside):
            title = _("Allow this very path: {path}").format(path=safe(error.path))
            again = replace(wish, allow=(*wish.allow, error.path))
            remedies.append(
                Remedy(title, self._again(again), _("Only if you know that it belongs to this disk."))
            )
        elif wish.format is None and _has_bytes(wish.given):
            title = _("Open it as raw bytes instead")
            line = _("To look at it, or to back it up before a repair is tried on the copy.")
            remedies.append(Remedy(title, self._again(replace(wish, format="raw")), line))
        if remedies:
            self.app.push_screen(TroubleScreen(error, remedies))
        else:
            self.app.trouble(error)

    def _again(self, wish: Wish) -> Callable[[], None]:
        return lambda: self.select(wish)

    def plan(self) -> Callable[[Session], None] | None:
        return None

    # -- keys ----------------------------------------------------------------------------------

    def on_descendant_focus(self) -> None:
        self.refresh_frame()

    def action_path(self) -> None:
        self.query_one(PathField).focus()

    def action_back(self) -> None:
        table = self.query_one(DiskTable)
        if not table.has_focus and not self.busy:
            table.focus()
        elif not table.clear_filter():
            super().action_back()


def _has_bytes(given: str) -> bool:
    """Whether it is a file with at least a sector: what cannot be read as an image still has bytes."""
    try:
        status = os.stat(given)
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size >= SECTOR
