"""The walk through the steps: the wizard's own flow, asked line by line."""

import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from core.disks.finding import USUAL_FOLDERS
from core.disks.model import Disk
from core.disks.ways_out import InUse
from core.errors import Ambiguous, Exit, PointsOutside, SalvageError, SeveralMembers, WrongUsage
from core.files.destination import Destination, destination
from core.i18n import _, enumerated, listed, sentences
from core.lab import labs, results, telling
from core.lab.lab import Verdict
from core.machines.inventory import Group, inventory
from core.runner import Runner
from core.session import Session
from core.text import safe
from core.undo.state import StateFolder
from core.volumes.model import Volume
from tui import coaching, ending, plans
from tui.chosen import Protection, Wish
from tui.cli.common import absolute
from tui.cli.passphrases import Passphrases
from tui.flow import Flow, make_session
from tui.keeping import do_keep
from tui.linear import keys
from tui.linear.browse import Browser
from tui.linear.copying import copy
from tui.linear.ground import Ground, Step
from tui.linear.leftovers import finish
from tui.linear.opening import Opening
from tui.linear.practise import answer, choose, set_out
from tui.linear.protecting import backup, protection, snapshot, which
from tui.linear.talk import BACK, Leave, Talk
from tui.linear.telling import disk_told, recovered, volume_told
from tui.machines import machine_told
from tui.openable import hindrance, openable


