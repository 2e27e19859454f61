"""Every practice disk is solved with the wizard by its own after-talk, with and without the coach."""

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest
from textual.widgets import Input

from core.lab import catalogue, labs, moves
from core.lab import record as records
from core.lab.lab import Lab
from core.lab.needs import hindrance
from core.runner import SystemRunner
from tests.conftest import Guard, needs_root
from tests.tui.test_wizard_road import type_target
from tests.tui.wizard import Wizard, choose, on, reads, refused, shown, until, wizard
from tui.app import SalvageApp
from tui.screens.answer import AnswerScreen
from tui.screens.ask import AskPath
from tui.screens.byhand import ByHandScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.done import DoneScreen
from tui.screens.files import FilesScreen
from tui.screens.handback import HandBackScreen
from tui.screens.leftovers import LeftoversScreen
from tui.screens.menu import Menu
from tui.screens.partitions import PartitionsScreen
from tui.screens.passphrase import AskKey
from tui.screens.practise import PractiseScreen, TicketScreen
from tui.screens.protect import ProtectScreen
from tui.screens.quiz import QuizScreen
from tui.screens.said import SaidScreen
from tui.screens.snapshot import SnapshotScreen
from tui.screens.start import StartScreen
from tui.screens.trouble import TroubleScreen
from tui.screens.volume import VolumeScreen
from tui.widgets.coach import Coach
from tui.widgets.file_table import FileTable
from tui.widgets.partition_table import VolumeTable
from tui.widgets.path_field import PathField

pytestmark = [needs_root, pytest.mark.long(80)]

LABS = [lab for lab in catalogue.built_in() if {"guided", "own"} & set(lab.ways)]
EACH = [(lab, "guided" if "guided" in lab.ways else "own") for lab in LABS]
ALONE = {lab.goal.kind: (lab, "own") for lab in reversed(LABS) if "own" in lab.ways}
"""One for each kind of goal: alone the wizard does the same, and nobody speaks."""
SEED = 11


# -- the moves -----------------------------------------------------------------------------------------


async def quizzed(pilot: Wizard) -> int:
    """Answer every question that is on top, each first wrong and then right; how many there were."""
    count = 0
    await pilot.pause(0.2)
    while isinstance(pilot.app.screen, QuizScreen):
        screen = pilot.app.screen
        answers = screen.quiz.answers
        wrong = next(at for at, one in enumerate(answers) if not one.right)
        right = next(at for at, one in enumerate(answers) if one.right)
        await pilot.press(str(wrong + 1))
        await until(pilot, lambda: "×" in reads(pilot, "#why"), "why the answer is wrong")
        await pilot.press(str(right + 1))
        await until(pilot, lambda: "✓" in reads(pilot, "#why"), "why the answer is right")
        await pilot.press("1")
        count += 1
        await pilot.pause(0.2)
    return count


async def protect(pilot: Wizard, word: str) -> None:
    await on(pilot, ProtectScreen)
    await choose(pilot, word)
    await until(pilot, lambda: isinstance(pilot.app.screen, (PartitionsScreen, QuizScreen)))
    await quizzed(pilot)
    await on(pilot, PartitionsScreen)


async def search(pilot: Wizard, _word: str) -> None:
    await on(pilot, PartitionsScreen)
    await pilot.press("s")
    await on(pilot, PartitionsScreen)
    await until(pilot, lambda: "put together" in shown(pilot), "the table of the search")


async def opened(pilot: Wizard, word: str, way: str = "loop") -> None:
    await on(pilot, PartitionsScreen)
    table = pilot.app.screen.query_one(VolumeTable)
    for _turn in range(40):
        if table.current and table.current.volume and table.current.volume.id == word:
            break
        await pilot.press("down")
    assert table.current and table.current.volume and table.current.volume.id == word
    await pilot.press("enter")
    await through(pilot, way)


async def replayed(pilot: Wizard, word: str) -> None:
    await opened(pilot, word, "replayed")


async def through(pilot: Wizard, way: str = "loop") -> None:
    """From the chosen volume to its files."""
    await until(pilot, lambda: isinstance(pilot.app.screen, (VolumeScreen, QuizScreen)))
    await quizzed(pilot)
    await on(pilot, VolumeScreen)
    await choose(pilot, way)
    await until(pilot, lambda: isinstance(pilot.app.screen, (FilesScreen, QuizScreen)))
    await quizzed(pilot)
    await on(pilot, FilesScreen)
    await until(pilot, lambda: pilot.app.screen.query_one(FileTable).row_count(), "the files")


