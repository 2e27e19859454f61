"""`commit`: what a writable mount's overlay holds, written back to its disk."""

import os
import select
import sys

from core.committing import Commit, Committed
from core.comparing import Changes
from core.errors import Cancelled, Exit, Refused
from core.i18n import _
from core.runner import Runner
from core.text import duration, safe, size
from tui.cli.common import Context, absolute


def commit(context: Context) -> int:
    """`commit`: show the changes, ask for the disk's name, back up, write, verify."""
    options = context.options
    known = context.state.find(options.session)
    os.chdir("/")  # so that it is not this program that holds the mount it was started in
    with Commit(context.state, context.runner(), known, options.allow) as work:
        if options.abandon:
            return _abandon(context, work)
        work.require_sound()
        if options.dry_run:
            _tell(context, None if work.half else work.changes())
        else:
            changes = _ready(context, work)
            if changes and not changes.bytes:
                context.say(_("The overlay holds nothing: there is nothing to write."))
                return Exit.DONE
            done = _write(context, work)
            _tell_done(context, done, changes)
            return Exit.DONE
    return _planned(context)


def _ready(context: Context, work: Commit) -> Changes | None:
    """Take down what stands on the overlay, see that all is well, and show the changes."""
    for release in work.take_down():
        context.say(release.note)
    for problem in work.require_ready():
        context.say(problem)
    if work.half:
        context.say(work.half.sentence(context.options.session))
        return None
    changes = work.changes()
    _tell(context, changes)
    work.require_room()
    return changes


def _tell(context: Context, changes: Changes | None) -> None:
    for line in changes.lines() if changes else ():
        context.say(line)


def _write(context: Context, work: Commit) -> Committed:
    dest = absolute(str(context.options.backup)) if context.options.backup else None
    if not work.half:
        place = dest or work.beside()
        words = _(
            "First a verified backup goes to {place}; then {size} are written into {disk} and verified."
        )
        held = sum(end - start for start, end in work.extents)
        context.say(words.format(place=safe(place), size=size(held), disk=safe(work.disk.path)))
        for warning in work.warnings(place):
            context.say(warning)
        dest = place
    typed = _typed(context, work)
    work.require_typed(typed)
    line = context.progress()
    try:
        backup = () if work.half else work.back_up(dest, line.show)
        line.clear()
        if backup:
            context.say(_("The backup is verified: {path}").format(path=safe(backup[0])))
        return work.write(typed, backup, line.show)
    finally:
        line.clear()


def _tell_done(context: Context, done: Committed, changes: Changes | None) -> None:
    if context.options.json:
        context.json({**done.to_json(), **({"changes": changes.to_json()} if changes else {})})
        return
    context.out(
        _("{size} were written into {disk} and verified in {time}; the overlay is gone.").format(
            size=size(done.bytes), disk=safe(done.disk), time=duration(done.seconds)
        )
    )
    if done.backup:
        context.out(_("How it was before is kept: {path}").format(path=safe(done.backup[0])))


def _abandon(context: Context, work: Commit) -> int:
    if not work.half:
        raise Refused(
            _("No commit of this session was cut off."),
            _("Nothing was changed."),
            _("`undo` throws its overlay away."),
        )
    context.say(work.half.sentence(context.options.session))
    work.abandon(_typed(context, work))
    context.out(_("The disk is left as it is now. `undo` takes the overlay away."))
    return Exit.DONE


def _planned(context: Context) -> int:
    options = context.options
    dest = absolute(str(options.backup)) if options.backup else None

    def plan(runner: Runner) -> None:
        with Commit(context.state, runner, context.state.find(options.session), options.allow) as work:
            work.plan(dest)

    return context.planned(plan)


def _typed(context: Context, work: Commit) -> str:
    """What is typed as the disk's name; --yes does not answer that. Raises `Refused` where nobody answers."""
    context.ask(_("Type the disk's name to write to it ({name}): ").format(name=safe(work.name)))
    while sys.stdin is not None and not context.cancel.cancelled:
        if select.select([sys.stdin], [], [], 0.1)[0]:
            if line := sys.stdin.readline():
                return line.rstrip("\r\n")
            break
    if context.cancel.cancelled:
        raise Cancelled(_("Stopped as asked."))
    context.say("")
    raise Refused(
        _("Nobody typed the name of the disk, and --yes does not answer that."),
        _("Nothing was written to the disk; the overlay is kept."),
        _("Run the same command in a terminal, or give the name on standard input."),
    )
