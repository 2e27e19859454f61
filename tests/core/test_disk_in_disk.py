"""A disk image that lies in the file system of another disk, both opened by this program."""

import json
import subprocess
from pathlib import Path

from tests.conftest import Guard, Program, needs_root
from tests.core.volumes.layer_disks import LETTER, MIB, file_system

pytestmark = needs_root


def _disk_in_disk(folder: Path) -> Path:
    inner = file_system(folder / "inner.raw", 12 * MIB)
    tree = folder / "outer.tree"
    tree.mkdir()
    inner.rename(tree / "mid.raw")
    outer = folder / "outer.raw"
    with open(outer, "wb") as file:
        file.truncate(40 * MIB)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, outer], check=True)
    return outer


def test_its_files_are_copied_and_it_is_still_there(tmp_path: Path, guard: Guard, program: Program) -> None:
    outer, point, out = _disk_in_disk(tmp_path), tmp_path / "point", tmp_path / "out"
    guard.watch(outer)
    raw = ("--format", "raw")
    assert program(*raw, "mount", outer, "disk", point).status == 0
    try:
        copied = program(*raw, "copy", point / "mid.raw", "disk", "/home", out)
        assert copied.status == 0 and (out / "home/letter").read_text() == LETTER
        assert "not there any more" not in copied.err
        assert program(*raw, "mount", point / "mid.raw", "disk", tmp_path / "inner").status == 0
        first, second = json.loads(program("status", "--json").out)["sessions"]
        refused = program("undo", first["id"])
        assert refused.status == 1
        assert f"undo {second['id']}`" in refused.err, refused.err
        assert "losetup --detach" not in refused.err
    finally:
        assert program("undo", "--all").status == 0
