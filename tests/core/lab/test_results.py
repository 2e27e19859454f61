"""What learners have done: points, the record, the class."""

import json
import re
from pathlib import Path

import pytest

from core.errors import SalvageError
from core.lab import catalogue, labs, results, telling
from core.lab import record as records
from core.lab.lab import Finding, Points, Verdict
from core.lab.record import Record
from core.runner import SystemRunner
from tests.conftest import Program, needs_root

LAB = catalogue.built_in()[2]


def kept(folder: Path, who: str, points: int, *kinds: str, quizzes: dict[str, int] | None = None) -> None:
    found = tuple(Finding(kind, kind, 5) for kind in kinds)
    verdict = Verdict(points > 0, (), found, Points(points, 0, 0, 0) if points else None)
    results.keep(folder, who, LAB, Record(1, "x", (), quizzes=quizzes or {}), verdict)


def test_the_best_of_several_tries_counts_and_no_mistake_is_forgotten(tmp_path: Path) -> None:
    kept(tmp_path, "anna", 0, "written")
    kept(tmp_path, "anna", 90)
    kept(tmp_path, "anna", 60, "left-behind")
    result = results.read(results.file_of(tmp_path, "anna")).of(LAB.name)
    assert result and result.points == 90 and result.tries == 3
    assert result.breaches == ("left-behind", "written")


def test_a_class_shows_who_has_what_and_what_most_got_wrong(tmp_path: Path) -> None:
    kept(tmp_path, "anna", 90, "left-behind", quizzes={"0": 2})
    kept(tmp_path, "tomas", 70, "left-behind")
    kept(tmp_path, "li", 0, "written")
    learners, problems = results.gathered(tmp_path / results.FOLDER)
    assert [one.name for one in learners] == ["anna", "li", "tomas"] and problems == []
    wrong = results.troubles(learners)
    assert wrong[0] == ("left-behind", 2)
    assert (f"{LAB.name} ?1", 1) in wrong
    lines = [*telling.classroom(learners, wrong)]
    assert lines[1].split() == [LAB.name, "90", "-", "70"]
    assert any("2 learners: Something was left behind" in line for line in lines)


def test_a_name_is_no_path(tmp_path: Path) -> None:
    assert results.file_of(tmp_path, "../../etc/x").parent == tmp_path / results.FOLDER


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"learner": "x", "results": [{"lab": 1}]}', "null"])
def test_a_broken_file_is_told_and_hides_nobody(tmp_path: Path, text: str) -> None:
    kept(tmp_path, "anna", 50)
    (tmp_path / results.FOLDER / "b.json").write_text(text)
    learners, problems = results.gathered(tmp_path / results.FOLDER)
    assert [one.name for one in learners] == ["anna"]
    assert "b.json" in problems[0]
    with pytest.raises(SalvageError):
        results.read(tmp_path / results.FOLDER / "b.json")


def test_a_record_can_be_printed(tmp_path: Path) -> None:
    kept(tmp_path, "anna", 95)
    text = "\n".join(
        telling.certificate(results.read(results.file_of(tmp_path, "anna")), catalogue.built_in())
    )
    assert "Practice record of anna" in text and "95 points" in text
    assert "1 lab solved with nothing harmed" in text


def test_points_hints_and_giving_up(tmp_path: Path) -> None:
    disk = labs.start(LAB, tmp_path / "labs", SystemRunner(), seed=2)
    folder, home = tmp_path / "labs", disk.parent
    assert labs.next_cost(LAB, folder) == 3
    labs.hint(LAB, folder)
    labs.hint(LAB, folder)
    assert len(labs.hints(LAB, folder)) == 2
    record = records.read(home)
    assert record is not None
    assert labs._points(LAB, record, []) == Points(40, 50, 10, 8)
    assert labs._points(LAB, record, [Finding("left-behind", "", 15)]).safety == 35
    labs.give_up(LAB, folder)
    after = records.read(home)
    assert after and after.given_up
    assert not labs.next_cost(LAB, folder), "there is nothing left that it could cost"


def test_the_command_line_goes_all_the_way(program: Program, tmp_path: Path) -> None:
    """Start with a seed, ask for a hint, judge, read the record and the class, as JSON and as text."""
    started = program("lab", "start", "offset-by-hand", "--seed", "4", "--json")
    assert json.loads(started.out)["name"] == "offset-by-hand"
    assert "fdisk" in program("lab", "ticket", "offset-by-hand").out
    assert "sectors" in program("lab", "hint", "offset-by-hand").out
    judged = program("lab", "check", "offset-by-hand", "--learner", "anna", "--json")
    assert judged.status == 1
    assert json.loads(judged.out)["wrong"] == []
    assert program("lab", "talk", "offset-by-hand").status == 2
    assert "By hand" in program("lab", "talk", "offset-by-hand", "--yes").out
    assert "not solved yet" in program("lab", "record", "--learner", "anna").out
    assert json.loads(program("lab", "class", "--json").out)["learners"][0]["name"] == "anna"
    assert program("lab", "stop", "offset-by-hand").status == 2
    (tmp_path / "mine.toml").write_text(program("lab", "example").out)
    assert program("lab", "verify", tmp_path / "mine.toml").status == 0
    assert program("lab", "add", tmp_path / "mine.toml").status == 0
    listed = json.loads(program("lab", "list", "--json").out)["labs"]
    assert listed[-1]["name"] == "the-wrong-sector"
    assert {one["state"] for one in listed} == {"new", "started"}
    assert program("lab", "reset", "offset-by-hand").status == 0


@needs_root
def test_a_copy_names_the_file_that_the_ticket_asks_for(program: Program, tmp_path: Path) -> None:
    """The map beside the practice disk is found, the file is told, and the answer is judged."""
    disk = json.loads(program("lab", "start", "bad-area", "--seed", "4", "--json").out)["disk"]
    recovered = Path(disk).parent / "recovered"
    copied = program("copy", disk, "1", "/srv", "/backups", recovered)
    told = re.search(r"bad place of the disk and is copied last: (\S+)", copied.err)
    assert told, copied.err
    path = "/" + told[1].strip("/.")
    assert not json.loads(program("lab", "check", "bad-area", "--json").out)["solved"]
    assert program("lab", "answer", "bad-area").status == 2
    assert program("lab", "answer", "bad-area", path).status == 0
    judged = json.loads(program("lab", "check", "bad-area", "--json").out)
    assert judged["solved"] and judged["wrong"] == [], judged
    assert program("lab", "reset", "bad-area").status == 0


def test_the_list_says_which_need_root(program: Program) -> None:
    rows = {line.split()[0]: line for line in program("lab", "list").out.splitlines()}
    assert "root" in rows["leftovers"] and "root" not in rows["classical-table"]
