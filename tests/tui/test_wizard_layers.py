"""Logical and encrypted volumes in the wizard: they stand below their partition; it asks for passphrases."""

import errno
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest
from textual.widgets import Input

from core import host
from tests.conftest import Guard, needs_root
from tests.core.volumes import bitlocker_disk
from tests.core.volumes.array_disks import array_disk
from tests.core.volumes.layer_disks import MIB, Run, luks_disk, lvm_disk, two_disks
from tests.tui.wizard import choose, on, reads, shown, until, wizard
from tui.screens.ask import AskPath
from tui.screens.check import CheckScreen
from tui.screens.files import FilesScreen
from tui.screens.partitions import PartitionsScreen
from tui.screens.passphrase import AskKey
from tui.screens.protect import ProtectScreen
from tui.screens.trouble import TroubleScreen
from tui.screens.volume import VolumeScreen
from tui.widgets.partition_table import VolumeTable

pytestmark = needs_root

PASSPHRASE = "Tr0ub4dor"


def _image(raw: Path) -> Path:
    image = raw.with_suffix(".qcow2")
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, image], check=True)
    return image


async def test_logical_volumes_stand_below_their_partition(tmp_path: Path, guard: Guard) -> None:
    pieces = [Run(0, 14, 4), Run(0, 20, 4)]
    disk = _image(lvm_disk(tmp_path / "disk.raw", {"root": [Run(0, 2, 10)], "home": pieces}, [26]))
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await on(pilot, ProtectScreen)
        await choose(pilot, "read")
        await on(pilot, PartitionsScreen)
        lines = [line for line in shown(pilot).splitlines() if "vg/" in line and "opens" not in line]
        assert [line.lstrip("> ").split()[:2] for line in lines] == [["├", "vg/root"], ["└", "vg/home"]]
        assert "below" in shown(pilot)
        await pilot.press("down", "enter")
        await on(pilot, VolumeScreen)
        await choose(pilot, "loop")
        await on(pilot, FilesScreen)
        assert "home" in shown(pilot)


async def test_an_encrypted_volume_asks_until_it_opens(tmp_path: Path, guard: Guard) -> None:
    disk = _image(luks_disk(tmp_path / "disk.raw", PASSPHRASE))
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await on(pilot, ProtectScreen)
        await choose(pilot, "read")
        await on(pilot, PartitionsScreen)
        assert "locked" in shown(pilot)
        await pilot.press("enter")
        await on(pilot, AskKey)
        await pilot.press(*"wrong", "enter")
        await on(pilot, AskKey)
        assert "does not open" in reads(pilot, "#wrong")
        pilot.app.screen.query_one(Input).value = PASSPHRASE
        assert PASSPHRASE not in shown(pilot)
        await pilot.press("enter")
        await on(pilot, VolumeScreen)
        await choose(pilot, "loop")
        await on(pilot, FilesScreen)
        assert "home" in shown(pilot)
        await pilot.press("c")
        await pilot.pause(1)
        assert PASSPHRASE not in shown(pilot)


async def test_a_key_file_and_a_header_elsewhere_are_asked_for_too(tmp_path: Path, guard: Guard) -> None:
    disk, key = luks_disk(tmp_path / "disk.raw", PASSPHRASE), tmp_path / "key"
    header = tmp_path / "header"
    header.write_bytes(disk.read_bytes()[MIB : 3 * MIB])
    key.write_text(PASSPHRASE)
    lost = tmp_path / "lost.raw"
    shutil.copyfile(disk, lost)
    with open(lost, "r+b") as file:
        file.seek(MIB)
        file.write(bytes(64 * 1024))
    guard.watch(disk, lost, header)
    async with wizard(tmp_path / "state", _image(disk)) as pilot:
        await on(pilot, ProtectScreen)
        await choose(pilot, "read")
        await on(pilot, PartitionsScreen)
        await pilot.press("enter")
        await on(pilot, AskKey)
        await pilot.press("enter")
        assert "name a key file" in reads(pilot, "#wrong")
        await pilot.press("tab", *str(tmp_path / "none"), "enter")
        assert "cannot be read" in reads(pilot, "#wrong")
        await pilot.press("ctrl+u", *str(key), "enter")
        await on(pilot, VolumeScreen)
    async with wizard(tmp_path / "state", _image(lost)) as pilot:
        await on(pilot, ProtectScreen)
        await choose(pilot, "read")
        await on(pilot, PartitionsScreen)
        assert "LUKS with its header in a file of its own? Press h." in reads(pilot, "#about")
        await pilot.press("h")
        await on(pilot, AskKey)
        await pilot.press(*str(header))
        pilot.app.screen.query_one("#passphrase", Input).value = PASSPHRASE
        await pilot.press("enter")
        await on(pilot, VolumeScreen if host.has_device_mapper() else TroubleScreen)
        assert host.has_device_mapper() or "device mapper" in shown(pilot)


