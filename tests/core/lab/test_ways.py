"""Every practice disk by hand: its after-talk solves it, and each wrong way that it warns of is detected."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.lab import catalogue, labs
from core.lab.hand.prompt import Prompt, Reply
from core.lab.lab import Lab, Wrong
from core.lab.needs import hindrance
from core.runner import PlanRunner, SystemRunner
from tests.conftest import Guard, needs_root

pytestmark = needs_root

LABS = catalogue.built_in()
WRONGS = [(lab, wrong) for lab in LABS for wrong in lab.wrongs]
HOST = {"run", "little-room", "leftovers"}
"""What is set up on the host: such a lab is built anew, others are copied."""
SEED = 21


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shelf")


@pytest.fixture
def folder(tmp_path: Path, guard: Guard) -> Iterator[Path]:
    """The folder of labs; what is still up in it at the end is taken down by the labs' own reset."""
    place = tmp_path / "state" / "labs"
    yield place
    for point in sorted(place.glob("*/mnt")):
        subprocess.run(["umount", point], capture_output=True)
    for lab in LABS:
        if (place / lab.name).is_dir():
            labs.reset(lab, place)


def begun(lab: Lab, folder: Path, shelf: Path) -> Path:
    """The lab, begun in `folder`: its own folder."""
    if reason := hindrance(lab.needs):
        pytest.skip(reason)
    if not HOST & {one.do for one in lab.damages}:
        if not (shelf / lab.name).is_dir():
            labs.start(lab, shelf, SystemRunner(), SEED)
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", "--sparse=always", shelf / lab.name, folder], check=True)
    else:
        labs.start(lab, folder, SystemRunner(), SEED)
    labs.choose_way(lab, folder, "hand")
    return folder / lab.name


def typed(lab: Lab, folder: Path, line: str) -> Reply:
    """A line at the prompt; where it is warned of, it is given once more."""
    prompt = Prompt(lab, folder, SystemRunner())
    text = labs.told(line, lab, folder)
    reply = prompt.enter(text)
    return prompt.enter(text) if reply.waits else reply


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)
def test_its_after_talk_solves_it_by_hand(lab: Lab, folder: Path, shelf: Path) -> None:
    if "hand" not in lab.ways:
        pytest.skip(f"{lab.name} has no such way")
    begun(lab, folder, shelf)
    assert not labs.check(lab, folder).solved, "it is solved before anything was done"
    for line in lab.after.commands:
        prompt = Prompt(lab, folder, SystemRunner())
        reply = prompt.enter(labs.told(line, lab, folder))
        assert reply.status == 0 and not reply.waits, (line, reply)
    verdict = labs.check(lab, folder)
    assert verdict.solved, verdict.findings
    assert verdict.breaches == ()
    assert verdict.points and verdict.points.total == 100


@pytest.mark.parametrize(
    ("lab", "wrong"), WRONGS, ids=lambda one: getattr(one, "name", getattr(one, "kind", ""))
)
def test_the_wrong_way_it_warns_of_is_detected(lab: Lab, wrong: Wrong, folder: Path, shelf: Path) -> None:
    assert wrong.commands, "a wrong way that nobody can go"
    begun(lab, folder, shelf)
    for line in wrong.commands:
        typed(lab, folder, line)
    verdict = labs.check(lab, folder)
    assert wrong.kind in [one.kind for one in verdict.breaches], verdict
    assert not verdict.points or verdict.points.total < 100


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)
def test_it_is_built_in_seconds_and_a_reset_leaves_nothing(lab: Lab, tmp_path: Path, guard: Guard) -> None:
    if reason := hindrance(lab.needs):
        pytest.skip(reason)
    folder = tmp_path / "state" / "labs"
    began = os.times()
    labs.start(lab, folder, SystemRunner())
    ended = os.times()
    worked = sum(ended[:4]) - sum(began[:4])
    assert min(worked, ended.elapsed - began.elapsed) < 20  # a host that does much else may take longer
    labs.reset(lab, folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)
def test_it_is_built_without_root_or_says_that_it_needs_it(lab: Lab, tmp_path: Path) -> None:
    runner = PlanRunner()
    labs.start(lab, tmp_path / "labs", runner, SEED)
    programs = {ran.command.argv[0] for ran in runner.transcript}
    staged = HOST & {one.do for one in lab.damages} - {"run"}
    assert bool(staged or programs & {"mount", "umount", "losetup", "ntfs-3g"}) == ("root" in lab.needs)


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)
def test_its_texts_are_complete(lab: Lab) -> None:
    assert len(lab.hints) == 3
    assert lab.after.reading and lab.after.commands
    assert "guided" not in lab.ways or (lab.guide and lab.quizzes)
    assert lab.wrongs
