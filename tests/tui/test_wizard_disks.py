"""The first step: machines with their disks, then the rest; found as one types, chosen by name."""

import time
from pathlib import Path

import pytest

from core.disks.finding import Found
from core.machines import inventory as inventories
from tests.core.disks.disk_images import content, converted, created
from tests.core.disks.holding import machine, running
from tests.core.machines.test_machines_libvirt import disk, put
from tests.tui.wizard import Wizard, on, reads, shown, until, wizard
from tui.screens.disk import DiskScreen
from tui.screens.disk_table import DiskTable
from tui.screens.protect import ProtectScreen
from tui.screens.start import StartScreen
from tui.screens.trouble import TroubleScreen


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with machines of their own; processes of this host are nobody's business here."""
    home = tmp_path / "home"
    raw = content(tmp_path / "data.img")
    sys = converted(raw, tmp_path / "sys.qcow2", "qcow2")
    (tmp_path / "other").mkdir()
    created(tmp_path / "other/left-over.vdi", "vdi")
    folder = ".config/libvirt/qemu"
    put(home, "solo", disk("vda", f"<source file='{sys}'/>") + disk("sda", "", device="cdrom"), folder)
    two = disk("vda", f"<source file='{sys}'/>") + disk("vdb", f"<source file='{raw}'/>", format="raw")
    put(home, "twin", two, folder)
    put(home, "wrong", disk("vda", f"<source file='{sys}'/>", format="raw"), folder)
    put(home, "away", disk("vda", "<source file='/nowhere/a.img'/>"), folder)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path / "other")
    return home


async def searched(pilot: Wizard) -> DiskTable:
    """The first step when the search is over."""
    await on(pilot, StartScreen)
    await pilot.press("2")
    await on(pilot, DiskScreen)
    table = pilot.app.screen.query_one(DiskTable)
    await until(pilot, lambda: not table.searching, "the end of the search")
    await pilot.pause()
    return table


async def typed(pilot: Wizard, text: str) -> None:
    await pilot.press("slash", *text, "enter")
    await pilot.pause()


