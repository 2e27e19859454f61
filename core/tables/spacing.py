"""How long the sectors are that an MBR counts in.

An MBR does not say it. The disk of a machine with sectors of 4096 bytes lies in a file that has none, and
the other way round a disk image may lie on such a medium. A wrong guess makes every partition begin
eight times too early or too late, so the contents decide: where they lie at one size only, it is that one.
"""

from pathlib import Path

from core.runner import Runner
from core.tables import mbr
from core.tables.content import probe
from core.tables.sectors import Sectors

SIZES = (512, 4096)


def measured(view: Path, sectors: Sectors, found: mbr.Mbr, given: int, runner: Runner) -> int:
    """The sector size of the table in bytes: `given`, unless only another one finds anything.

    At another size the whole table must fit into the disk, and something must begin at the first sector
    of a partition, while at the given one nothing does anywhere.
    """
    if not found.used or given not in SIZES or _finds(view, sectors, found, given, runner):
        return given
    for size in SIZES:
        fits = all((entry.start + entry.count) * size <= sectors.size for entry in found.used)
        if size != given and fits and _finds(view, sectors, found, size, runner):
            return size
    return given


def _finds(view: Path, sectors: Sectors, found: mbr.Mbr, size: int, runner: Runner) -> bool:
    """Whether a partition of the table begins with something known if sectors have this size."""
    return any(
        _linked(sectors, entry.start * size)
        if entry.extended
        else entry.start > 0 and _known(view, sectors, entry, size, runner)
        for entry in found.used
    )


def _linked(sectors: Sectors, at: int) -> bool:
    """Whether a record of a chain of logical partitions lies there."""
    data = sectors.read(at, 512)
    return at > 0 and len(data) == 512 and data.endswith(mbr.SIGNATURE)


def _known(view: Path, sectors: Sectors, entry: mbr.Entry, size: int, runner: Runner) -> bool:
    if entry.start * size >= sectors.size:
        return False
    content = probe(view, entry.start * size, entry.count * size, runner)
    return bool(content.content or content.candidates)
