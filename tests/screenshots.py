"""Draws screenshots/ from the running program: a real recovery of the practice disk, key by key.

Every screen as it is on a dark screen of 100 columns and 30 lines, and in a folder each: small, large,
bright, plain. What stands in `walk.gif` is the way of a recovery.

    python -m tests.screenshots [--words] [FOLDER]

With `--words` only what the drawings say, in less time: no theme but the usual one, no pixels and no film.
Needs root. Everything is made below one fixed folder and removed at the end; what differs from run to run
(times, speeds, numbers of loops) is masked, so the same program draws the same pictures.
"""

import argparse
import asyncio
import fcntl
import functools
import importlib
import io
import os
import pkgutil
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import sin
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import cairosvg
from PIL import Image
from textual.pilot import Pilot
from textual.screen import Screen
from textual.strip import Strip
from textual.theme import Theme
from textual.widgets import Input

import tui.screens
from core.disks import finding, holders
from core.files.choices import CAUTIOUS, Choices
from core.files.outcome import Copied
from core.files.progress import Progress
from core.i18n import use_language
from core.lab import labs
from core.lab import record as records
from core.runner import Runner
from core.session import Session
from core.tables.lost.search import Searching
from core.undo import state as states
from core.undo.state import StateFolder
from core.volumes.model import Inspection
from tests.conftest import unhurried
from tests.picture import Ground, cells_of, masked, svg
from tui.app import SalvageApp
from tui.flow import Flow
from tui.screens import disk as disk_step
from tui.screens.commands import CommandsScreen
from tui.screens.dialog import Dialog
from tui.screens.disk import DiskScreen
from tui.screens.done import DoneScreen
from tui.screens.files import FilesScreen
from tui.screens.help import HelpScreen
from tui.screens.menu import Menu
from tui.screens.palette import PaletteScreen
from tui.screens.partitions import PartitionsScreen
from tui.screens.practise import PractiseScreen, TicketScreen
from tui.screens.progress import ProgressScreen
from tui.screens.protect import ProtectScreen
from tui.screens.quitting import QuitScreen
from tui.screens.search import SearchScreen
from tui.screens.stack import StackScreen
from tui.screens.start import StartScreen
from tui.screens.step import Frame, KeyLine
from tui.screens.steps import StepsScreen
from tui.screens.target import TargetScreen
from tui.screens.trouble import TroubleScreen
from tui.screens.volume import VolumeScreen
from tui.screens.words import WordsScreen
from tui.themes import CONSOLE, DAY, NIGHT
from tui.widgets.rows import Rows

PLACE = Path("/var/tmp/virt-salvage-pictures")
CHARTS = "charts"
"""The folder of what `tests.bench.charts` draws, from measurements and not from the running program."""
"""Where the practice disk and the session lie while the pictures are drawn."""
SEED = 20240229
CHANGED = 1709208000
"""2024-02-29 12:00 UTC: when the practice disk seems to have been written last."""
USUAL, SMALL, LARGE = (100, 30), (80, 24), (160, 50)
ROOM = os.statvfs_result((4096, 4096, 1 << 24, 10_934_000, 10_934_000, 1 << 22, 1 << 21, 1 << 21, 4096, 255))
"""A file system with 41.7 GiB free."""
PATIENCE = 120.0
"""Seconds after which a step that does not come is a failure."""
QUIET = 0.3
"""Seconds of rest before a picture is taken."""
MASKS = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r"(?<!\d)\d\d:\d\d:\d\d(?!\d)", "12:00:00"),
        (r"\b20(2[5-9]|[3-9]\d)-\d\d-\d\d \d\d:\d\d(?!\d)", "2024-02-29 12:00"),
        (r"/dev/loop\d \d\d(?!\d)  ", "/dev/loop0 1280"),
        (r"/dev/loop\d \d{4}(?!\d)", "/dev/loop0 1280"),
        (r"/dev/loop\d+", "/dev/loop0"),
        (r"/block/loop\d+", "/block/loop0"),
        (r"\bin \d+(\.\d)? s\b", "in 0.4 s"),
        (
            r"(?<=时\0)\d+(\.\d)?(?=秒)",
            "0.4",
        ),  # in Chinese: behind a wide one is \\0
        (r"\bok, \d+(\.\d)? s\b", "ok, 0.1 s"),
        (r"(?<=功\0，\0)\d+(\.\d)?(?=秒)", "0.1"),
        (r"\bpid \d{1,4}(?!\d)", "pid 4711"),
        (r"\bpid \d{5,}(?!\d)", "pid 47110"),
        (r"\bkill \d{5}(?!\d)", "kill 4711 "),
        (r"\bkill \d{1,4}(?!\d)", "kill 4711"),
    )
)


