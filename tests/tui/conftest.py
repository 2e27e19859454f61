"""What the tests of the command line and of the wizard both start from."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Guard, Program


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