async def unlocked(pilot: Wizard, word: str) -> None:
    await on(pilot, PartitionsScreen)
    table = pilot.app.screen.query_one(VolumeTable)
    for _turn in range(40):
        if table.current and table.current.volume and table.current.volume.id == word:
            break
        await pilot.press("down")
    await pilot.press("enter")
    await on(pilot, AskKey)
    task = app_of(pilot).flow.task()
    assert task
    words = (task.disk.parent / "passphrase.txt").read_text()
    pilot.app.screen.query_one(Input).value = words
    await pilot.press("enter")
    await through(pilot)


async def mark(pilot: Wizard, word: str) -> None:
    await on(pilot, FilesScreen)
    screen = pilot.app.screen
    assert isinstance(screen, FilesScreen)
    table = screen.query_one(FileTable)
    while screen.here != b"/":
        await pilot.press("backspace")
        await until(pilot, lambda: not screen.busy)
    *folders, name = word.strip("/").encode().split(b"/")
    for part in (*folders, name):
        await until(pilot, lambda: table.row_count() and not screen.busy)
        for _turn in range(80):
            if table.current and table.current.name == part:
                break
            await pilot.press("down")
        assert table.current and table.current.name == part, f"{part!r} of {word} is not there"
        if part is not name:
            await pilot.press("enter")
            await until(pilot, lambda part=part: screen.here.endswith(b"/" + part))  # type: ignore[misc]
    await pilot.press("space")


async def target(pilot: Wizard, word: str) -> None:
    await pilot.press("t")
    await type_target(pilot, word)
    await on(pilot, FilesScreen)


async def copy(pilot: Wizard, _word: str) -> None:
    await pilot.press("y")
    await until(pilot, lambda: isinstance(pilot.app.screen, (DoneScreen, QuizScreen)))
    await quizzed(pilot)
    await on(pilot, DoneScreen)


async def stop(pilot: Wizard, word: str) -> None:
    task = app_of(pilot).flow.exercise
    if task and task.guided:
        await until(pilot, lambda: isinstance(pilot.app.screen, (TroubleScreen, QuizScreen)), "the question")
        if isinstance(pilot.app.screen, TroubleScreen):
            await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, QuizScreen), "the question")
        await quizzed(pilot)
    while not isinstance(pilot.app.screen, TicketScreen):
        await pilot.press("escape")
        await pilot.pause(0.2)
    await choose(pilot, "stop")
    await on(pilot, HandBackScreen)
    await choose(pilot, word)
    await on(pilot, TicketScreen)


async def leftovers(pilot: Wizard, word: str) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, (LeftoversScreen, QuizScreen)))
    await quizzed(pilot)
    await on(pilot, LeftoversScreen)
    await choose(pilot, word)
    await until(pilot, lambda: word not in [known.account.session for known in app_of(pilot).flow.left()])


async def answer(pilot: Wizard, word: str) -> None:
    await on(pilot, DoneScreen)
    await choose(pilot, "check")
    await until(pilot, lambda: "not solved yet" in reads(pilot, "#verdict"), "that the answer is missing")
    await choose(pilot, "answer")
    await on(pilot, AnswerScreen)
    pilot.app.screen.query_one(Input).value = word
    await pilot.press("enter")
    await on(pilot, DoneScreen)
    await until(pilot, lambda: "is noted" in reads(pilot, "#status"), "that the answer was taken")


async def snapshot(pilot: Wizard, word: str) -> None:
    await on(pilot, ProtectScreen)
    await choose(pilot, "snapshot")
    await on(pilot, SnapshotScreen)
    disk = app_of(pilot).flow.disk
    assert disk
    await choose(pilot, "s" + next(one.id for one in disk.snapshots if one.name == word))
    await on(pilot, ProtectScreen)
    await until(pilot, lambda: word in shown(pilot) and "Shown is" in shown(pilot))


async def backing(pilot: Wizard, word: str) -> None:
    await on(pilot, ProtectScreen)
    await choose(pilot, "backing")
    await on(pilot, AskPath)
    await until(pilot, lambda: isinstance(pilot.app.focused, Input))
    pilot.app.screen.query_one(PathField).value = word
    await pilot.press("enter")
    await on(pilot, ProtectScreen)
    await until(pilot, lambda: not refused(pilot, "read"), "the chain is whole")


