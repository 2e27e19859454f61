"""What the tests of copying share."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from core.cancel import CancelToken
from core.files.choices import Choices
from core.files.content import ReadAt, read_at
from core.files.copy import copy
from core.files.outcome import Copied
from core.files.progress import Progress
from core.files.tree import GuestTree

ALL = Choices(privileges=True, verify="all")


def quiet(_progress: Progress) -> None:
    return


def run(
    root: Path,
    dest: Path,
    *sources: bytes,
    cancel: CancelToken | None = None,
    progress: Callable[[Progress], None] = quiet,
    read: ReadAt = read_at,
    choices: Choices = ALL,
) -> Copied:
    """Copy with what a test does not care about filled in."""
    with GuestTree(root) as tree:
        return copy(
            tree, sources or (b"/",), dest, cancel or CancelToken(), progress, read=read, choices=choices
        )


def check_sums(dest: Path, name: str = "SHA256SUMS") -> list[str]:
    """What the real sha256sum does not find in order, and how many files it found in order."""
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", name],
        cwd=dest,
        capture_output=True,
        text=True,
        errors="surrogateescape",
    )
    bad = [line for line in done.stdout.splitlines() if line.endswith("FAILED") or "FAILED open" in line]
    return bad + done.stderr.splitlines()
