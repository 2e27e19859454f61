"""What differs between two states of a tree."""

import os
from pathlib import Path

import pytest

from core.cancel import CancelToken
from core.files.changes import SHOWN, Change, Tally, census, compare, settle


def _changes(before: Path, after: Path) -> Tally:
    tally, token = Tally(), CancelToken()
    settle(compare(census(before, token), after, token, tally), before, token, tally)
    return tally


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """Two trees that are alike but for the times at which their inodes changed."""
    for name in ("before", "after"):
        (tmp_path / name / "d").mkdir(parents=True)
        for number in range(4):
            path = tmp_path / name / "d" / f"f{number}"
            path.write_text(f"content {number}\n")
            os.utime(path, (1e9, 1e9))
        os.symlink("f0", tmp_path / name / "d" / "link")
    return tmp_path / "before", tmp_path / "after"


def test_the_same_is_no_change_though_the_inodes_are_new(trees: tuple[Path, Path]) -> None:
    assert _changes(*trees).total == 0


def test_every_kind_of_change_is_told_with_what_it_is(trees: tuple[Path, Path]) -> None:
    before, after = trees
    (after / "d" / "f0").write_text("CONTENT 0\n")
    os.utime(after / "d" / "f0", (1e9, 1e9))  # set back: only reading tells
    os.utime(after / "d" / "f1", (2e9, 2e9))
    (after / "d" / "f2").chmod(0o4755)
    (after / "d" / "f3").unlink()
    (after / "d" / "link").unlink()
    os.symlink("f1", after / "d" / "link")
    (after / "d" / "sub").mkdir()
    (after / "d" / "sub" / "long").write_text("x" * 100)
    (after / "d").chmod(0o700)
    assert _changes(before, after).first == (
        Change(b"/d", "changed", "mode"),
        Change(b"/d/f0", "changed", "content"),
        Change(b"/d/f1", "changed", "times"),
        Change(b"/d/f2", "changed", "mode"),
        Change(b"/d/f3", "removed"),
        Change(b"/d/link", "changed", "attributes"),
        Change(b"/d/sub", "added"),
        Change(b"/d/sub/long", "added"),
    )


def test_a_file_that_became_a_folder_is_of_another_kind(trees: tuple[Path, Path]) -> None:
    before, after = trees
    (after / "d" / "f0").unlink()
    (after / "d" / "f0").mkdir()
    assert _changes(before, after).first == (Change(b"/d/f0", "changed", "kind"),)


def test_many_are_counted_and_the_first_are_named(trees: tuple[Path, Path]) -> None:
    before, after = trees
    for number in range(SHOWN + 50):
        (after / f"new{number}").write_text("")
        (before / f"old{number}").write_text("")
    tally = _changes(before, after)
    assert (tally.added, tally.removed, tally.changed) == (SHOWN + 50, SHOWN + 50, 0)
    assert len(tally.first) == SHOWN


def test_names_from_the_disk_do_not_reach_a_terminal() -> None:
    assert "\x1b" not in Change(b"/a\x1b[2J\nb", "added").sentence()
