"""What libparted and sfdisk say about a table copy (see `core.tables.sectors`)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import child
from core.command import Command
from core.errors import ToolMissing
from core.i18n import _
from core.runner import CommandFailed, Runner
from core.tables.model import Kind
from core.text import safe

_KINDS: dict[str, Kind] = {"primary": "primary", "extended": "extended", "logical": "logical"}


@dataclass(frozen=True, slots=True)
class Extent:
    """A partition as another program sees it; `kind`, `name` and `flags` only if it says so."""

    number: int
    start: int
    end: int
    kind: Kind = "primary"
    name: str | None = None
    bootable: bool = False
    flags: str = ""


@dataclass(frozen=True, slots=True)
class Opinion:
    """The answer of one program. Without a `label` it did not accept the table; `refusal` says why."""

    label: str | None
    extents: tuple[Extent, ...] = ()
    said: tuple[str, ...] = ()
    """What it remarked while it read on; foreign text."""
    refusal: str = ""
    failed: bool = False
    """Whether it could not even answer."""


def libparted_command(copy: Path, sector_size: int) -> Command:
    """The child process that asks libparted about the table copy `copy`."""
    return Command(
        child.argv("core.tables.libparted", str(copy), str(sector_size)),
        _("Reads the partition table with libparted, from a copy of the table's own sectors."),
        environment=child.environment("parted"),
    )


def sfdisk_command(copy: Path) -> Command:
    """The call that asks sfdisk about the table copy `copy`."""
    return Command(
        ("sfdisk", "--json", str(copy)),
        _("Reads the same copy with sfdisk, as a second opinion."),
    )


def ask_libparted(copy: Path, sector_size: int, runner: Runner) -> Opinion:
    """libparted's opinion; a child that died counts as a refusal."""
    try:
        result = runner.run(libparted_command(copy, sector_size))
    except CommandFailed as error:
        return Opinion(None, refusal=_without_path(error.what, copy), failed=True)
    answer = _parsed(result.out)
    if answer is None:
        return Opinion(None, refusal=_("its answer cannot be read"), failed=True)
    said = tuple(_without_path(line, copy) for line in answer.get("said", ()))
    if "refusal" in answer:
        return Opinion(None, said=said, refusal=said[-1] if said else answer["refusal"])
    extents = [
        Extent(
            entry["number"],
            entry["start"],
            entry["end"],
            _KINDS[entry["kind"]],
            entry["name"],
            entry["bootable"],
            entry["flags"],
        )
        for entry in answer["partitions"]
    ]
    return Opinion(answer["label"], tuple(extents), said)


def ask_sfdisk(copy: Path, runner: Runner) -> Opinion:
    """sfdisk's opinion, with libparted's name for the label; it counts in sectors of 512 bytes."""
    try:
        result = runner.run(sfdisk_command(copy))
    except (CommandFailed, ToolMissing) as error:
        return Opinion(None, refusal=_without_path(error.what, copy), failed=True)
    answer = _parsed(result.out)
    table = answer.get("partitiontable") if answer else None
    if not isinstance(table, dict):
        return Opinion(None, refusal=_("its answer cannot be read"), failed=True)
    extents = []
    for entry in table.get("partitions", ()):
        number = str(entry["node"]).removeprefix(str(copy)).lstrip("p")
        if number.isdigit():
            extents.append(Extent(int(number), entry["start"], entry["start"] + entry["size"] - 1))
    label = "msdos" if table.get("label") == "dos" else table.get("label")
    return Opinion(label, tuple(extents))


def _without_path(message: str, copy: Path) -> str:
    """The message without the table copy's name, which means nothing to a person."""
    for known in (f"{copy}: ", f"{safe(copy)}: "):
        message = message.replace(known, "")
    return message.replace(str(copy), _("the disk"))


def _parsed(out: bytes) -> dict[str, Any] | None:
    """A JSON document of a tool, which may hold bytes that are no UTF-8; None if it is not even JSON."""
    try:
        answer = json.loads(out.decode("utf-8", "surrogateescape"), strict=False)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None
