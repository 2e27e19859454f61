"""What the tests of the command line and of the wizard both start from."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.disks.view import View
from core.errors import WantsOverlay
from core.session import Session
from core.volumes.model import Volume
from core.volumes.mounting import Way
from core.volumes.state import State
from tests.conftest import Guard, Program


@pytest.fixture
def cached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Volumes are as logical ones whose cache may hold newer data, for which this kernel has no driver."""
    found = Session._found_volume

    def only_over_an_overlay(self: Session, name: str, way: Way, **wanted: Any) -> tuple[Volume, View]:
        if wanted["state"] is State.LEFT:
            raise WantsOverlay("It has a cache.", "It would be written to.", "Give --replay.")
        return found(self, name, way, **wanted)

    monkeypatch.setattr(Session, "_found_volume", only_over_an_overlay)


@pytest.fixture
def point(tmp_path: Path, program: Program, guard: Guard) -> Iterator[Path]:
    """A volume mounted by `mount`; it stays until `undo`."""
    image = tmp_path / "disk.raw"
    with open(image, "wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", image], check=True)
    guard.watch(image)
    called = program("mount", image, "disk", tmp_path / "m", "--format", "raw")
    assert called.status == 0, called
    yield tmp_path / "m"
    called = program("undo", "--all", "--wait=20")
    assert called.status == 0, called
    assert json.loads(program("status", "--json").out) == {"sessions": []}
