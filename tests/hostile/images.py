"""Headers of image files, made field by field, so that each can hold what it should not."""

import os
import struct
from pathlib import Path

CLUSTER = 1 << 16
BACKING_FORMAT, DATA_FILE_NAME = 0xE2792ACA, 0x44415441
DATA_FILE = 1 << 2


def qcow2(
    path: Path,
    backing: str | bytes = b"",
    *,
    form: str = "",
    data: str | bytes | None = None,
    extensions: bytes = b"",
    size: int = 1 << 20,
    incompatible: int = 0,
) -> Path:
    """A whole and empty qcow2 of version 3: header, reference counts, L1 table, one cluster each."""
    if form:
        extensions += extension(BACKING_FORMAT, form.encode())
    if data is not None:
        incompatible |= DATA_FILE
        extensions += extension(DATA_FILE_NAME, os.fsencode(data)) if data else b""
    name = os.fsencode(backing)
    extensions += extension(0, b"")
    name_at = 104 + len(extensions) if name else 0
    head = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, name_at, len(name), 16, size, 0, 1, 3 * CLUSTER,
                       CLUSTER, 1, 0, 0)  # fmt: skip
    head += struct.pack(">QQQII", incompatible, 0, 0, 4, 104) + extensions + name
    table = struct.pack(">Q", 2 * CLUSTER)
    counts = struct.pack(">4H", 1, 1, 1, 1)
    path.write_bytes(b"".join(part.ljust(CLUSTER, b"\0") for part in (head, table, counts, b"")))
    return path


def extension(kind: int, data: bytes) -> bytes:
    return struct.pack(">II", kind, len(data)) + data.ljust((len(data) + 7) // 8 * 8, b"\0")


def put(path: Path, at: int, form: str, *values: int | bytes) -> Path:
    """Write fields over what a file has at `at`."""
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(struct.pack(form, *values))
    return path


def descriptor(
    path: Path, extents: str, *, kind: str = "monolithicFlat", more: str = "", parent: str = "ffffffff"
) -> Path:
    """A VMDK descriptor with the given lines for its extents."""
    text = (
        f'# Disk DescriptorFile\nversion=1\nCID=33243b58\nparentCID={parent}\ncreateType="{kind}"\n{more}\n'
        f"# Extent description\n{extents}\n"
    )
    path.write_bytes(os.fsencode(text))
    return path


def vmdk_around(path: Path, text: str | bytes, *, capacity: int = 0, stated: int = 1) -> Path:
    """The header of a sparse VMDK around a descriptor that is said to be `stated` sectors long."""
    data = os.fsencode(text)
    head = struct.pack("<4sIIQQQQIQQQ", b"KDMV", 1, 3, capacity, 128, 1, stated, 512, 0, 0, 128)
    path.write_bytes(head.ljust(512, b"\0") + data + bytes(1024))
    return path


def vhd(path: Path, *, kind: int = 3, size: int = 8 << 20, parent: str = "") -> Path:
    """A dynamic VHD with no block in use, or a differencing one that names its parent."""
    blocks = -(-size // (2 << 20))
    footer = bytearray(512)
    struct.pack_into(">8sIIQI4sI4sQQHBBI", footer, 0, b"conectix", 2, 0x10000, 512, 0, b"qem2", 1, b"Wi2k",
                     size, size, 16, 4, 17, kind)  # fmt: skip
    struct.pack_into(">I", footer, 64, ~sum(footer) & 0xFFFFFFFF)
    head = bytearray(1024)
    struct.pack_into(">8sQQIII", head, 0, b"cxsparse", (1 << 64) - 1, 1536, 0x10000, blocks, 2 << 20)
    name = parent.encode("utf-16-be")[:512]
    head[64 : 64 + len(name)] = name
    table = (b"\xff" * 4 * blocks).ljust(-(-blocks * 4 // 512) * 512, b"\xff")
    path.write_bytes(bytes(footer) + bytes(head) + table + bytes(footer))
    return path


def mbr(first: int = 2048, sectors: int = 2048) -> bytes:
    """A boot sector with one Linux partition."""
    entry = struct.pack("<B3sB3sII", 0x80, b"\0\2\0", 0x83, b"\0\0\0", first, sectors)
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"
