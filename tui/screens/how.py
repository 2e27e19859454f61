"""How the files are copied: what becomes of what is there, what lends rights, how much is read back."""

from concurrent.futures import Future, wait
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import OptionList, Static

from core.files.choices import Choices, Clash, Existing
from core.i18n import N_, _, listed
from core.text import guest_date, size
from tui.plain import plain
from tui.screens.dialog import Dialog
from tui.screens.menu import Choice, Menu
from tui.screens.step import KeyLine
from tui.widgets.file_table import kind_told
from tui.widgets.lines import left

if TYPE_CHECKING:
    from tui.app import SalvageApp

_PATIENCE = 0.2
"""Seconds between two looks whether the work is to stop."""
_EXISTING: dict[Existing, str] = {
    "leave": N_("leave it and list it"),
    "both": N_("keep both, the guest's with a number"),
    "replace": N_("replace it with the guest's"),
    "ask": N_("ask each time"),
}
_VERIFY = {
    "fits": N_("as far as it is quick"),
    "all": N_("all of it"),
    "none": N_("nothing"),
}


def _next(values: list[str], value: str) -> str:
    return values[(values.index(value) + 1) % len(values)]


class HowScreen(Dialog[Choices]):
    """Enter takes the next value; what the target cannot keep stands above."""

    topic: ClassVar[str] = "how"
    around: ClassVar[int] = 9
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", N_("back"), show=False)]

    def __init__(self, choices: Choices, go: str, sentence: str = "") -> None:
        super().__init__()
        self._picked, self._go, self._sentence = choices, go, sentence

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static(_("How to copy"), classes="title", markup=False)
            if self._sentence:
                yield Static(plain(self._sentence), classes="warning")
            yield Menu(self._offered())
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        self.query_one(Menu).focus()
        self.query_one(KeyLine).show(
            [("↑↓", _("move")), ("Enter", _("take or change it")), ("Esc", _("back, as it was"))]
        )

    def _offered(self) -> list[Choice]:
        picked = self._picked
        kept, not_kept = _("kept"), _("left out, and listed")
        unset = _("not set on the copies, but listed")
        return [
            Choice("go", self._go),
            Choice(
                "existing",
                _("If something else of that name is there: {what}").format(
                    what=_(_EXISTING[picked.existing])
                ),
                _("What is the same already is passed over."),
            ),
            Choice(
                "privileges",
                _("Setuid, capabilities, immutable flag: {what}").format(
                    what=kept if picked.privileges else unset
                ),
                _("The files are copied. With these, programs of the guest would have rights here."),
            ),
            Choice(
                "devices",
                _("Device nodes: {what}").format(what=kept if picked.devices else not_kept),
                _("Here they would lead to this host's hardware."),
            ),
            Choice(
                "verify",
                _("Read back and compare: {what}").format(what=_(_VERIFY[picked.verify])),
                _("The copy, past the cache, against the checksums of what was read."),
            ),
            Choice(
                "paths",
                _("Names at the target: {what}").format(
                    what=_("the guest's whole paths") if picked.paths else _("each thing under its own")
                ),
                _("Whole paths keep two things of one name apart."),
            ),
        ]

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        picked = self._picked
        match event.option.id:
            case "go":
                self.dismiss(picked)
                return
            case "existing":
                picked = replace(picked, existing=_next(list(_EXISTING), picked.existing))  # type: ignore[arg-type]
            case "verify":
                picked = replace(picked, verify=_next(list(_VERIFY), picked.verify))  # type: ignore[arg-type]
            case "paths":
                picked = replace(picked, paths=not picked.paths)
            case "privileges":
                picked = replace(picked, privileges=not picked.privileges)
            case _other:
                picked = replace(picked, devices=not picked.devices)
        self._picked = picked
        self.query_one(Menu).offer(self._offered())

    def action_close(self) -> None:
        self.app.pop_screen()


class Asking:
    """Asks on the screen for the thread that copies; an answer can be for all the rest."""

    def __init__(self, app: "SalvageApp") -> None:
        self._app = app
        self._always: Existing | None = None

    def decide(self, clash: Clash) -> Existing:
        """Called on the operator's thread, which waits here; stopping the work ends the waiting."""
        if self._always:
            return self._always
        answer: Future[tuple[Existing, bool] | None] = Future()
        self._app.call_from_thread(self._app.push_screen, ClashScreen(clash), answer.set_result)
        while not answer.done():
            self._app.flow.operator.cancel.check()
            wait([answer], _PATIENCE)
        wish, always = answer.result() or ("leave", False)
        self._always = wish if always else None
        return wish


class ClashScreen(Dialog[tuple[Existing, bool]]):
    """What is to become of one thing that is there; the answer, and whether it is for all the rest."""

    topic: ClassVar[str] = "clash"
    around: ClassVar[int] = 10
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", N_("leave it"), show=False)]

    def __init__(self, clash: Clash) -> None:
        super().__init__()
        self._clash = clash

    def compose(self) -> ComposeResult:
        clash = self._clash
        with Vertical(id="dialog"):
            yield Static(_("Something else of that name is there"), classes="title", markup=False)
            yield Static(plain(clash.path), classes="said")
            sides = (_("in the guest"), clash.guest), (_("at the target"), clash.there)
            wide = max(cell_len(whose) for whose, _entry in sides)
            for whose, entry in sides:
                much = size(entry.size) if entry.kind == "file" else kind_told(entry)
                told = listed([much, guest_date(entry.mtime_ns / 1e9)])
                yield Static(plain(f"{left(whose, wide)}  {told}"), classes="said")
            yield Menu(
                [
                    Choice("leave", _("Leave it"), _("The guest's is not copied; the report names it.")),
                    Choice("both", _("Keep both: the guest's gets a number")),
                    Choice("replace", _("Replace it"), _("What is at the target now is lost.")),
                    Choice("leave+", _("Leave it, here and everywhere")),
                    Choice("both+", _("Keep both, here and everywhere")),
                    Choice("replace+", _("Replace it, here and everywhere")),
                ]
            )
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        self.query_one(Menu).focus()
        self.query_one(KeyLine).show([("↑↓", _("move")), ("Enter", _("choose")), ("Esc", _("leave it"))])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        answer = event.option.id or "leave"
        wishes: dict[str, Existing] = {"leave": "leave", "both": "both", "replace": "replace"}
        self.dismiss((wishes[answer.rstrip("+")], answer.endswith("+")))

    def action_leave(self) -> None:
        self.dismiss(("leave", False))
