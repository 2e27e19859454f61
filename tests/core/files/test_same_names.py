"""A damaged folder that has several entries of one name."""

import json
import subprocess
from pathlib import Path

from tests.conftest import Guard, Program, needs_root


@needs_root
def test_of_two_files_of_one_name_the_one_that_cannot_be_read_is_told(
    tmp_path: Path, guard: Guard, program: Program
) -> None:
    disk, tree = tmp_path / "disk.raw", tmp_path / "tree"
    (tree / "home").mkdir(parents=True)
    for name, text in (("bill-one", "first"), ("bill-two", "second"), ("letter", "rescued")):
        (tree / "home" / name).write_text(text)
    plain = "^metadata_csum,^dir_index"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", plain, "-d", tree, disk, "16M"], check=True)
    disk.write_bytes(disk.read_bytes().replace(b"bill-two", b"bill-one"))
    guard.watch(disk)
    done = program("--json", "--format", "raw", "copy", disk, "disk", "/", tmp_path / "out")
    assert done.status == 4, done.err
    told = json.loads(done.out)
    [lost] = told["unreadable"]
    assert lost["path"] == "/home/bill-one" and "several entries of this name" in lost["error"]
    assert {one.name for one in (tmp_path / "out/home").iterdir()} == {"bill-one", "letter"}
    assert (tmp_path / "out/home/bill-one").read_text() in ("first", "second")
    assert told["files"] == 2
