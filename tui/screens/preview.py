"""A guest's file, made safe to look at."""

import codecs
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from core.files.preview import Preview
from core.i18n import N_, _, listed
from core.text import size
from tui.plain import plain
from tui.screens.dialog import Dialog
from tui.screens.step import KeyLine
from tui.widgets.long_text import LongBytes, LongText
from tui.widgets.pager import Pager, Pages


class PreviewScreen(Dialog[None]):
    """Text as lines, archives as their list, what is neither as hexadecimal numbers."""

    topic: ClassVar[str] = "preview"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,v,enter,q", "close", N_("back"), show=False)]

    def __init__(self, path: bytes, pages: Pages, read: int, whole: int, what: str = "") -> None:
        super().__init__()
        self._path, self._pages, self._read, self._whole = path, pages, read, whole
        self._what = what

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="wide"):
            yield Static(plain(self._path), classes="title")
            yield Static(self._told(), classes="label", markup=False)
            yield Pager()
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        pager = self.query_one(Pager)
        pager.read(self._pages)
        pager.focus()
        keys = [("↑↓", _("scroll")), ("Space", _("page")), ("g G", _("top, end")), ("Esc", _("back"))]
        self.query_one(KeyLine).show(keys)

    def _told(self) -> str:
        told = size(self._whole)
        if self._read < self._whole:
            told = _("the first {part} of {whole}").format(part=size(self._read), whole=told)
        return listed((told, self._what))

    def action_close(self) -> None:
        self.app.pop_screen()


def pages_of(data: bytes, shown: Preview) -> Pages:
    """The file to read through; for any thread, as it takes a second for a hundred megabytes."""
    if shown.lines:
        return LongText("\n".join(shown.lines).encode())
    if not shown.encoding:
        return LongBytes(data)
    if shown.encoding == "utf-8":
        return LongText(data.removeprefix(codecs.BOM_UTF8))
    return LongText(data.decode(shown.encoding, "replace").removeprefix("\ufeff").encode())
