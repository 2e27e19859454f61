"""Descriptions of labs: what is read, and that every mistake is told in a sentence that helps."""

from pathlib import Path

import pytest

from core.errors import WrongUsage
from core.lab import catalogue, facts, labs, reading
from core.lab.reading import BadLab
from core.runner import PlanRunner, SystemRunner

EXAMPLE = catalogue.example()


def mistakes(text: str) -> str:
    with pytest.raises(BadLab) as caught:
        reading.parsed(text.encode(), "mine.toml")
    assert "docs/teaching.md" in caught.value.remedy
    return " ".join(caught.value.mistakes)


def test_the_example_is_in_order_and_can_be_built(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(EXAMPLE)
    lab = catalogue.add(tmp_path / "mine.toml", tmp_path / "labs")
    assert catalogue.named("the-wrong-sector", tmp_path / "labs").name == lab.name
    disk = labs.start(lab, tmp_path / "labs", SystemRunner(), seed=1)
    assert disk.name == "intra02.qcow2"
    assert (disk.parent / "note.txt").exists()
    text = labs.ticket(lab, tmp_path / "labs")
    assert str(disk) in text and "{" not in text
    assert "\n(An empty line" in text


@pytest.mark.parametrize("lab", catalogue.built_in(), ids=lambda lab: lab.name)
def test_every_built_in_can_be_planned(lab: object, tmp_path: Path) -> None:
    assert isinstance(lab, type(catalogue.built_in()[0]))
    runner = PlanRunner()
    labs.start(lab, tmp_path / "labs", runner, seed=3)
    assert runner.transcript
    assert not (tmp_path / "labs").exists()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("format = 1", "format = 2", "this program knows no other"),
        ('name = "the-wrong-sector"', 'name = "../x"', "small letters, digits and hyphens"),
        ('name = "the-wrong-sector"', "", "name: is missing"),
        ('name = "the-wrong-sector"', 'name = "results"', "name: results is taken"),
        ("level = 2", "level = 9", "level: must be from 1 to 5"),
        ("level = 2", 'level = "2"', "level: must be a whole number"),
        ("minutes = 20", "minutes = true", "minutes: must be a whole number"),
        ('size = "64M"', 'size = "64X"', "partition[1].size: must be a size"),
        ('size = "64M"', 'size = "900G"', "must be a size up to 8G"),
        ('type = "ext4"', 'type = "zfs"', "filesystem[1].type: must be one of ext2"),
        ('trees = ["homes"] ', 'trees = ["castles"] ', "must be some of boot"),
        ('do = "zero"', 'do = "explode"', "damage[1].do: must be one of"),
        ("sectors = 1\n", "sectors = 0\n", "damage[1].sectors: must be from 1"),
        ('path = "/home/{login1}/reading-list.txt"', 'path = "/a/../b"', "must be a whole path"),
        ('path = "/home/{login1}/reading-list.txt"', "path = '/a\"b'", "must be a whole path"),
        ("[goal]\nkind", '[goal]\ncolour = "red"\nkind', "goal.colour: is not known here"),
        ('kind = "recover"\npartition = 1', 'kind = "recover"\npartition = 4', "there is no partition 4"),
        ("{p1.offset}.", "{p7.offset}.", "{p7.offset}: nothing can be put in there"),
        ("right = true", "right = false", "one of them with right = true"),
        ('"search", "open 1"', '"seek", "open 1"', "seek is no move"),
        ('"search", "open 1"', '"search", "open"', "open wants a word"),
        ('kind = "written"', 'kind = "sad"', "wrong[1].kind: must be one of written"),
        ('kind = "recover"\n', 'kind = "recover"\nquestion = "why?"\n', "goal.question: wants an answer"),
        ('kind = "recover"\n', 'kind = "recover"\nanswer = "{p9.start}"\n', "goal.question: wants an answer"),
        ("[guide.partitions]", "[guide.garden]", "guide.garden: must be one of disk"),
        ('name = "intra02.qcow2"', 'name = "/etc/x"', "disk.name: must be the name of a file"),
        ('format = "qcow2"\n', 'format = "qcow9"\n', "disk.format: must be one of raw"),
        ('mode = "0600"', 'mode = "rw"', "must be octal"),
        ("level = 2", 'level = 2\nneeds = ["luck"]', "needs: must be some of root"),
        ('"note.txt"', '"../note"', "attachments.../note: must be the name of a file"),
    ],
)  # fmt: skip
def test_a_mistake_is_told(old: str, new: str, told: str) -> None:
    assert old in EXAMPLE
    assert told in mistakes(EXAMPLE.replace(old, new, 1)).replace("\\", "")


def test_all_mistakes_are_told_at_once() -> None:
    text = EXAMPLE.replace("level = 2", "level = 7").replace("minutes = 20", "minutes = 0")
    told = mistakes(text)
    assert "level" in told and "minutes" in told


@pytest.mark.parametrize("data", [b"\xff\xfe", b"a = ", b"[" * 9999, b"", b"x" * (2 << 20), b"format = 1"])
def test_what_is_no_description_is_refused(data: bytes) -> None:
    with pytest.raises(BadLab):
        reading.parsed(data, "x.toml")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="cannot be read"):
        reading.read(tmp_path / "none.toml")


def test_nobody_takes_the_name_of_a_built_in(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(EXAMPLE.replace("the-wrong-sector", "classical-table"))
    with pytest.raises(WrongUsage, match="already"):
        catalogue.add(mine, tmp_path / "labs")


def test_a_broken_own_lab_hides_no_other(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "a.toml").write_text("format = 1")
    (own / "b.toml").write_text(EXAMPLE)
    found, problems = catalogue.own(tmp_path)
    assert [lab.name for lab in found] == ["the-wrong-sector"]
    assert "a.toml" in problems[0]


def test_other_braces_stay() -> None:
    assert facts.filled('{"driver": 1} {x} {p1.offset}', {"p1.offset": "5"}) == '{"driver": 1} {x} 5'
