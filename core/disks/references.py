"""The files that an image's header points to, and which of them may be opened.

A header can name any file of the host. What lies in the disk's own folder is taken as part of
the disk; anything else wants the operator's word for that very path, see `core.disks.bounds`.
"""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.disks import nested, vmdk
from core.disks.bounds import Bounds, points_outside
from core.disks.formats import RAW, matching, read_header
from core.disks.header import Header, Reference, Source
from core.disks.model import Identity, Link, Part
from core.errors import NeedsRoot, Refused, WrongUsage
from core.i18n import _
from core.text import safe, size

DEEPEST = 32
"""Links that a backing chain may have."""

Places = list[tuple[Reference, Path]]
"""What a header names, each with its resolved path."""


@dataclass(frozen=True, slots=True)
class Chain:
    """All links of a disk, with what was found on the way down."""

    links: tuple[Link, ...]
    problems: tuple[str, ...]
    blocked: str = ""
    way_out: str = ""


def follow(
    source: Source,
    header: Header,
    bounds: Bounds,
    stand_ins: Sequence[Path] = (),
    apparent: Path | None = None,
) -> Chain:
    """Follow the references of a disk down to the last file; its own names count from `apparent`, if given.

    The `stand_ins`, resolved paths, take the places of backing files that are missing, from the top down;
    no header is written for that. Raises `WrongUsage` where more are given than are missing, and `Refused`
    for a file out of bounds, a network or ``json:`` name, a loop and a chain that is too deep. A file that
    is missing or not what it should be blocks the chain instead.
    """
    descent = _Descent(source, bounds, list(stand_ins), list(header.problems))
    descent.block(header.blocked, header.way_out)
    at: _Place | None = _Place(source.path, source.identity, source.is_block_device, header, apparent)
    while at:
        at = descent.below(at, descent.take(at))
    if descent.spare:
        raise WrongUsage(
            _("There is no missing backing file whose place {path} could take.").format(
                path=safe(descent.spare[0])
            ),
            _("Nothing was opened."),
        )
    return Chain(tuple(descent.links), tuple(descent.problems), descent.blocked, descent.way_out)


@dataclass(frozen=True, slots=True)
class _Place:
    """One image of the chain on the way down; its own names count from `apparent`, if given."""

    path: Path
    identity: Identity
    is_device: bool
    header: Header
    apparent: Path | None = None


class _Descent:
    """What is gathered on the way down a chain: links, problems, and the first thing that blocks it."""

    def __init__(self, source: Source, bounds: Bounds, spare: list[Path], problems: list[str]) -> None:
        self.top = source.path
        self.bounds = bounds
        self.spare = spare
        self.problems = problems
        self.links: list[Link] = []
        self.blocked = self.way_out = ""
        self._seen: set[Identity] = {source.identity}

    def block(self, why: str, way_out: str) -> None:
        """The first reason stays: what is further down may only follow from it."""
        if why and not self.blocked:
            self.blocked, self.way_out = why, way_out

    def take(self, at: _Place) -> tuple[Reference, Path] | None:
        """Add the link of an image with its parts; what it names as its backing file."""
        header = at.header
        places = located(at.apparent or at.path, header, self.bounds)
        self.problems += _meant_there(at.apparent or at.path, places)
        parts, trouble, remedy = _parts(at.path, places, self._seen)
        self.block(trouble, remedy)
        self.links.append(
            Link(
                at.path,
                header.format,
                True,
                header.virtual_size,
                at.identity,
                at.is_device,
                header.window,
                tuple(parts),
                header.encryption,
                header.reader,
                header.problems,
                header.has_log,
            )
        )
        return next((pair for pair in places if pair[0].kind == "backing"), None)

    def below(self, at: _Place, named: tuple[Reference, Path] | None) -> _Place | None:
        """The backing file of an image, or what stands in for it; None where the chain ends."""
        if named is None:
            return None
        backing, path = named
        if len(self.links) >= DEEPEST:
            raise _refused_chain(
                self.top, _("its backing chain is deeper than {count}").format(count=DEEPEST)
            )
        if not path.exists() and self.spare:
            path = self._stand_in(path)
        if not path.exists():
            self.links.append(Link(path, backing.format or RAW, False, None))
            self.block(_missing(at.path, path, backing), _bring(path))
            return None
        with Source(path) as lower:
            if lower.identity in self._seen:
                raise _refused_chain(
                    self.top, _("its backing chain comes back to {path}").format(path=safe(path))
                )
            self._seen.add(lower.identity)
            header = read_header(lower, _stated(backing, lower))
            found = _Place(path, lower.identity, lower.is_block_device, header)
        if at.header.parent and at.header.parent != header.identity:
            self.block(_stranger(at.path, path), _bring(path))
        self.problems += [f"{safe(path.name)}: {problem}" for problem in header.problems]
        self.block(header.blocked, header.way_out)
        return found

    def _stand_in(self, missing: Path) -> Path:
        stand_in = self.spare.pop(0)
        self.problems.append(
            _("{path} is missing; {other} is read in its place, as asked.").format(
                path=safe(missing), other=safe(stand_in)
            )
        )
        return stand_in


def _stated(backing: Reference, lower: Source) -> str | None:
    """The format of a backing file where the image above it says so and the content agrees."""
    if backing.format == RAW:
        return RAW
    return backing.format if backing.format in [known.name for known in matching(lower)] else None


