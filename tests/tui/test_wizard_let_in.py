"""What the wizard asks for before it reads a disk: a passphrase or password, and which of several it is."""

from pathlib import Path

from textual.widgets import Input

from tests.conftest import Guard, needs_root
from tests.core.disks.small_guest import image
from tests.core.disks.test_disks_encrypted import WORD as PASSPHRASE
from tests.core.disks.test_disks_encrypted import encrypted_image
from tests.core.disks.test_disks_let_in import WORD, web_server
from tests.core.disks.test_disks_packed import two_in_one
from tests.tui.wizard import Wizard, choose, on, reads, shown, until, wizard
from tui.screens.commands import CommandsScreen
from tui.screens.files import FilesScreen
from tui.screens.partitions import PartitionsScreen
from tui.screens.passphrase import AskPassphrase
from tui.screens.protect import ProtectScreen
from tui.screens.trouble import TroubleScreen
from tui.screens.volume import VolumeScreen

pytestmark = needs_root


async def _answer(pilot: Wizard, word: str) -> None:
    pilot.app.screen.query_one(Input).value = word
    await pilot.pause()
    assert word not in shown(pilot)
    await pilot.press("enter")


async def _commands_hide(pilot: Wizard, word: str) -> None:
    await pilot.press("c")
    await on(pilot, CommandsScreen)
    await until(pilot, lambda: "$ " in shown(pilot))
    assert word not in shown(pilot)
    await pilot.press("escape")


async def test_an_encrypted_image_asks_until_it_opens(tmp_path: Path, guard: Guard) -> None:
    disk = encrypted_image(tmp_path, "luks")
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await on(pilot, ProtectScreen)
        await _commands_hide(pilot, PASSPHRASE)
        await on(pilot, ProtectScreen)
        await choose(pilot, "read")
        await on(pilot, AskPassphrase)
        assert disk.name in shown(pilot)
        assert shown(pilot).count("F1 help") == 1
        await _answer(pilot, "wrong-" + PASSPHRASE)
        await on(pilot, AskPassphrase)
        assert "not the passphrase" in reads(pilot, "#wrong")
        await _answer(pilot, PASSPHRASE)
        await on(pilot, PartitionsScreen)
        assert "ext4" in shown(pilot)
        await pilot.press("escape")
        await on(pilot, ProtectScreen)
        await choose(pilot, "overlay")
        await on(pilot, PartitionsScreen)


async def test_an_address_asks_for_its_password(tmp_path: Path, guard: Guard) -> None:
    disk = image(tmp_path, "locked.qcow2", "qcow2")
    guard.watch(disk)
    with web_server(tmp_path, None) as port:
        given = f"http://ann@127.0.0.1:{port}/locked.qcow2"
        async with wizard(tmp_path / "state", given) as pilot:
            await on(pilot, AskPassphrase)
            assert f"The password of ann at 127.0.0.1:{port}" in shown(pilot)
            await _answer(pilot, "not-this-one")
            await on(pilot, AskPassphrase)
            assert "did not take that password" in reads(pilot, "#wrong")
            await _answer(pilot, WORD)
            await on(pilot, ProtectScreen)
            await choose(pilot, "read")
            await on(pilot, PartitionsScreen)
            assert "ext4" in shown(pilot)
            await _commands_hide(pilot, WORD)


async def test_of_several_disks_in_an_archive_one_is_chosen(tmp_path: Path, guard: Guard) -> None:
    archive = two_in_one(tmp_path)
    guard.watch(archive)
    async with wizard(tmp_path / "state", archive) as pilot:
        await on(pilot, TroubleScreen)
        assert "Open a.qcow2" in shown(pilot) and "raw bytes" not in shown(pilot)
        await pilot.press("2")
        await on(pilot, ProtectScreen)
        assert "b.qcow2" in shown(pilot)
        await choose(pilot, "read")
        await on(pilot, PartitionsScreen)
        await pilot.press("enter")
        await on(pilot, VolumeScreen)
        await pilot.press("1")
        await on(pilot, FilesScreen)
        await until(pilot, lambda: "both-recovered" in shown(pilot), "the target, called by the archive")
