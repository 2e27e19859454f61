"""Rows 45 and 48, in the sources: nothing foreign goes into a widget by itself, nor to clipboard or title."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_METHODS = {"update", "notify", "add_option", "add_column", "add_row"}
_SAFE = {"plain", "Content", "assemble", "join", "content_of", "stylize"}


def _sources() -> list[Path]:
    return sorted((ROOT / "tui").rglob("*.py"))


def _is_content(node: ast.expr | None, names: dict[str, ast.expr], content: set[str]) -> bool:
    """Whether an argument is content for sure: made by `plain` and its like, never a str."""
    if node is None:
        return True
    if isinstance(node, ast.Constant):
        return node.value in ("", None)
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called == "join":
            joiner = node.func.value if isinstance(node.func, ast.Attribute) else None
            return _is_content(joiner, names, content)
        return called in _SAFE or called in content
    if isinstance(node, ast.Name):
        return node.id in names and _is_content(names[node.id], {}, content)
    if isinstance(node, ast.IfExp):
        return _is_content(node.body, names, content) and _is_content(node.orelse, names, content)
    return False


def _returns_content(tree: ast.Module) -> set[str]:
    """The functions of a module that say that they make content; mypy holds them to it."""
    own = {
        one.name
        for one in ast.walk(tree)
        if isinstance(one, ast.FunctionDef) and one.returns and ast.unparse(one.returns) == "Content"
    }
    others = [
        one for one in tree.body if isinstance(one, ast.ImportFrom) and one.module == "tui.volume_lines"
    ]
    if not others:
        return own
    theirs = _returns_content(ast.parse((ROOT / "tui/volume_lines.py").read_text()))
    return own | (theirs & {name.name for one in others for name in one.names})


def _widgets(tree: ast.Module) -> set[str]:
    """The widgets of Textual that a module imports."""
    imports = [one for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)]
    return {
        name.asname or name.name
        for one in imports
        if (one.module or "").startswith("textual.widgets")
        for name in one.names
    }


def _unsafe(source: str) -> list[str]:
    tree = ast.parse(source)
    content, widgets = _returns_content(tree), _widgets(tree)
    found = []
    for scope in (one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)):
        names = {
            one.targets[0].id: one.value
            for one in ast.walk(scope)
            if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name)
        }
        for call in (one for one in ast.walk(scope) if isinstance(one, ast.Call)):
            if _goes_unsafe(call, names, content, widgets):
                found.append(ast.unparse(call))
    return found


def _goes_unsafe(call: ast.Call, names: dict[str, ast.expr], content: set[str], widgets: set[str]) -> bool:
    is_method = isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if called not in widgets and not is_method:
        return False
    if called == "update" and not re.search(r"Static|none|note", ast.unparse(call.func)):
        return False  # of a dictionary or a set
    without_markup = any(
        one.arg == "markup" and isinstance(one.value, ast.Constant) and one.value.value is False
        for one in call.keywords
    )
    first = call.args[0] if call.args else None
    if without_markup and not isinstance(first, ast.JoinedStr):
        return False
    return not _is_content(first, names, content)


@pytest.mark.hostile(45)
@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_goes_into_a_widget_by_itself(path: Path) -> None:
    """It goes through `plain`, or is a constant of ours in a widget that reads no markup."""
    source = path.read_text()
    if path.name not in ("menu.py", "path_field.py"):
        assert _unsafe(source) == []
    for bad in (
        "from_markup",
        "textual.markup",
        "rich.markup",
        "copy_to_clipboard",
        "open_url",
        ".set_title",
    ):
        assert bad not in source, "row 48: nothing of a guest reaches the clipboard, a link or the title"


@pytest.mark.hostile(45)
@pytest.mark.parametrize(
    ("line", "fine"),
    [
        ("Static(f'{name}')", False),
        ("Static(name)", False),
        ("Static(_('x'))", False),
        ("Static(_('x').format(name=name), markup=False)", True),
        ("Static(f'{name}', markup=False)", False),
        ("Static(plain(name))", True),
        ("self.query_one('#a', Static).update(name)", False),
        ("self.notify(name)", False),
        ("Option(name)", False),
    ],
)
def test_the_look_at_the_sources_sees(line: str, fine: bool) -> None:
    source = f"from textual.widgets import Option, Static\ndef f(self, name):\n    {line}\n"
    assert (_unsafe(source) == []) is fine
