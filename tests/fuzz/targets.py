"""What is done with a damaged disk. A sentence for a person is a right answer, another exception is none."""

import contextlib
import json
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.disks.finding import disk_at
from core.disks.formats import NAMES
from core.disks.header import Source
from core.disks.model import Link
from core.disks.serving import READERS
from core.disks.stretches import Layered
from core.disks.usage import Usage
from core.disks.vet import chain_graph, vet
from core.disks.view import View
from core.errors import SalvageError
from core.runner import SystemRunner
from core.tables import gpt, mbr
from core.tables.check import placement_problems
from core.tables.lost.layout import layout
from core.tables.lost.script import script
from core.tables.lost.search import search
from core.tables.model import PartitionTable, Reading, gaps_between
from core.tables.sectors import Sectors
from core.tables.superblock import superblock
from core.text import safe
from core.volumes.inspecting import inspected
from core.volumes.model import Inspection
from core.volumes.searched import searched
from tests.fuzz import seeds
from tests.fuzz.seeds import Seed
from tui.widgets.disk_map import drawn
from tui.widgets.partition_table import lines_of

_KINDS = ("ext4", "xfs", "btrfs", "ntfs")


def _read_by_us(link: Link, chance: random.Random) -> None:
    """Stretches of an image that our own reader takes apart, wherever they seem to lie."""
    if not link.reader or not link.virtual_size:
        return
    with Source(link.path) as source:
        disk = Layered([(source, READERS[link.reader](source))], None)
        for _turn in range(4):
            start = chance.randrange(disk.size)
            end = min(disk.size, start + chance.randrange(1, 3 << 20))
            with contextlib.suppress(OSError):
                assert len(disk.read(start, end)) == end - start


class Wrong(AssertionError):
    """The program answered, but with something that it must not say."""


@dataclass(frozen=True)
class Target:
    """One thing that is fuzzed; `weight` says how often beside the others."""

    seeds: Callable[[Path], list[Seed]]
    act: Callable[[Path, random.Random], None]
    weight: int


def header(path: Path, chance: random.Random) -> None:
    """The header of an image is read, as what it seems to be and as another format."""
    disk_at(path, Usage())
    runner = SystemRunner()
    for stated in (None, chance.choice(NAMES)):
        try:
            disk = vet(str(path), stated, [path.parent], runner)
            _told(json.dumps(disk.to_json()), *disk.problems)
            disk.require_openable()
            json.dumps(chain_graph(disk.chain, {link.path: "k" for link in disk.locked}))
            _read_by_us(disk.chain[0], chance)
        except SalvageError as error:
            _told(error.paragraph())


def table(path: Path, chance: random.Random) -> None:
    """Our own readers read a table, and the map draws it."""
    size = path.stat().st_size
    with Sectors(path, size) as sectors:
        for sector_size in (512, 4096):
            first = mbr.first_sector(sectors, sector_size)
            readings = [gpt.read(sectors, sector_size)]
            readings += [mbr.read(sectors, first, sector_size)] if first else []
            for reading in readings:
                if reading:
                    _draw(_table(reading, size))
        for kind in _KINDS:
            _told(*superblock(sectors, 0, kind).problems)
        sectors.ranges()


def _table(reading: Reading, size: int) -> PartitionTable:
    sectors, parts = size // reading.sector_size, reading.partitions
    problems = (*reading.problems, *placement_problems(parts, sectors, size, reading.sector_size))
    return PartitionTable(
        reading.label,
        reading.identifier,
        reading.source,
        reading.sector_size,
        sectors,
        parts,
        gaps_between(parts, sectors),
        problems,
    )


def _draw(read: PartitionTable) -> None:
    _told(*read.problems)
    json.dumps(read.to_json())
    numbers = [part.number for part in read.partitions[:3]]
    for highlight in (None, *numbers):
        for tall in (False, True):
            for line in drawn(read, 80, highlight, tall=tall):
                _told(*(piece.text for piece in line))


def lost(path: Path, _chance: random.Random) -> None:
    """The disk is searched for lost partitions."""
    runner = SystemRunner()
    found = search(path, runner.cancel)
    _told(*found.problems, *(one.reason for one in found.rejected))
    for sector_size in (512, 4096):
        read = layout(found, sector_size)
        _told(*script(read).splitlines())
        _draw(read)


def whole(path: Path, chance: random.Random) -> None:
    """The way of `inspect`: every program is asked, and the disk is searched."""
    runner = SystemRunner()
    size = path.stat().st_size
    view = View(path, size, False, ())
    try:
        seen = inspected(view, 512, path.parent, runner)
        _look(seen)
        if chance.random() < 0.5:
            _look(searched(view, search(path, runner.cancel), 512, path.parent, runner))
    except SalvageError as error:
        _told(error.paragraph())


def _look(seen: Inspection) -> None:
    _draw(seen.table)
    _told(*lines_of(seen, {}, 80))
    for volume in seen.volumes:
        _told(*volume.problems)
        json.dumps(volume.to_json())


def _told(*lines: str) -> None:
    """What is shown holds no character that a terminal obeys."""
    for line in lines:
        if safe(line) != line:
            raise Wrong(f"not safe to show: {line!r}")


def _both(*makers: Callable[[Path], Iterable[Seed]]) -> Callable[[Path], list[Seed]]:
    return lambda folder: [seed for make in makers for seed in make(folder)]


TARGETS: Mapping[str, Target] = {
    "header": Target(seeds.headers, header, 40),
    "table": Target(seeds.tables, table, 40),
    "lost": Target(seeds.lost, lost, 15),
    "whole": Target(_both(seeds.tables, seeds.lost), whole, 5),
}
