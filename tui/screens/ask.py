"""A question for a path."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from core.i18n import N_, _
from tui.plain import plain
from tui.screens.dialog import Dialog
from tui.screens.step import KeyLine
from tui.widgets.path_field import Name, PathField, host_names

if TYPE_CHECKING:
    from tui.flow import Flow


def host_path_field(
    flow: "Flow", value: str = "", placeholder: str = "", *, folders_only: bool = False
) -> PathField:
    """A field for a path of this host that never lists a guest's tree, and lists off the screen's thread."""

    async def listed(folder: str) -> Sequence[Name]:
        return await asyncio.wrap_future(flow.outside.submit(host_names, folder))

    guests = [flow.state.path / "sessions", *(shown.point for shown in flow.in_sight)]
    return PathField(value, placeholder=placeholder, folders_only=folders_only, outside=guests, lister=listed)


class AskPath(Dialog[Path]):
    """Asks for a path; what it answers is absolute. `wrong` says what is wrong with one, or nothing."""

    topic: ClassVar[str] = "ask"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", N_("back"), show=False)]
    means_folder = False
    """Whether what was answered ends in a slash, which its path does not show."""

    def __init__(
        self,
        title: str,
        line: str,
        start: Path,
        wrong: Callable[[Path], str] | None = None,
        *,
        folders_only: bool = False,
    ) -> None:
        super().__init__()
        self._folders_only = folders_only
        self._title, self._line, self._start, self._wrong = title, line, start, wrong

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static(plain(self._title), classes="title")
            yield Static(plain(self._line), classes="said")
            yield host_path_field(self.app.flow, self._begun(), folders_only=self._folders_only)
            yield Static(id="wrong", classes="warning")
            yield KeyLine(id="keys")

    def _begun(self) -> str:
        """The path that stands there at first; a name can be typed behind a folder at once."""
        start = str(self._start)
        return start if start.endswith("/") or not self._start.is_dir() else start + "/"

    def on_mount(self) -> None:
        self.query_one(PathField).focus()
        self.query_one(KeyLine).show([("Enter", _("take it")), ("Tab", _("complete")), ("Esc", _("back"))])

    def on_path_field_submitted(self, event: PathField.Submitted) -> None:
        event.stop()
        path = Path(event.path).expanduser().absolute()
        self.means_folder = event.path.endswith("/")
        wrong = self._wrong(path) if self._wrong else ""
        if wrong:
            self.query_one("#wrong", Static).update(plain(wrong))
        else:
            self.dismiss(path)

    def action_close(self) -> None:
        self.app.pop_screen()