async def test_bitlocker_asks_for_what_opens_it_and_no_header(tmp_path: Path, guard: Guard) -> None:
    disk = tmp_path / "windows.raw"
    with disk.open("wb") as file:
        file.write(bitlocker_disk.boot())
        for at in bitlocker_disk.AREAS:
            file.seek(at)
            file.write(bitlocker_disk.area())
        file.truncate(bitlocker_disk.SIZE)
    disk = _image(disk)
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await on(pilot, ProtectScreen)
        await choose(pilot, "read")
        await on(pilot, PartitionsScreen)
        await pilot.press("enter")
        await on(pilot, AskKey)
        assert "recovery key" in shown(pilot)
        assert "LUKS header" not in shown(pilot)
        await pilot.press(*"wrong", "enter")
        await on(pilot, AskKey if host.has_device_mapper() else TroubleScreen)


@pytest.mark.parametrize("lost", [1, 3])
async def test_bitlocker_with_damaged_metadata_says_whether_a_key_helps(
    tmp_path: Path, guard: Guard, lost: int
) -> None:
    disk = tmp_path / "windows.raw"
    with disk.open("wb") as file:
        file.write(bitlocker_disk.boot())
        for at in bitlocker_disk.AREAS[lost:]:
            file.seek(at)
            file.write(bitlocker_disk.area())
        file.truncate(bitlocker_disk.SIZE)
    guard.watch(disk)
    async with wizard(tmp_path / "state", _image(disk)) as pilot:
        await on(pilot, ProtectScreen)
        await choose(pilot, "read")
        await on(pilot, PartitionsScreen)
        if lost == 3:
            said = " ".join(shown(pilot).split())
            assert "all three copies of its metadata are damaged" in said
            assert "(cannot be opened)" in said
            assert "LUKS" not in said
            return
        assert "Enter asks for the passphrase" in reads(pilot, "#about")
        assert "Nothing that can be opened" not in shown(pilot)
        await pilot.press("enter")
        await on(pilot, AskKey)


async def test_a_group_with_a_part_elsewhere_asks_for_the_other_disk(tmp_path: Path, guard: Guard) -> None:
    first, second = two_disks(tmp_path)
    guard.watch(first, second)
    async with wizard(tmp_path / "state", first) as pilot:
        await on(pilot, ProtectScreen)
        await choose(pilot, "read")
        await on(pilot, PartitionsScreen)
        assert "lies on a disk that was not given. Press a to name it." in reads(pilot, "#offer")
        pilot.app.screen.query_one(VolumeTable).go_to("vg/home")
        await pilot.press("enter")
        await on(pilot, VolumeScreen)
        assert "A physical volume that it lies on is not on this disk" in " ".join(shown(pilot).split())
        await pilot.press("escape")
        await on(pilot, PartitionsScreen)
        await pilot.press("a")
        await on(pilot, AskPath)
        field = pilot.app.screen.query_one(Input)
        field.value = str(tmp_path / "none.raw")
        await pilot.press("enter")
        assert "no such image" in reads(pilot, "#wrong")
        field.value = str(second)
        await pilot.press("enter")
        await on(pilot, PartitionsScreen)
        await until(pilot, lambda: "2:1" in shown(pilot))
        pilot.app.screen.query_one(VolumeTable).go_to("2:1")
        await until(pilot, lambda: "It is a part of the logical volume vg/home" in reads(pilot, "#about"))
        row = next(line for line in shown(pilot).splitlines() if "2:1" in line)
        assert "(see above)" in row, "nothing stands below it"
        assert not pilot.app.screen.query_one("#offer").display
        pilot.app.screen.query_one(VolumeTable).go_to("vg/home")
        await pilot.press("enter")
        await on(pilot, VolumeScreen)
        await choose(pilot, "loop")
        await on(pilot, FilesScreen)
        assert "home" in shown(pilot)


async def test_a_disk_that_cannot_be_added_leaves_the_first_one_open(tmp_path: Path, guard: Guard) -> None:
    first, _second = two_disks(tmp_path)
    (tmp_path / "bad.qcow2").write_bytes(b"QFI\xfb" + b"\xff" * 2000)
    guard.watch(first)
    async with wizard(tmp_path / "state", first) as pilot:
        await on(pilot, ProtectScreen)
        await choose(pilot, "read")
        await on(pilot, PartitionsScreen)
        await pilot.press("a")
        await on(pilot, AskPath)
        pilot.app.screen.query_one(Input).value = str(tmp_path / "bad.qcow2")
        await pilot.press("enter")
        await on(pilot, TroubleScreen)
        await pilot.press("escape")
        await on(pilot, PartitionsScreen)
        assert "vg/root" in shown(pilot) and "Press a to name it" in reads(pilot, "#offer")


