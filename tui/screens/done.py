"""What was recovered, where it lies, and taking everything down."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, Static

from core.files.destination import Destination
from core.files.outcome import Copied, came_told, there_told
from core.i18n import N_, _, enumerated, listed, ngettext, sentences, titled
from core.lab import labs, results, telling
from core.lab.lab import Verdict
from core.text import safe
from core.undo.account import Entry
from core.undo.stack import Release
from tui import coaching
from tui.keeping import do_keep, place_of
from tui.screens.menu import Choice, Menu
from tui.screens.said import SaidScreen
from tui.screens.step import WIDE, Frame, Key
from tui.widgets.facts import Facts
from tui.widgets.lines import left, middle_cut, wrapped
from tui.widgets.side import Part

ROOMY = 28
"""Lines of the screen from which on what is up is shown line by line."""
UP = 6
"""Lines of what is up that are shown here; `u` shows all of it."""
_CHECK = "sha256sum --check SHA256SUMS"
MOST = 50
"""Lines of what is missing that are shown here; the report has all of them."""


class DoneScreen(Frame):
    """The end of the road, and the ways on from here."""

    topic: ClassVar[str] = "done"
    step: ClassVar[int] = 6
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "last", N_("undo the last"), show=False),
        Binding("a", "all", N_("undo all"), show=False),
        Binding("space", "read_on", N_("read on"), show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._verdict: Verdict | None = None

    def body(self) -> ComposeResult:
        with Facts(id="result"):
            yield Static(id="recovered")
            yield Static(id="verdict")
        yield Static(id="up")
        yield Menu(self._choices(), airy=False)

    def keys(self) -> list[Key]:
        undo = [("l", _("undo last")), ("a", _("undo all"))] if self.flow.road_stands else []
        back = _("files") if self.flow.volume_open else _("back")
        more = [("Space", _("read on"))] if self.is_mounted and self.query_one(Facts).long else []
        return [("↑↓", _("move")), ("Enter", _("choose")), *more, *undo, ("Esc", back)]

    def action_read_on(self) -> None:
        self.query_one(Facts).turn()

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Menu).focus()
        self.query_one("#verdict").display = False

    def refresh_frame(self) -> None:
        super().refresh_frame()
        self._tell()

    def _tell(self) -> None:
        width, height = self.app.size
        if self.flow.copied:
            rows = [_recovered(self.flow.copied, self.flow.target, self.room - 1)]
            if self.flow.caution:
                rows.append(Content.styled(self.flow.caution, "$warning"))
            self.query_one("#recovered", Static).update(Content("\n").join(rows))
        short = height < ROOMY or width >= WIDE  # all of it stands beside this then
        self.query_one("#up", Static).update(_still_up(self.flow.standing, self.room - 1, short=short))
        self.query_one(Menu).offer(self._choices())

    def _choices(self) -> list[Choice]:
        closed = "" if self.flow.volume_open else _("The volume was taken down; choose the partition again.")
        folder = self.flow.target is None or self.flow.target.shape == "folder"
        unseen = "" if folder else _("The check looks at a folder of this host; copy into one.")
        check = Choice("check", _("Check whether the task is solved"), reason=unseen)
        exercise = self.flow.task()
        task = [check] if exercise else []
        if exercise and exercise.lab.goal.question:
            task.insert(0, Choice("answer", _("Answer the question of the ticket")))
        if self._verdict and self._verdict.solved:
            task = [Choice("talk", _("What happened, and how it is done by hand"))]
        away = "" if place_of(self.flow.target) else _("Its report is not on this host.")
        keep = Choice("keep", _("Save a script that does the same by hand"), reason=away or closed)
        return [
            *task,
            keep,
            Choice("files", _("Back to the files"), reason=closed),
            Choice("partition", _("Another partition")),
            Choice("disk", _("Another disk")),
            Choice("leave", _("Take everything down and quit")),
        ]

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option.id == "check":
            self._check()
        elif event.option.id == "answer":
            self._answer()
        elif event.option.id == "talk":
            self._talk()
        elif event.option.id == "keep":
            self.work(_("Writing the script."), lambda: do_keep(self.flow), self._kept)
        elif event.option.id == "files":
            self.back()
        elif event.option.id == "partition":
            self._to_partitions()
        elif event.option.id == "disk":
            self._to_disks()
        else:
            self.work(_("Taking everything down."), self.flow.do_close, lambda _none: self._quit())

    def _quit(self) -> None:
        self.app.call_later(self.app.action_quit)

    def _check(self) -> None:
        task, copied = self.flow.task(), self.flow.copied
        if task and copied:
            where, who = copied.manifest.parent, results.login()
            self.work(_("Checking."), lambda: labs.check(task.lab, self.flow.labs, where, who), self._checked)

    def _kept(self, paths: list[Path]) -> None:
        self.say(_("Beside the report: {names}").format(names=enumerated(safe(one.name) for one in paths)))
        menu = self.query_one(Menu)
        if menu.highlighted_option and menu.highlighted_option.id == "keep":
            menu.action_cursor_down()  # the same once more would only be a second script

    def _answer(self) -> None:
        from tui.screens.practise import answer

        if task := self.flow.task():
            answer(self, task.lab)

    def _checked(self, verdict: Verdict) -> None:
        styles = {"good": "bold $success", "bad": "$warning", "title": "bold"}
        rows = [
            Content.assemble((safe(said.text), styles.get(said.role, "")))
            for said in telling.verdict(verdict)
        ]
        self.query_one("#verdict", Static).update(Content("\n").join(rows))
        self.query_one("#verdict").display = True
        self._verdict = verdict
        self.query_one(Menu).offer(self._choices())
        self.refresh_frame()

    def advice(self) -> list[Part]:
        said, task = super().advice(), self.flow.task()
        if said and self._verdict and task:
            return coaching.after_check(self._verdict, task.lab)
        return said

    def spare(self, height: int) -> int:
        judged = self.is_mounted and self.query_one("#verdict").display
        return 1 if judged and height < 28 else super().spare(height)

    def _talk(self) -> None:
        task = self.flow.task()
        if task:
            title = _(task.lab.title)
            self.work(
                _("Telling."),
                lambda: [*telling.after_talk(task.lab, self.flow.labs)],
                lambda said: self.app.push_screen(SaidScreen(title, said)),
            )

    # -- ways on -------------------------------------------------------------------------------

    def _to_partitions(self) -> None:
        from tui.screens.partitions import PartitionsScreen
        from tui.screens.protect import ProtectScreen

        if self.flow.view_open:
            self.work(
                _("Closing the volume."),
                self.flow.do_close_volume,
                lambda _none: self.app.back_to(PartitionsScreen),
            )
        else:
            self.app.back_to(ProtectScreen)

    def _to_disks(self) -> None:
        from tui.screens.disk import DiskScreen

        self.work(
            _("Taking everything down."), self.flow.do_close, lambda _none: self.app.back_to(DiskScreen)
        )

    def back(self) -> None:
        if self.flow.volume_open:
            self.app.pop_screen()
        else:
            self._to_partitions()

    # -- undo ----------------------------------------------------------------------------------

    def action_last(self) -> None:
        if self.flow.road_stands:
            self.work(_("Taking the last thing down."), self.flow.do_undo_last, self._undone)

    def action_all(self) -> None:
        if self.flow.road_stands:
            self.work(_("Taking everything down."), self.flow.do_undo_all, self._undone)

    def _undone(self, releases: list[Release]) -> None:
        self.refresh_frame()
        stuck = [release.note for release in releases if not release.released]
        # the paths of several would not fit into the line
        told = [_("Taken down: {count}.").format(count=len(releases))]
        self.say(sentences(stuck or (told if len(releases) > 1 else [one.note for one in releases])))


def _still_up(standing: Sequence[Entry], width: int, *, short: bool) -> Content:
    """What is up, the last first; in one line where every line counts, with as many names as it holds."""
    if not standing:
        return Content(_("Nothing is up: the host is as it was found."))
    if short:
        many = len(standing)
        shows = ngettext("u shows it", "u shows them", many)
        names = [entry.named for entry in standing]
        told = _("Still up: {names}; {shows}").format(names=enumerated(names), shows=shows)
        if cell_len(told) > width or len(set(names)) < many:
            count = ngettext("Still up: {count} thing; {shows}", "Still up: {count} things; {shows}", many)
            told = count.format(count=many, shows=shows)
        return Content(told)
    rows = [Content(_("Still up, the last first:"))]
    for entry in standing[:UP]:
        rows.append(Content("  " + left(entry.named, 12) + middle_cut(safe(entry.target), width - 14)))
    if len(standing) > UP:
        rows.append(Content("  " + _("and {count} more: press u").format(count=len(standing) - UP)))
    return Content("\n").join(rows)


def _recovered(copied: Copied, place: Destination | None, width: int) -> Content:
    told = came_told(copied)
    head, style = (
        (_("Recovered"), "bold $success") if copied.whole else (_("Recovered in part"), "bold $warning")
    )
    rows = [
        Content(titled(head, told)).stylize(style, 0, len(head)),
        *([Content("  " + there)] if (there := there_told(copied)) else []),
        *(_row(name, value, width) for name, value in _places(copied, place)),
    ]
    gaps_told: dict[str, list[str]] = {}
    for gap in copied.unreadable:
        gaps_told.setdefault(gap.title, []).append(titled(safe(gap.path), gap.error))
    for name, gaps in (
        *gaps_told.items(),
        (_("Not kept"), [titled(safe(lost.path), lost.what) for lost in copied.lost_metadata]),
    ):
        rows += [_row(name if at == 0 else "", line, width) for at, line in enumerate(gaps[:MOST])]
        if len(gaps) > MOST:
            more = _("and {count} more: see the report").format(count=len(gaps) - MOST)
            rows.append(_row("", more, width))
    if copied.has_taken:
        rows.append(_row("", _("What becomes of names that are taken is chosen by o, at the files."), width))
    return Content("\n").join(rows)


def _places(copied: Copied, place: Destination | None) -> list[tuple[str, str]]:
    """Where the copy, its checksums and its report lie."""
    sums, report = safe(copied.manifest.name), listed(("salvage-report.html", ".md", ".json"))
    if place and place.remote:
        return [
            (_("Sent to"), safe(place.word)),
            (_("Checksums"), _("SHA256SUMS beside the files; there: {command}").format(command=_CHECK)),
        ]
    if place and place.shape != "folder":
        prefix = safe(place.path.name)
        return [
            (_("Archive"), safe(place.path)),
            (_("Checksums"), _("{name}, and as SHA256SUMS in the archive").format(name=sums)),
            (_("Report"), f"{prefix}.{report}"),
        ]
    return [
        (_("Folder"), safe(copied.manifest.parent)),
        (_("Checksums"), _("{name}; in that folder: {command}").format(name=sums, command=_CHECK)),
        (_("Report"), report),
    ]


def _row(name: str, value: str, width: int) -> Content:
    first, *more = wrapped(safe(value), max(20, width - 13))
    rest = [Content(" " * 13 + line) for line in more]
    return Content("\n").join([Content.assemble(("  " + left(name, 11), "$text-muted"), first), *rest])
