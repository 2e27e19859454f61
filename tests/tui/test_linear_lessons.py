"""A guided lab line by line: the coach's own words there, and what is asked before points are lost."""

from pathlib import Path

from core.lab import catalogue, labs
from core.lab import record as records
from tests.conftest import Guard, needs_root
from tests.tui.test_linear import talk
from tests.tui.test_linear_more import built, number

pytestmark = needs_root


def test_the_coach_names_what_there_is_line_by_line(state_dir: Path, guard: Guard, tmp_path: Path) -> None:
    folder, out = state_dir / "labs", tmp_path / "out"
    disk = built("classical-table", folder)
    guard.watch(disk)
    # practise, its number, guided; a question wrong, then left for later; read only; back; again
    answers = ["1", number("classical-table"), "1", "2", "b", "1", "b", "b"]
    # asked again on return: left for later again; read only; partition 5; browse; srv alone; copy; check
    answers += ["b", "1", "b", "3", "1", "m 3", "y", str(out), "yes", "1", "q"]
    called = talk(state_dir, answers)
    assert called.returncode == 0, called
    for said in ("Look: The partitions, by their numbers", "Next: Mark home by m and its number, then y."):
        assert said in called.stdout, (said, called.stdout)
    for gone in ("space bar", "The map:", "under the map", "SHA256SUMS, and what is"):
        assert gone not in called.stdout, gone
    judged = called.stdout.rpartition("not solved yet")[2]
    assert "Next: Go back to the files, mark what is missing, copy it, and check again." in judged
    assert called.stdout.count("A question, before you decide") == 5
    guard.originals.clear()
    labs.reset(catalogue.named("classical-table", folder), folder)


def test_that_an_answer_is_right_is_said_once(state_dir: Path, guard: Guard) -> None:
    folder = state_dir / "labs"
    guard.watch(built("still-running", folder))
    lab = catalogue.named("still-running", folder)
    try:
        right = str(next(at for at, one in enumerate(lab.quizzes[0].answers, 1) if one.right))
        answers = ["1", number("still-running"), "1", right, "q"]
        called = talk(state_dir, answers, "--lang", "zh_CN")
        assert called.returncode == 0, called
        assert "对。对。" not in called.stdout and "对。" in called.stdout
    finally:
        guard.originals.clear()
        labs.reset(lab, folder)


def test_to_be_told_what_happened_is_asked_first(state_dir: Path, guard: Guard) -> None:
    folder = state_dir / "labs"
    disk = built("classical-table", folder)
    guard.watch(disk)
    lab = catalogue.named("classical-table", folder)
    told = "6"  # guided, own, a hint, hand back, check, and then this
    called = talk(state_dir, ["1", number("classical-table"), told, "no", "q"])
    assert "no points can be earned with this disk" in called.stdout, called.stdout
    record = records.read(disk.parent)
    assert record and record.earns
    called = talk(state_dir, ["1", number("classical-table"), told, "yes", "q"])
    assert "The safe way" in called.stdout
    record = records.read(disk.parent)
    assert record and not record.earns
    guard.originals.clear()
    labs.reset(lab, folder)


def test_no_lesson_names_a_key_or_a_picture_that_is_not_there() -> None:
    """A lab that comes with the program has words of its own where the wizard's are of a screen."""
    of_a_screen = ("space bar", "Esc", "press", "Press", "the map:", "The map:", "under the map", "with v")
    found = [
        (lab.name, step, word)
        for lab in catalogue.built_in()
        for step, advice in lab.guide.items()
        for part in ("look", "why", "next")
        for word in of_a_screen
        if word in advice.part(part, linear=True)
    ]
    assert found == []


def test_what_lies_in_a_marked_folder_is_copied_once(state_dir: Path, guard: Guard, tmp_path: Path) -> None:
    disk, out = built("classical-table", tmp_path), tmp_path / "out"
    guard.watch(disk)
    # read only; partition 5; browse; the first folder, and the first thing in it; copy; leave
    called = talk(state_dir, ["1", "3", "1", "m 1", "1", "m 1", "y", str(out), "yes", "5"], disk)
    assert called.returncode == 0, called
    assert "Marked: /home\n" in called.stdout.replace("\r", ""), called.stdout
    folders = [one.name for one in out.iterdir() if one.is_dir()]
    assert folders == ["home"], folders
