"""Every way through the program that puts something up: the disks, and the calls."""

import os
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

from core.disks.model import Disk
from core.session import Session
from tests.conftest import Guard
from tests.core.volumes.array_disks import array_disk
from tests.core.volumes.layer_disks import Run, luks_disk, lvm_disk
from tests.core.volumes.raid_disks import raid_disk

SIZE = 6 << 20
"""Bytes of a disk's file system; the disk itself is a little larger, so that it can be told from others."""
SECRET = "dear reader\n"
FORMATS = ("raw", "qcow2")
_DISKS = {
    "disk": "disk",
    "vg/whole": "lvm",
    "vg/pieces": "lvm",
    "1/luks": "luks",
    "2": "parted",
    "md:five": "array",
    "inner/root": "nested",
    "vg/five": "raids",
    "vg/snap": "raids",
    "quick/web": "cached",
    "disk/luks": "checked",
}
"""The names of the disks by the volumes that they have."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one sweeper works. Nothing of it is shared with another."""

    base: Path
    number: int
    run: int = field(default_factory=lambda: os.getpid() % 1024)

    @property
    def disk_size(self) -> int:
        """The virtual size of its disks, in bytes: no other sweeper's loop devices have that size limit."""
        return SIZE + 512 * (1 + self.number % 16 + 16 * self.run)

    def disk(self, format: str, volume: str = "disk") -> Path:
        """The disk of that format with that volume."""
        return self.base / f"{_DISKS[volume]}.{format}"

    @property
    def disks(self) -> list[Path]:
        """All disks that were made."""
        return [
            path
            for name in dict.fromkeys(_DISKS.values())
            for format in FORMATS
            if (path := self.base / f"{name}.{format}").exists()
        ]

    @property
    def passphrase(self) -> Path:
        """A file with the passphrase of what is encrypted."""
        return self.base / "passphrase"

    @property
    def state(self) -> Path:
        return self.base / "state"

    @property
    def small(self) -> Path:
        """Where a small file system is mounted, to be filled."""
        return self.base / "small"

    @property
    def point(self) -> Path:
        return self.base / "m"

    @property
    def out(self) -> Path:
        return self.base / "out"

    @property
    def backup(self) -> Path:
        return self.base / "backup"

    @property
    def soon(self) -> float:
        """Seconds that a release waits for what hangs, in the place of many; other programs end sooner."""
        return 0.5

    def guarded(self) -> Guard:
        """What compares the host with what it is now."""
        return Guard(self.base)

    def clear(self) -> None:
        """Take down what `make_disks` put up."""

    def make_disks(self) -> None:
        """Raw and qcow2 disks: a file system, a group, a degraded array and RAID, what is encrypted."""
        raw, tree = self.disk("raw"), self.base / "tree"
        (tree / "home").mkdir(parents=True)
        (tree / "home/letter.txt").write_text(SECRET)
        (tree / "home/long.bin").write_bytes(bytes(range(256)) * 6000)
        with open(raw, "wb") as file:
            file.truncate(self.disk_size)
        blocks = f"{SIZE >> 10}k"
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, raw, blocks], check=True)
        pieces = [Run(0, 5, 3), Run(0, 9, 1)]
        lvm_disk(self.disk("raw", "vg/whole"), {"whole": [Run(0, 0, 4)], "pieces": pieces}, [10])
        array_disk(self.disk("raw", "md:five"), 5, {1})
        raid_disk(self.disk("raw", "vg/five"), "raid5", {1})
        self.passphrase.write_text(SECRET)
        luks_disk(self.disk("raw", "1/luks"), SECRET.rstrip("\n"))
        self.convert_disks()

    def convert_disks(self) -> None:
        """A qcow2 disk beside each raw one."""
        for raw in self.disks:
            argv = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, raw.with_suffix(".qcow2")]
            subprocess.run(argv, check=True)


_ENCRYPTED = ("1/luks", "inner/root", "disk/luks")
_STATES = {"replayed": ["--replay"], "repaired": ["--repair"]}


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One way: the disk's format, how the disk is protected, and what is done with its volume."""

    format: str
    protection: str
    """``read-only``, ``overlay`` or ``backup``; ``replayed`` and ``repaired`` make an overlay themselves."""
    action: str
    """``list``, ``copy`` or ``mount``; ``snapshot`` backs a volume of the host up."""
    volume: str = "disk"
    way: str = ""
    """How partitions get devices: ``kpartx`` or ``nbd``, else as the program chooses."""

    @property
    def name(self) -> str:
        what = "" if self.volume == "disk" else f" {self.volume}"
        way = f" by {self.way}" if self.way else ""
        return f"{self.format} {self.protection} {self.action}{what}{way}"

    def calls(self, place: Place, state: Path) -> list[list[str]]:
        """The calls of the program, one after the other; what is mounted is undone by the second."""
        disk = ["--state-dir", str(state), "--format", self.format]
        if self.action == "snapshot":
            return [[*disk, "backup", "--lvm-snapshot", self.volume, str(place.backup)]]
        given = [str(place.disk(self.format, self.volume)), self.volume]
        if self.volume in _ENCRYPTED:
            given = ["--passphrase-file", str(place.passphrase), *given]
        given = [*_STATES.get(self.protection, ()), *given]
        if self.way:
            given = ["--way", self.way, *given]
        match self.action:
            case "list":
                return [[*disk, "ls", *given, "/home"]]
            case "copy":
                return [[*disk, "copy", *given, "/home", str(place.out)]]
        writable = ["--writable"] if self.protection == "overlay" else []
        return [[*disk, "mount", *given, str(place.point), *writable], undo(state)]

    def steps(self, place: Place) -> AbstractContextManager[object]:
        """What a person does in the wizard before the volume is opened, and no verb does alone."""
        if self.protection in ("read-only", *_STATES) or (self.protection, self.action) == (
            "overlay",
            "mount",
        ):
            return nullcontext()
        return patch.object(Session, "select", _selecting(self.protection, place))


def _selecting(protection: str, place: Place) -> Callable[..., Disk]:
    select = Session.select

    def selected(session: Session, *arguments: Any, **named: Any) -> Disk:
        disk = select(session, *arguments, **named)
        if protection == "overlay":
            session.protect(overlay=True)
        else:
            session.backup(place.backup, lambda _progress: None)
        return disk

    return selected


def undo(state: Path) -> list[str]:
    return ["--state-dir", str(state), "undo", "--all", "--yes"]


PIPELINES = (
    *(
        Pipeline(*parts)
        for parts in product(FORMATS, ("read-only", "overlay", "backup"), ("list", "copy", "mount"))
    ),
    Pipeline("qcow2", "replayed", "copy"),
    Pipeline("raw", "repaired", "mount"),
    Pipeline("raw", "read-only", "list", "vg/whole"),
    Pipeline("qcow2", "overlay", "mount", "vg/whole"),
    Pipeline("raw", "read-only", "copy", "vg/pieces"),
    Pipeline("qcow2", "read-only", "mount", "vg/pieces"),
    Pipeline("raw", "read-only", "mount", "1/luks"),
    Pipeline("qcow2", "read-only", "list", "1/luks"),
    Pipeline("raw", "read-only", "copy", "md:five"),
    Pipeline("qcow2", "overlay", "mount", "md:five"),
    Pipeline("raw", "read-only", "copy", "vg/five"),
)
"""What is in pieces or encrypted goes without the device mapper here; with it, see `classical`."""
