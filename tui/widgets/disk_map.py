"""The picture of a disk: its partitions to scale, the gaps between them, and where each begins."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.geometry import Region, Size
from textual.widgets import Static

from core.i18n import _, noted
from core.tables.model import Partition, PartitionTable
from core.text import safe, size
from tui.widgets.canvas import Canvas
from tui.widgets.disk_layout import Span, layout
from tui.widgets.lines import Line, Piece, content_of, cut, differing

_EVEN, _ODD, _SEVERAL, _GAP, _BEYOND, _MARKER = "█", "▓", "▒", "·", ">", "^"
_LEAST_WIDTH = 20
_ROOMY = 28
"""Lines of the screen from which on the picture takes two lines more."""
_LEGEND_LINES = 2
_DISK = "disk"

Names = Mapping[str, str]
"""What lies in each volume (``ext4``), by its id; ``disk`` for a file system on the whole disk."""


class DiskMap(Static):
    """The disk as a bar to scale; an extended partition is a frame around its logical ones.

    The highlighted partition has ``^^^^`` under it and its own colour. It is higher on a high screen.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "disk-map--even",
        "disk-map--odd",
        "disk-map--several",
        "disk-map--gap",
        "disk-map--now",
        "disk-map--frame",
        "disk-map--label",
        "disk-map--scale",
    }
    DEFAULT_CSS = """
    DiskMap { height: auto; }
    DiskMap > .disk-map--even { color: $primary; }
    DiskMap > .disk-map--odd { color: $secondary; }
    DiskMap > .disk-map--several { color: $warning; }
    DiskMap > .disk-map--gap { color: $text-disabled; }
    DiskMap > .disk-map--now { color: $text-accent; text-style: bold; }
    DiskMap > .disk-map--frame { color: $text-muted; }
    DiskMap > .disk-map--label { color: $text; }
    DiskMap > .disk-map--scale { color: $text-muted; }
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(markup=False, name=name, id=id, classes=classes)
        self._table: PartitionTable | None = None
        self._names: Names = {}
        self._highlight: int | None = None
        self.brief = False
        """Whether what the labels had no room for is left to the table below."""

    def show(self, table: PartitionTable, names: Names, highlight: int | None = None) -> None:
        """Draw a table; `names` tells the content of each volume by its id."""
        self._table, self._names, self._highlight = table, dict(names), highlight
        self.refresh(layout=True)

    def highlight(self, number: int | None) -> None:
        """Mark the partition with that number."""
        if number == self._highlight or self._table is None:
            return
        before = self._lines()
        self._highlight = number
        after = self._lines()
        if len(before) != len(after):
            self.refresh(layout=True)
            return
        for y, (old, new) in enumerate(zip(before, after, strict=True)):
            begin, end = differing(old, new)
            if begin < end:
                self.refresh(Region(begin, y, end - begin, 1))

    def on_resize(self, _event: events.Resize) -> None:
        self.refresh(layout=True)

    def be_brief(self, room: int, rows: int) -> None:
        """Leave out what the table tells too where it has no `room` for its `rows`, both in lines."""
        in_full = len(self._lines(brief=False))
        legend = in_full - len(self._lines(brief=True))
        brief = room - (legend if self.brief else 0) < rows
        if legend and brief != self.brief:
            self.brief = brief
            self.call_after_refresh(self.refresh, layout=True)  # it may be asked in the midst of a layout

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """The lines of the picture at that width, which need not be the one it has now."""
        return len(self._lines(width))

    def render(self) -> Content:
        """The picture for the width at hand."""
        return content_of(self, self._lines())

    def _lines(self, width: int = 0, *, brief: bool | None = None) -> list[Line]:
        if self._table is None:
            return []
        width = width or self.content_region.width or self.app.size.width
        tall = self.app.size.height >= _ROOMY
        brief = self.brief if brief is None else brief
        return drawn(self._table, width, self._highlight, names=self._names, tall=tall, brief=brief)


@dataclass(frozen=True, slots=True)
class Label:
    """A text over the bar, at column `x`."""

    x: int
    text: str
    span: Span
    complete: bool
    """Whether it tells all that the legend would."""

    @property
    def end(self) -> int:
        return self.x + cell_len(self.text)


def drawn(
    table: PartitionTable,
    width: int,
    highlight: int | None = None,
    *,
    names: Names | None = None,
    tall: bool = False,
    brief: bool = False,
) -> list[Line]:
    """The picture in at most `width` columns (never less than 20): frame, labels, bar, marker, scale, legend.

    `tall` gives the sizes a line of their own and a bar two lines high; `brief` leaves out the legend.
    """
    width = max(_LEAST_WIDTH, width)
    known = names or {}
    spans = layout(table, width)
    canvas = Canvas(width)
    top = canvas.row() if any(span.kind == "open" for span in spans) else None
    labels = canvas.row()
    sizes = canvas.row() if tall else None
    bars = [canvas.row() for _line in range(2 if tall else 1)]
    bottom = canvas.row()
    scale = canvas.row()
    if top is not None:
        sides = [labels, *([sizes] if sizes is not None else []), *bars]
        _draw_frames(canvas, spans, top, sides, bottom)
    for label in _placed_labels(spans, table, known, highlight, width, tall=tall):
        role = "disk-map--now" if _shows(label.span, highlight) else "disk-map--label"
        canvas.put(labels, label.x, label.text, role)
        if sizes is not None and _has_size(label):
            canvas.put(sizes, label.x, _told_size(label.span), "disk-map--scale")
    _draw_bar(canvas, spans, bars, table, highlight)
    _draw_marker(canvas, spans, bottom, highlight)
    for x, text, role in _ticks(spans, table, highlight, width):
        canvas.put(scale, x, text, role)
    return [*canvas.lines(), *([] if brief else _legend(spans, table, known, width, tall=tall))]


def _shows(span: Span, number: int | None) -> bool:
    return number is not None and any(part.number == number for part in span.parts)


def _frames(spans: Sequence[Span]) -> list[tuple[Span, Span]]:
    """The two sides of each frame; frames never lie in one another."""
    opened = [span for span in spans if span.kind == "open"]
    closed = [span for span in spans if span.kind == "close"]
    return list(zip(opened, closed, strict=True))


def _draw_frames(canvas: Canvas, spans: Sequence[Span], top: int, sides: Sequence[int], bottom: int) -> None:
    role = "disk-map--frame"
    for opened, closed in _frames(spans):
        for y in sides:
            canvas.put(y, opened.x, "│", role)
            canvas.put(y, closed.x, "│", role)
        inner = closed.x - opened.x - 1
        title, _complete = _frame_title(opened.parts[0], inner)
        canvas.put(top, opened.x, "┌" + title + "─" * (inner - cell_len(title)) + "┐", role)
        canvas.put(bottom, opened.x, "└" + "─" * inner + "┘", role)


def _frame_title(part: Partition, columns: int) -> tuple[str, bool]:
    """The title of a frame with `columns` inside, and whether it tells all that the legend would."""
    name = _("{number} extended").format(number=part.number)
    for text in (f"{name} {size(max(0, part.size))}", name, str(part.number)):
        if cell_len(text) + 4 <= columns:
            return f"─ {text} ", text not in (name, str(part.number))
    return "", False


def _draw_bar(
    canvas: Canvas, spans: Sequence[Span], rows: Sequence[int], table: PartitionTable, highlight: int | None
) -> None:
    turn = 0
    for span in spans:
        if span.kind in ("open", "close"):
            continue
        if span.kind == "gap" and (table.partitions or table.label):
            char, role = _GAP, "disk-map--gap"
        elif span.kind == "several":
            char, role = _SEVERAL, "disk-map--several"
        else:
            char, role = ((_EVEN, "disk-map--even"), (_ODD, "disk-map--odd"))[turn % 2]
            turn += 1
        if _shows(span, highlight):
            char, role = _EVEN, "disk-map--now"
        beyond = any(part.end >= table.sectors for part in span.parts)
        text = char * (span.columns - 1) + (_BEYOND if beyond else char)
        for y in rows:
            canvas.put(y, span.x, text, role)


def _draw_marker(canvas: Canvas, spans: Sequence[Span], y: int, highlight: int | None) -> None:
    place = _extent(spans, highlight)
    if place:
        begin, end = place
        canvas.put(y, begin, _MARKER * (end - begin), "disk-map--now")


def _extent(spans: Sequence[Span], number: int | None) -> tuple[int, int] | None:
    """The columns of a partition; of an extended one, those between the sides of its frame."""
    if number is None:
        return None
    own = [span for span in spans if span.kind in ("part", "several") and _shows(span, number)]
    if not own:
        own = [
            span
            for span in spans
            if span.inside and span.inside.number == number and span.kind not in ("open", "close")
        ]
    return (own[0].x, own[-1].end) if own else None


def _placed_labels(
    spans: Sequence[Span],
    table: PartitionTable,
    names: Names,
    highlight: int | None,
    width: int,
    *,
    tall: bool,
) -> list[Label]:
    """As many labels as have room, each over its own span, with a space between any two."""
    placed: list[Label] = []
    walls = [span.x for span in spans if span.kind in ("open", "close")]
    for span in sorted(spans, key=lambda span: (not _shows(span, highlight), span.x)):
        candidates = _candidates(span, list(_texts(span, table, names, tall=tall)))
        if _shows(span, highlight):
            candidates = [*candidates, *(_shifted(label, width, walls) for label in candidates[-1:])]
        for label in candidates:
            forced = _shows(span, highlight) and label is candidates[-1]
            if (forced or label.end <= span.end) and not any(_touch(label, other) for other in placed):
                placed.append(label)
                break
    return placed


def _candidates(span: Span, texts: Sequence[str]) -> list[Label]:
    """The longest text first; each at the left of its span, then one column further."""
    labels: list[Label] = []
    for turn, text in enumerate(texts):
        # a blank at the end of the span keeps two long labels apart; a number alone may fill it
        text_end = span.end - (1 if " " in text else 0)
        for x in (span.x, span.x + 1):
            label = Label(x, text, span, complete=turn == 0)
            if label.end <= text_end:
                labels.append(label)
    return labels or [Label(span.x, text, span, complete=False) for text in texts[-1:]]


def _touch(one: Label, other: Label) -> bool:
    return one.x <= other.end and other.x <= one.end


def _shifted(label: Label, width: int, walls: Sequence[int]) -> Label:
    """A label that is wider than its span, moved to the left where a wall or the end is in its way."""
    end = min([width, *(wall for wall in walls if wall > label.span.x)])
    return Label(min(label.x, max(0, end - cell_len(label.text))), label.text, label.span, label.complete)


def _texts(span: Span, table: PartitionTable, names: Names, *, tall: bool) -> Iterator[str]:
    """What a span may be labelled with, the longest first."""
    if span.kind == "gap" and not table.partitions:
        yield from _whole_disk_texts(table, names)
    if span.kind == "several":
        yield f"{span.parts[0].number}-{span.parts[-1].number}"
    if span.kind != "part":
        return
    part = span.parts[0]
    number = _number(part, {part.number} if span.doubtful else ())
    content = _content(part, names)
    if not tall:
        yield f"{number} {content} {size(max(0, part.size))}".replace("  ", " ")
    if content:
        yield f"{number} {content}"
    yield number
    if span.doubtful:
        yield str(part.number)


def _content(part: Partition, names: Names) -> str:
    if part.kind == "extended":
        return _("extended")
    return cut(safe(names.get(str(part.number), "")), 16)


def _whole_disk_texts(table: PartitionTable, names: Names) -> Iterator[str]:
    told = _("no partitions") if table.label else _("whole disk")
    if names.get(_DISK):
        yield f"{told} {cut(safe(names[_DISK]), 16)} {size(table.sectors * table.sector_size)}"
    yield told


def _has_size(label: Label) -> bool:
    """Whether the size fits under the label, in a tall picture."""
    return 0 < cell_len(_told_size(label.span)) < label.span.end - label.x


def _told_size(span: Span) -> str:
    if span.kind != "part":
        return ""
    return size(max(0, span.parts[0].size))


def _ticks(
    spans: Sequence[Span], table: PartitionTable, highlight: int | None, width: int
) -> Iterator[tuple[int, str, str]]:
    """Where on the disk things begin, as far as there is room; the highlighted one comes first."""
    total = size(table.sectors * table.sector_size)
    taken = [(width - cell_len(total), width)]
    yield taken[0][0], total, "disk-map--scale"
    marked = [span for span in spans if _shows(span, highlight) and span.kind != "close"]
    for span in [*marked, *spans]:
        at = size(max(0, span.parts[0].offset)) if span.parts and span not in marked[1:] else ""
        if span.x == 0 and span not in marked:
            at = "0"
        place = (span.x, span.x + cell_len(at))
        if span in marked and place[1] + 2 > taken[0][0]:
            place = (taken[0][0] - 2 - cell_len(at), taken[0][0] - 2)
        if at and place[0] >= 0 and all(place[0] > end + 1 or begin > place[1] + 1 for begin, end in taken):
            taken.append(place)
            yield place[0], at, "disk-map--now" if span in marked else "disk-map--scale"


def _legend(
    spans: Sequence[Span], table: PartitionTable, names: Names, width: int, *, tall: bool
) -> list[Line]:
    """In full what the labels had no room for, by number."""
    labels = _placed_labels(spans, table, names, None, width, tall=tall)
    told = {
        label.span.parts[0].number
        for label in labels
        if label.span.kind == "part" and label.complete and (not tall or _has_size(label))
    }
    for opened, closed in _frames(spans):
        if _frame_title(opened.parts[0], closed.x - opened.x - 1)[1]:
            told.add(opened.parts[0].number)
    doubtful = {part.number for span in spans if span.doubtful for part in span.parts}
    texts = [
        _in_words(_number(part, doubtful), _content(part, names), size(max(0, part.size)))
        for part in sorted(table.partitions, key=lambda part: part.number)
        if part.number not in told
    ]
    if texts:
        texts[0] = _("In full: {first}").format(first=texts[0])
    return [(Piece(" " + line, "disk-map--scale"),) for line in _joined_texts(texts, width - 1)]


def _in_words(number: str, content: str, size: str) -> str:
    """A partition in a row of several; a number and a size alone would read as one number."""
    return f"{number} {content} {size}" if content else noted(number, size)


def _number(part: Partition, doubtful: Collection[int]) -> str:
    """The number; with a sign where the table is wrong about the partition."""
    return f"{part.number}!" if part.number in doubtful else str(part.number)


def _joined_texts(texts: Sequence[str], width: int) -> list[str]:
    lines: list[str] = []
    for text in texts:
        if lines and cell_len(lines[-1]) + 3 + cell_len(text) <= width - 4:
            lines[-1] += " · " + text
        elif len(lines) == _LEGEND_LINES:
            lines[-1] += " ..."
            break
        else:
            lines.append(cut(text, width - 4))
    return lines
