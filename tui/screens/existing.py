"""Backups that exist: found by their names, compared with the disk by content, counted or opened."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.widgets import OptionList, Static

from core.disks.existing import Candidate, Verdict
from core.disks.model import Disk
from core.i18n import _, listed
from core.text import date, safe, size
from tui.plain import plain
from tui.screens.ask import AskPath
from tui.screens.confirm import ConfirmScreen
from tui.screens.menu import Choice, Menu
from tui.screens.progress import ProgressScreen
from tui.screens.step import Frame, Key

ELSEWHERE = "elsewhere"


class ExistingScreen(Frame):
    """A name proves nothing: only what was compared counts as the backup."""

    topic: ClassVar[str] = "backup"
    step: ClassVar[int] = 1

    def __init__(self) -> None:
        super().__init__()
        self._found: list[Candidate] = []
        self._where: Path | None = None

    def body(self) -> ComposeResult:
        yield Static(id="found-told", classes="said")
        yield Static(_("Which one shall be looked at?"), classes="question", markup=False)
        yield Menu([])

    def keys(self) -> list[Key]:
        return [("↑↓", _("move")), ("Enter", _("choose")), ("Esc", _("back"))]

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Menu).focus()
        self._look(None)

    def _look(self, where: Path | None) -> None:
        self._where = where
        made = self.flow.backup

        def job() -> list[Candidate]:
            road = self.flow.road()
            found = road.find_backups(where)
            known = road.find_backups(made) if made and all(one.path != made for one in found) else []
            return [*known, *found]

        self.work(_("Looking for backups."), job, self._know, operator=self.flow.outside)

    def _know(self, found: list[Candidate]) -> None:
        disk = self.flow.disk
        if disk is None:
            return
        self._found = found
        self.query_one(Menu).highlighted = None  # of other ones: the first of these, not what asked for them
        place = safe(self._where or disk.path.parent)
        told = _("In {place} these are named like backups of {disk}, the newest first.")
        if not found:
            told = _("In {place} nothing is named like a backup of {disk}.")
        self.query_one("#found-told", Static).update(
            plain(told.format(place=place, disk=safe(disk.path.name)))
        )
        line = _("A file of any name, or a folder to look in.")
        self.query_one(Menu).offer(
            [
                *(_choice(at, one, disk) for at, one in enumerate(found)),
                Choice(ELSEWHERE, _("Another file, or another folder"), line),
            ]
        )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option.id == ELSEWHERE:
            self._ask_place()
        else:
            self._take(self._found[int(event.option.id or 0)].path)

    def _ask_place(self) -> None:
        disk = self.flow.disk
        start = self._where or (disk.path.parent if disk else Path.cwd())
        line = _("A file is taken for a backup whatever it is called; a folder is looked through.")

        def answered(path: Path | None) -> None:
            if path and path.is_dir():
                self._look(path)
            elif path:
                self._take(path)

        self.app.push_screen(AskPath(_("Where does the backup lie?"), line, start), answered)

    def _take(self, path: Path) -> None:
        """Compare it; while the disk is written to there is nothing to compare with."""
        disk = self.flow.disk
        if disk is None:
            return
        if disk.writers:
            told = _(
                "The disk is being written to, so the two cannot be compared. The backup can be opened by"
                " itself: its partitions and files show how old it is, and whether it is of this machine."
            )
            self._offer(_("Not compared"), told, path)
            return
        title = _("Comparing {path} with the disk").format(path=safe(path))
        self.app.push_screen(
            ProgressScreen(
                title, lambda hear: self.flow.road().examine_backup(path, hear), self._judged, step=1
            )
        )

    def _judged(self, verdict: Verdict) -> None:
        self.app.pop_screen()
        if verdict.kind == "same":
            self.flow.backup = verdict.path
            self.app.pop_screen()
            self.app.push_screen(
                ConfirmScreen(
                    _("This is a backup of the disk as it is now"),
                    [plain(verdict.sentence), plain(_("From now on it counts as the backup."))],
                    [],
                    good=True,
                )
            )
        elif verdict.kind == "damaged":
            told = _("Do not count on it: make another one.")
            self.app.push_screen(
                ConfirmScreen(_("This is no whole backup"), [plain(verdict.sentence), plain(told)], [])
            )
        elif verdict.kind == "other":
            self._offer(_("This is no backup of the disk"), verdict.sentence, verdict.path)
        else:
            older, other = _("This is an older state of the disk"), _("This is not the disk as it is now")
            self._offer(older if verdict.older_by >= 0 else other, verdict.sentence, verdict.path)

    def _offer(self, title: str, told: str, path: Path) -> None:
        """What does not count as the backup can still be looked into."""
        line = _("The next steps use it instead of the disk, read only.")
        choices = [Choice("open", _("Open it"), line)]

        def answered(answer: str | None) -> None:
            if answer == "open":
                self._open(path)

        self.app.push_screen(ConfirmScreen(title, [plain(told)], choices, wary=True), answered)

    def _open(self, path: Path) -> None:
        from tui.screens.disk import DiskScreen

        wish, disk = self.flow.wish, self.flow.disk
        if wish is None or disk is None:
            return
        same = disk.format if path.suffix == disk.path.suffix else None
        self.app.back_to(DiskScreen)
        screen = self.app.screen
        if isinstance(screen, DiskScreen):
            screen.select(replace(wish, given=str(path), format=wish.format and same))


def _choice(at: int, one: Candidate, disk: Disk) -> Choice:
    """A candidate with what its name and times tell."""
    age = _("{size}, written {when}").format(size=size(one.size), when=date(one.mtime_ns / 1e9))
    sums = _("with the checksums of a verified backup") if one.verified else _("without checksums")
    name = safe(one.path.name if one.path.parent == disk.path.parent else one.path)
    return Choice(str(at), name, listed((age, sums)))
