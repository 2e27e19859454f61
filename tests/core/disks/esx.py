"""Writes the sparse extents of VMware ESX, which no program here writes: COWD, and SESparse.

COWD by VMware's "Virtual Disk Format 5.0" (ESX Server Sparse Extents); SESparse as its header was described
in public for the driver that QEMU got in 4.1. Numbers are little-endian, places in sectors of 512 bytes.
The grains are stored in an order of their own, so that only who follows the tables finds them.
"""

import struct
from collections.abc import Callable
from pathlib import Path

SECTOR = 512


def _grains(data: bytes, below: bytes | None, grain: int) -> dict[int, bytes]:
    """The grains that must be stored, by their numbers, the last first."""
    size = grain * SECTOR
    under = below if below is not None else bytes(len(data))
    numbers = range(-(-len(data) // size))
    found = {at: data[at * size : (at + 1) * size].ljust(size, b"\0") for at in numbers}
    return {at: found[at] for at in reversed(numbers) if found[at] != under[at * size : (at + 1) * size]}


def cowd(data: bytes, below: bytes | None = None, grain: int = 1) -> bytes:
    """A COWD extent with what differs from `below`; without, from zeros. Tables have 4096 entries."""
    entries = 4096
    stored = _grains(data, below, grain)
    tables = -(-len(data) // (grain * SECTOR * entries))
    directory = 4
    first = directory + -(-tables * 4 // SECTOR)
    length = entries * 4 // SECTOR
    start = first + tables * length
    head = struct.pack(
        "<4s7I", b"COWD", 1, 3, len(data) // SECTOR, grain, directory, tables, start + len(stored) * grain
    )
    head += struct.pack("<3I", 1, 1, 63)  # its geometry, which nobody reads
    used = {at // entries for at in stored}
    places = [first + number * length if number in used else 0 for number in range(tables)]
    grains = [0] * (tables * entries)
    for order, at in enumerate(stored):
        grains[at] = start + order * grain
    image = bytearray(head.ljust(directory * SECTOR, b"\0"))
    image += struct.pack(f"<{tables}I", *places).ljust((first - directory) * SECTOR, b"\0")
    image += struct.pack(f"<{len(grains)}I", *grains)
    return bytes(image) + b"".join(stored.values())


def se_sparse(data: bytes, below: bytes | None = None) -> bytes:
    """A SESparse extent with what differs from `below`: grains of 8 sectors, tables of 64 sectors."""
    grain, table = 8, 64
    entries = table * SECTOR // 8
    stored = _grains(data, below, grain)
    count = -(-len(data) // (grain * SECTOR * entries))
    volatile, journal_head, journal = 1, 2, 4
    directory = 8
    length = -(-count * 8 // SECTOR)
    first = directory + length
    bitmap = first + count * table
    start = bitmap + 16
    pairs = (
        (volatile, 1),
        (journal_head, 2),
        (journal, 4),
        (directory, length),
        (first, count * table),
        (bitmap, 8),
        (bitmap + 8, 8),
        (start, len(stored) * grain),
    )
    head = struct.pack("<6Q", 0xCAFEBABE, 2 << 32 | 1, len(data) // SECTOR, grain, table, 0) + bytes(32)
    head += b"".join(struct.pack("<2Q", *pair) for pair in pairs)
    # The tables too lie in an order of their own
    used = sorted({at // entries for at in stored}, reverse=True)
    number = {which: order for order, which in enumerate(used)}
    places = [1 << 60 | number[which] if which in number else 0 for which in range(count)]
    grains = [0] * (count * entries)
    for order, at in enumerate(stored):
        grains[number[at // entries] * entries + at % entries] = 3 << 60 | (order & 0xFFF) << 48 | order >> 12
    image = bytearray(head.ljust(SECTOR, b"\0"))
    image += struct.pack("<4Q", 0xCAFECAFE, len(used), 1, 0).ljust(SECTOR, b"\0")
    image = bytearray(image.ljust(directory * SECTOR, b"\0"))
    image += struct.pack(f"<{count}Q", *places).ljust(length * SECTOR, b"\0")
    image += struct.pack(f"<{len(grains)}Q", *grains)
    return bytes(image.ljust(start * SECTOR, b"\0")) + b"".join(stored.values())


KINDS: dict[str, tuple[str, str, Callable[[bytes, bytes | None], bytes]]] = {
    "vmfsSparse": ("VMFSSPARSE", "delta", cowd),
    "seSparse": ("SESPARSE", "sesparse", se_sparse),
}


def described(folder: Path, name: str, kind: str, extent: str, size: int, parent: str = "") -> Path:
    """The descriptor of one extent; `parent` is the file name of the disk that it differs from."""
    of_parent = f'parentCID=0000aaaa\nparentFileNameHint="{parent}"' if parent else "parentCID=ffffffff"
    what = next((words[0] for words in (KINDS.get(kind),) if words), "VMFS")
    own = "0000bbbb" if parent else "0000aaaa"
    path = folder / f"{name}.vmdk"
    path.write_text(
        f'# Disk DescriptorFile\nversion=1\nCID={own}\n{of_parent}\ncreateType="{kind}"\n'
        f'RW {size // SECTOR} {what} "{extent}"\n'
    )
    return path


def alone(folder: Path, kind: str, data: bytes) -> Path:
    """A disk of its own in one sparse extent."""
    _what, suffix, write = KINDS[kind]
    extent = folder / f"web-{suffix}.vmdk"
    extent.write_bytes(write(data, None))
    return described(folder, "web", kind, extent.name, len(data))


def snapshot(folder: Path, kind: str, data: bytes, below: bytes) -> Path:
    """A disk in the state after a snapshot: the flat one that was frozen, and what was written since."""
    (folder / "web-flat.vmdk").write_bytes(below)
    described(folder, "web", "vmfs", "web-flat.vmdk", len(below))
    _what, suffix, write = KINDS[kind]
    extent = folder / f"web-000001-{suffix}.vmdk"
    extent.write_bytes(write(data, below))
    return described(folder, "web-000001", kind, extent.name, len(data), "web.vmdk")
