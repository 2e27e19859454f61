"""The real wizard in a real terminal: signals, a lost terminal, what is left on the host."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.lab import catalogue, labs
from core.runner import SystemRunner
from tests.conftest import Guard, needs_root
from tests.tui.terminal import PROGRAM, XTERM, Terminal, terminal

LEAVE_ALTERNATE = b"\x1b[?1049l"


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labs.start(catalogue.built_in()[0], tmp_path_factory.mktemp("labs"), SystemRunner(), 7)


def attached(one: Terminal) -> None:
    """Walk to the opened partition 5."""
    one.shows("How shall the disk be protected")
    one.press("2")
    one.shows("Extended")
    one.press("jj\r")
    one.shows("What shall be done with it")
    one.press("1")
    one.shows("lost+found")


@pytest.mark.hostile(49)
@needs_root
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signal_takes_everything_down(
    disk: Path, tmp_path: Path, guard: Guard, number: signal.Signals
) -> None:
    guard.watch(disk)
    with terminal(tmp_path / "state", str(disk)) as one:
        attached(one)
        one.process.send_signal(number)
        assert one.ended() == 130
        assert LEAVE_ALTERNATE in one.seen
        assert b"Traceback" not in one.seen
    assert os.listdir(tmp_path / "state" / "sessions") == []


@pytest.mark.hostile(49)
@needs_root
def test_lost_terminal_takes_everything_down(disk: Path, tmp_path: Path, guard: Guard) -> None:
    guard.watch(disk)
    with terminal(tmp_path / "state", str(disk)) as one:
        attached(one)
        os.close(one.master)
        one.process.wait(20)
    assert os.listdir(tmp_path / "state" / "sessions") == []


@needs_root
def test_lost_terminal_ends_the_program_whatever_happens(tmp_path: Path, guard: Guard) -> None:
    """Without a terminal a program that goes on only takes processor time, and nobody can end it."""
    program = (
        "import sys\n"
        "from tui.main import main\n"
        "from tui.flow import Flow\n"
        "def do_close(self):\n"
        "    raise RuntimeError('a mistake')\n"
        "Flow.do_close = do_close\n"
        "sys.exit(main())\n"
    )
    with terminal(tmp_path / "state", program=program) as one:
        one.shows("What shall be done")
        one.process.send_signal(signal.SIGHUP)
        assert one.ended() == 130
    assert "Traceback" not in one.text()


def test_error_of_our_own_prints_no_variables(tmp_path: Path) -> None:
    """One paragraph, status 1, and neither a traceback nor what the variables held."""
    program = (
        "import sys\n"
        "from tui.main import main\n"
        "from tui.screens.start import StartScreen\n"
        "def keys(self):\n"
        "    passphrase = 'hush'\n"
        "    raise RuntimeError(passphrase)\n"
        "StartScreen.keys = keys\n"
        "sys.exit(main())\n"
    )
    with terminal(tmp_path / "state", program=program) as one:
        assert one.ended() == 1
    assert "an error of its own (RuntimeError at" in one.text()
    assert "hush" not in one.text()
    assert "Traceback" not in one.text()


def test_the_last_words_keep_to_ascii_too(tmp_path: Path) -> None:
    """What stands on the terminal behind the wizard, whatever a path in it is called."""
    program = (
        "import sys, tui.app\n"
        "from tui.main import main\n"
        "tui.ending.left_up = lambda flow: ['na\\u00efve \\u2026 \\u65e5']\n"
        "sys.exit(main())\n"
    )
    with terminal(tmp_path / "state", "--plain", program=program) as one:
        one.shows("What shall be done")
        one.press("4")
        assert one.ended() == 0
    assert "naive . ??" in one.text() and one.seen.isascii()


@pytest.mark.parametrize("environ", [{"LC_ALL": "zh_CN.GB18030"}, {"LC_ALL": "zh_CN.UTF-8", "TERM": "vt220"}])
def test_what_cannot_show_chinese_is_spoken_to_in_english(tmp_path: Path, environ: dict[str, str]) -> None:
    with terminal(tmp_path / "state", environ={**XTERM, **environ}) as one:
        one.shows("What shall be done")
        one.press("4")
        assert one.ended() == 0
    assert one.seen.isascii()


def test_names_of_another_script_can_be_told_apart_in_ascii(tmp_path: Path) -> None:
    with terminal(tmp_path / "state", "--plain", "/文档") as one:
        one.shows(r"/\u6587\u6863")
    assert one.seen.isascii()


def test_garbage_is_collected_by_the_clock(tmp_path: Path) -> None:
    """Not in the midst of a key; and the program goes on after it."""
    told = tmp_path / "told"
    program = (
        "import gc, sys\n"
        "import tui.tidying\n"
        "tui.tidying._TIDY = 0.2\n"
        "from tui.main import main\n"
        "def seen(phase, about):\n"
        "    if phase == 'stop' and about['generation'] == 2 and gc.get_freeze_count():\n"
        f"        open({str(told)!r}, 'a').write('x')\n"
        "gc.callbacks.append(seen)\n"
        "sys.exit(main())\n"
    )
    with terminal(tmp_path / "state", program=program) as one:
        one.shows("What shall be done")
        one.until(lambda: told.exists() and len(told.read_text()) > 1, "two collections")
        one.press("?")
        one.shows("What can go wrong")


def test_no_terminal_points_to_the_command_line(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, "--state-dir", str(tmp_path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "virt-salvage --help" in ended.stderr
    assert ended.stdout == ""
