"""The widgets in a running program: keys, messages, very many rows, hostile names."""

import asyncio
import os
import time

import pytest
from textual.app import App, ComposeResult
from textual.widgets import Button, Input, Static

from core.files.entry import Entry
from core.files.progress import Progress
from core.text import safe
from tests.tui.widgets.test_texts import HOSTILE, LOOP, inspection
from tui.breaking import teach_textual
from tui.plain import filters
from tui.widgets import file_table
from tui.widgets.command_list import CommandList
from tui.widgets.disk_map import DiskMap
from tui.widgets.file_table import FileTable
from tui.widgets.lines import wrapped
from tui.widgets.partition_table import VolumeTable
from tui.widgets.path_field import PathField
from tui.widgets.progress_panel import ProgressPanel
from tui.widgets.rail import Rail


class Stage(App[None]):
    """One widget after the other, and every message that it posts."""

    def __init__(self, *widgets, ascii_only=False):
        super().__init__()
        self.widgets = widgets
        self.ascii_only = ascii_only
        self.heard = []

    def compose(self) -> ComposeResult:
        yield from self.widgets

    def get_line_filters(self):
        return filters(super().get_line_filters(), ascii_only=self.ascii_only)

    def on_file_table_opened(self, event):
        self.heard.append(("opened", event.entry.name))

    def on_file_table_mark_toggled(self, event):
        self.heard.append(("mark", event.entry.name, event.marked))

    def on_volume_table_refused(self, event):
        self.heard.append(("refused", event.row.refused))

    def on_rows_chosen(self, event):
        self.heard.append(("chosen", event.index))

    def on_path_field_submitted(self, event):
        self.heard.append(("path", event.path))


def shown(widget):
    """What stands on the screen in the widget's place."""
    return [strip.text for strip in widget.app.screen._compositor.render_strips()][
        widget.region.y : widget.region.bottom
    ]


async def test_very_many_entries_open_and_scroll_at_once():
    entries = [Entry(b"%07d" % number, "file", size=number) for number in range(200_000)]
    table = FileTable()
    app = Stage(table)
    async with app.run_test(size=(80, 24)) as pilot:
        table.focus()
        began = time.monotonic()
        table.show(entries)
        await pilot.pause()
        assert time.monotonic() - began < 2
        assert "0000000" in shown(table)[1]
        began = time.monotonic()
        await pilot.press("end", "up", "pageup", "home", "end")
        assert time.monotonic() - began < 2
        assert any("> [ ] 0199999" in line for line in shown(table))
        assert "Name" in shown(table)[0], "the heading stays"


async def test_a_filter_among_very_many_holds_up_no_other_key(monkeypatch):
    """It looks at a piece at a time; what is typed meanwhile counts, not what was looked for before."""
    looked = []

    def slowly(entries, needle):
        looked.append((needle, len(entries)))
        return [entry for entry in entries if needle.encode() in entry.name]

    monkeypatch.setattr(file_table, "matching", slowly)
    monkeypatch.setattr(file_table, "_REST", 0)
    entries = [Entry(b"%07d" % number, "file", size=number) for number in range(200_000)]
    table = FileTable()
    async with Stage(table).run_test(size=(80, 24)) as pilot:
        table.focus()
        table.show(entries)
        table.look_for("1")
        while not looked:
            await asyncio.sleep(0)
        table.look_for("12345")
        assert len(table._all) == table.row_count(), "not narrowed yet"
        while table.row_count() != 12:
            await pilot.pause(0.01)
        assert max(count for _needle, count in looked) <= 20_000
        assert [needle for needle, _count in looked].count("12345") == 10
        assert table.current.name == b"0012345"
        table.look_for("12")
        table.await_folder()
        table.show(entries[:5])
        await pilot.pause(0.1)
        assert table.row_count() == 5, "another folder came meanwhile"


