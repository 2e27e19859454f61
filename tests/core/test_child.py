"""Modules of this program as processes of their own: found from any folder, without anybody's environment."""

import subprocess
from pathlib import Path

import pytest

from core import child
from core.command import SERVING


@pytest.mark.parametrize(("module", "libraries"), [(SERVING, ()), ("core.tables.libparted", ("parted",))])
def test_it_is_found_from_anywhere(module: str, libraries: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core/__init__.py").write_text("raise SystemExit('the working folder stood in')")
    ended = subprocess.run(
        # pip's own note of where the checkout is would find it too
        [child.argv(module)[0], "-S", *child.argv(module, "--help")[1:]],
        cwd=tmp_path,
        env=dict(child.environment(*libraries)),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "No module named" not in ended.stderr and "stood in" not in ended.stderr, ended.stderr


def test_without_it_nothing_is_found(tmp_path: Path) -> None:
    bare = [child.argv(SERVING)[0], "-S", *child.argv(SERVING)[1:]]
    ended = subprocess.run(bare, cwd=tmp_path, env={}, capture_output=True, text=True, timeout=60)
    assert "No module named 'core'" in ended.stderr
