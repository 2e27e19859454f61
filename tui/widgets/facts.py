"""Text above a menu that may be longer than its room; a key turns its pages while the menu has the focus."""

from textual.containers import VerticalScroll
from textual.message import Message


class Facts(VerticalScroll, can_focus=False):
    """As much as fits; posts `Changed` when there is more than that, or no more than that."""

    class Changed(Message):
        """Whether there is more than fits is another now."""

    def on_mount(self) -> None:
        self.watch(self, "show_vertical_scrollbar", self._tell, init=False)

    def _tell(self) -> None:
        self.post_message(self.Changed())

    @property
    def long(self) -> bool:
        """Whether there is more than fits."""
        return self.is_mounted and self.max_scroll_y > 0

    def turn(self) -> None:
        """Turn a page; after the last one comes the first."""
        if self.scroll_y >= self.max_scroll_y:
            self.scroll_home(animate=False)
        else:
            self.scroll_relative(y=max(1, self.size.height - 1), animate=False)