@pytest.mark.parametrize(
    ("offered", "keys", "told"),
    [
        ("/tmp/", "/srv/a", "/srv/a"),
        ("/tmp/", "a/b", "/tmp/a/b"),
        ("/tmp/disk-recovered", "/srv/a", "/srv/a"),
        ("/tmp/disk-recovered", "2", "/tmp/disk-recovered2"),
        ("/tmp/disk-recovered", "2/b", "/tmp/disk-recovered2/b"),
        ("/tmp/", "~/a", "~/a"),
        ("", "nbd://host/a", "nbd://host/a"),
        ("", "//a", "//a"),
    ],
)
async def test_a_whole_path_takes_the_place_of_the_one_that_is_offered(offered, keys, told):
    field = PathField(offered)
    async with Stage(field).run_test(size=(60, 4)) as pilot:
        field.focus()
        await pilot.pause()
        for key in keys:
            await pilot.press({"/": "slash", "~": "tilde", ":": "colon"}.get(key, key))
        await pilot.pause()
        assert field.value == told


async def test_an_escape_that_is_typed_finds_the_name_once_it_is_whole():
    table = FileTable()
    async with Stage(table).run_test(size=(80, 24)) as pilot:
        table.focus()
        table.show([Entry("文档".encode(), "file", size=1), Entry(b"old", "file", size=1)])
        await pilot.press("slash", "backslash", "u", "6", "5", "8")
        assert table.row_count() == 0
        await pilot.press("7")
        assert [one.name for one in table._shown] == ["文档".encode()]


async def test_a_filter_that_is_typed_while_a_folder_is_read_is_for_that_folder():
    """Its letters would be commands otherwise."""
    table = FileTable()
    async with Stage(table).run_test(size=(80, 24)) as pilot:
        table.focus()
        table.show([Entry(b"old", "file", size=1)])
        await pilot.press("slash", "o", "enter")
        table.await_folder()
        await pilot.press("slash", "l")
        table.show([Entry(b"letter", "file", size=1), Entry(b"other", "file", size=1)], more=True)
        assert table.filtering and table.row_count() == 1
        await pilot.press("e")
        table.show([Entry(name, "file", size=1) for name in (b"legend", b"letter", b"lost", b"other")])
        assert table.filtering and [table._shown[at].name for at in (0, 1)] == [b"legend", b"letter"]
        await pilot.press("enter")
        table.await_folder()
        table.stay()
        assert table.row_count() == 4, "it could not be read"


async def test_a_folder_is_not_told_to_be_empty_before_it_was_read():
    table = FileTable()
    async with Stage(table).run_test(size=(80, 6)) as pilot:
        await pilot.pause()
        assert "empty" not in " ".join(shown(table))
        table.show(())
        await pilot.pause()
        assert "This folder is empty." in " ".join(shown(table))


async def test_a_table_that_gets_room_shows_its_first_row_again():
    table = VolumeTable()
    async with Stage(table).run_test(size=(80, 2)) as pilot:
        table.show(inspection("home"))
        table.cursor = 1
        await pilot.pause()
        assert table.scroll_offset.y == 1
        await pilot.resize_terminal(80, 6)
        await pilot.pause()
        assert table.scroll_offset.y == 0


async def test_textual_breaks_chinese_where_it_may_be_broken():
    teach_textual()
    text = "程序异常终止或宿主机崩溃时，下次启动会提议拆除残留。"
    told = Static(text)
    async with Stage(told).run_test(size=(26, 5)):
        lines = [line.rstrip() for line in shown(told)]
    assert lines == wrapped(text, 26)
    assert lines[0].endswith("崩溃") and lines[1].startswith("时，")


async def test_files_are_moved_over_marked_opened_and_filtered_by_keys():
    table = FileTable()
    app = Stage(table)
    entries = [Entry(name, "file") for name in (b"alpha", b"beta", b"gamma")] + [Entry(b"zoo", "dir")]
    async with app.run_test(size=(80, 24)) as pilot:
        table.focus()
        table.show(entries, marked={b"beta"})
        await pilot.press("j", "space", "space", "enter")
        assert app.heard == [("mark", b"alpha", True), ("mark", b"beta", False), ("opened", b"gamma")]
        assert "[x] alpha" in shown(table)[2]
        await pilot.press("slash", "m", "m")
        assert table.current.name == b"gamma"
        assert "/mm_" in shown(table)[0]
        assert "1 of 4" in shown(table)[0]
        await pilot.press("enter", "k", "j")
        assert not table.filtering
        await pilot.press("escape")
        assert table.row_count() == 4
        await pilot.press("slash", "q", "backspace", "z", "enter", "enter")
        assert app.heard[-1] == ("opened", b"zoo")


