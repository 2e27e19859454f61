"""The names and numbers that the texts of a practice disk tell: ``{disk}``, ``{p5.offset}``, ``{login1}``.

Other braces in a text stay as they are.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from core.lab.lab import Lab, Place
from core.text import safe

_PLACE = re.compile(r"\{([a-z][a-z0-9_.]*)\}")
PLAIN = ("disk", "name", "folder", "recovered", "login1", "login2", "login3", "person1", "person2", "person3")
"""Known for every lab: the disk's path and name, the lab's folder, the one to recover to, the people."""
OF_PARTITION = ("start", "end", "sectors", "offset", "size", "kib", "last")
"""``last`` is the last byte of the partition, ``kib`` its start × 1024: a common mistake."""
OF_DAMAGE: Mapping[str, tuple[str, ...]] = {
    "cut": ("cut.size", "cut.missing"),
    "bad-area": ("bad.start", "bad.bytes", "bad.block", "bad.file"),
    "run": ("machine.pid",),
    "leftovers": ("left.session", "left.point", "other.session", "other.point"),
    "move": ("moved.sha256",),
}


def names(lab: Lab) -> frozenset[str]:
    """The places that texts of this lab may hold."""
    numbers = [part.number for part in lab.partitions] + [one.number for one in lab.crypts]
    numbers += [one.number for one in lab.mirrors]
    numbers += [one.number for group in lab.groups for one in group.volumes]
    own = {f"p{number}.{name}" for number in numbers for name in OF_PARTITION}
    own |= {"passphrase"} if lab.crypts else set()
    damage = {name for one in lab.damages for name in OF_DAMAGE.get(one.do, ())}
    return frozenset({*PLAIN, *own, *damage})


def unknown(text: str, known: Iterable[str]) -> list[str]:
    """The places in a text that nothing would be put into."""
    allowed = set(known)
    return [name for name in _PLACE.findall(text) if name not in allowed]


def filled(text: str, facts: Mapping[str, str]) -> str:
    """The text with its places filled; what is not known stays."""
    return _PLACE.sub(lambda match: facts.get(match[1], match[0]), text)


def of_places(places: Iterable[Place]) -> Iterator[tuple[str, str]]:
    """What is told of partitions."""
    for place in places:
        numbers = (
            place.start,
            place.end,
            place.sectors,
            place.offset,
            place.sectors * 512,
            place.start * 1024,
            place.offset + place.sectors * 512 - 1,
        )
        for name, number in zip(OF_PARTITION, numbers, strict=True):
            yield f"p{place.number}.{name}", str(number)


def of_folder(disk: Path, recovered: Path) -> dict[str, str]:
    """What is told of where things lie."""
    return {
        "disk": safe(disk),
        "name": safe(disk.name),
        "folder": safe(disk.parent),
        "recovered": safe(recovered),
    }