MOVES: Mapping[str, Callable[[Wizard, str], Awaitable[None]]] = {
    "protect read": protect,
    "protect overlay": protect,
    "search": search,
    "open": opened,
    "replay": replayed,
    "unlock": unlocked,
    "mark": mark,
    "target": target,
    "copy": copy,
    "stop": stop,
    "snapshot": snapshot,
    "backing": backing,
    "leftovers": leftovers,
    "answer": answer,
}


def app_of(pilot: Wizard) -> SalvageApp:
    app = pilot.app
    assert isinstance(app, SalvageApp)
    return app


# -- the road to a lab -----------------------------------------------------------------------------------


async def to_ticket(pilot: Wizard, lab: Lab) -> None:
    await on(pilot, StartScreen)
    await pilot.press("1")
    await on(pilot, PractiseScreen)
    menu = pilot.app.screen.query_one(Menu)
    await until(pilot, lambda: menu.option_count, "the practice disks")
    at = [one.name for one in catalogue.labs(app_of(pilot).flow.labs)].index(lab.name)
    await pilot.press(*str(at + 1))
    await on(pilot, PractiseScreen)
    assert menu.highlighted == at, "of so many, digits lead to one and choose none"
    await pilot.press("enter")
    await on(pilot, TicketScreen)


def prepared(lab: Lab, state: Path, guard: Guard) -> Path:
    """The lab built with a seed of ours; its originals are watched."""
    folder = state / "labs"
    disk = labs.start(lab, folder, SystemRunner(), SEED)
    record = records.read(disk.parent)
    assert record is not None
    guard.watch(*(disk.parent / one.name for one in record.originals))
    return folder


