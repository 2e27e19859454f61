"""A table as a script for sfdisk(8), to write it to a copy or an overlay of the disk."""

import shlex
from pathlib import Path

from core.command import Command
from core.i18n import _
from core.tables.model import Partition, PartitionTable
from core.text import safe

_LABELS = {"msdos": "dos", "gpt": "gpt"}


def script(table: PartitionTable) -> str:
    """The script; empty where there is no table to write. Starts and sizes are in sectors."""
    label = _LABELS.get(table.label or "")
    if not label:
        return ""
    lines = [f"label: {label}", "unit: sectors", f"sector-size: {table.sector_size}"]
    if label == "gpt":
        # sfdisk would keep the first mebibyte free otherwise, and refuse what begins before
        first = min(part.start for part in table.partitions)
        lines.append(f"first-lba: {min(first, 2048)}")
    lines.append("")
    lines += [_line(part, label) for part in table.partitions]
    return "\n".join(lines) + "\n"


def _line(part: Partition, label: str) -> str:
    words = [f"start={part.start}", f"size={part.sectors}", f"type={part.type}"]
    if label == "gpt" and part.name:
        # the script has no way to write a quotation mark, and no name needs one
        words.append('name="' + safe(part.name).replace('"', "'").replace("\\", "/") + '"')
    if part.bootable and label == "dos":
        words.append("bootable")
    return f"{part.number} : " + ", ".join(words)


_KEEPING = ("--no-reread", "--no-tell-kernel", "--wipe", "never", "--wipe-partitions", "never")
"""sfdisk asks the kernel nothing, and erases no signature of what lies in the partitions."""


def write_command(table: PartitionTable, view: Path) -> Command:
    """Write the table to `view`, the raw bytes of an overlay; boot code in the first sector stays."""
    return Command(
        ("sfdisk", "--quiet", *_KEEPING, str(view)),
        _("Write the table that the search put together, as a script for sfdisk, into the overlay."),
        effect=_("the overlay has the table; the disk stays as it is"),
        given=script(table),
    )


def by_hand(disk: Path, format: str) -> list[str]:
    """How the script is applied to an overlay of the disk, as commented lines for a shell."""
    image, backing = shlex.quote(str(disk)), shlex.quote(format)
    node = "driver=qcow2,node-name=o,file.driver=file,file.filename=overlay.qcow2"
    export = "type=fuse,id=e,node-name=o,mountpoint=overlay.raw,writable=on"
    keeping = " ".join(_KEEPING)
    return [
        "# " + _("Never write this to the disk itself. To write it to an overlay, as table.sfdisk:"),
        f"#   qemu-img create -f qcow2 -F {backing} -b {image} overlay.qcow2",
        "#   touch overlay.raw",
        f"#   qemu-storage-daemon --blockdev {node} --export {export} &",
        f"#   sfdisk {keeping} overlay.raw < table.sfdisk",
    ]
