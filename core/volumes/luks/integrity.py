"""Encrypted data with a checksum for each sector, which dm-integrity keeps between the data for dm-crypt.

Sources: dm-integrity.rst and dm-crypt.rst in the kernel's Documentation/admin-guide/device-mapper; the
superblock is `struct superblock` of drivers/md/dm-integrity.c, its numbers are little-endian. How LUKS2 names
ciphers and checksums: "LUKS2 On-Disk Format Specification 1.1.3", 3.3.
"""

import struct
from dataclasses import dataclass

from core.volumes.readable import Readable

_MAGIC = b"integrt\0"
_SUPERBLOCK = struct.Struct("<8sBBHIQIB")
_SECTOR = 512


@dataclass(frozen=True, slots=True)
class Superblock:
    """What dm-integrity wrote before the data. `size` and `block` are in bytes."""

    tag: int
    """Bytes kept for each block: its checksum, and the start value of the cipher where that is random."""
    size: int
    """What is shown."""
    block: int


def read_superblock(source: Readable, offset: int) -> Superblock | None:
    """The superblock at a byte of the disk; None where there is none that makes sense."""
    raw = source.read(offset, _SUPERBLOCK.size)
    if len(raw) < _SUPERBLOCK.size:
        return None
    magic, _version, _interleave, tag, _sections, shown, _flags, block = _SUPERBLOCK.unpack(raw)
    if magic != _MAGIC or not 0 < tag <= 1024 or block > 3 or not 0 < shown < 1 << 54:
        return None
    return Superblock(tag, shown * _SECTOR, _SECTOR << block)


def below(device: str, found: Superblock, *, writable: bool) -> str:
    """What dm-integrity is told to show the data and their checksums.

    For reading only it does not carry out its journal (mode R); over an overlay it does (mode J).
    """
    more = f"1 block_size:{found.block}" if found.block != _SECTOR else "0"
    return f"integrity {device} 0 {found.tag} {'J' if writable else 'R'} {more}"


def cipher(name: str, checksum: str) -> str:
    """How dm-crypt calls a cipher such as ``aes-xts-plain64`` with a checksum such as ``hmac(sha256)``."""
    parts = name.split("-", 2)
    first, mode, start = (parts[0], "", parts[-1]) if len(parts) < 3 else parts
    whole = f"{mode}({first})" if mode else first
    if checksum == "aead":
        whole = f"rfc4309({whole})" if mode == "ccm" else whole
    elif checksum == "poly1305":
        whole = f"rfc7539({whole},poly1305)"
    elif checksum != "none":
        whole = f"authenc({checksum},{whole})"
    return f"capi:{whole}-{start}"


def option(checksum: str, found: Superblock) -> str:
    """What dm-crypt is told of the checksums beside the cipher."""
    return f"integrity:{found.tag}:{'none' if checksum == 'none' else 'aead'}"
