"""All keys of the screen below, to be found by a word and chosen."""

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, OptionList, Static

from core.i18n import N_, _
from tui.keys import Bound, in_ascii
from tui.screens.dialog import Dialog
from tui.screens.menu import Choice, Menu
from tui.screens.step import KeyLine
from tui.widgets.lines import left
from tui.widgets.text_line import TextLine


class PaletteScreen(Dialog[Bound]):
    """A line to type into, and what can be done here that has these letters; answers with what was chosen."""

    topic: ClassVar[str] = "palette"
    passing: ClassVar[bool] = True
    around: ClassVar[int] = 8
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", N_("back"), show=False),
        Binding("up", "move(-1)", N_("up"), show=False),
        Binding("down", "move(1)", N_("down"), show=False),
    ]

    def __init__(self, offered: Sequence[Bound]) -> None:
        super().__init__()
        self._offered = offered

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static(_("All keys of this screen"), classes="title", markup=False)
            yield TextLine(placeholder=_("a word, to find a key"), compact=True)
            yield Menu(self._matching(""), numbered=False)
            yield Static(_("Nothing here has that word."), id="none", classes="said", markup=False)
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        self.query_one("#none").display = False
        self.query_one(Menu).can_focus = False
        self.query_one(Input).focus()
        self.query_one(KeyLine).show([("↑↓", _("move")), ("Enter", _("do it")), ("Esc", _("back"))])

    def _matching(self, word: str) -> list[Choice]:
        told = in_ascii if self.app.ascii_only else str
        names = [told(one.names) for one in self._offered]
        column = max(map(cell_len, names), default=0) + 2
        return [
            Choice(str(at), left(name, column) + one.does, column=column)
            for at, (name, one) in enumerate(zip(names, self._offered, strict=True))
            if word.casefold() in f"{name} {one.does}".casefold()
        ]

    def on_input_changed(self, event: Input.Changed) -> None:
        self.narrow(event.value.strip())

    def narrow(self, word: str) -> None:
        """Offer what has the word in it."""
        matching = self._matching(word)
        menu = self.query_one(Menu)
        menu.offer(matching)
        menu.highlighted = 0 if matching else None
        self.query_one("#none").display = not matching

    def on_input_submitted(self) -> None:
        self.query_one(Menu).action_select()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._offered[int(event.option.id or 0)])

    def action_move(self, by: int) -> None:
        menu = self.query_one(Menu)
        menu.action_cursor_down() if by > 0 else menu.action_cursor_up()

    def action_close(self) -> None:
        self.app.pop_screen()
