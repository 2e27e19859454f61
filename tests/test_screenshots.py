"""The pictures in screenshots/ show the program as it is: drawn anew, they are the same."""

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.conftest import needs_root
from tests.picture import CELL
from tests.screenshots import CHARTS, CHINESE, LOOKS

pytestmark = pytest.mark.long(240)

KEPT = Path(__file__).parents[1] / "screenshots"


def told(drawing: str) -> list[str]:
    """The words of a picture; a process number may have a digit more or less, and work takes its time."""
    words: list[str] = []
    place = ("", 0.0)
    for found in re.finditer(r'<text x="([^"]+)" y="([^"]+)"[^>]*>([^<\n]+)</text>', drawing):
        columns, row, text = [float(x) for x in found[1].split()], found[2], unescape(found[3])
        if place[0] == row and abs(columns[0] - place[1]) < 1:
            words[-1] += text  # one word, of which a part looks different
        else:
            words.append(text)
        place = (row, columns[-1] + cell_len(text[-1]) * CELL)
    return [re.sub(r"(^|用时)\d\.\d(?=$|秒)", r"\g<1>0.4", word.replace("47110", "4711")) for word in words]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    done = subprocess.run(
        [sys.executable, "-m", "tests.screenshots", "--words", str(folder)],
        cwd=KEPT.parent,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return folder


def names(folder: Path, kind: str) -> set[str]:
    """The pictures of a kind, without the ending; the charts are drawn from measurements."""
    found = (path.relative_to(folder) for path in folder.rglob(f"*.{kind}"))
    return {str(path.with_suffix("")) for path in found if CHARTS not in path.parts}


@needs_root
def test_there_is_every_picture_and_no_other(drawn: Path) -> None:
    drawings = names(drawn, "svg")
    assert names(KEPT, "svg") == drawings, "stale: make screenshots"
    assert names(KEPT, "png") == {name for name in drawings if "/" not in name}, "stale: make screenshots"
    assert (KEPT / "walk.gif").is_file()


@needs_root
@pytest.mark.parametrize(
    "look", ["", *(look.folder for look in LOOKS), CHINESE], ids=lambda name: name or "usual"
)
def test_the_pictures_show_the_program_as_it_is(drawn: Path, look: str) -> None:
    for path in sorted((drawn / look).glob("*.svg")):
        kept = KEPT / path.relative_to(drawn)
        assert kept.is_file(), f"stale, {kept.name} is missing: make screenshots"
        assert told(kept.read_text()) == told(path.read_text()), f"stale, {kept}: make screenshots"
