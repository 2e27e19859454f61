"""RAIDs of LVM with parity, made without the device mapper; see `array_disks` for where a chunk lies."""

import struct
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path

from tests.core.volumes.array_disks import CHUNK, LEGS, legs_of
from tests.core.volumes.layer_disks import (
    AREA,
    DATA,
    EXTENT,
    MIB,
    SECTOR,
    Run,
    area,
    file_system,
    label,
    metadata,
    uuid,
)

_FIVES = {"raid5_la": 0, "raid5_ra": 1, "raid5": 2, "raid5_ls": 2, "raid5_rs": 3, "raid4": 4, "raid5_n": 5}
_SIXES = {"raid6": 8, "raid6_zr": 8, "raid6_nr": 9, "raid6_nc": 10}
LAYOUTS = {name: (level, way) for level, ways in ((5, _FIVES), (6, _SIXES)) for name, way in ways.items()}
"""Level and layout of md of each kind."""
CONTENT = 12 * MIB
NEVER = (1 << 64) - 1


def _size(kind: str, content: int) -> int:
    """Bytes of a leg."""
    return content // (LEGS - (2 if LAYOUTS[kind][0] == 6 else 1))


def _start(kind: str, leg: int, content: int = CONTENT) -> int:
    """Where the partition of a physical volume begins; its first extent is for the superblock of the leg."""
    return MIB + leg * (DATA + EXTENT + _size(kind, content) + EXTENT)


def _split(kind: str, leg: int, extents: int) -> list[Run]:
    """A leg in two pieces, the second one before the first."""
    rest = extents - extents // 2
    return [Run(leg, 1 + rest, extents // 2), Run(leg, 1, rest)]


def _text(kind: str, content: int, *, circle: bool) -> bytes:
    extents = _size(kind, content) // EXTENT
    parts = {f"five_rimage_{leg}": _split(kind, leg, extents) for leg in range(LEGS)}
    parts |= {f"five_rmeta_{leg}": [Run(leg, 0, 1)] for leg in range(LEGS)}
    text = metadata(parts, [1 + extents] * LEGS).replace(b', "VISIBLE"]', b"]")
    metas = ["five" if circle else f"five_rmeta_{leg}" for leg in range(LEGS)]
    names = ", ".join(f'"{meta}", "five_rimage_{leg}"' for leg, meta in enumerate(metas))
    volume = f"""logical_volumes {{
five {{
id = "{uuid(99, "l")}"
status = ["READ", "WRITE", "VISIBLE"]
segment_count = 1
segment1 {{
start_extent = 0
extent_count = {content // EXTENT}
type = "{kind}"
device_count = {LEGS}
stripe_count = {LEGS}
stripe_size = {CHUNK // SECTOR}
raids = [{names}]
}}
}}
"""
    return text.replace(b"logical_volumes {\n", volume.encode())


def _superblock(leg: int, events: int) -> bytes:
    return struct.pack("<4sIIIQQQQ", b"DmRd", 0, LEGS, leg, events, 0, NEVER, NEVER)


def raid_disk(
    path: Path,
    kind: str,
    lost: Collection[int] = (),
    stale: Collection[int] = (),
    *,
    content: bytes = b"",
    circle: bool = False,
) -> Path:
    """A disk whose partitions are the physical volumes of a group with the RAID `vg/five`, an ext4 in it.

    The `lost` ones are zeros, those that are `stale` were left out long ago. In a `circle`
    the superblocks lie in the RAID itself.
    """
    content = content or file_system(path.with_name(f"{path.stem}-five"), CONTENT).read_bytes()
    size, text = _size(kind, len(content)), _text(kind, len(content), circle=circle)
    room = DATA + EXTENT + size + EXTENT
    starts = [_start(kind, leg, len(content)) for leg in range(LEGS)]
    with open(path, "wb") as file:
        file.truncate(starts[-1] + room + MIB)
        for leg, data in enumerate(legs_of(content, *LAYOUTS[kind])):
            if leg in lost:
                continue
            file.seek(starts[leg] + SECTOR)
            file.write(label(leg, room))
            file.seek(starts[leg] + AREA)
            file.write(area(text))
            file.seek(starts[leg] + DATA)
            file.write(_superblock(leg, 3 if leg in stale else 9))
            for at, piece in _laid(data, kind, leg, size):
                file.seek(starts[leg] + DATA + at)
                file.write(bytes(len(piece)) if leg in stale else piece)
    table = "".join(f"{start // SECTOR},{room // SECTOR},8e\n" for start in starts)
    subprocess.run(["sfdisk", "-q", path], input=f"label: dos\n{table}", text=True, check=True)
    return path


def _laid(data: bytes, kind: str, leg: int, size: int) -> Sequence[tuple[int, bytes]]:
    """What a leg holds, piece by piece, with where each lies."""
    found, done = [], 0
    for run in _split(kind, leg, size // EXTENT):
        found.append((run.first * EXTENT, data[done : done + run.count * EXTENT]))
        done += run.count * EXTENT
    return found


def legs_on(view: Path, kind: str, content: int = CONTENT) -> list[bytes]:
    """What the legs hold on such a disk now."""
    size, found = _size(kind, content), []
    with open(view, "rb") as file:
        for leg in range(LEGS):
            data = b""
            for run in _split(kind, leg, size // EXTENT):
                file.seek(_start(kind, leg, content) + DATA + run.first * EXTENT)
                data += file.read(run.count * EXTENT)
            found.append(data)
    return found
