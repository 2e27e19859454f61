"""Completing a path of the host."""

import os

from tui.widgets.path_field import Name, completed, folder_of, host_names, is_outside, laid_out

NAMES = [Name("data", True), Name("database.img", False), Name(".hidden", False), Name("web.qcow2", False)]


def test_what_all_candidates_share_is_typed():
    assert completed("/x/d", NAMES).text == "/x/data"
    assert [name.text for name in completed("/x/d", NAMES).names] == ["data", "database.img"]


def test_a_single_candidate_is_typed_whole():
    assert completed("/x/w", NAMES).text == "/x/web.qcow2"
    assert completed("/x/data", NAMES[:1]).text == "/x/data/"


def test_hidden_names_only_after_a_dot():
    assert completed("x/.", NAMES).text == "x/.hidden"
    assert ".hidden" not in [name.text for name in completed("x/", NAMES).names]


def test_nothing_fitting_changes_nothing():
    assert completed("/x/zz", NAMES).text == "/x/zz"
    assert completed("/x/zz", NAMES).names == ()


def test_a_name_that_cannot_be_read_is_not_typed_for_the_person():
    hostile = [Name("a\x1b[2J", False), Name(os.fsdecode(b"a\xff"), False)]
    assert completed("/x/a", hostile).text == "/x/a"
    lines = laid_out(hostile, 60, 4)
    assert all(line.isprintable() for line in lines)


def test_folders_come_first_and_pipes_not_at_all(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "b").mkdir()
    os.mkfifo(tmp_path / "c")
    (tmp_path / "gone").symlink_to("/nowhere/at/all")
    assert host_names(str(tmp_path)) == [Name("b", True), Name("a", False)]
    assert host_names(str(tmp_path / "missing")) == []


def test_the_folder_of_what_is_typed(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert folder_of("~/ima") == "/home/somebody"
    assert folder_of("/var/li") == "/var"
    assert folder_of("ima") == "."


def test_a_link_into_a_guests_tree_counts_as_inside_it(tmp_path):
    guest = tmp_path / "tree"
    (guest / "etc").mkdir(parents=True)
    (tmp_path / "link").symlink_to(guest / "etc")
    assert is_outside(str(tmp_path / "link"), [guest])
    assert not is_outside(str(tmp_path), [guest])


def test_candidates_take_few_lines_and_the_rest_is_counted():
    lines = laid_out([Name(f"disk{n:03}.img", False) for n in range(100)], 40, 4)
    assert len(lines) == 4
    assert lines[-1] == "and 91 more"
    assert all(len(line) <= 40 for line in lines)