async def test_an_array_with_too_few_members_is_not_offered(tmp_path: Path, guard: Guard) -> None:
    disk = array_disk(tmp_path / "disk.raw", 5, {1, 2})
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await on(pilot, ProtectScreen)
        await choose(pilot, "read")
        await on(pilot, PartitionsScreen)
        pilot.app.screen.query_one(VolumeTable).go_to("md:five")
        await until(pilot, lambda: "Only 2 of its 4 members are here" in reads(pilot, "#about"))
        row = next(line for line in shown(pilot).splitlines() if "└ md:five" in line)
        assert "0 B" not in row and "(cannot be opened)" in row
        await pilot.press("enter")
        await pilot.pause()
        assert not isinstance(pilot.app.screen, VolumeScreen)


async def test_a_locked_volume_that_no_key_opens_asks_for_none(tmp_path: Path, guard: Guard) -> None:
    """What its header says is told before."""
    disk = luks_disk(tmp_path / "disk.raw", PASSPHRASE)
    with open(disk, "r+b") as file:
        file.seek(MIB + 8)
        file.write(b"no such".ljust(32, b"\0"))
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await on(pilot, ProtectScreen)
        await choose(pilot, "read")
        await on(pilot, PartitionsScreen)
        pilot.app.screen.query_one(VolumeTable).go_to("1/luks")
        await until(pilot, lambda: "a cipher that does not exist" in reads(pilot, "#about"))
        await pilot.press("enter")
        await pilot.pause()
        assert not isinstance(pilot.app.screen, AskKey)


async def test_what_is_wrong_with_the_row_comes_first(tmp_path: Path, guard: Guard) -> None:
    """There may be room for the words of one volume only."""
    lost = {name: [Run(1, at * 4, 4)] for at, name in enumerate(("ale", "bee", "cow", "dog", "elk", "fox"))}
    whole = lvm_disk(tmp_path / "whole.raw", {"root": [Run(0, 2, 10)], **lost}, [16, 28])
    disk = tmp_path / "disk.raw"
    data = whole.read_bytes()
    table = subprocess.run(["sfdisk", "-d", whole], capture_output=True, text=True, check=True).stdout
    first = next(line for line in table.splitlines() if "size=" in line)
    size = int(first.split("size=")[1].split(",")[0]) * 512
    disk.write_bytes(bytes(MIB) + data[MIB : MIB + size] + bytes(MIB))
    argv = ["sfdisk", "-q", disk]
    subprocess.run(argv, input=f"label: dos\n{MIB // 512},{size // 512},8e\n", text=True, check=True)
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await on(pilot, ProtectScreen)
        await choose(pilot, "read")
        await on(pilot, PartitionsScreen)
        pilot.app.screen.query_one(VolumeTable).go_to("vg/fox")
        await until(pilot, lambda: "! the logical volume vg/fox: A physical" in shown(pilot))


async def test_what_is_seen_when_it_is_opened_is_told_then(
    tmp_path: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state folder takes no copy of its ends, so nobody knows before what the volume contains."""

    def full(_path: Path) -> NoReturn:
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr("core.volumes.space._new_file", full)
    pieces = [Run(0, 14, 4), Run(0, 20, 4)]
    disk = lvm_disk(tmp_path / "disk.raw", {"root": [Run(0, 2, 10)], "home": pieces}, [26])
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await on(pilot, ProtectScreen)
        await choose(pilot, "read")
        await on(pilot, PartitionsScreen)
        pilot.app.screen.query_one(VolumeTable).go_to("vg/home")
        await pilot.press("enter")
        await on(pilot, VolumeScreen)
        assert "vg/home: seen when it is opened" in shown(pilot)
        assert "no journal" not in shown(pilot)
        await choose(pilot, "loop")
        await on(pilot, FilesScreen)
        assert "vg/home (ext4)" in shown(pilot)
        await pilot.press("escape")
        await on(pilot, VolumeScreen)
        await choose(pilot, "check")
        await on(pilot, CheckScreen)
        await until(pilot, lambda: "nothing wrong" in shown(pilot))
        assert "No program repairs it" not in shown(pilot)
        assert "unmounted in order" in shown(pilot)
