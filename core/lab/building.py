"""Builds a practice disk from its description and a seed, in a folder, out of ordinary files."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.lab import damage, lvm, mirror
from core.lab.crypt import HEADER, encrypt, passphrase
from core.lab.disk import SECTOR, FileSystem, gpt_sectors, make_disk, make_file_system, mbr_sectors, to_format
from core.lab.facts import filled, of_places
from core.lab.lab import Built, CryptPlan, FilesPlan, Lab, Place
from core.lab.ntfs import make_ntfs
from core.lab.people import DAY, Person, people
from core.lab.planting import Item, Owner, kept
from core.lab.recovered import Kept
from core.lab.trees import TREES, Setting
from core.runner import Runner

_EPOCH = 1_710_000_000
"""A day in March 2024; a seed puts the crash into the weeks after it."""
_ALIGN = 2048
"""Sectors of a MiB: where partitions begin since the days of GPT."""
_TAIL = 2048
"""Sectors behind the last partition, which a second GPT needs."""


@dataclass
class Work:
    """A disk that is being built. `items` are the trees as they shall come back, by partition."""

    lab: Lab
    folder: Path
    runner: Runner
    chance: random.Random
    when: int
    places: tuple[Place, ...]
    users: tuple[Person, ...]
    raw: Path
    disk: Path
    items: dict[int, dict[str, Item]] = field(default_factory=dict)
    originals: list[Path] = field(default_factory=list)
    decoys: list[Kept] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    decoy_raw: Path | None = None
    """The raw bytes that a decoy beneath the disk would show."""
    overlaid: bool = False

    def place(self, number: int) -> Place:
        """Where a partition lies; partition 0 is the whole disk."""
        for place in self.places:
            if place.number == number:
                return place
        return Place(0, 0, sectors_of(self.lab, self.places) - 1, "83")

    def names(self) -> dict[str, str]:
        """What the paths and texts of the description may tell of this machine's people."""
        facts = {f"login{n}": user.login for n, user in enumerate(self.users, 1)}
        return facts | {f"person{n}": user.name for n, user in enumerate(self.users, 1)}

    def decoy(self, partition: int, item: Item) -> None:
        """Remember a state of a file that is not the one that is wanted."""
        if partition == self.lab.goal.partition:
            self.decoys += wanted(self, {item.path: item})


def build(lab: Lab, folder: Path, runner: Runner, seed: int) -> Built:
    """Build the disk of `lab` in `folder`; what is needed on the way stays in `folder` too.

    The same seed gives the same contents. Raises `core.runner.CommandFailed`, `core.errors.Cancelled`.
    """
    chance = random.Random(seed)
    when = _EPOCH + chance.randrange(40 * DAY)
    users = people(chance)
    partitions = tuple(laid_out(lab, chance))
    inside = {place.number: place for place in partitions}
    groups = [(plan, [*lvm.places(plan, inside[plan.partition], chance)]) for plan in lab.groups]
    volumes = [place for _plan, laid in groups for place, _first, _count in laid]
    crypts = [_crypt(plan, inside[plan.partition]) for plan in lab.crypts]
    mirrors = [mirror.inside(plan, inside) for plan in lab.mirrors]
    places = (*partitions, *volumes, *crypts, *mirrors)
    stem = lab.disk.name.rpartition(".")[0] or lab.disk.name
    raw = folder / (lab.disk.name if lab.disk.format == "raw" else f"{stem}.raw")
    work = Work(lab, folder, runner, chance, when, places, users, raw, folder / lab.disk.name)
    sectors = sectors_of(lab, partitions)
    first = _table(lab, partitions, sectors, chance)
    for group, laid in groups:
        first |= lvm.sectors(group, inside[group.partition], laid, chance, when)
    for pair in lab.mirrors:
        first |= mirror.sectors(pair, inside, chance, when)
    make_disk(runner, raw, sectors, first)
    setting = Setting(chance, users, stem, when)
    for plan in lab.file_systems:
        items = [item for name in plan.trees for item in TREES[name](setting)]
        items += _own_files(work, plan.partition, {item.path for item in items})
        work.items[plan.partition] = {item.path: item for item in items}  # a folder may be in two trees
        items = list(work.items[plan.partition].values())
        one = FileSystem(work.place(plan.partition), plan.type, plan.label, plan.block, tuple(items))
        if plan.type == "ntfs":
            make_ntfs(runner, raw, one, folder)
            continue
        crypt = next((one for one in lab.crypts if one.number == plan.partition), None)
        target = folder / f"plain{plan.partition}.raw" if crypt else raw
        if crypt:
            make_disk(runner, target, one.part.sectors, {})
        make_file_system(runner, target, one, folder, when - 400 * DAY, f"{stem}.{seed}")
        if crypt:
            words = work.facts.setdefault("passphrase", passphrase(chance))
            encrypt(runner, target, raw, inside[crypt.partition], words)
    damage.before(work)
    if lab.disk.format != "raw":
        to_format(runner, raw, work.disk, lab.disk.format)
    work.originals.append(work.disk)
    damage.after(work)
    return _built(work)


