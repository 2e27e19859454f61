"""`inspect`: looking, without changing anything."""

import shlex
from collections.abc import Sequence

from core.disks.checking import ImageCheck
from core.disks.model import Disk, Snapshot
from core.disks.snapshots import described
from core.disks.ways_out import InUse
from core.errors import Exit, Refused, SalvageError
from core.i18n import _, enumerated, listed, noted, sentences, titled
from core.rebuilding import Rebuilt, rebuild
from core.session import Session
from core.tables.lost.script import by_hand
from core.tables.lost.search import seconds_about
from core.tables.model import PartitionTable
from core.tables.notes import told
from core.text import date, duration, grouped, safe, size
from core.volumes.model import Inspection, Volume
from core.volumes.searched import Searched
from tui.cli.chains import chain_rows, find_missing, repair_hint
from tui.cli.common import Context, absolute, look, table
from tui.cli.formats import show_formats
from tui.cli.holding import holder_line

NO_TABLE = PartitionTable(None, None, "primary", 512, 0, (), (), ())
"""Of a disk that was not opened."""


def inspect(context: Context) -> int:
    """`inspect`: what the disk is, its table, and what each volume contains."""
    options = context.options
    if options.formats:
        return show_formats(context)
    if options.dry_run:
        return context.plan(lambda session: _plan(context, session))
    if options.candidates:
        return find_missing(context)
    checked: list[ImageCheck] = []
    refusal: Refused | None = None
    written: Rebuilt | None = None
    with context.session() as session:
        assert session.disk
        disk, beside = session.disk, session.others.disks
        if options.check:
            checked = session.check_images()
        try:
            inspection = _opened(context, session, look(context, session))
        except Refused as error:
            # What its header says and who holds it is known all the same
            refusal, inspection = error, Inspection(NO_TABLE, ())
        if context.options.write_table and not refusal:
            written = _write(context, session)
    if context.options.as_sfdisk and isinstance(inspection, Searched):
        return _print_script(context, disk, inspection)
    if context.options.json:
        document = {
            "disk": disk.to_json(),
            "table": inspection.table.to_json(),
            "volumes": [volume.to_json() for volume in inspection.volumes],
        }
        if beside:
            document["beside"] = [other.to_json() for other in beside]
        if isinstance(inspection, Searched):
            document["search"] = inspection.to_json()
        if written:
            document["written"] = written.to_json()
        if options.check:
            document["check"] = [one.to_json() for one in checked]
        if isinstance(refusal, InUse):
            document["ways_out"] = [way.to_json() for way in refusal.ways]
        context.json(document)
    else:
        _show_disk(context, disk, checked)
        context.out()
        for one in beside:
            _show_disk(context, one, ())
            context.out()
        if not refusal:
            _show_table(context, inspection)
            _show_search(context, disk, inspection)
        if written:
            context.out()
            context.out(written.sentence())
    if refusal:
        raise refusal
    return Exit.DONE


def _opened(context: Context, session: Session, inspection: Inspection) -> Inspection:
    """What is seen when the passphrases given have opened what they fit; as it was where none is given."""
    options = context.options
    if not (options.passphrase_file or options.passphrase_fd or options.key_file):
        return inspection
    for locked in session.unlock_what_fits():
        context.say(locked.what)
    return session.inspect()


def _plan(context: Context, session: Session) -> None:
    session.view()
    if context.options.write_table:
        _write(context, session)


def _write(context: Context, session: Session) -> Rebuilt:
    """Write the table that the search found to where the options say."""
    line = context.progress()
    try:
        return rebuild(session, absolute(str(context.options.write_table)), context.options.to, line.show)
    finally:
        line.clear()


def _print_script(context: Context, disk: Disk, inspection: Searched) -> int:
    """The table as sfdisk takes it, and how to apply it without touching the disk."""
    if not inspection.sfdisk:
        raise SalvageError(_("The search found nothing that a table could be made of."))
    for line in (*by_hand(disk.path, disk.format), *inspection.sfdisk.splitlines()):
        context.out(line)
    return Exit.DONE


