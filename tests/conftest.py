"""What all tests share: the host must end as it was found, and the original must not change."""

import gc
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.hoststate import HostState, differences
from tests.corpora import unpacked
from tests.starter import Ended, Starter

_FOLDER = pytest.StashKey[Path]()
_PASSED = pytest.StashKey[list[bool]]()

PATIENCE = 30.0
"""Seconds that other programs of a busy host, or their mount namespaces, may keep what a test let go of."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: a worker that comes to them last would be alone with them at the end."""
    items.sort(
        key=lambda item: max((mark.args[0] for mark in item.iter_markers("long")), default=0), reverse=True
    )


def pytest_collection_finish() -> None:
    """What is there now stays to the end: the garbage collector need not go through it again and again."""
    unhurried()


def unhurried() -> None:
    """Let the garbage collector look at what is new only, and seldom: screens make a lot that lives."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="attaches and mounts, which needs root")


def _fingerprint(path: Path) -> tuple[str, int, int]:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    at = path.stat()
    return digest.hexdigest(), at.st_mtime_ns, at.st_size


@dataclass
class Guard:
    """Remembers originals and the host; at the end of the test both must be what they were.

    Other programs of a busy host mount and unmount while the tests run; what they do elsewhere is not
    looked at. Tests work below `base` and, by mistake only, in the state folder of the host.
    """

    base: Path
    before: HostState = field(default_factory=HostState.now)
    originals: dict[Path, tuple[str, int, int]] = field(default_factory=dict)

    def watch(self, *paths: Path) -> None:
        for path in paths:
            self.originals[path] = _fingerprint(path)

    def left_behind(self) -> list[str]:
        """What differs on the host and can be the work of a test."""
        # "/" is what a loop device says of a backing file whose mount is gone
        places = (f"{self.base}/", "/var/lib/virt-salvage", " / (file")
        lines = [str(one) for one in differences(self.before, HostState.now())]
        ours = [line for line in lines if any(place in line for place in places)]
        # what the test before left to the kernel may go a moment later, and goes by itself
        return [line for line in ours if not (line.startswith("- loop") and line.endswith(" autoclear"))]

    def check_originals(self, *paths: Path) -> None:
        """Those, or all, are what they were."""
        for path in paths or self.originals:
            assert _fingerprint(path) == self.originals[path], f"the original {path} changed"

    def check(self) -> None:
        self.check_originals()
        # somebody who only looks at a loop device keeps it for that long
        deadline = time.monotonic() + PATIENCE
        while self.left_behind() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert self.left_behind() == []


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As pytest's own, but with a short name: sockets are made below it, and unix(7) allows 107 bytes."""
    name = re.sub(r"\W", "_", request.node.name.removeprefix("test_"))
    path = tmp_path_factory.mktemp(name[:12])
    request.node.stash[_FOLDER] = path
    return path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test that passed wrote goes with it: of all tests that is more than many a disk has room for."""
    report = yield
    item.stash.setdefault(_PASSED, []).append(report.passed)
    if report.when == "teardown" and all(item.stash[_PASSED]) and _FOLDER in item.stash:
        shutil.rmtree(item.stash[_FOLDER], ignore_errors=True)
    return report


@pytest.fixture
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    """The original's SHA-256 and modification time and the host's state, before and after."""
    guard = Guard(tmp_path_factory.getbasetemp())
    yield guard
    guard.check()


@dataclass(frozen=True)
class Called:
    """How a call of the real program ended."""

    status: int
    out: str
    err: str


Program = Callable[..., Called]


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real images, for reading: other tests read them too."""
    return unpacked(tmp_path_factory.getbasetemp())


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture(scope="session")
def starter() -> Iterator[Starter]:
    with Starter() as started:
        yield started


@pytest.fixture
def program(state_dir: Path, starter: Starter) -> Program:
    """Calls the real program in a process of its own, with a state folder of this test."""

    def call(*arguments: str | Path, env: dict[str, str] | None = None) -> Called:
        words = ["--state-dir", str(state_dir), *map(str, arguments)]
        if env or not starter.suits(os.environ):
            argv = [sys.executable, "-m", "tui.main", *words]
            whole = subprocess.run(argv, capture_output=True, env={**os.environ, **(env or {})}, timeout=120)
            ended = Ended(whole.returncode, whole.stdout, whole.stderr)
        else:
            ended = starter.call(words, timeout=120)
        out, err = (os.fsdecode(stream) for stream in (ended.out, ended.err))
        assert "Traceback" not in err, err
        return Called(ended.status, out, err)

    return call