def _crypt(plan: CryptPlan, partition: Place) -> Place:
    """What is inside an encrypted partition: it has no place on the disk that an offset leads to."""
    return Place(plan.number, 0, partition.sectors - HEADER // SECTOR - 1, "crypt")


def _table(lab: Lab, places: tuple[Place, ...], sectors: int, chance: random.Random) -> dict[int, bytes]:
    """The sectors of the partition table."""
    if lab.disk.table == "msdos":
        return mbr_sectors(places, chance.getrandbits(32))
    return gpt_sectors(places, sectors, chance) if lab.disk.table == "gpt" else {}


def _built(work: Work) -> Built:
    items = work.items.get(work.lab.goal.partition, {})
    facts = dict(of_places(work.places)) | work.facts | work.names()
    return Built(
        work.disk,
        wanted(work, items),
        work.places,
        tuple(dict.fromkeys(work.originals)),
        tuple(work.decoys),
        facts,
    )


def wanted(work: Work, items: dict[str, Item]) -> tuple[Kept, ...]:
    """What the goal asks for, out of the tree of its partition; `group` is the path that was asked for."""
    found: list[Kept] = []
    modes = all(plan.type != "ntfs" for plan in work.lab.file_systems)  # which keeps none of Unix
    for told in work.lab.goal.paths:
        path = filled(told, work.names())
        name = path.strip("/")
        if name in items and items[name].kind != "dir":
            parent = name.rpartition("/")[0]
            found += kept([items[name]], parent, path)
        else:
            found += kept(items.values(), name, path)
    return tuple(found if modes else (replace(one, mode=0) for one in found))


def laid_out(lab: Lab, chance: random.Random) -> Iterator[Place]:
    """Where each partition lies: where the description says, or behind the one before."""
    free = _ALIGN
    for plan in lab.partitions:
        if plan.end:
            place = Place(plan.number, plan.start, plan.end, plan.type)
        else:
            start = free + chance.randint(0, plan.gap) * _ALIGN
            place = Place(plan.number, start, start + plan.size // SECTOR - 1, plan.type)
        yield place
        free = -(-(place.end + 1) // _ALIGN) * _ALIGN


def sectors_of(lab: Lab, places: tuple[Place, ...]) -> int:
    """The length of the disk in sectors."""
    if lab.disk.size:
        return lab.disk.size // SECTOR
    return max((place.end + 1 for place in places), default=0) + _TAIL


def _own_files(work: Work, partition: int, there: set[str]) -> Iterator[Item]:
    for plan in work.lab.files:
        if plan.partition == partition:
            parts = filled(plan.path, work.names()).strip("/").split("/")
            for depth in range(1, len(parts)):
                above = "/".join(parts[:depth])
                if above not in there:
                    there.add(above)
                    yield Owner(0, 0, work.when).folder(above)
            yield _own_file(work, plan)


def _own_file(work: Work, plan: FilesPlan) -> Item:
    own = Owner(plan.owner, plan.owner, work.when - DAY)
    path = filled(plan.path, work.names()).strip("/")
    if plan.folder:
        return own.folder(path, plan.mode)
    if plan.link:
        return own.symlink(path, plan.link)
    if plan.size:
        return own.file(path, work.chance.randbytes(plan.size), plan.mode)
    return own.file(path, filled(plan.text, work.names()), plan.mode)
