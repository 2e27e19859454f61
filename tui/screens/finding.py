"""Finding what to copy: a search whose results come as they are found, and what matters first."""

from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from core.errors import Cancelled, SalvageError
from core.files.estimate import Estimate
from core.files.finding import Match, find, wanted
from core.files.matters import Matter, matters
from core.i18n import N_, _, ngettext, sentences, titled
from core.text import grouped, safe, size
from tui.marks import goes_along, over
from tui.plain import plain
from tui.screens.dialog import Dialog
from tui.screens.step import KeyLine
from tui.widgets.file_table import kind_told, mark_told
from tui.widgets.lines import left, middle_cut, right
from tui.widgets.results import Results
from tui.widgets.text_line import TextLine

if TYPE_CHECKING:
    from tui.app import SalvageApp

_MOST = 1000
"""Results that are shown; who has more looks for less."""
_INTERVAL = 0.2


class _Working(Dialog[list[bytes]]):
    """Work on the operator's thread, whose results are shown while it goes on."""

    app: "SalvageApp"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", N_("back"), show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._future: Future[object] | None = None

    def begin(self, job: Callable[[], object]) -> None:
        """Let the operator do `job` after what was begun before is stopped."""
        self.stop()
        self._future = future = self.app.flow.operator.submit(job)
        self.app.follow(future, lambda _result: self.ended(""), self._failed)

    def stop(self) -> None:
        if self._future and not self._future.done():
            self._future.cancel()
            self.app.flow.operator.cancel.cancel()
        self._future = None

    def ended(self, why: str) -> None:
        """The work is done, or `why` it is not."""

    def _failed(self, error: SalvageError) -> None:
        if not isinstance(error, Cancelled) and self.is_mounted:
            self.ended(error.paragraph())

    def action_close(self) -> None:
        self.stop()
        self.dismiss([])


