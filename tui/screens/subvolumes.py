"""The subvolumes and snapshots of a btrfs, one of which is opened."""

import os
from typing import ClassVar

from textual.app import ComposeResult
from textual.widgets import OptionList, Static

from core.errors import SalvageError
from core.i18n import _, listed
from core.text import guest_date, safe
from core.volumes.model import Volume
from core.volumes.subvolumes import TOP, Subvolume, mountable
from tui.screens.menu import Choice, Menu
from tui.screens.step import Frame, Key


class SubvolumesScreen(Frame):
    """Lists them and opens the chosen one."""

    topic: ClassVar[str] = "subvolumes"
    step: ClassVar[int] = 3

    def __init__(self, volume: Volume) -> None:
        super().__init__()
        self.volume = volume
        self._found: list[Subvolume] = []

    def body(self) -> ComposeResult:
        yield Static(
            _("Which subvolume or snapshot of {volume}?").format(volume=self.volume.title),
            classes="question",
            markup=False,
        )
        yield Menu([], numbered=False)

    def keys(self) -> list[Key]:
        return [("↑↓", _("move")), ("Enter", _("open")), ("Esc", _("back"))]

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Menu).focus()
        self.work(
            _("Looking for subvolumes."),
            lambda: self.flow.do_subvolumes(self.volume),
            self._show,
            self._failed,
        )

    def about(self) -> Volume:
        return self.volume

    def _failed(self, error: SalvageError) -> None:
        self.app.pop_screen()
        self.app.trouble(error)

    def _show(self, found: list[Subvolume]) -> None:
        self._found = found
        self.query_one(Menu).offer([Choice(str(one.id), safe(one.path), _line(one)) for one in found])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        one = next(one for one in self._found if str(one.id) == event.option.id)
        path = os.fsdecode(one.path)
        named = one.id != TOP and mountable(path) and safe(path) == path
        chosen = path if named else str(one.id)
        self.work(
            _("Mounting."),
            lambda: self.flow.do_open(self.volume, "loop", subvolume=chosen),
            self._opened,
        )

    def _opened(self, _volume: Volume) -> None:
        from tui.screens.files import FilesScreen

        self.app.push_screen(FilesScreen())


def _line(one: Subvolume) -> str:
    words = [
        _("the top, in which all others lie") if one.id == TOP else "",
        _("ID {id}").format(id=one.id),
        _("snapshot") if one.snapshot else "",
        _("read-only") if one.read_only else "",
        _("a plain mount shows this one") if one.default else "",
        _("made {date}").format(date=guest_date(one.created)) if one.created else "",
    ]
    return listed(words)
