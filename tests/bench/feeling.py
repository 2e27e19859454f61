"""How soon the wizard answers: python -m tests.bench.feeling [--big MIB] [--entries N] [--images N] …

A key while a copy runs at full speed, in the real program in a terminal of its own; the first page of a huge
folder, of a host with very many images, of a very long log; a move in each of them.
"""

import argparse
import asyncio
import os
import select
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widget import Widget

from core.disks.finding import Found
from core.files.entry import Entry
from core.files.preview import Preview
from core.files.tree import GuestTree
from core.operator import Operator
from tests.bench.timing import MIB, run
from tests.tui.terminal import Terminal, terminal
from tui.app import SWITCH
from tui.screens.disk_table import DiskTable
from tui.screens.preview import PreviewScreen, pages_of
from tui.tidying import tidy_seldom
from tui.widgets.file_table import Arranged, FileTable, arranged

TITLE = "how soon it answers, in milliseconds"
KEYS = 300
HOLD = 0.005
"""Seconds between two looks whether the screen is held up."""
COPYING = 1000
"""Keys while a copy runs, as long as it does."""


@dataclass(frozen=True)
class Answer:
    """Milliseconds: in the middle, at the 99th percentile, at worst."""

    what: str
    times: tuple[float, ...]

    def __str__(self) -> str:
        ordered = sorted(self.times)
        ninety = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
        told = f"{self.what:<66} {statistics.median(ordered) * 1000:7.1f}"
        return told if len(ordered) == 1 else f"{told} {ninety * 1000:7.1f} {ordered[-1] * 1000:7.1f}"


# -- what the machine itself takes ---------------------------------------------------------------------

ECHO = """
import os, tty
tty.setraw(0)
while data := os.read(0, 64):
    os.write(1, b"x")
"""


def only_echoing() -> Answer:
    """The same way through the kernel's terminal to a program that does nothing: how quiet the machine is."""
    with terminal(None, program=ECHO) as one:
        one.settled(3.0)
        times = tuple(_keys(one, KEYS))
    return Answer("a program that only echoes: what this machine takes", times)


# -- a key while a copy runs ---------------------------------------------------------------------------


