"""`mount`, `status` and `undo`: what stays up after the program has ended, and taking it down."""

import os
from collections.abc import Callable, Sequence
from typing import Any

from core.errors import Cancelled, Exit, SalvageError, WrongUsage
from core.files.entry import named
from core.hoststate import HostState, Owners, prove
from core.i18n import _, bracketed
from core.session import Session
from core.text import date, safe
from core.undo.health import remarks
from core.undo.live import Seen
from core.undo.patience import stuck
from core.undo.stack import Release
from core.undo.state import Known, NotWrittenDown
from tui.cli.common import Context, absolute, open_volume
from tui.cli.releasing import advise, check_options, gives_up, release


def mount(context: Context) -> int:
    """`mount`: a volume mounted for other tools; it stays until `undo`."""
    options = context.options
    point = absolute(options.directory)

    def steps(session: Session) -> None:
        if options.writable:
            session.protect(overlay=True)
        open_volume(session, options, point)

    if options.dry_run:
        return context.plan(steps, private=False)
    with context.session(private=False) as session:
        room = session.overlay_room() if options.writable else None
        if room:
            context.say(room.sentence())
        steps(session)
        if session.remark:
            context.say("virt-salvage: " + session.remark)
        session.keep()
    document = {
        "session": session.id,
        **named("mounted", os.fsencode(point)),
        "writable": bool(options.writable),
    }
    if room:
        document["overlay"] = room.to_json()
    if options.json:
        context.json(document)
        return Exit.DONE
    context.out(_("Mounted at {path}.").format(path=safe(point)))
    if options.writable:
        context.out(
            _(
                "Every write lands in an overlay, none in the disk; `undo` throws the overlay away,"
                " `commit {id}` writes it to the disk."
            ).format(id=session.id)
        )
    context.out(_("Take it down with: {command}").format(command=context.state.command("undo", session.id)))
    return Exit.DONE


def status(context: Context) -> int:
    """`status`: what is up now, session by session, and what can be seen without their journals."""
    state = context.state
    known, problems, unaccounted = state.known(), state.problems(), state.unaccounted()
    if context.options.json:
        context.json({"sessions": [one.to_json() for one in known], **_beside(problems, unaccounted)})
        return Exit.DONE
    if not known and not problems and not unaccounted:
        context.out(_("Nothing of ours is up on this host."))
    for one in known:
        _tell(context, one)
    _tell_beside(context, context.out, problems, unaccounted)
    return Exit.DONE


def _tell(context: Context, one: Known) -> None:
    account = one.account
    context.out(
        _("{id}  {state}  {disk}  since {time}").format(
            id=safe(account.session), state=_state(one), disk=safe(account.disk), time=date(account.began)
        )
    )
    if account.damaged:
        context.out(
            "  " + _("Lines of its journal that cannot be read: {count}").format(count=account.damaged)
        )
    if account.half:
        context.out("  " + account.half.sentence(account.session))
    said = remarks(account.entries)
    for entry in account.standing:
        gone = one.gone(entry)
        state = bracketed(gone or entry.state_told)
        context.out(f"  {entry.number}. {entry.named}  {safe(entry.target)}  {state}")
        if entry.number in said and not gone:
            context.out("       " + said[entry.number])
        if entry.error:
            context.out("       " + _("when it was tried last: {note}").format(note=entry.error))
        for line in entry.undo:
            context.out("       " + _("undone by: {command}").format(command=safe(line)))


def _beside(problems: Sequence[str], unaccounted: Sequence[Seen]) -> dict[str, Any]:
    """What is told in JSON beside the sessions, where there is anything."""
    told: dict[str, Any] = {}
    if problems:
        told["problems"] = list(problems)
    if unaccounted:
        told["unaccounted"] = [
            {
                "session": one.session,
                "what": one.what,
                "target": one.target,
                "undo": "; ".join(command.shell() for command in one.undo),
            }
            for one in unaccounted
        ]
    return told


def _tell_beside(
    context: Context, tell: Callable[[str], None], problems: Sequence[str], unaccounted: Sequence[Seen]
) -> None:
    """Tell what no journal tells: what can be seen by our names, and the commands that take it down."""
    for problem in problems:
        tell(problem)
    if not unaccounted:
        return
    tell(_("Seen on this host by our names, and told by no journal that can be read:"))
    for one in unaccounted:
        tell(f"  {one.what}  {safe(one.target)}  ({safe(one.session)})")
    tell(_("These commands take it down, in this order:"))
    for one in unaccounted:
        for command in one.undo:
            context.out("  " + safe(command.shell()))


