"""`copy` and `apply`: files out of a volume, and what their target could not keep."""

import argparse
import os
import sys
from dataclasses import replace

from core.errors import Exit, WrongUsage
from core.files.applying import apply as apply_sidecar
from core.files.choices import Choices, Clash, Existing
from core.files.destination import Destination, destination
from core.files.outcome import Copied, there_told, verified_told
from core.i18n import N_, _, listed, ngettext, titled
from core.session import Session
from core.text import duration, guest_date, safe, size
from tui.cli.common import Context, ProgressLine, absolute, open_volume
from tui.cli.files import warn

_MOST = 200
"""Lines of each list on the screen; the report has them all."""
_KINDS = {"file": N_("file"), "dir": N_("folder"), "symlink": N_("link"), "fifo": N_("pipe")}


def copy(context: Context) -> int:
    """`copy`: files and trees out of a volume, checked."""
    options = context.options
    *sources, dest = options.paths
    wanted = [os.fsencode(source) for source in sources]
    target = destination(dest)
    if target.shape == "stream" and options.json and not options.dry_run:
        raise WrongUsage(
            _("--json and - both write to standard output."),
            _("Nothing was copied."),
            _("Give one of them another place."),
        )
    if options.dry_run:
        return context.plan(lambda session: _planned_copy(session, options, wanted, target))
    line = context.progress()
    choices = _choices(context, line)
    with context.session(proves=True) as session:
        open_volume(session, options)
        told = warn(context, session), session.remark
        try:
            copied = session.copy(wanted, target, line.show, choices)
        finally:
            line.clear()
        caution = session.caution
        if (caution, session.remark) != told:
            warn(context, session)
    if options.json:
        context.json(copied.to_json())
    else:
        _tell(context, copied, target)
    return Exit.DONE if copied.whole and not caution else Exit.IN_PART


def _choices(context: Context, line: ProgressLine) -> Choices:
    options = context.options
    if options.existing == "ask" and not options.yes and not sys.stdin.isatty():
        raise WrongUsage(
            _("--existing ask wants a terminal to ask at."),
            _("Nothing was copied."),
            _("Say leave, both or replace instead."),
        )

    def tell(sentence: str) -> None:
        line.clear()
        context.say("virt-salvage: " + sentence)

    return replace(_wished(options), decide=_Asking(context, line).decide, tell=tell)


def _wished(options: argparse.Namespace) -> Choices:
    """What the command line says, whether it is done or only planned."""
    return Choices(
        existing="leave" if options.existing == "ask" and options.yes else options.existing,
        paths=options.whole_paths,
        privileges=options.privileges,
        devices=options.devices,
        verify=options.verify,
        bad_map=options.bad_map,
    )


class _Asking:
    """Asks at the terminal what is to become of something that is there; an answer can be for all."""

    def __init__(self, context: Context, line: ProgressLine) -> None:
        self._context = context
        self._line = line
        self._always: Existing | None = None

    def decide(self, clash: Clash) -> Existing:
        if self._always:
            return self._always
        self._line.clear()
        say = self._context.say
        say(_("{path}: something else of that name is in the target.").format(path=safe(clash.path)))
        for whose, entry in ((_("the guest's"), clash.guest), (_("there"), clash.there)):
            kind = _(_KINDS.get(entry.kind, entry.kind))
            told = listed((kind, size(entry.size), guest_date(entry.mtime_ns / 1e9)))
            say("  " + titled(whose, told))
        letters: dict[str, Existing] = {"l": "leave", "b": "both", "r": "replace"}
        while True:
            self._context.cancel.check()
            self._context.ask(_("[l]eave it, keep [b]oth, [r]eplace it; a capital letter for all the rest: "))
            answer = sys.stdin.readline()
            letter = answer.strip()[:1]
            if not answer:
                return "leave"
            wish = letters.get(letter.lower())
            if wish:
                self._always = wish if letter.isupper() else None
                return wish


def _planned_copy(
    session: Session, options: argparse.Namespace, sources: list[bytes], dest: Destination
) -> None:
    open_volume(session, options)
    session.copy(sources, dest, lambda _progress: None, _wished(options))


def _tell(context: Context, copied: Copied, target: Destination) -> None:
    say = context.say if target.shape == "stream" else context.out
    there = there_told(copied)
    if not there or copied.skipped_same < copied.files:
        files = ngettext("{count} file", "{count} files", copied.files).format(count=copied.files)
        came = _("{size} copied to {path} in {time}.").format(
            size=size(copied.bytes),
            path=safe(target.remote or target.path),
            time=duration(copied.seconds),
        )
        say(listed((files, came)))
    if there:
        say(there)
    if target.shape not in ("stream", "rsync", "rclone"):
        say(_("Checksums: {path}").format(path=safe(copied.manifest)))
    else:
        say(_("The checksums went with the files: SHA256SUMS"))
    say(_("Read back from the target and compared: {what}").format(what=verified_told(copied)))
    gaps = [one.told() for one in copied.unreadable]
    unkept = _("not kept: {path}: {what}")
    lost = [unkept.format(path=safe(one.path), what=one.what) for one in copied.lost_metadata]
    for rows in (gaps, lost):
        for told in rows[:_MOST]:
            context.say(told)
        if len(rows) > _MOST:
            context.say(_("and {count} more: see the report").format(count=len(rows) - _MOST))
    if copied.has_taken:
        context.say(_("--existing both or replace says what else is to become of names that are taken."))
    if copied.sidecar:
        context.say(
            _(
                "What was not kept is in {path}; `virt-salvage apply` gives it to the copies elsewhere."
            ).format(path=safe(copied.sidecar))
        )


def apply(context: Context) -> int:
    """`apply`: what the first target of copies could not keep, where they lie now."""
    options = context.options
    sidecar = absolute(options.sidecar)
    folder = absolute(options.folder) if options.folder else sidecar if sidecar.is_dir() else sidecar.parent
    if options.dry_run:
        context.out("# " + _("Give the files in {path} what the list has.").format(path=safe(folder)))
        return Exit.DONE
    applied = apply_sidecar(
        sidecar, folder, context.cancel, privileges=options.privileges, devices=options.devices
    )
    if options.json:
        context.json(applied.to_json())
    else:
        done = ngettext(
            "{count} entry has all that it had.", "{count} entries have all that they had.", applied.done
        )
        context.out(done.format(count=applied.done))
        for left in applied.left:
            context.say(_("not kept: {path}: {what}").format(path=safe(left.path), what=left.what))
    return Exit.IN_PART if applied.left else Exit.DONE
