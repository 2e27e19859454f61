"""The keys of every screen: each has a help text, is in the help and in the list, and does what it says."""

import inspect
import re
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import Input

import tui.screens
import tui.widgets
from tests.picture import cells_of
from tests.tui.test_plain import in_its_font
from tests.tui.wizard import choose, on, shown, wizard
from tui.app import SalvageApp
from tui.keys import keys_of
from tui.screens.confirm import ConfirmScreen
from tui.screens.dialog import EVERYWHERE, Dialog
from tui.screens.disk import DiskScreen
from tui.screens.help import HelpScreen
from tui.screens.lessons import LESSONS
from tui.screens.menu import Choice
from tui.screens.palette import PaletteScreen
from tui.screens.practise import PractiseScreen
from tui.screens.preview import PreviewScreen
from tui.screens.start import StartScreen
from tui.screens.step import Frame, KeyLine
from tui.screens.words import WordsScreen
from tui.themes import CONSOLE, DAY, NIGHT, theme_for
from tui.widgets.long_text import LongText
from tui.words import WORDS, matching


def classes() -> list[type]:
    modules = [
        import_module(f"{package.__name__}.{found.name}")
        for package in (tui.screens, tui.widgets)
        for found in iter_modules(package.__path__)
    ]
    return [
        one
        for module in modules
        for _name, one in inspect.getmembers(module, inspect.isclass)
        if one.__module__ == module.__name__
    ]


KINDS = [one for one in classes() if issubclass(one, Screen)]
SCREENS = [
    one
    for one in KINDS
    if one is not HelpScreen and not any(other is not one and issubclass(other, one) for other in KINDS)
]
"""Those that a person meets; others are only built upon, and the help explains the rest."""
BOUND = [one for one in classes() if "BINDINGS" in one.__dict__]
NO_CONSOLE = ("ctrl+up", "ctrl+down", "ctrl+left", "ctrl+right", "alt+", "super+")


@pytest.mark.parametrize("screen", SCREENS, ids=lambda one: one.__name__)
def test_every_screen_is_explained(screen: type[Screen[object]]) -> None:
    assert issubclass(screen, (Frame, Dialog)), "it lacks the keys that count everywhere"
    assert screen.topic in LESSONS


@pytest.mark.parametrize("kind", [*BOUND, SalvageApp], ids=lambda one: one.__name__)
def test_every_binding_has_a_help_text_and_a_key_that_every_console_has(kind: type) -> None:
    for binding in kind.__dict__["BINDINGS"]:
        assert isinstance(binding, Binding)
        assert binding.description or binding.priority, binding
        keys = binding.key.split(",")
        assert not any(key.startswith(NO_CONSOLE) for key in keys)
        if any(key[0] == "f" and key[1:].isdigit() for key in keys):  # vt220 has no F1 to F5
            twins = [key for key in keys if not key.startswith("f") or len(key) == 1]
            assert twins or kind is DiskScreen, binding


@pytest.mark.parametrize("kind", BOUND, ids=lambda one: one.__name__)
def test_no_screen_takes_the_keys_that_count_everywhere_for_something_else(kind: type) -> None:
    common = [*EVERYWHERE, *(Frame.BINDINGS if issubclass(kind, Frame) else ())]
    taken = {key for one in common if isinstance(one, Binding) for key in one.key.split(",")} - {"escape"}
    for binding in kind.__dict__["BINDINGS"]:
        if kind not in (Frame, Dialog) and "close" not in binding.action:
            assert not taken.intersection(binding.key.split(",")), binding


async def test_the_help_lists_the_keys_of_the_screen(tmp_path: Path) -> None:
    async with wizard(tmp_path) as pilot:
        await on(pilot, StartScreen)
        told = [one.does for one in keys_of(pilot.app.screen)]
        assert "choose that number" in told
        assert "back to a step" not in told, "there is none before the first"
        await pilot.press("question_mark")
        await on(pilot, HelpScreen)
        await pilot.press("G")
        await pilot.pause()
        assert "q" in shown(pilot) and "quit" in shown(pilot)
        await pilot.press("question_mark")
        await on(pilot, StartScreen)


