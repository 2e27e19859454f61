"""Taking down what somebody holds: waiting, ending programs with the operator's word, or going lazily."""

import os
import select
import sys
from collections.abc import Sequence
from functools import partial

from core.errors import WrongUsage
from core.i18n import _, ngettext, sentences
from core.text import safe
from core.undo import patience
from core.undo.holders import Held, Holder
from core.undo.stack import Release
from core.undo.state import Known
from tui.cli.common import Context

SETTLES = 3.0
"""Seconds in which what nobody holds any more comes down."""


def check_options(context: Context) -> None:
    """Raise WrongUsage where programs are to be ended and nobody can be asked."""
    options = context.options
    if options.end and not options.yes and not _asks():
        raise WrongUsage(
            _("--end asks before it ends a program, and there is no terminal to ask on."),
            remedy=_("With --yes it asks nothing; it then ends programs, but kills none."),
        )


def gives_up(context: Context, known: Known) -> bool:
    """Whether what a person may have done in the overlay of a session may go; asked only at a terminal.

    Raises Cancelled at the wish to stop: what comes after it is left up too.
    """
    account, options = known.account, context.options
    if not account.written_to or options.yes or options.json or not _asks():
        return True
    session = safe(account.session)
    context.say(
        _(
            "Session {session} was left up on purpose, over an overlay on {disk}: what is in that, such as"
            " what was written there or repaired, goes with it. `virt-salvage commit {session}` writes it"
            " into the disk instead, after a backup."
        ).format(session=session, disk=safe(account.disk))
    )
    if _agrees(context, _("Take it down, and throw that away? [y/N] "), "y", "yes"):
        return True
    context.cancel.check()
    context.say(_("Session {id} was left as it is.").format(id=session))
    return False


def release(context: Context, known: Known) -> list[Release]:
    """Take down what a session put up; what is held is dealt with as the options say.

    Waiting comes first, then ending, then letting go. The wish to stop ends all of that.
    """
    options = context.options
    os.chdir("/")  # so that it is not this program that holds the mount it was started in
    attempt = partial(context.state.undo, known, context.runner())
    if options.wait is None:
        releases = attempt()
    else:
        releases = patience.patiently(attempt, options.wait, context.cancel, partial(_waits, context))
    if options.end and _is_stuck(releases) and not context.cancel.cancelled:
        _end(context, patience.stuck(releases))
        releases = patience.patiently(attempt, SETTLES, context.cancel)
    if options.lazy and _is_stuck(releases) and not context.cancel.cancelled:
        releases = attempt(lazy=True)
    return releases


def _is_stuck(releases: Sequence[Release]) -> bool:
    return not all(one.released for one in releases)


def _waits(context: Context, held: Held) -> None:
    who = held.sentence() or _("Nobody can be seen who holds it.")
    context.say(sentences((_("Waiting until it is free; Ctrl+C ends the waiting."), who)))


def advise(context: Context, releases: Sequence[Release]) -> None:
    """Say what can be done about those who hold what could not be taken down."""
    held = patience.stuck(releases)
    if any(one.is_kin for one in held.holders):
        context.say(_("This program was started in there: type `cd /` in that terminal first."))
    ours = _loops_of_sessions(context)
    for session in dict.fromkeys(ours[one.thing] for one in held.holders if one.thing in ours):
        first = _("Another session stands on it: first `{command}`.")
        context.say(first.format(command=context.state.command("undo", session)))
    others = [one for one in held.holders if one.thing not in ours]
    for command in dict.fromkeys(filter(None, (one.by_hand() for one in others))):
        context.say(_("By hand: {command}").format(command=command))
    if others:
        context.say(_("`undo --wait` waits for them, `--end` ends programs, `--lazy` takes it out of sight."))


def _loops_of_sessions(context: Context) -> dict[str, str]:
    """The loop devices that sessions of this program have up, with the session of each."""
    return {
        entry.target: known.account.session
        for known in context.state.known()
        for entry in known.account.standing
        if entry.what == "loop"
    }


# -- ending ---------------------------------------------------------------------------------------------


def _end(context: Context, held: Held) -> None:
    """End the programs that hold it: SIGTERM after two questions, SIGKILL after another."""
    programs = held.programs
    if not programs:
        context.say(_("No program that may be ended holds it."))
        return
    _name(context, programs)
    if not context.options.yes:
        count = len(programs)
        asked = ngettext("End this program?", "End these {count} programs?", count).format(count=count)
        if not _agrees(context, asked + " [y/N] ", "y", "yes"):
            return
        if not _agrees(context, _("What they have not saved is lost. Type END to end them: "), "end"):
            return
    left = patience.end(held, context.cancel)
    if not left:
        return
    context.say(_("Still there:"))
    _name(context, left)
    kill = _("Killed, a program cannot save anything any more. Type KILL to kill them: ")
    if not context.options.yes and _agrees(context, kill, "kill"):
        patience.end(held, context.cancel, kill=True)


def _name(context: Context, holders: Sequence[Holder]) -> None:
    for one in holders:
        context.say("  " + one.sentence())


def _asks() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _agrees(context: Context, question: str, *words: str) -> bool:
    """Whether the answer on the terminal is one of those words; a wish to stop is none."""
    context.ask(question)
    while not context.cancel.cancelled:
        if select.select([sys.stdin], [], [], 0.1)[0]:
            return sys.stdin.readline().strip().casefold() in words
    return False
