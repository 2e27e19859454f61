"""A disk whose every name is hostile: its file, its partition, its file system and all files in it."""

import os
import subprocess
from pathlib import Path

from tests.core.tables.table_disks import gpt_disk, gpt_entry, put

NAMES = (
    "[/",
    "[/bold]",
    "[@click=app.quit]press[/]",
    "\x1b]0;PWNED\x07",
    "\x1b]52;c;cm0gLXJm\x07",
    "\x1b]8;;http://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "\x1b[2J\x1b[31m",
    "\x9b31m",
    "\u202egpj.exe",
    "zero\u200bwidth\u2060",
    "line\nbreak\r\ttab",
    os.fsdecode(b"\xff\xfe"),
    "\x01\x02\x7f",
    "$(reboot) `reboot` 'q' \"d\" | <script>",
)
ALL = "".join(NAMES[:1] + NAMES[3:4] + NAMES[8:10] + NAMES[11:12])
"""Something of every kind, short enough for the name of a file in a folder that is named so too."""
FOLDER = "[bold]\x1b[2J\u202e"
"""The one folder in the guest."""
START = 2048
SECTORS = 16 << 11


def guest(root: Path) -> Path:
    """A tree in which every name, and every link's target, is one of them."""
    folder = root / FOLDER
    folder.mkdir(parents=True)
    for name in NAMES:
        plain = name.replace("/", "")
        (folder / plain).write_text(f"secret of {name!r}\n")
        (folder / f"{plain}.link").symlink_to(name)
    (root / "\x1b]0;first\x07").write_text("\x1b[2J\x1b]52;c;eA==\x07 what is in a file\n")
    return root


def hostile_disk(folder: Path, name: str = f"{ALL}.img".replace("/", "")) -> Path:
    """A raw disk of 18 MiB with a GPT of one named partition with a labelled ext4."""
    folder.mkdir(parents=True, exist_ok=True)
    disk, part = folder / name, folder / "part"
    with open(part, "xb") as file:
        file.truncate(SECTORS * 512)
    tree = guest(folder / "guest")
    label = b"[/]\x1b[2J\xff\n\x07`|"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tree, "-L", label, part], check=True)
    title = "[/bold]\x1b[2J\u202e\x07\n".encode("utf-16-le") + b"\x3d\xd8"  # and half a pair
    gpt_disk(disk, START + SECTORS + 2048, [gpt_entry(START, START + SECTORS - 1, title)])
    put(disk, START * 512, part.read_bytes())
    part.unlink()
    return disk
