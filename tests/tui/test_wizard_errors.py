"""What the wizard says and offers when a disk is none, is damaged, or is not to be trusted."""

import os
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.containers import VerticalScroll

from core.errors import Refused
from core.machines import census
from core.runner import Ran
from core.session import Session
from tests.tui.wizard import Wizard, choose, on, shown, until, wizard
from tui.flow import Flow
from tui.screens.commands import CommandsScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.disk import DiskScreen
from tui.screens.help import HelpScreen
from tui.screens.menu import Choice, Menu
from tui.screens.protect import ProtectScreen
from tui.screens.start import StartScreen
from tui.screens.trouble import Remedy, TroubleScreen

HOSTILE = ("a [@click=app.quit]x", "x[", "[/foo]", "\x1b[31mred", "new\nline", "\u202ertl", "[bold", "é 名前")


def qcow2(path: Path, *options: str) -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, path, "8M"], check=True)
    return path


def missing(folder: Path) -> Path:
    return folder / "missing.qcow2"


def a_folder(folder: Path) -> Path:
    (folder / "folder").mkdir()
    return folder / "folder"


def empty(folder: Path) -> Path:
    (folder / "empty.img").touch()
    return folder / "empty.img"


def truncated(folder: Path) -> Path:
    path = qcow2(folder / "cut.qcow2")
    os.truncate(path, 70_000)
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (missing, "There is no"),
        (a_folder, "is a folder, not a disk"),
        (empty, "is empty"),
        (truncated, "damaged"),
    ],
)
async def test_what_is_no_disk(make: Callable[[Path], Path], said: str, tmp_path: Path) -> None:
    """One clear sentence, and back at the choice of the disk by Esc."""
    async with wizard(tmp_path / "state", make(tmp_path)) as pilot:
        await on(pilot, TroubleScreen)
        text = " ".join(shown(pilot).split())
        assert "What happened" in text
        assert said in text.replace("┃ ", "")
        await pilot.press("escape")
        await on(pilot, DiskScreen)
        await pilot.press("1")
        assert isinstance(pilot.app.screen, DiskScreen)


async def test_truncated_image_opens_as_raw_bytes(tmp_path: Path) -> None:
    async with wizard(tmp_path / "state", truncated(tmp_path)) as pilot:
        await on(pilot, TroubleScreen)
        await pilot.press("1")
        await on(pilot, ProtectScreen)
        assert "raw" in shown(pilot)


async def test_ambiguous_format_is_asked(tmp_path: Path) -> None:
    """The format is chosen by a button; the highlighted one is the way back."""
    disk = qcow2(tmp_path / "disk.raw")
    async with wizard(tmp_path / "state", disk) as pilot:
        await on(pilot, TroubleScreen)
        menu = pilot.app.screen.query_one(Menu)
        assert menu.highlighted_option and menu.highlighted_option.id == "back"
        assert "Open it as raw" in shown(pilot)
        await choose(pilot, "1")
        await on(pilot, ProtectScreen)
        assert "qcow2" in shown(pilot)


async def test_path_outside_is_allowed_by_name_only(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    base = qcow2(tmp_path / "base.qcow2")
    disk = qcow2(tmp_path / "inside" / "disk.qcow2", "-b", str(base), "-F", "qcow2")
    async with wizard(tmp_path / "state", disk, size=(140, 40)) as pilot:
        await on(pilot, TroubleScreen)
        joined = "".join(line.strip(" ┃") for line in shown(pilot).splitlines())
        assert str(base) in joined
        await pilot.press("enter")
        await on(pilot, DiskScreen)
        pilot.app.screen.select(pilot.app.screen._wish)  # type: ignore[attr-defined]
        await on(pilot, TroubleScreen)
        await choose(pilot, "0")
        await on(pilot, ProtectScreen)
        await until(pilot, lambda: "base.qcow2" in shown(pilot))


async def told_whole(pilot: Wizard, error: Refused) -> None:
    pilot.app.push_screen(TroubleScreen(error, [Remedy("Allow it", lambda: None, "Only this.")]))
    await on(pilot, TroubleScreen)
    text = pilot.app.screen.query_one(VerticalScroll)
    await until(pilot, lambda: text.size.height > 0 and not text.max_scroll_y, "all of it")
    await pilot.press("escape")


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (160, 50)])
async def test_an_error_that_fits_is_seen_whole(size: tuple[int, int], tmp_path: Path) -> None:
    """Whatever its lines break at, none is left to scroll to where the screen has room for it."""
    async with wizard(tmp_path / "state", size=size) as pilot:
        for length in range(40, 76, 3):
            what = f"The header of /srv/{'w' * length}.qcow2 points to /srv/templates/{'b' * 25}.qcow2."
            remedy = f"If that is right: --allow /srv/{'b' * (length - 8)}"
            await told_whole(pilot, Refused(what, "Nothing was opened.", remedy))


async def test_disk_in_use_cannot_be_attached(tmp_path: Path) -> None:
    disk = tmp_path / "used.img"
    disk.write_bytes(bytes(1 << 20))
    with open(disk, "r+b"):
        holder = subprocess.Popen(["sleep", "100"], stdin=open(disk, "r+b"))  # noqa: SIM115
        try:
            async with wizard(tmp_path / "state", disk) as pilot:
                await on(pilot, ProtectScreen)
                menu = pilot.app.screen.query_one(Menu)
                await until(pilot, lambda: menu.get_option("read").disabled, "greyed ways")
                assert menu.get_option("overlay").disabled
                assert "sleep" in shown(pilot)
        finally:
            holder.terminate()
            holder.wait()


