"""What the widgets read, for a width: nothing too wide, nothing hostile, nothing backwards."""

from dataclasses import replace
from itertools import pairwise

import pytest
from rich.cells import cell_len

from core.command import Command
from core.files.entry import Entry as FileEntry
from core.files.finding import wanted
from core.files.outcome import Copied, Unreadable
from core.files.progress import Progress
from core.i18n import use_language
from core.lab.telling import Said
from core.runner import Ran, Result
from core.tables.model import Partition, PartitionTable
from core.text import safe
from core.undo.account import Entry
from core.volumes.model import Inspection, Volume
from tui.breaking import breaks
from tui.screens import done as done_screen
from tui.screens import said
from tui.widgets import (
    command_list,
    file_table,
    partition_table,
    progress_panel,
    rail,
    rate_graph,
    stack_list,
)
from tui.widgets.lines import (
    Fact,
    Piece,
    cut,
    differing,
    facts,
    left,
    middle_cut,
    right,
    text_of,
    width_of,
    wrapped,
)

HOSTILE = (
    b"[/foo]",
    b"[@click=app.quit]x[/]",
    b"\x1b]0;PWN\x07",
    b"a\nb",
    b"\xff\xfe",
    "日本語".encode() * 30,
    "e\u0301".encode() * 40,
    "\u202egnp.exe".encode(),
    b"-rf",
    b"x" * 255,
)
NAMES = (
    "closing tag",
    "action",
    "escape",
    "newline",
    "no UTF-8",
    "wide",
    "combining",
    "bidi",
    "option",
    "long",
)
WIDTHS = (24, 40, 74, 78, 98, 158)


def read(lines):
    for line in lines:
        assert safe(text_of(line)) == text_of(line)
    return [text_of(line) for line in lines]


# -- lines ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "short", "日本語の名前", "e\u0301" * 9, "x" * 99])
@pytest.mark.parametrize("width", [0, 1, 2, 7, 20])
def test_fitted_text_has_the_width_asked_for(text, width):
    assert cell_len(cut(text, width)) <= width
    assert cell_len(left(text, width)) == cell_len(right(text, width)) == width
    assert cell_len(middle_cut(text, width)) <= width


def test_a_path_cut_in_the_middle_keeps_both_ends():
    shown = middle_cut("/home/alice/documents/a/very/long/path/letter.odt", 30)
    assert shown.startswith("/home/al")
    assert shown.endswith("/letter.odt")


@pytest.mark.parametrize("number", ["0.1 s", "132.4 MiB", "59 %", "3 min", "1\u202f000\u202f944", "7\u00a0d"])
@pytest.mark.parametrize("told", ["it took {}; gone", "用时{}；已删除。"])
def test_a_number_stays_with_its_unit(number, told):
    text = told.format(number)
    for width in range(cell_len(number) + 3, cell_len(text)):
        assert any(number in line for line in wrapped(text, width)), width
        ends = [0, *breaks(text, width), len(text)]
        assert any(number in text[begin:end] for begin, end in pairwise(ends)), width
    assert "".join(wrapped(text, 12)).replace(" ", "") == text.replace(" ", "")


