"""Where the copied files go: the kinds of target, what each of them keeps, and the question for the place."""

import os
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, OptionList, Static

from core import tools
from core.errors import WrongUsage
from core.files.destination import Destination, destination, is_remote
from core.i18n import N_, _
from core.text import safe
from tui.plain import plain
from tui.screens.ask import host_path_field
from tui.screens.dialog import Dialog
from tui.screens.menu import Choice, Menu
from tui.screens.step import KeyLine
from tui.widgets.path_field import PathField
from tui.widgets.text_line import TextLine

_REMOTE = ("rsync", "rclone")


class TargetScreen(Dialog[str]):
    """Answers with the kind of target: `folder`, `tar`, `zip`, `rsync`, `rclone`."""

    topic: ClassVar[str] = "target"
    around: ClassVar[int] = 7
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", N_("back"), show=False)]

    def __init__(self, now: Destination | None) -> None:
        super().__init__()
        self._now = now

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static(_("Where shall the files go?"), classes="title", markup=False)
            yield Menu(_kinds())
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        super().on_mount()
        menu = self.query_one(Menu)
        menu.focus()
        shapes = [menu.get_option_at_index(at).id for at in range(menu.option_count)]
        if self._now and self._now.shape in shapes:
            menu.highlighted = shapes.index(self._now.shape)
        self.query_one(KeyLine).show([("↑↓", _("move")), ("Enter", _("choose")), ("Esc", _("back"))])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)

    def action_close(self) -> None:
        self.app.pop_screen()


def _kinds() -> list[Choice]:
    lacks = {
        name: ""
        if tools.find(name)
        else _("{program} is not installed on this host: apt-get install {program}").format(program=name)
        for name in _REMOTE
    }
    return [
        Choice(
            "folder",
            _("A folder of this host"),
            _("Keeps what its file system can; what it cannot is listed first. Resumes when interrupted."),
        ),
        Choice(
            "tar",
            _("One file: a .tar, or a .tar.zst that takes less room"),
            _("Keeps all but sockets. Begins anew when interrupted."),
        ),
        Choice(
            "zip",
            _("One file: a .zip, for Windows"),
            _("Keeps content, modes, owners, links, times to the second; no attributes, holes, hard links."),
        ),
        Choice(
            "rsync",
            _("Another machine, by rsync"),
            _("What the other end cannot keep is not listed. Resumes when interrupted."),
            lacks["rsync"],
        ),
        Choice(
            "rclone",
            _("Another machine or a cloud, by rclone"),
            _("Keeps content, and times, modes and owners where the other end has them."),
            lacks["rclone"],
        ),
    ]


class AskTarget(Dialog[Destination]):
    """Asks for the place of a target of one kind, and takes no other."""

    topic: ClassVar[str] = "target"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", N_("back"), show=False)]

    def __init__(self, kind: str, start: str) -> None:
        super().__init__()
        self._kind, self._start = kind, start

    def compose(self) -> ComposeResult:
        title, line = _question(self._kind)
        with Vertical(id="dialog"):
            yield Static(plain(title), classes="title")
            yield Static(plain(line), classes="said")
            if self._kind in _REMOTE:
                yield TextLine(self._start, compact=True, select_on_focus=False)
            else:
                yield host_path_field(self.app.flow, self._start, folders_only=self._kind == "folder")
            yield Static(id="wrong", classes="warning")
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Input).focus()
        complete = [] if self._kind in _REMOTE else [("Tab", _("complete"))]
        self.query_one(KeyLine).show([("Enter", _("take it")), *complete, ("Esc", _("back"))])

    def on_path_field_submitted(self, event: PathField.Submitted) -> None:
        event.stop()
        self._take(event.path)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._take(f"{self._kind}:{self._typed(event.value.strip())}")

    def _typed(self, place: str) -> str:
        """What was typed, without the word that the command line wants before it."""
        prefix = f"{self._kind}:"
        is_own = place.startswith(prefix) and not place.startswith(f"{prefix}//")
        return place.removeprefix(prefix) if is_own else place

    def _take(self, word: str) -> None:
        try:
            place = self._read(word)
        except WrongUsage as error:
            self.query_one("#wrong", Static).update(plain(error.paragraph()))
            return
        self.dismiss(place)

    def _read(self, word: str) -> Destination:
        if self._kind == "folder":
            # The kind was chosen: neither an ending nor a "-" makes something else of it
            return _folder(Path(word).expanduser().absolute())
        if self._kind in _REMOTE:
            _require_elsewhere(self._kind, word.removeprefix(f"{self._kind}:"))
        place = destination(word)
        if place.shape != self._kind:
            endings = ".zip" if self._kind == "zip" else ".tar, .tar.zst"
            raise WrongUsage(
                _("{path} is not the name of such a file.").format(path=word),
                remedy=_("Give it a name that ends in {endings}.").format(endings=endings),
            )
        return place

    def action_close(self) -> None:
        self.app.pop_screen()


def _folder(path: Path) -> Destination:
    """A folder that is there or can be made. Raises `WrongUsage` where a file is in the way."""
    there = next((one for one in (path, *path.parents) if os.path.lexists(one)), path)
    if not there.is_dir():
        raise WrongUsage(
            _("{path} is a file, not a folder.").format(path=safe(there)),
            remedy=_("Choose another folder; one that is missing is made."),
        )
    return Destination("folder", path)


def _require_elsewhere(kind: str, place: str) -> None:
    """Raise `WrongUsage`, in the words of this field, unless that is a place that the program reaches."""
    like = _("Write it like backup:/srv/rescued.")
    if kind == "rclone":
        like = _("Write it like remote:folder.")
    other = next((one for one in _REMOTE if one != kind and place.startswith(f"{one}:")), "")
    if other and not place.startswith(f"{other}://"):
        told = _("{word} is a place for {program}, which is another kind of target.")
        raise WrongUsage(told.format(word=safe(place), program=other), remedy=like)
    if place.startswith("/"):
        told = _("{path} is a folder of this host: no other machine is named.")
        raise WrongUsage(told.format(path=safe(place)), remedy=like)
    if place.startswith("-") or not is_remote(place):
        told = _("{word} names no place for {program}.")
        raise WrongUsage(told.format(word=safe(place), program=kind), remedy=like)


def question(kind: str, now: Destination | None) -> AskTarget:
    """The question for the place of a target of that kind; what was chosen before stands there."""
    if now and now.shape == kind:
        return AskTarget(kind, now.remote or str(now.path))
    if kind in _REMOTE:
        return AskTarget(kind, "")
    here = now.path if now and not now.remote else Path.cwd() / "recovered"
    bare = here.with_name(here.name.removesuffix(".zst").removesuffix(".tar").removesuffix(".zip"))
    return AskTarget(kind, str(bare) + {"tar": ".tar", "zip": ".zip"}.get(kind, ""))


def _question(kind: str) -> tuple[str, str]:
    match kind:
        case "folder":
            return _("Into which folder?"), _("It is made if it is missing.")
        case "tar":
            return _("Into which .tar?"), _("A name that ends in .tar.zst packs it too. It must be new.")
        case "zip":
            return _("Into which .zip?"), _("It must be new.")
        case "rsync":
            return (
                _("To which place, by rsync?"),
                _(
                    "As rsync writes it, such as root@backup:/srv/rescued or rsync://backup/module. No"
                    " password can be typed here: a key or an agent must let this host in."
                ),
            )
        case _other:
            return (
                _("To which place, by rclone?"),
                _("A remote out of your rclone.conf and a folder there, such as backup:rescued."),
            )