def _parts(path: Path, places: Places, seen: set[Identity]) -> tuple[list[Part], str, str]:
    """The data file and extents of one link; why they keep it from being opened, and what to do."""
    parts: list[Part] = []
    trouble = remedy = ""
    for reference, place in places:
        if reference.kind == "backing":
            continue
        if place.exists():
            part, wrong = _part(reference, place, path, seen)
            parts.append(part)
        else:
            parts.append(Part(reference.kind, place, False, None))
            wrong = _missing(path, place, reference)
        if wrong and not trouble:
            trouble, remedy = wrong, _bring(place)
    return parts, trouble, remedy


def _part(reference: Reference, place: Path, image: Path, seen: set[Identity]) -> tuple[Part, str]:
    """A file that holds some of an image's data, and what is wrong with it."""
    with Source(place) as other:
        if other.identity in seen:
            raise _refused_chain(image, _("it names {path} twice").format(path=safe(place)))
        seen.add(other.identity)
        wrong = ""
        if other.size < reference.least:
            wrong = _("{path} should have {wanted}, but has {have}.").format(
                path=safe(place), wanted=size(reference.least), have=size(other.size)
            )
        elif reference.format == vmdk.SE_SPARSE_EXTENT:
            if other.some(0, 8) != vmdk.SE_SPARSE:
                raise other.damaged(_("it is no {format} header").format(format="seSparse"))
        elif reference.format == vmdk.SPARSE_EXTENT:
            _check_extent(other)
        return Part(reference.kind, place, True, other.identity, other.is_block_device), wrong


def _check_extent(extent: Source) -> None:
    """An extent that is a VMDK itself must not point further: QEMU would follow it."""
    header = read_header(extent, "vmdk")
    if any(reference.kind == "extent" for reference in header.references):
        raise extent.damaged(_("an extent names further extents"))


def located(image: Path, header: Header, bounds: Bounds) -> Places:
    """Everything that a header names, each with its resolved path.

    Raises `Refused` where a name is no file of this host, and one `PointsOutside` for all that the
    operator must be asked about, so that the answer can be given at once.
    """
    places = [(one, _place(image, one)) for one in header.references]
    asked = {place: bounds.objection(image, place, one.kind) for one, place in places}
    objections = [(place, objection) for place, objection in asked.items() if objection]
    if objections:
        raise points_outside(image, objections)
    for _one, place in places:
        _require_file(image, place, bounds)
    return places


def _place(image: Path, reference: Reference) -> Path:
    name = reference.name
    if not name:
        raise Refused(
            _("{path} keeps its data in another file, but does not say in which.").format(path=safe(image)),
            _("Nothing was opened."),
        )
    if ":" in name.split("/", 1)[0] or "\0" in name:
        raise Refused(
            _("The header of {path} points to {name}, which is no file of this host.").format(
                path=safe(image), name=safe(name)
            ),
            _("Opening it could reach over the network or into other files. Nothing was opened."),
            _("Fetch that disk yourself; put it beside a copy of this one whose header names it as a file."),
        )
    try:
        return nested.as_meant_there(image, name) or (image.parent / name).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise _unresolved(image, name) from error


def _meant_there(image: Path, places: Places) -> list[str]:
    """What is said of absolute names that were taken as those of the volume around the image."""
    told = _("{path} names {name}, which is {place} here: it lies in a mounted volume.")
    return [
        told.format(path=safe(image.name), name=safe(one.name), place=safe(place))
        for one, place in places
        if nested.as_meant_there(image, one.name) == place != Path(one.name).resolve()
    ]


def _require_file(image: Path, place: Path, bounds: Bounds) -> None:
    """Refuse what is there but is neither a regular file nor a device that was allowed."""
    try:
        mode = os.stat(place).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return  # told as missing
    except PermissionError as error:
        raise NeedsRoot(
            _("{image} keeps data in {path}, and there is no permission to look at that.").format(
                image=safe(image), path=safe(place)
            ),
            _("Nothing was opened."),
            _("Run the same command with sudo."),
        ) from error
    except OSError as error:
        raise _unresolved(image, str(place)) from error
    if stat.S_ISBLK(mode) and place not in bounds.allowed:
        raise _refused_chain(image, _("it points to the device {path}").format(path=safe(place)))
    if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
        raise _refused_chain(
            image, _("it points to {path}, which is no regular file").format(path=safe(place))
        )


def _unresolved(image: Path, name: str) -> Refused:
    return _refused_chain(image, _("it points to {name}, which cannot be resolved").format(name=safe(name)))


def _refused_chain(image: Path, reason: str) -> Refused:
    return Refused(
        _("The chain of files behind {path} cannot be followed: {reason}.").format(
            path=safe(image), reason=reason
        ),
        _("Nothing was opened."),
    )


def _missing(image: Path, place: Path, reference: Reference) -> str:
    if reference.kind == "backing":
        return _("{image} holds only what differs from {path}, and that file is missing.").format(
            image=safe(image), path=safe(place)
        )
    return _("{image} keeps data in {path}, and that file is missing.").format(
        image=safe(image), path=safe(place)
    )


def _stranger(image: Path, place: Path) -> str:
    return _("{image} is a difference to another disk than {path}: that one bears another identity.").format(
        image=safe(image), path=safe(place)
    )


def _bring(place: Path) -> str:
    return _(
        "Bring {path} back, from the host where the disk lay or from a backup, and try again. Where it has"
        " another name or place now, the wizard asks for it; on the command line `inspect --candidates`"
        " looks for it, and --backing names it."
    ).format(path=safe(place))