async def test_the_help_of_long_text_calls_no_key_by_the_library_s_name(tmp_path: Path) -> None:
    async with wizard(tmp_path) as pilot:
        await on(pilot, StartScreen)
        pilot.app.push_screen(PreviewScreen(b"/log", LongText(b"text"), 4, 4))
        await on(pilot, PreviewScreen)
        told = {one.names: one.does for one in keys_of(pilot.app.screen)}
        assert told["↑, k"] == "up" and told["End, G"] == "end" and told["PgUp"] == "page up"
        assert not [does for does in told.values() if does[0].isupper()]


@pytest.mark.parametrize("key", ["colon", "ctrl+p"])
async def test_the_list_of_keys_finds_by_a_word_and_does_it(tmp_path: Path, key: str) -> None:
    async with wizard(tmp_path) as pilot:
        await on(pilot, StartScreen)
        await pilot.press(key)
        await on(pilot, PaletteScreen)
        await pilot.press(*"words", "enter")
        await on(pilot, WordsScreen)
        await pilot.press("escape")
        await on(pilot, StartScreen)
        await pilot.press(key, *"nothing like it")
        await on(pilot, PaletteScreen)
        assert "Nothing here has that word." in shown(pilot)
        await pilot.press("enter", "escape")
        await on(pilot, StartScreen)


async def test_the_words_of_this_screen_come_first_and_letters_find_others(tmp_path: Path) -> None:
    async with wizard(tmp_path) as pilot:
        await on(pilot, StartScreen)
        await pilot.press("2")
        await on(pilot, DiskScreen)
        await pilot.press("d")
        await on(pilot, WordsScreen)
        lines = shown(pilot)
        assert lines.index("qcow2") < lines.index("array")
        await pilot.press(*"sector")
        await pilot.pause()
        assert "512 bytes" in shown(pilot) and "btrfs" not in shown(pilot)
        assert pilot.app.screen.query_one(Input).value == "sector"


def test_every_word_belongs_to_a_screen_and_is_told_in_a_sentence() -> None:
    for word in WORDS:
        assert word.topics and set(word.topics) <= set(LESSONS)
        assert word.means[0].isupper() and word.means.endswith(".")
        assert word in matching(word.name)[1]
        assert word in matching(word.name, word.topics[0])[0]
    assert len({word.name for word in WORDS}) == len(WORDS)


async def test_the_help_and_the_words_open_once(tmp_path: Path) -> None:
    async with wizard(tmp_path) as pilot:
        await on(pilot, StartScreen)
        await pilot.press("f1", "d")
        await on(pilot, WordsScreen)
        depth = len(pilot.app.screen_stack)
        await pilot.press("f1", "ctrl+p", "escape")
        await pilot.pause()
        assert len(pilot.app.screen_stack) <= depth + 1


async def test_without_arrows_the_keys_have_words(tmp_path: Path) -> None:
    async with wizard(tmp_path) as pilot:
        pilot.app.ascii_only = True
        await on(pilot, StartScreen)
        await pilot.resize_terminal(90, 24)
        await pilot.press("question_mark")
        await on(pilot, HelpScreen)
        assert "Up, k" in shown(pilot) and "Up/Down scroll" in shown(pilot)
        await pilot.press("escape", "colon")
        await on(pilot, PaletteScreen)
        assert "Down, j" in shown(pilot) and "^" not in shown(pilot)
        await pilot.press("escape")
        await on(pilot, StartScreen)
        assert "Up/Down move" in shown(pilot) and "^v" not in shown(pilot)


async def test_the_keys_are_named_for_the_characters_that_are_shown_now(tmp_path: Path) -> None:
    async with wizard(tmp_path) as pilot:
        await on(pilot, StartScreen)
        await pilot.press("colon")
        await on(pilot, PaletteScreen)
        line = pilot.app.screen.query_one(KeyLine)
        assert "↑↓ move" in str(line.render())
        pilot.app.ascii_only = True
        assert "Up/Down move" in str(line.render())


