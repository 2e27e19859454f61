"""The outside of a practice disk: its partition table as bytes, its file systems, its image format.

Everything is made in ordinary files: no root, no loop device, no network.
"""

import struct
import uuid
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from random import Random

from core.command import Command
from core.i18n import _
from core.lab.lab import Place
from core.lab.planting import Item, owners, plant
from core.runner import Runner

SECTOR = 512
_HEADS = 16
_TRACK = 63
"""Sectors of a track: the geometry that gave the classical tables their gaps of 63 sectors."""
_EXTENDED = 0x05
_SIGNATURE = b"\x55\xaa"


@dataclass(frozen=True, slots=True)
class FileSystem:
    """A file system to make in a partition: the type as mke2fs(8) knows it."""

    part: Place
    type: str
    label: str
    block: int
    items: tuple[Item, ...]


def mbr_sectors(parts: Iterable[Place], identifier: int) -> dict[int, bytes]:
    """The sectors of an MBR table with a chain of logical partitions, by their number on the disk.

    Each extended boot record lies one track before its logical partition, and the last four bytes
    of the chain follow the common layout: the first entry counts from the record itself, the
    second from the start of the extended partition (UEFI specification 2.10, section 5.2, and
    Brian Carrier, File System Forensic Analysis, chapter 5).
    """
    all_parts = sorted(parts, key=lambda part: part.start)
    primary = [part for part in all_parts if part.number <= 4]
    logical = [part for part in all_parts if part.number > 4]
    table = b"".join(_entry(int(part.type, 16), part.start, part.sectors, part.start) for part in primary)
    sectors = {0: bytes(440) + struct.pack("<IH", identifier, 0) + table.ljust(64, b"\0") + _SIGNATURE}
    base = next((part.start for part in primary if int(part.type, 16) == _EXTENDED), 0)
    for part, after in zip_longest(logical, logical[1:]):
        record = part.start - _TRACK
        entries = _entry(int(part.type, 16), part.start, part.sectors, part.start - record)
        if after:
            link = after.start - _TRACK
            entries += _entry(_EXTENDED, link, after.end - link + 1, link - base)
        sectors[record] = bytes(446) + entries.ljust(64, b"\0") + _SIGNATURE
    return sectors


def _entry(kind: int, start: int, sectors: int, relative: int) -> bytes:
    """One entry: its addresses in cylinders and heads are of `start`, its sector counts `relative`."""
    last = start + sectors - 1
    return struct.pack("<B3sB3sII", 0, _chs(start), kind, _chs(last), relative, sectors)


def _chs(sector: int) -> bytes:
    cylinder, rest = divmod(sector, _HEADS * _TRACK)
    head, index = divmod(rest, _TRACK)
    if cylinder > 1023:
        return b"\xfe\xff\xff"
    return bytes((head, (index + 1) | (cylinder >> 2 & 0xC0), cylinder & 0xFF))


_GPT_TYPES = {
    "linux": "0fc63daf-8483-4772-8e79-3d69d8477de4",
    "efi": "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
    "windows": "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7",
    "lvm": "e6d6d379-f507-44c2-a23c-238f2a3df928",
    "swap": "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f",
}
"""The GUIDs of partition types by the words that a description uses: UEFI 2.10, table 5.7, and the
Discoverable Partitions Specification."""
_GPT_ENTRIES = 128


def gpt_sectors(parts: Iterable[Place], sectors: int, chance: Random) -> dict[int, bytes]:
    """The sectors of a GUID partition table in both its copies, with the protective MBR.

    Layout: UEFI specification 2.10, chapter 5.3.
    """
    disk_guid = _guid(chance)
    entries = b"".join(
        uuid.UUID(_GPT_TYPES.get(part.type, part.type)).bytes_le
        + _guid(chance)
        + struct.pack("<QQQ72s", part.start, part.end, 0, b"")
        for part in sorted(parts, key=lambda part: part.number)
    ).ljust(_GPT_ENTRIES * 128, b"\0")
    room = _GPT_ENTRIES * 128 // SECTOR
    last = sectors - 1
    protective = _entry(0xEE, 1, min(last, 0xFFFFFFFF), 1)
    table = {0: bytes(446) + protective.ljust(64, b"\0") + _SIGNATURE, 2: entries, last - room: entries}
    for here, there, at in ((1, last, 2), (last, 1, last - room)):
        table[here] = _gpt_header(here, there, at, room + 2, last - room - 1, disk_guid, zlib.crc32(entries))
    return table


