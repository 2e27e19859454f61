"""A question over the screen, with what is to be known before it is answered."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static

from core.i18n import _
from tui.plain import plain
from tui.screens.menu import Choice, Menu
from tui.screens.reading import Reading
from tui.screens.step import Key, KeyLine


class ConfirmScreen(Reading[str]):
    """Answers the id of what was chosen; nothing when the person goes back. What went well is `good`.

    With `wary` the cursor begins at going back.
    """

    topic: ClassVar[str] = "confirm"

    def __init__(
        self,
        title: str,
        told: Sequence[Content],
        choices: Sequence[Choice],
        *,
        good: bool = False,
        wary: bool = False,
    ) -> None:
        super().__init__()
        self._title, self._told, self._choices = title, told, choices
        self._good, self._wary = good, wary

    @property
    def explained(self) -> str:
        return self.topic if self._choices else "result"

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static(plain(self._title), classes="title -good" if self._good else "title")
            with VerticalScroll(can_focus=False):
                yield Static(Content("\n\n").join(self._told), classes="said")
            yield Menu([*self._choices, Choice("back", _("Go back") if self._choices else _("Go on"))])
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        super().on_mount()
        if self._wary:
            self.query_one(Menu).highlighted = len(self._choices)

    def keys(self) -> list[Key]:
        return super().keys() if self._choices else [("Enter", _("go on"))]

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option.id == "back":
            self.action_close()
        else:
            self.dismiss(event.option.id)
