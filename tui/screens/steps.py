"""Back to a step that was gone already."""

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import OptionList, Static

from core.i18n import N_, _, sentences
from core.text import safe
from tui.chosen import Protection
from tui.screens.dialog import Dialog
from tui.screens.menu import Choice, Menu
from tui.screens.step import KeyLine
from tui.widgets.rail import STEPS

_BELOW = (
    N_("All that is up is taken down, except what is mounted for other tools."),
    N_("The same, but the disk stays chosen."),
    N_("The volume is closed; the disk stays attached."),
    N_("The volume is closed; the disk stays attached."),
    N_("Nothing is taken down."),
)
"""What going back to each step takes down."""
_OVERLAY = N_("The overlay is thrown away, with all that was written to it.")
"""What the first two throw away too, where there is one."""


class StepsScreen(Dialog[int]):
    """The steps gone so far with what was chosen at each; answers with the one to go back to."""

    topic: ClassVar[str] = "steps"
    passing: ClassVar[bool] = True
    around: ClassVar[int] = 7
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,b", "close", N_("stay here"), show=False)]

    def __init__(self, current: int, chosen: Mapping[int, str], busy: str) -> None:
        super().__init__()
        self._current, self._chosen, self._busy = current, chosen, busy

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static(_("Back to which step?"), classes="title", markup=False)
            yield Menu([self._choice(step) for step in range(min(self._current, len(_BELOW)))])
            yield KeyLine(id="keys")

    def _choice(self, step: int) -> Choice:
        chosen = self._chosen.get(step, "")
        name = _(STEPS[step])
        title = _("{step}: {chosen}").format(step=name, chosen=safe(chosen)) if chosen else name
        told = _(_BELOW[step])
        if step < 2 and self.app.flow.protection is Protection.OVERLAY:
            told = sentences((told, _(_OVERLAY)))
        return Choice(str(step), title, told, _("Stop first what is going on: Esc.") if self._busy else "")

    def on_mount(self) -> None:
        menu = self.query_one(Menu)
        menu.focus()
        menu.action_last()
        self.query_one(KeyLine).show(
            [("↑↓", _("move")), ("Enter", _("go back there")), ("Esc", _("stay here"))]
        )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(int(event.option.id or 0))

    def action_close(self) -> None:
        self.app.pop_screen()
