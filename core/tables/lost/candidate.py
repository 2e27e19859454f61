"""What a search for lost partitions finds: candidates for a partition, and remains of former tables."""

from collections.abc import Callable
from dataclasses import dataclass, replace

Read = Callable[[int, int], bytes]
"""Reads from a byte offset of the disk at most so many bytes; fewer at its end and where it is damaged."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that says of itself where it begins and how long it is. Places and sizes in bytes.

    `content` is libblkid's name for it. `label` and `uuid` are untrusted text.
    """

    content: str
    start: int
    size: int
    """Where it does not say its size (`open_ended`), the least that it can be."""
    primary: bool
    """Whether its first superblock is in its place; else only copies of it were found."""
    live: bool = False
    """Whether what the superblock points to is there: the root directory, the first file record…"""
    checked: bool = False
    """Whether its checksum is right, or all that it says of itself fits together where it has none."""
    sealed: bool = False
    """Whether it has a checksum, and that is right."""
    copies: int = 1
    """Superblocks of it that agree."""
    superblock: int = 0
    """Where on the disk the superblock lies that this was read from."""
    written: int | None = None
    """When it was last written, in seconds since 1970; None where it does not say."""
    label: str | None = None
    uuid: str | None = None
    open_ended: bool = False
    type: str = "83"
    """The MBR type that fits, in hexadecimal as sfdisk writes it."""
    boots: bool = False
    """Whether it looks like an EFI system partition."""

    @property
    def end(self) -> int:
        """The byte after its last."""
        return self.start + self.size

    @property
    def key(self) -> tuple[str, int, int, str | None]:
        """What two superblocks of one thing have in common."""
        return self.content, self.start, self.size, self.uuid

    @property
    def rank(self) -> tuple[bool, bool, bool, int]:
        """The greater, the more speaks for it."""
        return self.live and self.primary, self.live, self.checked, self.copies

    @property
    def credible(self) -> bool:
        """Whether more than one chance value speaks for it."""
        return self.checked and (self.sealed or self.live or self.primary or self.copies > 1)

    def joined(self, other: "Candidate") -> "Candidate":
        """One candidate of two superblocks of one thing."""
        better, worse = (self, other) if self._weight >= other._weight else (other, self)
        times = [one.written for one in (self, other) if one.written is not None]
        return replace(
            better,
            live=better.live or worse.live,
            checked=better.checked or worse.checked,
            sealed=better.sealed or worse.sealed,
            copies=self.copies + other.copies,
            written=max(times, default=None),
        )

    @property
    def _weight(self) -> tuple[bool, bool, bool]:
        return self.primary, self.live, self.checked


@dataclass(frozen=True, slots=True)
class Remain:
    """An entry of a former partition table that was found on the disk; bytes."""

    kind: str
    """``ebr`` or ``gpt``."""
    record: int
    """Where the record lies that holds the entry."""
    start: int
    size: int
    type: str
    """As in a partition: MBR code in hexadecimal, or type GUID."""
    name: str | None = None
    sector: int = 512
    """Bytes of the sectors that the table counted in."""


Sign = Candidate | Remain
