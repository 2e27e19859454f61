"""What is done with a volume, line by line: its files, a subvolume, its journal, a check, a mount."""

from dataclasses import dataclass, replace

from core.checking import Examined
from core.errors import WantsOverlay
from core.i18n import _, sentences
from core.text import safe
from core.volumes.checkers import CHECKERS
from core.volumes.filesystems import FILE_SYSTEMS, only_read
from core.volumes.model import Volume
from core.volumes.state import State
from tui import plans
from tui.cli.common import absolute
from tui.linear.ground import Ground
from tui.linear.talk import BACK
from tui.linear.telling import subvolume_told


@dataclass(frozen=True, slots=True)
class Opening:
    """The choices for one volume. `chosen` tells whether its files are open then."""

    ground: Ground
    volume: Volume

    def chosen(self) -> bool | None:
        """True when the files are open, False to be asked again, None for another volume."""
        flow, volume = self.ground.flow, self.volume
        if volume.pending:
            told = _("It was not unmounted, as after a crash: its last changes may be in its journal only.")
            self.ground.talk.say(told)
        asides = self.ground.asides("volume", plans.opening(flow, volume))
        question = _("What shall be done with {volume}?").format(volume=volume.title)
        chosen = self.ground.talk.choose(question, self._choices(), asides)
        if chosen == BACK:
            return None
        if chosen == "subvolume":
            return self._subvolume()
        try:
            return self._do(chosen, State.REPLAYED if chosen == "replay" else State.LEFT)
        except WantsOverlay as error:
            return self._over(error) and self._do(chosen, State.REPLAYED)

    def _do(self, chosen: str, state: State) -> bool:
        """Do what was chosen, in a state; whether the files are open then."""
        if chosen == "check":
            return self._checked(state)
        if chosen in ("show", "write"):
            self._show(state, writable=chosen == "write")
            return False
        return self._browse(state)

    def _over(self, error: WantsOverlay) -> bool:
        """Tell why the volume wants an overlay; whether it shall have one."""
        talk = self.ground.talk
        talk.say(sentences((error.what, error.meaning)))
        over = _("Open it over an overlay")
        choices = [("over", over), ("back", _("Back to {volume}").format(volume=self.volume.title))]
        return talk.choose(_("What next?"), choices, self.ground.asides("volume")) == "over"

    def _choices(self) -> list[tuple[str, str]]:
        write = _("Mount it for other tools; what is written goes to an overlay")
        replay = _("Browse and copy files, with the journal replayed (recommended)")
        return [
            *([("replay", replay)] if self.volume.pending and self._may_replay() else []),
            ("browse", _("Browse and copy files")),
            ("show", _("Mount it for other tools, for reading only")),
            *([] if only_read(self.volume.content) else [("write", write)]),
            *([("replay", replay)] if not self.volume.pending and self._may_replay() else []),
            *([("subvolume", _("A subvolume or snapshot of it"))] if self.volume.content == "btrfs" else []),
            ("check", _("Check whether it is sound")),
        ]

    def _may_replay(self) -> bool:
        if self.volume.seen_when_opened:
            return True
        system = FILE_SYSTEMS.get(self.volume.content or "")
        return system is not None and system.replayed is not None and self.volume.pending

    def _browse(self, state: State, subvolume: str = "") -> bool:
        flow = self.ground.flow
        told = _("Mounting it for this program alone.")
        self.ground.work(told, flow.do_open, self.volume, "loop", state=state, subvolume=subvolume)
        self.ground.warn()
        flow.marked = ()
        return True

    def _show(self, state: State, *, writable: bool) -> None:
        ground = self.ground
        place = ground.talk.text(_("At which folder?"), ground.asides("volume"))
        if place == BACK:
            return
        point = absolute(place)
        question = _("There is no folder {path}: make it, and mount the volume there?").format(
            path=safe(point)
        )
        if not (point.is_dir() or ground.talk.sure(question, ground.asides("volume"))):
            ground.talk.say(_("Nothing was mounted."))
            return
        show = lambda: ground.flow.do_show(self.volume, point, writable, state)  # noqa: E731
        shown = ground.on(ground.flow.outside, _("Mounting it."), show)
        ground.talk.say(_("Mounted at {path}.").format(path=safe(shown.point)))
        later = _("It stays when this program ends. To take it down later: {command}")
        ground.talk.say(later.format(command=ground.flow.state.command("undo", shown.session)))
        if writable:
            back = _("To write what is in the overlay into the disk: {command}")
            ground.talk.say(back.format(command=ground.flow.state.command("commit", shown.session)))

    def _subvolume(self) -> bool:
        ground = self.ground
        found = ground.work(_("Looking for subvolumes."), ground.flow.do_subvolumes, self.volume)
        choices = [(f"s{one.id}", subvolume_told(one)) for one in found]
        question = _("Which subvolume or snapshot of {volume}?").format(volume=self.volume.title)
        chosen = ground.talk.choose(question, choices, ground.asides("subvolumes"))
        return chosen != BACK and self._browse(State.LEFT, chosen.removeprefix("s"))

    def _checked(self, state: State) -> bool:
        """Check it in a state, tell what was found, and ask what next."""
        ground = self.ground
        told = {
            State.LEFT: _("Checking, without writing to the disk."),
            State.REPLAYED: _("Carrying out its journal in an overlay, and comparing."),
            State.REPAIRED: _("Repairing it in an overlay, and comparing."),
        }[state]
        examined = ground.work(told, ground.flow.do_check, self.volume, state)
        if self.volume.seen_when_opened and examined.checked.volume:
            return replace(self, volume=examined.checked.volume)._told(examined, state)
        return self._told(examined, state)

    def _told(self, examined: Examined, state: State) -> bool:
        """What a check found; ask what next, see `chosen` for the answer."""
        ground = self.ground
        ground.talk.say(examined.checked.sentence)
        if examined.differences:
            for line in examined.differences.lines():
                ground.talk.say(line)
        checker = CHECKERS.get(self.volume.content or "")
        choices = [
            *([("browse", _("Browse and copy the files in that state"))] if state is not State.LEFT else []),
            *(
                [("show", _("Mount it at a folder in that state, read only"))]
                if state is not State.LEFT
                else []
            ),
            *(
                [("replay", _("Carry out its journal in an overlay, and see which files differ"))]
                if state is not State.REPLAYED and self._may_replay()
                else []
            ),
            *(
                [("repair", _("Repair it in an overlay, and see which files differ"))]
                if state is not State.REPAIRED and checker and checker.repair
                else []
            ),
            ("back", _("Back to {volume}").format(volume=self.volume.title)),
        ]
        chosen = ground.talk.choose(_("What next?"), choices, ground.asides("check"))
        if chosen == "browse":
            return self._browse(state)
        if chosen == "show":
            self._show(state, writable=False)
        elif chosen in ("replay", "repair"):
            return self._checked(State.REPLAYED if chosen == "replay" else State.REPAIRED)
        return False