class Line(App[None]):
    """The line of keys alone."""

    def compose(self) -> ComposeResult:
        yield KeyLine()


@pytest.mark.parametrize(
    ("width", "told"), [(29, "a one  b two  q leave  ? help"), (28, "a one  b two  ? help")]
)
async def test_the_last_column_serves_for_keys_too(width: int, told: str) -> None:
    keys = [("a", "one"), ("b", "two"), ("q", "leave")]
    async with Line().run_test(size=(width, 5)) as pilot:
        pilot.app.query_one(KeyLine).show(keys, ("?", "help"))
        await pilot.pause()
        assert str(pilot.app.query_one(KeyLine).render()) == told


async def test_the_console_gets_what_its_font_has(tmp_path: Path) -> None:
    async with wizard(tmp_path) as pilot:
        pilot.app.on_console = True
        await on(pilot, StartScreen)
        for key, kind in (("question_mark", HelpScreen), ("d", WordsScreen), ("colon", PaletteScreen)):
            assert in_its_font(shown(pilot))
            await pilot.press(key)
            await on(pilot, kind)
            assert in_its_font(shown(pilot))
            assert "┌──" in shown(pilot) and "╭" not in shown(pilot)
            await pilot.press("escape")
            await on(pilot, StartScreen)


async def test_day_and_night_by_key(tmp_path: Path) -> None:
    async with wizard(tmp_path) as pilot:
        await on(pilot, StartScreen)
        assert pilot.app.theme == NIGHT.name
        await pilot.press("n")
        assert pilot.app.theme == DAY.name
        await pilot.press("n")
        assert pilot.app.theme == NIGHT.name


def test_the_theme_suits_the_terminal() -> None:
    assert theme_for({"TERM": "xterm-256color"}) == NIGHT.name
    assert theme_for({"TERM": "xterm", "COLORFGBG": "0;15"}) == DAY.name
    assert theme_for({"TERM": "xterm", "COLORFGBG": "15;default;0"}) == NIGHT.name
    assert theme_for({"TERM": "linux"}) == theme_for({"TERM": "vt220"}) == CONSOLE.name
    assert theme_for({"TERM": "xterm", "NO_COLOR": "1"}) == CONSOLE.name


@pytest.mark.parametrize("theme", [NIGHT, DAY], ids=lambda one: one.name)
def test_text_stands_out(theme) -> None:  # type: ignore[no-untyped-def]
    """WCAG 2.2: 7 to 1 for text (1.4.6), 3 to 1 for what is drawn (1.4.11)."""
    behind = (theme.background, theme.surface, theme.panel)
    told = ("text", "text-muted", "text-primary", "text-accent", "text-warning", "text-error", "text-success")
    for colour in (theme.foreground, *(theme.variables[name] for name in told)):
        for back in behind:
            assert contrast(colour, back) >= 7, (colour, back)
    cursor = theme.variables["block-cursor-background"], theme.variables["block-cursor-foreground"]
    assert contrast(*cursor) >= 7
    for drawn in (theme.primary, theme.secondary, theme.accent, theme.variables["text-disabled"]):
        assert contrast(drawn, theme.background) >= 3, drawn
    assert contrast(theme.variables["scrollbar"], theme.variables["scrollbar-background"]) >= 3


@pytest.mark.parametrize("theme", [NIGHT, DAY], ids=lambda one: one.name)
async def test_every_text_on_a_screen_stands_out(tmp_path: Path, theme) -> None:  # type: ignore[no-untyped-def]
    """WCAG 2.2, 1.4.6, of what is drawn in the end: a field with the focus has a ground of its own."""
    async with wizard(tmp_path) as pilot:
        pilot.app.theme = theme.name
        await on(pilot, StartScreen)
        for key, kind in (("question_mark", HelpScreen), ("d", WordsScreen), ("colon", PaletteScreen)):
            stand_out(pilot.app)
            await pilot.press(key)
            await on(pilot, kind)
            stand_out(pilot.app)
            await pilot.press("escape")
            await on(pilot, StartScreen)
        await choose(pilot, "recover")
        await on(pilot, DiskScreen)
        await pilot.press("p")
        await pilot.pause()
        stand_out(pilot.app)


