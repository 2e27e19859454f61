"""The picture of the disk: to scale, nothing hidden, no labels over each other."""

import random
import re

import pytest
from rich.cells import cell_len

from core.tables.model import Partition, PartitionTable, gaps_between
from core.text import safe
from tui.plain import ascii_columns
from tui.widgets.disk_layout import layout
from tui.widgets.disk_map import drawn
from tui.widgets.lines import text_of, width_of

WIDTHS = (20, 40, 57, 78, 80, 98, 160)


def part(number, start, end, kind="primary", type_name="Linux"):
    return Partition(number, kind, start, end, 512, "83", type_name, None, False)


def table(sectors, *parts, label="msdos"):
    return PartitionTable(label, None, "primary", 512, sectors, parts, gaps_between(parts, sectors), ())


CLASSICAL = table(
    1000944,
    part(1, 63, 7055),
    part(2, 7056, 180431),
    part(3, 180432, 1000943, "extended", "Extended"),
    part(5, 180495, 451583, "logical"),
    part(6, 451647, 722735, "logical"),
    part(7, 722799, 993887, "logical"),
    part(8, 993951, 1000943, "logical"),
)
SIXTY = table(70000, *(part(n, n * 1000, n * 1000 + 900) for n in range(1, 61)), label="gpt")
HUGE = 1 << 63
TABLES = {
    "classical": CLASSICAL,
    "sixty": SIXTY,
    "256 logical": table(
        100000,
        part(1, 1, 99999, "extended"),
        *(part(n, n * 300, n * 300 + 200, "logical") for n in range(5, 261)),
    ),
    "one": table(204800, part(1, 2048, 204799)),
    "no partition": table(1000, label="gpt"),
    "no table": table(1000, label=None),
    "no sector": table(0, label=None),
    "overlapping": table(1000, part(1, 10, 600), part(2, 300, 500), part(3, 550, 999)),
    "the same twice": table(1000, part(1, 10, 999), part(2, 10, 999)),
    "beyond the end": table(1000, part(1, 100, HUGE), part(2, HUGE, HUGE * 2)),
    "no length": table(1000, part(1, 900, 100), part(2, 0, 0)),
    "tiny ones": table(
        10**10, *(part(n, n * 10, n * 10 + 1) for n in range(1, 30)), part(30, 10**6, 10**10 - 1)
    ),
    "empty extended": table(1000, part(1, 100, 900, "extended")),
    "many extended": table(4000, *(part(n, n * 100, n * 100 + 99, "extended") for n in range(1, 35))),
    "logical outside": table(1000, part(1, 10, 100, "extended"), part(5, 500, 900, "logical")),
    "nothing but a sector": table(1, part(1, 0, 0)),
}


def rows(tab, width, highlight=None, **options):
    return [text_of(line) for line in drawn(tab, width, highlight, **options)]


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("tall", [False, True])
def test_no_line_is_wider_than_the_screen(name, width, tall):
    for highlight in (None, *(one.number for one in TABLES[name].partitions[:4])):
        for line in drawn(TABLES[name], width, highlight, tall=tall):
            assert width_of(line) <= width


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_disk_fills_the_width_and_no_partition_is_lost(name, width):
    spans = layout(TABLES[name], width)
    assert sum(span.columns for span in spans) == width
    assert [span.x for span in spans] == [sum(s.columns for s in spans[:i]) for i in range(len(spans))]
    shown = {one.number for span in spans for one in span.parts}
    framed_or_shown = shown | {span.inside.number for span in spans if span.inside}
    assert framed_or_shown == {one.number for one in TABLES[name].partitions}


def test_columns_are_in_proportion_to_sectors():
    spans = {span.parts[0].number: span for span in layout(CLASSICAL, 158) if span.kind == "part"}
    inner = 158 - 2
    for number in (2, 5, 6, 7):
        exact = spans[number].parts[0].sectors * inner / CLASSICAL.sectors
        assert abs(spans[number].columns - exact) <= 1.5
    assert spans[1].columns == spans[8].columns == 1


