"""Real images that others made, against what parted, sfdisk and libblkid saw in them.

Where the three disagree, this is who is right:

- parted shows a file system without a table as one partition from sector 0 (its label ``loop``), or
  refuses; sfdisk invents partitions from the text of boot sectors (7-ntfs-undel, 9-fat-label,
  fat32_xp_none*, ntfs.img, exfat.img, befs.img, fat.img). Right: there is no table.
- ext-part-test-2.dd has a partition in the third entry of an extended record: sfdisk loses partition 6
  and gives its number to the next. parted, libblkid and the kernel see seven partitions; they are right.
- dos+bsd.img: libblkid sees an old ext3 superblock beside the MBR. Both are there; parted and sfdisk
  agree on the table, and the file system is named among the problems.
"""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from core.runner import SystemRunner
from core.tables.content import probe
from core.tables.judge import read_table
from tests.corpora import MISSING, TRUTH

pytestmark = pytest.mark.skipif(not TRUTH, reason=MISSING)

READABLE = [row for row in TRUTH if row["qemu_img_format"] and not row.get("qemu_img_error")]
UNKNOWN_TO_QEMU = [row for row in TRUTH if not row["qemu_img_format"]]
INSIDE = [
    (row, part)
    for row in READABLE
    for part in row.get("inside", ())
    if part["start"] > 0 and part["size"] and (part["start"] + part["size"]) * 512 <= row["virtual_size"]
]


def raw(corpora: Path, row: dict[str, Any]) -> Path:
    """The image as raw bytes; converted once where it is of another format.

    A disk that begins with a LUKS header is raw: qemu's driver of that name is for its own use.
    """
    image = corpora / row["file"]
    if row["qemu_img_format"] in ("raw", "luks", None):
        return image
    converted = corpora.with_name("corpora-as-raw") / row["file"]
    if not converted.exists():
        converted.parent.mkdir(parents=True, exist_ok=True)
        argv = ["qemu-img", "convert", "-f", row["qemu_img_format"], "-O", "raw", image, converted]
        subprocess.run(argv, check=True, capture_output=True)
    return converted


def parted_says(row: dict[str, Any]) -> list[tuple[int, int, int]]:
    """Number, first and last sector of each partition; none where parted only shows the whole disk."""
    found = []
    for line in row.get("parted") or ():
        number, start, end = line.split(":")[:3]
        found.append((int(number), int(start.rstrip("s")), int(end.rstrip("s"))))
    return [] if len(found) == 1 and found[0][1] == 0 else found


def shown_by_blkid(text: str | None) -> str | None:
    """Text as blkid's export form shows it: util-linux, misc-utils/blkid.c, safe_print."""
    if text is None:
        return None
    shown = ""
    for byte in text.encode("utf-8", "surrogateescape"):
        shown += "M-" if byte >= 128 else ""
        low = byte & 127
        if low < 32 or low == 127:
            shown += "^" + chr(low ^ 64)
        else:
            shown += ("\\" if chr(low) in " \\\"'$`<>" else "") + chr(low)
    return shown


@pytest.mark.parametrize("row", READABLE + UNKNOWN_TO_QEMU, ids=lambda row: row["file"])
def test_partitions_are_those_that_parted_sees(corpora: Path, tmp_path: Path, row: dict[str, Any]) -> None:
    disk = raw(corpora, row)
    table = read_table(disk, disk.stat().st_size, tmp_path, SystemRunner())
    assert [(p.number, p.start, p.end) for p in table.partitions] == parted_says(row)
    kind = (row["blkid"] or {}).get("PTTYPE")
    assert table.label == ("msdos" if kind == "dos" else kind)
    differing = {"ext-part-test-2.dd": "sfdisk reads", "dos+bsd.img": "ext3"}
    expected = differing.get(disk.name)
    assert len(table.problems) == (1 if expected else 0)
    assert not expected or expected in table.problems[0]


@pytest.mark.parametrize("row", READABLE, ids=lambda row: row["file"])
def test_content_of_the_whole_disk(corpora: Path, row: dict[str, Any]) -> None:
    truth = row["blkid"] or {}
    found = probe(raw(corpora, row), 0, None, SystemRunner())
    assert found.content == truth.get("TYPE")
    assert shown_by_blkid(found.label) == truth.get("LABEL")
    assert shown_by_blkid(found.uuid) == truth.get("UUID")


@pytest.mark.parametrize(("row", "part"), INSIDE, ids=lambda value: value.get("file") or value.get("n"))
def test_content_of_partitions(corpora: Path, row: dict[str, Any], part: dict[str, Any]) -> None:
    found = probe(raw(corpora, row), part["start"] * 512, part["size"] * 512, SystemRunner())
    assert (found.content, found.usage) == (part.get("TYPE"), part.get("USAGE"))
    assert shown_by_blkid(found.label) == part.get("LABEL")
    assert shown_by_blkid(found.uuid) == part.get("UUID")
