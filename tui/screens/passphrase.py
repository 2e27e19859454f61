"""A question for the passphrase of an encrypted image or volume, or the password of an address."""

from collections.abc import Callable
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from core.disks.unreached import wanted_title
from core.errors import NeedsPassphrase, WrongUsage
from core.i18n import N_, _
from core.secrets import Secret
from tui.plain import plain
from tui.screens.dialog import Dialog
from tui.screens.step import KeyLine
from tui.widgets.text_line import TextLine


def ask_passphrase(app: App[Any], error: NeedsPassphrase, then: Callable[[Secret], None]) -> None:
    """Ask for what an image or an address wants; go on with it unless the operator goes back."""
    title = wanted_title(error.path)
    title = title[0].upper() + title[1:]

    def answered(secret: Secret | None) -> None:
        if secret:
            then(secret)

    app.push_screen(AskPassphrase(title, error.what if error.again else ""), answered)


class AskPassphrase(Dialog[Secret]):
    """Asks for a passphrase, which is not shown. `wrong` is what was wrong with the one before."""

    topic: ClassVar[str] = "passphrase"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", N_("back"), show=False)]

    def __init__(self, title: str, wrong: str = "") -> None:
        super().__init__()
        self._title, self._wrong = title, wrong

    def compose(self) -> ComposeResult:
        told = _("It is handed on through a pipe and written down nowhere. What is typed is not shown.")
        with Vertical(id="dialog"):
            yield Static(plain(self._title), classes="title")
            yield Static(plain(told), classes="said")
            yield TextLine(password=True, compact=True)
            yield Static(plain(self._wrong), id="wrong", classes="warning")
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Input).focus()
        self.query_one(KeyLine).show([("Enter", _("open it")), ("Esc", _("back"))])

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            secret = Secret.typed(event.value)
        except WrongUsage as error:
            self.query_one("#wrong", Static).update(plain(error.what))
            return
        event.input.clear()
        self.dismiss(secret)

    def action_close(self) -> None:
        self.app.pop_screen()
