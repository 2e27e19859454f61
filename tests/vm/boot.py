"""What a kernel is started from: the kernel itself and a first, small file system in memory."""

import lzma
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_SECTOR = 512


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the first file system: its mode with the kind, and its content or link target."""

    mode: int
    content: bytes = b""


def uncompressed(image: bytes) -> bytes:
    """The kernel inside a bzImage, as the ELF file that QEMU starts without a boot loader.

    Under emulation the kernel's own unpacking costs one to two seconds a boot. Where the packed
    kernel lies: the fields setup_sects, payload_offset and payload_length of the kernel's
    Documentation/x86/boot.rst. Raises ValueError when `image` is no bzImage packed with xz.
    """
    if image[0x202:0x206] != b"HdrS":
        raise ValueError("not a bzImage")
    start = ((image[0x1F1] or 4) + 1) * _SECTOR
    offset, length = struct.unpack_from("<II", image, 0x248)
    packed = image[start + offset : start + offset + length]
    unpacker = lzma.LZMADecompressor(format=lzma.FORMAT_XZ)
    try:
        kernel = unpacker.decompress(packed)
    except lzma.LZMAError as error:
        raise ValueError(f"the kernel is not packed with xz: {error}") from error
    if not unpacker.eof or not kernel.startswith(b"\x7fELF"):
        raise ValueError("what is packed is no whole ELF file")
    return kernel


def load_order(dependencies: str, wanted: Iterable[str]) -> list[str]:
    """The paths of the `wanted` modules and of all that they need, each after what it needs.

    `dependencies` is the text of a modules.dep file, see modules.dep(5). A module that is not in it
    is built into the kernel.
    """
    needs = {}
    paths = {}
    for line in dependencies.splitlines():
        path, _colon, rest = line.partition(":")
        needs[path] = rest.split()
        paths[path.rpartition("/")[2].split(".")[0].replace("-", "_")] = path
    order: dict[str, None] = {}

    def add(path: str) -> None:
        for need in needs[path]:
            if need not in order:
                add(need)
        order.setdefault(path)

    for name in wanted:
        if name in paths:
            add(paths[name])
    return list(order)


def archive(entries: Mapping[str, Entry]) -> bytes:
    """`entries` as a cpio archive of the form "newc", see the kernel's initramfs/buffer-format.rst."""
    return b"".join(_members({**entries, "TRAILER!!!": Entry(0)}))


def _members(entries: Mapping[str, Entry]) -> Iterator[bytes]:
    for number, (path, entry) in enumerate(entries.items(), start=1):
        name = path.encode() + b"\0"
        fields = (number, entry.mode, 0, 0, 1, 0, len(entry.content), 0, 0, 0, 0, len(name), 0)
        yield _filled(b"070701" + b"".join(b"%08X" % value for value in fields) + name)
        yield _filled(entry.content)


def _filled(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
