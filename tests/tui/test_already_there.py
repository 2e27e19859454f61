"""A second copy to the same place, and two things of one name: on the command line and line by line."""

import os
import subprocess
from pathlib import Path

import pytest

from core.errors import NoSpace
from core.files.space import check_space
from tests.conftest import Guard, Program, needs_root
from tests.tui.test_linear import talk
from tests.tui.test_wizard_marks import into, to_files
from tests.tui.test_wizard_road import type_target
from tests.tui.wizard import choose, on, shown, until, wizard
from tui.screens.done import DoneScreen
from tui.screens.files import FilesScreen


@pytest.fixture
def disk(tmp_path: Path, guard: Guard) -> Path:
    tree, image = tmp_path / "tree", tmp_path / "disk.raw"
    for name in ("a/data/one", "b/data/two"):
        (tree / name).parent.mkdir(parents=True)
        (tree / name).write_text(name)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, image, "16M"], check=True)
    guard.watch(image)
    return image


@needs_root
def test_the_command_line_says_what_was_there_already(disk: Path, tmp_path: Path, program: Program) -> None:
    copy = ("--format", "raw", "copy", disk, "disk")
    assert "1 file, 10 B copied to" in program(*copy, "/a", tmp_path / "out").out
    both = program(*copy, "/a", "/b", tmp_path / "out").out
    assert "2 files, 20 B copied to" in both and "Already there: 1 file\n" in both
    again = program(*copy, "/a", "/b", tmp_path / "out").out
    assert "Already there: 2 files\n" in again and "copied to" not in again


@needs_root
def test_the_command_line_keeps_whole_paths(disk: Path, tmp_path: Path, program: Program) -> None:
    copy = ("--format", "raw", "copy", disk, "disk", "/a/data", "/b/data")
    refused = program(*copy, tmp_path / "out")
    assert refused.status == 2 and "--paths" in refused.err
    planned = program(*copy, tmp_path / "out", "--paths", "--dry-run").out
    assert "--parents -- a/data b/data" in planned
    done = program(*copy, tmp_path / "out", "--paths")
    assert done.status == 0, done.err
    assert (tmp_path / "out/a/data/one").exists() and (tmp_path / "out/b/data/two").exists()
    assert "--parents -- a/data b/data" in (tmp_path / "out/salvage-report.md").read_text()


@needs_root
def test_line_by_line_both_are_said_and_whole_paths_are_asked_for(
    disk: Path, tmp_path: Path, state_dir: Path
) -> None:
    out = str(tmp_path / "out")
    # read only, the volume, browse; both marked; yes to it and to whole paths; the files, the same again
    marks = ["1", "m 1", "u", "2", "m 1"]
    answers = ["1", "1", "1", *marks, "y", out, "yes", "yes", "2", "y", out, "yes", "5"]
    called = talk(state_dir, answers, disk)
    assert called.stderr == "", called.stderr
    assert "Two sources are called data: /a/data and /b/data." in called.stdout
    assert "with the guest's whole paths?" in called.stdout
    assert (tmp_path / "out/a/data/one").exists() and (tmp_path / "out/b/data/two").exists()
    assert "Already there: 2 files" in called.stdout and "nothing new in" in called.stdout


@needs_root
def test_line_by_line_a_thing_goes_with_its_folder(disk: Path, tmp_path: Path, state_dir: Path) -> None:
    called = talk(state_dir, ["1", "1", "1", "m 1", "1", "m 1", "p", "p", "q"], disk)
    assert "1: data, folder, goes with its marked folder" in called.stdout
    assert "It goes with its folder /a, which is marked." in called.stdout
    assert "Marked: /a\n" in called.stdout and "Marked: /a, /a/data" not in called.stdout
    assert "the guest's whole paths are kept." in called.stdout


@needs_root
async def test_the_wizard_says_what_was_there_already(disk: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_files(pilot)
        await pilot.press("t")
        await type_target(pilot, tmp_path / "out")
        await on(pilot, FilesScreen)
        await into(pilot, "a")
        await pilot.press("space", "y")
        await on(pilot, DoneScreen)
        await until(pilot, lambda: "Recovered: 1 file, 10 B, in" in shown(pilot))
        assert "Already there" not in shown(pilot)
        await choose(pilot, "files")
        await on(pilot, FilesScreen)
        await pilot.press("y")
        await on(pilot, DoneScreen)
        await until(pilot, lambda: "Already there: 1 file" in shown(pilot))
        assert "Recovered: nothing new in" in shown(pilot)


def test_where_it_does_not_fit_the_length_told_before_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result((1, 1, 1, 1, 1, 0, 0, 0, 0, 255)))
    with pytest.raises(NoSpace, match=r"5\.0 MiB are to be copied.* files are 53\.0 MiB long; their holes"):
        check_space(5 << 20, tmp_path, 53 << 20)
    with pytest.raises(NoSpace) as caught:
        check_space(5 << 20, tmp_path, 5 << 20)
    assert "long" not in caught.value.what
