"""The health of a file system: a verdict in plain words, and what its journal or a repair would change."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, Static

from core.checking import Examined
from core.errors import SalvageError
from core.i18n import N_, _
from core.session import Session
from core.volumes.checkers import CHECKERS, Verdict
from core.volumes.filesystems import FILE_SYSTEMS
from core.volumes.model import Volume
from core.volumes.state import State
from tui import plans
from tui.openable import content
from tui.plain import plain
from tui.screens.menu import Choice, Menu
from tui.screens.sight import SightFrame
from tui.screens.step import Key
from tui.widgets.facts import Facts


class CheckScreen(SightFrame):
    """Checks at once, read-only; the rest happens in an overlay and only when it is chosen."""

    topic: ClassVar[str] = "check"
    step: ClassVar[int] = 3
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "read_on", N_("read on"), show=False),
    ]

    def __init__(self, volume: Volume, state: State = State.LEFT) -> None:
        super().__init__()
        self.volume = volume
        self._examined: Examined | None = None
        self._state = state

    def body(self) -> ComposeResult:
        told = _("Is {volume} ({content}) sound?")
        yield Static(
            plain(told.format(volume=self.volume.title, content=content(self.volume))),
            classes="question",
        )
        with Facts(id="verdict"):
            yield Static(id="told", classes="said")
        yield Menu([])

    def about(self) -> Volume:
        return self.volume

    def keys(self) -> list[Key]:
        more = [("Space", _("read on"))] if self.is_mounted and self.query_one(Facts).long else []
        return [("↑↓", _("move")), ("Enter", _("choose")), *more, ("Esc", _("back"))]

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Menu).focus()
        self._check(self._state)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option.id == "browse":
            self._browse()
        elif event.option.id == "sight":
            self.ask_point(self.volume, state=self._state)
        elif event.option.id == "back":
            self.action_back()
        else:
            self._check(State(event.option.id))

    def plan(self) -> Callable[[Session], None]:
        chosen = self.query_one(Menu).highlighted_option
        picked = chosen.id if chosen else None
        wanted = next((state for state in State if state.value == picked), State.LEFT)
        return plans.checking(self.flow, self.volume, wanted)

    def plan_told(self) -> str:
        return _("To do what is highlighted, from the disk on:")

    def action_read_on(self) -> None:
        self.query_one(Facts).turn()

    def _check(self, state: State) -> None:
        told = {
            State.LEFT: _("Checking, without writing to the disk."),
            State.REPLAYED: _("Carrying out its journal in an overlay, and comparing."),
            State.REPAIRED: _("Repairing it in an overlay, and comparing."),
        }[state]

        def ended(examined: Examined) -> None:
            self._examined, self._state = examined, state
            if self.volume.seen_when_opened:
                self.volume = examined.checked.volume or self.volume
            self._show()

        self.work(told, lambda: self.flow.do_check(self.volume, state), ended, self._failed)

    def _failed(self, error: SalvageError) -> None:
        if self._examined is None:
            self.leave()
        self.trouble(error, lambda: self.app.push_screen(CheckScreen(self.volume, State.REPLAYED)))

    def _show(self) -> None:
        examined = self._examined
        if examined is None:
            return
        checked = examined.checked
        style = "" if checked.verdict is Verdict.SOUND else "$text-warning"
        lines = [Content.styled(plain(_done(self._state, examined)).plain, style)]
        if examined.differences:
            lines += [plain(""), *map(plain, examined.differences.lines())]
        elif checked.verdict is not Verdict.SOUND:
            lines += [plain(""), *(plain("  " + line) for line in checked.said)]
        self.query_one("#told", Static).update(Content("\n").join(lines))
        menu = self.query_one(Menu)
        menu.offer(self._choices())
        if self._state is not State.LEFT:
            menu.highlighted = 0
        elif checked.verdict is Verdict.DAMAGED or (
            checked.verdict is Verdict.SOUND and not self.volume.pending
        ):
            # what to do first with a damaged one is said above: copy what can be read
            menu.highlighted = menu.get_option_index("back")
        self.call_after_refresh(menu.scroll_to_highlight)

    def _choices(self) -> list[Choice]:
        content = self.volume.content or ""
        system, checker = FILE_SYSTEMS.get(content), CHECKERS.get(content)
        no_journal = "" if system and system.replayed is not None else _("It has no journal.")
        if not no_journal and not self.volume.pending:
            no_journal = _("It was unmounted in order: its journal holds nothing more.")
            if self._examined and self._examined.lies.verdict is Verdict.DAMAGED:
                no_journal = _("Nothing in it says that its journal holds anything more.")
        choices = [
            Choice(
                State.REPLAYED.value,
                _("Carry out its journal in an overlay, and see which files differ"),
                _("As the machine itself would have done at its next start."),
                no_journal,
            ),
            Choice(
                State.REPAIRED.value,
                _("Repair it in an overlay, and see which files differ"),
                _("Nothing that would have to be repaired was found.")
                if self._examined and self._examined.checked.verdict is Verdict.SOUND
                else _("A repair may throw things away. The disk itself stays as it is."),
                "" if checker and checker.repair else _("No program repairs it."),
            ),
            Choice("back", _("Back to {volume}").format(volume=self.volume.title)),
        ]
        if self._state is not State.LEFT:
            choices = [choice for choice in choices if choice.id != self._state.value]
            choices[:0] = [
                Choice("browse", _("Browse and copy the files in that state")),
                Choice("sight", _("Mount it at a folder in that state, read only")),
            ]
        return choices

    def _browse(self) -> None:
        self.work(
            _("Mounting."),
            lambda: self.flow.do_open(self.volume, "loop", state=self._state),
            self._opened,
        )

    def _opened(self, _volume: Volume) -> None:
        from tui.screens.files import FilesScreen

        self.app.push_screen(FilesScreen())


def _done(state: State, examined: Examined) -> str:
    checked = examined.checked
    repaired = _("Repaired, and checked again: {sentence}")
    if checked.verdict is not Verdict.SOUND:
        repaired = _("After the repair: {sentence}")
    told = {
        State.LEFT: "{sentence}",
        State.REPLAYED: _("With its journal replayed: {sentence}")
        if examined.pending
        else _("Over an overlay: {sentence}"),
        State.REPAIRED: repaired,
    }
    return told[state].format(sentence=checked.sentence)
