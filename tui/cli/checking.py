"""`check`: whether a file system is sound, and what its journal or a repair would change."""

from core.checking import Examined, examine
from core.errors import Exit
from core.i18n import N_, _
from core.session import Session
from core.volumes.checkers import Checked, Verdict
from core.volumes.mounting import Tree
from core.volumes.state import State
from tui.cli.common import Context, open_volume, wanted_state

_STATUS = {
    Verdict.SOUND: Exit.DONE,
    Verdict.PENDING: Exit.IN_PART,
    Verdict.DAMAGED: Exit.IN_PART,
    Verdict.UNKNOWN: Exit.FAILED,
}

_OPTIONS = {
    Verdict.PENDING: N_("With --replay it is checked as its journal leaves it, in an overlay."),
    Verdict.DAMAGED: N_("With --repair it is repaired in an overlay."),
}
"""What the command can do more."""


def check(context: Context) -> int:
    """`check`: a verdict in plain words; with --replay or --repair also which files are not as they lie."""
    options = context.options
    state = wanted_state(options)
    if options.dry_run:
        return context.plan(lambda session: _checked(context, session, state))
    with context.session(proves=True) as session:
        examined = _examined(context, session, state)
    if options.json:
        context.json(examined.to_json())
    else:
        _tell(context, examined, state)
    return _STATUS[examined.checked.verdict]


def _checked(context: Context, session: Session, state: State) -> Checked:
    options = context.options
    return session.check(options.volume, options.way, content=options.fs, to_end=options.to_end, state=state)


def _examined(context: Context, session: Session, state: State) -> Examined:
    context.say(_("Checking, without writing to the disk. Ctrl+C stops it."))

    def opened(one: Session, wanted: State) -> Tree:
        return open_volume(one, context.options, state=wanted)

    return examine(session, lambda wanted: _checked(context, session, wanted), opened, state)


def _tell(context: Context, examined: Examined, state: State) -> None:
    context.out(examined.lies.sentence)
    if not examined.after or not examined.differences:
        if state is State.LEFT and (more := _OPTIONS.get(examined.lies.verdict)):
            context.out(_(more))
        for line in examined.lies.said if context.options.explain else ():
            context.say("  " + line)
        return
    replayed = _("Its journal replayed in an overlay:") if examined.pending else _("Over an overlay:")
    done = _("Repaired in an overlay:") if state is State.REPAIRED else replayed
    if state is State.REPAIRED and examined.after.verdict is not Verdict.SOUND:
        done = _("After the repair in an overlay:")
    context.out(f"{done} {examined.after.sentence}")
    for line in examined.differences.lines():
        context.out(line)
