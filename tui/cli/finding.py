"""`find`: what to copy, by name, size, time, owner and content; and what matters first."""

import os

from core.errors import Exit
from core.files.finding import Match, find, wanted
from core.files.matters import matters
from core.i18n import _, noted
from core.session import Session
from core.text import safe, size
from tui.cli.common import Context, open_volume
from tui.cli.files import warn


def find_files(context: Context) -> int:
    """`find`: each entry as it is found, or what matters first with its sizes."""
    options = context.options
    if options.dry_run:
        return context.plan(lambda session: open_volume(session, options))
    what = None if options.matters else wanted(options.words)
    with context.session() as session:
        open_volume(session, options)
        warn(context, session)
        if what is None:
            return _matters(context, session)
        found: list[Match] = []
        errors: list[dict[str, str]] = []

        def failed(path: bytes, error: str) -> None:
            errors.append({"path": os.fsdecode(path), "error": error})
            context.say(_("not read: {path}: {what}").format(path=safe(path), what=error))

        with session.guest() as tree:
            for match in find(tree, b"/", what, context.cancel, failed):
                if options.json:
                    found.append(match)
                else:
                    context.out(_row(match))
    if options.json:
        context.json({"found": [match.to_json() for match in found], "unreadable": errors})
    return Exit.IN_PART if errors else Exit.DONE


def _row(match: Match) -> str:
    told = size(match.entry.size) if match.entry.kind == "file" else match.entry.kind
    row = f"{told:>10}  {safe(match.path)}"
    return f"{row}:{match.number}: {safe(match.line)}" if match.number else row


def _matters(context: Context, session: Session) -> int:
    rows = []
    with session.guest() as tree:
        found = matters(tree)
    for matter in found:
        counted = session.estimate([matter.path])
        rows.append(
            {
                "path": os.fsdecode(matter.path),
                "why": matter.why,
                "files": counted.files,
                "bytes": counted.apparent,
            }
        )
        if not context.options.json:
            context.out(f"{size(counted.apparent):>10}  {noted(safe(matter.path), matter.why)}")
    if context.options.json:
        context.json({"matters": rows})
    elif not rows:
        context.say(_("Nothing that is known as such is on this volume: look through it yourself."))
    return Exit.DONE
