"""What earlier sessions left up, line by line: taken down, or written back into its disk."""

import os
from pathlib import Path

from core.committing import Commit
from core.i18n import _, listed, sentences
from core.runner import SystemRunner
from core.text import date, duration, safe, size
from core.undo.health import is_gone
from core.undo.state import Known
from tui import coaching
from tui.linear.ground import Ground
from tui.linear.talk import BACK


def finish(ground: Ground) -> None:
    """Ask for a session, and what becomes of it, until the person goes back or nothing is left."""
    flow, asides = ground.flow, ground.asides("leftovers")
    while left := ground.on(flow.outside, _("Looking what is still up."), flow.left):
        died = any(one.is_leftover for one in left)
        ground.coach("leftovers", instead=() if died else coaching.nothing_left(linear=True))
        choices = [(one.account.session, _told(one)) for one in left]
        question = _("What earlier sessions left up: which shall be taken down?")
        chosen = ground.talk.choose(question, choices, asides)
        if chosen == BACK:
            return
        known = next(one for one in left if one.account.session == chosen)
        if known.account.over_overlay:
            ways = [
                ("undo", _("Take it down, and throw away what is in the overlay")),
                ("commit", _("Write what its overlay holds into its disk")),
            ]
            way = ground.talk.choose(_("What shall become of it?"), ways, asides)
            if way == "commit":
                write_back(ground, known)
            question = _("What is in the overlay is thrown away for good.")
            if way != "undo" or not ground.talk.sure(question, asides):
                continue
        undo = lambda: flow.do_undo([chosen])  # noqa: B023, E731 - it is run within this turn
        for release in ground.on(flow.outside, _("Taking it down."), undo):
            ground.talk.say(release.note)
    ground.talk.say(_("Nothing is up any more."))


def _told(known: Known) -> str:
    account = known.account
    why = _("left up on purpose") if account.kept else _("its program died")
    up = (entry for entry in account.standing if known.alive or not is_gone(entry))
    points = [safe(entry.target) for entry in up if entry.what == "mount"]
    parts = [account.session, safe(account.disk), date(account.began), why]
    return listed([*parts, *(_("mounted: {path}").format(path=point) for point in points)])


def write_back(ground: Ground, known: Known) -> None:
    """Show what the overlay changes, ask for the disk's name, back up, write and verify."""
    flow, talk, outside = ground.flow, ground.talk, ground.flow.outside
    session = known.account.session
    os.chdir("/")  # so that it is not this program that holds the mount it was started in
    with Commit(flow.state, SystemRunner(outside.cancel), known, ()) as work:
        work.require_sound()
        for release in ground.on(outside, _("Taking it down."), work.take_down):
            talk.say(release.note)
        flow.do_forget_gone()
        for problem in ground.on(outside, "", work.require_ready):
            talk.say(problem)
        dest = None if work.half else work.beside()
        if work.half:
            talk.say(work.half.sentence(session))
        else:
            changes = ground.on(outside, _("Looking what the overlay changes."), work.changes)
            for line in changes.lines():
                talk.say(line)
            if not changes.bytes:
                talk.say(_("The overlay holds nothing: there is nothing to write."))
                return
            work.require_room()
            told = _(
                "First a verified backup goes to {place}; then {size} are written into {disk} and verified."
            )
            held = size(sum(end - start for start, end in work.extents))
            talk.say(told.format(place=safe(dest or ""), size=held, disk=safe(work.disk.path)))
            for warning in work.warnings(dest) if dest else ():
                talk.say(warning)
        name = _("Type the disk's name to write to it ({name}): ").format(name=safe(work.name))
        while (typed := talk.text(name.rstrip(), ground.asides("commit"))) != work.name:
            if typed == BACK:
                talk.say(_("Nothing was written to the disk; the overlay is kept."))
                return
            told = _("That is not the disk's name, which is {name}.").format(name=safe(work.name))
            talk.say(sentences((told, _("Nothing was written."))))
        backup: tuple[Path, ...] = ()
        if not work.half:
            save = lambda: work.back_up(dest, talk.progress)  # noqa: E731
            backup = ground.on(outside, _("Making the backup."), save)
            talk.say(_("The backup is verified: {path}").format(path=safe(backup[0])))
        write = lambda: work.write(typed, backup, talk.progress)  # noqa: E731
        done = ground.on(outside, _("Writing into the disk, and verifying."), write)
    talk.say(
        _("{size} were written into {disk} and verified in {time}; the overlay is gone.").format(
            size=size(done.bytes), disk=safe(done.disk), time=duration(done.seconds)
        )
    )