class Walk(Ground):
    """One person's way through the steps; each step says which one comes next."""

    def __init__(self, flow: Flow, talk: Talk, wish: Wish | None = None) -> None:
        super().__init__(flow, talk)
        self._wish = wish
        self._searching = self._enough = False
        self._verdict: Verdict | None = None
        passphrases = Passphrases((), (), (), flow.operator.cancel)

        def asking(state: StateFolder, runner: Runner, private: bool) -> Session:
            session = make_session(state, runner, private)
            session.ask = lambda path: passphrases.unlock(session, path)
            return session

        flow.maker = asking

    def run(self) -> int:
        """Walk until the person leaves; the exit status. What is up then is the caller's to take down."""
        signals = {
            number: signal.signal(number, self._interrupted)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        step: Step | None = self._given if self._wish else self._start
        try:
            while step:
                try:
                    step = step()
                except SalvageError as error:
                    self.talk.say(error.paragraph())
                    for way in error.ways if isinstance(error, InUse) else ():
                        self.talk.say(f"- {way.title}")
                    if self.talk.ended:
                        raise Leave(interrupted=True) from error
                    step = self._after_trouble(step)
        except Leave as leave:
            return Exit.INTERRUPTED if leave.interrupted else Exit.DONE
        finally:
            for number, before in signals.items():
                signal.signal(number, before)
        return Exit.DONE

    def _interrupted(self, number: int, _frame: object) -> None:
        """A signal stops the work that goes on; at a question it ends the walk."""
        if number == signal.SIGINT and self._searching:
            self._enough = True
            return
        self.flow.operator.cancel.cancel()
        self.flow.outside.cancel.cancel()
        self.talk.ended = self.talk.ended or number != signal.SIGINT
        if self.talk.asking:
            raise Leave(interrupted=True)

    def _after_trouble(self, failed: Step) -> Step:
        """The nearest step before the trouble that still stands; the disk is asked for again."""
        if self.flow.volume_open:
            return self._files
        if self.flow.view_open:
            return self._partition
        if failed == self._given:
            return self._before_disk if self.flow.exercise else self._disk
        return self._protect if self.flow.disk else self._before_disk

    @property
    def _before_disk(self) -> Step:
        """Where a disk that is not gone on with leads back to."""
        return self._ticket if self.flow.exercise else self._start

    # -- from the start to a disk ---------------------------------------------------------------

    def _start(self) -> Step | None:
        left = self.on(self.flow.outside, _("Looking what is still up."), self.flow.left)
        choices = [
            ("practise", _("Practise on a disk made for it")),
            ("recover", _("Recover files from a disk")),
            *([("left", _("Take down what an earlier session left up"))] if left else []),
            ("quit", _("Quit")),
        ]
        chosen = self.talk.choose(_("What shall be done?"), choices, self.asides("start"))
        steps: dict[str, Step] = {
            "practise": self._practise,
            "recover": self._disk,
            "left": self._leftovers,
        }
        return self._start if chosen == BACK else steps.get(chosen)

    def _leftovers(self) -> Step:
        finish(self)
        return self._start

    def _practise(self) -> Step:
        exercise = choose(self)
        if exercise is None:
            return self._start
        self.flow.exercise = exercise
        return self._ticket

    def _ticket(self) -> Step:
        exercise = set_out(self, self.flow.exercise) if self.flow.exercise else None
        if exercise is None:
            return self._practise
        self.flow.exercise = exercise
        if exercise.lab.goal.kind == "clean":
            finish(self)
            return self._ticket
        self._wish = Wish(str(exercise.disk))
        return self._given

    def _disk(self) -> Step:
        self.flow.exercise = None
        places: list[tuple[str, str]] = []
        self.talk.say(_("Looking for disks."))
        for one in inventory([Path.cwd(), *USUAL_FOLDERS], []):
            if isinstance(one, Group):
                name = machine_told(one.machine)
                found = [member.found for member in one.members if member.found]
                places += [(str(disk.path), listed((name, disk_told(disk)))) for disk in found]
            else:
                places.append((str(one.path), disk_told(one)))
        places.append(("other", _("Another: its path or address is asked for")))
        answer = self.talk.choose(_("Which disk?"), places, self.asides("disk"))
        if answer == BACK:
            return self._start
        if answer == "other":
            answer = self.talk.text(_("The path or address of the disk:"), self.asides("disk"))
            if answer == BACK:
                return self._disk
        self._wish = Wish(answer)
        return self._given

    def _given(self) -> Step:
        assert self._wish
        self.coach("disk")
        try:
            self.work(_("Reading the header of the disk."), self.flow.do_select, self._wish)
        except PointsOutside as error:
            self.talk.say(error.paragraph())
            typed = self.talk.text(_("To allow it, type that path; else Enter:"), self.asides("trouble"))
            if typed != str(error.path):
                return self._before_disk
            self._wish = replace(self._wish, allow=(*self._wish.allow, error.path))
            return self._given
        except (Ambiguous, SeveralMembers) as error:
            return self._which(error)
        return self._protect

    def _which(self, error: Ambiguous | SeveralMembers) -> Step:
        assert self._wish
        wish = which(self, self._wish, error)
        if wish is None:
            return self._before_disk
        self._wish = wish
        return self._given

    # -- from the disk to a volume --------------------------------------------------------------

    def _protect(self) -> Step:
        disk = self.flow.disk
        if disk is None:
            return self._start
        chosen = protection(self, disk)
        if chosen == BACK:
            return self._before_disk
        if chosen == "snapshot":
            return self._snapshot(disk)
        if chosen in ("backup", "frozen"):
            backup(self, frozen=chosen == "frozen")
            return self._protect
        self.work(_("Attaching the disk and reading its table."), self.flow.do_inspect, Protection(chosen))
        return self._partition

    def _snapshot(self, disk: Disk) -> Step:
        wish = snapshot(self, disk, self.flow.wish) if self.flow.wish else None
        if wish:
            self._wish = wish
            self.work(_("Reading the header of the disk."), self.flow.do_select, wish)
        return self._protect

    def _partition(self) -> Step:
        seen = self.flow.inspection
        if seen is None:
            return self._protect
        table = seen.table
        self.talk.say(
            _("Partition table: {label}, sectors of {size} bytes").format(
                label=table.label, size=table.sector_size
            )
            if table.label
            else _("No partition table.")
        )
        for problem in table.problems:
            self.talk.say(problem)
        self.coach("partitions")
        volumes = openable(seen)
        choices = [(f"v{volume.id}", volume_told(volume, seen)) for volume in volumes]
        choices.append(("search", _("Search the whole disk for lost partitions")))
        if lacking := seen.lacking:
            told = _("Name the disk that has the other parts of {volume}")
            choices.append(("add", told.format(volume=lacking.title)))
        if keys.offered(seen):
            choices.append(("key", _("Open one by a key file, or by a LUKS header in a file of its own")))
        chosen = self.talk.choose(_("Which volume?"), choices, self.asides("partitions"))
        if chosen == BACK:
            self.work(_("Taking the disk down."), self.flow.do_close_view)
            return self._protect
        if chosen == "search":
            self._search()
            return self._partition
        if chosen == "key":
            name = keys.unlock(self, seen)
            return self._into(name) if name else self._partition
        if chosen == "add":
            typed = self.talk.text(_("Its path; Enter alone goes back:"), self.asides("partitions"))
            if typed not in (BACK, ""):
                told = _("Attaching both disks and reading them together.")
                self.work(told, self.flow.do_add, Path(typed).absolute())
            return self._partition
        volume = next(one for one in volumes if one.id == chosen[1:])
        if why := hindrance(volume, seen):
            self.talk.say(why)
            return self._partition
        if volume.locked:
            road = self.flow.road()
            self.work(_("Opening the encrypted volume."), road.find, volume.id)
            self.flow.inspection = road.inspect()
            return self._into(volume.id)
        return lambda: self._open(volume)

    def _into(self, name: str) -> Step:
        """On from an encrypted volume that is open now: into it, unless several lie in it."""
        seen = self.flow.inspection
        volume = seen.get(name) if seen else None
        if seen is None or volume is None or hindrance(volume, seen):
            return self._partition
        return lambda: self._open(volume)

    def _search(self) -> None:
        self._enough = False
        self._searching = True
        try:
            told = _("Searching; Ctrl+C keeps what was found so far.")
            self.work(told, self.flow.do_search, lambda _found: None, lambda: self._enough)
        finally:
            self._searching = False

    def _open(self, volume: Volume) -> Step:
        self.coach("volume", volume)
        opened = Opening(self, volume).chosen()
        if opened is None:
            return self._partition
        return self._files if opened else lambda: self._open(volume)

    # -- files ------------------------------------------------------------------------------------

    def _files(self) -> Step:
        self.coach("files")
        browser = Browser(self)
        marked = browser.choose()
        if not marked:
            self.work(_("Closing the volume."), self.flow.do_close_volume)
            return self._partition
        if marked != self.flow.marked:
            self.flow.marked, self.flow.copied = marked, None
        return self._copy

    def _copy(self) -> Step:
        task = self.flow.task()
        offered = str(labs.recovered(task.lab, self.flow.labs)) if task else ""
        self.talk.say(_("To a folder, a new .tar, .tar.zst or .zip, rsync:PLACE or rclone:PLACE."))
        question = _("Where shall they be copied to?")
        if offered:
            question = sentences((question, _("Enter alone: {path}").format(path=safe(offered))))
        word = self.talk.read(question, self.asides("target")) or offered
        if word in (BACK, "b"):
            self.talk.say(_("Nothing was copied."))
            return self._files
        try:
            place = destination(word)
        except WrongUsage as error:
            self.talk.say(error.paragraph())
            return self._copy
        # Standard output is what the questions are asked on, so a "-" is a folder's name here
        self.flow.target = Destination("folder", absolute(word)) if place.shape == "stream" else place
        plan = self.asides("files", plans.copying(self.flow))
        copied = copy(self, plan)
        if copied is None:
            return self._files
        self.flow.copied = copied
        self._verdict = None
        return self._done

    def _done(self) -> Step | None:
        copied, task = self.flow.copied, self.flow.task()
        if copied is None:
            return self._files
        for line in recovered(copied, self.flow.target):
            self.talk.say(line)
        self.warn()
        judged = coaching.after_check(self._verdict, task.lab, linear=True) if self._verdict and task else ()
        self.coach("done", instead=judged)
        folder = self.flow.target is None or self.flow.target.shape == "folder"
        choices = [
            *([("check", _("Check whether the task is solved"))] if task and folder else []),
            *([("answer", labs.asked(task.lab, self.flow.labs))] if task and task.lab.goal.question else []),
            ("keep", _("Save a script that does the same by hand")),
            ("files", _("Back to the files")),
            ("partition", _("Another partition")),
            ("disk", _("Another disk")),
            ("leave", _("Take everything down and quit")),
        ]
        chosen = self.talk.choose(_("What next?"), choices, self.asides("done", plans.copying(self.flow)))
        if chosen == "check" and task:
            where, who = copied.manifest.parent, results.login()
            self._verdict = self.work(_("Checking."), labs.check, task.lab, self.flow.labs, where, who)
            for said in telling.verdict(self._verdict):
                self.talk.say(said.text)
            return self._done
        if chosen == "answer" and task:
            answer(self, task.lab)
            return self._done
        if chosen == "keep":
            kept = self.work(_("Writing the script."), do_keep, self.flow)
            self.talk.say(_("Beside the report: {names}").format(names=enumerated(one.name for one in kept)))
            return self._done
        if chosen == "partition":
            self.work(_("Closing the volume."), self.flow.do_close_volume)
            return self._partition
        if chosen in ("disk", "leave"):
            self.work(_("Taking everything down."), self.flow.do_close)
            return self._disk if chosen == "disk" else None
        return self._files


def run(flow: Flow, disk: Wish | None, *, plain: bool) -> int:
    """The walk at this terminal, with everything taken down at its end; the exit status."""
    talk = Talk.here(plain=plain)
    try:
        status = Walk(flow, talk, disk).run()
    finally:
        told = ending.end(flow)
    with suppress(Leave):  # where the terminal is gone there is nobody to tell
        for line in told:
            talk.say(line)
    return status