def _state(known: Known) -> str:
    if known.alive:
        return _("at work (pid {pid})").format(pid=known.account.pid)
    return _("left up on purpose") if known.account.kept else _("left behind")


def undo(context: Context) -> int:
    """`undo`: take down what sessions put up, last first."""
    options, state = context.options, context.state
    check_options(context)
    state.sweep()
    chosen = _chosen(context)
    if options.dry_run:
        return _planned_undo(context, chosen)
    before = HostState.now(state.sessions)
    failed = False
    results: list[dict[str, object]] = []
    for one in chosen:
        if one.alive and options.all:
            note = _("Session {id} is at work (pid {pid}); it was left alone.")
            context.say(note.format(id=one.account.session, pid=one.account.pid))
            continue
        if not gives_up(context, one):
            failed = True
            continue
        releases, error = _taken_down(context, one)
        failed = failed or bool(error) or not all(done.released for done in releases)
        results += _results(one, releases)
        for done in releases:
            if not options.json:
                (context.out if done.released else context.say)(done.note)
        advise(context, releases)
        if error:
            context.say("virt-salvage: " + error.paragraph())
    problems, unaccounted = state.problems(), state.unaccounted()
    if options.json:
        context.json({"released": results, **_beside(problems, unaccounted)})
    else:
        if not chosen and not problems and not unaccounted:
            context.out(_("Nothing of ours is up on this host."))
        _tell_beside(context, context.say, problems, unaccounted)
    if results:
        failed = not _proved(context, before, chosen) or failed
    return Exit.FAILED if failed or problems or unaccounted else Exit.DONE


def _results(one: Known, releases: Sequence[Release]) -> list[dict[str, object]]:
    """What became of each thing; with who holds the first that is still up, for the others stand below it."""
    held = stuck(releases)
    session = {"session": one.account.session}
    told: list[dict[str, object]] = []
    for done in releases:
        told.append({**session, "note": done.note, "released": done.released})
        if done.entry is held.entry and held.holders:
            told[-1]["holders"] = [holder.to_json() for holder in held.holders]
    return told


def _taken_down(context: Context, one: Known) -> tuple[list[Release], SalvageError | None]:
    """What became of a session, and why that is not all: one that fails does not keep up the others."""
    try:
        return release(context, one), None
    except NotWrittenDown as error:
        return error.releases, error
    except Cancelled:
        raise
    except SalvageError as error:
        return [], error


def _proved(context: Context, before: HostState, chosen: Sequence[Known]) -> bool:
    """Say whether the host is without what the sessions put up."""
    state = context.state
    mine = {one.account.session for one in chosen if not one.alive}
    owners = Owners(state.sessions)
    for one in chosen:
        owners.add_known(one.account)
    others = [one.account for one in state.known() if one.account.session not in mine]
    proof = prove(before, state.sessions, mine, owners, others)
    context.tell_proof(proof, always=True)
    return proof.as_found


def _planned_undo(context: Context, chosen: Sequence[Known]) -> int:
    for one in chosen:
        for entry in one.account.standing:
            for line in entry.undo:
                context.out(line)
    for seen in context.state.unaccounted():
        for command in seen.undo:
            context.out(command.shell())
    return Exit.DONE


def _chosen(context: Context) -> list[Known]:
    """The sessions that the options name, the newest first."""
    options = context.options
    if options.session and options.all:
        raise WrongUsage(_("Name a session or give --all, not both."))
    known = list(reversed(context.state.known()))
    if options.session:
        named = [one for one in known if one.account.session == options.session]
        if not named and any(one.session == options.session for one in context.state.unaccounted()):
            return []  # it has no journal any more; what is seen of it is told
        return named or [context.state.find(options.session)]
    if options.all:
        return known
    down = [one for one in known if not one.alive]
    if len(down) > 1:
        raise WrongUsage(
            _("There are {count} sessions with something up.").format(count=len(down)),
            remedy=_("Name one (`virt-salvage status` lists them), or give --all."),
        )
    return down