@pytest.mark.hostile(45)
@pytest.mark.hostile(46)
@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_names_of_disks(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is shown as text: nothing in it is a control sequence or markup."""
    folder = tmp_path / "here"
    folder.mkdir()
    disk = folder / f"{name}.img"
    disk.parent.mkdir(exist_ok=True)
    sector = (
        bytes(446) + struct.pack("<B3sB3sII", 0, bytes(3), 0x83, bytes(3), 63, 1000) + bytes(48) + b"\x55\xaa"
    )
    disk.write_bytes(sector + bytes(1 << 20))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(census, "machines", lambda _places: [])  # those of this host stand before ours
    async with wizard(tmp_path / "state", size=(160, 40)) as pilot:
        await choose(pilot, "recover")
        await on(pilot, DiskScreen)
        await until(pilot, lambda: ".img" in shown(pilot))
        text = shown(pilot)
        assert "\x1b" not in text
        assert "\u202e" not in text
        await pilot.press("enter")
        await on(pilot, ProtectScreen)
        assert "\x1b" not in shown(pilot)
        await pilot.press("escape")
        await on(pilot, DiskScreen)
    assert pilot.app.return_code in (None, 0)


async def test_filter_narrows_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("web01.qcow2", "db02.qcow2", "web03.qcow2"):
        qcow2(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    async with wizard(tmp_path / "state") as pilot:
        await choose(pilot, "recover")
        await on(pilot, DiskScreen)
        await until(pilot, lambda: "web03" in shown(pilot))
        await pilot.press("slash", *"web")
        await until(pilot, lambda: "db02" not in shown(pilot))
        assert "Esc show all" in shown(pilot) and "q quit" not in shown(pilot)
        await pilot.press("q")
        await until(pilot, lambda: "web01" not in shown(pilot))
        await pilot.press("backspace", "enter", "down", "enter")
        await on(pilot, ProtectScreen)
        assert "web03" in shown(pilot)
        await pilot.press("escape")
        await on(pilot, DiskScreen)
        assert "/ filter" in shown(pilot) and "Esc show all" in shown(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: "db02" in shown(pilot))
        assert isinstance(pilot.app.screen, DiskScreen) and "Esc back" in shown(pilot)


async def test_typed_path_with_completion(tmp_path: Path) -> None:
    qcow2(tmp_path / "only-one.qcow2")
    async with wizard(tmp_path / "state") as pilot:
        await choose(pilot, "recover")
        await on(pilot, DiskScreen)
        await pilot.press("p", *f"{tmp_path}/onl")
        await pilot.press("tab")
        await until(pilot, lambda: "only-one.qcow2" in shown(pilot).splitlines()[3])
        await pilot.press("enter")
        await on(pilot, ProtectScreen)


async def test_commands_that_come_after_their_screen_was_closed_are_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under load the plan is ready when nobody looks at it any more, with half of its screen gone."""
    go_on = threading.Event()
    plan = Flow.do_plan

    def late(flow: Flow, steps: Callable[[Session], None]) -> list[Ran]:
        go_on.wait(20)
        return plan(flow, steps)

    monkeypatch.setattr(Flow, "do_plan", late)
    async with wizard(tmp_path / "state", qcow2(tmp_path / "disk.qcow2")) as pilot:
        await on(pilot, ProtectScreen)
        await pilot.press("c")
        await on(pilot, CommandsScreen)
        commands = pilot.app.screen
        assert isinstance(commands, CommandsScreen)
        await pilot.press("escape")
        await commands.query("*").remove()
        go_on.set()
        await pilot.pause(0.5)
        assert isinstance(pilot.app.screen, ProtectScreen)
        assert pilot.app.is_running


async def test_a_dialog_answered_below_another_screen_closes_when_that_is_gone(tmp_path: Path) -> None:
    async with wizard(tmp_path / "state") as pilot:
        await on(pilot, StartScreen)
        answers: list[str | None] = []
        dialog = ConfirmScreen("Really?", [], [Choice("yes", "Yes")])
        pilot.app.push_screen(dialog, answers.append)
        await on(pilot, ConfirmScreen)
        pilot.app.push_screen(TroubleScreen(Refused("Something else.")))
        await on(pilot, TroubleScreen)
        for _twice in range(2):
            dialog.dismiss("yes")
            await pilot.pause()
        assert isinstance(pilot.app.screen, TroubleScreen) and answers == []
        await pilot.press("escape")
        await on(pilot, StartScreen)
        assert answers == ["yes"]


async def test_the_help_of_a_result_speaks_of_no_choices(tmp_path: Path) -> None:
    async with wizard(tmp_path / "state") as pilot:
        await on(pilot, StartScreen)
        for choices, title in (([], "What came of it"), ([Choice("yes", "Yes")], "A question")):
            pilot.app.push_screen(ConfirmScreen("Written and verified", [], choices))
            await on(pilot, ConfirmScreen)
            await pilot.press("question_mark")
            await on(pilot, HelpScreen)
            assert title in shown(pilot)
            await pilot.press("escape", "escape")
            await on(pilot, StartScreen)