def test_wrapping_keeps_every_word_and_breaks_what_is_too_long():
    text = "losetup --find --show " + "x" * 50 + " 日本語日本語日本語"
    lines = wrapped(text, 20, "  ")
    assert all(cell_len(line) <= 20 for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert wrapped("a " + "x" * 9 + " b c", 5, " ") == ["a", " xxxx", " xxxx", " x b", " c"]
    assert wrapped("日本", 3, "  ") == ["日", "本"], "no indent leaves less than a wide character needs"
    assert wrapped("  a", 20) == ["  a"]
    assert wrapped("", 20) == [""]


@pytest.mark.parametrize("width", range(12, 80, 7))
def test_chinese_is_broken_where_it_may_be(width):
    text = "覆盖层在/srv/a中：那里有41.7 GiB空闲，它最多增大到489.8 MiB。（只读）程序终止时，会提议拆除残留。"
    offsets = [0, *breaks(text, width), len(text)]
    by_textual = [text[begin:end].rstrip() for begin, end in pairwise(offsets)]
    for lines in (wrapped(text, width), by_textual):
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
        assert all(cell_len(line) <= width for line in lines)
        assert not any(line[0] in "，。：）" or line.endswith("（") for line in lines)
        for whole in ("41.7", "GiB", "489.8", "/srv/a"):
            assert any(whole in line for line in lines)


def test_only_the_columns_that_differ_are_drawn_again():
    old = (Piece("日b"), Piece("cd", "x"), Piece("e"))
    assert differing(old, old) == (0, 0)
    assert differing(old, (Piece("日bcd"), Piece("e"))) == (3, 5)
    assert differing(old, (Piece("日"), Piece("bcd", "x"), Piece("f"))) == (2, 6)
    assert differing(old, (Piece("日bcd"),)) == (0, 6)


# -- the files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE, ids=NAMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_file_takes_one_line_of_the_width(name, width):
    for entry in (
        FileEntry(name, "file", size=1 << 62, mode=0o7777, uid=2**32 - 1, gid=2**32 - 1, mtime_ns=2**62),
        FileEntry(name, "symlink", target=name, mtime_ns=-(10**30)),
        FileEntry(name, "dir", error="Structure needs cleaning"),
    ):
        line = file_table.row_of(entry, width, marked=True)
        read([line])
        assert width_of(line) <= width
        assert "[x]" in text_of(line)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_heading_stands_over_the_columns(width):
    entry = FileEntry(b"passwd", "file", size=1234, mode=0o644)
    heading = text_of(file_table.heading(width))
    row = text_of(file_table.row_of(entry, width, marked=False))
    assert heading.index("Name") == row.index("passwd")
    assert heading.index("Size") + len("Size") == row.index("1.2 KiB") + len("1.2 KiB")


def test_kinds_are_told_by_letters():
    def row(kind, **facts):
        return text_of(file_table.row_of(FileEntry(b"x", kind, **facts), 74, marked=False))

    assert "x/" in row("dir")
    assert "folder" in row("dir")
    assert "x -> ../y" in row("symlink", target=b"../y")
    assert "x|" in row("fifo")
    assert "x=" in row("socket")
    assert "device" in row("block")
    assert "x*" in row("file", mode=0o755)
    assert "4755" in row("file", mode=0o4755)
    assert "-rwsr-xr-x" in text_of(file_table.row_of(FileEntry(b"x", "file", mode=0o4755), 98, marked=False))


def test_folders_come_first_and_names_are_sorted_by_their_bytes():
    entries = [
        FileEntry(b"b", "file"),
        FileEntry(b"\xff", "dir"),
        FileEntry(b"a", "symlink"),
        FileEntry(b"Z", "dir"),
    ]
    assert [entry.name for entry in file_table.arranged(entries)] == [b"Z", b"\xff", b"a", b"b"]


def test_a_filter_finds_parts_of_names_in_either_case():
    entries = [FileEntry(name, "file") for name in (b"Report.odt", b"photo.jpg", "Ärger".encode())]
    assert [entry.name for entry in file_table.matching(entries, "REP")] == [b"Report.odt"]
    assert [entry.name for entry in file_table.matching(entries, "Är")] == ["Ärger".encode()]
    assert file_table.matching(entries, "") == entries


def test_a_filter_finds_a_name_as_the_screen_spells_it():
    entries = [FileEntry("文档.txt".encode(), "file"), FileEntry(b"\\u6587", "file"), FileEntry(b"x", "file")]
    assert [entry.name for entry in file_table.matching(entries, "\\u6587")] == [
        one.name for one in entries[:2]
    ]
    assert wanted(["\\u6587*"]).names[0].match("文档.txt") and wanted(["\\u6863"]).names[0].match("文档.txt")


def test_a_filter_in_chinese_tells_how_many_it_leaves():
    """Its words take two columns each: the number at the end was cut off."""
    use_language("zh_CN")
    try:
        table = file_table.FileTable()
        table.typed = "照"
        line = table.filter_line(2, 5, 40)
    finally:
        use_language("en")
    assert width_of(line) == 40 and text_of(line).endswith("5项中的2项")


def test_a_short_note_in_brackets_is_not_broken():
    for width in range(9, 16):
        lines = wrapped("一次完整的练习（级别1）", width)
        assert any("（级别1）" in line for line in lines), lines


# -- what was copied ------------------------------------------------------------------------------


def test_what_was_read_and_has_no_place_is_not_told_as_unread(tmp_path):
    gaps = [Unreadable(b"/a", "坏了。"), Unreadable(b"/etc/hostname", "有了。", "taken")]
    copied = Copied(1, 0, 0, 0, 5, 0.5, tmp_path / "SHA256SUMS", gaps, [], 0)
    assert "Not copied /etc/hostname: " in done_screen._recovered(copied, None, 70).plain
    use_language("zh_CN")
    try:
        text = done_screen._recovered(copied, None, 70).plain
    finally:
        use_language("en")
    assert "未读出     /a：坏了" in text and "未复制     /etc/hostname：有了" in text
    assert "--existing" not in text


# -- the partitions -------------------------------------------------------------------------------


def inspection(label="home", content="ext4"):
    def part(number, start, end, kind="primary"):
        name = "Extended" if kind == "extended" else "Linux"
        return Partition(number, kind, start, end, 512, "83", name, None, number == 1)

    parts = (
        part(1, 63, 7055),
        part(3, 180432, 1000943, "extended"),
        part(5, 180495, 451583, "logical"),
        part(6, 451647, 722735, "logical"),
    )
    volumes = tuple(
        Volume(str(one.number), "partition", one.offset, one.size, content, label, None, (), one)
        for one in parts
        if one.kind != "extended"
    )
    return Inspection(PartitionTable("msdos", None, "primary", 512, 1000944, parts, (), ()), volumes)


@pytest.mark.parametrize("width", [60, 74, 78, 98, 158])
@pytest.mark.parametrize("label", [name.decode("utf-8", "surrogateescape") for name in HOSTILE], ids=NAMES)
def test_the_table_has_one_width(width, label):
    lines = partition_table.lines_of(inspection(label, label), {}, width)
    assert {cell_len(line) for line in lines} == {width}
    assert all(safe(line) == line for line in lines)


def test_the_table_fits_a_small_screen_and_shows_all_numbers():
    lines = partition_table.lines_of(inspection(), {}, 74)
    assert lines[0].split() == ["No.", "Start", "End", "Size", "Type", "Content", "Label"]
    assert lines[1].split() == ["1", "63", "7", "055", "3.4", "MiB", "Linux", "*", "ext4", "home"]
    assert "├ 5" in lines[3]
    assert "└ 6" in lines[4]
    ends = [line.index("MiB") for line in lines[1:]]
    assert len(set(ends)) == 1, "sizes are aligned to the right"


def test_what_cannot_be_chosen_says_why():
    rows = partition_table.rows_of(inspection(), {"1": "swap space"})
    assert [(row.partition.number, row.refused) for row in rows if row.refused] == [
        (1, "swap space"),
        (3, "holds logical ones"),
    ]
    assert "(swap space)" in partition_table.lines_of(inspection(), {"1": "swap space"}, 98)[1]


def test_a_disk_without_table_is_one_row():
    table = PartitionTable(None, None, "scan", 512, 1000, (), (), ())
    whole = Inspection(table, (Volume("disk", "disk", 0, 512000, "xfs", None, None),))
    lines = partition_table.lines_of(whole, {}, 74)
    assert lines[1].split() == ["disk", "0", "999", "500.0", "KiB", "whole", "disk", "xfs"]


# -- progress -------------------------------------------------------------------------------------

HALF = Progress(120, 345, 512 << 20, 1 << 30, "etc/passwd", 10, 40, 45.3 * (1 << 20), 11.0, 0)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_panel_fits(width):
    odd = replace(
        HALF, current="日本語/" * 60, bytes_total=None, files_total=None, seconds_left=None, errors=1234567
    )
    for progress in (
        HALF,
        odd,
        replace(HALF, bytes_total=0, current_size=0),
        replace(HALF, bytes_done=1 << 62),
    ):
        lines = progress_panel.drawn(progress, width)
        assert len(lines) == (7 if width >= 60 else 5), "two of them take two lines each there"
        if width >= 74:
            assert all(width_of(line) <= width for line in lines)


def test_the_panel_tells_what_counts():
    lines = read(progress_panel.drawn(HALF, 78))
    assert lines[0].endswith(" 50 %")
    assert "512.0 MiB of 1.0 GiB, 120 of 345 files" in lines[1]
    assert lines[3].endswith(" 25 %")
    assert "etc/passwd" in lines[4]
    assert lines[6].strip() == "45.3 MiB a second, about 20 s left, no errors"
    assert "3 ERRORS so far" in read(progress_panel.drawn(replace(HALF, errors=3), 78))[6]


def test_files_without_a_byte_count_for_the_bar():
    """All bytes are there, and most files are not."""
    done = replace(HALF, bytes_done=1 << 30, work_done=0.24, rate=0.0)
    lines = read(progress_panel.drawn(done, 78))
    assert lines[0].endswith(" 24 %") and lines[6].strip().startswith("0 B a second")
    rates = rate_graph.Rates()
    rates.note(replace(done, rate=900.0, work_done=0.2))
    rates.note(done)
    assert rates.parts[:48] == [900.0] * 48 and rates.parts[50] == 0.0 and rates.parts[60] is None


def test_one_file_has_one_bar_and_the_end_has_no_time_left():
    over = replace(HALF, files_total=1, files_done=1, bytes_done=1 << 30, work_done=1.0, seconds_left=0.0)
    for width in (78, 40):
        lines = read(progress_panel.drawn(over, width))
        assert len(lines) == (7 if width >= 60 else 5)
        assert sum("█" in line for line in lines) == 1 and any("etc/passwd" in line for line in lines)
        assert not any("left" in line for line in lines)


def test_each_part_of_the_work_is_told_from_its_beginning():
    backup = replace(HALF, files_total=1, phase="Backing the disk up", rate=None)
    assert any("Backing the disk up" in line for line in read(progress_panel.drawn(backup, 78)))
    assert "a second" not in "".join(read(progress_panel.drawn(backup, 78)))
    write = replace(backup, bytes_done=1, phase="Writing into the disk")
    assert progress_panel.forward(backup, write) == write


def test_a_bar_is_full_only_when_all_is_done():
    assert text_of(progress_panel.bar(0.9999, 26)) == "█" * 19 + "░" + "  99 %"
    assert text_of(progress_panel.bar(1.0, 26)) == "█" * 20 + " 100 %"
    assert "%" not in text_of(progress_panel.bar(None, 26))


def test_nothing_goes_backwards():
    later = replace(HALF, bytes_done=1, files_done=1, current_done=1, errors=0)
    shown = progress_panel.forward(replace(HALF, errors=2), later)
    assert (shown.bytes_done, shown.files_done, shown.current_done, shown.errors) == (512 << 20, 120, 10, 2)
    another = progress_panel.forward(HALF, replace(later, current="next"))
    assert another.current_done == 1


def test_time_left_is_told_as_roughly_as_it_is_known():
    told = [progress_panel.about(seconds) for seconds in (3, 41, 125, 1999, 4000)]
    assert told == [
        "a few seconds left",
        "about 50 s left",
        "about 2 min 30 s left",
        "about 34 min left",
        "about 1 h 10 min left",
    ]


def test_the_time_left_runs_down_and_does_not_jump():
    """An estimate that swings by a third is told as a time that only runs down."""
    left, told = progress_panel.TimeLeft(), []
    for second in range(700):
        swing = 1.3 if second % 7 < 3 else 0.75
        told.append(progress_panel.about(left.tell((720 - second) * swing, 1.0)))
    changes = [one for at, one in enumerate(told) if at == 0 or told[at - 1] != one]
    assert changes[0] == "about 16 min left"
    assert len(changes) == len(set(changes)), changes


def test_a_short_time_left_that_was_wrong_is_not_told_at_every_look():
    """It was thought to take a minute, and takes twenty seconds."""
    left, told = progress_panel.TimeLeft(), {}
    left.tell(62.0, 0.2)
    for look in range(1, 96):
        passed = look / 5
        told[passed] = left.tell(20 - passed, 0.2)
    assert all(abs(told[passed] - (20 - passed)) <= 11 for passed in told if passed > 4), told


def test_a_time_left_that_was_wrong_is_corrected_soon():
    left = progress_panel.TimeLeft()
    assert left.tell(None, 0.0) is None
    assert left.tell(100.0, 0.2) == 100.0
    for _second in range(30):
        told = left.tell(1000.0, 1.0)
    assert 750 < told < 1001
    for _second in range(30):
        told = left.tell(5.0, 1.0)
    assert told < 130
    assert left.tell(0.0, 500.0) >= 0


def test_what_is_told_never_goes_backwards_or_past_the_whole():
    before = Progress(3, 9, 500, 1000, "a", 400, 500, 10.0, 50.0, 2)
    after = Progress(2, 9, 400, 1000, "a", 300, 500, 10.0, 50.0, 1)
    shown = progress_panel.forward(before, after)
    assert (shown.files_done, shown.bytes_done, shown.current_done, shown.errors) == (3, 500, 400, 2)
    over = Progress(9, 9, 2000, 1000, "a", 900, 500, 10.0, 0.0, 0)
    read = "\n".join(text_of(line) for line in progress_panel.drawn(over, 78))
    assert " 100 %" in read and "200 %" not in read


# -- the graph of rates ---------------------------------------------------------------------------


def rates_of(*reports):
    """Of a copy of 100 bytes, from how many are done and the rate at each report."""
    rates = rate_graph.Rates()
    for done, rate in reports:
        rates.note(Progress(1, 2, done, 100, "a", 1, 2, rate, None, 0))
    return rates.parts


def test_the_graph_of_rates_is_drawn_as_far_as_the_work_has_come():
    lines = rate_graph.drawn(rates_of((25, 1024.0), (50, 512.0)), 80, 12)
    told = [text_of(line) for line in lines]
    assert len(told) == 12 and all(width_of(line) <= 80 for line in lines)
    assert "full height: 1.0 KiB a second" in told[0]
    assert told[-1].split() == ["0", "%", "100", "%"]
    area = [line[8:] for line in told[1:-1]]
    end = told[-1].index("100 %") + 5 - 8
    assert area[0] == "█" * (end // 4)
    assert area[-1] == "█" * (end // 2)


def test_a_part_without_a_rate_is_no_part_of_the_graph():
    assert rate_graph.drawn(rates_of(), 80, 12) == []
    assert rate_graph.drawn(rates_of((10, 0.0)), 80, 12) == []
    assert rate_graph.drawn(rates_of((50, 900.0)), 80, 3) == []
    unknown = rate_graph.Rates()
    unknown.note(Progress(1, None, 50, None, "a", 1, 2, 900.0, None, 0))
    assert set(unknown.parts) == {None}
    back = rates_of((50, 900.0), (30, 10.0), (200, 900.0))
    assert set(back) == {900.0}


# -- the rail -------------------------------------------------------------------------------------


def test_the_rail_marks_the_current_step_without_colour_and_fits():
    for current in (None, *range(7)):
        line, chosen = rail.drawn(current, {0: "/var/lib/disk.qcow2", 1: "read only"}, 78)
        assert width_of(line) <= 70
        assert ("[" in text_of(line)) == (current is not None)
        assert text_of(chosen) == "/var/lib/disk.qcow2 · read only"
    assert "+Disk · +Protect · [Partition] · Open" in text_of(rail.drawn(2, {}, 78)[0])


def test_a_rail_of_long_words_keeps_the_current_one(monkeypatch):
    monkeypatch.setattr(rail, "STEPS", tuple(f"Partitionierungsschritt{n}" for n in range(7)))
    line = rail.drawn(3, {}, 78)[0]
    assert width_of(line) <= 78
    assert text_of(line) == "+1 · +2 · +3 · [Partitionierungsschritt3] · 5 · 6 · 7"


def test_on_a_wide_screen_each_choice_stands_below_its_step():
    steps, chosen = rail.drawn(3, {0: "web01.qcow2", 1: "overlay", 2: "x" * 99}, 158)
    for word, below in (("+Disk", "web01.qcow2"), ("+Protect", "overlay"), ("+Partition", "xxx")):
        assert text_of(steps).index(word) == text_of(chosen).index(below)
    assert width_of(steps) <= 158 and width_of(chosen) <= 158


def test_a_choice_may_run_on_where_nothing_was_chosen_at_the_next_step():
    target = "to /srv/recovered/of/a/long/name"
    chosen = rail.drawn(6, {0: "web01.qcow2", 5: target}, 158)[1]
    assert text_of(chosen).rstrip().endswith(target)
    chosen = rail.drawn(6, {4: target, 5: target}, 158)[1]
    assert text_of(chosen).count("…") == 1
    assert width_of(chosen) <= 158


@pytest.mark.parametrize("width", [24, 78, 98, 158])
def test_each_column_of_the_rail_belongs_to_the_step_that_stands_there(width):
    line = text_of(rail.drawn(3, {}, width)[0])
    assert rail.step_at(3, width, line.index("[Open]")) == 3
    assert rail.step_at(3, width, line.index("+")) == 0
    assert rail.step_at(3, width, len(line) + 50) is None


def test_what_was_chosen_is_safe_and_cut():
    _line, chosen = rail.drawn(1, {0: "\x1b[2J" + "x" * 200}, 78)
    assert width_of(chosen) <= 78
    assert "\x1b" not in text_of(chosen)


# -- commands and the undo stack ------------------------------------------------------------------

LOOP = Command(
    ("losetup", "--read-only", "--show", "/images/a b\x1b[2J\n.qcow2"),
    "Gives the disk a device.",
    "a loop device",
    (Command(("losetup", "--detach", "/dev/loop0"), "Takes it away."),),
)


@pytest.mark.hostile(46)
@pytest.mark.parametrize("width", WIDTHS)
def test_commands_wrap_and_hold_nothing_hostile(width):
    ran = Ran(LOOP, Result(1, err=b"losetup: \xff\x1b[2J failed\n" * 9, seconds=0.42))
    lines = command_list.drawn([LOOP, ran, Ran(LOOP, None)], width)
    read(lines)
    assert all(width_of(line) <= width for line in lines)


def test_a_command_says_why_what_changes_and_how_it_is_undone():
    text = "\n".join(read(command_list.drawn([LOOP], 98)))
    assert "# Gives the disk a device." in text
    assert "$ losetup --read-only --show" in text
    assert "a loop device" in text
    assert "undone by: losetup --detach /dev/loop0" in text
    looking = read(command_list.drawn([Command(("blkid", "x"), "Looks.")], 98))
    assert "  only looks, changes nothing" in looking


def test_a_command_that_ran_says_how_it_ended():
    good = read(command_list.drawn([Ran(LOOP, Result(0, seconds=0.42))], 98))
    bad = read(command_list.drawn([Ran(LOOP, Result(32, err=b"mount: wrong fs\n"))], 98))
    assert "  ok, 0.4 s" in good
    assert "  FAILED with status 32, 0.1 s" in bad
    assert "    mount: wrong fs" in bad


def entry(number, state="held", error=""):
    undo = (f"losetup --detach /dev/loop{number}",)
    return Entry(number, "loop", f"/dev/loop{number}", state, "Shows the disk.", 0.0, undo, error=error)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_stack_fits(width):
    odd = replace(entry(1, "failed", "somebody\x1b[2J holds it " * 9), target="/x" * 99, what="\u202e")
    lines = stack_list.drawn([odd], width)
    read(lines)
    assert all(width_of(line) <= width for line in lines)


def test_the_stack_tells_each_thing_and_its_way_back():
    text = read(stack_list.drawn([entry(2), entry(1, "failed", "It is busy.")], 78))
    assert text[0].startswith("  2  loop, up since ")
    assert "     /dev/loop2" in text
    assert "     undone by: losetup --detach /dev/loop2" in text
    assert any("could not be taken down" in line for line in text)
    assert "     ! It is busy." in text
    assert read(stack_list.drawn([], 78)) == ["Nothing is up: there is nothing to undo."]


def test_facts_stand_in_columns_where_names_are_wide_too() -> None:
    rows = [Fact("磁盘", "/srv/web01.qcow2"), Fact("To copy", "one file"), Fact("复制量", "word " * 12)]
    lines = facts(rows, 40).plain.split("\n")
    values = ["/srv", "one file", *["word"] * (len(lines) - 2)]
    assert {cell_len(line.split(value)[0]) for line, value in zip(lines, values, strict=True)} == {9}
    assert len(lines) > 3 and all(cell_len(line) <= 40 for line in lines)


def test_what_goes_on_on_another_line_begins_where_its_paragraph_does():
    lines = said.drawn([Said("text", "• one two three\n    four five six\n  * seven eight nine")], 16)
    assert [text_of(line) for line in lines] == [
        "  • one two",
        "    three",
        "      four five",
        "      six",
        "    * seven",
        "      eight nine",
        "",
    ]
