"""Rows 45 to 48: names that a terminal would obey, or a screen or a report would read as markup."""

import io
import json
import os
import pty
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from rich.cells import cell_len
from textual.content import Content
from textual.filter import LineFilter
from textual.screen import Screen
from textual.widgets import Input

import tui.app
from core.errors import SalvageError
from core.files.destination import Destination
from core.files.progress import Progress
from core.machines import census
from tests.conftest import Called, Guard, Program, needs_root
from tests.core.files.copying import check_sums
from tests.hostile.hostile_disk import ALL, FOLDER, NAMES, guest, hostile_disk
from tests.tui.wizard import Wizard, choose, on, shown, until, wizard
from tui.cli.common import ProgressLine
from tui.flow import Flow
from tui.plain import NoControls
from tui.screens.ask import AskPath
from tui.screens.backup import BackupScreen
from tui.screens.commands import CommandsScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.disk import DiskScreen
from tui.screens.done import DoneScreen
from tui.screens.existing import ExistingScreen
from tui.screens.files import FilesScreen
from tui.screens.help import HelpScreen
from tui.screens.leftovers import LeftoversScreen
from tui.screens.partitions import PartitionsScreen
from tui.screens.preview import PreviewScreen
from tui.screens.protect import ProtectScreen
from tui.screens.quitting import QuitScreen
from tui.screens.shown import ShownScreen
from tui.screens.stack import StackScreen
from tui.screens.start import StartScreen
from tui.screens.trouble import TroubleScreen
from tui.screens.volume import VolumeScreen
from tui.widgets.file_table import FileTable
from tui.widgets.path_field import PathField

ROOT = Path(__file__).parents[2]
PLACE = "in [bold]\x1b]52;c;eA==\x07\u202e"


def obeyed(text: str) -> list[str]:
    """The characters that a terminal obeys, hides or cannot encode; line breaks do not count."""
    return [
        f"{char!r} in {line!r}"
        for line in text.split("\n")
        for char in line
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co")
    ]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if not shutil.which("mke2fs"):
        pytest.skip("mke2fs is not installed")
    yield hostile_disk(tmp_path_factory.mktemp("hostile") / PLACE)


# -- the command line ---------------------------------------------------------------------------------


def _read_only_calls(disk: Path, tmp_path: Path) -> list[tuple[str | Path, ...]]:
    bad = f"no such {ALL}"
    return [
        ("inspect", disk),
        ("ls", disk, "1", "/"),
        ("ls", disk, "1", f"/{FOLDER}", "--explain"),
        ("copy", disk, "1", "/", tmp_path / ALL.replace("/", ""), "--dry-run", "--explain"),
        ("mount", disk, "1", tmp_path / "\x1b[2J", "--dry-run", "--plain"),
        ("backup", disk, tmp_path / "\x1b[2J", "--dry-run"),
        ("inspect", tmp_path / bad),
        ("ls", disk, "1", bad),
        ("ls", disk, bad),
        ("cat", disk, "1", bad),
        ("copy", disk, "1", bad, tmp_path / "x"),
        ("inspect", disk, "--format", bad),
        ("undo", bad),
        ("undo", "--wait", bad),
        ("lab", "start", bad),
        ("list", bad),
    ]


@needs_root
@pytest.mark.hostile(46)
@pytest.mark.hostile(48)
@pytest.mark.parametrize("at", range(16))
def test_no_line_of_the_command_line_acts_on_the_terminal(
    at: int, disk: Path, program: Program, tmp_path: Path, guard: Guard
) -> None:
    guard.watch(disk)
    call = _read_only_calls(disk, tmp_path)[at]
    called = program(*call)
    assert called.out + called.err, call
    assert obeyed(called.out + called.err) == []
    assert "mistake in virt-salvage" not in called.err
    if called.status and "--explain" not in call:
        assert sum(line.startswith("virt-salvage: ") for line in called.err.splitlines()) == 1, called.err


def _document(called: Called) -> object:
    assert called.out.isascii() and obeyed(called.out) == [], called.out
    whole = subprocess.run(["python3", "-c", _STRICT], input=called.out.encode(), capture_output=True)
    assert whole.returncode == 0, whole.stderr
    return json.loads(called.out)


_STRICT = "import json, sys; json.dumps(json.load(sys.stdin), ensure_ascii=False).encode('utf-8')"
"""A reader that cannot hold half a pair of surrogates."""


