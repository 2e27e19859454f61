"""What ``qemu-img check`` says of the images of a chain, read-only; see qemu-img(1)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.command import Command, Limits
from core.disks import overlay as overlays
from core.disks.model import Disk, Link
from core.disks.vet import link_node
from core.i18n import N_, _, ngettext
from core.runner import CommandFailed, Runner
from core.text import safe

_CHECKED = frozenset({"qcow2", "qed", "vdi", "vhdx", "vmdk", "parallels"})
"""The formats whose driver in QEMU has a check."""
_LONG = Limits(wall=3600.0, processor=3600)
_DONE, _NO_CHECK = frozenset({0, 2, 3}), 63
"""Exit statuses of a check that came to its end: sound, corrupt, leaks; and of a format that has none."""


State = Literal["sound", "leaks", "corrupt", "failed", "unchecked"]


@dataclass(frozen=True, slots=True)
class ImageCheck:
    """One image of the chain."""

    path: Path
    format: str
    state: State
    corruptions: int = 0
    leaks: int = 0
    said: str = ""
    """The program's own words where it failed."""

    def sentence(self) -> str:
        """The verdict, and what it means for the data."""
        if self.state == "sound":
            return _("its tables are consistent")
        if self.state == "leaks":
            return ngettext(
                "{count} cluster is in use by nothing: that room is lost, and no data is at risk",
                "{count} clusters are in use by nothing: that room is lost, and no data is at risk",
                self.leaks,
            ).format(count=self.leaks)
        if self.state == "corrupt":
            return ngettext(
                "{count} entry of its tables contradicts the others: what lies there may read wrong",
                "{count} entries of its tables contradict the others: what lies there may read wrong",
                self.corruptions,
            ).format(count=self.corruptions)
        if self.state == "failed":
            return _("the check could not be made: {message}").format(message=self.said)
        return _("this format has no tables that could be checked")

    def to_json(self) -> dict[str, object]:
        return {
            "path": safe(self.path),
            "format": self.format,
            "state": self.state,
            "corruptions": self.corruptions,
            "leaks": self.leaks,
            "sentence": self.sentence(),
        }


REPAIR = N_(
    "A repair is for a copy only, never for this file: `virt-salvage backup` makes one, and"
    " `qemu-img check -r all` mends it. Compare what is on it before and after."
)


def check_images(disk: Disk, runner: Runner) -> list[ImageCheck]:
    """Check every image of the chain that is there, each by itself; nothing is written."""
    return [_checked(link, runner) for link in disk.chain if link.exists]


def _checked(link: Link, runner: Runner) -> ImageCheck:
    if link.format not in _CHECKED or link.window is not None or link.reader:
        return ImageCheck(link.path, link.format, "unchecked")
    if link.encryption:
        return ImageCheck(link.path, link.format, "failed", said=_("the image is encrypted"))
    command = Command(
        ("qemu-img", "check", "--output=json", overlays.named(link_node(link, None, {}))),
        why=_("Check the image's tables, read-only."),
        limits=_LONG,
        good=_DONE | {_NO_CHECK},
    )
    try:
        result = runner.run(command)
    except CommandFailed as failure:
        return ImageCheck(link.path, link.format, "failed", said=failure.what)
    if result.status == _NO_CHECK:
        return ImageCheck(link.path, link.format, "unchecked")
    try:
        told: dict[str, Any] = json.loads(result.out)
    except ValueError:
        told = {}
    corruptions, leaks = _number(told, "corruptions"), _number(told, "leaks")
    failed = _number(told, "check-errors")
    state: State = "corrupt" if corruptions else "leaks" if leaks else "failed" if failed else "sound"
    said = _("{count} reads failed").format(count=failed) if failed else ""
    return ImageCheck(link.path, link.format, state, corruptions, leaks, said)


def _number(told: dict[str, Any], key: str) -> int:
    value = told.get(key, 0)
    return value if isinstance(value, int) else 0
