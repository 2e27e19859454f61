"""A question for the passphrase of an encrypted image or volume, or the password of an address."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from core.disks.unreached import wanted_title
from core.errors import NeedsPassphrase, SalvageError, WrongUsage
from core.i18n import N_, _
from core.secrets import Secret
from tui.plain import plain
from tui.screens.ask import host_path_field
from tui.screens.dialog import Dialog
from tui.screens.step import KeyLine
from tui.widgets.path_field import PathField, as_path
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
        told = _("It goes into no file and no command line, and is not shown while it is typed.")
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

    def on_input_changed(self, event: Input.Changed) -> None:
        """What was wrong was wrong with another one."""
        if event.value:
            self.query_one("#wrong", Static).update("")

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


@dataclass(frozen=True, slots=True)
class Key:
    """What opens an encrypted volume: a passphrase or the content of a key file, and where its header is."""

    secret: Secret
    header: Path | None = None
    """A file with the header, where it does not lie before the data."""


class AskKey(Dialog[Key]):
    """Asks for the passphrase of a volume, or a key file, and for a header that lies elsewhere."""

    topic: ClassVar[str] = "passphrase"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", N_("back"), show=False)]

    def __init__(
        self, title: str, wrong: str = "", header: str = "", *, apart: bool = False, bitlocker: bool = False
    ) -> None:
        """With `apart` the header is known to lie elsewhere, and is asked for first; `bitlocker` has none."""
        super().__init__()
        self._title, self._wrong, self._header, self._apart = title, wrong, header, apart
        self._bitlocker = bitlocker

    def compose(self) -> ComposeResult:
        told = _(
            "The passphrase, or a file that holds it or a key. A typed passphrase goes into no file and no"
            " command line, and is not shown."
        )
        if self._bitlocker:
            told = _(
                "BitLocker: its password, or the recovery key of 48 digits with its hyphens. It is handed on"
                " through a pipe and written down nowhere. What is typed is not shown."
            )
        with Vertical(id="dialog"):
            yield Static(plain(self._title), classes="title")
            yield Static(plain(told), classes="said")
            with Horizontal(classes="line"):
                yield Static(_("Passphrase"), classes="name", markup=False)
                yield TextLine(id="passphrase", password=True, compact=True)
            with Horizontal(id="key-row", classes="line"):
                yield Static(_("or key file"), classes="name", markup=False)
                yield host_path_field(self.app.flow)
            if not self._bitlocker:
                with Horizontal(id="header-row", classes="line"):
                    yield Static(_("LUKS header"), classes="name", markup=False)
                    yield host_path_field(
                        self.app.flow, self._header, _("only where it lies in a file of its own")
                    )
            yield Static(plain(self._wrong), id="wrong", classes="warning")
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#header-row PathField" if self._apart else "#passphrase").focus()
        self.query_one(KeyLine).show([("Enter", _("open it")), ("Tab", _("next line")), ("Esc", _("back"))])

    def on_input_changed(self, event: Input.Changed) -> None:
        """What was wrong was wrong with another one."""
        if event.value:
            self.query_one("#wrong", Static).update("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._answer()

    def on_path_field_submitted(self, event: PathField.Submitted) -> None:
        event.stop()
        self._answer()

    def _answer(self) -> None:
        typed = self.query_one("#passphrase", Input)
        key, *header = (as_path(field.value) for field in self.query(PathField))
        try:
            if not typed.value and not key:
                raise WrongUsage(_("Type the passphrase, or name a key file."))
            secret = Secret.typed(typed.value) if typed.value else Secret.from_file(Path(key), whole=True)
        except SalvageError as error:
            self.query_one("#wrong", Static).update(plain(error.what))
            return
        typed.clear()
        self.dismiss(Key(secret, Path(header[0]).absolute() if header and header[0] else None))

    def action_close(self) -> None:
        self.app.pop_screen()
