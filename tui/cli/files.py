"""`ls`, `cat` and `copy`: reading in a volume."""

import os
import stat
import sys

from core.errors import Cancelled, Exit, WrongUsage
from core.files import landing
from core.files.entry import Entry
from core.i18n import _, listed, sentences
from core.session import Session
from core.text import guest_date, safe
from core.volumes.subvolumes import Subvolume
from tui.cli.common import Context, open_volume, table

_MOST = 100
"""Lost ranges of one file that are told one by one."""


def ls(context: Context) -> int:
    """`ls`: a directory inside a volume."""
    options = context.options
    if options.dry_run:
        return context.plan(lambda session: open_volume(session, options))
    with context.session() as session:
        open_volume(session, options)
        warn(context, session)
        with session.guest() as tree:
            entries = list(tree.entries(os.fsencode(options.path)))
    if options.json:
        context.json({"entries": [entry.to_json() for entry in entries]})
    elif entries:
        for line in table([_row(entry) for entry in entries], frozenset({1, 2, 3})):
            context.out(line)
    unread = [entry for entry in entries if entry.error]
    for entry in unread:
        context.say(_("not read: {path}: {what}").format(path=safe(entry.name), what=entry.error))
    return Exit.IN_PART if unread else Exit.DONE


def subvolumes(context: Context) -> int:
    """`subvolumes`: the subvolumes and snapshots of a btrfs."""
    options = context.options
    if options.dry_run:
        return context.plan(lambda session: open_volume(session, options))
    with context.session() as session:
        volume = open_volume(session, options).volume
        if volume.content != "btrfs":
            raise WrongUsage(
                _("Only a btrfs has subvolumes; this is {content}.").format(content=volume.content)
            )
        found = session.subvolumes()
    if options.json:
        context.json({"subvolumes": [one.to_json() for one in found]})
        return Exit.DONE
    rows = [
        (str(one.id), guest_date(one.created) if one.created else "", subvolume_told(one), safe(one.path))
        for one in found
    ]
    for line in table(rows, frozenset({0})):
        context.out(line)
    return Exit.DONE


def subvolume_told(one: Subvolume) -> str:
    """What kind of subvolume it is, in a few words."""
    words = [
        _("snapshot") if one.snapshot else "",
        _("read-only") if one.read_only else "",
        _("shown by itself") if one.default else "",
    ]
    return listed(words)


_TYPE = {
    "file": stat.S_IFREG,
    "dir": stat.S_IFDIR,
    "symlink": stat.S_IFLNK,
    "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
    "char": stat.S_IFCHR,
    "block": stat.S_IFBLK,
}


def _row(entry: Entry) -> tuple[str, ...]:
    name = safe(entry.name)
    if entry.error:
        return "?", "?", "?", "?", "?", name
    if entry.target is not None:
        name += " -> " + safe(entry.target)
    mode = stat.filemode(_TYPE[entry.kind] | entry.mode)
    return mode, str(entry.uid), str(entry.gid), str(entry.size), guest_date(entry.mtime_ns / 1e9), name


def cat(context: Context) -> int:
    """`cat`: a file's bytes to standard output."""
    options = context.options
    if options.dry_run:
        return context.plan(lambda session: open_volume(session, options))
    with context.session() as session:
        open_volume(session, options)
        warn(context, session)
        try:
            poured = session.pour(os.fsencode(options.path), sys.stdout.buffer.write)
            sys.stdout.buffer.flush()
        except BrokenPipeError as error:
            # Nobody reads any more; the interpreter would complain once more at its own flush
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise Cancelled(_("The reader of the output is gone.")) from error
    if not poured.gaps:
        return Exit.DONE
    lost = poured.ranges()
    context.say("virt-salvage: " + sentences((landing.told(poured.gaps, poured.size), _("What was lost:"))))
    for line in lost[:_MOST]:
        context.say("  " + line)
    if len(lost) > _MOST:
        context.say("  " + _("and {count} more").format(count=len(lost) - _MOST))
    return Exit.IN_PART


def warn(context: Context, session: Session) -> str:
    """Say what must be known of the files before they are read; the sentence that makes them doubtful."""
    for told in filter(None, (session.caution, session.remark)):
        context.say("virt-salvage: " + told)
    return session.caution
