"""What is said below the map of a row of the partition table, and of all that is wrong with the disk."""

from rich.cells import cell_len, set_cell_size
from textual.content import Content

from core.i18n import _, sentences, titled
from core.tables.model import Partition
from core.text import grouped, size
from core.volumes.model import Inspection, Volume
from tui.openable import content, hindrance, why_aside
from tui.plain import plain
from tui.widgets.lines import wrapped
from tui.widgets.partition_table import VolumeRow


def offset_sum(part: Partition, width: int) -> Content:
    """The sum that one does by hand for ``mount -o offset=``, in as many words as one line has room for."""
    result = (f"{part.start} × {part.sector_size} = {part.offset}", "bold")
    before = _("Offset = start × sector size =") + " "
    behind = _("; {count} sectors").format(count=grouped(part.sectors))
    for words in ((before, behind), (before, ""), (_("Offset =") + " ", "")):
        told = Content.assemble((words[0], "$text-muted"), result, (words[1], "$text-muted"))
        if told.cell_length <= width:
            break
    return told


def about(row: VolumeRow, inspection: Inspection) -> Content:
    """What Enter does with it, or why it does nothing."""
    reason = why_not(row, inspection)
    if reason:
        below = any(row.volume and one.inside == row.volume.id for one in inspection.volumes)
        if row.volume and row.volume.unknown and not below:
            reason = _(
                "Nothing known is on it: empty, encrypted or damaged. Is it LUKS with its header in a file"
                " of its own? Press h."
            )
        return Content.assemble(("× ", "$warning"), plain(reason))
    volume = row.volume
    if volume is None:
        return Content("")
    if volume.locked:
        told = _("Enter asks for the passphrase of {volume}, {size}.")
        return plain(told.format(volume=volume.title, size=size(volume.size)))
    told = _("Enter opens {volume}: {content}, {size}").format(
        volume=volume.title, content=content(volume), size=size(volume.size)
    )
    return plain(sentences((why_aside(volume, inspection), told)))


def begun(text: Content, width: int, most: int, *, refused: bool) -> Content:
    """As much of it as fits into so many lines; of why Enter opens nothing, it shows the rest."""
    lines = wrapped(text.plain, width)
    if len(lines) <= most:
        return text
    more = _("… Enter: all of it") if refused else "…"
    last = set_cell_size(lines[most - 1], width - cell_len(more)).rstrip() + more
    return Content("\n").join(Content(line) for line in [*lines[: most - 1], last])


def why_not(row: VolumeRow, inspection: Inspection) -> str:
    """Why it cannot be opened, in a sentence; empty if it can."""
    if row.partition and row.partition.kind == "extended":
        return _("An extended partition is only the box around the logical ones: choose one of those.")
    if row.volume is None:
        return _("It lies beyond the end of this disk: there is nothing to read.")
    return hindrance(row.volume, inspection)


def problems_told(inspection: Inspection, first: Volume | None) -> list[str]:
    """What is wrong with that volume, with the table, and with the other volumes."""
    own = [volume for volume in inspection.volumes if first and volume.id == first.id]
    others = [volume for volume in inspection.volumes if volume not in own]
    found = [titled(volume.title, problem) for volume in own for problem in volume.problems]
    found += inspection.table.problems
    return found + [titled(volume.title, problem) for volume in others for problem in volume.problems]