def test_a_random_disk_is_drawn_to_scale():
    dice = random.Random(7)
    for _turn in range(200):
        cuts = sorted(dice.sample(range(1, 10**6), 2 * dice.randint(1, 10)))
        parts = [part(n + 1, cuts[2 * n], cuts[2 * n + 1] - 1) for n in range(len(cuts) // 2)]
        disk = table(10**6, *parts)
        for span in layout(disk, 120):
            if span.kind == "part" and span.columns > 1:
                assert abs(span.columns - span.weight * 120 / 10**6) < 2
            elif span.kind == "gap":
                assert span.columns <= span.weight * 120 / 10**6 + 1


def test_the_extended_partition_is_a_frame_around_its_logical_ones():
    lines = rows(CLASSICAL, 78, names={"5": "ext4"})
    top, labels, bar, bottom = lines[:4]
    begin, end = top.index("┌"), top.index("┐")
    assert "3 extended 400.6 MiB" in top
    assert [bottom[begin], bottom[end], bar[begin], bar[end]] == ["└", "┘", "│", "│"]
    assert labels.index("2") < begin < labels.index("5 ext4 132.4 MiB") < labels.rindex("8") < end


def test_what_the_labels_have_no_room_for_stands_in_the_legend():
    lines = rows(CLASSICAL, 78, names={"1": "ext2", "2": "xfs", "8": "swap"})
    assert "1 ext2 3.4 MiB" in lines[-1]
    assert "8 swap 3.4 MiB" in lines[-1]
    assert "5 " not in lines[-1]


@pytest.mark.parametrize("width", [40, 78, 98, 160])
def test_the_highlighted_one_is_marked_without_colour(width):
    for number in (1, 2, 5, 6, 7, 8):
        lines = rows(CLASSICAL, width, number)
        begin, end = re.search(r"\^+", lines[3]).span()
        (span,) = [s for s in layout(CLASSICAL, width) if s.kind == "part" and s.parts[0].number == number]
        assert (begin, end) == (span.x, span.end)
        assert str(number) in lines[1]


def test_a_highlighted_extended_partition_is_marked_from_side_to_side():
    lines = rows(CLASSICAL, 78, 3)
    begin, end = re.search(r"\^+", lines[3]).span()
    assert lines[0].index("┌") + 1 == begin
    assert lines[0].index("┐") == end


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("width", [40, 78, 98, 120, 160])
def test_labels_never_run_into_each_other(name, width):
    spans = layout(TABLES[name], width)
    framed = any(span.kind == "open" for span in spans)
    numbers = {str(one.number) for one in TABLES[name].partitions}
    for highlight in (None, *(one.number for one in TABLES[name].partitions[:3])):
        labels = rows(TABLES[name], width, highlight)[1 if framed else 0]
        labels = re.sub(r" [0-9.]+ [KMGTPE]?i?B\b", "", labels)
        for word in re.split(r"[ │]+", labels.strip(" │")):
            number = word.rstrip("!").split("-")[0]
            assert not number.isdigit() or number in numbers


def test_the_scale_tells_where_the_highlighted_one_begins_and_how_long_the_disk_is():
    lines = rows(CLASSICAL, 78, 6)
    scale = lines[4]
    assert scale.rstrip().endswith("488.7 MiB")
    assert scale[lines[3].index("^") :].startswith("220.5 MiB")


def test_overlap_and_ends_beyond_the_disk_are_seen():
    assert "2!" in rows(TABLES["overlapping"], 78)[-1]
    assert "3!" in rows(TABLES["overlapping"], 78)[0]
    labels, bar, *_rest = rows(TABLES["beyond the end"], 78)
    assert "1!" in labels
    assert bar.rstrip().endswith(">>")


def test_more_partitions_than_columns_are_drawn_as_groups():
    lines = rows(SIXTY, 40, 17)
    assert re.search(r"\b17-18\b|\b16-17\b", lines[0])
    assert "▒" in lines[1]


def test_a_disk_without_a_table_is_one_block():
    labels, bar, *_rest = rows(TABLES["no table"], 40, names={"disk": "ext4"})
    assert labels.startswith("whole disk ext4 500.0 KiB")
    assert bar == "█" * 40


def test_free_space_is_dots():
    assert rows(TABLES["no partition"], 40)[1] == "·" * 40


@pytest.mark.parametrize("name", TABLES)
def test_in_ascii_every_column_stays_where_it_was(name):
    for line in rows(TABLES[name], 78, 1, names={"1": "数据\x1b[31m\u202e"}):
        assert ascii_columns(line).isascii()
        assert cell_len(ascii_columns(line)) == cell_len(line)


def test_a_hostile_name_is_shown_and_does_nothing():
    disk = table(1000, part(1, 100, 999))
    for name in (
        "[/foo]",
        "[@click=app.quit]x[/]",
        "\x1b]0;x\x07",
        "a\nb",
        b"\xff\xfe".decode("utf-8", "surrogateescape"),
    ):
        lines = rows(disk, 78, 1, names={"1": name})
        assert all(safe(line) == line for line in lines)
        assert all(cell_len(line) <= 78 for line in lines)
