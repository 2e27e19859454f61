"""What is understood on the command line, before anything is done."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from wcwidth import wcswidth

from core.errors import Exit, WrongUsage
from tests.conftest import Program
from tui.main import main
from tui.verbs import parse


def test_without_anything_the_wizard_opens() -> None:
    options = parse([])
    assert (options.verb, options.disk) == (None, None)


def test_a_disk_alone_opens_the_wizard_at_it() -> None:
    options = parse(["--plain", "--state-dir", "/s", "web01.qcow2"])
    assert (options.verb, options.disk, options.plain, str(options.state_dir)) == (
        None,
        "web01.qcow2",
        True,
        "/s",
    )


@pytest.mark.parametrize(
    "words", [["--json", "inspect", "d"], ["inspect", "--json", "d"], ["inspect", "d", "--json"]]
)
def test_options_stand_before_or_after_the_verb(words: list[str]) -> None:
    options = parse(words)
    assert (options.verb, options.disk, options.json, options.dry_run) == ("inspect", "d", True, False)


@pytest.mark.parametrize(
    "words", [["talk", "--yes", "NAME"], ["talk", "NAME", "--yes"], ["--yes", "talk", "NAME"]]
)
def test_options_stand_before_or_after_what_may_be_left_out(words: list[str]) -> None:
    options = parse(["lab", *words])
    assert (options.action, options.name, options.where, options.yes) == ("talk", "NAME", None, True)


def test_options_stand_among_the_arguments_of_any_verb() -> None:
    options = parse(["lab", "answer", "--seed", "3", "NAME", "--json", "--", "-5"])
    assert (options.name, options.where, options.seed, options.json) == ("NAME", "-5", 3, True)
    options = parse(["copy", "d", "5", "/a", "--explain", "/b", "there"])
    assert (options.paths, options.explain) == (["/a", "/b", "there"], True)
    options = parse(["backup", "d", "--json", "there"])
    assert (options.disk, str(options.dest), options.json) == ("d", "there", True)


def test_allow_may_be_given_several_times() -> None:
    options = parse(["inspect", "--allow", "/a", "d", "--allow", "/b"])
    assert [str(path) for path in options.allow] == ["/a", "/b"]


@pytest.mark.parametrize(
    "words",
    [
        ["inspect"],
        ["copy", "d", "5", "/home"],
        ["frobnicate", "x"],
        ["ls", "d"],
        ["inspect", "d", "--nonsense"],
    ],
)
def test_what_does_not_fit_is_wrong_usage(words: list[str]) -> None:
    with pytest.raises(WrongUsage):
        parse(words)


def test_wrong_usage_is_a_sentence_and_status_2(program: Program) -> None:
    called = program("inspect", "disk", "--nonsense")
    assert called.status == 2
    assert called.err.startswith("virt-salvage: ")
    assert "--help" in called.err


@pytest.mark.parametrize(
    "words",
    [("inspect", "--json", "--", "-disk.raw"), ("ls", "--format", "raw", "--", "-disk.raw", "5", "/-x")],
)
def test_behind_two_dashes_no_word_is_an_option(words: tuple[str, ...]) -> None:
    assert parse(words).disk == "-disk.raw"


def test_version_and_help(program: Program) -> None:
    assert program("--version").out.startswith("virt-salvage ")
    helped = program("--help")
    assert helped.status == 0
    for verb in ("list", "inspect", "ls", "cat", "copy", "mount", "backup", "status", "undo", "lab"):
        assert verb in helped.out


def test_the_wizard_wants_a_terminal(program: Program) -> None:
    called = program()
    assert called.status == 2
    assert "virt-salvage --help" in called.err


@pytest.mark.parametrize("given", [(), ("--lang",), ("list", "--lang")])
def test_nothing_and_half_of_an_option_are_wrong_usage_and_no_mistake_of_ours(given: tuple[str, ...]) -> None:
    """Called as it is, without the folder that other tests give."""
    called = subprocess.run(
        [sys.executable, "-m", "tui.main", *given],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (called.returncode, called.stdout) == (2, "")
    assert "Traceback" not in called.stderr and "--help" in called.stderr


def test_the_command_line_does_without_the_screen_library() -> None:
    script = (
        "import sys, tui.main, tui.cli.files, tui.cli.mounting;"
        "print({name.split('.')[0] for name in sys.modules} & {'textual', 'rich', 'parted'})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("number", "told"), [(errno.EBADMSG, "/target/a: Bad message"), (errno.EINVAL, "mistake in virt-salvage")]
)
def test_what_a_damaged_file_system_answers_is_no_mistake_of_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, told: str
) -> None:
    def broken(*_arguments: object) -> None:
        raise OSError(number, os.strerror(number), "/target/a")

    monkeypatch.setattr("tui.main._run_verb", broken)
    assert main(["status"]) == 1
    assert told in capsys.readouterr().err


def test_the_help_names_a_row_of_things_once(program: Program) -> None:
    usage = " ".join(program("copy", "--help").out.split())
    assert "DISK VOLUME SRC... DEST copy files" in usage and "[SRC" not in usage


@pytest.mark.parametrize("verb", ["copy", "inspect", "undo", "lab"])
def test_the_chinese_help_fits_and_breaks_no_word(
    program: Program, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = program("--lang", "zh_CN", verb, "--help").out
    usage, _gap, options = told.partition("\n\n")
    first, *further = usage.splitlines()
    begins = wcswidth(first[: first.index("[-h]")])
    assert all(wcswidth(line[: len(line) - len(line.lstrip())]) == begins for line in further)
    assert max(map(wcswidth, usage.splitlines())) <= 80
    lines = options.splitlines()
    assert max(wcswidth(line) for line in lines) <= 80
    assert not [line for line in lines if line.strip()[:1] in "，。、；：？！）"[1:] and line.strip()]
    assert "ssh://" in told or verb not in ("copy", "inspect")


@pytest.mark.parametrize("before", [["--passphrase-file", "x"], ["--way=loop"], ["--json", "--replay"]])
def test_an_option_of_a_verb_before_it_is_what_is_named(program: Program, before: list[str]) -> None:
    called = program(*before, "ls", "/x", "1", "/")
    assert called.status == 2
    option = before[-1 if "--json" in before else 0].partition("=")[0]
    assert f"{option} belongs to the verb" in called.err


def test_who_reads_only_the_first_lines_is_told_nothing_of_it() -> None:
    """As with `| head`: the list is longer than what a pipe holds."""
    code = (
        "import sys; from unittest.mock import patch; from tui import main\n"
        "from tui.cli.common import _print\n"
        "def many(_options):\n"
        "    for _line in range(100_000): _print('x' * 70, sys.stdout, plain=False)\n"
        "with patch.object(main, '_run_verb', many): sys.exit(main.main(['list']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as called:
        assert called.stdout and called.stderr
        assert called.stdout.readline() == "x" * 70 + "\n"
        called.stdout.close()
        assert called.stderr.read() == ""


@pytest.mark.parametrize(
    ("argv", "closed", "status"),
    [
        (["undo", "--end", "--all"], 0, Exit.USAGE),
        (["--linear"], 0, Exit.DONE),
        (["status"], 1, Exit.DONE),
        (["undo", "no-such"], 2, Exit.USAGE),
    ],
)
def test_a_closed_stream_is_as_good_as_an_empty_one(
    state_dir: Path, argv: list[str], closed: int, status: int
) -> None:
    shell = f'exec "$@" {closed}{"<" if closed == 0 else ">"}&-'
    command = [sys.executable, "-m", "tui.main", "--state-dir", str(state_dir), *argv]
    called = subprocess.run(["sh", "-c", shell, "sh", *command], capture_output=True, check=False, timeout=60)
    assert called.returncode == status, called.stderr
    assert b"mistake" not in called.stderr