def make_disk(folder: Path, big: int) -> Path:
    """A raw disk, ext4 over all of it, with files of altogether `big` MiB."""
    tree = folder / "tree"
    (tree / "big").mkdir(parents=True)
    piece = os.urandom(MIB)
    for number in range(8):
        with open(tree / "big" / f"{number}", "wb") as file:
            for _block in range(big // 8):
                file.write(piece)
    raw = folder / "disk.raw"
    run("truncate", "--size", f"{big + big // 8 + 64}M", raw)
    run("mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, raw)
    run("rm", "-r", tree)
    return raw


def while_copying(folder: Path, big: int) -> Iterator[Answer]:
    """The time from a key's byte to the first byte that answers it.

    The key scrolls the words of the trade, which stand over the copy: nothing else sends anything then.
    """
    raw = make_disk(folder, big)
    state, target = folder / "state", folder / "out"
    with terminal(state, "--format", "raw", str(raw), size=(100, 30)) as one:
        one.shows("How shall the disk be protected")
        one.press("1")
        one.shows("Enter opens")
        one.press("\r")
        one.shows("What shall be done")
        one.press("1")
        one.shows("lost+found")
        one.press("t")
        one.shows("Where shall the files go")
        one.press("1")
        one.shows("Into which folder")
        one.press(f"\x15{target}\r")
        one.until(lambda: f"Target  {target}" in one.shown(), "the target")
        one.press(" ")
        one.shows("8 files")
        yield Answer("a key, nothing else going on", tuple(_scrolling(one, KEYS // 3)))
        one.press("y")
        one.shows("a second")
        ended = (target / "salvage-report.json").exists
        yield Answer("a key while a copy runs at full speed", tuple(_scrolling(one, COPYING, ended)))
        if not ended():
            one.press("\x1b")
        one.settled()


def _scrolling(one: Terminal, count: int, ended: Callable[[], bool] = lambda: False) -> Iterator[float]:
    one.press("d")
    one.shows("words of the trade")
    one.settled()
    yield from takewhile(lambda _time: not ended(), _keys(one, count))
    one.press("\x1b")
    one.settled(quiet=0.3)


def _keys(one: Terminal, count: int) -> Iterator[float]:
    for turn in range(count):
        one.read(0.02)
        began = time.monotonic()
        one.press("\x1b[B" if turn % 20 < 10 else "\x1b[A")
        while not select.select([one.master], [], [], 1)[0]:
            pass
        yield time.monotonic() - began
        one.read(0.01)


# -- very many ------------------------------------------------------------------------------------------


class Stage(App[None]):
    """One part of the wizard, alone, or the place for one of its dialogs."""

    something_up = False

    def __init__(self, part: Widget | None = None) -> None:
        super().__init__()
        self.part = part

    def on_mount(self) -> None:
        tidy_seldom(self)

    def compose(self) -> ComposeResult:
        if self.part:
            yield self.part


async def moved(pilot: Pilot[None], keys: Sequence[str]) -> tuple[float, ...]:
    """What each key takes until all that follows from it is drawn."""
    times = []
    for key in keys:
        began = time.monotonic()
        await pilot.press(key)
        times.append(time.monotonic() - began)
    return tuple(times)


async def held_up(stop: asyncio.Event) -> tuple[float, ...]:
    """How long the screen could not have answered, looked at again and again until it is told to stop."""
    times = []
    while not stop.is_set():
        began = time.monotonic()
        await asyncio.sleep(HOLD)
        times.append(time.monotonic() - began - HOLD)
    return tuple(times)


MOVES = ("down",) * 20 + ("pagedown",) * 20 + ("G", "g", "pageup") * 5
IDLE = ("f12",) * 20
"""A key that does nothing: what the measuring itself takes."""


async def huge_folder(folder: Path, count: int) -> AsyncIterator[Answer]:
    """A directory as the files step reads it: on the operator's thread, the first page at once."""
    place = folder / "many"
    place.mkdir()
    for number in range(count):
        os.mknod(place / f"{number * 7919 % count:07}.eml")
    table, operator = FileTable(), Operator()
    app = Stage(table)
    async with app.run_test(size=(100, 30)) as pilot:
        table.focus()
        began = time.monotonic()
        first: list[float] = []

        def hear(page: Sequence[Entry], _count: int) -> None:
            if not first:
                first.append(time.monotonic() - began)
                app.call_from_thread(table.show, page, more=True)
                first.append(time.monotonic() - began)

        def read() -> Arranged:
            with GuestTree(folder) as tree:
                return arranged(tree.entries(b"/many", hear))

        stop = asyncio.Event()
        watch = asyncio.create_task(held_up(stop))
        entries = await asyncio.wrap_future(operator.submit(read))
        whole = time.monotonic() - began
        stop.set()
        meanwhile = await watch
        shown = time.monotonic()
        table.show(entries)
        await pilot.pause()
        yield Answer(f"the first page of a folder of {count} entries", (first[1] if first else whole,))
        yield Answer("  how long the screen is held up while the rest is read", meanwhile)
        yield Answer("  all of them, sorted", (whole,))
        yield Answer("  shown", (time.monotonic() - shown,))
        yield Answer("  a move among all of them", await moved(pilot, MOVES))
        yield Answer(
            "  a letter of the filter", await moved(pilot, ("slash", "7", "7", "backspace", "escape"))
        )
    operator.close()


async def many_images(count: int) -> AsyncIterator[Answer]:
    """Images as they are found, a thousand at a time."""
    table = DiskTable()
    async with Stage(table).run_test(size=(100, 30)) as pilot:
        table.focus()
        times = []
        for begin in range(0, count, 1000):
            found = [
                Found(Path(f"/srv/vm/{number:06}/disk.qcow2"), "qcow2", 1 << 30, 1 << 34, 1.7e9, "image")
                for number in range(begin, begin + 1000)
            ]
            began = time.monotonic()
            table.add(found)
            await pilot.pause()
            times.append(time.monotonic() - began)
        table.ended()
        yield Answer(f"a thousand images more, up to {count}", tuple(times))
        yield Answer("  a move among all of them", await moved(pilot, MOVES))
        yield Answer(
            "  a letter of the filter", await moved(pilot, ("slash", "7", "7", "backspace", "escape"))
        )


async def long_log(count: int) -> AsyncIterator[Answer]:
    """A log in the viewer."""
    lines = "".join(f"Nov 26 00:00:{n % 60:02} web01 kernel: [{n}.0] message {n}\n" for n in range(count))
    data = lines.encode()
    began = time.monotonic()
    pages = pages_of(data, Preview("", "utf-8"))
    yield Answer(
        f"a log of {count} lines looked through, on the operator's thread", (time.monotonic() - began,)
    )
    screen = PreviewScreen(b"/var/log/syslog", pages, len(data), len(data))
    app = Stage()
    app.animation_level = "none"
    async with app.run_test(size=(100, 30)) as pilot:
        began = time.monotonic()
        app.push_screen(screen)
        await pilot.pause()
        yield Answer("  opened in the viewer", (time.monotonic() - began,))
        yield Answer("  a move in it", await moved(pilot, MOVES))
        yield Answer("  (a key that does nothing)", await moved(pilot, IDLE))


async def of_many(folder: Path, entries: int, images: int, lines: int) -> None:
    async for answer in huge_folder(folder, entries):
        print(answer, flush=True)
    async for answer in many_images(images):
        print(answer, flush=True)
    async for answer in long_log(lines):
        print(answer, flush=True)


def measure(folder: Path, big: int, entries: int, images: int, lines: int) -> None:
    """All of it, printed as it comes."""
    print(f"{TITLE:<66} {'median':>7} {'99th':>7} {'worst':>7}")
    print(only_echoing(), flush=True)
    for answer in while_copying(folder, big):
        print(answer, flush=True)
    asyncio.run(of_many(folder, entries, images, lines))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.feeling", description=__doc__)
    parser.add_argument("--big", type=int, default=12288, metavar="MIB")
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--lines", type=int, default=1_000_000)
    options = parser.parse_args()
    sys.setswitchinterval(SWITCH)
    with tempfile.TemporaryDirectory(prefix="virt-salvage-bench-", dir="/var/tmp") as folder:
        measure(Path(folder), options.big, options.entries, options.images, options.lines)


if __name__ == "__main__":
    main()