@needs_root
@pytest.mark.hostile(46)
def test_every_document_is_valid_and_printable(
    disk: Path, program: Program, tmp_path: Path, guard: Guard
) -> None:
    guard.watch(disk)
    point, dest = tmp_path / f"{ALL} point".replace("/", ""), tmp_path / f"{ALL} out".replace("/", "")
    _document(program("inspect", disk, "--json"))
    listed = _document(program("ls", disk, "1", "/", "--json"))
    assert {"\x1b]0;first\x07"} <= {entry["name"] for entry in listed["entries"]}  # type: ignore[index]
    _document(program("copy", disk, "1", "/", dest, "--json", "--dry-run"))
    copied = _document(program("copy", disk, "1", "/", dest, "--json"))
    assert copied["files"] == len(NAMES) + 1  # type: ignore[index]
    _document(program("backup", disk, tmp_path / f"{ALL}.copy".replace("/", ""), "--json"))
    mounted = program("mount", disk, "1", point, "--json")
    assert (mounted.status, obeyed(mounted.err)) == (0, []), mounted
    session = _document(mounted)["session"]  # type: ignore[index]
    for call in (("status",), ("undo", session, "--dry-run")):
        told = program(*call)
        assert obeyed(told.out + told.err) == [] and told.out
    _document(program("status", "--json"))
    undone = program("undo", session, "--json")
    assert (undone.status, obeyed(undone.err)) == (0, [])
    _document(undone)


@needs_root
@pytest.mark.hostile(46)
def test_a_planned_command_means_the_very_file(disk: Path, program: Program, tmp_path: Path) -> None:
    """Quoted for the terminal's sake, the shell still reads the name byte by byte."""
    planned = program("backup", disk, tmp_path / "copy", "--dry-run")
    line = next(line for line in planned.out.splitlines() if line.startswith("cp "))
    subprocess.run(["bash", "-c", line], check=True)
    assert (tmp_path / "copy").read_bytes() == disk.read_bytes()


@needs_root
@pytest.mark.hostile(46)
def test_the_progress_line_shows_names_and_obeys_none(
    disk: Path, state_dir: Path, tmp_path: Path, guard: Guard
) -> None:
    guard.watch(disk)
    ours, theirs = pty.openpty()
    script = (
        "import sys; from core.files import progress; progress._INTERVAL = 0;"
        " from tui.main import main; sys.exit(main(sys.argv[1:]))"
    )
    argv = ["--state-dir", str(state_dir), "copy", str(disk), "1", "/", str(tmp_path / "out")]
    with subprocess.Popen([sys.executable, "-c", script, *argv], stdout=theirs, stderr=theirs) as running:
        os.close(theirs)
        seen = b""
        try:
            while block := os.read(ours, 1 << 16):
                seen += block
        except OSError:
            pass  # EIO: nobody has the other end open any more
    os.close(ours)
    assert running.returncode == 0, seen
    assert b"first" in seen
    assert obeyed(seen.decode().replace("\r", "")) == []


@pytest.mark.hostile(46)
@pytest.mark.parametrize("name", ["名前" * 60, "x" * 200, "e\u0301" * 200, "a"])
def test_the_progress_line_stays_one_line(name: str) -> None:
    """Whatever the width of its characters: a line that breaks is not written over, and fills the screen."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    line = ProgressLine(terminal, plain=False)
    line.show(Progress(1, 2, 10, 20, name, 1, 2, 1.0, 1.0, 0))
    line.show(Progress(1, 2, 10, 20, "b", 1, 2, 1.0, 1.0, 0))
    widths = [cell_len(shown) for shown in terminal.getvalue().split("\r")[1:]]
    assert max(widths) < 80
    assert widths[1] == widths[0], "the first is covered by the second"


@pytest.mark.hostile(45)
@pytest.mark.hostile(46)
@pytest.mark.parametrize("name", NAMES)
def test_an_error_may_carry_any_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Also one that nobody made safe before it was raised."""
    from tui.main import _complain

    for plain in (False, True):
        _complain(SalvageError(name, name, name), plain=plain)
    assert obeyed(capsys.readouterr().err) == []


# -- the wizard ----------------------------------------------------------------------------------------