@pytest.mark.hostile(45)
@pytest.mark.hostile(46)
async def test_hostile_names_neither_act_nor_break_the_lines():
    table, rail, commands = FileTable(), Rail(), CommandList()
    table.styles.height = 14
    app = Stage(rail, table, commands, ascii_only=True)
    async with app.run_test(size=(80, 40)) as pilot:
        table.show([Entry(name, "file") for name in HOSTILE])
        rail.show(2, {at: safe(name) for at, name in enumerate(HOSTILE)})
        commands.show([LOOP])
        table.focus()
        for _name in HOSTILE:
            await pilot.press("space")
        await pilot.pause()
        text = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        assert all(len(line) == 80 for line in text.split("\n"))
        drawn = table.render_lines(table.size.region)
        assert all(strip.cell_length == table.size.width for strip in drawn)
        assert "\x1b" not in text
        assert app.is_running


async def test_a_partition_that_cannot_be_opened_says_why():
    table, picture = VolumeTable(), DiskMap()
    app = Stage(picture, table)
    async with app.run_test(size=(80, 24)) as pilot:
        there = inspection("[/foo]", "[@click=app.quit]x[/]")
        picture.show(there.table, {"5": "[/foo]"}, 5)
        table.show(there, {"1": "swap space"})
        table.focus()
        await pilot.press("home", "enter", "down", "enter", "down", "enter")
        assert app.heard == [
            ("refused", "swap space"),
            ("refused", "holds logical ones"),
            ("chosen", 2),
        ]
        assert table.current.volume.id == "5"
        assert any("^^^^" in line for line in shown(picture))
        await pilot.resize_terminal(60, 20)
        await pilot.pause()
        assert all(len(line) <= 60 for line in shown(picture))


async def test_progress_stays_where_it_was_when_a_report_goes_back():
    panel = ProgressPanel()
    app = Stage(panel)
    async with app.run_test(size=(80, 24)) as pilot:
        panel.show(Progress(5, 10, 50, 100, "[/foo]", 1, 2, 10.0, 5.0, 0))
        panel.show(Progress(4, 10, 40, 100, "[/foo]", 1, 2, 10.0, 5.0, 0))
        await pilot.pause()
        assert " 50 %" in shown(panel)[0]
        assert "[/foo]" in shown(panel)[4]


async def test_a_path_is_completed_by_tab_and_handed_over_by_enter(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "web01.qcow2").write_bytes(b"")
    (tmp_path / "images" / "web02.qcow2").write_bytes(b"")
    os.mkfifo(tmp_path / "images" / "web03.fifo")
    field, button = PathField(f"{tmp_path}/im"), Button("next")
    app = Stage(field, button)
    async with app.run_test(size=(120, 24)) as pilot:
        field.focus()
        await pilot.press("end", "tab")
        await pilot.pause()
        assert field.value == f"{tmp_path}/images/"
        await pilot.press("tab")
        await pilot.pause()
        assert field.value == f"{tmp_path}/images/web0"
        assert "web01.qcow2  web02.qcow2" in "\n".join(shown(field))
        await pilot.press("tab")
        assert app.focused is button, "there is nothing more to complete: Tab goes on"
        field.focus()
        await pilot.press("1", "tab")
        await pilot.pause()
        await pilot.press("enter")
        assert app.heard == [("path", f"{tmp_path}/images/web01.qcow2")]


async def test_a_guests_tree_is_never_listed(tmp_path):
    guest = tmp_path / "tree"
    guest.mkdir()
    (guest / "secret").write_bytes(b"")
    (tmp_path / "link").symlink_to(guest)
    field = PathField(f"{tmp_path}/link/s", outside=[guest])
    app = Stage(field)
    async with app.run_test(size=(120, 24)) as pilot:
        field.query_one(Input).focus()
        await pilot.press("end", "tab")
        await pilot.pause()
        assert field.value == f"{tmp_path}/link/s"
