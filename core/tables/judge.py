"""The judgement on a partition table: what libparted, sfdisk and our own readers say, made one.

libparted comes first where it accepts the table. It refuses a whole table for one bad entry, so our
own readers decide where it gives up, and every difference becomes a sentence.
"""

import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from core.i18n import _, enumerated, ngettext
from core.runner import Runner
from core.tables import gpt, mbr, spacing
from core.tables.check import placement_problems
from core.tables.content import Content, probe
from core.tables.floppy import looks_like_boot_sector
from core.tables.model import Partition, PartitionTable, Reader, Reading, Sources, gaps_between
from core.tables.notes import notes
from core.tables.opinions import Extent, Opinion, ask_libparted, ask_sfdisk
from core.tables.sectors import Sectors
from core.tables.types import PROTECTIVE
from core.text import safe

MOST_PROBLEMS = 40
_MOST_NAMED = 3
"""Partitions named in one sentence about a difference."""
_NAMES = "translate partition name"
"""libparted complains so about names beyond the basic plane; it is our own reading that is shown of them."""
_SFDISK_MOST = 60
"""sfdisk lists no more partitions of an MBR (util-linux, libfdisk/src/dos.c, MAXIMUM_PARTS)."""


def read_table(
    view: Path, size: int, scratch: Path, runner: Runner, sector_size: int = 512
) -> PartitionTable:
    """The partition table of the disk of `size` bytes that `view` shows raw.

    `view` is only read. `scratch` is a private folder of this session, in which the table copy lies
    while other programs read it. `sector_size` is the disk's, where something is known about it.
    Raises `SalvageError` when the view cannot be opened, `Cancelled` when the work is to stop.
    """
    with Sectors(view, size) as sectors:
        found = mbr.first_sector(sectors, sector_size)
        found = found if found and found.sane else None
        gpt_reading = gpt.read(sectors, sector_size)
        whole = probe(view, 0, None, runner)
        if whole.usage == "filesystem" and _in_the_way(sectors, found, gpt_reading):
            table = _no_table(size, sector_size, *_left_over(gpt_reading))
        else:
            given = sector_size
            if found and not found.protective:
                sector_size = spacing.measured(view, sectors, found, given, runner)
            reading = _own_reading(sectors, found, gpt_reading, sector_size)
            used = reading.sector_size if reading else sector_size
            ped, second = _asked(sectors, scratch, runner, used)
            reading = reading and _with(reading, *_underneath(whole), *_spaced(reading, given))
            table = _judged(reading, ped, second, size, used)
        problems = (*sectors.problems, *table.problems)
    return replace(table, problems=_limited(problems))


def _in_the_way(sectors: Sectors, found: mbr.Mbr | None, gpt_reading: Reading | None) -> bool:
    """Whether the file system that fills the disk counts, and what looks like a table does not.

    It is then the boot sector of that file system, or the backup of a GPT whose beginning the file
    system has overwritten.
    """
    if found and found.protective:
        return False
    if looks_like_boot_sector(sectors.read(0, 512)):
        return True
    unannounced = found is None or not found.used
    return unannounced and (gpt_reading is None or gpt_reading.source == "backup")


def _left_over(gpt_reading: Reading | None) -> list[str]:
    """A sentence about a GPT that a file system on the whole disk has replaced."""
    if gpt_reading is None:
        return []
    return [_("The disk once had a GPT, of which a copy is left; the file system on the whole disk counts.")]


def _underneath(whole: Content) -> list[str]:
    """A sentence about a file system that seems to fill a disk with a table."""
    if whole.usage != "filesystem":
        return []
    said = _(
        "The disk as a whole also carries the signature of a file system ({content});"
        " it may be left over, or a hybrid."
    )
    return [said.format(content=safe(str(whole.content)))]


def _spaced(reading: Reading, given: int) -> list[str]:
    """A sentence about an MBR whose sectors have another size than the medium's."""
    if reading.label != "msdos" or reading.sector_size == given:
        return []
    said = _(
        "The table counts in sectors of {size} bytes, not of {given}: only so do its partitions begin where"
        " something lies."
    )
    return [said.format(size=reading.sector_size, given=given)]


def _own_reading(
    sectors: Sectors, found: mbr.Mbr | None, gpt_reading: Reading | None, sector_size: int
) -> Reading | None:
    """What our own readers see, MBR and GPT weighed against each other."""
    if gpt_reading is None:
        if found is None:
            return None
        reading = mbr.read(sectors, found, sector_size)
        return _headless(reading) if found.protective and len(found.used) == 1 else reading
    if found and found.used and not found.protective:
        left_over = _("A GPT lies there too, but the MBR does not announce it; it may be left over.")
        return _with(mbr.read(sectors, found, sector_size), left_over)
    return _with(gpt_reading, *_announcement(found))


