"""`backup`: a verified byte copy of a disk's own files, and what there is already."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from core.disks.backup import BackedUp
from core.disks.naming import dest_of
from core.errors import Exit
from core.i18n import _, listed, ngettext, sentences
from core.runner import Runner
from core.session import Session
from core.text import date, duration, safe, size
from tui.cli.common import Context, ProgressLine, absolute


def backup(context: Context) -> int:
    """`backup`: copy, compare, and only then give the copy its name; or look at what there is."""
    options = context.options
    if options.find:
        return _find(context)
    if options.verify:
        return _verify(context)
    dest, frozen = dest_of(options.dest), options.lvm_snapshot

    def planned(runner: Runner) -> None:
        session = Session(context.plan_state, runner)
        context.select(session)
        session.backup(dest, lambda _progress: None, frozen=frozen)
        if session.disk and session.disk.is_shown:
            return  # a plan shows nothing that could be measured
        outlook = session.outlook(dest, frozen=frozen)
        context.say(sentences((outlook.sentence(), outlook.refusal)))

    if options.dry_run:
        return context.planned(planned)
    with context.session(proves=frozen) as session:
        context.say(session.outlook(dest, frozen=frozen).sentence())
        with _told(context) as line:
            done = session.backup(dest, line.show, frozen=frozen)
    if options.json:
        context.json(done.to_json())
    else:
        _tell(context, done)
    return Exit.DONE if done.whole else Exit.IN_PART


def _tell(context: Context, done: BackedUp) -> None:
    context.out(
        listed(
            (
                ngettext("{count} file", "{count} files", done.files).format(count=done.files),
                _("{size} backed up and verified in {time}.").format(
                    size=size(done.bytes), time=duration(done.seconds)
                ),
            )
        )
    )
    context.out(_("Checksums: {path}").format(path=safe(os.fspath(done.manifest))))
    for one in done.unreadable:
        context.say(
            _("not read: {path}: {length} bytes at {offset}: {error}").format(
                path=safe(one.path), length=one.length, offset=one.offset, error=one.error
            )
        )
    for lost in done.lost_metadata:
        context.say(_("not kept: {path}: {what}").format(path=safe(lost.path), what=lost.what))
    for note in done.notes:
        context.say(note)


def _find(context: Context) -> int:
    """`backup DISK --find [FOLDER]`: what may be backups of the disk, by their names."""
    options = context.options
    given = absolute(options.dest) if options.dest else None
    with context.session() as session:
        found = session.find_backups(given)
    if options.json:
        context.json({"candidates": [one.to_json() for one in found]})
        return Exit.DONE
    for one in found:
        sums = _("with checksums") if one.verified else _("without checksums")
        told = f"{safe(one.path)}  {size(one.size)}  {date(one.mtime_ns / 1e9)}  {sums}"
        context.out(told)
    if found:
        context.say(_("Whether one is of this disk: virt-salvage backup DISK FILE --verify"))
    else:
        context.say(_("Nothing here is named like a backup of this disk."))
    return Exit.DONE


def _verify(context: Context) -> int:
    """`backup DISK DEST --verify`: compare an existing backup with the disk."""
    path = absolute(context.options.dest)
    with context.session() as session, _told(context) as line:
        verdict = session.examine_backup(path, line.show)
    if context.options.json:
        context.json(verdict.to_json())
    else:
        context.out(verdict.sentence)
    return Exit.DONE if verdict.kind == "same" else Exit.FAILED


@contextmanager
def _told(context: Context) -> Iterator[ProgressLine]:
    line = context.progress()
    try:
        yield line
    finally:
        line.clear()
