"""The viewer of the files step, where a part of the file cannot be read."""

import errno
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from core.watch import Watch
from tests.conftest import Guard, needs_root
from tests.core.files.test_copy_faults import BadBlocks
from tests.tui.test_wizard_check import to_volume
from tests.tui.wizard import choose, on, shown, until, wizard
from tui.screens import files
from tui.screens.files import FilesScreen
from tui.screens.preview import PreviewScreen

pytestmark = needs_root


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "bad").write_text("".join(f"line {number:5}\n" for number in range(2000)))
    image = tmp_path / "disk.raw"
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, image, "16M"], check=True)
    return image


@pytest.mark.parametrize("beginning", [False, True])
async def test_what_can_be_read_of_a_file_is_shown(
    beginning: bool, disk: Path, tmp_path: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = BadBlocks((0, 4096) if beginning else (4096, 8192))

    def failing(*_of: object) -> Any:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Watch, "read_at", lambda _self, *read: bad(*read))
    if beginning:
        monkeypatch.setattr(files, "preview", failing)
    guard.watch(disk)
    async with wizard(tmp_path / "state", disk) as pilot:
        await to_volume(pilot)
        await choose(pilot, "loop")
        await on(pilot, FilesScreen)
        await until(pilot, lambda: "bad" in shown(pilot))
        await pilot.press("G", "v")
        await on(pilot, PreviewScreen)
        assert "21.5 KiB, 4.0 KiB cannot be read, zeros stand there" in shown(pilot)
        assert ("line     3" in shown(pilot)) is not beginning
        await pilot.press("G")
        await until(pilot, lambda: "line  1999" in shown(pilot), "the end of it, as text")
