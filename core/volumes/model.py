"""What can be opened on a disk: partitions, the whole disk, and what lies above these: LVM, LUKS, md."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import WrongUsage
from core.i18n import _, enumerated, sentences
from core.tables.content import Content
from core.tables.model import Partition, PartitionTable
from core.text import safe, size
from core.volumes.luks.bitlocker import Metadata
from core.volumes.luks.header import Header
from core.volumes.luks.integrity import Superblock
from core.volumes.lvm.model import Group
from core.volumes.md.model import Array


@dataclass(frozen=True, slots=True)
class Pieces:
    """A logical volume in several pieces, or one that only the kernel can put together."""

    group: Group
    name: str
    hindrance: str = ""
    """Why not even the kernel can, as a sentence; empty for most."""


@dataclass(frozen=True, slots=True)
class Encrypted:
    """What lies in an encrypted volume, `outer`.

    Its header is None where it is lost; it lies in the file `apart`, if not before the data.
    """

    outer: "Volume"
    header: Header | None
    apart: Path | None = None
    bitlocker: Metadata | None = None
    """What a volume of Windows says of itself instead of a header."""
    sums: Superblock | None = None
    """What dm-integrity keeps between the data, where the header names a checksum."""

    @property
    def hindrance(self) -> str:
        """Why no key opens it, as a sentence; empty for most."""
        said = self.header or self.bitlocker
        return said.hindrance if said else ""


Layer = Pieces | Encrypted | Array
Problems = dict[str, list[str]]
"""What is wrong with what lies in volumes, by their ids; a `defaultdict`."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A run of bytes on the disk that may hold a file system. `offset` and `size` are in bytes.

    What stands above a partition lies in the same bytes, unless a layer has to be put up first: then
    `layer` says which, and for the volumes in it `under` has its id, and `offset` counts from its start.

    Of `candidates`, `wanted`, `members` and `pending` see `core.tables.content.Content`.
    """

    id: str
    kind: str
    offset: int
    size: int
    content: str | None
    label: str | None
    uuid: str | None
    problems: tuple[str, ...] = ()
    partition: Partition | None = None
    candidates: tuple[Content, ...] = ()
    wanted: int | None = None
    members: int = 1
    superblock: int | None = None
    """Bytes from its start to a copy of its superblock, where the first one is lost."""
    pending: bool = False
    inside: str = ""
    """The id of the volume that it was found in: a partition, or what lies above one."""
    across: tuple[str, ...] = ()
    """The ids of all volumes that it has bytes in, in the order of the disk, where they may be several."""
    under: str = ""
    """The id of the volume whose layer shows the bytes that it lies in; empty for the disk itself."""
    layer: Layer | None = None
    """What is put up before its bytes can be read; None where they lie in one run."""
    locked: bool = False
    """Whether a passphrase is wanted before anything can be said of what it contains."""
    elsewhere: bool = False
    """Whether its group or array has members that are not on the disks that were given."""

    @property
    def of_another_disk(self) -> bool:
        """Whether it is a partition, or all, of a disk that was given behind the first one."""
        return self.kind in ("partition", "disk") and ":" in self.id

    @property
    def apart(self) -> bool:
        """Whether its bytes are not a run of those of the disk."""
        return self.layer is not None or bool(self.under)

    @property
    def seen_when_opened(self) -> bool:
        """Whether only putting it up tells what it contains."""
        return self.layer is not None and self.content is None and not self.candidates

    @property
    def lacking(self) -> str:
        """What of it is on a disk that was not given; empty where all is there."""
        return sentences(self.problems) if self.elsewhere else ""

    @property
    def unknown(self) -> bool:
        """Whether nothing is known of it. It may be encrypted, with its header elsewhere."""
        return self.content is None and not self.candidates and self.layer is None

    @property
    def size_told(self) -> str:
        """Its size for people; that of an array with too few members is not known."""
        return size(self.size) if self.size else "?"

    @property
    def signatures(self) -> str:
        """What it carries the signatures of, as a list for a sentence."""
        names = [one.content for one in self.candidates] or [self.content]
        return safe(enumerated(name for name in names if name))

    @property
    def title(self) -> str:
        """How a sentence calls it."""
        if self.kind == "disk" and self.id == "disk":
            return _("the whole disk")
        if self.kind == "lv":
            return _("the logical volume {name}").format(name=safe(self.id))
        if self.kind == "luks":
            return _("the encrypted volume {name}").format(name=safe(self.inside or self.id))
        if self.kind == "md":
            return _("the array {name}").format(name=safe(self.id.removeprefix("md:")))
        disk, several, number = self.id.partition(":")
        if several:
            whole = _("disk {disk}") if number == "disk" else _("partition {number} of disk {disk}")
            return whole.format(disk=disk, number=number)
        return _("partition {number}").format(number=self.id)

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": self.kind,
            "size": self.size,
            **({"inside": self.inside} if self.inside else {}),
            **({"across": list(self.across)} if self.across else {}),
            **({"locked": True} if self.locked else {}),
            "content": self.content,
            "label": self.label,
            "uuid": self.uuid,
            "problems": list(self.problems),
            "candidates": [one.content for one in self.candidates],
            "wanted_size": self.wanted,
            "pending": self.pending,
        }


def of_partition(partition: Partition, content: Content) -> Volume:
    """The volume that a partition is."""
    return _of(str(partition.number), "partition", partition.offset, partition.size, content, partition)


def of_disk(size: int, content: Content) -> Volume:
    """The volume that a disk without a partition table is. `size` in bytes."""
    return _of("disk", "disk", 0, size, content, None)


def of_bytes(id: str, kind: str, offset: int, size: int, content: Content, inside: str, under: str) -> Volume:
    """A volume that lies in one run of bytes above a partition."""
    return replace(_of(id, kind, offset, size, content, None), inside=inside, under=under)


def of_layer(
    id: str,
    kind: str,
    size: int,
    content: Content,
    inside: str,
    under: str,
    layer: Pieces | Encrypted | Array,
) -> Volume:
    """A volume whose bytes can be read when its layer is put up."""
    return replace(of_bytes(id, kind, 0, size, content, inside, under), layer=layer)


def with_content(volume: Volume, content: Content) -> Volume:
    """A volume with what was seen in it when it was opened."""
    seen = _of(volume.id, volume.kind, volume.offset, volume.size, content, volume.partition)
    return replace(
        volume,
        content=seen.content,
        label=seen.label,
        uuid=seen.uuid,
        candidates=seen.candidates,
        wanted=seen.wanted,
        members=seen.members,
        pending=seen.pending,
        problems=(*volume.problems, *seen.problems),
        locked=False,
    )


def _of(id: str, kind: str, offset: int, size: int, content: Content, partition: Partition | None) -> Volume:
    # what only the end of the disk cuts off is padded when it is opened
    wanted = content.wanted if (content.wanted or 0) > size else None
    problems = content.problems
    if wanted:
        told = _("It cannot be mounted in there; `--to-end` opens it beyond that, read-only.")
        problems = (*problems, told)
    if content.pending:
        problems = (*problems, journal_left(content.content))
    return Volume(
        id,
        kind,
        offset,
        size,
        content.content,
        content.label,
        content.uuid,
        problems,
        partition,
        content.candidates,
        wanted,
        content.members,
        pending=content.pending,
    )


def journal_left(content: str | None) -> str:
    """A sentence on what it means that a file system was not unmounted."""
    return _(
        "This {content} was not unmounted, as after a crash: its last changes may be in its journal only,"
        " which is not read. With the journal replayed in an overlay it has them too (on the command line:"
        " `--replay`)."
    ).format(content=content)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the table and the contents of a disk say."""

    table: PartitionTable
    volumes: tuple[Volume, ...]

    @property
    def lacking(self) -> Volume | None:
        """The first volume that has parts on a disk that was not given; None where there is none."""
        return next((volume for volume in self.volumes if volume.elsewhere), None)

    def get(self, name: str) -> Volume | None:
        """The volume of that id, if there is one."""
        return next((volume for volume in self.volumes if volume.id == name), None)

    def volume(self, name: str) -> Volume:
        """The volume of that id; raises WrongUsage that lists those there are."""
        if volume := self.get(name):
            return volume
        there = enumerated(volume.id for volume in self.volumes) or _("none")
        raise WrongUsage(
            _("This disk has no volume {name}.").format(name=safe(name)),
            remedy=_(
                "It has: {volumes}. `virt-salvage inspect` shows them; with --scan it searches for lost ones."
            ).format(volumes=there),
        )
