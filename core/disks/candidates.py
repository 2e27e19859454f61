"""Where a missing backing file may be now: files by name, format and size, not yet proved by anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.disks.finding import USUAL_FOLDERS, Found, find_disks
from core.disks.formats import RAW, read_header
from core.disks.header import Source
from core.disks.model import Disk, Link
from core.errors import SalvageError
from core.i18n import _
from core.text import safe

MOST = 12
"""Candidates that are looked into: each is opened under the disk to prove it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be the missing one."""

    path: Path
    format: str
    virtual_size: int
    clues: tuple[str, ...]
    """What speaks for it, a sentence each; the strongest first."""
    is_identified: bool = False
    """It bears the identity that the image above asks for."""


def missing_link(disk: Disk) -> Link | None:
    """The link of the chain that is not there; None for a chain that is whole or not cut by that."""
    last = disk.chain[-1]
    return None if last.exists else last


def candidates(disk: Disk, folders: Sequence[Path] = ()) -> list[Candidate]:
    """What may be the missing link of a disk, the likeliest first.

    Looked for in the folders of its chain, where it should lie, in `folders`, and where the usual programs
    keep images. Only names and headers are read. Empty for a disk that lacks nothing.
    """
    missing = missing_link(disk)
    if missing is None:
        return []
    near = [missing.path.parent, *(link.path.parent for link in disk.chain if link.exists)]
    where = list(dict.fromkeys([*near, *folders, *USUAL_FOLDERS]))
    own = {link.identity for link in disk.chain if link.exists}
    wanted = _wanted_identity(disk)
    found: list[tuple[int, Candidate]] = []
    for one in find_disks(where):
        if one.kind == "image" and one.identity not in own:
            judged = _judged(one, missing, disk, wanted)
            if judged:
                found.append(judged)
    found.sort(key=lambda pair: -pair[0])
    return [candidate for _score, candidate in found[:MOST]]


def _wanted_identity(disk: Disk) -> str:
    """What the lowest image that is there calls its parent; empty where its format has no such name."""
    above = [link for link in disk.chain if link.exists][-1]
    with Source(above.path) as source:
        return read_header(source, above.format).parent


def _judged(one: Found, missing: Link, disk: Disk, wanted: str) -> tuple[int, Candidate] | None:
    if one.format is None or one.virtual_size is None:
        return None
    identity = ""
    if wanted:
        try:
            with Source(one.path) as source:
                identity = read_header(source, one.format).identity
        except SalvageError:
            return None
        if identity != wanted:
            return None
    elif missing.format != one.format and (missing.format != RAW or one.path.name != missing.path.name):
        return None
    score = 0
    clues = []
    if wanted:
        score += 8
        clues.append(_("it bears the identity that the image above asks for"))
    if one.path.name == missing.path.name:
        score += 4
        clues.append(_("it has the name of the missing file"))
    elif one.path.stem.lower().startswith(missing.path.stem.lower()[:6]):
        score += 1
        clues.append(_("its name is like {name}").format(name=safe(missing.path.name)))
    if one.virtual_size == disk.chain[0].virtual_size:
        score += 2
        clues.append(_("the disk in it has the same size"))
    if not clues:
        clues.append(_("it is an image of the right format"))
    return score, Candidate(one.path, one.format, one.virtual_size, tuple(clues), bool(wanted))
