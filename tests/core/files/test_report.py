import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from core import __version__
from core.command import Command
from core.files.markdown import block, plain, span
from core.files.outcome import Copied, Lost, Unreadable
from core.files.report import write_report
from core.files.webpage import page
from core.i18n import use_language
from core.runner import Ran, Result

EVIL = (
    "# heading",
    "- list\n\n# heading",
    "```\n# out of the fence\n```",
    "`` ` ``` ````",
    "`",
    " ` ",
    "<script>alert(1)</script>",
    "<!-- never closed",
    "![x](http://evil/)",
    "[x](javascript:alert(1))",
    "https://evil.example/",
    "\x1b]0;t\x07\x1b[31m",
    "\u202egnp.exe",
    "a | b\n--- | ---",
    "&lt;b&gt;&#35;",
    "**bold** _it_ ~~gone~~",
    "1. one",
    "\\",
    "",
    "   ",
)


def _copied(dest: Path, names: tuple[str, ...] = EVIL) -> Copied:
    manifest = dest / "SHA256SUMS"
    manifest.touch()
    gaps = [Unreadable(name.encode(), name) for name in names]
    lost = [Lost(name.encode(), name) for name in names]
    return Copied(1, 2, 3, 4, 5, 0.5, manifest, gaps, lost, 0)


def _tokens(text: str) -> list[str]:
    return [
        inner.type
        for token in MarkdownIt("commonmark", {"linkify": False}).parse(text)
        for inner in (token, *(token.children or ()))
    ]


@pytest.mark.hostile(47)
@pytest.mark.parametrize("text", EVIL)
def test_foreign_text_is_only_text(text: str) -> None:
    if plain(text).strip():
        rendered = MarkdownIt().parseInline(plain(text))[0].children or []
        assert {token.type for token in rendered} <= {"text", "text_special"}
    shown = MarkdownIt().parseInline("x" + span(text))[0].children or []
    assert [token.type for token in shown] == ["text", "code_inline"]
    fenced = MarkdownIt().parse("\n".join(block([text, text])))
    assert [token.type for token in fenced] == ["fence"]


@pytest.mark.hostile(47)
def test_the_report_tells_all_and_breaks_nothing(tmp_path: Path) -> None:
    command = Command(("losetup", "--show", "`x`\n# heading"), "Shows <b>bytes</b>.", "A loop appears.")
    ran = [Ran(command, Result(0, b"", b"", 0.1)), Ran(command, None)]
    facts = {"disk": {"path": os.fsdecode(b"/\xff\x1b[2J"), "names": list(EVIL)}, "volume": b"\xfe"}
    report = write_report(tmp_path, facts, _copied(tmp_path), ran, {"loops": []}, {"loops": ["loop0"]})
    told = json.loads(report.json.read_bytes())
    assert told["copied"]["files"] == 1 and len(told["copied"]["unreadable"]) == len(EVIL)
    assert told["commands"][0]["argv"][0] == "losetup" and told["commands"][0]["why"] == command.why
    assert (told["host_before"], told["host_after"]) == ({"loops": []}, {"loops": ["loop0"]})
    assert told["disk"]["path"] == "/\\xff\x1b[2J"
    text = report.markdown.read_bytes().decode("utf-8")
    assert "\x1b" not in text and "\u202e" not in text
    tokens = _tokens(text)
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert tokens.count("heading_open") == 9
    assert len([line for line in headings if line.startswith(("# What", "## "))]) == 9
    assert tokens.count("fence") == 2
    assert not {"html_block", "html_inline", "image", "link_open", "strong_open", "hr"} & set(tokens)


def test_the_report_begins_with_what_everybody_wants_to_know(tmp_path: Path) -> None:
    facts = {"disk": {"virtual_size": 512483328, "exists": True}, "state": "left"}
    after = {"proof": {"sentence": "Host as found."}}
    report = write_report(tmp_path, facts, _copied(tmp_path, ()), [], {}, after)
    for text in (report.markdown.read_text(), report.html.read_text()):
        head = text.partition("What was copied")[0]
        assert "All that was chosen was read" in head and "Host as found." in head, head
        assert f"by virt-salvage {__version__} on " in head
        assert json.loads(report.json.read_bytes())["written"] in head
        assert "488.7 MiB (512483328)" in text and "True" not in text
        assert "Size for the machine" in text and "virtual" not in text, "no names of a programmer's"
        assert "as it lies on the disk" in text
    report = write_report(tmp_path, facts, _copied(tmp_path, ("x", "y")), [], {}, after)
    head = report.markdown.read_text().partition("What was copied")[0]
    assert "Not read: 2" in head and "Not copied" not in head and "All that" not in head
    copied = _copied(tmp_path, ("x",))
    copied.unreadable[0] = Unreadable(b"x", "It is taken.", "taken")
    report = write_report(tmp_path, facts, copied, [], {}, after)
    head = report.markdown.read_text().partition("What was copied")[0]
    assert "Not copied: 1" in head and "Not read" not in head, "it was read"


