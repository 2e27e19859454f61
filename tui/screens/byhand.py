"""A practice disk by hand: a prompt that tells what a command would do, and runs it in the lab only."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Static

from core.i18n import N_, _, titled
from core.lab import labs, results
from core.lab.hand.judgement import Weight
from core.lab.hand.prompt import Prompt, Reply
from core.lab.lab import Lab
from core.runner import SystemRunner
from core.text import safe
from tui.screens.step import Frame, Key
from tui.widgets.lines import Line, Piece, wrapped
from tui.widgets.pager import Pager
from tui.widgets.text_line import TextLine

KEPT = 2000
"""Lines of the conversation that are kept."""
_SIGNS = {
    Weight.NOTE: ("• ", "pager--title"),
    Weight.WARNING: ("! ", "pager--bad"),
    Weight.REFUSAL: ("× ", "pager--bad"),
}


class ByHandScreen(Frame):
    """What was said above, the line to type in below. The arrows bring back what was typed."""

    topic: ClassVar[str] = "byhand"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "older", N_("what was typed"), show=False, priority=True),
        Binding("down", "newer", N_("what was typed"), show=False, priority=True),
        Binding("pageup", "page(-1)", N_("scroll"), show=False, priority=True),
        Binding("pagedown", "page(1)", N_("scroll"), show=False, priority=True),
    ]

    def __init__(self, lab: Lab) -> None:
        super().__init__()
        self.lab = lab
        self._talk: list[tuple[str, str, str]] = []
        self._typed: list[str] = []
        self._at = 0
        self.prompt: Prompt | None = None

    def body(self) -> ComposeResult:
        yield Pager(id="talk", follows=True)
        with Horizontal(id="prompt-row"):
            yield Static("lab>", id="prompt-label", markup=False)
            yield TextLine(id="prompt")

    def subtitle(self) -> str:
        return titled(_("The prompt"), _(self.lab.title))

    def keys(self) -> list[Key]:
        return [("Enter", _("run")), ("↑", _("earlier line")), ("PgUp", _("scroll")), ("Esc", _("back"))]

    def on_mount(self) -> None:
        super().on_mount()
        runner = SystemRunner(self.flow.outside.cancel)
        self.prompt = Prompt(self.lab, self.flow.labs, runner, results.login())
        self.query_one("#talk", Pager).can_focus = False
        self.query_one(Input).focus()
        told = labs.ticket(self.lab, self.flow.labs)
        here = _("You are in the practice disk's folder. `help` tells what can be typed.")
        self._say(
            [
                (told, ""),
                (here, "pager--muted"),
            ],
            hang="",
        )

    def on_descendant_focus(self) -> None:
        self.refresh_frame()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        line = event.value.strip()
        if not line or self.busy or self.prompt is None:
            return
        if line in ("exit", "quit"):
            self.back()
            return
        self._typed = [*(one for one in self._typed if one != line), line]
        self._at = len(self._typed)
        event.input.value = ""
        prompt = self.prompt
        self.work(_("Running."), lambda: prompt.enter(line), self._answered, operator=self.flow.outside)

    def _answered(self, reply: Reply) -> None:
        said = [("lab> " + reply.line, "pager--command")]
        said += [(_SIGNS[one.weight][0] + one.text, _SIGNS[one.weight][1]) for one in reply.remarks]
        if reply.waits:
            again = _("It was not run. The same line once more runs it: this is a practice disk.")
            said.append((again, "pager--muted"))
        said += [(line, "") for line in reply.output]
        if reply.status:
            said.append((_("exit status {status}").format(status=reply.status), "pager--bad"))
        self._say(said)

    def _say(self, said: list[tuple[str, str]], hang: str = "  ") -> None:
        self._talk = [*self._talk, *((text, role, hang) for text, role in said)][-KEPT:]
        pager = self.query_one("#talk", Pager)
        pager.draw_with(self._drawn)
        pager.scroll_end(animate=False, force=True)

    def _drawn(self, width: int) -> list[Line]:
        return [
            (Piece(line, role),)
            for text, role, hang in self._talk
            for line in wrapped(safe(text), width, hang)
        ]

    # -- keys ----------------------------------------------------------------------------------

    def action_older(self) -> None:
        self._bring(self._at - 1)

    def action_newer(self) -> None:
        self._bring(self._at + 1)

    def _bring(self, at: int) -> None:
        self._at = max(0, min(len(self._typed), at))
        field = self.query_one(Input)
        field.value = self._typed[self._at] if self._at < len(self._typed) else ""
        field.cursor_position = len(field.value)

    def action_page(self, pages: int) -> None:
        pager = self.query_one("#talk", Pager)
        pager.scroll_relative(y=pages * max(1, pager.size.height - 1), animate=False, force=True)
