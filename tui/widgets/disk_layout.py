"""A disk shared out to the columns of a line, to scale.

Every partition gets at least one column, however small it is; the rest is shared out by the method of the
largest remainder. Where there are more partitions than columns, the smallest neighbours are drawn as one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from core.tables.model import Partition, PartitionTable

Kind = Literal["part", "several", "gap", "open", "close"]


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring columns that show one thing. `open` and `close` are the sides of a frame."""

    kind: Kind
    weight: int = 0
    """Sectors."""
    parts: tuple[Partition, ...] = ()
    inside: Partition | None = None
    """The extended partition around it; of a side, the one whose side it is."""
    least: int = 0
    x: int = 0
    columns: int = 0
    doubtful: bool = False
    """Whether it overlaps what comes before, or ends behind the end of the disk."""

    @property
    def end(self) -> int:
        """The column after its last."""
        return self.x + self.columns


def layout(table: PartitionTable, width: int) -> tuple[Span, ...]:
    """The disk from its first sector to its last in exactly `width` columns."""
    spans = list(_spans(table, framed=True))
    if _needed_with_frames(spans) > width:
        spans = list(_spans(table, framed=False))
    spans = _merged(spans, width)
    return tuple(_placed(spans, shares(spans, width)))


def _spans(table: PartitionTable, *, framed: bool) -> Iterator[Span]:
    """What lies on the disk, in order."""
    extended = [part for part in table.partitions if part.kind == "extended"]
    inner = {part: _holding(part, extended) for part in table.partitions if part.kind == "logical"}
    cursor = 0
    for part in _in_order(part for part in table.partitions if inner.get(part) is None):
        begin, after = _clipped(part, cursor, table.sectors)
        if begin > cursor:
            yield Span("gap", begin - cursor)
        inside = _in_order(child for child, holder in inner.items() if holder is part)
        if part.kind != "extended" or not (framed or inside):
            yield _of(part, begin, after, table.sectors, None)
        else:
            yield from _frame(part, inside, begin, after, table.sectors, framed=framed)
        cursor = max(begin, after)
    if table.sectors > cursor or not table.partitions:
        yield Span("gap", max(0, table.sectors - cursor), least=0 if table.partitions else 1)


def _frame(
    part: Partition, inside: Sequence[Partition], begin: int, after: int, sectors: int, *, framed: bool
) -> Iterator[Span]:
    if framed:
        yield Span("open", parts=(part,), inside=part, least=1)
    cursor = begin
    for child in inside:
        first, behind = _clipped(child, cursor, sectors)
        if first > cursor:
            yield Span("gap", first - cursor, inside=part)
        yield _of(child, first, behind, sectors, part)
        cursor = max(first, behind)
    if after > cursor or not inside:
        yield Span("gap", max(0, after - cursor), inside=part, least=0 if inside else 1)
    if framed:
        yield Span("close", parts=(part,), inside=part, least=1)


def _of(part: Partition, begin: int, after: int, sectors: int, inside: Partition | None) -> Span:
    doubtful = part.end >= sectors or part.start < begin
    return Span("part", max(0, after - begin), (part,), inside, least=1, doubtful=doubtful)


def _clipped(part: Partition, cursor: int, sectors: int) -> tuple[int, int]:
    """Where a partition begins and the sector after its end, as far as it is not drawn yet."""
    begin = min(max(part.start, cursor), max(sectors, cursor))
    return begin, min(max(part.end + 1, begin), max(sectors, begin))


def _in_order(parts: Iterable[Partition]) -> list[Partition]:
    return sorted(parts, key=lambda part: (part.start, part.end, part.number))


def _holding(logical: Partition, extended: Sequence[Partition]) -> Partition | None:
    return next((part for part in extended if part.start <= logical.start <= part.end), None)


def _needed_with_frames(spans: Sequence[Span]) -> int:
    """Columns below which the frames must go: sides, and one column for what is in and between them."""
    sides = sum(span.kind in ("open", "close") for span in spans)
    return sides * 2 + 8 if sides else 0


def _merged(spans: list[Span], width: int) -> list[Span]:
    """The spans with as many neighbours drawn as one as it takes for each to have a column.

    Where some must be joined, a quarter of the columns is kept free, so that the scale stays true.
    """
    room = width if sum(span.least for span in spans) <= width else width * 3 // 4
    while sum(span.least for span in spans) > room:
        pair = _smallest_neighbours(spans)
        if pair is None:
            break
        first, second = pair
        one = spans[first : second + 1]
        parts = tuple(part for span in one for part in span.parts)
        merged = replace(
            spans[first],
            kind="several",
            weight=sum(span.weight for span in one),
            parts=parts,
            doubtful=any(span.doubtful for span in one),
        )
        spans = [*spans[:first], merged, *spans[second + 1 :]]
    return spans


def _smallest_neighbours(spans: Sequence[Span]) -> tuple[int, int] | None:
    best: tuple[int, int] | None = None
    smallest = 0
    last: int | None = None
    for index, span in enumerate(spans):
        if span.kind in ("open", "close"):
            last = None
        elif span.parts:
            if last is not None:
                weight = sum(one.weight for one in spans[last : index + 1])
                if best is None or weight < smallest:
                    best, smallest = (last, index), weight
            last = index
    return best


def shares(spans: Sequence[Span], width: int) -> list[int]:
    """Columns for each span, `width` in all: at least its least, else in proportion to its weight."""
    given = [span.least for span in spans]
    open_ended = [index for index, span in enumerate(spans) if span.kind not in ("open", "close")]
    while True:
        room = width - sum(given[index] for index in range(len(spans)) if index not in open_ended)
        whole = sum(spans[index].weight for index in open_ended)
        small = [index for index in open_ended if spans[index].weight * room < given[index] * whole]
        if not small:
            break
        open_ended = [index for index in open_ended if index not in small]
    return _with_remainders(spans, given, open_ended, max(0, room), whole, width)


def _with_remainders(
    spans: Sequence[Span], given: list[int], open_ended: list[int], room: int, whole: int, width: int
) -> list[int]:
    for index in open_ended:
        given[index] = max(given[index], spans[index].weight * room // whole if whole else 0)
    missing = width - sum(given)
    takers = open_ended or [index for index, span in enumerate(spans) if span.kind not in ("open", "close")]
    by_remainder = sorted(takers, key=lambda index: -(spans[index].weight * room % whole) if whole else 0)
    for turn in range(missing):
        given[by_remainder[turn % len(by_remainder)]] += 1
    return given


def _placed(spans: Sequence[Span], columns: Sequence[int]) -> Iterator[Span]:
    x = 0
    for span, count in zip(spans, columns, strict=True):
        if count:
            yield replace(span, x=x, columns=count)
        x += count