@pytest.fixture
def undefended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the last line of defence, so that what one screen forgets is seen; no markup is read."""

    def none(before: list[LineFilter], **_wishes: bool) -> list[LineFilter]:
        return list(before)

    read = Content.from_markup.__func__  # type: ignore[attr-defined]

    def from_markup(cls: type[Content], markup: str | Content, **named: object) -> Content:
        text = markup.plain if isinstance(markup, Content) else markup
        assert not any(part in text for part in ("[/", "[@click", "[bold]", "PWNED")), markup
        return read(cls, markup, **named)  # type: ignore[no-any-return]

    monkeypatch.setattr(census, "machines", lambda _places: [])  # those of this host push ours off the screen
    monkeypatch.setattr(tui.app, "filters", none)
    monkeypatch.setattr(Content, "from_markup", classmethod(from_markup))


class Walk:
    """Goes over screens and looks at each."""

    def __init__(self, pilot: Wizard) -> None:
        self.pilot = pilot
        self.seen: dict[str, str] = {}

    @property
    def flow(self) -> Flow:
        flow: Flow = self.pilot.app.flow  # type: ignore[attr-defined]
        return flow

    async def on(self, kind: type[Screen[object]], text: str = "") -> None:
        await on(self.pilot, kind)
        if text:
            await until(self.pilot, lambda: text in self.all(), text)
        self.look(kind.__name__)

    def all(self) -> str:
        """What the top screen says, without frames and line breaks."""
        return "".join(line.strip(" ┃│") for line in shown(self.pilot).splitlines())

    def look(self, name: str) -> None:
        text = shown(self.pilot)
        assert obeyed(text) == [], name
        for strip in self.pilot.app.screen._compositor.render_strips(self.pilot.app.screen.size):
            for segment in strip:
                assert not (segment.style and (segment.style.link or "@click" in segment.style.meta)), segment
        self.seen[name] = text

    async def beside(self, key: str, kind: type[Screen[object]]) -> None:
        """Look at what a key shows, and come back."""
        here = type(self.pilot.app.screen)
        await self.pilot.press(key)
        await self.on(kind)
        await self.pilot.press("escape")
        await on(self.pilot, here)

    async def type(self, path: str) -> None:
        await self.on(AskPath)
        await until(self.pilot, lambda: isinstance(self.pilot.app.focused, Input))
        self.pilot.app.screen.query_one(PathField).value = path
        await self.pilot.pause(0.1)
        screen = self.pilot.app.screen
        for strip in screen._compositor.render_strips(screen.size):
            drawn = NoControls().apply(list(strip), screen.styles.background)
            assert obeyed("".join(segment.text for segment in drawn)) == []
        await self.pilot.press("enter")


@needs_root
@pytest.mark.hostile(45)
@pytest.mark.hostile(46)
@pytest.mark.hostile(48)
async def test_every_screen_shows_the_names_and_obeys_none(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undefended: None, guard: Guard
) -> None:
    guard.watch(disk)
    monkeypatch.chdir(disk.parent)
    point = tmp_path / "[/] point\x1b[2J"
    async with wizard(tmp_path / "state", size=(118, 44)) as pilot:
        walk = Walk(pilot)
        await walk.on(StartScreen)
        await choose(pilot, "recover")
        await walk.on(DiskScreen, "PWNED")
        await pilot.press("enter")
        await walk.on(ProtectScreen, "PWNED")
        await walk.beside("c", CommandsScreen)
        await _see_backups(walk, disk)
        await choose(pilot, "read")
        await walk.on(PartitionsScreen)
        await pilot.press("enter")
        await walk.on(VolumeScreen)
        await walk.beside("c", CommandsScreen)
        await choose(pilot, "sight")
        await walk.type(str(point))
        await walk.on(ShownScreen)
        await walk.beside("u", StackScreen)
        await choose(pilot, "stay")
        await walk.on(VolumeScreen)
        await choose(pilot, "loop")
        await walk.on(FilesScreen, "first")
        table = pilot.app.screen.query_one(FileTable)
        await _to(pilot, table, b"\x1b]0;first\x07")
        await pilot.press("enter")
        await walk.on(PreviewScreen, "what is in a file")
        await pilot.press("escape")
        await _to(pilot, table, FOLDER.encode())
        await pilot.press("enter")
        await until(pilot, lambda: table.row_count() > len(NAMES))
        await walk.on(FilesScreen, "PWNED")
        await pilot.press("space", "backspace")
        await walk.beside("u", StackScreen)
        await walk.beside("question_mark", HelpScreen)
        walk.flow.target = Destination("folder", tmp_path / f"{ALL} out".replace("/", ""))
        await pilot.press("y")
        await walk.on(DoneScreen, "PWNED")
        await walk.beside("c", CommandsScreen)
        await pilot.press("q")
        await walk.on(QuitScreen)
        await pilot.press("escape")
        await on(pilot, DoneScreen)
        await pilot.press("ctrl+q")
        await on(pilot, QuitScreen)
        await choose(pilot, "leave")
        await until(pilot, lambda: pilot.app.return_code is not None)
    assert pilot.app.return_code == 0
    assert check_sums(tmp_path / f"{ALL} out".replace("/", "")) == []
    async with wizard(tmp_path / "state", size=(118, 44)) as pilot:
        walk = Walk(pilot)
        await walk.on(StartScreen)
        await choose(pilot, "left")
        await walk.on(LeftoversScreen, "PWNED")
        await pilot.press("enter")
        await walk.on(ConfirmScreen, "on purpose")
        await choose(pilot, "undo")
        await until(pilot, lambda: not point.exists())
        await walk.on(LeftoversScreen)


async def _see_backups(walk: Walk, disk: Path) -> None:
    """The step's own screens: a backup by that name is found, compared and counted; then back."""
    copy = disk.with_name(disk.name + ".bak")
    shutil.copy2(disk, copy)
    await choose(walk.pilot, "backup")
    await walk.on(BackupScreen, "PWNED")
    await choose(walk.pilot, "existing")
    await walk.on(ExistingScreen, "PWNED")
    await walk.pilot.press("1")
    await walk.on(ConfirmScreen, "PWNED")
    await walk.pilot.press("escape")
    await walk.on(BackupScreen, "verified")
    await walk.pilot.press("escape")
    await walk.on(ProtectScreen, "verified")
    copy.unlink()


