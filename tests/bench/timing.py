"""Two ways in turn, timed in the same run: what all measurements share."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Row:
    """One measurement: ours against another way, medians in seconds."""

    what: str
    ours: float
    other: float

    def __str__(self) -> str:
        return f"{self.what:<66} {self.ours:7.2f} s {self.other:7.2f} s {self.ours / self.other:6.2f}"


def run(*words: str | Path) -> None:
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL)


def output(*words: str | Path) -> str:
    """What a program says, without the end of its line."""
    done = subprocess.run([str(word) for word in words], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def each(*commands: tuple[str | Path, ...]) -> None:
    for words in commands:
        run(*words)


@contextmanager
def mounted(raw: Path, point: Path, options: str) -> Iterator[Path]:
    """A raw disk without table, mounted by hand."""
    point.mkdir(exist_ok=True)
    run("mount", "-o", f"loop,{options}", raw, point)
    try:
        yield point
    finally:
        run("umount", point)


def by_hand(raw: Path, folder: Path, work: Callable[[Path], None]) -> None:
    with mounted(raw, folder / "m", "ro,noload") as tree:
        work(tree)


def ours(state: Path, *words: str | Path) -> None:
    """Our program as it is installed: its modules are compiled once and not at each start."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    run(sys.executable, "-m", "tui.main", "--state-dir", state, *words)


def cold() -> None:
    """Empty the page cache, so that all ways read from the medium."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def timed(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def compared(
    what: str, one: Callable[[], None], other: Callable[[], None], rounds: int, tidy: Callable[[], None]
) -> Row:
    """The two ways in turn, cold, `rounds` times each."""
    times: tuple[list[float], list[float]] = ([], [])
    for _round in range(rounds):
        for work, into in ((one, times[0]), (other, times[1])):
            tidy()
            cold()
            into.append(timed(work))
    tidy()
    return Row(what, statistics.median(times[0]), statistics.median(times[1]))
