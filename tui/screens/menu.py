"""A list of choices, each with a line that says what it means; what cannot be chosen says why."""

from dataclasses import dataclass
from time import monotonic
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Offset, Region, Size
from textual.reactive import reactive
from textual.strip import Strip
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from core.i18n import N_
from core.text import safe
from tui.screens.step import Frame
from tui.widgets.lines import wrapped
from tui.widgets.rows import MARKER

_HIGH, _FEW = 30, 6
"""Lines of the screen, and choices, with which there is an empty line between two."""
_FRAME = 4
"""Columns that padding, the marker and a scroll bar take."""
_TOGETHER = 1.0
"""Seconds in which digits belong to one number."""
_DIGITS = 9
"""Choices that have a digit of their own."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing to choose. With a `reason` it cannot be chosen."""

    id: str
    title: str
    line: str = ""
    reason: str = ""
    column: int = 0
    """Columns of the title that stand alone: where it takes another line, that begins below the rest."""


class Menu(OptionList):
    """Choices by arrows or j and k, and Enter; or by their number.

    The chosen one has a ``>`` before it, so it is seen without colour too. A move draws the two choices
    anew that it concerns, no more: on a serial line that counts. In a step whose screen has too little room
    for all lines, only the highlighted choice says what it means, so that every choice stays in sight.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "cursor_down", N_("down"), show=False),
        Binding("up,k", "cursor_up", N_("up"), show=False),
        Binding("enter", "select", N_("choose"), show=False),
        *(Binding(str(n), f"pick({n})", N_("choose that number"), show=False) for n in range(10)),
    ]
    highlighted: reactive[int | None] = reactive(None, repaint=False)

    def __init__(
        self, choices: list[Choice], id: str | None = None, *, numbered: bool = True, airy: bool = True
    ) -> None:
        super().__init__(markup=False, compact=True, id=id or "menu")
        self.numbered = numbered
        self._may_be_airy = airy
        self._choices = choices
        self._tops: list[int] = []
        self._typed = 0
        self._when = 0.0
        """When the last digit was typed."""
        self._airy = self._cramped = False

    def on_mount(self) -> None:
        self.offer(self._choices)
        # the screen may get higher or lower while the menu keeps its size
        self.screen.screen_layout_refresh_signal.subscribe(self, lambda _screen: self._fit())

    def on_resize(self, _event: events.Resize) -> None:
        self._look_at_room()
        self._draw_all()
        # a smaller screen must not leave the choice that Enter takes out of sight
        self.call_after_refresh(self.scroll_to_highlight)

    def _fit(self) -> None:
        before = self._airy, self._cramped
        self._look_at_room()
        if before != (self._airy, self._cramped):
            self._draw_all()

    def _look_at_room(self) -> None:
        self._airy, self._cramped = False, False
        height = self.styles.height
        full = sum(self._drawn(at, one).plain.count("\n") + 1 for at, one in enumerate(self._choices))
        few = len(self._choices) <= _FEW
        if height and height.is_fraction and self.size.height:
            self._cramped = full > self.size.height
            few = full + len(self._choices) <= self.size.height
        self._airy = self._may_be_airy and self.app.size.height >= _HIGH and few

    def _draw_all(self) -> None:
        for at, choice in enumerate(self._choices[: self.option_count]):
            self.replace_option_prompt_at_index(at, self._drawn(at, choice))
        self._measure()

    def _measure(self) -> None:
        """Where each choice begins, and behind them where the last one ends."""
        tops = [0]
        for at, choice in enumerate(self._choices):
            tops.append(tops[-1] + self._drawn(at, choice).plain.count("\n") + 1)
        self._tops = tops

    def _gap(self, at: int) -> str:
        """An empty line behind a choice, where the screen is high and there are few."""
        return "\n" if self.numbered and self._airy and at + 1 < len(self._choices) else ""

    @property
    def lines(self) -> int:
        """Lines that all choices take at the width it has."""
        return self._tops[-1] if self._tops else 0

    def _watch_highlighted(self, before: int | None, now: int | None) -> None:
        if now is None or now + 1 != self._typed:
            self._typed = 0
        if self._cramped:
            self._draw_all()
        for at in (before, now):
            if at is not None and at + 1 < len(self._tops):
                top, end = self._tops[at], self._tops[at + 1]
                self.refresh(Region(0, top - self.scroll_offset.y, self.size.width, end - top))
        self._place_terminal_cursor()

    def on_focus(self) -> None:
        self._place_terminal_cursor()

    def _place_terminal_cursor(self) -> None:
        """Braille and speech follow the terminal's cursor."""
        if self.has_focus and self.highlighted is not None and self.highlighted < len(self._tops):
            area = self.content_region
            row = self._tops[self.highlighted] - self.scroll_offset.y
            self.app.cursor_position = Offset(area.x, area.y + row)

    def offer(self, choices: list[Choice]) -> None:
        """Show other choices; the highlight stays on the same one where it can."""
        kept = self.highlighted_option.id if self.highlighted_option else None
        self._choices = choices
        self._look_at_room()
        self.clear_options()
        self.add_options(
            Option(self._drawn(at, choice), id=choice.id, disabled=bool(choice.reason))
            for at, choice in enumerate(choices)
        )
        self._measure()
        able = [choice.id for choice in choices if not choice.reason]
        wanted = kept if kept in able else (able[0] if able else None)
        self.highlighted = next((at for at, one in enumerate(choices) if one.id == wanted), None)
        if self._cramped:
            self._draw_all()

    def action_select(self) -> None:
        """Choose; not while its step still works on what was chosen before."""
        if isinstance(self.screen, Frame) and self.screen.busy:
            self.app.bell()
        else:
            super().action_select()

    def action_pick(self, number: int) -> None:
        """A digit chooses at once; where there are more than nine choices, digits only lead to one."""
        if not self.numbered:
            return
        if len(self._choices) > _DIGITS:
            now = monotonic()
            typed = number if now - self._when > _TOGETHER else self._typed * 10 + number
            self._when = now
            self._typed = typed if typed <= len(self._choices) else number
            if self._typed and not self._choices[self._typed - 1].reason:
                self.highlighted = self._typed - 1
        elif 0 < number <= len(self._choices) and not self._choices[number - 1].reason:
            self.highlighted = number - 1
            self.action_select()

    def render_line(self, y: int) -> Strip:
        """The highlighted choice in one style: what its pieces tell by colour, they tell by letters too."""
        strip = super().render_line(y)
        at, line = self.highlighted, self.scroll_offset.y + y
        if at is None or at + 1 >= len(self._tops) or not self._tops[at] <= line < self._tops[at + 1]:
            return strip
        if self._gap(at) and line == self._tops[at + 1] - 1:
            return Strip.blank(strip.cell_length, self.get_component_rich_style("option-list--option"))
        first = line == self._tops[at]
        title = line <= self._tops[at] + self._title(at, self._choices[at], self._width())[1].count("\n")
        style = self.get_component_rich_style("option-list--option-highlighted")
        style += Style(bold=title, meta={"option": at})
        return Strip([Segment((MARKER if first else " ") + strip.text[1:], style)], strip.cell_length)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Lines at that width: what stands there now may be broken for another one."""
        drawn = (self._drawn(at, one, width) for at, one in enumerate(self._choices))
        return sum(one.plain.count("\n") + 1 for one in drawn)

    def _width(self, width: int = 0) -> int:
        """Columns for the text of a choice."""
        return max(20, (width or self.size.width or self.app.size.width - 2) - _FRAME)

    def _title(self, at: int, choice: Choice, width: int) -> tuple[str, str]:
        """The number, and the title in as many lines as it takes."""
        wide = len(str(len(self._choices)))
        number = f" {at + 1:>{wide}}  " if self.numbered else " "
        indent = " " * len(number)
        lines = wrapped(indent + safe(choice.title), width, indent + " " * choice.column)
        return number, "\n".join(lines)[len(indent) :]

    def _drawn(self, at: int, choice: Choice, width: int = 0) -> Content:
        width = self._width(width)
        number, title = self._title(at, choice, width)
        indent = " " * len(number)
        if choice.reason:
            lines = wrapped(f"{indent}× {safe(choice.reason)}", width, indent + "  ")
            told = ("\n".join(lines), "$text-warning")
            return Content.assemble(number, (title, "$text-muted"), "\n", told, self._gap(at))
        parts: list[Content | str | tuple[str, str]] = [number, (title, "bold")]
        if choice.line and not (self._cramped and at != self.highlighted):
            lines = wrapped(indent + safe(choice.line), width, indent)
            parts += ["\n", ("\n".join(lines), "$text-muted")]
        return Content.assemble(*parts, self._gap(at))
