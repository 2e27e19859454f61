"""Small disks for the tests of what happens meanwhile."""

import shutil
from pathlib import Path

import pytest

from tests.hostile.small_disks import small_disks


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same small disk in several formats."""
    return small_disks(tmp_path_factory.mktemp("source"))


@pytest.fixture
def disk(source: Path, tmp_path: Path) -> Path:
    """A raw disk of this test's own."""
    folder = tmp_path / "disks"
    folder.mkdir()
    return Path(shutil.copy2(source / "disk.raw", folder))
