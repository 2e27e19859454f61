"""A line to type a path of this host in, which completes what is typed."""

import os
import stat
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.cells import cell_len
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from core.i18n import N_, _
from core.text import grouped, safe
from tui.widgets.lines import left
from tui.widgets.text_line import TextLine

_MOST = 10_000
"""Names of one folder that are looked at."""
_ROWS = 4
"""Lines of candidates."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name in a folder of the host."""

    text: str
    folder: bool


@dataclass(frozen=True, slots=True)
class Completion:
    """The text as far as it is certain, and the names that it may go on with."""

    text: str
    names: tuple[Name, ...]


Lister = Callable[[str], Awaitable[Sequence[Name]]]
"""Gives the names in a folder, folders first; it may take its time (a network file system)."""


class PathField(Vertical):
    """Tab completes the path and shows what it may go on with; Enter posts `Submitted`.

    Tab goes on to the next widget where there is nothing to complete. `outside` are folders whose
    content is never listed: the trees of guests, where a link may lead anywhere on this host.
    """

    DEFAULT_CSS = """
    PathField { height: auto; }
    PathField > Input { width: 1fr; }
    PathField > Static { height: auto; max-height: 4; color: $text-muted; padding: 0 1; }
    """

    class Submitted(Message):
        """Enter was pressed; `path` is absolute unless it names no path of this host (a URI, vm:NAME)."""

        def __init__(self, field: "PathField", path: str) -> None:
            super().__init__()
            self.field = field
            self.path = path

        @property
        def control(self) -> "PathField":
            return self.field

    class Changed(Message):
        """Something else is typed now."""

    def __init__(
        self,
        value: str = "",
        *,
        placeholder: str = "",
        folders_only: bool = False,
        outside: Sequence[Path] = (),
        lister: Lister | None = None,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._first = self._offered = value
        self._placeholder = placeholder
        self._folders_only = folders_only
        self._outside = tuple(outside)
        self._lister = lister
        self._told_for: str | None = None

    def compose(self) -> ComposeResult:
        yield _Line(self._first, placeholder=self._placeholder, compact=True, select_on_focus=False)
        yield Static("", markup=False, classes="-empty")

    @property
    def value(self) -> str:
        """What is typed."""
        return self.query_one(_Line).value if self.is_mounted else self._first

    @value.setter
    def value(self, text: str) -> None:
        self._first = self._offered = text
        if self.is_mounted:
            self._put(text)

    def _put(self, text: str) -> None:
        line = self.query_one(_Line)
        line.value = text
        line.cursor_position = len(text)

    def focus(self, scroll_visible: bool = True) -> "PathField":
        """Put the cursor into the line."""
        self.query_one(_Line).focus(scroll_visible)
        return self

    def on_input_changed(self, event: Input.Changed) -> None:
        """What is begun as a whole path behind the one that is offered means that path alone."""
        event.stop()
        offered, self._offered = self._offered, ""
        now = self.value  # more may have been typed since
        if now == offered:
            self._offered = offered
        elif offered and now.startswith((f"{offered}/", f"{offered}~")):
            self._put(now[len(offered) :])
            return
        self.post_message(self.Changed())
        if self._told_for not in (None, event.value):
            self._told_for = None
            self._tell("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Submitted(self, as_path(event.value)))

    def complete(self) -> None:
        """Complete what is typed; raises SkipAction when that was tried before, in vain."""
        text = self.value
        if self._told_for == text or not text:
            raise SkipAction
        self.run_worker(self._complete(text), exclusive=True)

    async def _complete(self, text: str) -> None:
        folder = folder_of(text)
        if is_outside(folder, self._outside):
            names: Sequence[Name] = ()
        elif self._lister:
            names = await self._lister(folder)
        else:
            names = host_names(folder)
        if self.value != text:  # somebody typed on meanwhile
            return
        found = completed(text, [name for name in names if name.folder or not self._folders_only])
        self._put(found.text)
        self._told_for = found.text if found.text == text or len(found.names) > 1 else None
        self._tell(self._told(found))

    def _tell(self, text: str) -> None:
        names = self.query_one(Static)
        names.update(Content(text))
        names.set_class(not text, "-empty")

    def _told(self, found: Completion) -> str:
        if not found.names:
            return _("Nothing here begins like that.")
        if len(found.names) == 1:
            return ""
        return "\n".join(laid_out(found.names, max(20, self.size.width - 2), _ROWS))


class _Line(TextLine):
    """The line itself."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("tab", "complete", N_("complete"))]

    def action_complete(self) -> None:
        field = self.parent
        assert isinstance(field, PathField)
        field.complete()


def as_path(text: str) -> str:
    """The text with ``~`` replaced by the home folder; spaces around it do not count."""
    return os.path.expanduser(text.strip())


def folder_of(text: str) -> str:
    """The folder whose names complete `text`."""
    return os.path.dirname(os.path.expanduser(text)) or "."


def is_outside(folder: str, outside: Iterable[Path]) -> bool:
    """Whether `folder` lies in one of the folders that are never listed, links resolved."""
    real = Path(os.path.realpath(folder))
    return any(real == one or one in real.parents for one in outside)


def host_names(folder: str) -> list[Name]:
    """Folders first, then files and block devices, each by name; nothing where it cannot be read."""
    names: list[Name] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = _name(entry)
                if name:
                    names.append(name)
                if len(names) >= _MOST:
                    break
    except OSError:
        return []
    return sorted(names, key=lambda name: (not name.folder, name.text))


def _name(entry: os.DirEntry[str]) -> Name | None:
    try:
        mode = entry.stat().st_mode
    except OSError:
        return None
    if stat.S_ISDIR(mode):
        return Name(entry.name, folder=True)
    return Name(entry.name, folder=False) if stat.S_ISREG(mode) or stat.S_ISBLK(mode) else None


def completed(text: str, names: Sequence[Name]) -> Completion:
    """Complete the last part of `text` with `names` of its folder.

    A name that begins with a dot counts only when a dot was typed. A name with invisible characters
    or invalid bytes is shown, but not typed for the person: what stands in the line can be read.
    """
    typed = os.path.basename(text)
    fitting = tuple(
        name
        for name in names
        if name.text.startswith(typed) and (typed.startswith(".") or not name.text.startswith("."))
    )
    if not fitting or any(safe(name.text) != name.text for name in fitting):
        return Completion(text, fitting)
    common = _common_beginning([name.text for name in fitting])
    end = "/" if len(fitting) == 1 and fitting[0].folder else ""
    return Completion(text[: len(text) - len(typed)] + common + end, fitting)


def _common_beginning(texts: Sequence[str]) -> str:
    lowest, highest = min(texts), max(texts)
    for at, char in enumerate(lowest):
        if highest[at] != char:
            return lowest[:at]
    return lowest


def laid_out(names: Sequence[Name], width: int, rows: int) -> list[str]:
    """The names in columns, in at most `rows` lines; the last says how many more there are."""
    shown = [safe(name.text) + ("/" if name.folder else "") for name in names]
    column = min(width, max(cell_len(text) for text in shown) + 2)
    across = max(1, width // column)
    fits = across * rows
    lines = []
    for begin in range(0, min(len(shown), fits), across):
        lines.append("".join(left(text, column) for text in shown[begin : begin + across]).rstrip())
    if len(shown) > fits:
        kept = across * (rows - 1)
        lines[-1] = _("and {count} more").format(count=grouped(len(shown) - kept))
    return lines
