"""The coach of a guided lab knows which way was taken, and what was done already."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.lab import catalogue, labs
from tests.conftest import Guard, needs_root
from tests.tui.test_wizard_labs import (
    app_of,
    copy,
    mark,
    opened,
    prepared,
    protect,
    search,
    snapshot,
    through,
    to_ticket,
)
from tests.tui.wizard import Wizard, choose, on, shown, until, wizard
from tui.screens.confirm import ConfirmScreen
from tui.screens.dialog import LEAST
from tui.screens.files import FilesScreen
from tui.screens.leftovers import LeftoversScreen
from tui.screens.menu import Menu
from tui.screens.partitions import PartitionsScreen
from tui.screens.practise import PractiseScreen, TicketScreen
from tui.screens.protect import ProtectScreen
from tui.screens.quiz import QuizScreen
from tui.screens.said import SaidScreen
from tui.screens.start import StartScreen
from tui.screens.volume import VolumeScreen
from tui.widgets.coach import Coach

pytestmark = needs_root
SIZE = (100, 34)


@asynccontextmanager
async def guided(name: str, tmp_path: Path, guard: Guard) -> AsyncIterator[Wizard]:
    """A guided lab, at the first step of its road or its first question."""
    lab = catalogue.named(name, tmp_path)
    folder = prepared(lab, tmp_path / "state", guard)
    try:
        async with wizard(tmp_path / "state", size=SIZE) as pilot:
            await to_ticket(pilot, lab)
            await choose(pilot, "guided")
            yield pilot
        guard.check_originals()
    finally:
        guard.originals.clear()  # the reset takes them away
        labs.reset(lab, folder)


async def put_off(pilot: Wizard) -> None:
    """Leave the question that is asked now for later."""
    await until(pilot, lambda: isinstance(pilot.app.screen, QuizScreen), "the question")
    question = pilot.app.screen
    await pilot.press("escape")
    await until(pilot, lambda: question not in pilot.app.screen_stack, "the step below")
    await pilot.pause(0.2)


def coach(pilot: Wizard) -> str:
    """What the coach says, in one line."""
    said = pilot.app.screen.query_one(Coach)
    return " ".join(str(said.content).split()) if said.display else ""


async def says(pilot: Wizard, words: str) -> None:
    await until(pilot, lambda: words in coach(pilot), words)


async def test_that_no_snapshot_was_chosen_is_said_and_leads_back(tmp_path: Path, guard: Guard) -> None:
    async with guided("inside-a-snapshot", tmp_path, guard) as pilot:
        await put_off(pilot)
        await protect(pilot, "read")
        await says(pilot, "Shown is the present state, and the task is about the snapshot before-update.")
        assert "choose that snapshot" in coach(pilot)
        await opened(pilot, "1")
        await says(pilot, "Shown is the present state")
        assert "customers.db is there" not in coach(pilot)
        for screen in (VolumeScreen, PartitionsScreen, ProtectScreen):
            await pilot.press("escape")
            await until(pilot, lambda one=screen: isinstance(pilot.app.screen, (one, QuizScreen)))  # type: ignore[misc]
            await pilot.pause(0.2)
        await put_off(pilot)
        await snapshot(pilot, "before-update")
        await protect(pilot, "read")
        await says(pilot, "The table, as it was when the snapshot was made.")


async def test_that_the_journal_was_not_replayed_is_said(tmp_path: Path, guard: Guard) -> None:
    async with guided("dirty-journal", tmp_path, guard) as pilot:
        await says(pilot, "Choose read only.")
        await protect(pilot, "read")
        await pilot.press("enter")
        await put_off(pilot)
        await says(pilot, "with the journal replayed")
        assert "With the journal replayed (recommended)".lower() in shown(pilot).lower()
        await through(pilot, "loop")
        await says(pilot, "without what is in the journal: the last changes are not seen")
        await pilot.press("escape")
        await through(pilot, "replayed")
        await says(pilot, "mark shop in srv")


async def test_when_the_search_was_done_it_is_not_asked_for_again(tmp_path: Path, guard: Guard) -> None:
    async with guided("table-wiped", tmp_path, guard) as pilot:
        await protect(pilot, "read")
        await says(pilot, "Press s to search")
        await search(pilot, "")
        await says(pilot, "Open the larger one.")
        assert "Press s" not in coach(pilot) and "table is empty" not in coach(pilot)
        await pilot.press("o")
        await says(pilot, "Press s to search")


async def test_after_a_check_the_coach_leads_to_what_is_missing(tmp_path: Path, guard: Guard) -> None:
    async with guided("classical-table", tmp_path, guard) as pilot:
        await put_off(pilot)
        await protect(pilot, "read")
        await opened(pilot, "5")
        await mark(pilot, "/srv")
        await copy(pilot, "")
        await says(pilot, "Check the task")
        await choose(pilot, "check")
        await until(pilot, lambda: "not solved yet" in shown(pilot), "the verdict")
        await says(pilot, "Go back to the files, mark what is missing, copy it, and check again.")
        await pilot.press("escape")
        await on(pilot, FilesScreen)


async def test_when_what_died_is_down_nothing_more_is_asked_for(tmp_path: Path, guard: Guard) -> None:
    async with guided("leftovers", tmp_path, guard) as pilot:
        await put_off(pilot)
        await put_off(pilot)
        await on(pilot, LeftoversScreen)
        await says(pilot, "Choose the one whose program died")
        died = next(one for one in app_of(pilot).flow.left() if one.is_leftover)
        await choose(pilot, died.account.session)
        await says(pilot, "What died is taken down: go back with Esc, and let it be checked.")


async def test_what_is_not_on_the_screen_is_not_pointed_at(tmp_path: Path, guard: Guard) -> None:
    async with guided("cut-short", tmp_path, guard) as pilot:
        await says(pilot, "is not seen here")
        await protect(pilot, "read")
        assert "the disk has only 475136 sectors" in shown(pilot)
    lab = catalogue.named("no-space", tmp_path)
    assert "Then the room that is there" not in lab.guide["files"].look


async def test_esc_leads_from_a_practice_disk_to_its_ticket_and_a_question_comes_again(
    tmp_path: Path, guard: Guard
) -> None:
    async with guided("classical-table", tmp_path, guard) as pilot:
        await put_off(pilot)
        await on(pilot, ProtectScreen)
        assert "to the ticket" in shown(pilot)
        await protect(pilot, "read")
        await pilot.press("escape")
        await put_off(pilot)  # it was left for later, and this is later
        await on(pilot, ProtectScreen)
        await pilot.press("c", "escape")
        await on(pilot, ProtectScreen)
        await pilot.pause(0.3)
        assert isinstance(pilot.app.screen, ProtectScreen), "only a look at the commands brings no question"
        await pilot.press("escape")
        await on(pilot, TicketScreen)
        await until(pilot, lambda: "Your task" in shown(pilot), "the ticket")
        assert app_of(pilot).flow.disk is None


async def test_what_costs_points_or_work_is_asked_first(tmp_path: Path, guard: Guard) -> None:
    lab = catalogue.named("classical-table", tmp_path)
    folder = prepared(lab, tmp_path / "state", guard)
    guard.originals.clear()
    record = lambda: labs.begun(lab, folder)[1]  # noqa: E731
    async with wizard(tmp_path / "state", size=SIZE) as pilot:
        await to_ticket(pilot, lab)
        for chosen in ("talk", "hint"):
            await choose(pilot, chosen)
            await on(pilot, ConfirmScreen)
            await pilot.press("enter")  # the cursor begins at going back
            await on(pilot, TicketScreen)
        assert not record().touched
        await choose(pilot, "new")  # nothing was done yet, so nothing is asked
        await until(pilot, lambda: "A new disk was built." in shown(pilot), "what was done")
        await on(pilot, TicketScreen)
        (folder / lab.name / "recovered" / "half").touch()
        seed = record().seed
        await choose(pilot, "new")
        await on(pilot, ConfirmScreen)
        await pilot.press("escape")
        await on(pilot, TicketScreen)
        assert record().seed == seed
        await choose(pilot, "talk")
        await on(pilot, ConfirmScreen)
        await choose(pilot, "yes")
        await on(pilot, SaidScreen)
        assert record().given_up
        await pilot.press("escape")
        await on(pilot, TicketScreen)
        await choose(pilot, "talk")  # there is nothing more to lose
        await on(pilot, SaidScreen)
        await pilot.press("escape")
        await on(pilot, TicketScreen)
        await choose(pilot, "hint")
        await on(pilot, SaidScreen)


async def test_a_question_is_usable_on_the_smallest_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is highlighted, the reason for the answer and the keys stay in sight; the rest is scrolled."""
    lab = catalogue.named("still-running", tmp_path)
    monkeypatch.setattr(labs, "answered", lambda *_args: None)  # it was not begun
    async with wizard(tmp_path, size=LEAST) as pilot:
        await on(pilot, StartScreen)
        pilot.app.push_screen(QuizScreen(lab, 0, lab.quizzes[0]))
        await on(pilot, QuizScreen)
        for at in range(4):
            assert f"> {at + 1}" in shown(pilot) and "Esc later" in shown(pilot), shown(pilot)
            await pilot.press("down")
            await pilot.pause()
        await pilot.press("3")
        await until(pilot, lambda: "> 3  Kill the program" in shown(pilot), "the answer")
        await until(pilot, lambda: "× What the machine had not" in shown(pilot), "the reason")
        assert "Space more" in shown(pilot) and "Esc later" in shown(pilot), shown(pilot)
        await pilot.press("space")
        await until(pilot, lambda: "whose machine it is" in shown(pilot), "the rest of the reason")
        await pilot.press("4")
        await until(pilot, lambda: "✓ Yes" in shown(pilot) and "> 1  Go on" in shown(pilot), "the end")


async def test_a_number_is_forgotten_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("tui.screens.menu.monotonic", lambda: now)
    async with wizard(tmp_path, size=SIZE) as pilot:
        await on(pilot, StartScreen)
        await pilot.press("1")
        await on(pilot, PractiseScreen)
        menu = pilot.app.screen.query_one(Menu)
        await until(pilot, lambda: menu.option_count > 11, "the practice disks")
        await pilot.press("1")
        now += 0.5
        await pilot.press("1")
        assert menu.highlighted == 10
        now += 1.5
        await pilot.press("1")
        assert menu.highlighted == 0
        now += 1.5
        await pilot.press("1")
        assert menu.highlighted == 0