@pytest.mark.parametrize(
    ("lab", "way"), [*EACH, *ALONE.values()], ids=lambda one: one if isinstance(one, str) else one.name
)
async def test_its_after_talk_solves_it_with_the_wizard(
    lab: Lab, way: str, tmp_path: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := hindrance(lab.needs):
        pytest.skip(reason)
    monkeypatch.chdir(tmp_path)
    folder = prepared(lab, tmp_path / "state", guard)
    try:
        async with wizard(tmp_path / "state") as pilot:
            await to_ticket(pilot, lab)
            await choose(pilot, way)
            if lab.goal.kind == "recover":
                await until(
                    pilot, lambda: isinstance(pilot.app.screen, (ProtectScreen, QuizScreen)), "step 1"
                )
                await quizzed(pilot)
            if way == "guided" and "protect" in lab.guide and isinstance(pilot.app.screen, ProtectScreen):
                assert pilot.app.screen.query_one(Coach).display
                assert "Next" in shown(pilot)
            for move in lab.after.wizard:
                verb, word = moves.split(move)
                known = MOVES[verb]
                await known(pilot, labs.told(word or verb.partition(" ")[2], lab, folder))
            if isinstance(pilot.app.screen, DoneScreen):
                await choose(pilot, "check")
                await until(pilot, lambda: "The task is solved" in reads(pilot, "#verdict"), "the verdict")
                await pilot.pause()
                assert not pilot.app.screen.query_one(Menu).max_scroll_y, shown(pilot)
                assert "Check the task" not in shown(pilot)
                await choose(pilot, "talk")
                await on(pilot, SaidScreen)
                await pilot.press("escape")
                await on(pilot, DoneScreen)
        verdict = labs.check(lab, folder)
        assert verdict.solved, verdict.findings
        assert verdict.breaches == ()
        record = records.read(folder / lab.name)
        assert record and record.way == way
        if way == "guided":
            assert record.quizzes == {str(number): 1 for number in range(len(lab.quizzes))}
    finally:
        guard.originals.clear()  # the check above has compared them; the reset takes them away
        labs.reset(lab, folder)


async def test_the_coach_speaks_and_the_wizard_alone_does_not(tmp_path: Path, guard: Guard) -> None:
    lab = LABS[0]
    prepared(lab, tmp_path / "state", guard)
    async with wizard(tmp_path / "state") as pilot:
        await to_ticket(pilot, lab)
        await choose(pilot, "own")
        await on(pilot, ProtectScreen)
        assert not pilot.app.screen.query_one(Coach).display
        await pilot.press("escape")
        await on(pilot, TicketScreen)
        await until(pilot, lambda: "with a coach" in shown(pilot), "the ways")
        await choose(pilot, "guided")
        await until(pilot, lambda: isinstance(pilot.app.screen, QuizScreen))
        await pilot.press("escape")
        await on(pilot, ProtectScreen)
        assert pilot.app.screen.query_one(Coach).display
        assert lab.guide["protect"].next[:30] in shown(pilot)


async def test_the_coach_does_not_tell_of_another_volume_than_the_one_on_the_screen(
    tmp_path: Path, guard: Guard
) -> None:
    lab = LABS[0]
    prepared(lab, tmp_path / "state", guard)
    async with wizard(tmp_path / "state") as pilot:
        await to_ticket(pilot, lab)
        await choose(pilot, "guided")
        await until(pilot, lambda: isinstance(pilot.app.screen, QuizScreen))
        await pilot.press("escape")
        await on(pilot, ProtectScreen)
        await choose(pilot, "read")
        await until(pilot, lambda: isinstance(pilot.app.screen, QuizScreen))
        await pilot.press("escape")
        await until(pilot, lambda: "Enter opens partition 2" in shown(pilot))
        assert "Go back to the partitions" not in shown(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "What shall be done with it?" in shown(pilot), "the ways to open it")
        await choose(pilot, "loop")
        await until(pilot, lambda: "Go back to the partitions" in shown(pilot), "the coach")
        assert "the task is about another one" in " ".join(shown(pilot).split())


async def test_by_hand_in_the_wizard(tmp_path: Path, guard: Guard) -> None:
    """The prompt: a warning, the same line again, what was typed brought back, the verdict."""
    lab = catalogue.named("offset-by-hand", tmp_path)
    folder = prepared(lab, tmp_path / "state", guard)
    async with wizard(tmp_path / "state") as pilot:
        await to_ticket(pilot, lab)
        await choose(pilot, "hand")
        await on(pilot, ByHandScreen)
        field = pilot.app.screen.query_one("#prompt", Input)

        async def enter(line: str, wanted: str) -> None:
            field.value = labs.told(line, lab, folder)
            await pilot.press("enter")
            await until(pilot, lambda: wanted in " ".join(shown(pilot).split()), wanted)
            await on(pilot, ByHandScreen)

        await enter("mount -o ro,loop,offset={p2.start} {name} mnt", "count bytes")
        await enter("losetup --find {name}", "The same line once more runs it")
        for command in lab.after.commands:
            await enter(command, "lab> " + labs.told(command, lab, folder)[:30])
        await pilot.press("up")
        assert field.value == "rmdir mnt"
        await enter("check", "The task is solved")
        await pilot.resize_terminal(80, 16)
        await until(pilot, lambda: "The task is solved" in shown(pilot), "the end of the talk")
        await pilot.press("escape")
        await on(pilot, TicketScreen)
    assert os.listdir(folder / lab.name / "recovered") == ["home"]


async def test_hints_a_record_and_a_new_disk(tmp_path: Path, guard: Guard) -> None:
    lab = LABS[0]
    folder = prepared(lab, tmp_path / "state", guard)
    guard.originals.clear()
    async with wizard(tmp_path / "state") as pilot:
        await to_ticket(pilot, lab)
        await choose(pilot, "hint")
        await on(pilot, ConfirmScreen)
        await choose(pilot, "yes")
        await on(pilot, SaidScreen)
        assert "Partitions from 5 on" in shown(pilot)
        await pilot.press("escape")
        await on(pilot, TicketScreen)
        await choose(pilot, "check")
        await on(pilot, SaidScreen)
        assert "not solved yet" in shown(pilot)
        await pilot.press("escape")
        await on(pilot, TicketScreen)
        await choose(pilot, "new")
        await on(pilot, ConfirmScreen)
        await choose(pilot, "yes")
        await until(pilot, lambda: "A new disk was built." in shown(pilot), "what was done")
        await on(pilot, TicketScreen)
        record = records.read(folder / lab.name)
        assert record and record.seed != SEED and record.hints == 0
        await pilot.press("escape")
        await on(pilot, PractiseScreen)
        await pilot.press("r")
        await on(pilot, SaidScreen)
        assert "Practice record" in shown(pilot)