def _gpt_header(here: int, there: int, at: int, first: int, last: int, guid: bytes, sum: int) -> bytes:
    def packed(own_sum: int) -> bytes:
        own = struct.pack("<8sIIII", b"EFI PART", 0x10000, 92, own_sum, 0)
        return own + struct.pack("<QQQQ16sQIII", here, there, first, last, guid, at, _GPT_ENTRIES, 128, sum)

    return packed(zlib.crc32(packed(0)))


def _guid(chance: Random) -> bytes:
    return uuid.UUID(bytes=chance.randbytes(16), version=4).bytes_le


def make_disk(runner: Runner, raw: Path, sectors: int, table: dict[int, bytes]) -> None:
    """Make `raw`, a file of holes of that many sectors, and write the partition table into it."""

    def empty() -> None:
        with open(raw, "xb") as sink:
            sink.truncate(sectors * SECTOR)

    def written() -> None:
        with open(raw, "r+b") as sink:
            for number, data in table.items():
                sink.seek(number * SECTOR)
                sink.write(data)

    by_hand(
        runner,
        ("truncate", f"--size={sectors * SECTOR}", str(raw)),
        _("Make an empty disk: a file of holes that takes no room yet."),
        empty,
    )
    by_hand(runner, ("sfdisk", str(raw)), _("Write the partition table of the practice disk."), written)


def make_file_system(runner: Runner, raw: Path, made: FileSystem, work: Path, when: int, name: str) -> None:
    """Make a file system with its contents at its partition's place in `raw`.

    `work` is a folder for what is needed on the way, `when` the time of the making that the file
    system will tell, `name` what its UUID is derived from.
    """
    tree = work / f"p{made.part.number}"
    script = work / f"p{made.part.number}.debugfs"
    offset = made.part.offset

    def planted() -> None:
        plant(made.items, tree)
        script.write_text("\n".join(owners(made.items)) + "\n")

    by_hand(runner, ("mkdir", str(tree)), _("Write the files of the practice disk into a folder."), planted)
    identity = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.p{made.part.number}.virt-salvage.invalid"))
    clock = (("E2FSPROGS_FAKE_TIME", str(when)),)
    extended = f"offset={offset},root_owner=0:0,hash_seed={identity},lazy_itable_init=0"
    runner.run(
        Command(
            (
                "mke2fs",
                "-q",
                "-t",
                made.type,
                "-b",
                str(made.block),
                "-L",
                made.label,
                "-U",
                identity,
                "-d",
                str(tree),
                "-E",
                extended,
                "-F",
                str(raw),
                f"{made.part.sectors // 2}k",
            ),
            why=_(
                "Make the file system of partition {number} with its files, at its place in the disk."
            ).format(number=made.part.number),
            effect=_("The practice disk changes."),
            environment=clock,
        )
    )
    runner.run(
        Command(
            ("debugfs", "-w", "-f", str(script), f"{raw}?offset={offset}"),
            why=_("Give the files in it their owners and times."),
            effect=_("The practice disk changes."),
            environment=clock,
        )
    )


def to_format(runner: Runner, raw: Path, image: Path, format: str) -> None:
    """Write the disk as an image of a format that QEMU knows."""
    runner.run(
        Command(
            ("qemu-img", "convert", "-f", "raw", "-O", format, str(raw), str(image)),
            why=_("Put the disk into the image format that the virtual machine used."),
            effect=_("The practice disk appears as an image file."),
            limits=None,
        )
    )


def by_hand(runner: Runner, argv: tuple[str, ...], why: str, work: Callable[[], None]) -> None:
    """Do a piece of the building ourselves; `argv` is what one would type instead."""
    effect = _("A file is made in the lab's folder.")
    runner.perform(Command(argv, why=why, effect=effect, by_hand=True), work, planned=None)
