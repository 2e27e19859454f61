"""`convert`: a disk written out in another image format, verified."""

from core.disks.convert import Converted, target_format
from core.errors import Exit, WrongUsage
from core.i18n import _
from core.session import Session
from core.text import duration, safe, size
from tui.cli.common import Context, absolute


def convert(context: Context) -> int:
    """`convert`: write, flush, compare, and only then give the new image its name."""
    options = context.options
    format = target_format(options.to)
    dest = absolute(options.dest)
    if options.dest.endswith("/") and not dest.is_dir():
        raise WrongUsage(
            _("There is no folder {path}.").format(path=safe(dest)),
            _("Nothing was written."),
            _("Make it, or choose another target."),
        )
    line = context.progress()
    if options.dry_run:
        return context.planned(lambda runner: _planned(context, Session(context.plan_state, runner), format))
    with context.session() as session:
        for problem in session.disk.problems if session.disk else ():
            context.say(problem)
        try:
            done = session.convert(dest, format, line.show)
        finally:
            line.clear()
    if options.json:
        context.json(done.to_json())
    else:
        _tell(context, done)
    return Exit.IN_PART if done.lacks else Exit.DONE


def _planned(context: Context, session: Session, format: str) -> None:
    options = context.options
    context.select(session)
    session.convert(absolute(options.dest), format, lambda _progress: None)


def _tell(context: Context, done: Converted) -> None:
    context.out(
        _("{path}: {virtual} as {format}, {allocated} on the medium, verified in {time}.").format(
            path=safe(done.path),
            virtual=size(done.virtual_size),
            format=done.format,
            allocated=size(done.allocated),
            time=duration(done.seconds),
        )
    )
    for lack in done.lacks:
        context.say(lack.sentence())
    for note in done.notes:
        context.say(note)