def stand_out(app: SalvageApp) -> None:
    for strip in app.screen._compositor.render_strips():
        for cell in cells_of(strip):
            text, behind = cell.style.color, cell.style.bgcolor
            if cell.text.isalnum() and text and behind:
                pair = text.get_truecolor().hex, behind.get_truecolor().hex
                assert contrast(*pair) >= 7, (cell.text, pair, strip.text)


def test_words_have_the_colours_of_words() -> None:
    """The theme's other colours are for what is drawn: bars, maps, lines."""
    sheets = [Path(inspect.getfile(tui)).parent / "app.tcss"]
    sheets += [Path(inspect.getfile(one)) for one in BOUND + classes() if "DEFAULT_CSS" in one.__dict__]
    for sheet in sheets:
        for line in sheet.read_text().splitlines():
            if re.search(r"(?<!-)color: \$(primary|secondary|accent|text-disabled)\b", line):
                assert re.search(r"-(bar|rest|even|odd|gap) \{", line), (sheet, line)


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    first, second = sorted((luminance(one), luminance(other)))
    return (second + 0.05) / (first + 0.05)


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [value / 255 for value in bytes.fromhex(colour[1:])]
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("size", [(30, 24), (80, 8), (39, 11)])
async def test_a_terminal_that_is_too_small_says_so_and_recovers(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with wizard(tmp_path) as pilot:
        await on(pilot, StartScreen)
        focused = pilot.app.screen.focused
        await pilot.resize_terminal(*size)
        await pilot.pause()
        assert "too small" in shown(pilot)
        assert "What shall be done" not in shown(pilot)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert "What shall be done" in shown(pilot) and "too small" not in shown(pilot)
        assert pilot.app.screen.focused is focused
        await choose(pilot, "practise")
        await on(pilot, PractiseScreen)


@pytest.mark.parametrize("size", [(40, 12), (60, 16)])
async def test_a_small_terminal_still_serves(tmp_path: Path, size: tuple[int, int]) -> None:
    async with wizard(tmp_path, size=size) as pilot:
        await on(pilot, StartScreen)
        assert "Practise" in shown(pilot) and "help" in shown(pilot)
        await pilot.press("j")
        await pilot.pause()
        assert "Recover" in shown(pilot)


async def test_on_a_wide_screen_the_lesson_and_what_is_up_stand_beside(tmp_path: Path) -> None:
    async with wizard(tmp_path, size=(160, 50)) as pilot:
        await on(pilot, StartScreen)
        assert "What can go wrong" in shown(pilot) and "What is up" in shown(pilot)
        await pilot.resize_terminal(100, 30)
        await pilot.pause()
        assert "What can go wrong" not in shown(pilot)


async def test_what_is_chosen_is_seen_without_colour(tmp_path: Path) -> None:
    async with wizard(tmp_path) as pilot:
        await on(pilot, StartScreen)
        assert "> 1  Practise" in shown(pilot) and "> 2" not in shown(pilot)
        await pilot.press("j")
        await pilot.pause()
        assert "> 2  Recover" in shown(pilot) and "> 1" not in shown(pilot)


async def test_a_dialog_answers_once_however_fast_the_keys_come(tmp_path: Path) -> None:
    answers: list[str | None] = []
    async with wizard(tmp_path) as pilot:
        await on(pilot, StartScreen)
        dialog = ConfirmScreen("Sure?", [], [Choice("yes", "Yes")])
        pilot.app.push_screen(dialog, answers.append)
        await on(pilot, ConfirmScreen)
        dialog.dismiss("yes")
        dialog.dismiss("yes")
        await on(pilot, StartScreen)
        await pilot.pause(0.2)
        assert answers == ["yes"] and isinstance(pilot.app.screen, StartScreen)