class FindScreen(_Working):
    """Enter in the line searches, Enter on a result goes there, Space marks it, Esc stops and goes back.

    Answers with one path to go to; what was marked goes to `mark`.
    """

    topic: ClassVar[str] = "find"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", N_("mark"), show=False),
        Binding("down", "results", N_("to what was found"), show=False),
    ]

    def __init__(self, start: bytes, mark: Callable[[bytes], bool], marked: Collection[bytes]) -> None:
        super().__init__()
        self._start, self._mark, self._marked = start, mark, marked
        self._found: list[Match] = []
        self._shown = 0
        self._at = b""
        self._errors = 0
        self._end = self._spelled = ""

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="wide"):
            yield Static(_("Find below {path}").format(path=safe(self._start)), classes="title", markup=False)
            yield TextLine(
                placeholder=_("*.conf  letter  size:+1M  after:2024-05-01  owner:ann  text:password")
            )
            yield Static("", id="state", classes="label below")
            yield Results(id="results")
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self.set_interval(_INTERVAL, self._show)
        self._name_keys()

    def on_descendant_focus(self) -> None:
        self._name_keys()

    def _name_keys(self) -> None:
        """The keys of what has the focus: the line, or what was found."""
        keys = [("Enter", _("search")), ("↓", _("results"))]
        if isinstance(self.focused, Results):
            keys = [("Enter", _("go there")), ("Space", _("mark")), ("Tab", _("search anew"))]
        self.query_one(KeyLine).show([*keys, ("Esc", _("back"))])

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            what = wanted(event.value.split())
        except SalvageError as error:
            self._tell(error.paragraph())
            return
        self._found, self._shown, self._errors, self._end = [], 0, 0, ""
        self._spelled = "" if safe(event.value) == event.value else safe(event.value)
        self.query_one(Results).clear_options()
        found, road = self._found, self.app.flow.road()

        def failed(_path: bytes, _why: str) -> None:
            self._errors += 1

        def passed(path: bytes) -> None:
            self._at = path

        def job() -> None:
            with road.guest() as tree:
                for match in find(tree, self._start, what, self.app.flow.operator.cancel, failed, passed):
                    found.append(match)
                    if len(found) >= _MOST:
                        return

        self._tell(_("Searching."))
        self.begin(job)

    def ended(self, why: str) -> None:
        self._show()
        count = len(self._found)
        told = ngettext("{count} found.", "{count} found.", count).format(count=grouped(count))
        if count >= _MOST:
            told = _("The first {count}; say more closely what you look for.").format(count=grouped(count))
        if self._errors:
            told = sentences((told, _("{count} could not be read.").format(count=grouped(self._errors))))
        if self._spelled:  # a line in ASCII shows "?" for what was typed
            told = titled(self._spelled, told)
        self._end = why or told
        self._tell(self._end)
        if count and self.query_one(Results).highlighted is None:
            self.query_one(Results).highlighted = 0

    def action_results(self) -> None:
        """Leave the line, which keeps the keys till then: somebody may type on when the search ends."""
        self.query_one(Results).focus()

    def _show(self) -> None:
        new = self._found[self._shown :]
        if new:
            options = self.query_one(Results)
            options.add_options([Option(plain(self._row(match))) for match in new])
            self._shown += len(new)
        if self._future and not self._future.done():
            where = middle_cut(safe(self._at), max(20, self.size.width - 34))
            self._tell(_("{count} found, now in {path}").format(count=grouped(len(self._found)), path=where))

    def _row(self, match: Match) -> str:
        width = max(30, self.size.width - 16)
        entry = match.entry
        along = over(match.path, self._marked) is not None
        mark = mark_told(marked=match.path in self._marked, along=along)
        told = f" {mark} " + right(size(entry.size) if entry.kind == "file" else kind_told(entry), 10) + "  "
        if match.number:
            path = middle_cut(safe(match.path), width // 2)
            return told + path + f":{match.number}: " + safe(match.line)[: width // 2 - 14]
        return told + middle_cut(safe(match.path), width - 12)

    def _tell(self, sentence: str) -> None:
        self.query_one("#state", Static).update(plain(sentence))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.stop()
        self.dismiss([self._found[event.option_index].path])

    def action_mark(self) -> None:
        results = self.query_one(Results)
        at = results.highlighted
        if at is not None and at < len(self._found):
            path = self._found[at].path
            if folder := over(path, self._marked):
                self._tell(goes_along(folder))
                return
            told = _("Marked: {path}") if self._mark(path) else _("No longer marked: {path}")
            self._tell(told.format(path=safe(path)))
            for place, match in enumerate(self._found[: self._shown]):
                if match.path == path or over(match.path, [path]):
                    results.replace_option_prompt_at_index(place, plain(self._row(match)))


class MattersScreen(_Working):
    """What matters first on this volume, with sizes; Enter marks all of it, Space one after the other."""

    topic: ClassVar[str] = "matters"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "leave_out", N_("leave out"), show=False),
        Binding("enter", "take", N_("mark"), priority=True, show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._found: list[Matter] = []
        self._sizes: dict[bytes, Estimate] = {}
        self._out: set[bytes] = set()
        self._looked = self._drawn = False
        self._known = -1

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="wide"):
            yield Static(_("What matters first"), classes="title", markup=False)
            yield Static(_("Looking."), id="state", classes="label below", markup=False)
            yield Results(id="results")
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        self.query_one(Results).focus()
        self.query_one(KeyLine).show(
            [("Enter", _("mark what is ticked")), ("Space", _("tick, untick")), ("Esc", _("back"))]
        )
        self.set_interval(_INTERVAL, self._show)
        road = self.app.flow.road()

        def job() -> None:
            with road.guest() as tree:
                self._found = matters(tree)
            self._looked = True
            for matter in self._found:
                self._sizes[matter.path] = road.estimate([matter.path], lambda _sum: None)

        self.begin(job)

    def ended(self, why: str) -> None:
        self._show()
        if why:
            self.query_one("#state", Static).update(plain(why))

    def _show(self) -> None:
        if not self._looked:
            return
        if self._known == len(self._sizes) + len(self._out) * 1000 and self._drawn:
            return
        self._known, self._drawn = len(self._sizes) + len(self._out) * 1000, True
        options = self.query_one(Results)
        at = options.highlighted
        options.clear_options()
        options.add_options([Option(self._row(matter)) for matter in self._found])
        options.highlighted = at if at is not None else (0 if self._found else None)
        self.query_one("#state", Static).update(plain(self._sum()))

    def _sum(self) -> str:
        if not self._found:
            return _("Nothing that is known as such is on this volume: look through it yourself.")
        taken = [matter for matter in self._found if matter.path not in self._out]
        known = [self._sizes[matter.path] for matter in taken if matter.path in self._sizes]
        told = _("{count} places, {files} files, {size}").format(
            count=grouped(len(taken)),
            files=grouped(sum(one.files for one in known)),
            size=size(sum(one.apparent for one in known)),
        )
        return told if len(known) == len(taken) else sentences((told, _("so far")))

    def _row(self, matter: Matter) -> Content:
        mark = "[ ]" if matter.path in self._out else "[x]"
        counted = self._sizes.get(matter.path)
        told = size(counted.apparent) if counted else "..."
        row = f" {mark} {left(middle_cut(safe(matter.path), 32), 32)} {right(told, 10)}  {matter.why}"
        shown = middle_cut(row, max(60, min(self.size.width, 120) - 8))
        return Content.assemble((shown[:4], "bold $text-accent"), shown[4:])

    def action_leave_out(self) -> None:
        at = self.query_one(Results).highlighted
        if at is not None and at < len(self._found):
            self._out ^= {self._found[at].path}
            self._show()

    def action_take(self) -> None:
        self.stop()
        self.dismiss([matter.path for matter in self._found if matter.path not in self._out])
