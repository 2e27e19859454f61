"""Where the labs stand, and that they touch nothing but their own."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from core import mounts
from core.errors import Refused, SalvageError, WrongUsage
from core.lab import catalogue, labs
from core.lab.lab import Built, Lab
from core.lab.recovered import Kept, compare
from core.mounts import Mount
from core.runner import Runner, SystemRunner


def small(_lab: Lab, folder: Path, runner: Runner, seed: int) -> Built:
    disk = folder / "small.img"
    disk.write_bytes(seed.to_bytes(8, "big"))
    return Built(disk, (Kept("anna", "dir"),))


LAB = catalogue.built_in()[0]


def start(folder: Path, seed: int | None = None) -> Path:
    return labs.start(LAB, folder, SystemRunner(), seed, make=small)


def test_a_lab_goes_from_new_to_started_and_back(tmp_path: Path) -> None:
    assert labs.state(tmp_path, LAB) == "new"
    assert labs.disk(LAB, tmp_path) is None
    disk = start(tmp_path)
    assert labs.state(tmp_path, LAB) == "started"
    assert labs.disk(LAB, tmp_path) == disk
    labs.reset(LAB, tmp_path)
    assert labs.state(tmp_path, LAB) == "new"
    assert list(tmp_path.iterdir()) == []


def test_a_second_start_keeps_the_disk(tmp_path: Path) -> None:
    first = start(tmp_path, 1).read_bytes()
    assert start(tmp_path, 2).read_bytes() == first


def test_without_a_seed_no_two_disks_are_the_same(tmp_path: Path) -> None:
    disks = {start(tmp_path / str(n)).read_bytes() for n in range(4)}
    assert len(disks) == 4


def test_a_reset_leaves_what_is_not_the_labs(tmp_path: Path) -> None:
    disk = start(tmp_path)
    mine = disk.parent / "my notes.txt"
    mine.write_text("mine")
    (labs.recovered(LAB, tmp_path) / "home").mkdir()
    labs.reset(LAB, tmp_path)
    assert [path.name for path in disk.parent.iterdir()] == ["my notes.txt"]


def test_a_reset_does_not_follow_a_link_out_of_the_folder(tmp_path: Path) -> None:
    disk = start(tmp_path / "labs")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    (disk.parent / "recovered").rmdir()
    (disk.parent / "recovered").symlink_to(outside)
    labs.reset(LAB, tmp_path / "labs")
    assert (outside / "precious").exists()
    assert not disk.parent.exists()


def test_a_reset_is_refused_while_something_is_mounted_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = start(tmp_path)
    point = str(disk.parent / "recovered")
    mount = Mount(9, 1, "7:0", "/", point, "ro", "ext4", "/dev/loop0")
    monkeypatch.setattr(mounts, "mounts", lambda: [mount])
    with pytest.raises(Refused, match="recovered"):
        labs.reset(LAB, tmp_path)
    assert disk.exists()


def test_a_reset_of_a_lab_never_started_does_nothing(tmp_path: Path) -> None:
    labs.reset(LAB, tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    "record",
    [b"", b"{", b"[]", b"{}", b"null", b'{"kept": [1]}', b"\xff",
     b'{"seed": 1, "disk": "../../x", "kept": []}',
     b'{"seed": 1, "disk": 5, "kept": []}', b'{"seed": 1, "disk": "", "kept": []}',
     b'{"seed": 1, "disk": "x", "kept": [], "originals": [{"name": "../x", "sha256": "", "mtime_ns": 1}]}',
     b'{"seed": "x", "disk": "x", "kept": []}'],
)  # fmt: skip
def test_a_broken_record_is_told_and_a_reset_mends_it(tmp_path: Path, record: bytes) -> None:
    disk = start(tmp_path)
    (disk.parent / "lab.json").write_bytes(record)
    with pytest.raises(SalvageError, match="cannot be read"):
        labs.state(tmp_path, LAB)
    labs.reset(LAB, tmp_path)
    assert labs.state(tmp_path, LAB) == "new"


def test_a_check_before_the_start_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage) as caught:
        labs.check(LAB, tmp_path)
    assert "virt-salvage lab start classical-table" in caught.value.remedy


def test_a_name_that_is_none_lists_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage) as caught:
        catalogue.named("no\x1b[2Jsuch", tmp_path)
    assert "\x1b" not in caught.value.what
    assert "classical-table" in caught.value.remedy
    assert catalogue.named("classical-table", tmp_path) is LAB


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SalvageError, match="cannot be used"):
        start(tmp_path / "file")


def test_a_question_mark_in_the_folder_is_refused_before_mke2fs_stumbles(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="question mark"):
        start(tmp_path / "a?b")


def test_the_ticket_names_the_disk(tmp_path: Path) -> None:
    assert str(start(tmp_path)) in labs.ticket(LAB, tmp_path)


def test_the_names_of_the_labs_are_unique(tmp_path: Path) -> None:
    there = catalogue.labs(tmp_path)
    assert len({lab.name for lab in there}) == len(there)


def test_a_wanted_file_that_is_now_a_folder_or_a_pipe_is_different(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "b")
    found = compare((Kept("a", "file", "00"), Kept("b", "file", "00")), tmp_path)
    assert found.different == ("a", "b")
    assert not found.complete


ASKING = replace(LAB, goal=replace(LAB.goal, question="How large?", answer="12 {login1}"))


def test_a_ticket_without_a_question_takes_no_answer(tmp_path: Path) -> None:
    start(tmp_path)
    with pytest.raises(WrongUsage, match="asks no question"):
        labs.answer(LAB, tmp_path, "12")


def test_the_answer_is_judged_and_a_guess_before_it_costs(tmp_path: Path) -> None:
    def asked(lab: Lab, folder: Path, runner: Runner, seed: int) -> Built:
        return replace(small(lab, folder, runner, seed), facts={"login1": "Ann"})

    labs.start(ASKING, tmp_path, SystemRunner(), 1, make=asked)
    (labs.recovered(ASKING, tmp_path) / "anna").mkdir()
    missing = labs.check(ASKING, tmp_path)
    assert not missing.solved and any("has not been answered" in one for one in missing.findings)
    with pytest.raises(WrongUsage, match="empty"):
        labs.answer(ASKING, tmp_path, "  ")
    labs.answer(ASKING, tmp_path, "13 ann")
    guessed = labs.check(ASKING, tmp_path)
    assert not guessed.solved and any("is not right: 13 ann" in one for one in guessed.findings)
    labs.answer(ASKING, tmp_path, " 12  ann ")
    verdict = labs.check(ASKING, tmp_path)
    assert verdict.solved, verdict
    assert [one.kind for one in verdict.breaches] == ["misjudged"]
    assert verdict.points and verdict.points.safety == 45