def _headless(reading: Reading) -> Reading:
    """The reading of an MBR that only protects a GPT of which nothing is left."""
    said = _("The MBR announces a GPT, but neither its first copy nor its backup can be found.")
    return replace(reading, label="gpt", identifier=None, partitions=(), problems=(said,))


def _announcement(found: mbr.Mbr | None) -> list[str]:
    """Sentences about the MBR in front of a GPT."""
    if found is None or not found.used:
        return [_("The MBR that should announce the GPT is missing.")]
    others = sum(entry.code != PROTECTIVE for entry in found.used)
    if not others:
        return []
    hybrid = ngettext(
        "The disk has a hybrid MBR with {count} entry of its own; the GPT is shown.",
        "The disk has a hybrid MBR with {count} entries of its own; the GPT is shown.",
        others,
    )
    return [hybrid.format(count=others)]


def _no_table(size: int, sector_size: int, *problems: str) -> PartitionTable:
    return PartitionTable(None, None, "primary", sector_size, size // sector_size, (), (), problems)


def _with(reading: Reading, *problems: str) -> Reading:
    return replace(reading, problems=(*reading.problems, *problems))


def _asked(
    sectors: Sectors, scratch: Path, runner: Runner, sector_size: int
) -> tuple[Opinion, Opinion | None]:
    """The opinions of libparted and sfdisk; sfdisk only knows sectors of 512 bytes in a file."""
    with tempfile.TemporaryDirectory(prefix="table-", dir=scratch) as folder:
        copy = Path(folder, "copy")
        try:
            sectors.write_table_copy(copy)
        except OSError as error:
            refusal = _("no copy of the table could be made for it: {reason}").format(
                reason=os.strerror(error.errno or 0)
            )
            return Opinion(None, refusal=refusal, failed=True), None
        ped = ask_libparted(copy, sector_size, runner)
        return ped, ask_sfdisk(copy, runner) if sector_size == 512 else None


def _judged(
    own: Reading | None, ped: Opinion, second: Opinion | None, size: int, sector_size: int
) -> PartitionTable:
    sectors = size // sector_size
    foreign = ped.label not in (None, "loop", "msdos", "gpt")
    if own is None or (foreign and not own.partitions):
        if not foreign:
            return _no_table(size, sector_size, *_doubts(ped))
        reading = _from_libparted(ped, sector_size)
        sources = Sources("libparted", "libparted")
    else:
        reading = _compared(own, ped, second)
        sources = _sources(own, reading, ped, second)
    parts = reading.partitions
    problems = (*reading.problems, *placement_problems(parts, sectors, size, sector_size))
    gaps = gaps_between(parts, sectors)
    return PartitionTable(
        reading.label,
        reading.identifier,
        reading.source,
        sector_size,
        sectors,
        parts,
        gaps,
        problems or _remarks(ped),
        notes(parts, gaps, sector_size),
        sources,
    )


def _sources(own: Reading, shown: Reading, ped: Opinion, second: Opinion | None) -> Sources:
    """Who of the three the places are from that are shown, and who else read the same."""
    same: list[Reader] = ["sectors"] if not _differences(shown.partitions, own.partitions) else []
    others: tuple[tuple[Reader, Opinion | None], ...] = (("libparted", ped), ("sfdisk", second))
    for name, opinion in others:
        if (
            opinion
            and opinion.label == shown.label
            and not _differences(_seen_by(name, shown), opinion.extents)
        ):
            same.append(name)
    places: Reader = "libparted" if "libparted" in same else "sectors"
    return Sources(places, "sectors", tuple(name for name in same if name != places))


def _seen_by(name: Reader, shown: Reading) -> Sequence[Partition]:
    return _listed(shown.partitions) if name == "sfdisk" else shown.partitions


def _doubts(ped: Opinion) -> list[str]:
    """A sentence if libparted may know of a table where our own readers see none."""
    if ped.failed:
        return [_silence(ped)]
    if ped.label not in ("msdos", "gpt"):
        return []
    doubt = _("libparted sees a table of the kind {label} here, but its entries make no sense.")
    return [doubt.format(label=ped.label)]


def _from_libparted(ped: Opinion, sector_size: int) -> Reading:
    """A table of a kind that only libparted reads: mac, bsd, sun, dvh, amiga, atari, pc98…"""
    partitions = tuple(
        Partition(
            number=extent.number,
            kind=extent.kind,
            start=extent.start,
            end=extent.end,
            sector_size=sector_size,
            type="",
            type_name=extent.flags or _("unknown"),
            name=extent.name,
            bootable=extent.bootable,
        )
        for extent in ped.extents
    )
    return Reading(str(ped.label), None, "primary", sector_size, partitions)


def _remarks(ped: Opinion) -> tuple[str, ...]:
    """What libparted objected to while it accepted a table in which nobody else found anything wrong."""
    remark = _("libparted remarks: {message}")
    said = [line for line in ped.said if _NAMES not in line]
    return tuple(remark.format(message=_sentence(safe(line))) for line in said)


def _compared(own: Reading, ped: Opinion, second: Opinion | None) -> Reading:
    """Our own reading beside the two others'; libparted's places count where it accepts the table."""
    reading = own
    if ped.label == own.label:
        reading = _with_places(own, ped.extents)
    elif ped.label is None:
        reading = _with(own, _silence(ped))
    else:
        other = _("libparted takes this for a table of the kind {label}; it is shown as {own}.")
        reading = _with(own, other.format(label=safe(ped.label), own=own.label))
    return _with(reading, *_second_opinion(reading, second)) if second else reading


def _with_places(own: Reading, extents: tuple[Extent, ...]) -> Reading:
    """Our reading at libparted's places; one that libparted silently leaves out is kept."""
    differences = _differences(own.partitions, extents)
    if not differences:
        return own
    ours = {(entry.number, entry.start, entry.end) for entry in own.partitions}
    if {(extent.number, extent.start, extent.end) for extent in extents} < ours:
        omitted = _("libparted leaves out what the sectors themselves show: {differences}.")
        return _with(own, omitted.format(differences=differences))
    other = _("libparted's reading is shown; the sectors themselves say otherwise: {differences}.")
    seen = _differences(extents, own.partitions)
    return _with(_placed(own, extents), other.format(differences=seen))


def _silence(ped: Opinion) -> str:
    """A sentence about a libparted that gave no reading."""
    if ped.failed:
        said = _("libparted could not be asked about this table: {message}")
    else:
        said = _("libparted refuses this table: {message} It is shown as read from the sectors themselves.")
    return said.format(message=_sentence(safe(ped.refusal)))


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _second_opinion(reading: Reading, second: Opinion) -> list[str]:
    if second.label is None:
        refusal = _("sfdisk cannot read this table: {message}")
        return [refusal.format(message=_sentence(safe(second.refusal)))]
    if second.label != reading.label:
        other = _("sfdisk takes this for a table of the kind {label}.")
        return [other.format(label=safe(second.label))]
    differences = _differences(_listed(reading.partitions), second.extents)
    if not differences:
        return []
    return [_("sfdisk reads this table differently: {differences}.").format(differences=differences)]


def _listed(partitions: Sequence[Partition]) -> list[Partition]:
    """Those that sfdisk would list too."""
    return [part for part in partitions if part.kind != "logical" or part.number <= _SFDISK_MOST]


def _differences(shown: Iterable[Partition | Extent], others: Iterable[Partition | Extent]) -> str:
    """What the others say of each partition that they see elsewhere; empty if they agree."""
    ours = {entry.number: (entry.start, entry.end) for entry in shown}
    theirs = {entry.number: (entry.start, entry.end) for entry in others}
    named = []
    for number in sorted(ours.keys() | theirs.keys()):
        if ours.get(number) == theirs.get(number):
            continue
        if number not in theirs:
            named.append(_("partition {number} is not there").format(number=number))
            continue
        start, end = theirs[number]
        named.append(_("partition {number} is {start} to {end}").format(number=number, start=start, end=end))
    if len(named) > _MOST_NAMED:
        more = _("and {count} more").format(count=len(named) - _MOST_NAMED)
        named = [*named[:_MOST_NAMED], more]
    return enumerated(named)


def _placed(own: Reading, extents: tuple[Extent, ...]) -> Reading:
    """Our reading with libparted's numbers and places; types come from our entry at the same place."""
    known = {entry.start: entry for entry in own.partitions}
    partitions = []
    for extent in extents:
        entry = known.get(extent.start)
        partitions.append(
            Partition(
                number=extent.number,
                kind=extent.kind,
                start=extent.start,
                end=extent.end,
                sector_size=own.sector_size,
                type=entry.type if entry else "",
                type_name=entry.type_name if entry else _("unknown"),
                name=entry.name if entry else extent.name,
                bootable=entry.bootable if entry else extent.bootable,
            )
        )
    partitions.sort(key=lambda entry: entry.number)
    return replace(own, partitions=tuple(partitions))


def _limited(problems: tuple[str, ...]) -> tuple[str, ...]:
    once = tuple(dict.fromkeys(problems))
    if len(once) <= MOST_PROBLEMS:
        return once
    more = _("And {count} more problems of this table.").format(count=len(once) - MOST_PROBLEMS)
    return (*once[:MOST_PROBLEMS], more)
