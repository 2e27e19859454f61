"""A dialog with text that may be longer than its room, and a menu below it."""

from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from core.i18n import N_, _
from tui.screens.dialog import Dialog
from tui.screens.menu import Menu
from tui.screens.step import Key, KeyLine

A = TypeVar("A")

BOTH = 60
"""Columns from which on the keys of both directions are named."""
_LEAST = 4
"""Lines of text that are shown however long the menu is."""


class Reading(Dialog[A]):
    """The menu has the focus; Space and `b` turn the pages of the text where it is long."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", N_("back"), show=False),
        Binding("space", "scroll(1)", N_("scroll down"), show=False),
        Binding("b", "scroll(-1)", N_("scroll up"), show=False),
    ]

    _heights = (0, 0)

    @property
    def framing(self) -> int:
        """Lines that are neither text nor menu: border, title, keys, and the lines between."""
        return 7

    def keys(self) -> list[Key]:
        """The keys that count, the most important first."""
        move = [("↑↓", _("move"))] if self.query_one(Menu).option_count > 1 else []
        return [*move, ("Enter", _("choose")), ("Esc", _("back"))]

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Menu).focus()
        self.watch(self.query_one(VerticalScroll), "show_vertical_scrollbar", self._grow, init=False)
        self.fit()

    def on_resize(self) -> None:
        self.fit()

    def fit(self) -> None:
        """Share the room anew between text and menu, and name the keys that count now."""
        self._name_keys()
        self._heights = (0, 0)  # what they were reckoned from may be another text
        self.query_one(VerticalScroll).styles.height = "auto"
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        """Give the text what the menu leaves, and the menu what a few lines of text leave.

        Their own lines depend on the width that they are given, so it is done until nothing changes.
        """
        room = self.app.size.height - self.framing
        text, menu = self.query_one(VerticalScroll), self.query_one(Menu)
        heights = (
            max(2, room - min(text.virtual_size.height, _LEAST)),
            max(_LEAST, room - menu.lines),
        )
        if heights != self._heights:
            self._heights = heights
            menu.styles.max_height, text.styles.max_height = heights
            self.call_after_refresh(self._fit)
            return
        self._grow()
        self.call_after_refresh(self.fitted)

    def fitted(self) -> None:
        """Bring into sight what counts now, when the room has been shared."""

    def _grow(self) -> None:
        """Give the text the line that it lacks where the menu leaves it one.

        By itself it reckons without the columns of its scroll bar, and may come out a line too low.
        """
        text, most = self.query_one(VerticalScroll), self._heights[1]
        hidden, height = text.max_scroll_y, text.size.height
        if hidden and 0 < height < most:
            text.styles.height = min(most, height + hidden)
            self.call_after_refresh(self._name_keys)
        self._name_keys()

    def _name_keys(self) -> None:
        keys = self.keys()
        if self.query_one(VerticalScroll).max_scroll_y:
            both = self.app.size.width >= BOTH
            at = next((at for at, (name, _does) in enumerate(keys) if name == "Esc"), len(keys))
            keys.insert(at, ("Space, b", _("scroll")) if both else ("Space", _("more")))
        self.query_one(KeyLine).show(keys)

    def action_scroll(self, pages: int) -> None:
        text = self.query_one(VerticalScroll)
        text.scroll_relative(y=pages * max(1, text.size.height - 1), animate=False)

    def action_close(self) -> None:
        self.app.pop_screen()