async def _to(pilot: Wizard, table: FileTable, name: bytes) -> None:
    await until(pilot, lambda: table.current is not None)
    await pilot.press("home")
    for _row in range(table.row_count()):
        if table.current and table.current.name == name:
            return
        await pilot.press("down")
    assert table.current and table.current.name == name, (name, table.current)


@pytest.mark.hostile(45)
@pytest.mark.hostile(46)
async def test_trouble_with_any_name_is_told(tmp_path: Path, undefended: None) -> None:
    async with wizard(tmp_path / "state", tmp_path / ALL / "disk", size=(140, 30)) as pilot:
        walk = Walk(pilot)
        await walk.on(TroubleScreen)
        for name in NAMES:
            pilot.app.pop_screen()
            pilot.app.push_screen(TroubleScreen(SalvageError(name, name, name)))
            await pilot.pause(0.05)
            await walk.on(TroubleScreen)
            assert pilot.app.is_running


@pytest.mark.hostile(45)
async def test_a_far_off_time_of_a_file_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """tmpfs keeps any time that fits into 64 bits; localtime(3) does not take them all."""
    place = Path("/dev/shm") / f"virt-salvage-{os.getpid()}"
    place.mkdir()
    try:
        (place / "old.img").write_bytes(bytes(1 << 20))
        os.utime(place / "old.img", (1 << 58, 1 << 58))
        monkeypatch.chdir(place)
        async with wizard(tmp_path / "state") as pilot:
            await on(pilot, StartScreen)
            await choose(pilot, "recover")
            await until(pilot, lambda: "old.img" in shown(pilot))
    finally:
        shutil.rmtree(place)


# -- reports ---------------------------------------------------------------------------------------------


@needs_root
@pytest.mark.hostile(47)
def test_the_report_and_the_checksums_of_a_hostile_tree(
    disk: Path, program: Program, tmp_path: Path, guard: Guard
) -> None:
    """Read by independent programs: a Markdown parser, a JSON reader, sha256sum and bash."""
    guard.watch(disk)
    dest = tmp_path / "[out] `x`\x1b[2J\n|"
    copied = program("copy", disk, "1", "/", dest)
    assert copied.status == 0, copied
    assert check_sums(dest) == []
    checked = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=dest, capture_output=True)
    assert checked.stdout.count(b": OK\n") == len(NAMES) + 1
    text = (dest / "salvage-report.md").read_text()
    assert obeyed(text) == []
    tokens = MarkdownIt("commonmark").parse(text)
    kinds = {inner.type for token in tokens for inner in (token, *(token.children or ()))}
    assert not {"html_block", "html_inline", "image", "link_open", "strong_open", "em_open"} & kinds
    shells = [token.content for token in tokens if token.type == "fence"]
    for line in shells:
        subprocess.run(["bash", "-n"], input=line.encode(), check=True)
    cp = next(line for line in shells if line.startswith("cp "))
    words = subprocess.run(["bash", "-c", f"printf '%s\\0' {cp}"], capture_output=True, check=True).stdout
    assert os.fsencode(dest) in words.split(b"\0")
    told = json.loads((dest / "salvage-report.json").read_bytes())
    assert told["copied"]["files"] == len(NAMES) + 1


@pytest.mark.hostile(47)
def test_what_is_said_to_be_typed_can_be_typed(tmp_path: Path) -> None:
    """Commands by hand name the mount point as the shell reads it."""
    from core.undo.holders import Holder, Way

    for name in NAMES:
        point = f"/mnt/{name}"
        line = Holder(Way.BELOW, point, thing="x").by_hand().replace("umount", "printf %s --", 1)
        said = subprocess.run(["bash", "-c", line], capture_output=True, check=True).stdout
        assert said.removeprefix(b"--") == os.fsencode(point)
        assert obeyed(line) == []


@pytest.mark.hostile(47)
def test_the_trees_names_are_as_hostile_as_they_look(tmp_path: Path) -> None:
    names = [path.name for path in guest(tmp_path / "tree").rglob("*")]
    assert sum(bool(obeyed(name)) for name in names) > 10
