"""Candidates that claim the same place: which of them counts, and why the other does not."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from core.i18n import _
from core.tables.lost import ext
from core.tables.lost.candidate import Candidate, Read, Remain
from core.tables.lost.medium import SECTOR

MIB = 1 << 20
MOST_KEPT = 128
"""Partitions of one table: what a GPT has room for as every tool makes it (UEFI 2.10, chapter 5.3.1)."""
_TRACK = 63 * SECTOR
_CYLINDER = 255 * _TRACK
_LAYERS = frozenset({"LVM2_member", "crypto_LUKS", "linux_raid_member"})
_IMAGES = frozenset({"squashfs", "erofs", "iso9660"})
"""What is more often the content of a file than of a partition."""
_EXT = frozenset({"ext2", "ext3", "ext4"})
_SLACK = 50
"""A partition may be larger than its file system by one part in so many, or by two mebibytes."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A candidate that does not count, and why, as a sentence."""

    candidate: Candidate
    reason: str
    copy: bool = False
    """Whether it is no thing of its own, but a copy of another's superblock."""


def aligned(start: int) -> bool:
    """Whether partitions begin there: at a mebibyte, or at a track as the old tools made them."""
    return start % MIB == 0 or start % _CYLINDER in (0, _TRACK) or start == _TRACK


def contest(
    read: Read, candidates: Iterable[Candidate], remains: Sequence[Remain], size: int
) -> tuple[tuple[Candidate, ...], tuple[Rejected, ...]]:
    """Those that fit together on a disk of `size` bytes, and the others with the reason."""
    named = {one.start for one in remains}
    sized = [_sized(one, remains) for one in candidates]
    # what is surest first; of two equals the larger, which may hold the other
    sized.sort(key=lambda one: (one.rank, one.size), reverse=True)
    kept: list[Candidate] = []
    out: list[Rejected] = []
    for one in sized:
        if reason := _unfit(one, named, size):
            out.append(Rejected(one, reason))
            continue
        verdicts = [(other, *_judged(read, one, other)) for other in kept if _overlap(one, other)]
        lost = next(((other, reason) for other, wins, reason in verdicts if not wins), None)
        if lost is not None:
            out.append(Rejected(one, lost[1], _same(one, lost[0])))
            continue
        for other, _wins, reason in verdicts:
            kept.remove(other)
            out.append(Rejected(other, reason, _same(one, other)))
        kept.append(one)
    out += [Rejected(one, _("A table has no room for so many partitions.")) for one in kept[MOST_KEPT:]]
    del kept[MOST_KEPT:]
    order = {one.candidate: number for number, one in enumerate(out)}
    out.sort(key=lambda one: (one.candidate.start, order[one.candidate]))
    return tuple(sorted(kept, key=lambda one: one.start)), tuple(out)


def _sized(one: Candidate, remains: Sequence[Remain]) -> Candidate:
    """The candidate as long as a former table says, where that is about what it says itself."""
    for entry in remains:
        if entry.start != one.start or entry.size < one.size:
            continue
        if one.open_ended or entry.size - one.size <= max(2 * MIB, one.size // _SLACK):
            return replace(one, size=entry.size, open_ended=False)
    return one


def _unfit(one: Candidate, named: set[int], size: int) -> str:
    """Why it cannot be a partition at all; empty if it can."""
    if one.start >= size:
        return _("It begins behind the end of the disk.")
    if one.content in _IMAGES and not aligned(one.start) and one.start not in named:
        return _("It does not begin where partitions begin; it is probably the content of a file.")
    if not one.primary and one.end > size + size // 2:
        return _("Most of it would lie behind the end of the disk.")
    return ""


def _overlap(one: Candidate, other: Candidate) -> bool:
    return one.start < other.end and other.start < one.end


def _same(one: Candidate, other: Candidate) -> bool:
    return one.uuid is not None and (one.content, one.uuid) == (other.content, other.uuid)


def _judged(read: Read, one: Candidate, other: Candidate) -> tuple[bool, str]:
    """Whether `one` wins over `other`, which overlaps it, and the reason for the one that loses."""
    if _same(one, other):
        first = one.rank > other.rank
        winner = one if first else other
        return first, _("Its superblock is a copy: the same file system lies at byte {start}.").format(
            start=winner.start
        )
    if one.start == other.start:
        return _same_start(one, other)
    if one.start >= other.start and one.end <= other.end:
        wins = not _holds(read, other, one)
        return wins, _replaced(one) if wins else _inside(other)
    if other.start >= one.start and other.end <= one.end:
        wins = _holds(read, one, other)
        return wins, _inside(one) if wins else _replaced(other)
    wins = _later(one, other)
    return wins, _replaced(one if wins else other)


def _same_start(one: Candidate, other: Candidate) -> tuple[bool, str]:
    """Two that begin at the same byte."""
    layers = [each.content in _LAYERS and each.primary for each in (one, other)]
    if layers[0] != layers[1]:
        return layers[0], _inside(one if layers[0] else other)
    wins = _later(one, other)
    return wins, _replaced(one if wins else other)


def _holds(read: Read, outer: Candidate, inner: Candidate) -> bool:
    """Whether `inner` is only something that lies inside `outer`, and not what came after it.

    A file system that came after another lies on blocks that the other counts as free, because the
    other never heard of it; the image of a disk, kept in a file, lies on blocks in use.
    """
    used = ext.in_use(read, outer, inner.superblock) if outer.content in _EXT else None
    if outer.primary:
        newer = (inner.written or 0) > (outer.written or 0)
        return not (used is False and newer and inner.primary and inner.live)
    if used is not None:
        return used
    stands = inner.primary and inner.live and aligned(inner.start)
    return outer.live or not stands


def _later(one: Candidate, other: Candidate) -> bool:
    """Whether `one` counts more: its beginning is there, then the date, then all else that speaks for it."""
    if one.primary != other.primary:
        return one.primary
    if one.written and other.written and one.written != other.written:
        return one.written > other.written
    return one.rank > other.rank


def _inside(outer: Candidate) -> str:
    return _(
        "It lies inside what begins at byte {start} ({content}): the content of a file or a layer."
    ).format(start=outer.start, content=outer.content)


def _replaced(winner: Candidate) -> str:
    return _("It is left over from before: {content} at byte {start} has taken its place.").format(
        content=winner.content, start=winner.start
    )
