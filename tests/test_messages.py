"""Translations: complete, of nothing that is gone, filling in the same things, and compiled."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
from wcwidth import wcswidth

from tests import messages, typography
from tests.conftest import Program


@pytest.fixture(params=messages.LANGUAGES)
def code(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_message_of_the_sources_is_translated(code: str) -> None:
    assert messages.missing(code) == [], "python -m tests.messages renew"


def test_no_message_hides_in_an_f_string() -> None:
    """There the search for messages does not find it before Python 3.12, and it would stay English."""
    hidden = [
        f"{path.relative_to(messages.TOP)}:{call.lineno}"
        for folder in ("core", "tui")
        for path in (messages.TOP / folder).rglob("*.py")
        for text in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(text, ast.JoinedStr)
        for call in ast.walk(text)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in messages.KEYWORDS
        and isinstance(call.args[0], ast.Constant)
    ]
    assert hidden == []


def test_no_translation_is_of_a_message_that_is_gone(code: str) -> None:
    assert messages.unused(code) == [], "python -m tests.messages renew"


def test_what_is_filled_in_is_the_same(code: str) -> None:
    assert messages.differing(code) == []


def test_chinese_is_set_as_chinese_is() -> None:
    """Wide marks, and no space beside Latin letters: a screen that is set in two ways looks torn."""
    wrong = [
        (text, found)
        for identity, message in messages.entries(messages.read("zh_CN")).items()
        for text in (message.string if isinstance(message.string, tuple) else (message.string,))
        if (found := typography.mistakes(identity if isinstance(identity, str) else identity[-1], text))
    ]
    assert wrong == []


def test_what_is_wrong_in_chinese_is_found() -> None:
    for text in (
        "2个文件, 两个",
        "内容。 修复",
        "只用 ASCII",
        "编号为{number} 的",
        "真的吗?",
        "是(否)",
        "完成.",
    ):
        assert typography.mistakes("", text), text
    for text in (
        "加上--replay则",
        "mount(8)和losetup(8)",
        "vm:名称，或ssh://主机",
        "用?tls-psk-file=FILE",
        "*.conf  信件",
    ):
        assert not typography.mistakes("", text), text
    assert typography.mistakes("It is so.", "是这样") and typography.mistakes("so", "这样。")


def test_what_gettext_reads_is_what_was_translated(code: str) -> None:
    assert messages.path(code, "mo").read_bytes() == messages.compiled(code)


def test_the_help_speaks_the_language_that_is_asked_for(program: Program) -> None:
    assert "磁盘" in program("--lang", "zh_CN", "--help").out
    assert "磁盘" in program("--lang=zh_CN", "--help").out
    assert "磁盘" in program("--help", env={"LC_ALL": "zh_CN.UTF-8", "LANGUAGE": "zh_CN"}).out
    assert "disk" in program("--lang", "xx", "--help").out


def test_what_argparse_lists_is_listed_as_the_language_does(program: Program) -> None:
    assert "DISK，VOLUME，SRC" in program("--lang", "zh_CN", "copy").err
    assert "DISK, VOLUME, SRC" in program("--lang", "en", "copy").err


def test_columns_of_wide_characters_stay_columns(program: Program, tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    with open(disk, "wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["sfdisk", "-q", disk], input=b"label: gpt\nsize=20M, type=swap\nsize=20M\n", check=True)
    lines = program("--lang", "zh_CN", "inspect", disk).out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("ID") and "内容" in line)
    head, rows = lines[at], lines[at + 1 : at + 3]
    edge = wcswidth(head[: head.index("类型")])
    assert len(rows) == 2
    for row in rows:
        start = next(cut for cut in range(len(row)) if wcswidth(row[:cut]) == edge)
        assert row[start - 2 : start] == "  " and row[start] != " "


def test_sentences_are_not_put_together_by_hand() -> None:
    """Behind a full stop of two columns stands no space: `sentences` knows."""
    by_hand = re.compile(
        r"""\+ " " \+ _\(|\{error\.what\} |" "\.join\((?:stuck|told|shown)\)|\) \+ " " \+ who"""
        r"""|\+= " " \+ _\(|\(" " \+ _\(|told\} \{more|^ *\+ "(?:, | )"$"""
        r"""|(?<!_\()"; "\.join\((?:told|missing|lines)|\.path\)\}: \{"""
    )
    found = [
        f"{path.relative_to(messages.TOP)}:{number}"
        for folder in ("core", "tui")
        for path in sorted((messages.TOP / folder).rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if by_hand.search(line)
    ]
    assert found == []
