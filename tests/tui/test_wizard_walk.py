"""A walk of 10,000 random keys: the wizard never crashes, never hangs, and leaves the host as found.

Half of it on a practice disk, half on a disk whose path, labels and files have names that a terminal would
obey. Keys come one by one and in bursts, as somebody types who does not wait.
"""

import os
import random
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual import events
from textual.keys import _character_to_key

from core.disks.finding import Found, find_disks
from core.errors import SalvageError
from core.lab import catalogue, labs
from core.runner import SystemRunner
from tests.conftest import Guard, needs_root
from tests.hostile.hostile_disk import ALL, hostile_disk
from tests.tui.wizard import Wizard, until, wizard
from tui.flow import Flow

pytestmark = pytest.mark.long(220)

KEYS = (
    *(
        "down",
        "up",
        "down",
        "enter",
        "enter",
        "enter",
        "enter",
        "escape",
        "space",
        "tab",
        "backspace",
        "left",
        "right",
    ),
    *"1234567jkgGcultvxyhmapbdnsoifw/?:ab[\\é",
    *(
        "pagedown",
        "pageup",
        "home",
        "end",
        "f1",
        "f2",
        "f5",
        "delete",
        "shift+tab",
        "ctrl+p",
        "ctrl+l",
        "ctrl+u",
    ),
)
"""What a console has. Not `q`, Ctrl+C and Ctrl+Q: the walk would be over."""
WALKS = 4
STEPS = int(os.environ.get("WALK_KEYS", "2500"))


def presses(chance: random.Random) -> Iterator[list[str]]:
    """The keys of a walk: mostly one, sometimes a few at once."""
    left = STEPS
    while left > 0:
        burst = [chance.choice(KEYS) for _key in range(min(left, chance.choice((1, 1, 1, 2, 5))))]
        left -= len(burst)
        yield burst


def post(pilot: Wizard, keys: list[str]) -> None:
    """As the driver hands them over, without waiting in between."""
    for key in keys:
        single = len(key) == 1
        pilot.app.post_message(events.Key(_character_to_key(key) if single else key, key if single else None))


def not_here(*_all: object, **_named: object) -> None:
    """Mounting in sight would land at the host's own /mnt; that road has tests of its own."""
    raise SalvageError("Not in this walk.")


def _images(folder: Path) -> Iterator[Found]:
    return (one for one in find_disks([folder]) if one.kind == "image")


def obeyed(text: str) -> list[str]:
    """What a terminal would obey or hide."""
    return [char for char in set(text) if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co")]


def drawn(pilot: Wizard) -> str:
    """What is drawn on the screen, in no order: `shown` would put the lines of its widgets together."""
    renders = pilot.app.screen._compositor._get_renders()
    return "".join(
        segment.text for _region, _clip, strips in renders for strip in strips for segment in strip
    )


@needs_root
@pytest.mark.hostile(45)
@pytest.mark.hostile(46)
@pytest.mark.parametrize("seed", range(1, WALKS + 1))
async def test_random_keys(seed: int, tmp_path: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    if seed % 2:
        disk = labs.start(catalogue.built_in()[0], tmp_path / "labs", SystemRunner(), seed)
    else:
        disk = hostile_disk(tmp_path / "in [bold]\x1b]52;c;eA==\x07\u202e")
    guard.watch(disk)
    here = tmp_path / "here"
    here.mkdir()
    (here / f"{ALL.replace('/', '')[:80]}.img").write_bytes(bytes(1 << 20))
    monkeypatch.chdir(here)
    monkeypatch.setattr(Flow, "do_show", not_here)
    # what others have up on this host is not opened: they would find it held
    monkeypatch.setattr("tui.screens.disk.inventory", lambda _folders: _images(tmp_path))
    visited: Counter[str] = Counter()
    size = chance.choice(((80, 24), (100, 30), (160, 50), (60, 16)))
    async with wizard(tmp_path / "state", disk, size=size) as pilot:
        for keys in presses(chance):
            post(pilot, keys)
            await pilot.pause()
            if pilot.app.return_code is not None:
                break
            if chance.random() < 0.05:
                await pilot.pause(chance.random() * 0.3)
            visited[type(pilot.app.screen).__name__] += 1
            assert obeyed(drawn(pilot)) == []
            names = [type(one).__name__ for one in pilot.app.screen_stack]
            assert len(names) < 20, f"screens pile up: {names}"
        if pilot.app.return_code is None:
            await pilot.press("escape")
            await until(pilot, lambda: not getattr(pilot.app.screen, "busy", ""), "the end of the work")
    assert len(visited) > 6, visited
    state = tmp_path / "state" / "sessions"
    assert not state.exists() or os.listdir(state) == []