def _show_search(context: Context, disk: Disk, inspection: Inspection) -> None:
    """What a search set aside; where there was none and nothing else was found, that one can be made."""
    if not isinstance(inspection, Searched):
        nothing = all(volume.content is None and not volume.candidates for volume in inspection.volumes)
        if nothing and not inspection.table.partitions:
            context.out(
                _(
                    "The disk can be searched for lost partitions, which takes about {time}:"
                    " virt-salvage inspect --scan {disk}"
                ).format(
                    time=duration(seconds_about(disk.actual_size)),
                    disk=safe(shlex.quote(disk.given)),
                )
            )
        return
    found = inspection.found
    context.out()
    context.out(
        _("Searched {size} of data in {time}.").format(size=size(found.read), time=duration(found.seconds))
    )
    if inspection.aside:
        context.out(_("Also found, and set aside; each can be opened by its ID too:"))
    for one in inspection.aside:
        volume = one.volume
        place = _("at byte {place}").format(place=volume.offset)
        name = titled(volume.id, listed((volume.content or "", size(volume.size), place)))
        context.out("  " + sentences((_("{message}.").format(message=name), one.reason)))
    if inspection.more:
        context.out("  " + _("... and {count} more").format(count=inspection.more))


def _snapshot(one: Snapshot) -> str:
    memory = "  " + _("with {size} of memory").format(size=size(one.vm_size)) if one.vm_size else ""
    return f"{safe(one.id)}  {safe(one.name)}  {date(one.date.timestamp())}{memory}"


def _show_disk(context: Context, disk: Disk, checked: Sequence[ImageCheck]) -> None:
    rows = [
        (_("Disk"), disk.title),
        (_("Format"), disk.format),
        (_("Size"), noted(size(disk.virtual_size), f"{grouped(disk.virtual_size)} B")),
        (_("On the host"), size(disk.actual_size)),
    ]
    rows += chain_rows(disk, checked)
    rows += [(_("Snapshot"), _snapshot(one)) for one in disk.snapshots]
    if disk.snapshot:
        rows.append((_("Shown is"), _("the snapshot {name}").format(name=described(disk.snapshot))))
    rows += [(_("Held by"), holder_line(holder)) for holder in disk.held_by]
    rows += [(_("Note"), problem) for problem in disk.problems]
    if hint := repair_hint(checked):
        rows.append((_("Repair"), hint))
    for line in table(rows):
        context.out(line)


def _show_table(context: Context, inspection: Inspection) -> None:
    read = inspection.table
    if read.label:
        context.out(
            _("Partition table: {label}, sectors of {size} bytes").format(
                label=read.label, size=read.sector_size
            )
        )
        if not read.partitions:
            context.out("  ! " + _("The table has no partitions."))
    else:
        context.out(_("No partition table."))
    for problem in read.problems:
        context.out(f"  ! {problem}")
    for note in filter(None, (*read.notes, told(read.sources))):
        context.out(f"  - {note}")
    contents = {volume.id: volume for volume in inspection.volumes}
    rows = [
        (
            _("ID"),
            _("KIND"),
            _("START"),
            _("END"),
            _("OFFSET"),
            _("SIZE"),
            _("TYPE"),
            _("CONTENT"),
            _("LABEL"),
        )
    ]
    for part in read.partitions:
        volume = contents.get(str(part.number))
        kind = {"primary": _("primary"), "extended": _("extended"), "logical": _("logical")}[part.kind]
        rows.append(
            (
                str(part.number),
                kind,
                str(part.start),
                str(part.end),
                str(part.offset),
                size(part.size),
                _(part.type_name),
                *_content(volume, part.name),
            )
        )
    whole = contents.get("disk")
    if whole:
        rows.append((whole.id, _("disk"), "0", "", "0", size(whole.size), "", *_content(whole)))
    kinds = {"lv": _("logical volume"), "luks": _("encrypted"), "md": _("array")}
    others = {"partition": _("partition"), "disk": _("disk")}
    rows += [
        (safe(one.id), {**kinds, **others}[one.kind], "", "", "", one.size_told, _where(one), *_content(one))
        for one in inspection.volumes
        if one.of_another_disk or one.kind in kinds
    ]
    for line in table(rows, frozenset({2, 3, 4, 5})):
        context.out(line)
    for volume in inspection.volumes:
        for problem in volume.problems:
            context.out(f"  ! {volume.id}: {problem}")


def _where(volume: Volume) -> str:
    """In what it lies, in the column of the partitions' types."""
    around = volume.across or ((volume.inside,) if volume.inside else ())
    return _("in {volume}").format(volume=safe(enumerated(around))) if around else ""


def _content(volume: Volume | None, name: str | None = None) -> tuple[str, str]:
    """Content and label; the name that the table gives it where it has no label of its own."""
    if volume is None:
        return "", safe(name or "")
    nothing = _("locked") if volume.locked else "?" if volume.seen_when_opened else "-"
    return safe(volume.content or nothing), safe(volume.label or name or "")
