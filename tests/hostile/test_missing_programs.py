"""Row 62: a program of the system that is missing is named when it is needed, and not before."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core import host, tools
from core.errors import SalvageError, ToolMissing
from core.runner import SystemRunner
from core.session import Session
from core.undo.state import StateFolder
from tests.conftest import Guard, needs_root

pytestmark = needs_root

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a link to every program that the search path has."""
    folder = tmp_path_factory.mktemp("bin")
    for place in tools.search_path().split(os.pathsep):
        for path in Path(place).glob("*"):
            if not os.path.lexists(folder / path.name):
                (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture
def without(programs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Takes one program out of the search path."""
    taken: list[tuple[Path, str]] = []

    def take(name: str) -> None:
        taken.append((programs / name, os.readlink(programs / name)))
        (programs / name).unlink()
        monkeypatch.setenv("PATH", str(programs))
        monkeypatch.setattr(tools, "_SBIN", ())
        tools._located.cache_clear()

    yield take
    for link, target in taken:
        link.symlink_to(target)
    tools._located.cache_clear()


ROADS: dict[str, tuple[str, str, bool]] = {
    "qemu-storage-daemon": ("qcow2", "qemu-", True),
    "qemu-img": ("overlay", "qemu-utils", True),
    "losetup": ("raw", "mount", True),
    "mount": ("raw", "mount", True),
    "umount": ("raw", "mount", True),
    "blkid": ("raw", "util-linux", False),
    "setpriv": ("qcow2", "util-linux", True),
    "kill": ("qcow2", "procps", True),
    "rmdir": ("raw", "rmdir", True),
    "kpartx": ("kpartx", "kpartx", True),
}
"""Program: a road that needs it, what the sentence names to install, whether the road ends there."""


@pytest.mark.hostile(62)
@pytest.mark.parametrize("name", ROADS)
def test_a_missing_program_is_named_with_its_package_and_nothing_is_left(
    name: str,
    source: Path,
    state_dir: Path,
    tmp_path: Path,
    guard: Guard,
    without: Callable[[str], None],
) -> None:
    """Also where it would only be missed on the way back: then nothing is put up in the first place."""
    if name == "kpartx" and not (shutil.which("kpartx") and host.has_device_mapper()):
        pytest.skip("kpartx or the device mapper is not here")
    road, package, ends = ROADS[name]
    without(name)
    guard.watch(source / "disk.raw", source / "disk.qcow2")
    error = _travelled(road, source, state_dir, tmp_path / "m")
    if ends:
        assert isinstance(error, ToolMissing), error
        assert f"program {name} " in error.what
        assert package in error.remedy
        assert "apt-get install" in error.remedy
    assert not (tmp_path / "m").exists()
    assert not host.running("qemu-storage-daemon", str(state_dir))
    assert os.listdir(state_dir / "sessions") == []
    if name in tools.absent("run"):
        assert name in tools.start_up_problem() and package in tools.start_up_problem()


def _travelled(road: str, source: Path, state: Path, point: Path) -> SalvageError | None:
    """The error that a road ended with."""
    try:
        with Session(StateFolder(state), SystemRunner(), private=False) as session:
            format = "raw" if road in ("raw", "overlay", "kpartx") else "qcow2"
            session.select(str(source / f"disk.{format}"), format)
            session.protect(overlay=road == "overlay")
            session.open("disk", point, "kpartx" if road == "kpartx" else "loop")
    except SalvageError as error:
        return error
    return None


@pytest.mark.hostile(62)
@pytest.mark.parametrize(
    "name", ["qemu-storage-daemon", "qemu-img", "kpartx", "mke2fs", "debugfs", "ntfs-3g"]
)
def test_what_is_not_needed_is_not_missed(
    name: str,
    source: Path,
    state_dir: Path,
    tmp_path: Path,
    guard: Guard,
    without: Callable[[str], None],
) -> None:
    """A raw disk with ext4 needs no program of QEMU, none for other file systems, and none for practice."""
    if not shutil.which(name, path=tools.search_path()):
        pytest.skip(f"{name} is not installed anyway")
    without(name)
    assert _travelled("raw", source, state_dir, tmp_path / "m") is None