async def test_machines_come_first_with_their_disks_under_them(home: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state") as pilot:
        await searched(pilot)
        lines = [line.strip("> ").split() for line in shown(pilot).splitlines()]
        at = lines.index(["twin", "libvirt,", "off"])
        assert [line[0] for line in lines[at + 1 : at + 3]] == ["vda", "vdb"]
        assert lines[at + 2][2:5] == ["raw", "8.0", "MiB"]
        assert "(not there)" in shown(pilot)
        assert all(len(line) <= 80 for line in shown(pilot).splitlines())


@pytest.mark.parametrize("size", [(60, 20), (40, 12)])
async def test_on_a_narrow_screen_the_name_stands_before_the_rest(
    home: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    """No column is cut off in its middle, and of a path is seen what tells it from the others."""
    async with wizard(tmp_path / "state", size=size) as pilot:
        table = await searched(pilot)
        heading = "".join(piece.text for piece in table.heading(size[0] - 4)).split()
        assert heading[-1] == ("by" if size[0] == 60 else "Size") and "Changed" not in heading
        await typed(pilot, "twin")
        assert "data.img" in shown(pilot) and "8.0 MiB" in shown(pilot)


async def test_the_filter_keeps_a_machine_with_its_disks(home: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state") as pilot:
        await searched(pilot)
        await typed(pilot, "TWIN")
        text = shown(pilot)
        assert "twin  libvirt" in text
        assert "data.img" in text
        assert "solo" not in text
        await pilot.press("escape")
        await typed(pilot, "data.img")
        text = shown(pilot)
        assert "twin  libvirt" in text
        assert "sys.qcow2" not in text
        await pilot.press("escape")
        await typed(pilot, "left-over")
        assert "1 of " in shown(pilot)
        assert "libvirt" not in shown(pilot)


async def test_a_machine_with_one_disk_is_that_disk(home: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state") as pilot:
        await searched(pilot)
        await typed(pilot, "solo")
        await pilot.press("enter")
        await on(pilot, ProtectScreen)
        assert "sys.qcow2" in shown(pilot)


async def test_of_a_machine_with_two_disks_one_is_chosen(home: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state") as pilot:
        table = await searched(pilot)
        await typed(pilot, "twin")
        await pilot.press("enter")
        await until(pilot, lambda: table.cursor == 1, "the first of its disks")
        assert "sys.qcow2" in reads(pilot, "#disk-details")
        await pilot.press("down", "enter")
        await on(pilot, ProtectScreen)
        assert "data.img" in shown(pilot)


async def test_the_machine_is_named_in_the_path_field(home: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state") as pilot:
        await searched(pilot)
        await pilot.press("p", *"vm:twin", "enter")
        await on(pilot, TroubleScreen)
        assert "vdb (8.0 MiB" in " ".join(shown(pilot).replace("┃", "").split())
        await pilot.press("escape")
        await on(pilot, DiskScreen)
        await pilot.press(*":vdb", "enter")
        await on(pilot, ProtectScreen)
        assert "data.img" in shown(pilot)


async def test_the_wizard_opens_at_a_machine(home: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state", "vm:solo") as pilot:
        await on(pilot, ProtectScreen)
        assert "sys.qcow2" in shown(pilot)


@pytest.mark.hostile(45)
async def test_names_of_machines_are_shown_as_they_are(home: Path, tmp_path: Path) -> None:
    evil = "[@click=app.quit]a[/]\u202eb"
    put(
        home,
        "evil",
        disk("vda", "<source file='/nowhere/[/b]'/>").replace("vda", "[red]"),
        ".config/libvirt/qemu",
    )
    path = home / ".config/libvirt/qemu/evil.xml"
    path.write_text(path.read_text().replace("<name>evil", f"<name>{evil}"))
    async with wizard(tmp_path / "state") as pilot:
        await searched(pilot)
        await typed(pilot, "click")
        text = shown(pilot)
        assert "[@click=app.quit]a[/]\\u202eb  libvirt, off" in text
        assert "[red]  /nowhere/[/b]" in text
        assert "\u202e" not in text


@pytest.mark.hostile(6)
async def test_a_disk_stated_raw_that_is_none_is_asked_about(home: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state") as pilot:
        await searched(pilot)
        await typed(pilot, "wrong")
        await pilot.press("enter")
        await on(pilot, TroubleScreen)
        assert "Open it as raw" in shown(pilot)
        await pilot.press("1")
        await on(pilot, ProtectScreen)
        assert "raw" in shown(pilot)


async def test_who_holds_a_disk_stands_in_its_row(home: Path, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    with running(machine(tmp_path / "sys.qcow2", "qcow2", ready, "busy"), ready):
        time.sleep(0.5)  # its number is written before it opens its disks
        async with wizard(tmp_path / "state") as pilot:
            await searched(pilot)
            await typed(pilot, "solo")
            await pilot.press("down")
            await pilot.pause()
            row = next(line for line in shown(pilot).splitlines() if line.startswith(" >"))
            assert row.rstrip().endswith("busy")
            await until(pilot, lambda: "busy writes to it (pid " in " ".join(shown(pilot).split()))


async def test_a_hundred_thousand_rows_stay_smooth(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [Found(Path(f"/images/{n:06}.qcow2"), "qcow2", 1, 1, 0.0, "image") for n in range(100_000)]
    monkeypatch.setattr(inventories, "find_disks", lambda *_all: iter(many))
    async with wizard(tmp_path / "state") as pilot:
        table = await searched(pilot)
        began = time.process_time()
        await pilot.press("end", "pageup", "slash", *"09999", "backspace")
        await pilot.pause()
        assert time.process_time() - began < 3
        assert table.row_count() == 120  # numbers with 0999 in them