class State(StateFolder):
    """Gives the session a name that is always the same."""

    def new_folder(self) -> Path:
        return self.path / "sessions" / "20240229-120000-cafe"


class Watched(Session):
    """Stops in the middle of a copy, and of a search, until its picture is taken."""

    halfway = threading.Event()
    drawn = threading.Event()
    searching = threading.Event()
    searched = threading.Event()

    def search(
        self,
        progress: Callable[[Searching], None] | None = None,
        enough: Callable[[], bool] = lambda: False,
    ) -> Inspection:
        reports: list[Searching] = []
        inspection = super().search(reports.append, enough)
        if progress:
            last = reports[-1]
            done = last.total * 7 // 10
            found = tuple(one for one in last.found if one.start < done)
            read = last.read * 7 // 10
            progress(replace(last, done=done, read=read, found=found, rate=41.7 * 2**20, seconds_left=3.5))
            self.searching.set()
            self.searched.wait(PATIENCE)
        return inspection

    def copy(
        self,
        sources: Sequence[bytes],
        dest: Path,
        progress: Callable[[Progress], None],
        choices: Choices = CAUTIOUS,
    ) -> Copied:
        found = self.estimate(sources, lambda _files, _bytes: None)
        name = sources[0].decode().strip("/") + "/anna/Documents/invoices.csv"
        files, size = found.files * 3 // 5, found.apparent * 3 // 5
        middle = Progress(
            files, found.files, size, found.apparent, name, 25_000, 40_000, 41.7 * 2**20, 1.0, 0
        )
        for part in range(1, 60):  # a slow beginning, many small files, and big ones
            rate = 41.7 + 14 * sin(part / 4) + 6 * sin(part * 2.3) - 30 / part
            progress(replace(middle, bytes_done=size * part // 60, rate=max(3.0, rate) * 2**20))
        progress(middle)
        self.halfway.set()
        self.drawn.wait(PATIENCE)
        return super().copy(sources, dest, lambda _progress: None, choices)


def session(state: StateFolder, runner: Runner, private: bool) -> Session:
    """What the wizard works with."""
    return Watched(state, runner, private=private)


class Look(NamedTuple):
    """One way in which every screen is drawn, in a folder of its own."""

    folder: str
    size: tuple[int, int] = USUAL
    theme: Theme = NIGHT
    plain: bool = False

    @property
    def ground(self) -> Ground:
        ours = not self.plain and self.theme.background and self.theme.foreground
        return Ground(self.theme.background, self.theme.foreground) if ours else Ground("#000000", "#d0d0d0")


LOOKS = (
    Look("day", theme=DAY),
    Look("80x24", SMALL),
    Look("160x50", LARGE),
    Look("plain", SMALL, CONSOLE, plain=True),
)
"""Beside the usual one, in the folder itself. A screen chooses its characters when its size changes."""


class Album:
    """Takes the pictures and lays them down: each screen in every look, and as a frame of the film."""

    def __init__(self, folder: Path, words: bool = False) -> None:
        self.folder = folder
        self.taken: list[Path] = []
        self.shown: set[type[Screen[object]]] = set()
        """The kinds of screens that are in a picture."""
        self._words = words
        self._film: list[tuple[Image.Image, int]] = []

    async def take(self, pilot: Pilot[int], name: str, *, seconds: float = 0) -> None:
        """Pictures of what is on the screen now; `seconds` of the film show it."""
        await settled(pilot, QUIET)
        self.shown.add(type(pilot.app.screen))
        drawing = await self._draw(pilot, name, Look(""))
        if not self._words:
            path = self.folder / f"{name}.png"
            png = self._write_png(drawing, path)
            self.taken.append(path)
            if seconds:
                self._film.append((png, round(seconds * 1000)))
        for look in LOOKS:
            if self._words and (look.size, look.plain) == (USUAL, False):
                self._lay_down(drawing, name, look)
            else:
                await self._draw(pilot, name, look)
        await self._become(pilot, Look(""))

    async def _draw(self, pilot: Pilot[int], name: str, look: Look) -> str:
        await self._become(pilot, look)
        lines = [masked(cells_of(strip), MASKS) for strip in await self._at_rest(pilot)]
        drawing = svg(lines, f"virt-salvage: {name}", look.ground)
        self._lay_down(drawing, name, look)
        return drawing

    def _lay_down(self, drawing: str, name: str, look: Look) -> None:
        path = self.folder / look.folder / f"{name}.svg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(drawing, encoding="utf-8")
        self.taken.append(path)

    async def _become(self, pilot: Pilot[int], look: Look) -> None:
        """Give the screen that size, theme and set of characters."""
        app = pilot.app
        app.ascii_only, app.colour = look.plain, not look.plain
        if not self._words:
            app.ansi_color = look.theme.ansi
            app.theme = look.theme.name
        await pilot.resize_terminal(*look.size)
        for _turn in range(100):  # on a busy host the last line is still as wide as it was
            width = look.size[0]
            laid = all(keys.region.right <= width for keys in app.screen.query(KeyLine))
            if app.screen.size.width == width and laid:
                break
            await pilot.pause(0.05)
        for line in app.screen.query(Input):
            line.cursor_blink = False
        for keys in app.screen.query(KeyLine):
            keys.refresh()
        if isinstance(app.screen, PaletteScreen):
            app.screen.narrow("")
        app.refresh(layout=True)

    @staticmethod
    async def _at_rest(pilot: Pilot[int]) -> list[Strip]:
        """The lines of the screen, once they stay as they are."""
        strips: list[Strip] = []
        same = 0
        for _turn in range(60):
            await pilot.pause(0.04)
            before, strips = strips, pilot.app.screen._compositor.render_strips()
            same = same + 1 if [strip.text for strip in strips] == [strip.text for strip in before] else 0
            if same == 2:
                break
        return strips

    @staticmethod
    def _write_png(drawing: str, path: Path) -> Image.Image:
        pixels = cairosvg.svg2png(bytestring=drawing.encode(), scale=1.25)
        picture = Image.open(io.BytesIO(pixels)).convert("RGB")
        # the commonest colours as they are: a picture's grounds must not differ from the next one's
        counted = sorted(picture.getcolors(picture.width * picture.height), reverse=True)
        palette = Image.new("P", (1, 1))
        palette.putpalette([part for _count, colour in counted[:256] for part in colour])
        few = picture.quantize(palette=palette, dither=Image.Dither.NONE)
        few.save(path, optimize=True)
        return few

    def develop(self) -> Path:
        """The film: the way of a recovery, picture by picture."""
        path = self.folder / "walk.gif"
        first, *rest = [picture for picture, _time in self._film]
        times = [time for _picture, time in self._film]
        first.save(path, save_all=True, append_images=rest, duration=times, loop=0, optimize=True)
        return path


class Chinese(Album):
    """Every screen in Simplified Chinese, to see that columns stay in line with wide characters."""

    async def take(self, pilot: Pilot[int], name: str, *, seconds: float = 0) -> None:
        await settled(pilot, QUIET)
        await self._draw(pilot, name, Look(CHINESE, SMALL))
        await self._become(pilot, Look(""))


CHINESE = "zh"


async def settled(pilot: Pilot[int], rest: float = 0.1) -> None:
    """Wait until nothing is worked on, and `rest` seconds more for what is still to be drawn."""
    deadline = time.monotonic() + PATIENCE
    at_work = (ProgressScreen, SearchScreen)
    while getattr(pilot.app.screen, "busy", "") and not isinstance(pilot.app.screen, at_work):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{pilot.app.screen} is busy: {pilot.app.screen.busy}")
        await pilot.pause(0.05)
    await pilot.pause(rest)


async def arrived(pilot: Pilot[int], kind: type[Screen[object]]) -> None:
    """Wait until a screen of that kind is on top."""
    deadline = time.monotonic() + PATIENCE
    while not isinstance(pilot.app.screen, kind):
        if time.monotonic() > deadline:
            screen = pilot.app.screen
            why = screen.error.paragraph() if isinstance(screen, TroubleScreen) else ""
            raise TimeoutError(f"waited for {kind.__name__}, but there is {screen}: {why}")
        await pilot.pause(0.05)
    await settled(pilot)


async def chosen(pilot: Pilot[int], id: str) -> None:
    """Choose out of the menu that is on top."""
    menu = pilot.app.screen.query_one(Menu)
    menu.highlighted = menu.get_option_index(id)
    await pilot.press("enter")


async def aside(album: Album, pilot: Pilot[int], key: str, kind: type[Screen[object]], name: str) -> None:
    """A picture of what a key opens over the screen, then back."""
    await pilot.press(key)
    await arrived(pilot, kind)
    await album.take(pilot, name)
    await pilot.press("escape")
    await settled(pilot)


async def begin(album: Album, pilot: Pilot[int]) -> None:
    """From the start to the protected disk."""
    await arrived(pilot, StartScreen)
    await album.take(pilot, "01-start", seconds=2.5)
    await aside(album, pilot, "question_mark", HelpScreen, "14-help")
    await pilot.press("1")
    await arrived(pilot, PractiseScreen)
    await album.take(pilot, "02-practise", seconds=1.5)
    await pilot.press("1", "enter")
    await arrived(pilot, TicketScreen)
    await album.take(pilot, "03-task", seconds=3)
    await pilot.press("escape")
    await arrived(pilot, PractiseScreen)
    await pilot.press("escape")
    await arrived(pilot, StartScreen)
    await pilot.press("2")
    await arrived(pilot, DiskScreen)
    await album.take(pilot, "04-disk")
    await pilot.press("p", *f"{PLACE}/missing.qcow2", "enter")
    await arrived(pilot, TroubleScreen)
    await album.take(pilot, "16-error")
    await pilot.press("escape", "escape", "escape")
    await arrived(pilot, StartScreen)
    await pilot.press("1")
    await arrived(pilot, PractiseScreen)
    await pilot.press("1", "enter")
    await arrived(pilot, TicketScreen)
    await pilot.press("2")
    await arrived(pilot, ProtectScreen)
    await album.take(pilot, "05-protect", seconds=2)
    await pilot.press("2")


async def partitions(album: Album, pilot: Pilot[int]) -> None:
    """The map of the disk, and what opening would run."""
    await arrived(pilot, PartitionsScreen)
    rows = pilot.app.screen.query_one(Rows)
    while rows.current.volume is None or rows.current.volume.id != "5":
        await pilot.press("down")
    await album.take(pilot, "06-partitions", seconds=3)
    await aside(album, pilot, "b", StepsScreen, "36-steps")
    await aside(album, pilot, "d", WordsScreen, "37-words")
    await aside(album, pilot, "colon", PaletteScreen, "38-keys")
    await aside(album, pilot, "c", CommandsScreen, "07-commands")
    await search(album, pilot)
    while rows.current.volume is None or rows.current.volume.id != "5":
        await pilot.press("down")
    await pilot.press("enter")
    await arrived(pilot, VolumeScreen)
    await album.take(pilot, "08-open", seconds=2)
    await pilot.press("1")


async def search(album: Album, pilot: Pilot[int]) -> None:
    """The search for lost partitions, what it found, and back to the disk's own table."""
    await pilot.press("s")
    while not Watched.searching.is_set():
        await pilot.pause(0.05)
    await album.take(pilot, "17-search")
    Watched.searched.set()
    await arrived(pilot, PartitionsScreen)
    await album.take(pilot, "18-found")
    await pilot.press("o")
    await settled(pilot)


async def files(album: Album, pilot: Pilot[int]) -> None:
    """Browse, mark, copy, done."""
    from tests import screenshots_files

    await arrived(pilot, FilesScreen)
    table = pilot.app.screen.query_one(Rows)
    while table.current.name != b"home":
        await pilot.press("down")
    await pilot.press("space")
    await pilot.pause(0.5)
    await album.take(pilot, "09-files", seconds=2)
    await aside(album, pilot, "t", TargetScreen, "10-target")
    await screenshots_files.asides(album, pilot)
    await aside(album, pilot, "u", StackScreen, "13-undo")
    await pilot.press("y")
    await arrived(pilot, ProgressScreen)
    while not Watched.halfway.is_set():
        assert isinstance(pilot.app.screen, ProgressScreen), pilot.app.screen
        await pilot.pause(0.05)
    await album.take(pilot, "11-copy", seconds=1.5)
    Watched.drawn.set()
    await arrived(pilot, DoneScreen)
    await pilot.press("1")
    await settled(pilot)
    await album.take(pilot, "12-done", seconds=4)
    await aside(album, pilot, "q", QuitScreen, "15-quit")


async def walk(album: Album) -> None:
    """The whole road in the real program."""
    app = SalvageApp(Flow(State(PLACE), maker=session))
    try:
        async with app.run_test(size=USUAL) as pilot:
            await begin(album, pilot)
            await partitions(album, pilot)
            await files(album, pilot)
    finally:
        Watched.drawn.set()
        Watched.searched.set()
        app.flow.operator.submit(app.flow.do_close).result()
        app.flow.operator.close()
        app.flow.outside.close()


def built(start: Callable[..., Path], *args: object) -> Path:
    """The practice disk with contents that are always the same."""
    disk = start(*args, seed=SEED)
    os.utime(disk, (CHANGED, CHANGED))
    record = records.read(disk.parent)
    if record:
        then = tuple(replace(one, mtime_ns=CHANGED * 10**9) for one in record.originals)
        records.write(disk.parent, replace(record, originals=then))
    return disk


def only_ours(_folders: object) -> Iterator[finding.Found]:
    """The disks below our folder: not those of this host."""
    return (found for found in finding.find_disks([PLACE]) if found.kind == "image")


@contextmanager
def alone() -> Iterator[None]:
    """One run after the other: all of them work in the same folder."""
    descriptor = os.open(PLACE.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def stage(language: str = "en") -> Iterator[None]:
    """A host that looks the same everywhere."""
    if PLACE.exists():
        raise SystemExit(f"{PLACE} is there already: see whether something is mounted in it, then remove it.")
    os.environ.update(TZ="UTC", COLORTERM="truecolor", TERM="xterm-256color")
    os.environ.pop("NO_COLOR", None)
    time.tzset()
    use_language(language)
    for event in (Watched.halfway, Watched.drawn, Watched.searching, Watched.searched):
        event.clear()
    PLACE.mkdir(mode=0o700)
    before = Path.cwd()
    os.chdir(PLACE)
    try:
        with (
            patch.object(labs, "start", functools.partial(built, labs.start)),
            patch.object(disk_step, "inventory", only_ours),
            patch.object(holders, "_blind", lambda _seen: iter(())),
            patch.object(os, "statvfs", lambda _place: ROOM),
            patch.object(states, "default_folder", lambda: PLACE),
        ):
            yield
    finally:
        os.chdir(before)
        shutil.rmtree(PLACE)


def draw(walk: Callable[[Album], Coroutine[None, None, None]], arguments: Sequence[str]) -> int:
    """Draw the pictures of one walk alone into the folder given; the exit status."""
    with alone(), stage():
        asyncio.run(walk(Album(Path(arguments[0]).absolute())))
    return 0


def screens() -> set[type[Screen[object]]]:
    """Every kind of screen of the program; what others are made of is none."""
    for module in pkgutil.iter_modules(tui.screens.__path__):
        importlib.import_module(f"tui.screens.{module.name}")

    def below(kind: type[Screen[object]]) -> set[type[Screen[object]]]:
        kinds = [one for one in kind.__subclasses__() if one.__module__.startswith("tui.")]
        return set().union(*(below(one) for one in kinds)) if kinds else {kind}

    return below(Dialog) | below(Frame)


def main(arguments: Sequence[str]) -> int:
    """Draw every picture into the folder given, or into screenshots/; the exit status."""
    if os.geteuid() != 0:
        print("The pictures show a real recovery, which needs root: sudo make screenshots", file=sys.stderr)
        return 3
    from tests import screenshots_labs, screenshots_layers, screenshots_left, screenshots_protect

    parts = (screenshots_protect, screenshots_labs, screenshots_layers, screenshots_left)
    walks = (walk, *(part.walk for part in parts))
    parser = argparse.ArgumentParser(prog="python -m tests.screenshots")
    parser.add_argument("--words", action="store_true", help="only what the drawings say, in less time")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parents[1] / "screenshots")
    chosen = parser.parse_args(arguments)
    words: bool = chosen.words
    folder: Path = chosen.folder.absolute()
    album = Album(folder, words)
    unhurried()
    chinese = Chinese(folder, words)
    with alone():
        for pictures in walks:
            with stage():
                asyncio.run(pictures(album))
            with stage("zh_CN"):
                asyncio.run(pictures(chinese))
    if missing := screens() - album.shown:
        print("No picture shows:", *sorted(one.__name__ for one in missing), file=sys.stderr)
        return 1
    album.taken += chinese.taken
    drawn = [*album.taken, *([] if words else [album.develop()])]
    for path in drawn:
        print(path)
    kinds = ("svg",) if words else ("svg", "png", "gif")
    for old in {path for kind in kinds for path in folder.rglob(f"*.{kind}")} - set(drawn):
        if CHARTS not in old.parts:
            old.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
