"""Which state of the disk is worked on: the present one, or one that is kept inside the image."""

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.widgets import OptionList, Static

from core.disks.model import Snapshot
from core.i18n import _, listed
from core.text import date, safe, size
from tui.plain import plain
from tui.screens.menu import Choice, Menu
from tui.screens.step import Frame, Key

_NOW = "now"


class SnapshotScreen(Frame):
    """A snapshot is read, never applied: the present state stays what it is."""

    topic: ClassVar[str] = "snapshot"
    step: ClassVar[int] = 1

    def body(self) -> ComposeResult:
        told = _("A snapshot is only read: what the disk holds now stays as it is.")
        yield Static(plain(told), classes="said")
        question = _("Which state of the disk: the present one, or a snapshot in it?")
        yield Static(question, classes="question", markup=False)
        yield Menu(self._choices())

    def _choices(self) -> list[Choice]:
        disk = self.flow.disk
        kept = [Choice(f"s{shot.id}", *_told(shot)) for shot in (disk.snapshots if disk else ())]
        return [Choice(_NOW, _("The present state")), *kept]

    def keys(self) -> list[Key]:
        return [("↑↓", _("move")), ("Enter", _("choose")), ("Esc", _("back"))]

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Menu).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        chosen, wish = event.option.id or _NOW, self.flow.wish
        if wish:
            other = replace(wish, snapshot=None if chosen == _NOW else chosen.removeprefix("s"))
            told = _("Reading the header of the disk.")
            self.work(told, lambda: self.flow.do_select(other), lambda _disk: self.leave())


def _told(shot: Snapshot) -> tuple[str, str]:
    number = _("snapshot {id}").format(id=safe(shot.id))
    kept = _("made {date}").format(date=date(shot.date.timestamp()))
    memory = _("with {size} of memory").format(size=size(shot.vm_size)) if shot.vm_size else ""
    return safe(shot.name) or number, listed([number, kept, memory])