@pytest.mark.hostile(47)
def test_an_earlier_report_is_kept_and_the_guest_s_is_left_alone(tmp_path: Path) -> None:
    copied = _copied(tmp_path, ())
    first = write_report(tmp_path, {"number": 1}, copied, [], {}, {})
    second = write_report(tmp_path, {"number": 2}, copied, [], {}, {})
    assert first == second
    assert json.loads(second.json.read_bytes())["number"] == 2
    assert json.loads((tmp_path / "salvage-report.earlier-1.json").read_bytes())["number"] == 1
    copied.manifest.write_text("ab" * 32 + "  salvage-report.json\n")
    third = write_report(tmp_path, {"number": 3}, copied, [], {}, {})
    assert third.json.name == "salvage-report.json.virt-salvage"
    assert third.markdown.name == "salvage-report.md"
    assert json.loads(second.json.read_bytes())["number"] == 2


def test_a_link_of_that_name_is_not_followed(tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    dest.mkdir()
    (tmp_path / "victim").write_text("untouched")
    (dest / "salvage-report.json").symlink_to(tmp_path / "victim")
    (dest / ".virt-salvage-part-salvage-report.md").symlink_to(tmp_path / "victim")
    report = write_report(dest, {}, _copied(dest, ()), [], {}, {})
    assert (tmp_path / "victim").read_text() == "untouched"
    assert report.json.name == "salvage-report.json.virt-salvage"
    assert report.markdown.read_text().startswith("# ")


def test_json_of_a_copy_is_the_contract_s(tmp_path: Path) -> None:
    told = _copied(tmp_path, ("x",)).to_json()
    assert told == {
        "files": 1,
        "bytes": 5,
        "seconds": 0.5,
        "manifest": str(tmp_path / "SHA256SUMS"),
        "unreadable": [{"path": "x", "error": "x", "why": "unread"}],
        "lost_metadata": [{"path": "x", "what": "x"}],
        "sidecar": None,
        "verified": {"files": 0, "parts_of": 0, "bytes": 0, "all": False, "wrong": []},
        "replaced": 0,
        "kept_both": 0,
    }


class _Seen(HTMLParser):
    """What a browser would see: the tags, and the attributes that could fetch or run something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.reaching: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.reaching += [name for name, _value in attrs if name in ("href", "src") or name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.hostile(47)
def test_the_page_for_a_browser_runs_and_fetches_nothing(tmp_path: Path) -> None:
    report = write_report(tmp_path, {"disk": {"path": EVIL[6]}}, _copied(tmp_path), [], {}, {})
    text = report.html.read_bytes().decode("utf-8")
    seen = _Seen()
    seen.feed(text)
    assert not seen.tags & {"script", "img", "a", "iframe", "link", "object", "form"}
    assert seen.reaching == []
    assert "default-src 'none'" in text
    assert "<script>alert(1)</script>" in seen.text  # told, as text
    assert f"{len(EVIL)}</strong>" in text
    bars = re.findall(r'<rect class="(\w+)" x="([\d.]+)" width="([\d.]+)"', text)
    assert [name for name, _x, _width in bars] == ["saved", "lost"]
    assert re.findall(r'<span class="(\w+)">', text) == ["saved", "kept", "lost"], "told by the same colours"
    again = replace(_copied(tmp_path), skipped_same=1)  # the one file was there already
    assert '<rect class="saved"' not in page("# t", again, "t")
    assert sum(float(width) for _name, _x, width in bars) == pytest.approx(600, abs=0.5)


def test_the_page_names_its_language(tmp_path: Path) -> None:
    assert '<html lang="en">' in page("# t", _copied(tmp_path), "t")
    use_language("zh_CN")
    try:
        assert '<html lang="zh-CN">' in page("# t", _copied(tmp_path), "t")
    finally:
        use_language("en")
