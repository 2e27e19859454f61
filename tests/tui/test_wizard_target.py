"""Where the files go, chosen in the wizard: archives and other machines too, not folders only."""

import os
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

import pytest
from textual import events

from core import tools
from core.files.destination import Destination
from core.lab import catalogue, labs
from core.runner import SystemRunner
from tests.conftest import Guard, needs_root
from tests.tui.test_wizard_road import flow_of, to_files, type_target
from tests.tui.wizard import Wizard, choose, on, reads, refused, shown, until, wizard
from tui.screens.done import DoneScreen
from tui.screens.files import FilesScreen
from tui.screens.how import HowScreen
from tui.screens.target import AskTarget, TargetScreen

pytestmark = needs_root


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labs.start(catalogue.built_in()[0], tmp_path_factory.mktemp("labs"), SystemRunner(), 7)


@contextmanager
def rsync_daemon(folder: Path, module: Path) -> Iterator[int]:
    """rsync's own daemon on this host, writing to `module`; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = folder / "rsyncd.conf"
    settings.write_text(
        f"use chroot = no\nuid = 0\ngid = 0\nlog file = {folder}/rsyncd.log\n"
        f"[out]\npath = {module}\nread only = no\n"
    )
    words = ["rsync", "--daemon", "--no-detach", "--address=127.0.0.1", f"--port={port}"]
    daemon = subprocess.Popen([*words, f"--config={settings}"], stdin=subprocess.DEVNULL)
    try:
        while True:
            assert daemon.poll() is None, "the daemon ended"
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield port
    finally:
        daemon.kill()
        daemon.wait()


async def mark_home(pilot: Wizard) -> None:
    await to_files(pilot)
    await pilot.press("space")
    await until(pilot, lambda: "files" in reads(pilot, "#basket"), "the size of what is marked")


async def sent_to(pilot: Wizard, kind: str, place: str, whole: bool = True) -> None:
    """Choose the target, answer what it does not keep, wait for the end."""
    await pilot.press("t")
    await type_target(pilot, place, kind)
    await on(pilot, FilesScreen)
    await pilot.press("y")
    await until(pilot, lambda: isinstance(pilot.app.screen, HowScreen | DoneScreen))
    if isinstance(pilot.app.screen, HowScreen):
        await on(pilot, HowScreen)
        await pilot.press("1")
    await on(pilot, DoneScreen)
    copied = flow_of(pilot).copied
    assert copied and copied.whole is whole and not copied.unreadable, shown(pilot)


def sums_hold(folder: Path) -> bool:
    done = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder)
    return done.returncode == 0 and (folder / "SHA256SUMS").stat().st_size > 0


async def test_another_machine_by_rsync(disk: Path, tmp_path: Path, guard: Guard) -> None:
    guard.watch(disk)
    far = tmp_path / "far"
    far.mkdir()
    with rsync_daemon(tmp_path, far) as port:
        async with wizard(tmp_path / "state", disk) as pilot:
            await mark_home(pilot)
            await sent_to(pilot, "rsync", f"rsync://127.0.0.1:{port}/out")
            assert f"rsync:rsync://127.0.0.1:{port}/out" in shown(pilot)
            assert "SHA256SUMS" in shown(pilot)
    assert sums_hold(far)
    modes = {path.stat().st_uid for path in (far / "home").iterdir()}
    assert modes != {0}, "owners came along"


async def test_a_remote_of_rclone(
    disk: Path, tmp_path: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.watch(disk)
    settings = tmp_path / "rclone.conf"
    settings.write_text("[near]\ntype = local\n")
    monkeypatch.setenv("RCLONE_CONFIG", str(settings))
    far = tmp_path / "far"
    async with wizard(tmp_path / "state", disk) as pilot:
        await mark_home(pilot)
        await sent_to(pilot, "rclone", f"near:{far}")
    assert sums_hold(far)


async def test_archives_and_what_is_no_name_of_one(disk: Path, tmp_path: Path, guard: Guard) -> None:
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await mark_home(pilot)
        await pilot.press("t")
        await type_target(pilot, tmp_path / "rescued.txt", "tar")
        await until(pilot, lambda: ".tar.zst" in reads(pilot, "#wrong"))
        await pilot.press("escape")
        await on(pilot, FilesScreen)
        await sent_to(pilot, "tar", str(tmp_path / "rescued.tar"))
        assert "rescued.tar.SHA256SUMS" in shown(pilot)
        await choose(pilot, "files")
        await on(pilot, FilesScreen)
        await sent_to(pilot, "zip", str(tmp_path / "rescued.zip"), whole=False)
        assert "It was one file with" in shown(pilot)
    with tarfile.open(tmp_path / "rescued.tar") as tar, ZipFile(tmp_path / "rescued.zip") as archive:
        packed = {name.rstrip("/") for name in archive.namelist()} - {"salvage-metadata.jsonl"}
        assert packed <= set(tar.getnames()) and "home/anna/.profile" in packed
    assert (tmp_path / "rescued.tar.salvage-report.json").exists()


async def test_kinds_are_told_and_what_is_missing_is_grey(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "find", lambda name: None if name == "rclone" else f"/usr/bin/{name}")
    async with wizard(tmp_path / "state", size=(40, 12)) as pilot:
        flow_of(pilot).target = Destination("rsync", remote="backup:/srv")
        pilot.app.push_screen(TargetScreen(flow_of(pilot).target))
        await on(pilot, TargetScreen)
        assert refused(pilot, "rclone") and not refused(pilot, "rsync")
        assert "> 4  Another machine, by rsync" in shown(pilot)
        await pilot.press("escape")
        pilot.app.push_screen(AskTarget("folder", "-"))
        await on(pilot, AskTarget)
        field = pilot.app.screen
        assert isinstance(field, AskTarget)
        assert field._read("x.tar") == Destination("folder", Path(os.getcwd()) / "x.tar")


async def test_keys_that_come_together_mark_and_copy(disk: Path, tmp_path: Path, guard: Guard) -> None:
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_files(pilot)
        flow_of(pilot).target = Destination("folder", tmp_path / "out")
        for key in (events.Key("space", " "), events.Key("y", "y")):
            pilot.app.post_message(key)
        await on(pilot, DoneScreen)
        assert any((tmp_path / "out/home").iterdir())


@pytest.mark.parametrize("word", ["root@backup", "/srv/rescued"])
async def test_another_machine_is_none_without_its_name(word: str, disk: Path, tmp_path: Path) -> None:
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_files(pilot)
        await pilot.press("t")
        await type_target(pilot, word, "rsync")
        await until(pilot, lambda: "like" in reads(pilot, "#wrong"), "what is wrong with it")
        assert flow_of(pilot).target != Destination("rsync", remote=word)
